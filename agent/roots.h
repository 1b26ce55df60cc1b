// Roots: the named directories that an agent serves, opened and pinned when it starts.
//
// A peer names a root, never a path of this host. Thread rule: immutable once opened; share freely.
// Use:  US_ASSIGN_OR_RETURN(RootSpec spec, ParseRootSpec("data=/srv/data:ro"));
//       US_ASSIGN_OR_RETURN(Roots roots, Roots::Open({spec}));
//       US_ASSIGN_OR_RETURN(const Root* root, roots.FindForRole("data", Role::kSource));
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/access_list.h"
#include "engine/fs/directory.h"
#include "proto/messages.h"

namespace uringsync {

constexpr size_t kMaxRootNameBytes = 64;
constexpr size_t kMaxRoots = 256;

struct RootSpec {
  std::string name;  // letters, digits, '.', '_', '-'; 1 to 64 bytes, no leading '.' or '-'
  std::string path;  // absolute
  bool read_only = false;
};
// "NAME=PATH" or "NAME=PATH:ro" (":rw" is accepted too; a path that ends in ":ro" is written "PATH:ro:rw").
// InvalidArgument shows the text and what is expected.
absl::StatusOr<RootSpec> ParseRootSpec(std::string_view text);

struct Root {
  std::string name;
  std::string path;  // as configured, for messages
  bool read_only = false;
  Verbs verbs = Verbs::All();  // of whom these roots were made for
  // The directory itself, readable where permitted. Pinned: nobody can put another one in its
  // place; a session is refused when the path names another directory by now (session_root.h).
  DirectoryPtr directory;
};

class Roots {
 public:
  // Opens every directory. InvalidArgument for a name given twice or too many roots; NotFound, FailedPrecondition (no
  // directory), PermissionDenied name root and path.
  static absl::StatusOr<Roots> Open(const std::vector<RootSpec>& specs);
  Roots(Roots&&) = default;
  Roots& operator=(Roots&&) = default;

  // NotFound lists the names that exist.
  absl::StatusOr<const Root*> Find(std::string_view name) const;
  // Find, and PermissionDenied when `role` writes and the root is read-only, or the verb is missing that `role` needs;
  // the text says how to change that.
  absl::StatusOr<const Root*> FindForRole(std::string_view name, Role role) const;
  const std::vector<Root>& all() const { return roots_; }
  // What of them the holder of a certificate with these names gets to see, with the verbs that it has in each.
  Roots AllowedTo(const std::vector<std::string>& identities, const AccessList& access) const;

 private:
  Roots() = default;
  std::string holder_;       // for messages; empty: everybody
  std::vector<Root> roots_;  // sorted by name
};

}  // namespace uringsync
