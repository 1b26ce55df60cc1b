#include "coordinator/core/entry_looks.h"

#include <algorithm>
#include <span>

#include "engine/base/errno_status.h"
#include "proto/wire_size.h"

namespace uringsync {
namespace {

// The questions to one agent.
class Looks {
 public:
  Looks(AgentLink* link, std::vector<RelPath> paths) : link_(link), paths_(std::move(paths)) {}

  bool done() const { return findings_.size() == paths_.size(); }

  absl::Status Ask() {
    EntryQuery query{.digest_key = link_->digest_key()};
    size_t bytes = 0;
    for (size_t next = findings_.size(); next < paths_.size() && query.paths.size() < kMaxEntryQuery; ++next) {
      bytes += paths_[next].text().size();
      if (!query.paths.empty() && bytes > kTargetBatchBytes) break;
      query.paths.push_back(paths_[next]);
    }
    asked_ = query.paths.size();
    return link_->Send(query);
  }

  absl::Status Await() {
    US_ASSIGN_OR_RETURN(EntryReply reply, link_->AwaitEntries());
    if (reply.findings.empty() || reply.findings.size() > asked_) {
      link_->FailProtocol("told of objects that it was not asked for");
      return absl::InvalidArgumentError("an answer without a question");
    }
    for (EntryFinding& finding : reply.findings) {
      const RelPath& path = paths_[findings_.size()];
      if (finding.entry) finding.entry->name = path.name();
      findings_.push_back(std::move(finding));
    }
    return absl::OkStatus();
  }

  std::vector<EntryFinding> Take() { return std::move(findings_); }

 private:
  AgentLink* const link_;
  const std::vector<RelPath> paths_;
  std::vector<EntryFinding> findings_;
  size_t asked_ = 0;
};

}  // namespace

absl::StatusOr<std::pair<std::vector<EntryFinding>, std::vector<EntryFinding>>> LookAtBoth(
    AgentLink& source, std::vector<RelPath> source_paths, AgentLink& destination,
    std::vector<RelPath> destination_paths) {
  Looks at_source(&source, std::move(source_paths));
  Looks at_destination(&destination, std::move(destination_paths));
  while (!at_source.done() || !at_destination.done()) {
    const bool asks_source = !at_source.done();
    const bool asks_destination = !at_destination.done();
    if (asks_source) US_RETURN_IF_ERROR(at_source.Ask());
    if (asks_destination) US_RETURN_IF_ERROR(at_destination.Ask());
    if (asks_source) US_RETURN_IF_ERROR(at_source.Await());
    if (asks_destination) US_RETURN_IF_ERROR(at_destination.Await());
  }
  return std::pair(at_source.Take(), at_destination.Take());
}

absl::StatusOr<std::optional<DirectoryBatch>> FoundEntries::Next() {
  return std::exchange(batch_, std::nullopt);
}

absl::Status FoundEntries::PassThrough(ManifestStream& view, std::vector<EntryFinding>* findings) {
  DirectoryBatch batch;
  batch.self.type = FileType::kDirectory;
  for (EntryFinding& finding : *findings) {
    if (finding.entry) batch.entries.push_back(*std::move(finding.entry));
  }
  batch_ = std::move(batch);
  US_ASSIGN_OR_RETURN(std::optional<DirectoryBatch> seen, view.Next());
  size_t next = 0;
  for (EntryFinding& finding : *findings) {
    if (finding.entry) finding.entry = std::move(seen->entries[next++]);
  }
  return absl::OkStatus();
}

}  // namespace uringsync
