#include <unordered_map>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/convert.h"
#include "proto/convert_tables.h"
#include "proto/wire_size.h"

namespace uringsync::convert_internal {
namespace {

constexpr std::string_view kMessage = "ActionBatch";
// Every action may name two directories: its own and its link target's.
constexpr size_t kMaxDirectories = 2 * kMaxActionsPerBatch;

// Text of the directory that holds `path`, borrowed.
std::string_view ParentText(const RelPath& path) {
  const std::string_view text = path.text();
  const size_t slash = text.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : text.substr(0, slash);
}

// Numbers directories as they are first used. Keys borrow the paths of the batch that is encoded.
class DirectoryNumbers {
 public:
  explicit DirectoryNumbers(v1::DirectoryTable* table) : table_(table) {}

  uint32_t Of(std::string_view directory) {
    if (directory.empty()) return 0;
    if (directory == last_text_) return last_number_;  // actions come directory by directory
    auto [found, inserted] = numbers_.try_emplace(directory, static_cast<uint32_t>(numbers_.size() + 1));
    if (inserted) Add(directory);
    last_text_ = directory;
    last_number_ = found->second;
    return last_number_;
  }

 private:
  void Add(std::string_view directory) {
    const size_t slash = directory.rfind('/');
    uint32_t parent = 0;
    if (slash != std::string_view::npos) {
      const auto found = numbers_.find(directory.substr(0, slash));
      if (found != numbers_.end()) {
        parent = found->second;
        directory.remove_prefix(slash + 1);
      }
    }
    table_->add_parents(parent);
    AddString(table_->mutable_paths(), directory);
  }

  v1::DirectoryTable* table_;
  std::unordered_map<std::string_view, uint32_t> numbers_;
  std::string_view last_text_;
  uint32_t last_number_ = 0;
};

// Counts the bytes of paths that decoding makes; few wire bytes can mean many of them.
class PathBudget {
 public:
  absl::Status Spend(Where where, size_t row, size_t bytes) {
    spent_ += bytes;
    if (spent_ <= kMaxPathBytesPerMessage) return absl::OkStatus();
    return Bad(where, row, "paths of one message exceed " + std::to_string(kMaxPathBytesPerMessage) + " bytes");
  }

