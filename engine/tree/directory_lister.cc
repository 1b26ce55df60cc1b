#include "engine/tree/directory_lister.h"

#include <dirent.h>

#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/fs/replace.h"
#include "engine/fs/state_name.h"
#include "engine/tree/name_kind.h"

namespace uringsync {

bool DirectoryLister::Hidden(const DirectoryItem& item, const struct statx& stat, std::vector<std::string>* strays) {
  if (options_.tell_temporaries && IsStateName(item.name)) {
    holds_temporaries_ = true;
    const bool foreign = IsForeignState(driver_, *directory_, std::string(item.name));
    if (!foreign) temporaries_.emplace_back(item.name);
    return !foreign;
  }
  const NameKind kind = KindOfName(driver_, *directory_, item, stat, options_.remove_strays_but, at_root_);
  if (kind == NameKind::kStray) strays->emplace_back(item.name);
  holds_temporaries_ = holds_temporaries_ || kind == NameKind::kStray || kind == NameKind::kTemporary;
  return kind != NameKind::kShown;
}

absl::Status DirectoryLister::Begin(const Directory& directory, Entry* self) {
  directory_ = &directory;
  holds_temporaries_ = false;
  temporaries_.clear();
  names_.emplace(driver_, options_.spool_directory, options_.names_in_memory);
  struct statx stat = {};
  reader_.ReadDirectory(directory, &stat, self);
  if (!directory.readable()) return ErrnoStatus(EACCES, "open directory");
  if (self->error != 0) return ErrnoStatus(self->error, "statx");
  names_reader_.Restart(directory.fd());
  DirectoryItem item;
  std::vector<std::string> strays;  // removed after the reading: a file system may skip entries otherwise
  while (true) {
    const int more = names_reader_.Next(&item);
    if (more < 0) return ErrnoStatus(-more, "getdents");
    if (more == 0) break;
    if (!Hidden(item, stat, &strays)) US_RETURN_IF_ERROR(names_->Add(item.name, item.type));
  }
  for (const std::string& stray : strays) {
    const StrayFate fate = RecoverStray(driver_, directory, stray);
    if (fate == StrayFate::kRemoved) ++strays_removed_;
    // It is told: its entry has an error.
    if (fate == StrayFate::kForeign) US_RETURN_IF_ERROR(names_->Add(stray, DT_UNKNOWN));
  }
  return names_->Finish();
}

absl::StatusOr<bool> DirectoryLister::Next(size_t limit, std::vector<Entry>* entries) {
  entries->clear();
  while (entries->empty()) {
    US_RETURN_IF_ERROR(names_->Take(limit, &chunk_));
    if (chunk_.size() == 0) return false;
    entries->reserve(chunk_.size());
    for (size_t i = 0; i < chunk_.size(); ++i) {
      Entry& entry = entries->emplace_back();
      // What vanished since the names were read is left out.
      if (!reader_.Read(directory_->fd(), chunk_.c_str(i), chunk_.name(i).size(), chunk_.type(i), &entry))
        entries->pop_back();
    }
  }
  return true;
}

}  // namespace uringsync
