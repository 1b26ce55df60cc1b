#include "coordinator/cli/ursync_operands.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "coordinator/cli/rsync/item.h"
#include "coordinator/cli/rsync/option_effects.h"
#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

// A directory that is listed is compared with nothing: a plan into a name that nobody has.
constexpr char kNowhere[] = "/.uringsync-nowhere";
constexpr mode_t kNewDirectory = 0777;

OperandsEnd Usage(const absl::Status& status) {
  return {static_cast<int>(ExitCodeForSessionError(LinkErrorKind(status))), std::string(ToStd(status.message())), false};
}

std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  return error ? path : absolute.string();
}

// The last component, empty where a path names contents: "a/", "a/.", "..".
std::string NameOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return name == "." || name == ".." ? std::string() : name;
}

// Why a local source is not what a run can begin with.
std::optional<OperandsEnd> CheckSource(const Settings& settings, const std::string& path, Console* console) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) {
    const int err = errno;
    console->Error("ursync: [sender] link_stat \"" + PrintableText(Absolute(path), {}) + "\" failed: " + std::strerror(err) + " (" +
                   std::to_string(err) + ")");
    return OperandsEnd{static_cast<int>(ExitCode::kPartial), "", false};
  }
  if (!S_ISDIR(st.st_mode)) return OperandsEnd{static_cast<int>(ExitCode::kUsage), "a source that is no directory is not supported: " + std::string(kLater), true};
  if (settings.recursive || settings.list_only) return std::nullopt;
  const std::string name = NameOf(path);
  if (!settings.quiet) console->Line("skipping directory " + PrintableText(name.empty() ? "." : name, {}));
  return OperandsEnd{};
}

// DST of a source without a trailing slash: the source's name below it. Makes DST itself.
std::optional<OperandsEnd> GoBelow(const Settings& settings, const std::string& name, std::string* destination) {
  struct stat st;
  if (::stat(destination->c_str(), &st) != 0 && !settings.dry_run && ::mkdir(destination->c_str(), kNewDirectory) != 0) {
    const int err = errno;
    return OperandsEnd{static_cast<int>(ExitCode::kFileIo),
                       "[Receiver] mkdir \"" + PrintableText(Absolute(*destination), {}) + "\" failed: " + std::strerror(err) + " (" +
                           std::to_string(err) + ")",
                       false};
  }
  *destination += (destination->back() == '/' ? "" : "/") + name;
  return std::nullopt;
}

}  // namespace

std::variant<RunOptions, OperandsEnd> PrepareRun(Settings settings, Console* console) {
  if (const absl::Status status = CheckCombinations(settings); !status.ok()) return Usage(status);
  if (settings.operands.size() == 1) settings.list_only = true;
  if (settings.operands.size() > 2) {
    return OperandsEnd{static_cast<int>(ExitCode::kUsage), "more than one source is not supported: " + std::string(kLater), true};
  }
  const absl::StatusOr<Endpoint> source = ParseEndpoint(settings.operands[0]);
  if (!source.ok()) return Usage(source.status());
  std::string name;
  if (source->is_local()) {
    if (std::optional<OperandsEnd> end = CheckSource(settings, settings.operands[0], console)) return *std::move(end);
    name = NameOf(settings.operands[0]);
  }
  if (settings.list_only) {
    settings.operands.resize(1);
    settings.operands.push_back(kNowhere);
    settings.dry_run = true;
    settings.hard_links = settings.delete_extraneous = false;
    settings.basis_option.clear();
    settings.basis_directories.clear();
  } else if (!name.empty()) {
    const absl::StatusOr<Endpoint> destination = ParseEndpoint(settings.operands[1]);
    if (!destination.ok()) return Usage(destination.status());
    if (!destination->is_local()) {
      settings.operands[1] += (settings.operands[1].back() == '/' ? "" : "/") + name;
    } else if (std::optional<OperandsEnd> end = GoBelow(settings, name, &settings.operands[1])) {
      return *std::move(end);
    }
  }
  const bool links = settings.links;
  if (settings.list_only) settings.links = settings.devices = settings.specials = true;
  absl::StatusOr<RunOptions> run = ToRunOptions(settings);
  if (!run.ok()) return Usage(run.status());
  if (run->output.rsync) {
    run->output.rsync->list_only = settings.list_only;
    run->output.rsync->list_targets = links;
  }
  return *std::move(run);
}

}  // namespace uringsync
