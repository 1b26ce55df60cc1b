// SyncRun, on its driving thread: greetings, features, and the sessions.
#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "coordinator/core/needed_features.h"
#include "coordinator/core/overlap.h"
#include "coordinator/core/session_request.h"
#include "coordinator/core/sync_run.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {

DigestKey DrawDigestKey() {
  std::random_device random;
  DigestKey key{};
  for (size_t i = 0; i < key.size(); i += sizeof(uint32_t)) {
    const uint32_t word = random();
    std::memcpy(key.data() + i, &word, sizeof(word));
  }
  return key;
}

void SyncRun::Drive() {
  const absl::Status status = Converse();
  if (!status.ok()) {
    // A failure that is known already (an agent that died makes waits end as Cancelled) keeps its own words.
    events_.Fail({ExitCodeForStatus(status), std::nullopt, EscapeName(ToStd(status.message()))});
  }
  driven_ = true;
  events_.EndProducer();
  events_.Wake();
}

absl::Status SyncRun::Converse() {
  US_RETURN_IF_ERROR(SayHello());
  US_RETURN_IF_ERROR(OpenSessions());
  US_RETURN_IF_ERROR(PlanAndApply());
  complete_ = true;
  source_.ExpectEnd();
  destination_.ExpectEnd();
  // Everything is done; whether the good-bye arrives changes nothing. An agent that takes nothing any more gets the
  // polite time.
  saying_goodbye_ = true;
  events_.Wake();
  source_.SayGoodbye();
  destination_.SayGoodbye();
  return absl::OkStatus();
}

absl::Status SyncRun::SayHello() {
  Hello hello;
  hello.software = request_.software;
  hello.features = CoordinatorFeatures();
  US_RETURN_IF_ERROR(source_.Send(hello));
  US_RETURN_IF_ERROR(destination_.Send(hello));
  // Asked for along with the greeting, a round trip earlier, where nothing in it depends on what the agents can do.
  // An agent that knows no filters would tell everything.
  const bool asks_early =
      compression_.mode == CompressionMode::kOff && request_.filters.empty() && !UsesOperands(request_);
  if (asks_early) US_RETURN_IF_ERROR(OpenSource());
  US_ASSIGN_OR_RETURN(source_hello_, source_.AwaitHello());
  US_ASSIGN_OR_RETURN(destination_hello_, destination_.AwaitHello());
  for (const auto& [link, reply] :
       {std::pair(&source_, &source_hello_), std::pair(&destination_, &destination_hello_)}) {
    if (reply->version >= kMinProtocolVersion && reply->version <= kProtocolVersion) continue;
    events_.Fail({ExitCode::kVersion, link == &source_ ? Side::kSource : Side::kDestination,
                  std::string(link->name()) + " speaks protocol versions " + std::to_string(reply->min_version) +
                      " to " + std::to_string(reply->max_version) + ", this program " +
                      std::to_string(kMinProtocolVersion) + " to " + std::to_string(kProtocolVersion)});
    return absl::CancelledError("no version in common");
  }
  US_RETURN_IF_ERROR(CheckFeatures(source_, source_hello_));
  return CheckFeatures(destination_, destination_hello_);
}

void SyncRun::ChooseDigestKey() {
  if (!BothHave(kDigestKeyFeature)) {
    const bool by_content = request_.checksum || request_.mode == SyncMode::kVerify;
    const bool source = HasFeature(source_hello_.features, kDigestKeyFeature);
    if (by_content)
      events_.Push(
          NoticeEvent{source ? Side::kDestination : Side::kSource,
                      "too old for digests under a key; contents are compared by XXH3-128, which finds accidents "
                      "but no files that somebody made up to be taken for each other"});
    return;
  }
  digest_key_ = request_.digest_key;
  if (!digest_key_ && request_.plan == nullptr) digest_key_ = DrawDigestKey();
  source_.SetDigestKey(digest_key_);
  destination_.SetDigestKey(digest_key_);
}

// What was asked for and an agent does not know: an error, unless it was left to us.
absl::Status SyncRun::CheckFeatures(const AgentLink& link, const HelloReply& hello) {
  const Side side = &link == &source_ ? Side::kSource : Side::kDestination;
  std::string missing = MissingFeature(request_, side, hello.features);
  if (compression_.mode != CompressionMode::kOff && !HasFeature(hello.features, kCompressionFeature)) {
    if (compression_.mode == CompressionMode::kFixed) missing = "compression";
    compression_.mode = CompressionMode::kOff;
    if (missing.empty()) events_.Push(NoticeEvent{side, "too old for compression; contents go plain"});
  }
  if (missing.empty()) return absl::OkStatus();
  events_.Fail({ExitCode::kVersion, side, std::string(link.name()) + " is too old for " + missing + "; update it"});
  return absl::CancelledError("a feature is missing");
}

absl::Status SyncRun::OpenSource() {
  if (std::exchange(source_asked_, true)) return absl::OkStatus();
  OpenSession source = MakeOpenSession(request_, Role::kSource);
  source.compression = compression_;
  return source_.Open(std::move(source));
}

// As a dry run opens a destination: one that is missing is no error.
absl::Status SyncRun::OpenBases() {
  if (request_.basis.empty()) return absl::OkStatus();
  OpenSession open = MakeOpenSession(request_, Role::kDestination);
  open.dry_run = open.create_root = true;
  open.one_file_system = false;
  open.filters.clear();
  open.backup.reset();
  open.staging = StagingSettings();
  return bases_.Open(request_, open);
}

