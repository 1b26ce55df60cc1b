// Signature requests: what a destination may ask about a file beside its contents, and the bounds of that.
//
// Thread rule: functions; any thread.
// Use:  US_RETURN_IF_ERROR(CheckSignatureRequest(request));
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "engine/base/leaf_digest.h"
#include "engine/transfer/data_channel.h"

namespace uringsync {

// OK, or InvalidArgument that names the bound: a kind of its own asks about a regular file, within its size, at most
// kMaxSignatureRange (kBlocks: one leaf; kExtents: any length); kLeaves and kChunks begin at a leaf; units are block
// sizes or chunk averages. Contents have no unit and are always OK here.
absl::Status CheckSignatureRequest(const FileRequest& request);

// Key of the leaf tags of the file that `request` is about, as the manifest told its identity.
LeafKey LeafKeyFor(const LeafSecret& secret, const FileRequest& request);

// The most bytes that an answer brings: what has to be set aside for it.
uint64_t AnswerBytes(const FileRequest& request);

}  // namespace uringsync
