#include "coordinator/core/proof_tree.h"

#include <cerrno>
#include <utility>
#include <variant>

#include "coordinator/core/needed_features.h"
#include "coordinator/core/session_request.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

// Batches that the agent may send ahead.
constexpr uint32_t kCredit = 16;
constexpr char kRootName[] = ".";

}  // namespace

bool ProofTree::Fail(ExitCode code, std::string text, bool of_agent) {
  failure_ = {code, std::move(text), of_agent, false};
  return false;
}

bool ProofTree::FailFor(const absl::Status& status) {
  if (const auto reason = watch_.reason()) {
    const bool silent = reason->first == ExitCode::kTimeout;
    return Fail(reason->first, silent ? "source agent: " + reason->second : reason->second, silent);
  }
  const bool version = absl::IsFailedPrecondition(status);
  Fail(version ? ExitCode::kVersion : ExitCodeForStatus(status),
       "source agent: " + EscapeName(ToStd(status.message())));
  failure_.broke = !version;
  return false;
}

std::optional<AgentMessage> ProofTree::Receive() {
  while (true) {
    watch_.Arm(request_.idle_timeout);
    absl::StatusOr<AgentMessage> message = stream_.Receive();
    watch_.Arm(absl::InfiniteDuration());
    if (!message.ok()) {
      FailFor(message.status());
      return std::nullopt;
    }
    if (const auto* error = std::get_if<SessionError>(&*message)) {
      Fail(ExitCodeForSessionError(error->kind), "source agent: " + EscapeName(error->message));
      return std::nullopt;
    }
    if (const auto* notice = std::get_if<Notice>(&*message)) {
      on_notice_(EscapeName(notice->text));
    } else if (!std::holds_alternative<ApplyProgress>(*message)) {  // a sign of life
      return *std::move(message);
    }
  }
}

bool ProofTree::Open() {
  Hello hello;
  hello.software = request_.software;
  hello.features = CoordinatorFeatures();
  watch_.Arm(request_.idle_timeout);
  const absl::StatusOr<HelloReply> reply = ClientHandshake(&stream_, hello);
  watch_.Arm(absl::InfiniteDuration());
  if (!reply.ok()) return FailFor(reply.status());
  if (!HasFeature(reply->features, kProofFeature))
    return Fail(ExitCode::kVersion, "source agent is too old for proofs; update it");
  if (!request_.filters.empty() && !HasFeature(reply->features, kFiltersFeature))
    return Fail(ExitCode::kVersion, "source agent is too old for filter rules; update it");
  if (absl::Status sent = stream_.Send(MakeOpenSession(request_, Role::kSource)); !sent.ok()) return FailFor(sent);
  const std::optional<AgentMessage> opened = Receive();
  if (!opened) return false;
  const auto* session = std::get_if<SessionOpened>(&*opened);
  if (session == nullptr) return Fail(ExitCode::kProtocol, "source agent: another message in place of SessionOpened");
  if (!session->exists) return Fail(ExitCode::kSelection, "source agent: the directory does not exist");
  StartManifest start;
  start.prove = true;
  absl::Status sent = stream_.Send(start);
  if (sent.ok()) sent = stream_.Send(ManifestCredit{kCredit});
  return sent.ok() || FailFor(sent);
}

void ProofTree::TakeObject(const RelPath& directory, Entry entry) {
  const RelPath path = entry.name == kRootName ? directory : directory.Child(entry.name);
  const bool read =
      entry.proof != nullptr && (entry.type != FileType::kRegular || entry.proof->contents != Sha256Digest{});
  if (entry.error != 0 || entry.proof == nullptr) {
    on_unproven_({path, "read", entry.error != 0 ? entry.error : EIO, false});
  } else if (!read) {
    on_unproven_({path, "read", 0, true});
  }
  const bool unproven = entry.error != 0 || !read;
  items_.push_back({directory, std::move(entry), unproven});
}

bool ProofTree::TakeBatch(DirectoryBatch batch) {
  const bool begins = !directory_open_;
  const bool in_order = begins ? (directory_ ? *directory_ < batch.directory : batch.directory.is_root())
                               : batch.directory == *directory_;
  if (!in_order || batch.folded) return Fail(ExitCode::kProtocol, "source agent: its manifest is out of order");
  if (begins) {
    directory_ = batch.directory;
    last_name_.clear();
    items_.push_back({batch.directory, std::nullopt});
    if (batch.directory.is_root()) {
      batch.self.name = kRootName;
      TakeObject(batch.directory, batch.self);
    }
  }
  directory_open_ = !batch.last;
  if (batch.error != 0) on_unproven_({batch.directory, "list", batch.error, false});
  for (Entry& entry : batch.entries) {
    if (!last_name_.empty() && last_name_ >= entry.name)
      return Fail(ExitCode::kProtocol, "source agent: its manifest is out of order");
    last_name_ = entry.name;
    TakeObject(batch.directory, std::move(entry));
  }
  const absl::Status sent = stream_.Send(ManifestCredit{1});
  return sent.ok() || FailFor(sent);
}

absl::StatusOr<std::optional<ProofItem>> ProofTree::Next() {
  if (!std::exchange(opened_, true) && !Open()) return absl::CancelledError("failed");
  while (items_.empty() && !ended_) {
    std::optional<AgentMessage> message = Receive();
    if (!message) return absl::CancelledError("failed");
    if (auto* batch = std::get_if<DirectoryBatch>(&*message)) {
      if (!TakeBatch(*std::move(batch))) return absl::CancelledError("failed");
    } else if (std::holds_alternative<ManifestEnd>(*message)) {
      ended_ = true;
      if (directory_open_ || !directory_) {
        Fail(ExitCode::kProtocol, "source agent: its manifest ends early");
        return absl::CancelledError("failed");
      }
      static_cast<void>(stream_.Send(CloseSession{}));
    } else {
      Fail(ExitCode::kProtocol, "source agent: a message that is no part of a manifest");
      return absl::CancelledError("failed");
    }
  }
  if (items_.empty()) return std::optional<ProofItem>();
  ProofItem item = std::move(items_.front());
  items_.pop_front();
  return std::optional(std::move(item));
}

}  // namespace uringsync
