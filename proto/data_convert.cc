#include "proto/data_convert.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <map>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/transfer/compressor.h"
#include "engine/transfer/signature_request.h"
#include "proto/data_wire_count.h"
#include "uringsync/v1/data.pb.h"

namespace uringsync {

namespace {

constexpr uint64_t kMaxOffset = static_cast<uint64_t>(INT64_MAX);
constexpr uint32_t kNanosecondsPerSecond = 1'000'000'000;
constexpr int kMaxErrno = 4095;
// A frame is closed by the encoder at this header size; one more item of the largest kind (1 MiB of attributes) still
// fits.
constexpr size_t kHeaderSoftBytes = size_t{256} << 10;

absl::Status Invalid(const std::string& text) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, text);
}
absl::Status TooMany(const char* what, size_t count, size_t limit) {
  return Invalid(std::to_string(count) + " " + what + " in one message are beyond the limit of " +
                 std::to_string(limit));
}

bool RangeFits(uint64_t offset, uint64_t length) {
  return offset <= kMaxOffset && length <= kMaxOffset - offset;
}

template <typename Message>
absl::Status Parse(ConstBytes header, Message* message) {
  if (!message->ParseFromArray(header.data(), static_cast<int>(header.size()))) {
    return Invalid("a frame header is no valid " + message->GetTypeName());
  }
  return absl::OkStatus();
}

// A message of many small ones: on an arena they are not allocated one by one.
template <typename Message>
Message* MakeOn(google::protobuf::Arena* arena) {
  return google::protobuf::Arena::CreateMessage<Message>(arena);
}

// ---- paths
// ---------------------------------------------------------------------------------------------------------------

// Assigns table places to directories, parents first.
class DirectoryTableWriter {
 public:
  explicit DirectoryTableWriter(v1::DataRequests* message) : message_(message) {}

  // 1-based place of `directory`; 0 for the root. Adds what is missing.
  uint32_t Place(std::string directory) {
    // Requests mostly come directory by directory.
    if (directory == last_directory_) return last_place_;
    uint32_t place = 0;
    size_t end = 0;
    while (end < directory.size()) {
      const size_t begin = end == 0 ? 0 : end + 1;
      end = std::min(directory.find('/', begin), directory.size());
      place = PlaceOf(directory, begin, end, place);
    }
    last_directory_ = std::move(directory);
    last_place_ = place;
    return place;
  }
  size_t bytes() const { return bytes_; }

 private:
  uint32_t PlaceOf(const std::string& directory, size_t begin, size_t end, uint32_t parent) {
    std::string name = directory.substr(begin, end - begin);
    auto [at, added] = places_.try_emplace({parent, name}, 0);
    if (added) {
      v1::DataDirectory* entry = message_->add_directories();
      entry->set_parent(parent);
      bytes_ += name.size() + kEntryOverhead;
      entry->set_name(std::move(name));
      at->second = static_cast<uint32_t>(message_->directories_size());
    }
    return at->second;
  }

  static constexpr size_t kEntryOverhead = 16;  // more than tags, lengths and the parent take
  v1::DataRequests* message_;
  std::map<std::pair<uint32_t, std::string>, uint32_t> places_;
  std::string last_directory_;
  uint32_t last_place_ = 0;
  size_t bytes_ = 0;
};

// Checks a table and spells out the directories that are used. Only those: a small table can describe enormous paths.
class DirectoryTableReader {
 public:
  static absl::StatusOr<DirectoryTableReader> Make(const v1::DataRequests& message) {
    DirectoryTableReader reader(message);
    reader.lengths_.reserve(static_cast<size_t>(message.directories_size()));
    for (int i = 0; i < message.directories_size(); ++i) {
      const v1::DataDirectory& entry = message.directories(i);
      US_RETURN_IF_ERROR(ValidateName(entry.name()));
      if (entry.parent() > static_cast<uint32_t>(i))
        return Invalid("a directory stands before its parent in a message's table");
      const size_t above = entry.parent() == 0 ? 0 : reader.lengths_[entry.parent() - 1] + 1;
      const size_t length = above + entry.name().size();
      if (length > kMaxRelPathBytes)
        return Invalid("a path is longer than " + std::to_string(kMaxRelPathBytes) + " bytes");
      reader.lengths_.push_back(length);
    }
    return reader;
  }

