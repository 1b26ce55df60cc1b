#include "coordinator/cli/rsync/item.h"

#include <cstdio>

#include "coordinator/core/itemize.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr size_t kCodeColumns = 11;
constexpr uint32_t kSetuid = 04000;
constexpr uint32_t kSetgid = 02000;
constexpr uint32_t kGroupExecutes = 010;
constexpr uint32_t kAllModeBits = 07777;

char UpdateLetter(const Action& action, bool sends) {
  switch (action.kind) {
    case ActionKind::kPutFile: return action.basis ? 'c' : sends ? '<' : '>';
    case ActionKind::kLink: return 'h';
    case ActionKind::kSetMetadata:
    case ActionKind::kDelete: return '.';
    case ActionKind::kMakeDirectory:
    case ActionKind::kPutSymlink:
    case ActionKind::kPutSpecial: return 'c';
  }
  return '.';
}

bool IsDevice(FileType type) {
  return type == FileType::kBlockDevice || type == FileType::kCharDevice;
}
bool IsSpecial(FileType type) {
  return type == FileType::kFifo || type == FileType::kSocket;
}

// Of one letter, though of another type: told as one that changes.
bool IsKin(FileType a, FileType b) {
  return (IsDevice(a) && IsDevice(b)) || (IsSpecial(a) && IsSpecial(b));
}

Differences DifferencesOfKin(const Entry& wanted, const Entry& existing, const MetadataSelection& selection) {
  Differences told;
  told.Add(Attribute::kDeviceNumber);
  if (selection.KeepsTime(wanted.type) && wanted.mtime != existing.mtime &&
      !selection.WithinWindow(wanted.mtime, existing.mtime))
    told.Add(Attribute::kMtime);
  if (selection.mode && ((wanted.mode ^ existing.mode) & kAllModeBits) != 0) told.Add(Attribute::kMode);
  if (selection.owner && wanted.uid != existing.uid) told.Add(Attribute::kOwner);
  if (selection.group && wanted.gid != existing.gid) told.Add(Attribute::kGroup);
  return told;
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

Differences ToldDifferences(const Action& action, const Differences& found, const ItemRules& rules) {
  Differences differences = found;
  // A time that is set though links' times are left out (a file that stands for a link).
  if (action.wanted.type == FileType::kSymlink && !rules.selection.KeepsTime(FileType::kSymlink))
    differences = Differences::FromMask(found.mask() & ~static_cast<uint32_t>(Attribute::kMtime));
  const bool kin = action.existing && differences.Has(Attribute::kType) && action.kind == ActionKind::kPutSpecial &&
                   IsKin(action.wanted.type, action.existing->type);
  if (kin) return DifferencesOfKin(action.wanted, *action.existing, rules.selection);
  const bool owned = differences.Has(Attribute::kOwner) || differences.Has(Attribute::kGroup);
  const bool again = !rules.planned && owned && action.kind == ActionKind::kSetMetadata &&
                     action.wanted.type == FileType::kRegular && action.existing &&
                     (action.existing->mode & (kSetuid | kSetgid)) != 0;
  if (!again) return differences;
  const uint32_t old = action.existing->mode;
  const uint32_t left = old & ~kSetuid & ~((old & kGroupExecutes) != 0 ? kSetgid : 0);
  const auto bit = [](Attribute attribute) { return static_cast<uint32_t>(attribute); };
  Differences told = Differences::FromMask(differences.mask() & ~bit(Attribute::kOwner) & ~bit(Attribute::kGroup) &
                                           ~bit(Attribute::kMode));
  if (rules.selection.mode && ((left ^ action.wanted.mode) & kAllModeBits) != 0) told.Add(Attribute::kMode);
  return told;
}

std::string ItemCode(const Action& action, const Differences& differences, const ItemRules& rules) {
  if (action.kind == ActionKind::kDelete) return "*deleting  ";
  const FileType type = action.wanted.type;
  std::string code = {UpdateLetter(action, rules.sends), ItemTypeLetter(type)};
  // An object of another type makes way first, so all of it is new.
  if (differences.Has(Attribute::kExistence) || differences.Has(Attribute::kType)) return code.append(9, '+');
  const auto mark = [&code](bool differs, char letter) { code += differs ? letter : '.'; };
  // Made anew, and told beside what a basis directory has.
  const bool put = action.kind == ActionKind::kPutSymlink || action.kind == ActionKind::kPutSpecial;
  mark(differences.Has(Attribute::kContent) || differences.Has(Attribute::kTarget) ||
           differences.Has(Attribute::kDeviceNumber) || (put && !action.existing),
       'c');
  mark(differences.Has(Attribute::kSize), 's');
  const bool remade = action.kind != ActionKind::kSetMetadata;
  if (rules.selection.KeepsTime(type)) {
    mark(differences.Has(Attribute::kMtime), 't');
  } else {
    mark(remade, rules.selection.mtime ? 't' : 'T');
  }
  mark(differences.Has(Attribute::kMode), 'p');
  mark(differences.Has(Attribute::kOwner), 'o');
  mark(differences.Has(Attribute::kGroup), 'g');
  mark(differences.Has(Attribute::kAtime), 'u');
  // Both share a digest: where both are kept, 'x' stands for either. Another name of a file has them from the first.
  const bool attributes = differences.NeedsXattrs() && (action.kind != ActionKind::kLink || action.basis);
  mark(attributes && !rules.selection.xattrs, 'a');
  mark(attributes && rules.selection.xattrs, 'x');
  // Nothing but the link: rsync leaves all of it blank. Contents that moved are something (--ignore-times).
  const bool moved = code[0] == '>' || code[0] == '<';
  if (!moved && code.find_first_not_of('.', 2) == std::string::npos)
    code.replace(2, code.size() - 2, kCodeColumns - 2, ' ');
  return code;
}

std::string ItemName(const RelPath& path, FileType type) {
  if (path.is_root()) return type == FileType::kDirectory ? "./" : ".";
  std::string name = path.text();
  if (type == FileType::kDirectory) name += '/';
  return name;
}

std::string ItemArrow(const Action& action) {
  if (action.kind == ActionKind::kDelete) return {};
  if (action.kind == ActionKind::kLink && !action.basis) return " => " + action.link_target.text();
  if (action.wanted.type == FileType::kSymlink) return " -> " + action.wanted.symlink_target;
  return {};
}

bool NamedWithoutLetters(const Action& action) {
  return action.kind != ActionKind::kSetMetadata || action.wanted.type == FileType::kDirectory;
}

std::string PrintableText(std::string_view bytes, const PrintRules& rules) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(bytes[i]);
    const bool looks_escaped = c == '\\' && i + 4 < bytes.size() && bytes[i + 1] == '#' && IsDigit(bytes[i + 2]) &&
                               IsDigit(bytes[i + 3]) && IsDigit(bytes[i + 4]);
    if (c >= 0x80 && rules.utf8 && !rules.eight_bit) {
      if (const size_t length = Utf8Length(bytes.substr(i)); length > 0) {
        out += bytes.substr(i, length);
        i += length - 1;
        continue;
      }
    }
    const bool prints = c == '\t' || (c >= ' ' && (rules.eight_bit || c <= 0x7F));
    if (prints && !looks_escaped) {
      out += static_cast<char>(c);
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\#%03o", c);
    out += escape;
  }
  return out;
}

}  // namespace uringsync
