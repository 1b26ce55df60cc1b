#include "coordinator/core/entered_links.h"

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr size_t kMemoryBytes = size_t{1} << 18;

}  // namespace

EnteredLinks::EnteredLinks(Driver* driver, const std::string& directory)
    : names_(driver, SpoolOptions{kMemoryBytes, directory}) {}

absl::Status EnteredLinks::Note(Name name, const FileId& id, const RelPath& path) {
  settled_ = false;
  writer_.Clear();
  writer_.PutByte(static_cast<uint8_t>(name));
  writer_.PutNumber(id.device);
  writer_.PutNumber(id.inode);
  writer_.PutPath(path);
  return names_.Append(writer_.bytes());
}

absl::Status EnteredLinks::NoteMerged(const FileId& id, const RelPath& path, bool by_link) {
  any_link_ |= by_link;
  return Note(by_link ? Name::kLink : Name::kOwn, id, path);
}

absl::Status EnteredLinks::NoteDoomed(const FileId& id, const RelPath& path) {
  return Note(Name::kDoomed, id, path);
}

template <typename Take>
absl::Status EnteredLinks::ForEach(const Take& take) const {
  Spool::Reader records = names_.Forward();
  std::string record;
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, records.Next(&record));
    if (!more) return absl::OkStatus();
    RecordReader reader(record);
    const auto name = static_cast<Name>(reader.GetByte());
    FileId id;
    id.device = reader.GetNumber();
    id.inode = reader.GetNumber();
    const RelPath path = reader.GetPath();
    if (!reader.ok()) return DamagedSpool();
    take(name, id, path);
  }
}

absl::Status EnteredLinks::Settle() {
  if (settled_ || !any_link_) return absl::OkStatus();
  settled_ = true;
  entered_.clear();
  protected_.clear();
  US_RETURN_IF_ERROR(ForEach([this](Name name, const FileId& id, const RelPath&) {
    if (name != Name::kLink) return;
    if (entered_.size() < kMaxLinks || entered_.count(id) > 0) {
      ++entered_[id].links;
    } else {
      protects_all_ = true;
    }
  }));
  US_RETURN_IF_ERROR(ForEach([this](Name name, const FileId& id, const RelPath&) {
    const auto found = entered_.find(id);
    if (name == Name::kOwn && found != entered_.end()) found->second.own = true;
  }));
  return ForEach([this](Name name, const FileId& id, const RelPath& path) {
    const auto found = entered_.find(id);
    if (found == entered_.end()) return;
    const bool shared = found->second.own || found->second.links > 1;
    if (name == Name::kLink && !shared) return;
    if (protected_.size() < kMaxNames) {
      protected_.insert(path.text());
    } else {
      protects_all_ = true;
    }
  });
}

bool EnteredLinks::Protects(const RelPath& path) const {
  if (protects_all_) return true;
  if (protected_.empty()) return false;
  for (RelPath at = path;; at = at.Parent()) {
    if (protected_.count(at.text()) > 0) return true;
    if (at.is_root()) return false;
  }
}

}  // namespace uringsync