 private:
  size_t spent_ = 0;
};

absl::StatusOr<std::vector<RelPath>> DecodeDirectories(const v1::DirectoryTable& table, PathBudget* budget) {
  const size_t count = static_cast<size_t>(table.parents_size());
  US_RETURN_IF_ERROR(CheckBound({kMessage, "directories.parents"}, count, kMaxDirectories, "directories"));
  const Where where{kMessage, "directories.paths"};
  StringsReader paths;
  US_RETURN_IF_ERROR(paths.Init(table.paths(), count, kMaxRelPathBytes, where));
  std::vector<RelPath> directories(1);
  directories.reserve(count + 1);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t parent = table.parents(static_cast<int>(i));
    if (parent > i) {
      return Bad({kMessage, "directories.parents"}, i,
                 "directory " + std::to_string(parent) + " does not come before it");
    }
    const std::string_view below = paths.Next();
    if (below.empty()) return Bad(where, i, "empty path");
    const std::string& base = directories[parent].text();
    US_RETURN_IF_ERROR(budget->Spend(where, i, base.size() + 1 + below.size()));
    std::string text = base;
    if (!text.empty()) text += '/';
    text += below;
    US_ASSIGN_OR_RETURN(RelPath path, ParsePath(where, i, text));
    directories.push_back(std::move(path));
  }
  return directories;
}

// `name` below directory number `parent`; the root itself for an empty name below 0 when `allow_root`.
absl::StatusOr<RelPath> PathOf(const std::vector<RelPath>& directories, uint32_t parent, std::string_view name,
                               bool allow_root, Where where, size_t row, PathBudget* budget) {
  if (parent >= directories.size()) {
    return Bad(where, row, "directory " + std::to_string(parent) + " of " + std::to_string(directories.size()));
  }
  if (name.empty() && parent == 0 && allow_root) return RelPath();
  US_RETURN_IF_ERROR(CheckName(where, row, name));
  const RelPath& directory = directories[parent];
  const size_t bytes = directory.text().size() + 1 + name.size();
  US_RETURN_IF_ERROR(budget->Spend(where, row, bytes));
  if (bytes > kMaxRelPathBytes) return Bad(where, row, "path of " + std::to_string(bytes) + " bytes");
  return directory.Child(name);
}

// What kinds of objects an action may make.
bool KindFitsType(ActionKind kind, FileType type) {
  switch (kind) {
    case ActionKind::kMakeDirectory: return type == FileType::kDirectory;
    case ActionKind::kPutFile: return type == FileType::kRegular;
    case ActionKind::kPutSymlink: return type == FileType::kSymlink;
    case ActionKind::kPutSpecial:
      return type != FileType::kDirectory && type != FileType::kRegular && type != FileType::kSymlink;
    case ActionKind::kLink: return type != FileType::kDirectory;
    case ActionKind::kSetMetadata:
    case ActionKind::kDelete: return true;
  }
  return false;
}

absl::Status DecodeLinks(const v1::ActionBatch& wire, const std::vector<RelPath>& directories, PathBudget* budget,
                         std::vector<Action>* actions) {
  const size_t count = static_cast<size_t>(wire.link_rows_size());
  const Where where{kMessage, "link_names"};
  US_RETURN_IF_ERROR(CheckRows(wire.link_rows(), actions->size(), {kMessage, "link_rows"}));
  US_RETURN_IF_ERROR(CheckCount({kMessage, "link_parents"}, static_cast<size_t>(wire.link_parents_size()), count));
  StringsReader names;
  US_RETURN_IF_ERROR(names.Init(wire.link_names(), count, kMaxNameBytes, where));
  for (size_t i = 0; i < count; ++i) {
    Action& action = (*actions)[wire.link_rows(static_cast<int>(i))];
    if (action.kind != ActionKind::kLink || action.basis)
      return Bad({kMessage, "link_rows"}, i, "the action is no link");
    US_ASSIGN_OR_RETURN(action.link_target, PathOf(directories, wire.link_parents(static_cast<int>(i)), names.Next(),
                                                   /*allow_root=*/false, where, i, budget));
  }
  for (size_t row = 0; row < actions->size(); ++row) {
    const Action& action = (*actions)[row];
    if (action.kind == ActionKind::kLink && !action.basis && action.link_target.is_root()) {
      return Bad({kMessage, "link_rows"}, row, "a link without target");
    }
  }
  return absl::OkStatus();
}

absl::Status DecodeEntriesOfActions(const v1::ActionBatch& wire, std::vector<Action>* actions) {
  std::vector<Entry*> entries;
  entries.reserve(actions->size());
  for (Action& action : *actions) {
    action.wanted.name = action.path.name();
    entries.push_back(&action.wanted);
  }
  US_RETURN_IF_ERROR(DecodeEntries(wire.wanted(), entries, "ActionBatch.wanted"));
  US_RETURN_IF_ERROR(CheckRows(wire.existing_rows(), actions->size(), {kMessage, "existing_rows"}));
  entries.clear();
  for (const uint32_t row : wire.existing_rows()) {
    Action& action = (*actions)[row];
    action.existing.emplace();
    action.existing->name = action.path.name();
    entries.push_back(&*action.existing);
  }
  US_RETURN_IF_ERROR(DecodeEntries(wire.existing(), entries, "ActionBatch.existing"));
  for (size_t row = 0; row < actions->size(); ++row) {
    const Action& action = (*actions)[row];
    if (!KindFitsType(action.kind, action.wanted.type)) {
      return Bad({kMessage, "kinds"}, row,
                 "kind " + std::to_string(static_cast<int>(action.kind)) + " does not fit a " +
                     FileTypeName(action.wanted.type));
    }
  }
  return absl::OkStatus();
}

absl::Status DecodeBases(const v1::ActionBatch& wire, std::vector<Action>* actions) {
  const Where where{kMessage, "basis_rows"};
  US_RETURN_IF_ERROR(CheckRows(wire.basis_rows(), actions->size(), where));
  const size_t count = static_cast<size_t>(wire.basis_rows_size());
  US_RETURN_IF_ERROR(
      CheckCount({kMessage, "basis_directories"}, static_cast<size_t>(wire.basis_directories_size()), count));
  std::vector<Entry*> entries;
  entries.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Action& action = (*actions)[wire.basis_rows(static_cast<int>(i))];
    if (action.kind != ActionKind::kLink && action.kind != ActionKind::kPutFile) {
      return Bad(where, i, "the action has no use for a basis");
    }
    action.basis.emplace();
    action.basis->directory = wire.basis_directories(static_cast<int>(i));
    if (action.basis->directory >= kMaxBasisDirectories) {
      return Bad({kMessage, "basis_directories"}, i, "directory " + std::to_string(action.basis->directory));
    }
    action.basis->object.name = action.path.name();
    entries.push_back(&action.basis->object);
  }
  US_RETURN_IF_ERROR(DecodeEntries(wire.basis_objects(), entries, "ActionBatch.basis_objects"));
  for (size_t i = 0; i < count; ++i) {
    const Action& action = (*actions)[wire.basis_rows(static_cast<int>(i))];
    if (action.basis->object.type != action.wanted.type) return Bad(where, i, "the basis is of another type");
  }
  return absl::OkStatus();
}

