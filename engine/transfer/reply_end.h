// How the answer to a FileRequest ends when something is the matter with its object. For SourceReader only.
#pragma once

#include <sys/stat.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "engine/transfer/data_channel.h"

namespace uringsync {

// With an error of the object.
void EndWith(ReplyItem* item, ReplyStatus status, int error, std::string operation);
// kVanished where the errno says so, else kFailed.
void EndWithError(ReplyItem* item, const absl::Status& error, std::string operation);
// `error`: errno of what showed it, 0 where a look did.
void EndChanged(ReplyItem* item, const struct statx& found, int error, std::string operation);

// Whether a file of which `found` is told is as good as the one asked for, whatever became of it meanwhile.
inline bool IsEnough(const FileRequest& request, const struct statx& found) {
  return request.accept_moving && found.stx_size >= request.offset + request.length;
}

}  // namespace uringsync