  // Path of `name` in directory `place`; adds its length to what the message has spelled out so far.
  absl::StatusOr<RelPath> Spell(uint32_t place, const std::string& name) {
    if (place > lengths_.size()) return Invalid("a request names a directory that is not in its message's table");
    if (name.empty()) {
      if (place != 0) return Invalid("a request has no name");
      return RelPath();
    }
    US_RETURN_IF_ERROR(ValidateName(name));
    const size_t above = place == 0 ? 0 : lengths_[place - 1] + 1;
    spelled_ += above + name.size();
    if (above + name.size() > kMaxRelPathBytes) {
      return Invalid("a path is longer than " + std::to_string(kMaxRelPathBytes) + " bytes");
    }
    if (spelled_ > kMaxPathBytesPerMessage) {
      return Invalid("the paths of one message are longer than " + std::to_string(kMaxPathBytesPerMessage) +
                     " bytes together");
    }
    std::string text(above + name.size(), '/');
    text.replace(above, name.size(), name);
    size_t end = above;
    for (uint32_t at = place; at != 0; at = message_->directories(static_cast<int>(at - 1)).parent()) {
      const std::string& component = message_->directories(static_cast<int>(at - 1)).name();
      end -= component.size() + 1;
      text.replace(end, component.size(), component);
    }
    return RelPath::Parse(text);
  }

 private:
  explicit DirectoryTableReader(const v1::DataRequests& message) : message_(&message) {}
  const v1::DataRequests* message_;
  std::vector<size_t> lengths_;  // of each directory's path, bytes
  size_t spelled_ = 0;
};

// ---- requests
// -----------------------------------------------------------------------------------------------------------

void RequestToWire(const FileRequest& request, uint32_t directory, v1::DataRequest* wire) {
  wire->set_id(request.id);
  wire->set_directory(directory);
  wire->set_name(std::string(request.path.name()));
  wire->set_type(static_cast<v1::DataFileType>(request.type));
  wire->set_device(request.file.device);
  wire->set_inode(request.file.inode);
  wire->set_size(request.size_bytes);
  wire->set_mtime_seconds(request.mtime.seconds);
  wire->set_mtime_nanoseconds(request.mtime.nanoseconds);
  wire->set_offset(request.offset);
  wire->set_length(request.length);
  wire->set_want_xattrs(request.want_xattrs);
  wire->set_kind(static_cast<v1::DataRequestKind>(request.kind));
  wire->set_unit(request.unit_bytes);
  wire->set_accept_moving(request.accept_moving);
}

absl::StatusOr<FileRequest> RequestFromWire(const v1::DataRequest& wire, DirectoryTableReader* table) {
  FileRequest request;
  request.id = wire.id();
  US_ASSIGN_OR_RETURN(request.path, table->Spell(wire.directory(), wire.name()));
  if (wire.type() < v1::DATA_FILE_TYPE_REGULAR || wire.type() > v1::DATA_FILE_TYPE_CHARACTER_DEVICE) {
    return Invalid("a request has no file type that is known: " + std::to_string(wire.type()));
  }
  request.type = static_cast<FileType>(wire.type());
  request.file = {wire.device(), wire.inode()};
  request.size_bytes = wire.size();
  request.mtime = {wire.mtime_seconds(), wire.mtime_nanoseconds()};
  request.offset = wire.offset();
  request.length = wire.length();
  request.want_xattrs = wire.want_xattrs();
  if (request.size_bytes > kMaxOffset) return Invalid("a request tells a file size beyond 2^63-1");
  if (request.mtime.nanoseconds >= kNanosecondsPerSecond)
    return Invalid("a request tells a time with too many nanoseconds");
  if (!RangeFits(request.offset, request.length)) return Invalid("a request's range ends beyond 2^63-1");
  if (wire.kind() < v1::DATA_REQUEST_KIND_CONTENTS || wire.kind() > v1::DATA_REQUEST_KIND_EXTENTS) {
    return Invalid("a request is of no kind that is known: " + std::to_string(wire.kind()));
  }
  request.kind = static_cast<RequestKind>(wire.kind());
  request.unit_bytes = wire.unit();
  request.accept_moving = wire.accept_moving();
  US_RETURN_IF_ERROR(CheckSignatureRequest(request));
  return request;
}

