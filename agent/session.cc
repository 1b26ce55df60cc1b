#include "agent/session.h"

#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "agent/account_names.h"
#include "agent/destination_session.h"
#include "agent/entry_query.h"
#include "agent/manifest_sender.h"
#include "agent/opening_watch.h"
#include "agent/root_index.h"
#include "agent/roots.h"
#include "agent/session_opening.h"
#include "agent/session_outbox.h"
#include "agent/source_session.h"
#include "engine/base/errno_status.h"
#include "engine/fs/state_name.h"
#include "engine/ring/runtime.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

// What this agent can do beyond the base protocol; names that both sides know are used.
const std::vector<std::string>& Features() {
  static const std::vector<std::string> features = {"local-route",
                                                    "connect-route",
                                                    "accept-route",
                                                    std::string(kDeltaFeature),
                                                    kFoldFeature,
                                                    kIndexFeature,
                                                    kAliveFeature,
                                                    kBenchFeature,
                                                    std::string(kCompressionFeature),
                                                    std::string(kLimitsFeature),
                                                    std::string(kDirectIoFeature),
                                                    std::string(kBasisFeature),
                                                    std::string(kFiltersFeature),
                                                    std::string(kBackupFeature),
                                                    std::string(kHostPlacesFeature),
                                                    std::string(kInPlaceFeature),
                                                    std::string(kRemoveSourcesFeature),
                                                    std::string(kStagingFeature),
                                                    std::string(kMetadataRulesFeature),
                                                    std::string(kNamesFeature),
                                                    std::string(kLinksFeature),
                                                    std::string(kOperandsFeature),
                                                    std::string(kEntryLooksFeature),
                                                    std::string(kOriginsFeature),
                                                    std::string(kDeviceDataFeature),
                                                    std::string(kDeltaBlocksFeature),
                                                    std::string(kUnstableFeature),
                                                    std::string(kDigestKeyFeature),
                                                    std::string(kProofFeature),
                                                    std::string(kReadbackFeature),
                                                    std::string(kSnapshotFeature),
                                                    std::string(kMountsFeature),
                                                    std::string(kDurabilityFeature),
                                                    std::string(kReconnectFeature)};
  return features;
}

// What a device holds is not what permissions of files in a root protect.
bool TouchesDevices(const OpenSession& open) {
  return open.selection.device_files || open.write_devices;
}

// Whether the peer has the verb for it; a root that it does not have at all is told when it is opened.
bool MayTouchDevices(const AgentContext& context, const OpenSession& open) {
  const absl::StatusOr<const Root*> root = context.roots->Find(open.root);
  return context.device_data && (!root.ok() || (*root)->verbs.Has(Verb::kDevice));
}

// One control stream after its handshake.
class StreamSession {
 public:
  StreamSession(const AgentContext& context, AgentStream* stream, OpenSession open, bool signs_of_life)
      : context_(context), stream_(stream), open_(std::move(open)), signs_of_life_(signs_of_life), outbox_(stream) {}

  // Until the coordinator ends it, politely or not.
  absl::Status Run() {
    outbox_.Start(signs_of_life_);
    if (TouchesDevices(open_) && !MayTouchDevices(context_, open_)) {
      outbox_.Fail(ErrorKind::kUsage,
                   "this agent neither reads nor writes what devices hold; its option --device-data, and for the "
                   "certificate the verb device in --allow, allow it");
    } else {
      Begin();
    }
    absl::Status outcome = Serve();
    End();
    return outcome;
  }

 private:
  void Begin() {
    if (open_.role == Role::kSource) {
      source_ = std::make_shared<SourceSession>(context_, open_, &outbox_);
      source_->Start();
    } else {
      destination_ = std::make_shared<DestinationSession>(context_, open_, &outbox_);
      outbox_.SetPoll([this](bool tick, AgentMessage* message) { return destination_->Poll(tick, message); });
      destination_->Start();
    }
  }

  absl::Status Serve() {
    while (true) {
      absl::StatusOr<ClientMessage> message = stream_->Receive();
      if (!message.ok()) {
        if (absl::IsInvalidArgument(message.status()))
          outbox_.Fail(ErrorKind::kProtocol, std::string(ToStd(message.status().message())));
        US_RETURN_IF_ERROR(outbox_.failure());
        return absl::IsOutOfRange(message.status()) ? absl::OkStatus() : message.status();
      }
      if (std::holds_alternative<CloseSession>(*message)) return outbox_.failure();
      // After a failure only the end of the stream is waited for.
      if (outbox_.failed()) continue;
      absl::Status handled = Handle(*std::move(message));
      if (!handled.ok()) outbox_.Fail(ErrorKind::kProtocol, std::string(ToStd(handled.message())));
    }
  }

