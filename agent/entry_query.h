// What is at single paths of a session's tree now, told as the session's manifest would tell it.
//
// Thread rule: coroutines of one shard.
#pragma once

#include <memory>

#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/fs/tree_view.h"
#include "proto/messages.h"

namespace uringsync {

// Where to look, and for what.
struct EntryLookOptions {
  DirectoryPtr root;                     // null: nothing is there
  std::shared_ptr<const TreeView> view;  // null, or of a source: paths are those of the view
  MetadataSelection selection;
  bool checksum = false;  // content digests of regular files
  CancelToken cancel;
};

// Fills `reply` for the first paths of `query`, at least one: as many as one message holds. Rules of the session hide
// nothing; temporaries of ours are not there.
Task<void> AnswerEntryQuery(EntryLookOptions options, EntryQuery query, EntryReply* reply);

}  // namespace uringsync
