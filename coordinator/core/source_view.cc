#include "coordinator/core/source_view.h"

#include <utility>

namespace uringsync {
namespace {

IdMapOptions MapOptions(const SyncRequest& request, bool same_names) {
  IdMapOptions options;
  options.users = request.owner_map;
  options.groups = request.group_map;
  options.numeric = request.numeric_ids;
  options.owner = request.selection.owner;
  options.group = request.selection.group;
  options.same_names = same_names;
  return options;
}

}  // namespace

SourceView::SourceView(const SyncRequest& request, bool same_names, IdMapper::Ask ask_source,
                       IdMapper::Ask ask_destination)
    : request_(request), mapper_(MapOptions(request, same_names), std::move(ask_source), std::move(ask_destination)) {
  const IdMapOptions options = MapOptions(request, same_names);
  maps_ = options.Maps();
  needs_names_ = options.NeedsNames();
  rewrites_ = maps_ || !request.mode_changes.empty() || request.link_munging != LinkMunging::kNone;
}

ManifestStream& SourceView::Over(ManifestStream& source, Driver* driver) {
  ManifestStream* view = &source;
  if (rewrites_) {
    RewrittenManifest::Rewriting rewriting;
    rewriting.mapper = maps_ ? &mapper_ : nullptr;
    rewriting.mode_changes = request_.mode_changes;
    rewriting.munging = request_.link_munging;
    view = &rewritten_.emplace(view, std::move(rewriting));
  }
  if (request_.rules.prune_empty_directories) view = &pruned_.emplace(view, driver, request_.spool_directory);
  return *view;
}

}  // namespace uringsync