// Upper bound of what one request adds to a header besides its directories.
size_t RequestBytes(const FileRequest& request) {
  return request.path.name().size() + 128;
}

absl::Status CheckDepth(const FileRequest& request) {
  if (request.path.depth() <= kMaxDirectoriesPerRequestMessage + 1) return absl::OkStatus();
  return Invalid("a path has more than " + std::to_string(kMaxDirectoriesPerRequestMessage) + " directories above it");
}

// ---- replies
// ------------------------------------------------------------------------------------------------------------

absl::Status CheckReplyItem(const ReplyItem& item) {
  if (item.data_length > kMaxPieceBytes) {
    return Invalid("a piece of " + std::to_string(item.data_length) + " bytes is beyond the limit of " +
                   std::to_string(kMaxPieceBytes));
  }
  if (item.data_length > 0 && item.hole_length > 0) return Invalid("a reply has both data and a hole");
  if (!RangeFits(item.offset, item.data_length) || !RangeFits(item.offset, item.hole_length)) {
    return Invalid("a reply's range ends beyond 2^63-1");
  }
  if (item.status != ReplyStatus::kOk && (item.data_length > 0 || item.hole_length > 0)) {
    return Invalid("a reply that failed carries content");
  }
  if (item.error < 0 || item.error > kMaxErrno) return Invalid("a reply's errno is out of range");
  if (item.operation.size() > kMaxOperationBytes) return Invalid("a reply's operation is too long");
  return absl::OkStatus();
}

absl::Status CheckXattrs(const XattrList& xattrs) {
  if (xattrs.size() > kMaxXattrsPerObject) return TooMany("extended attributes", xattrs.size(), kMaxXattrsPerObject);
  size_t total = 0;
  for (size_t i = 0; i < xattrs.size(); ++i) {
    const Xattr& xattr = xattrs[i];
    if (xattr.name.empty() || xattr.name.size() > kMaxNameBytes || xattr.name.find('\0') != std::string::npos) {
      return Invalid("the name of an extended attribute must have 1 to 255 bytes and no NUL");
    }
    if (xattr.value.size() > kMaxXattrValueBytes) return Invalid("an extended attribute is longer than 65536 bytes");
    if (i > 0 && xattrs[i - 1].name >= xattr.name) return Invalid("extended attributes are not sorted, or not unique");
    total += xattr.name.size() + xattr.value.size();
  }
  if (total > kMaxXattrBytesPerObject) {
    return Invalid("the extended attributes of one object are longer than " + std::to_string(kMaxXattrBytesPerObject) +
                   " bytes");
  }
  return absl::OkStatus();
}

absl::StatusOr<CurrentFile> CurrentFromWire(const v1::DataReply& reply) {
  const v1::DataCurrentFile& wire = reply.current();
  if (reply.status() != v1::DATA_STATUS_CHANGED) return Invalid("a reply that is not about a change tells what is new");
  if (wire.size() > kMaxOffset) return Invalid("a reply tells a file size beyond 2^63-1");
  if (wire.mtime_nanoseconds() >= kNanosecondsPerSecond)
    return Invalid("a reply tells a time with too many nanoseconds");
  return CurrentFile{
      {wire.device(), wire.inode()}, wire.size(), FileTime{wire.mtime_seconds(), wire.mtime_nanoseconds()}};
}

void ReplyToWire(const ReplyItem& item, v1::DataReply* wire) {
  wire->set_id(item.id);
  wire->set_status(static_cast<v1::DataStatus>(item.status));
  wire->set_error(static_cast<uint32_t>(item.error));
  wire->set_operation(item.operation);
  wire->set_offset(item.offset);
  wire->set_data_length(item.data_length);
  wire->set_hole_length(item.hole_length);
  wire->set_digest_low(item.digest.low);
  wire->set_digest_high(item.digest.high);
  wire->set_end(item.end);
  if (item.current) {
    v1::DataCurrentFile* current = wire->mutable_current();
    current->set_device(item.current->file.device);
    current->set_inode(item.current->file.inode);
    current->set_size(item.current->size_bytes);
    current->set_mtime_seconds(item.current->mtime.seconds);
    current->set_mtime_nanoseconds(item.current->mtime.nanoseconds);
  }
  if (!item.xattrs) return;
  v1::DataXattrs* xattrs = wire->mutable_xattrs();
  for (const Xattr& xattr : *item.xattrs) {
    v1::DataXattr* entry = xattrs->add_xattrs();
    entry->set_name(xattr.name);
    entry->set_value(xattr.value);
  }
}

