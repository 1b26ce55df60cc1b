#include "engine/transfer/reply_end.h"

#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/fs/metadata.h"

namespace uringsync {

void EndWith(ReplyItem* item, ReplyStatus status, int error, std::string operation) {
  item->status = status;
  item->error = error;
  item->operation = std::move(operation);
  item->data_length = 0;
  item->hole_length = 0;
  item->end = true;
}

void EndWithError(ReplyItem* item, const absl::Status& error, std::string operation) {
  int number = StatusErrno(error);
  bool gone = number == ENOENT || number == ENOTDIR;
  EndWith(item, gone ? ReplyStatus::kVanished : ReplyStatus::kFailed, number, std::move(operation));
}

void EndChanged(ReplyItem* item, const struct statx& found, int error, std::string operation) {
  EndWith(item, ReplyStatus::kChanged, error, std::move(operation));
  Entry now;
  if (!EntryFromStatx(found, false, &now) || now.type != FileType::kRegular) return;
  item->current = CurrentFile{now.id, now.size_bytes, now.mtime};
}

}  // namespace uringsync
