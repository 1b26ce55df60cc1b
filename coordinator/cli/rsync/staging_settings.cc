#include "coordinator/cli/rsync/staging_settings.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

// Where updates wait for each other unless --partial-dir says so.
constexpr char kDelayDirectory[] = ".~tmp~";

absl::Status Usage(const std::string& text) {
  return LinkError(ErrorKind::kUsage, text);
}

// Options that write over files, and those that need them whole elsewhere.
absl::Status CheckConflicts(const Settings& settings, bool partial_directory) {
  if (settings.append != AppendMode::kNone && settings.whole_file == true)
    return Usage("--append cannot be used with --whole-file");
  const bool in_place = settings.inplace || settings.append != AppendMode::kNone;
  if (!in_place || (!partial_directory && !settings.delay_updates)) return absl::OkStatus();
  return Usage(std::string(settings.append != AppendMode::kNone ? "--append" : "--inplace") + " cannot be used with " +
               (settings.delay_updates ? "--delay-updates" : "--partial-dir"));
}

// A directory seen from that of each file: its names, after those that lead upwards.
absl::Status SetPartialDirectory(const std::string& text, StagingSettings* staging) {
  std::vector<std::string_view> names;
  uint32_t climb = 0;
  for (const std::string_view name : PathComponents(text)) {
    if (name != "..") {
      if (!ValidateName(name).ok()) return Usage("--partial-dir=" + EscapeName(text) + ": no valid path");
      names.push_back(name);
    } else if (names.empty()) {
      ++climb;
    } else {
      names.pop_back();
    }
  }
  if (climb > kMaxPartialClimb) return Usage("--partial-dir=" + EscapeName(text) + ": no valid path");
  for (const std::string_view name : names) staging->partial_directory = staging->partial_directory.Child(name);
  // Nothing but a way upwards names no directory of its own.
  staging->partial_climb = names.empty() ? 0 : climb;
  return absl::OkStatus();
}

std::string PartialDirectoryOf(const Settings& settings) {
  if (settings.partial_dir) return *settings.partial_dir;
  const char* set = std::getenv("RSYNC_PARTIAL_DIR");
  const bool asked = settings.partial && settings.command == Command::kUrsync && !settings.inplace &&
                     settings.append == AppendMode::kNone;
  return asked && set != nullptr ? set : "";
}

UnstableFiles UnstableOf(const Settings& settings) {
  if (settings.unstable.empty() && settings.command == Command::kUrsync) return UnstableFiles::kCopyIfKnown;
  return settings.unstable == "copy" ? UnstableFiles::kCopy : UnstableFiles::kSkip;
}

SnapshotMode SnapshotOf(const Settings& settings) {
  if (settings.snapshot_mode.empty()) return settings.snapshot ? SnapshotMode::kRequire : SnapshotMode::kNone;
  if (settings.snapshot_mode == "auto") return SnapshotMode::kAuto;
  if (settings.snapshot_mode == "tree") return SnapshotMode::kTree;
  return settings.snapshot_mode == "files" ? SnapshotMode::kFiles : SnapshotMode::kRequire;
}

}  // namespace

absl::Status ApplyStagingSettings(const Settings& settings, SyncRequest* request, StagingPlaces* places) {
  StagingSettings& staging = request->staging;
  std::string directory = PartialDirectoryOf(settings);
  US_RETURN_IF_ERROR(CheckConflicts(settings, settings.partial_dir && !directory.empty()));
  if (settings.delay_updates && directory.empty()) directory = kDelayDirectory;
  staging.keep_partial = settings.partial || settings.partial_dir || settings.delay_updates;
  staging.append = settings.append;
  staging.delay_updates = settings.delay_updates;
  staging.fuzzy = static_cast<uint32_t>(std::min(settings.fuzzy, 2));
  staging.preallocate = settings.preallocate;
  request->detect_renames = settings.detect_renames;
  request->copy_devices = settings.copy_devices;
  request->write_devices = settings.write_devices;
  request->delta_block_bytes = settings.block_size;
  request->unstable = UnstableOf(settings);
  request->snapshot = SnapshotOf(settings);
  request->readback = settings.verify == "readback";
  request->resume = settings.resume;
  request->in_place = settings.inplace || staging.append != AppendMode::kNone;
  request->rules.append = staging.append != AppendMode::kNone;
  if (settings.temp_dir && settings.temp_dir->empty()) return Usage("The temp-dir does not exist: ");
  places->temporary_directory = settings.temp_dir.value_or("");
  if (directory.starts_with('/')) {
    places->partial_directory = directory;
    return absl::OkStatus();
  }
  US_RETURN_IF_ERROR(SetPartialDirectory(directory, &staging));
  if (staging.partial_directory.is_root() || staging.partial_climb > 0) return absl::OkStatus();
  // Neither copied nor deleted, and no reason to keep a directory that goes.
  request->filters.push_back("-p " + staging.partial_directory.text() + "/");
  return absl::OkStatus();
}

}  // namespace uringsync
