#include "agent/roots.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

absl::Status BadSpec(std::string_view text, std::string_view what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "root \"" + EscapeName(text) + "\": " + std::string(what) +
                                                            "; write NAME=PATH or NAME=PATH:ro, e.g. data=/srv/data");
}

bool IsRootNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool TakeSuffix(std::string_view* text, std::string_view suffix) {
  if (!text->ends_with(suffix)) return false;
  text->remove_suffix(suffix.size());
  return true;
}

absl::StatusOr<DirectoryPtr> OpenDirectory(const RootSpec& spec) {
  const std::string context = "root " + spec.name + " (" + EscapeName(spec.path) + ")";
  UniqueFd fd(::open(spec.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid()) return std::make_shared<const Directory>(std::move(fd), /*readable=*/true);
  if (errno == EACCES) {
    // Search permission is enough to serve what lies below.
    fd.Reset(::open(spec.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (fd.valid()) return std::make_shared<const Directory>(std::move(fd), /*readable=*/false);
  }
  return ErrnoStatus(errno, context);
}

}  // namespace

absl::StatusOr<RootSpec> ParseRootSpec(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return BadSpec(text, "there is no '='");
  RootSpec spec;
  spec.name = text.substr(0, equals);
  std::string_view path = text.substr(equals + 1);
  if (spec.name.empty() || spec.name.size() > kMaxRootNameBytes)
    return BadSpec(text, "the name must have 1 to 64 characters");
  if (!std::all_of(spec.name.begin(), spec.name.end(), IsRootNameByte) || spec.name[0] == '.' || spec.name[0] == '-') {
    return BadSpec(text, "the name may hold letters, digits, '.', '_' and '-', and starts with none of '.' and '-'");
  }
  if (TakeSuffix(&path, ":ro")) {
    spec.read_only = true;
  } else {
    TakeSuffix(&path, ":rw");
  }
  if (path.empty() || path[0] != '/') return BadSpec(text, "the path must be absolute");
  if (path.find('\0') != std::string_view::npos) return BadSpec(text, "the path contains NUL");
  spec.path = path;
  return spec;
}

absl::StatusOr<Roots> Roots::Open(const std::vector<RootSpec>& specs) {
  if (specs.size() > kMaxRoots) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      std::to_string(specs.size()) + " roots; at most " + std::to_string(kMaxRoots) + " are served");
  }
  Roots roots;
  for (const RootSpec& spec : specs) {
    if (roots.Find(spec.name).ok()) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "root " + spec.name + " is given twice");
    }
    Root root{.name = spec.name, .path = spec.path, .read_only = spec.read_only, .directory = nullptr};
    US_ASSIGN_OR_RETURN(root.directory, OpenDirectory(spec));
    const auto place = std::upper_bound(roots.roots_.begin(), roots.roots_.end(), root,
                                        [](const Root& a, const Root& b) { return a.name < b.name; });
    roots.roots_.insert(place, std::move(root));
  }
  return roots;
}

absl::StatusOr<const Root*> Roots::Find(std::string_view name) const {
  const auto found = std::lower_bound(roots_.begin(), roots_.end(), name,
                                      [](const Root& root, std::string_view n) { return root.name < n; });
  if (found != roots_.end() && found->name == name) return &*found;
  std::string known;
  for (const Root& root : roots_) known += (known.empty() ? "" : ", ") + root.name;
  return MakeStatus(absl::StatusCode::kNotFound, "no root '" + EscapeName(name) + "' here; this agent serves" +
                                                     (holder_.empty() ? "" : " " + EscapeName(holder_)) + ": " +
                                                     (known.empty() ? "nothing" : known));
}

absl::StatusOr<const Root*> Roots::FindForRole(std::string_view name, Role role) const {
  US_ASSIGN_OR_RETURN(const Root* root, Find(name));
  if (role == Role::kDestination && root->read_only) {
    return MakeStatus(absl::StatusCode::kPermissionDenied,
                      "root '" + root->name + "' is read-only; start the agent with --root " + root->name + "=" +
                          EscapeName(root->path) + " without :ro");
  }
  const Verb needed = role == Role::kDestination ? Verb::kWrite : Verb::kRead;
  if (root->verbs.Has(needed)) return root;
  const std::string word = needed == Verb::kWrite ? "write" : "read";
  return MakeStatus(absl::StatusCode::kPermissionDenied, EscapeName(holder_) + " may not " + word + " in root '" +
                                                             root->name + "'; the agent's option --allow '" +
                                                             EscapeName(holder_) + "=" + root->name + ":" + word +
                                                             "' would let it");
}

Roots Roots::AllowedTo(const std::vector<std::string>& identities, const AccessList& access) const {
  Roots allowed;
  allowed.holder_ = identities.empty() ? std::string(kAnybody) : identities.front();
  for (const Root& root : roots_) {
    const Verbs verbs = access.Of(identities, root.name);
    if (verbs.empty()) continue;
    allowed.roots_.push_back(root);
    allowed.roots_.back().verbs = verbs;
  }
  return allowed;
}

}  // namespace uringsync
