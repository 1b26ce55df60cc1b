// Helpers of the planner's tests: entries and batches in a line, streams from vectors, a sink that remembers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/itemize.h"
#include "coordinator/core/planner.h"
#include "engine/ring/driver.h"

namespace uringsync {

inline std::unique_ptr<Driver> MakePlanDriver() {
  DriverOptions options;
  options.backend = IoBackend::kThreads;
  options.pool_threads = 1;
  absl::StatusOr<DriverChoice> choice = MakeDriver(options);
  return choice.ok() ? std::move(choice->driver) : nullptr;
}

inline RelPath PathOf(std::string_view text) {
  return RelPath::Parse(text).value();
}

// Every entry of a side gets an inode of its own unless told otherwise.
inline Entry MakeEntry(std::string name, FileType type, uint64_t inode) {
  Entry entry;
  entry.name = std::move(name);
  entry.type = type;
  entry.mode = type == FileType::kDirectory ? 0755 : 0644;
  entry.uid = 1000;
  entry.gid = 1000;
  entry.mtime = {100, 0};
  entry.id = {1, inode};
  if (type == FileType::kRegular) entry.size_bytes = 10;
  if (type == FileType::kSymlink) {
    entry.symlink_target = "target";
    entry.mode = 0777;
  }
  return entry;
}
inline Entry File(std::string name, uint64_t inode) {
  return MakeEntry(std::move(name), FileType::kRegular, inode);
}
inline Entry Dir(std::string name, uint64_t inode) {
  return MakeEntry(std::move(name), FileType::kDirectory, inode);
}

inline DirectoryBatch Batch(std::string_view path, std::vector<Entry> entries, uint64_t inode = 500) {
  DirectoryBatch batch;
  batch.directory = PathOf(path);
  batch.self = Dir(std::string(batch.directory.name()), inode);
  batch.entries = std::move(entries);
  return batch;
}

class VectorManifest final : public ManifestStream {
 public:
  explicit VectorManifest(std::vector<DirectoryBatch> batches) : batches_(std::move(batches)) {}
  absl::StatusOr<std::optional<DirectoryBatch>> Next() override {
    if (next_ == batches_.size()) {
      if (!end_.ok()) return end_;
      return std::optional<DirectoryBatch>();
    }
    return std::optional<DirectoryBatch>(batches_[next_++]);
  }
  // What comes after the last batch instead of the end.
  void EndWith(absl::Status status) { end_ = std::move(status); }

 private:
  std::vector<DirectoryBatch> batches_;
  size_t next_ = 0;
  absl::Status end_;
};

class RecordingSink final : public PlanSink {
 public:
  absl::Status OnAction(PlannedAction planned) override {
    actions.push_back(std::move(planned));
    return absl::OkStatus();
  }
  absl::Status OnProblem(Problem problem) override {
    problems.push_back(std::move(problem));
    return absl::OkStatus();
  }
  absl::Status OnSkipped(SkipReason reason, const RelPath& path, FileType) override {
    skipped.emplace_back(reason, path.text());
    return absl::OkStatus();
  }
  // "mkdir a/b", "put c", "link d=a", "delete e", "metadata .": one for each action, in order.
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const PlannedAction& planned : actions) {
      const Action& action = planned.action;
      std::string line = ActionKindName(action.kind);
      line += " " + (action.path.is_root() ? std::string(".") : action.path.text());
      if (action.kind == ActionKind::kLink) line += "=" + action.link_target.text();
      lines.push_back(std::move(line));
    }
    return lines;
  }
  std::vector<PlannedAction> actions;
  std::vector<Problem> problems;
  std::vector<std::pair<SkipReason, std::string>> skipped;
};

// A destination that may do everything.
inline PlanOptions AllAbilities() {
  PlanOptions options;
  options.policy.can_chown = true;
  options.policy.can_set_capabilities = true;
  options.policy.can_set_trusted = true;
  options.can_mknod = true;
  return options;
}

struct PlanResult {
  absl::Status status;
  RecordingSink sink;
  PlanCounters counters;
};

inline PlanResult PlanTrees(const PlanOptions& options, ManifestStream& source, ManifestStream& destination) {
  PlanResult result;
  const std::unique_ptr<Driver> driver = MakePlanDriver();
  Planner planner(options, driver.get(), "");
  result.status = planner.Run(source, destination, result.sink);
  result.counters = planner.counters();
  return result;
}

inline PlanResult PlanTrees(const PlanOptions& options, std::vector<DirectoryBatch> source,
                            std::vector<DirectoryBatch> destination) {
  VectorManifest source_manifest(std::move(source));
  VectorManifest destination_manifest(std::move(destination));
  return PlanTrees(options, source_manifest, destination_manifest);
}

}  // namespace uringsync
