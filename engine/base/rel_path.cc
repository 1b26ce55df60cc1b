#include "engine/base/rel_path.h"

#include <algorithm>
#include <cassert>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {

absl::Status ValidateName(std::string_view name) {
  const auto refuse = [name](const char* why) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "name \"" + EscapeName(name.substr(0, 300)) + "\" " + why);
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > kMaxNameBytes) return refuse("is longer than 255 bytes");
  if (name == "." || name == "..") return refuse("is reserved for the directory itself or its parent");
  if (name.find('/') != std::string_view::npos) return refuse("contains '/'");
  if (name.find('\0') != std::string_view::npos) return refuse("contains a NUL byte");
  return absl::OkStatus();
}

absl::StatusOr<RelPath> RelPath::Parse(std::string_view text) {
  if (text.empty()) return RelPath();
  if (text.size() > kMaxRelPathBytes)
    return MakeStatus(absl::StatusCode::kInvalidArgument, "path is longer than 1 MiB");
  std::string_view rest = text;
  while (true) {
    const size_t slash = rest.find('/');
    US_RETURN_IF_ERROR(ValidateName(rest.substr(0, slash)));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  return RelPath(std::string(text));
}

std::string_view RelPath::name() const {
  const size_t slash = text_.rfind('/');
  return slash == std::string::npos ? std::string_view(text_) : std::string_view(text_).substr(slash + 1);
}

RelPath RelPath::Parent() const {
  const size_t slash = text_.rfind('/');
  return slash == std::string::npos ? RelPath() : RelPath(text_.substr(0, slash));
}

RelPath RelPath::Child(std::string_view name) const {
  assert(ValidateName(name).ok());
  std::string joined;
  joined.reserve(text_.size() + 1 + name.size());
  joined += text_;
  if (!joined.empty()) joined += '/';
  joined += name;
  return RelPath(std::move(joined));
}

size_t RelPath::depth() const {
  if (text_.empty()) return 0;
  return 1 + static_cast<size_t>(std::count(text_.begin(), text_.end(), '/'));
}

bool RelPath::IsWithin(const RelPath& ancestor) const {
  if (ancestor.is_root()) return true;
  if (!text_.starts_with(ancestor.text_)) return false;
  return text_.size() == ancestor.text_.size() || text_[ancestor.text_.size()] == '/';
}

std::strong_ordering operator<=>(const RelPath& a, const RelPath& b) {
  // '/' sorts below every byte that a name can hold, which makes a byte-wise walk component-wise.
  const auto key = [](char c) { return c == '/' ? 0U : static_cast<unsigned>(static_cast<unsigned char>(c)); };
  const std::string& x = a.text();
  const std::string& y = b.text();
  const size_t common = std::min(x.size(), y.size());
  for (size_t i = 0; i < common; ++i) {
    if (x[i] != y[i]) return key(x[i]) <=> key(y[i]);
  }
  return x.size() <=> y.size();
}

}  // namespace uringsync
