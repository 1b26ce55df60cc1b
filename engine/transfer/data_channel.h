// Data plane as values: what a destination asks of a source, and what comes back.
//
// The destination pulls: it sends requests and bounds what is outstanding (that bound is the credit). The source is
// stateless: it opens, checks identity, reads, hashes, sends. Wire forms live in proto/ and docs/protocol.md; engine
// knows only this.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/base/rel_path.h"
#include "engine/coro/task.h"
#include "engine/net/payload.h"
#include "engine/ring/buffer_pool.h"

namespace uringsync {

// Largest payload of one piece; also the unit of the integrity check.
constexpr uint32_t kMaxPieceBytes = 1 << 20;
constexpr size_t kMaxRequestsPerMessage = 256;

// What is asked of a range. All but contents are signatures (engine/delta): payloads of digests, in one item that lies
// at the request's offset and has `end`; their bounds are in signature_request.h.
enum class RequestKind : uint8_t {
  kContents = 0,
  kLeaves,  // AES-GMAC of each leaf of 1 MiB, and where there are holes
  kBlocks,  // seeded XXH3-64 of each block of `unit_bytes`
  kChunks,  // content-defined chunks of `unit_bytes` on average with seeded XXH3-64, and kLeaves
  kExtents  // no signature but in its form: where the range's data lies (extent_list.h)
};

// One range of one file, or (length 0, want_xattrs) only the attributes of any object.
struct FileRequest {
  uint64_t id = 0;  // chosen by the destination, unique among those outstanding on the channel
  RelPath path;
  // Identity from the manifest. The source refuses another object, type, size or mtime (ReplyStatus::kChanged).
  FileType type = FileType::kRegular;
  FileId file;
  uint64_t size_bytes = 0;
  FileTime mtime;
  uint64_t offset = 0;
  uint64_t length = 0;
  bool want_xattrs = false;
  RequestKind kind = RequestKind::kContents;
  uint32_t unit_bytes = 0;  // kBlocks, kChunks
  // The object itself is enough: it may have another size and mtime, and move while it is read. kChanged then only
  // where another object has the name, or the file ends within the range.
  bool accept_moving = false;

  // For the object at `path` that `wanted` describes, without a range.
  static FileRequest Of(const RelPath& path, const Entry& wanted) {
    FileRequest request;
    request.path = path;
    request.type = wanted.type;
    request.file = wanted.id;
    request.size_bytes = wanted.type == FileType::kRegular ? wanted.size_bytes : 0;
    request.mtime = wanted.mtime;
    return request;
  }
};

enum class ReplyStatus : uint8_t { kOk = 1, kVanished, kChanged, kFailed };

// What a regular file is now, when it is no longer what the request described: with it the destination asks again.
// Owner and mode are no part of it: those of the manifest may have been mapped on the way.
struct CurrentFile {
  FileId file;
  uint64_t size_bytes = 0;
  FileTime mtime;
};

// Part of an answer. `bytes` of file content at `offset`, or a hole of `hole_length` bytes there; `end` closes the
// request.
struct ReplyItem {
  uint64_t id = 0;
  ReplyStatus status = ReplyStatus::kOk;
  int error = 0;  // errno of a failure, with `operation`
  std::string operation;
  uint64_t offset = 0;
  uint32_t data_length = 0;  // bytes in the message's payload, in item order
  uint64_t hole_length = 0;
  Digest128 digest;  // XXH3-128 of those bytes with the session's seed
  bool end = false;  // request complete: data and holes cover the asked range exactly (or status is not kOk)
  std::optional<XattrList> xattrs;  // with the first item of a request that wanted them
  // With kChanged, where a regular file is still there under that name.
  std::optional<CurrentFile> current;
};

struct RequestMessage {
  std::vector<FileRequest> requests;
};
struct ReplyMessage {
  std::vector<ReplyItem> items;
  // Contents of all items, in order, back to back: those in `payload`, then, in a message to be sent, the one that was
  // read into a buffer of its own and goes out from there. What is received has everything in `payload`.
  Payload payload;
  Buffer tail;
  size_t tail_length = 0;
  // Not 0, in a message to be sent: `payload` is one zstd frame of so many bytes of contents, and there is no tail.
  // What is received is always plain.
  size_t raw_length = 0;

  std::span<const std::byte> tail_bytes() const { return {tail.data(), tail_length}; }
  // Of the contents, compressed or not.
  size_t content_length() const { return raw_length > 0 ? raw_length : payload.size() + tail_length; }
};

// The destination's end of one data connection. One coroutine may send while another receives; both on one shard.
class RequestChannel {
 public:
  virtual ~RequestChannel() = default;
  // InvalidArgument: the message cannot be said; nothing of it was sent, and the channel is as good as before.
  virtual Task<absl::Status> Send(RequestMessage message) = 0;
  // OutOfRange at the peer's orderly end, Unavailable for a broken connection, InvalidArgument for malformed input.
  virtual Task<absl::StatusOr<ReplyMessage>> Receive() = 0;
  // Says that nothing more will be sent: the peer's Receive gives OutOfRange once it has taken everything. Counts as a
  // Send. A Close() without it may look like a broken connection to the peer.
  virtual Task<absl::Status> End() { co_return absl::OkStatus(); }
  // Ends both directions; waiting calls return soon. On the channel's shard.
  virtual void Close() = 0;
  // Bytes on the wire so far, both ways.
  virtual uint64_t wire_bytes() const = 0;
};

// The source's end.
class ReplyChannel {
 public:
  virtual ~ReplyChannel() = default;
  virtual Task<absl::StatusOr<RequestMessage>> Receive() = 0;
  // Any coroutine of the shard; messages do not interleave.
  virtual Task<absl::Status> Send(ReplyMessage message) = 0;
  // As RequestChannel::End.
  virtual Task<absl::Status> End() { co_return absl::OkStatus(); }
  virtual void Close() = 0;
};

}  // namespace uringsync