absl::Status DecodeOrigins(const v1::ActionBatch& wire, const std::vector<RelPath>& directories, PathBudget* budget,
                           std::vector<Action>* actions) {
  using Fate = ActionOrigin::Fate;
  const Where where{kMessage, "origin_rows"};
  US_RETURN_IF_ERROR(CheckRows(wire.origin_rows(), actions->size(), where));
  const size_t count = static_cast<size_t>(wire.origin_rows_size());
  US_RETURN_IF_ERROR(CheckCount({kMessage, "origin_parents"}, static_cast<size_t>(wire.origin_parents_size()), count));
  US_RETURN_IF_ERROR(CheckCount({kMessage, "origin_fates"}, static_cast<size_t>(wire.origin_fates_size()), count));
  StringsReader names;
  US_RETURN_IF_ERROR(names.Init(wire.origin_names(), count, kMaxNameBytes, {kMessage, "origin_names"}));
  std::vector<Entry*> entries;
  entries.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const int at = static_cast<int>(i);
    Action& action = (*actions)[wire.origin_rows(at)];
    if (action.kind != ActionKind::kPutFile || action.basis)
      return Bad(where, i, "the action has no use for an origin");
    const uint32_t fate = wire.origin_fates(at);
    if (fate < static_cast<uint32_t>(Fate::kStays) || fate > static_cast<uint32_t>(Fate::kGoes)) {
      return Bad({kMessage, "origin_fates"}, i, "unknown fate " + std::to_string(fate));
    }
    ActionOrigin& origin = action.origin.emplace();
    origin.fate = static_cast<Fate>(fate);
    US_ASSIGN_OR_RETURN(origin.path, PathOf(directories, wire.origin_parents(at), names.Next(), /*allow_root=*/false,
                                            {kMessage, "origin_names"}, i, budget));
    if (origin.path == action.path) return Bad({kMessage, "origin_names"}, i, "it is the action's own path");
    origin.object.name = origin.path.name();
    entries.push_back(&origin.object);
  }
  US_RETURN_IF_ERROR(DecodeEntries(wire.origin_objects(), entries, "ActionBatch.origin_objects"));
  for (size_t i = 0; i < count; ++i) {
    const Entry& object = *entries[i];
    if (object.type != FileType::kRegular || object.size_bytes == 0)
      return Bad(where, i, "the origin is no file with contents");
  }
  return absl::OkStatus();
}

