#include "coordinator/core/manifest_cursor.h"

#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

std::string Show(const RelPath& path) {
  return path.is_root() ? "the root" : "\"" + EscapeName(path.text()) + "\"";
}

}  // namespace

absl::Status ManifestCursor::Broken(const std::string& what) const {
  return MakeStatus(
      absl::StatusCode::kInvalidArgument,
      std::string(side_ == Side::kSource ? "manifest of the source: " : "manifest of the destination: ") + what);
}

absl::Status ManifestCursor::Load() {
  US_ASSIGN_OR_RETURN(batch_, stream_->Next());
  loaded_ = true;
  next_ = 0;
  if (!batch_) return absl::OkStatus();
  if (batch_->self.type != FileType::kDirectory) {
    return Broken(Show(batch_->directory) + " is listed but called a " + FileTypeName(batch_->self.type));
  }
  if (batch_->folded && !batch_->matched) return Broken("entries of " + Show(batch_->directory) + " were left out");
  return absl::OkStatus();
}

absl::Status ManifestCursor::CheckEntries() {
  const std::string* previous = last_name_.empty() ? nullptr : &last_name_;
  for (const Entry& entry : batch_->entries) {
    if (entry.name.empty() || (previous != nullptr && !(*previous < entry.name))) {
      return Broken("entries of " + Show(batch_->directory) + " are not in order at \"" + EscapeName(entry.name) +
                    "\"");
    }
    previous = &entry.name;
  }
  // Needed only across batches of one directory; entries are moved from before the next batch comes.
  if (!batch_->last && !batch_->entries.empty()) last_name_ = batch_->entries.back().name;
  return absl::OkStatus();
}

absl::StatusOr<bool> ManifestCursor::Enter(const RelPath& path) {
  if (inside_) return MakeStatus(absl::StatusCode::kInternal, "a directory was left before its last entry");
  if (!loaded_) US_RETURN_IF_ERROR(Load());
  if (!batch_ || batch_->directory != path) return false;
  last_name_.clear();
  US_RETURN_IF_ERROR(CheckEntries());
  inside_ = true;
  listing_error_ = batch_->error;
  holds_excluded_ = batch_->holds_excluded;
  partial_ = batch_->partial;
  return true;
}

absl::StatusOr<Entry*> ManifestCursor::PeekSlow() {
  while (inside_ && next_ >= batch_->entries.size()) {
    if (batch_->last) {
      inside_ = false;
      loaded_ = false;
      break;
    }
    const RelPath directory = batch_->directory;
    const int error = listing_error_;
    US_RETURN_IF_ERROR(Load());
    if (!batch_ || batch_->directory != directory) return Broken(Show(directory) + " ends before its last batch");
    US_RETURN_IF_ERROR(CheckEntries());
    listing_error_ = error != 0 ? error : batch_->error;
    holds_excluded_ = holds_excluded_ || batch_->holds_excluded;
    partial_ = partial_ || batch_->partial;
  }
  if (!inside_) return nullptr;
  return &batch_->entries[next_];
}

absl::Status ManifestCursor::ExpectEnd() {
  if (!loaded_) US_RETURN_IF_ERROR(Load());
  if (!batch_) return absl::OkStatus();
  return Broken(Show(batch_->directory) + " comes out of order, twice, or was never listed by its parent");
}

}  // namespace uringsync