absl::StatusOr<ReplyItem> ReplyFromWire(const v1::DataReply& wire) {
  if (wire.status() < v1::DATA_STATUS_OK || wire.status() > v1::DATA_STATUS_FAILED) {
    return Invalid("a reply has no status that is known: " + std::to_string(wire.status()));
  }
  if (wire.error() > kMaxErrno) return Invalid("a reply's errno is out of range");
  ReplyItem item;
  item.id = wire.id();
  item.status = static_cast<ReplyStatus>(wire.status());
  item.error = static_cast<int>(wire.error());
  item.operation = wire.operation();
  item.offset = wire.offset();
  item.data_length = wire.data_length();
  item.hole_length = wire.hole_length();
  item.digest = {wire.digest_low(), wire.digest_high()};
  item.end = wire.end();
  US_RETURN_IF_ERROR(CheckReplyItem(item));
  if (wire.has_current()) {
    US_ASSIGN_OR_RETURN(item.current, CurrentFromWire(wire));
  }
  if (wire.has_xattrs()) {
    XattrList& xattrs = item.xattrs.emplace();
    xattrs.reserve(static_cast<size_t>(wire.xattrs().xattrs_size()));
    for (const v1::DataXattr& entry : wire.xattrs().xattrs()) xattrs.push_back({entry.name(), entry.value()});
    US_RETURN_IF_ERROR(CheckXattrs(xattrs));
  }
  return item;
}

size_t XattrCount(const ReplyItem& item) {
  return item.xattrs ? item.xattrs->size() : 0;
}

