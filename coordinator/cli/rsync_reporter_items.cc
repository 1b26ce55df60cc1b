// What RsyncReporter tells of single objects: their lines, letters and names, and what became of what they replaced.
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "coordinator/cli/rsync_reporter.h"
#include "coordinator/cli/rsync_reporter_names.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

constexpr char kSend[] = "send";
constexpr char kReceive[] = "recv";
constexpr char kDeleted[] = "del.";

}  // namespace

RelPath RsyncReporter::ShownPath(const RelPath& path) const {
  const bool renamed =
      facts_.operands.size() == 1 && facts_.operands.front().at == path && !facts_.operands.front().from.is_root();
  return renamed ? facts_.operands.front().from : path;
}

bool RsyncReporter::HasAbsoluteName(const RelPath& path) const {
  if (!telling_.absolute_names) return false;
  for (RelPath above = path; !above.is_root(); above = above.Parent()) {
    const auto found = operand_at_.find(above.text());
    if (found != operand_at_.end()) return facts_.operands[found->second].base == "/";
  }
  return false;
}

std::string RsyncReporter::SourcePath(const RelPath& path, const std::string& root) const {
  for (RelPath above = path; !operand_at_.empty(); above = above.Parent()) {
    const auto found = operand_at_.find(above.text());
    if (found != operand_at_.end()) {
      const SourceOperand& operand = facts_.operands[found->second];
      const std::string rest = above == path ? "" : path.text().substr(above.is_root() ? 0 : above.text().size() + 1);
      return Joined(
          Joined(Joined(facts_.source_by_path ? "" : root, WithoutSlashes(operand.base)), operand.from.text()), rest);
    }
    if (above.is_root()) break;
  }
  return Joined(WithoutSlashes(root), path.text());
}

ItemFacts RsyncReporter::FactsOfItem(const Action& action, const Differences& differences) const {
  const bool deletes = action.kind == ActionKind::kDelete;
  ItemFacts facts;
  facts.code = ItemCode(action, differences, rules_);
  facts.name = ItemName(deletes ? action.path : ShownPath(action.path), action.wanted.type);
  if (!deletes && HasAbsoluteName(action.path)) facts.name.insert(0, "/");
  facts.arrow = ItemArrow(action);
  // As rsync: the receiver of a remote shell knows no more than the name in the transfer.
  facts.long_name = deletes                                            ? action.path.text()
                    : facts_.source_by_path && !facts_.source_is_local ? ShownPath(action.path).text()
                                                                       : SourcePath(action.path, facts_.source_path);
  std::string tidied;
  for (const std::string_view component : PathComponents(facts.long_name))
    tidied = Joined(std::move(tidied), std::string(component));
  // The top of the transfer is what is in a directory.
  const bool top = !deletes && action.path.is_root() && action.wanted.type == FileType::kDirectory;
  facts.long_name = top ? Joined(std::move(tidied), ".") : std::move(tidied);
  facts.operation = deletes ? kDeleted : facts_.source_is_local ? kSend : kReceive;
  if (action.wanted.content_digest) facts.digest = action.wanted.content_digest->Hex();
  if (facts_.selection.group) facts.gid = 0;
  facts.now = std::chrono::system_clock::to_time_t(facts_.wall_clock());
  facts.pid = ::getpid();
  // rsync knows no more of what goes; its mode only where it goes here, and not by a process that tells it.
  if (deletes && facts_.source_is_local) return facts;
  if (deletes) {
    facts.mode = action.existing ? action.existing->mode : action.wanted.mode;
    return facts;
  }
  facts.size = action.wanted.size_bytes;
  facts.moved = action.kind == ActionKind::kPutFile && !telling_.dry_run ? action.wanted.size_bytes : 0;
  // As rsync: whoever sends knows nothing of what ids become over there.
  const OwnerIds wanted{action.wanted.uid, action.wanted.gid};
  const OwnerIds ids = facts_.source_is_local ? action.wanted.mapped_from.value_or(wanted) : wanted;
  if (facts_.selection.owner) facts.uid = ids.uid;
  if (facts_.selection.group) facts.gid = ids.gid;
  facts.mode = action.wanted.mode;
  facts.mtime = static_cast<std::time_t>(action.wanted.mtime.seconds);
  return facts;
}

void RsyncReporter::TellItem(const Action& action, const Differences& differences) {
  const bool deletes = action.kind == ActionKind::kDelete;
  const bool named = format_.itemizes() || NamedWithoutLetters(action);
  const bool told = deletes ? Told(Info::kDelete) > 0 || !format_.empty() : !format_.empty() && named;
  if (!told && !log_.is_open()) return;
  const ItemFacts facts = FactsOfItem(action, differences);
  const auto line = [&](const OutFormat& format) {
    return deletes && !format.tells_operation() ? "deleting " + facts.name : format.Fill(facts);
  };
  if (told) Tell(line(format_));
  // Of a dry run rsync logs neither what would go nor what would move.
  const bool moves = action.kind == ActionKind::kPutFile && !action.basis;
  if (log_.is_open() && !((deletes || moves) && telling_.dry_run) && (deletes || named)) Log(line(log_format_));
}