// Ids, kinds and paths.
absl::Status DecodeHeads(const v1::ActionBatch& wire, const std::vector<RelPath>& directories, PathBudget* budget,
                         std::vector<Action>* actions) {
  const size_t rows = actions->size();
  Column<uint32_t> kinds;
  Column<uint32_t> parents;
  StringsReader names;
  US_RETURN_IF_ERROR(kinds.Init(wire.kinds(), rows, {kMessage, "kinds"}));
  US_RETURN_IF_ERROR(parents.Init(wire.parents(), rows, {kMessage, "parents"}));
  US_RETURN_IF_ERROR(names.Init(wire.names(), rows, kMaxNameBytes, {kMessage, "names"}));
  for (size_t row = 0; row < rows; ++row) {
    Action& action = (*actions)[row];
    action.id = wire.ids(static_cast<int>(row));
    if (action.id == 0) return Bad({kMessage, "ids"}, row, "0 is no id");
    const uint32_t kind = kinds[row];
    if (kind < v1::ACTION_KIND_MAKE_DIRECTORY || kind > v1::ACTION_KIND_DELETE) {
      return Bad({kMessage, "kinds"}, row, "unknown kind " + std::to_string(kind));
    }
    action.kind = static_cast<ActionKind>(kind);
    // A root that is missing is made by its session; a plan that is kept says that it was missing.
    const bool may_be_root = action.kind == ActionKind::kSetMetadata || action.kind == ActionKind::kMakeDirectory;
    US_ASSIGN_OR_RETURN(action.path,
                        PathOf(directories, parents[row], names.Next(), may_be_root, {kMessage, "names"}, row, budget));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status EncodeActions(const ActionBatch& batch, v1::ActionBatch* wire) {
  const std::vector<Action>& actions = batch.actions;
  US_RETURN_IF_ERROR(CheckBound({kMessage, "ids"}, actions.size(), kMaxActionsPerBatch, "actions"));
  wire->set_phase(static_cast<v1::Phase>(batch.phase));
  wire->set_sequence(batch.sequence);
  DirectoryNumbers directories(wire->mutable_directories());
  std::vector<uint32_t> parents;
  std::vector<const Entry*> wanted;
  std::vector<const Entry*> existing;
  std::vector<const Entry*> bases;
  std::vector<const Entry*> origins;
  parents.reserve(actions.size());
  wanted.reserve(actions.size());
  wire->mutable_ids()->Reserve(static_cast<int>(actions.size()));
  for (size_t row = 0; row < actions.size(); ++row) {
    const Action& action = actions[row];
    const uint32_t row_number = static_cast<uint32_t>(row);
    wire->add_ids(action.id);
    parents.push_back(directories.Of(ParentText(action.path)));
    AddString(wire->mutable_names(), action.path.name());
    wanted.push_back(&action.wanted);
    if (action.existing) {
      wire->add_existing_rows(row_number);
      existing.push_back(&*action.existing);
    }
    if (action.basis) {
      wire->add_basis_rows(row_number);
      wire->add_basis_directories(action.basis->directory);
      bases.push_back(&action.basis->object);
    } else if (action.kind == ActionKind::kLink) {
      wire->add_link_rows(row_number);
      wire->add_link_parents(directories.Of(ParentText(action.link_target)));
      AddString(wire->mutable_link_names(), action.link_target.name());
    }
    if (action.origin) {
      wire->add_origin_rows(row_number);
      wire->add_origin_parents(directories.Of(ParentText(action.origin->path)));
      AddString(wire->mutable_origin_names(), action.origin->path.name());
      wire->add_origin_fates(static_cast<uint32_t>(action.origin->fate));
      origins.push_back(&action.origin->object);
    }
    if (action.xattrs_differ) wire->add_xattrs_differ_rows(row_number);
  }
  WriteColumn(wire->mutable_kinds(), actions.size(), [&](size_t i) { return static_cast<uint32_t>(actions[i].kind); });
  WriteColumn(wire->mutable_parents(), actions.size(), [&](size_t i) { return parents[i]; });
  EncodeEntries(wanted, wire->mutable_wanted());
  EncodeEntries(existing, wire->mutable_existing());
  if (!bases.empty()) EncodeEntries(bases, wire->mutable_basis_objects());
  if (!origins.empty()) EncodeEntries(origins, wire->mutable_origin_objects());
  return absl::OkStatus();
}

absl::StatusOr<ActionBatch> DecodeActions(const v1::ActionBatch& wire) {
  ActionBatch batch;
  if (wire.phase() < v1::PHASE_CREATE || wire.phase() > v1::PHASE_DIRECTORY_METADATA) {
    return Bad({kMessage, "phase"}, kNoRow, "unknown phase " + std::to_string(wire.phase()));
  }
  batch.phase = static_cast<Phase>(wire.phase());
  if (wire.sequence() == 0) return Bad({kMessage, "sequence"}, kNoRow, "0 is no sequence number");
  batch.sequence = wire.sequence();
  const size_t rows = static_cast<size_t>(wire.ids_size());
  US_RETURN_IF_ERROR(CheckBound({kMessage, "ids"}, rows, kMaxActionsPerBatch, "actions"));
  PathBudget budget;
  US_ASSIGN_OR_RETURN(const std::vector<RelPath> directories, DecodeDirectories(wire.directories(), &budget));
  batch.actions.resize(rows);
  US_RETURN_IF_ERROR(DecodeHeads(wire, directories, &budget, &batch.actions));
  US_RETURN_IF_ERROR(DecodeEntriesOfActions(wire, &batch.actions));
  US_RETURN_IF_ERROR(DecodeBases(wire, &batch.actions));
  US_RETURN_IF_ERROR(DecodeLinks(wire, directories, &budget, &batch.actions));
  US_RETURN_IF_ERROR(DecodeOrigins(wire, directories, &budget, &batch.actions));
  US_RETURN_IF_ERROR(CheckRows(wire.xattrs_differ_rows(), rows, {kMessage, "xattrs_differ_rows"}));
  for (const uint32_t row : wire.xattrs_differ_rows()) batch.actions[row].xattrs_differ = true;
  return batch;
}

}  // namespace uringsync::convert_internal