  absl::Status Handle(ClientMessage message) {
    bool opened = source_ != nullptr ? source_->opened() : destination_->opened();
    if (!opened) return absl::FailedPreconditionError("a message before the session was opened");
    if (const auto* run = std::get_if<RunBench>(&message)) return Measure(*run);
    if (measuring_ && !std::holds_alternative<ConnectData>(message))
      return absl::FailedPreconditionError("a session that measures does nothing else");
    if (const auto* start = std::get_if<StartManifest>(&message)) return StartScan(*start);
    if (const auto* query = std::get_if<TreeQuery>(&message)) return AskIndex(*query);
    if (const auto* query = std::get_if<NameQuery>(&message)) {
      // This thread is the session's own: only its further messages wait for the name service.
      outbox_.Push(AnswerNames(*query));
      return absl::OkStatus();
    }
    if (auto* query = std::get_if<EntryQuery>(&message)) return Look(std::move(*query));
    if (const auto* query = std::get_if<MountQuery>(&message); query != nullptr && source_ != nullptr) {
      outbox_.Push(source_->Mounts(*query));
      return absl::OkStatus();
    }
    if (const auto* verdicts = std::get_if<ListingVerdicts>(&message); verdicts != nullptr && manifest_ != nullptr)
      return manifest_->Judge(*verdicts);
    if (auto* credit = std::get_if<ManifestCredit>(&message)) {
      if (manifest_ != nullptr) return manifest_->AddCredit(credit->batches);
      early_credit_ += credit->batches;
      return early_credit_ > kMaxManifestCredit
                 ? absl::InvalidArgumentError("credit for more batches than anybody could keep")
                 : absl::OkStatus();
    }
    if (auto* where = std::get_if<ConnectData>(&message); where != nullptr && source_ != nullptr)
      return source_->Connect(*where);
    if (const auto* batch = std::get_if<ActionBatch>(&message); batch != nullptr && source_ != nullptr)
      return source_->Remove(*batch);
    if (auto* batch = std::get_if<ActionBatch>(&message); batch != nullptr && destination_ != nullptr)
      return destination_->Submit(std::move(*batch));
    if (std::holds_alternative<FinishApply>(message) && destination_ != nullptr) return destination_->Finish();
    return absl::FailedPreconditionError("a message that does not fit the session's role or state");
  }

  absl::Status Measure(const RunBench& run) {
    if (manifest_ != nullptr) return absl::FailedPreconditionError("RunBench in a session that sends its manifest");
    measuring_ = true;
    return source_ != nullptr ? source_->Measure(run) : destination_->Measure(run);
  }

  absl::Status AskIndex(const TreeQuery& query) {
    RootIndex* const index = context_.indexes == nullptr ? nullptr : context_.indexes->Find(open_.root);
    if (index == nullptr || !IndexCovers(open_))
      return absl::FailedPreconditionError("a question to an index that this session does not have");
    if (manifest_ != nullptr)
      return absl::FailedPreconditionError("a question to the index after the manifest was started");
    if (query.adopt_seed != 0) {
      index->Adopt(query.adopt_seed);
      return absl::OkStatus();
    }
    outbox_.Push(index->Answer(open_.path, query));
    return absl::OkStatus();
  }

  // On the session's own thread, one query at a time, as names.
  absl::Status Look(EntryQuery query) {
    EntryLookOptions look;
    look.root = source_ != nullptr ? source_->root() : destination_->root();
    // Of a destination's view every path is the path below the root.
    if (source_ != nullptr) look.view = source_->view();
    look.selection = open_.selection;
    look.selection.digest_key = query.digest_key;
    look.checksum = open_.checksum;
    look.cancel = looks_.token();
    EntryReply reply;
    BlockOn(&context_.runtime->shard(0), AnswerEntryQuery(std::move(look), std::move(query), &reply));
    outbox_.Push(std::move(reply));
    return absl::OkStatus();
  }