// Upper bound of what one item adds to a header.
size_t ReplyBytes(const ReplyItem& item) {
  size_t bytes = 192 + item.operation.size();
  if (item.xattrs) {
    for (const Xattr& xattr : *item.xattrs) bytes += xattr.name.size() + xattr.value.size() + 16;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> EncodeRequests(const RequestMessage& message) {
  std::vector<std::string> headers;
  size_t next = 0;
  while (next < message.requests.size()) {
    google::protobuf::Arena arena;
    v1::DataRequests& wire = *MakeOn<v1::DataRequests>(&arena);
    DirectoryTableWriter table(&wire);
    size_t bytes = 0;
    size_t path_bytes = 0;
    // The first request always goes in; the next ones as long as no bound can be reached.
    while (next < message.requests.size()) {
      const FileRequest& request = message.requests[next];
      US_RETURN_IF_ERROR(CheckDepth(request));
      const size_t depth = request.path.depth();
      const size_t most = bytes + table.bytes() + RequestBytes(request) + request.path.text().size() + 16 * depth;
      const bool full = wire.requests_size() >= static_cast<int>(kMaxRequestsPerMessage) || most > kHeaderSoftBytes ||
                        path_bytes + request.path.text().size() > kMaxPathBytesPerMessage ||
                        static_cast<size_t>(wire.directories_size()) + depth > kMaxDirectoriesPerRequestMessage;
      if (full && wire.requests_size() > 0) break;
      const uint32_t directory = table.Place(request.path.Parent().text());
      RequestToWire(request, directory, wire.add_requests());
      bytes += RequestBytes(request);
      path_bytes += request.path.text().size();
      ++next;
    }
    headers.push_back(wire.SerializeAsString());
    if (headers.back().size() > kMaxFrameHeaderBytes) {
      return Invalid("a request's path does not fit into a frame header of " + std::to_string(kMaxFrameHeaderBytes) +
                     " bytes");
    }
  }
  return headers;
}

absl::StatusOr<RequestMessage> DecodeRequests(ConstBytes header) {
  US_RETURN_IF_ERROR(
      CheckWireCounts(header, {{v1::DataRequests::kDirectoriesFieldNumber, kMaxDirectoriesPerRequestMessage},
                               {v1::DataRequests::kRequestsFieldNumber, kMaxRequestsPerMessage}}));
  google::protobuf::Arena arena;
  v1::DataRequests& wire = *MakeOn<v1::DataRequests>(&arena);
  US_RETURN_IF_ERROR(Parse(header, &wire));
  US_ASSIGN_OR_RETURN(DirectoryTableReader table, DirectoryTableReader::Make(wire));
  RequestMessage message;
  message.requests.reserve(static_cast<size_t>(wire.requests_size()));
  for (const v1::DataRequest& request : wire.requests()) {
    US_ASSIGN_OR_RETURN(FileRequest value, RequestFromWire(request, &table));
    message.requests.push_back(std::move(value));
  }
  return message;
}

absl::StatusOr<std::vector<EncodedReply>> EncodeReplies(const ReplyMessage& message) {
  std::vector<EncodedReply> frames;
  size_t next = 0;
  size_t payload_at = 0;
  while (next < message.items.size()) {
    google::protobuf::Arena arena;
    v1::DataReplies& wire = *MakeOn<v1::DataReplies>(&arena);
    EncodedReply frame{.header = "", .payload_begin = payload_at, .payload_length = 0};
    size_t bytes = 0;
    size_t xattrs = 0;
    while (next < message.items.size()) {
      const ReplyItem& item = message.items[next];
      US_RETURN_IF_ERROR(CheckReplyItem(item));
      if (item.xattrs) US_RETURN_IF_ERROR(CheckXattrs(*item.xattrs));
      const bool full = wire.items_size() >= static_cast<int>(kMaxItemsPerReplyMessage) ||
                        bytes + ReplyBytes(item) > kHeaderSoftBytes ||
                        xattrs + XattrCount(item) > kMaxXattrsPerReplyMessage ||
                        frame.payload_length + item.data_length > kMaxFramePayloadBytes;
      if (full && wire.items_size() > 0) break;
      ReplyToWire(item, wire.add_items());
      bytes += ReplyBytes(item);
      xattrs += XattrCount(item);
      frame.payload_length += item.data_length;
      ++next;
    }
    payload_at += frame.payload_length;
    if (message.raw_length > 0) {
      // A frame of zstd is not to be cut: whoever compresses keeps the message small enough.
      if (next < message.items.size()) return Invalid("a compressed reply does not fit into one frame");
      wire.set_compression(v1::DATA_COMPRESSION_ZSTD);
      frame.payload_length = message.payload.size();
    }
    frame.header = wire.SerializeAsString();
    frames.push_back(std::move(frame));
  }
  if (payload_at != message.content_length()) {
    return Invalid("the items of a reply have " + std::to_string(payload_at) + " bytes of content, its payload has " +
                   std::to_string(message.content_length()));
  }
  return frames;
}

absl::StatusOr<ReplyMessage> DecodeReplies(ConstBytes header, size_t payload_length) {
  US_RETURN_IF_ERROR(CheckWireCounts(header, {{v1::DataReplies::kItemsFieldNumber, kMaxItemsPerReplyMessage}}));
  US_RETURN_IF_ERROR(CheckNestedWireCount(
      header,
      {v1::DataReplies::kItemsFieldNumber, v1::DataReply::kXattrsFieldNumber, v1::DataXattrs::kXattrsFieldNumber},
      kMaxXattrsPerReplyMessage));
  google::protobuf::Arena arena;
  v1::DataReplies& wire = *MakeOn<v1::DataReplies>(&arena);
  US_RETURN_IF_ERROR(Parse(header, &wire));
  ReplyMessage message;
  message.items.reserve(static_cast<size_t>(wire.items_size()));
  size_t content = 0;
  for (const v1::DataReply& item : wire.items()) {
    US_ASSIGN_OR_RETURN(ReplyItem value, ReplyFromWire(item));
    content += value.data_length;
    message.items.push_back(std::move(value));
  }
  if (wire.compression() == v1::DATA_COMPRESSION_ZSTD) {
    US_RETURN_IF_ERROR(CheckCompressedLengths(payload_length, content));
    message.raw_length = content;
    return message;
  }
  if (wire.compression() != v1::DATA_COMPRESSION_NONE) {
    return Invalid("unknown compression " + std::to_string(wire.compression()));
  }
  if (content != payload_length) {
    return Invalid("the items of a reply have " + std::to_string(content) + " bytes of content, its payload has " +
                   std::to_string(payload_length));
  }
  return message;
}

}  // namespace uringsync
