#include "coordinator/core/planner.h"

#include <optional>
#include <utility>

#include "coordinator/core/deferred_actions.h"
#include "coordinator/core/link_groups.h"
#include "coordinator/core/manifest_cursor.h"
#include "coordinator/core/moved_files.h"
#include "coordinator/core/plan_emitter.h"
#include "coordinator/core/tree_merge.h"
#include "engine/base/errno_status.h"

namespace uringsync {

PlanOptions PlanOptions::For(const MetadataSelection& selection, bool checksum, const SessionOpened& destination) {
  PlanOptions options;
  options.policy = ComparePolicy::For(selection, checksum, destination);
  options.can_mknod = destination.can_mknod;
  options.destination_exists = destination.exists;
  return options;
}

// Stands between the decisions about hard links and the phases: objects are made and completed before anything links to
// them.
class Planner::Impl : public LinkPlan {
 public:
  Impl(PlanOptions options, Driver* driver, std::string spool_directory)
      : options_(std::move(options)), driver_(driver), spool_directory_(std::move(spool_directory)) {}

  absl::Status Run(ManifestStream& source, ManifestStream& destination, PlanSink& sink) {
    emitter_.SetSink(&sink, options_.tell_unchanged);
    CountPruned();
    DeferredActions deferred(driver_, spool_directory_, options_.rules);
    deferred_ = &deferred;
    if (options_.rules.delete_timing == DeleteTiming::kBefore) {
      emitter_.HoldCreates([&deferred](const PlannedAction& planned) { return deferred.AddCreate(planned); });
    }
    std::optional<MovedFiles> moved;
    if (options_.detect_renames) {
      moved.emplace(driver_, spool_directory_, options_);
      emitter_.HoldCreates([&moved](const PlannedAction& put) { return moved->AddPut(put); }, MovedFiles::IsPut);
    }
    LinkGroups links(driver_, spool_directory_);
    ManifestCursor source_cursor(Side::kSource, &source);
    ManifestCursor destination_cursor(Side::kDestination, &destination);
    {
      TreeMerge merge(
          {options_, source_cursor, destination_cursor, emitter_, links, deferred, bases_, moved ? &*moved : nullptr},
          driver_, spool_directory_);
      US_RETURN_IF_ERROR(merge.Run());
    }
    US_RETURN_IF_ERROR(links.Resolve(*this));
    emitter_.ReleaseCreates();
    if (moved) {
      US_RETURN_IF_ERROR(deferred.TellDoomed(emitter_, &*moved));
      US_RETURN_IF_ERROR(moved->EmitAll(emitter_));
    }
    return deferred.EmitAll(emitter_);
  }

  absl::Status PutMember(LinkMember member) override {
    US_RETURN_IF_ERROR(deferred_->Touch(member.directory));
    PlannedAction planned = PlanEmitter::Put(std::move(member.path), std::move(member.source),
                                             std::move(member.destination), member.differences);
    PlanEmitter::AddBasis(std::move(member.basis), member.link_basis, &planned);
    if (member.waits) return deferred_->AddLateCreate(planned);
    return emitter_.Emit(Phase::kCreate, std::move(planned));
  }

  absl::Status LinkMemberTo(LinkMember member, const RelPath& leader, bool late) override {
    US_RETURN_IF_ERROR(deferred_->Touch(member.directory));
    return deferred_->AddLink(PlanEmitter::Link(std::move(member.path), std::move(member.source),
                                                std::move(member.destination), leader, member.differences),
                              late);
  }

  absl::Status KeepMember(LinkMember member) override {
    if (member.differences.empty()) return emitter_.Unchanged(member.path, member.source);
    return emitter_.Emit(Phase::kCreate, PlanEmitter::SetMetadata(std::move(member.path), std::move(member.source),
                                                                  std::move(member.destination), member.differences));
  }

  const PlanCounters& counters() const { return emitter_.counters(); }
  void SetBasis(BasisTrees* bases) { bases_ = bases; }

 private:
  void CountPruned() {
    PlanCounters& counters = emitter_.counters();
    counters.source_entries += options_.pruned.entries;
    counters.destination_entries += options_.pruned.entries;
    counters.unchanged += options_.pruned.entries;
    counters.told_by_index += options_.pruned.entries;
    counters.source_files += options_.pruned.files;
    counters.source_bytes += options_.pruned.bytes;
  }

  const PlanOptions options_;
  Driver* const driver_;
  const std::string spool_directory_;
  PlanEmitter emitter_;
  DeferredActions* deferred_ = nullptr;
  BasisTrees* bases_ = nullptr;
};

Planner::Planner(PlanOptions options, Driver* driver, std::string spool_directory)
    : impl_(std::make_unique<Impl>(std::move(options), driver, std::move(spool_directory))) {}
Planner::~Planner() = default;

absl::Status PlanSink::OnUnchanged(const RelPath&, const Entry&) {
  return absl::OkStatus();
}

absl::Status PlanSink::OnUnsafeLink(const RelPath& path, const std::string&) {
  return OnSkipped(SkipReason::kUnsafeLink, path, FileType::kSymlink);
}

absl::Status PlanSink::OnInBasis(const RelPath& path, const Entry& source, uint32_t) {
  return OnUnchanged(path, source);
}

void Planner::SetBasis(BasisTrees* bases) {
  impl_->SetBasis(bases);
}

absl::Status Planner::Run(ManifestStream& source, ManifestStream& destination, PlanSink& sink) {
  return impl_->Run(source, destination, sink);
}

const PlanCounters& Planner::counters() const {
  return impl_->counters();
}

}  // namespace uringsync
