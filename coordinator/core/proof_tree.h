// ProofTree: a tree as its agent proves it now (StartManifest::prove), as items of a proof.
//
// One session, led by the calling thread. What an agent says is believed no more than a manifest: the order is checked.
// Memory: one batch.
//
// Thread rule: one thread. Use:
//   ProofTree tree(request, stream);
//   while (true) { absl::StatusOr<std::optional<ProofItem>> item = tree.Next(); if (!item.ok() || !*item) break; ... }
//   if (!tree.failure().error.empty()) ...
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "coordinator/core/proof_document.h"
#include "coordinator/core/run.h"
#include "coordinator/core/stream_watch.h"

namespace uringsync {

// Something that could not be read as a whole: there is no proof of the tree with it.
struct UnprovenObject {
  RelPath path;
  std::string operation;
  int error = 0;          // errno; 0 with `changing`
  bool changing = false;  // its contents changed while they were read
};

class ProofTree final : public ProofItems {
 public:
  struct Failure {
    ExitCode exit_code = ExitCode::kOk;
    std::string error;  // escaped, one line
    bool of_agent = false;
    bool broke = false;  // the connection did
  };

  // `request` has the tree as its source; `on_unproven` hears why an item is unproven, or a listing not complete.
  ProofTree(const SyncRequest& request, ClientStream& stream, std::function<void(const UnprovenObject&)> on_unproven,
            std::function<void(const std::string&)> on_notice)
      : request_(request),
        stream_(stream),
        on_unproven_(std::move(on_unproven)),
        on_notice_(std::move(on_notice)),
        watch_({&stream}, request.cancel) {}

  // Opens the session first. Cancelled after a failure, which failure() tells.
  absl::StatusOr<std::optional<ProofItem>> Next() override;
  const Failure& failure() const { return failure_; }

 private:
  bool Open();
  // The next message that matters; nullopt: failed.
  std::optional<AgentMessage> Receive();
  bool TakeBatch(DirectoryBatch batch);
  void TakeObject(const RelPath& directory, Entry entry);
  bool Fail(ExitCode code, std::string text, bool of_agent = true);
  bool FailFor(const absl::Status& status);

  const SyncRequest& request_;
  ClientStream& stream_;
  const std::function<void(const UnprovenObject&)> on_unproven_;
  const std::function<void(const std::string&)> on_notice_;
  Failure failure_;
  bool opened_ = false;
  bool ended_ = false;
  std::deque<ProofItem> items_;
  std::optional<RelPath> directory_;
  std::string last_name_;
  bool directory_open_ = false;  // more batches of it come
  StreamWatch watch_;
};

}  // namespace uringsync
