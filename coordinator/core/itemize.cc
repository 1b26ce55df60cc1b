#include "coordinator/core/itemize.h"

#include "engine/base/escape.h"

namespace uringsync {
namespace {

char UpdateLetter(ActionKind kind) {
  switch (kind) {
    case ActionKind::kPutFile: return '>';
    case ActionKind::kLink: return 'h';
    case ActionKind::kSetMetadata: return '.';
    case ActionKind::kDelete: return '*';
    case ActionKind::kMakeDirectory:
    case ActionKind::kPutSymlink:
    case ActionKind::kPutSpecial: return 'c';
  }
  return '.';
}

}  // namespace

char ItemTypeLetter(FileType type) {
  switch (type) {
    case FileType::kRegular: return 'f';
    case FileType::kDirectory: return 'd';
    case FileType::kSymlink: return 'L';
    case FileType::kBlockDevice:
    case FileType::kCharDevice: return 'D';
    case FileType::kFifo:
    case FileType::kSocket: return 'S';
  }
  return '?';
}

std::string Itemize(const Action& action, const Differences& differences, bool acls_only) {
  if (action.kind == ActionKind::kDelete) return "*deleting";
  std::string code = {UpdateLetter(action.kind), ItemTypeLetter(action.wanted.type)};
  if (differences.Has(Attribute::kExistence) || differences.Has(Attribute::kType)) {
    // An object of another type makes way first, so all of it is new, as with rsync.
    return code.append(9, '+');
  }
  const auto mark = [&code](bool differs, char letter) { code += differs ? letter : '.'; };
  mark(differences.Has(Attribute::kContent) || differences.Has(Attribute::kTarget) ||
           differences.Has(Attribute::kDeviceNumber),
       'c');
  mark(differences.Has(Attribute::kSize), 's');
  mark(differences.Has(Attribute::kMtime), 't');
  mark(differences.Has(Attribute::kMode), 'p');
  mark(differences.Has(Attribute::kOwner), 'o');
  mark(differences.Has(Attribute::kGroup), 'g');
  mark(differences.Has(Attribute::kAtime), 'u');
  mark(differences.NeedsXattrs() && acls_only, 'a');
  mark(differences.NeedsXattrs() && !acls_only, 'x');
  return code;
}

std::string ItemizeLine(const Action& action, const Differences& differences, bool acls_only) {
  std::string line = Itemize(action, differences, acls_only);
  line.resize(12, ' ');
  line += action.path.is_root() ? "." : EscapeName(action.path.text());
  if (action.wanted.type == FileType::kDirectory) line += '/';
  if (action.kind == ActionKind::kLink) {
    line += " => " + EscapeName(action.link_target.text());
  } else if (action.origin) {
    line += "  (from " + EscapeName(action.origin->path.text()) + ")";
  } else if (action.wanted.type == FileType::kSymlink && action.kind != ActionKind::kDelete) {
    line += " -> " + EscapeName(action.wanted.symlink_target);
  }
  return line;
}

const char* ActionKindName(ActionKind kind) {
  switch (kind) {
    case ActionKind::kMakeDirectory: return "mkdir";
    case ActionKind::kPutFile: return "put";
    case ActionKind::kPutSymlink: return "symlink";
    case ActionKind::kPutSpecial: return "special";
    case ActionKind::kLink: return "link";
    case ActionKind::kSetMetadata: return "metadata";
    case ActionKind::kDelete: return "delete";
  }
  return "action";
}

}  // namespace uringsync