  absl::Status StartScan(const StartManifest& start) {
    if (manifest_ != nullptr) return absl::FailedPreconditionError("the manifest was started before");
    ScanOptions options;
    options.selection = open_.selection;
    options.selection.digest_key = start.digest_key;
    options.checksum = open_.checksum;
    options.prove = start.prove;
    options.tell_temporaries = source_ != nullptr;
    const bool views = source_ == nullptr || source_->view() != nullptr || open_.follow_links.any() || start.only;
    if (start.prove && views) return absl::InvalidArgumentError("a proof is of one whole tree of a source");
    options.one_file_system = open_.one_file_system;
    options.shards = SessionShards(open_, context_.runtime->size());
    // The tree is locked: temporaries of other sessions are dead.
    if (destination_ != nullptr && !open_.dry_run && destination_->owns_tree())
      options.remove_strays_but = SessionTag(open_.session);
    const RelPath& parts = open_.staging.partial_directory;
    if (!parts.is_root() && parts.Parent().is_root() && open_.staging.partial_climb == 0)
      options.empty_stray = parts.text();
    options.filter = source_ != nullptr ? source_->filter() : destination_->filter();
    options.links = source_ != nullptr ? source_->links() : destination_->links();
    DirectoryPtr root = source_ != nullptr ? source_->root() : destination_->root();
    manifest_ = std::make_unique<ManifestSender>(context_.runtime, std::move(root), std::move(options), &outbox_);
    manifest_->UseView(source_ != nullptr ? source_->view() : destination_->view());
    if (destination_ != nullptr) manifest_->CountStrays(destination_->strays_removed());
    US_RETURN_IF_ERROR(manifest_->Start(start));
    US_RETURN_IF_ERROR(manifest_->AddCredit(std::exchange(early_credit_, 0)));
    if (destination_ != nullptr) destination_->ExpectActions();
    return absl::OkStatus();
  }

  // The order matters: what produces ends before what it tells, and the lock goes last.
  void End() {
    outbox_.SetPoll(nullptr);
    outbox_.Close();
    if (manifest_ != nullptr) manifest_->Stop();
    if (source_ != nullptr) source_->Stop();
    if (destination_ != nullptr) destination_->Stop();
  }

  const AgentContext& context_;
  AgentStream* const stream_;
  const OpenSession open_;
  const bool signs_of_life_;
  SessionOutbox outbox_;
  std::shared_ptr<SourceSession> source_;
  std::shared_ptr<DestinationSession> destination_;
  std::unique_ptr<ManifestSender> manifest_;
  uint64_t early_credit_ = 0;
  bool measuring_ = false;
  CancelSource looks_;
};

}  // namespace

absl::Status SessionRunner::Run(AgentStream* stream, const ControlPeer& peer, CancelToken shutdown) {
  if (peer.is_private) return Serve(context_, stream, peer, std::move(shutdown));
  AgentContext context = context_;
  context.lock_holders = &lock_holders_;
  context.who = peer.Names();
  if (context_.access == nullptr) return Serve(context, stream, peer, std::move(shutdown));
  const Roots allowed = context_.roots->AllowedTo(peer.identities, *context_.access);
  context.roots = &allowed;
  return Serve(context, stream, peer, std::move(shutdown));
}

absl::Status SessionRunner::Serve(const AgentContext& context, AgentStream* stream, const ControlPeer& peer,
                                  CancelToken shutdown) {
  HelloReply reply;
  reply.software = SoftwareName("uringsync-agent");
  reply.features = Features();
  if (context.direct != nullptr) reply.features.emplace_back(kDirectFeature);
  reply.io_backend = std::string(context.runtime->backend());
  reply.fallback_reason = context.runtime->fallback_reason();
  reply.data_port = context.data_port;
  OperandBudget::Charge charge(context.access == nullptr ? nullptr : &operands_);
  OpeningWatch watch(stream, limits_);
  const absl::StatusOr<AgentHello> greeted = AgentHandshake(stream, std::move(reply));
  US_RETURN_IF_ERROR(watch.Passed(greeted.status(), "OpenSession"));
  const bool signs_of_life = HasFeature(greeted->features, kAliveFeature);
  US_ASSIGN_OR_RETURN(std::optional<OpenSession> open, AwaitOpenSession(context, stream, &watch, &charge));
  if (!open) return absl::OkStatus();
  const char* role = open->role == Role::kSource ? "source" : "destination";
  const std::string root = open->root;
  const std::string path = open->root.empty() ? open->host_path : open->path.text();
  LogSessionAudit(peer, "open", role, root, path, absl::OkStatus());
  // A stream that is cut off by the shutdown makes Receive return, which ends the session like any other end.
  absl::Status outcome = StreamSession(context, stream, std::move(*open), signs_of_life).Run();
  if (shutdown.cancelled() && outcome.ok()) outcome = shutdown.status();
  LogSessionAudit(peer, "close", role, root, path, outcome);
  return outcome;
}

}  // namespace uringsync
