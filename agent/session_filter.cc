#include "agent/session_filter.h"

#include "agent/roots.h"
#include "engine/base/errno_status.h"
#include "engine/tree/files_above.h"

namespace uringsync {

absl::StatusOr<ScanFilter> MakeScanFilter(Driver* driver, const AgentContext& context, const OpenSession& open,
                                          const SessionRoot& root) {
  ScanFilter filter;
  if (open.filters.empty() || root.directory == nullptr) return filter;
  filter.side = open.role == Role::kSource ? FilterSide::kSender : FilterSide::kReceiver;
  PathFilterOptions options;
  options.delete_excluded = open.delete_excluded;
  options.nul_separated = open.nul_separated_filters;
  US_ASSIGN_OR_RETURN(filter.rules, PathFilter::Compile(open.filters, options));
  if (context.host_paths && filter.rules->knows_places()) {
    US_ASSIGN_OR_RETURN(filter.top.path, AbsolutePath(driver, *root.directory));
  } else if (!context.host_paths) {
    US_ASSIGN_OR_RETURN(const Root* const named, context.roots->Find(open.root));
    filter.top = {named->directory, open.path.text()};
  }
  if (!open.operands.empty()) {
    // What lies above each of them is looked at where it is reached.
    filter.scope = PathFilter::Below(filter.rules->base(), filter.top.path);
    return filter;
  }
  FilesAbove files(driver, filter.top.directory);
  US_ASSIGN_OR_RETURN(filter.scope, filter.rules->Above(files, filter.top.path, ""));
  return filter;
}

ErrorKind FilterErrorKind(const absl::Status& failed) {
  return absl::IsInvalidArgument(failed) && StatusErrno(failed) == 0 ? ErrorKind::kUsage : ErrorKind::kFileIo;
}

}  // namespace uringsync