void RsyncReporter::CountItem(const Action& action, const Differences& differences) {
  const FileType type = action.wanted.type;
  if (action.kind == ActionKind::kDelete) {
    totals_.deleted.Add(type);
    return;
  }
  if (differences.Has(Attribute::kExistence) || differences.Has(Attribute::kType)) totals_.created.Add(type);
  if (action.kind != ActionKind::kPutFile || action.basis) return;
  ++totals_.transferred_files;
  totals_.transferred_bytes += action.wanted.size_bytes;
}

void RsyncReporter::ShowAction(const Action& action, const Differences& differences, ActionOutcome outcome) {
  const bool again =
      action.kind == ActionKind::kSetMetadata && action.wanted.type == FileType::kDirectory && !action.existing;
  if (action.kind != ActionKind::kDelete && !again) ++objects_ended_;
  const bool device = action.wanted.type == FileType::kBlockDevice || action.wanted.type == FileType::kCharDevice;
  if (outcome == ActionOutcome::kSkipped && device && Told(Info::kNonRegular) > 0) {
    TellMessage("skipping non-regular file \"" + ShownPath(action.path).text() + "\"");
  }
  if (outcome != ActionOutcome::kDone && outcome != ActionOutcome::kPlanned) return;
  // On the way to what is in the transfer, and no part of it (--no-implied-dirs).
  if (action.kind == ActionKind::kMakeDirectory && action.wanted.implied) return;
  // What a basis directory has is told where it gets other times.
  const bool copied =
      action.kind == ActionKind::kPutFile && action.basis && !facts_.selection.KeepsTime(action.wanted.type);
  if (differences.empty() && !copied) return TellTouch(action);
  if (action.path.is_root() && root_is_new_) {
    if (!facts_.has_basis) return;  // told when it was made
    Action made = action;
    made.kind = ActionKind::kMakeDirectory;
    return TellItem(made, differences);
  }
  // A file is kept when what replaces it is whole, anything else when it makes way.
  const bool file =
      action.kind == ActionKind::kPutFile && action.existing && action.existing->type == FileType::kRegular;
  if (!file) TellBackup(action);
  if (action.kind == ActionKind::kDelete && differences.Has(Attribute::kType))
    return;  // what comes in its place is told
  const Differences told = ToldDifferences(action, differences, rules_);
  if (told.empty() && !copied) return OnUnchanged(action.path, action.wanted);
  CountItem(action, told);
  // What gets new attributes alone has its name told with -vv.
  if (!format_.itemizes() && !NamedWithoutLetters(action) && Told(Info::kName) > 1)
    TellMessage(ShownPath(action.path).text());
  TellItem(action, told);
  if (file && outcome == ActionOutcome::kDone) TellBackup(action);
  if (action.origin && Told(Info::kCopy) > 0) {
    TellMessage("\"" + action.path.text() + "\" looks like \"" + action.origin->path.text() + "\" of the destination");
  }
  // Nothing moves in a dry run.
  if (Told(Info::kProgress) != 1 || action.kind != ActionKind::kPutFile || telling_.dry_run) return;
  const auto now = facts_.now();
  const double seconds = std::chrono::duration<double>(now - std::exchange(last_transfer_, now)).count();
  console_->Text(ProgressText(action.wanted.size_bytes, action.wanted.size_bytes, seconds, true) + "\n");
}

void RsyncReporter::TellBackup(const Action& action) {
  if (!telling_.backup || Told(Info::kBackup) == 0 || action.kind == ActionKind::kSetMetadata) return;
  const Entry* kept = action.kind == ActionKind::kDelete ? &action.wanted
                      : action.existing                  ? &*action.existing
                                                         : nullptr;
  if (kept == nullptr || kept->type == FileType::kDirectory) return;
  const std::string& name = action.path.text();
  TellMessage("backed up " + name + " to " + Joined(telling_.backup->directory, name + telling_.backup->suffix));
}

// The last touch of a directory, or a link to what a basis directory has.
void RsyncReporter::TellTouch(const Action& action) {
  // A new root that a basis directory has as it is.
  if (action.path.is_root() && root_is_new_ && facts_.has_basis) {
    Action made = action;
    made.kind = ActionKind::kMakeDirectory;
    return TellUpToDate(made);
  }
  if (action.kind == ActionKind::kSetMetadata) {
    if (action.existing) OnUnchanged(action.path, action.wanted);  // else it was told when it was made
  } else {
    TellUpToDate(action);
  }
}

void RsyncReporter::TellUpToDate(const Action& action) {
  if (!telling_.names_unchanged()) return;
  if (format_.itemizes()) return TellItem(action, Differences());
  if (Told(Info::kName) > 1) TellMessage(ItemName(ShownPath(action.path), action.wanted.type) + " is uptodate");
}

void RsyncReporter::OnUnchanged(const RelPath& path, const Entry& source) {
  if (!telling_.names_unchanged()) return;
  if (format_.itemizes()) {
    Action unchanged;
    unchanged.kind = ActionKind::kSetMetadata;
    unchanged.path = path;
    unchanged.wanted = source;
    TellItem(unchanged, Differences());
  } else if (Told(Info::kName) > 1 && source.type != FileType::kDirectory) {
    TellMessage(ShownPath(path).text() + " is uptodate");
  }
}

void RsyncReporter::OnSourceRemoved(const RelPath& path) {
  if (Told(Info::kRemove) > 0) TellMessage("sender removed " + path.text());
}

}  // namespace uringsync
