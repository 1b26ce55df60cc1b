#include "coordinator/core/operands.h"

#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

std::string Join(const std::vector<std::string_view>& components) {
  std::string path;
  for (const std::string_view component : components) {
    if (!path.empty()) path += '/';
    path += component;
  }
  return path;
}

absl::StatusOr<RelPath> NameOf(std::string_view text, std::string_view argument) {
  absl::StatusOr<RelPath> name = RelPath::Parse(text);
  if (name.ok()) return name;
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    EscapeName(argument) + ": " + std::string(ToStd(name.status().message())));
}

}  // namespace

bool NamesContents(std::string_view argument) {
  const size_t slash = argument.rfind('/');
  const std::string_view last = slash == std::string_view::npos ? argument : argument.substr(slash + 1);
  return last.empty() || last == "." || last == "..";
}

OperandDepth OperandList::DepthOf(bool contents) const {
  if (rules_.recursive) return OperandDepth::kTree;
  return contents && rules_.directories ? OperandDepth::kEntries : OperandDepth::kObject;
}

absl::Status OperandList::Add(std::string_view argument) {
  if (!rules_.relative) return AddPlain(argument);
  const size_t anchor = argument.rfind("/./");
  std::string_view below = argument;
  std::string base;
  if (anchor != std::string_view::npos) {
    base = anchor == 0 ? "/" : std::string(argument.substr(0, anchor));
    below = argument.substr(anchor + 3);
  } else if (argument.starts_with('/')) {
    base = "/";
  }
  return AddRelative(std::move(base), below, argument);
}

absl::Status OperandList::AddPlain(std::string_view argument) {
  SourceOperand operand;
  const bool contents = NamesContents(argument);
  operand.depth = DepthOf(contents);
  if (contents) {
    operand.base = argument;
    operands_.push_back(std::move(operand));
    return absl::OkStatus();
  }
  const size_t slash = argument.rfind('/');
  if (slash != std::string_view::npos) operand.base = slash == 0 ? "/" : std::string(argument.substr(0, slash));
  US_ASSIGN_OR_RETURN(operand.at, NameOf(argument.substr(slash == std::string_view::npos ? 0 : slash + 1), argument));
  operand.from = operand.at;
  operands_.push_back(std::move(operand));
  return absl::OkStatus();
}

absl::Status OperandList::AddRelative(std::string base, std::string_view below, std::string_view argument) {
  if (rules_.implied_directories && (rules_.recursive || rules_.directories) && below.starts_with("./") &&
      !PathComponents(below).empty()) {
    // Seen from here everything is below ".", which is in the transfer with its metadata.
    operands_.push_back({.base = base, .from = RelPath(), .at = RelPath(), .depth = OperandDepth::kObject});
  }
  const std::vector<std::string_view> components = PathComponents(below);
  for (const std::string_view component : components) {
    if (component != "..") continue;
    return MakeStatus(absl::StatusCode::kInvalidArgument, "found \"..\" dir in relative path: " + EscapeName(argument));
  }
  const bool contents = NamesContents(argument);
  SourceOperand operand;
  US_ASSIGN_OR_RETURN(operand.at, NameOf(Join(components), argument));
  operand.from = operand.at;
  operand.depth = DepthOf(contents);
  // A '/' behind a link means the directory it leads to.
  operand.follow = contents && !operand.at.is_root();
  std::vector<RelPath> ways;
  if (rules_.implied_directories && !operand.at.is_root()) {
    for (RelPath way = operand.at.Parent(); !way.is_root(); way = way.Parent()) {
      if (!ways_.insert(base + '\0' + way.text()).second) break;
      ways.push_back(way);
    }
  }
  for (; !ways.empty(); ways.pop_back()) {
    operands_.push_back({.base = base,
                         .from = ways.back(),
                         .at = ways.back(),
                         .depth = OperandDepth::kObject,
                         .implied = true,
                         .follow = true});
  }
  operand.base = std::move(base);
  operands_.push_back(std::move(operand));
  return absl::OkStatus();
}

absl::Status OperandList::AddListed(std::string_view base, std::string_view name) {
  // What stands before "/./" belongs to the base, without a way out of it.
  const size_t anchor = rules_.relative ? name.rfind("/./") : std::string_view::npos;
  const auto cleaned = [](std::string_view part) {
    std::vector<std::string_view> kept;
    for (const std::string_view component : PathComponents(part)) {
      if (component != "..") {
        kept.push_back(component);
      } else if (!kept.empty()) {
        kept.pop_back();
      }
    }
    return Join(kept);
  };
  const std::string before = anchor == std::string_view::npos ? std::string() : cleaned(name.substr(0, anchor));
  std::string below = cleaned(anchor == std::string_view::npos ? name : name.substr(anchor + 3));
  if (NamesContents(name) && !below.empty()) below += '/';
  std::string from(base);
  if (!before.empty()) from += (from.empty() || from.back() == '/' ? "" : "/") + before;
  if (rules_.relative && anchor == std::string_view::npos && name.starts_with("./") && !below.empty())
    below.insert(0, "./");
  if (rules_.relative) return AddRelative(std::move(from), below, below.empty() ? "." : std::string_view(below));
  if (!from.empty() && from.back() != '/') from += '/';
  return AddPlain(from + (below.empty() ? "." : below));
}

std::vector<SourceOperand> OperandList::Take() {
  ways_.clear();
  return std::exchange(operands_, {});
}

std::vector<SourceOperand> CoveredParts(const std::vector<SourceOperand>& operands, bool deletes) {
  std::vector<SourceOperand> parts;
  for (const SourceOperand& operand : operands) {
    // The destination looks at the directories on the way anyway.
    if (operand.implied) continue;
    parts.push_back(
        {.base = "", .from = operand.at, .at = operand.at, .depth = deletes ? OperandDepth::kTree : operand.depth});
  }
  return parts;
}

}  // namespace uringsync