absl::Status SyncRun::OpenSessions() {
  // The source first: where there is none, no destination directory is made.
  US_RETURN_IF_ERROR(OpenSource());
  US_ASSIGN_OR_RETURN(source_opened_, source_.AwaitOpened());
  if (!source_opened_.exists) {
    events_.Fail({ExitCode::kSelection, Side::kSource, "source agent: the source directory does not exist"});
    return absl::CancelledError("no source");
  }
  OpenSession destination = MakeOpenSession(request_, Role::kDestination);
  RouteChoice choice;
  if (request_.mode == SyncMode::kSync && request_.choose_route) {
    US_ASSIGN_OR_RETURN(choice, request_.choose_route(source_hello_, destination_hello_));
  }
  destination.route = choice.route;
  if (BothHave(kDeltaFeature)) destination.delta = request_.delta;
  // What is there is compared with the source by its leaf digests.
  destination.resume = request_.resume && BothHave(kDeltaFeature);
  US_RETURN_IF_ERROR(OpenBases());
  destination.basis_directories = bases_.places();
  if (request_.on_bases) request_.on_bases(bases_.shown());
  US_RETURN_IF_ERROR(destination_.Open(std::move(destination)));
  US_ASSIGN_OR_RETURN(destination_opened_, destination_.AwaitOpened());
  if (!destination_opened_.exists && request_.mode == SyncMode::kSync) {
    events_.Fail(
        {ExitCode::kSelection, Side::kDestination, "destination agent: the destination directory does not exist"});
    return absl::CancelledError("no destination");
  }
  OverlapRules rules{.deletes = request_.delete_extraneous};
  std::optional<std::string> overlap = DescribeOverlap(source_opened_, destination_opened_, rules);
  if (overlap && HidesDestination(request_, request_.destination_in_transfer)) {
    rules.hidden = true;
    overlap = DescribeOverlap(source_opened_, destination_opened_, rules);
  }
  if (overlap) {
    events_.Fail({ExitCode::kSelection, Side::kDestination, *std::move(overlap)});
    return absl::CancelledError("source and destination overlap");
  }
  PreflightReport preflight = CheckBeforeRun(request_, source_opened_, destination_opened_);
  if (preflight.refusal) {
    events_.Fail({ExitCode::kFileIo, Side::kDestination, "destination agent: " + *std::move(preflight.refusal)});
    return absl::CancelledError("it cannot go well");
  }
  if (choice.source_connects) US_RETURN_IF_ERROR(source_.Send(*choice.source_connects));
  events_.Push(OpenedEvent{source_hello_, source_opened_, destination_hello_, destination_opened_});
  ChooseDigestKey();
  for (std::string& shortfall : preflight.shortfalls)
    events_.Push(NoticeEvent{Side::kDestination, std::move(shortfall), true});
  for (std::string& notice : preflight.notices) events_.Push(NoticeEvent{Side::kDestination, std::move(notice)});
  return CheckMounts();
}

// A disk that is missing looks like a tree whose files were deleted.
absl::Status SyncRun::CheckMounts() {
  if (!request_.recall_mounts) return absl::OkStatus();
  US_RETURN_IF_ERROR(LookForMounts());
  if (!deletes_held_ || request_.plan == nullptr) return absl::OkStatus();
  // What is left of a plan without its deletes is no plan that anybody made.
  events_.Fail({ExitCode::kDeleteLimit, Side::kSource,
                "nothing of the plan is carried out: its source is not mounted as it was when the plan was made"});
  return absl::CancelledError("not the source of the plan");
}

absl::Status SyncRun::LookForMounts() {
  const RecalledMounts known = request_.recall_mounts(source_opened_, destination_opened_);
  if (!known.unusable.empty() && !request_.accept_lost_mounts) {
    deletes_held_ = source_in_doubt_ = true;
    events_.Push(NoticeEvent{Side::kCoordinator,
                             known.unusable +
                                 "; whether the source is mounted as in the last run cannot be told, so nothing is "
                                 "deleted (see that it is, then accept it with --allow-empty-source)",
                             true});
  }
  if (!HasFeature(source_hello_.features, kMountsFeature)) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(MountReply reply, source_.AskMounts({known.mounts}));
  mounts_ = std::move(reply.mounts);
  if (request_.record_mounts) US_RETURN_IF_ERROR(request_.record_mounts(mounts_));
  if (request_.accept_lost_mounts) return absl::OkStatus();
  for (const LostMount& lost : reply.lost) TellLoss(lost, known.mounts);
  return absl::OkStatus();
}

void SyncRun::TellLoss(const LostMount& lost, const std::vector<MountedPlace>& recorded) {
  const auto there = [&lost](const std::vector<MountedPlace>& mounts) -> std::string {
    const auto found = std::ranges::find(mounts, lost.point, &MountedPlace::point);
    return found == mounts.end() || found->file_system.empty() ? "unknown" : found->file_system;
  };
  const std::string was = there(recorded);
  const std::string both = " (" + was + " then, " + there(mounts_) + " now)";
  std::string what;
  switch (lost.loss) {
    case MountLoss::kUnmounted: what = "nothing is mounted there, unlike in the last run (" + was + ")"; break;
    case MountLoss::kEmptied:
      what = "another file system is mounted there than in the last run, an empty one" + both;
      break;
    case MountLoss::kReplaced: what = "another file system is mounted there than in the last run" + both; break;
  }
  deletes_held_ = true;
  source_in_doubt_ = source_in_doubt_ || lost.loss != MountLoss::kReplaced;
  events_.Push(NoticeEvent{
      Side::kSource,
      "source " + lost.point + ": " + what +
          "; so nothing is deleted (mount what belongs there, or accept the source with --allow-empty-source)",
      true});
}

}  // namespace uringsync
