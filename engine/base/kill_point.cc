#include "engine/base/kill_point.h"

#ifdef URINGSYNC_KILL_POINTS
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#endif

namespace uringsync {

#ifndef URINGSYNC_KILL_POINTS

void StartKillPoints() {}
void PassKillPoint(KillPoint /*point*/) {}

#else

namespace {

struct Row {
  KillPoint point;
  const char* name;
  const char* roles;
};

// In the order of the enumeration.
constexpr std::array kRows = {
    Row{KillPoint::kScanDirectory, "scan.directory", "source destination"},
    Row{KillPoint::kScanStray, "scan.stray", "destination"},
    Row{KillPoint::kScanEnd, "scan.end", "source destination"},
    Row{KillPoint::kReadOpen, "read.open", "source"},
    Row{KillPoint::kReadServed, "read.served", "source"},
    Row{KillPoint::kStageCreated, "stage.created", "destination"},
    Row{KillPoint::kStageRange, "stage.range", "destination"},
    Row{KillPoint::kStageFilled, "stage.filled", "destination"},
    Row{KillPoint::kStageMetadata, "stage.metadata", "destination"},
    Row{KillPoint::kStageLink, "stage.link", "destination"},
    Row{KillPoint::kStageOther, "stage.other", "destination"},
    Row{KillPoint::kSyncFiles, "sync.files", "destination"},
    Row{KillPoint::kSyncedFiles, "synced.files", "destination"},
    Row{KillPoint::kPublishMarked, "publish.marked", "destination"},
    Row{KillPoint::kPublishExchanged, "publish.exchanged", "destination"},
    Row{KillPoint::kPublishLinked, "publish.linked", "destination"},
    Row{KillPoint::kMadeDirectory, "made.directory", "destination"},
    Row{KillPoint::kSetMetadata, "set.metadata", "destination"},
    Row{KillPoint::kBackupLinked, "backup.linked", "destination"},
    Row{KillPoint::kSyncPath, "sync.path", "destination"},
    Row{KillPoint::kSyncedPath, "synced.path", "destination"},
    Row{KillPoint::kSyncPhase, "sync.phase", "destination"},
    Row{KillPoint::kDelayedPublish, "delayed.publish", "destination"},
    Row{KillPoint::kJournalStaged, "journal.staged", "destination"},
    Row{KillPoint::kJournalNamed, "journal.named", "destination"},
    Row{KillPoint::kJournalAppended, "journal.appended", "destination"},
    Row{KillPoint::kJournalTakeOver, "journal.take_over", "destination"},
    Row{KillPoint::kJournalRenamed, "journal.renamed", "destination"},
    Row{KillPoint::kJournalUnlinked, "journal.unlinked", "destination"},
    Row{KillPoint::kDelete, "delete.object", "source destination"},
    Row{KillPoint::kDeleted, "deleted.object", "source destination"},
    Row{KillPoint::kDeletedDirectory, "deleted.directory", "destination"},
    Row{KillPoint::kDestinationLocked, "destination.locked", "destination"},
    Row{KillPoint::kDestinationDone, "destination.done", "destination"},
    Row{KillPoint::kRunOpened, "run.opened", "command"},
    Row{KillPoint::kRunBatch, "run.batch", "command"},
    Row{KillPoint::kRunBatchSent, "run.batch_sent", "command"},
    Row{KillPoint::kRunProgress, "run.progress", "command"},
    Row{KillPoint::kRunFinish, "run.finish", "command"},
    Row{KillPoint::kRunDone, "run.done", "command"},
    Row{KillPoint::kRunEnd, "run.end", "command"},
};
constexpr size_t kPoints = static_cast<size_t>(KillPoint::kCount);
static_assert(kRows.size() == kPoints, "a kill point without a row");

constexpr bool IsInOrder() {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].point) != i) return false;
  }
  return true;
}
static_assert(IsInOrder(), "the rows have the order of the enumeration");

// What this process was told; written before the first thread.
struct Orders {
  size_t point = kPoints;
  uint64_t pass = 0;
  bool count = false;
};
Orders orders;
std::atomic<uint64_t> passes{0};

[[noreturn]] void Refuse(const char* text) {
  std::fprintf(stderr, "URINGSYNC_KILL_POINT=%s: not list, count, or the name of a kill point and a number\n", text);
  std::exit(1);
}

void PrintPoints() {
  for (const Row& row : kRows) std::printf("%s %s\n", row.name, row.roles);
}

}  // namespace

void StartKillPoints() {
  const char* const set = std::getenv("URINGSYNC_KILL_POINT");
  if (set == nullptr || *set == '\0') return;
  const std::string_view text = set;
  if (text == "list") {
    PrintPoints();
    std::exit(0);
  }
  if (text == "count") {
    orders.count = true;
    return;
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) Refuse(set);
  const std::string_view name = text.substr(0, colon);
  const std::string value(text.substr(colon + 1));
  while (orders.point > 0 && name != kRows[orders.point - 1].name) --orders.point;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), orders.pass);
  if (orders.point == 0 || error != std::errc() || *end != '\0' || orders.pass == 0) Refuse(set);
  --orders.point;
}

void PassKillPoint(KillPoint point) {
  const size_t index = static_cast<size_t>(point);
  if (orders.count) {
    const std::string line = "kill point " + std::string(kRows[index].name) + "\n";
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0) std::abort();
    return;
  }
  if (index != orders.point || orders.pass == 0) return;
  if (passes.fetch_add(1) + 1 != orders.pass) return;
  ::kill(::getpid(), SIGKILL);
  // Not before the kernel has taken it.
  std::abort();
}

#endif

}  // namespace uringsync
