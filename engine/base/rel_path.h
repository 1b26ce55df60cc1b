// Names and relative paths as validated values.
//
// A name is bytes: anything but NUL and '/', 1 to 255 of them, and not "." or "..". A RelPath is zero or more names
// joined by '/'; the empty RelPath is the root itself. Parse once at the edge; everything inside can rely on it. A
// RelPath may be longer than PATH_MAX.
//
// Use:  US_ASSIGN_OR_RETURN(RelPath p, RelPath::Parse("a/b"));  RelPath child = p.Child(name);
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace uringsync {

constexpr size_t kMaxNameBytes = 255;
// Longest path that is accepted from a peer; a tree deeper than this is reported, not followed.
constexpr size_t kMaxRelPathBytes = 1 << 20;

// OK, or InvalidArgument that names the offending component, escaped.
absl::Status ValidateName(std::string_view name);

class RelPath {
 public:
  // The root itself.
  RelPath() = default;
  // Accepts "" and "a/b/c"; refuses empty components, ".", "..", NUL, leading or trailing '/'.
  static absl::StatusOr<RelPath> Parse(std::string_view text);

  bool is_root() const { return text_.empty(); }
  const std::string& text() const { return text_; }
  // Last component; empty for the root.
  std::string_view name() const;
  // Everything but the last component. Parent of the root is the root.
  RelPath Parent() const;
  // `name` must be valid (ValidateName); CHECKs in debug builds only.
  RelPath Child(std::string_view name) const;
  // Number of components.
  size_t depth() const;
  // True when `this` is `ancestor` or below it.
  bool IsWithin(const RelPath& ancestor) const;

  friend bool operator==(const RelPath&, const RelPath&) = default;
  // Component by component, each by bytes: "a/x" < "a.b/x". This is the order of manifests.
  friend std::strong_ordering operator<=>(const RelPath& a, const RelPath& b);

 private:
  explicit RelPath(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

std::strong_ordering operator<=>(const RelPath& a, const RelPath& b);

}  // namespace uringsync
