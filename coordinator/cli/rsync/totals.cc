#include "coordinator/cli/rsync/totals.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "coordinator/cli/rsync/numbers.h"

namespace uringsync {
namespace {

constexpr int kPlain = 0;

std::string Seconds(std::chrono::nanoseconds time) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.3f seconds", std::chrono::duration<double>(time).count());
  return text;
}

std::string Kinds(const KindCounts& counts, int human) {
  std::string inner;
  const auto add = [&inner, human](std::string_view name, uint64_t count) {
    if (count == 0) return;
    inner += (inner.empty() ? "" : ", ") + std::string(name) + ": " + HumanNumber(count, human);
  };
  add("reg", counts.files);
  add("dir", counts.directories);
  add("link", counts.symlinks);
  add("dev", counts.devices);
  add("special", counts.specials);
  return HumanNumber(counts.sum(), human) + (inner.empty() ? "" : " (" + inner + ")");
}

double Ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

}  // namespace

void KindCounts::Add(FileType type) {
  switch (type) {
    case FileType::kRegular: ++files; return;
    case FileType::kDirectory: ++directories; return;
    case FileType::kSymlink: ++symlinks; return;
    case FileType::kBlockDevice:
    case FileType::kCharDevice: ++devices; return;
    case FileType::kFifo:
    case FileType::kSocket: ++specials; return;
  }
}

KindCounts SourceKinds(const PlanCounters& plan) {
  return {.files = plan.source_files,
          .directories = plan.source_directories,
          .symlinks = plan.source_symlinks,
          .devices = plan.source_devices,
          .specials = plan.source_specials};
}

std::vector<std::string> StatsLines(const RsyncTotals& totals, int human) {
  const auto bytes = [human](uint64_t number) { return HumanNumber(number, human) + " bytes"; };
  return {"Number of files: " + Kinds(totals.source, human),
          "Number of created files: " + Kinds(totals.created, human),
          "Number of deleted files: " + Kinds(totals.deleted, human),
          "Number of regular files transferred: " + HumanNumber(totals.transferred_files, human),
          "Total file size: " + bytes(totals.total_bytes),
          "Total transferred file size: " + bytes(totals.transferred_bytes),
          "Literal data: " + bytes(totals.literal_bytes),
          "Matched data: " + bytes(totals.matched_bytes),
          "File list size: 0",
          "File list generation time: " + Seconds(totals.listing),
          "File list transfer time: 0.000 seconds",
          "Total bytes sent: " + HumanNumber(totals.sent_bytes, human),
          "Total bytes received: " + HumanNumber(totals.received_bytes, human)};
}

std::vector<std::string> ClosingLines(const RsyncTotals& totals, int human) {
  const double moved = static_cast<double>(totals.sent_bytes + totals.received_bytes);
  // As rsync: half a second is added to whole seconds.
  const double seconds =
      0.5 + static_cast<double>(std::chrono::duration_cast<std::chrono::seconds>(totals.duration).count());
  return {"sent " + HumanNumber(totals.sent_bytes, human) + " bytes  received " +
              HumanNumber(totals.received_bytes, human) + " bytes  " + HumanDecimal(moved / seconds, human, 2) +
              " bytes/sec",
          "total size is " + HumanNumber(totals.total_bytes, human) + "  speedup is " +
              HumanDecimal(Ratio(static_cast<double>(totals.total_bytes), moved), std::min(human, 1), 2) +
              (totals.dry_run ? " (DRY RUN)" : "")};
}

std::string LogLine(const RsyncTotals& totals) {
  return "sent " + HumanNumber(totals.sent_bytes, kPlain) + " bytes  received " +
         HumanNumber(totals.received_bytes, kPlain) + " bytes  total size " + HumanNumber(totals.total_bytes, kPlain);
}

}  // namespace uringsync
