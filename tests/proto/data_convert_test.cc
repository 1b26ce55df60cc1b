#include "proto/data_convert.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/status_matchers.h"
#include "uringsync/v1/data.pb.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

ConstBytes AsBytes(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

FileRequest Request(uint64_t id, const std::string& path) {
  FileRequest request;
  request.id = id;
  absl::StatusOr<RelPath> parsed = RelPath::Parse(path);
  EXPECT_OK(parsed);
  request.path = *parsed;
  request.file = {0xfedcba9876543210, 42 + id};
  request.size_bytes = 1000;
  request.mtime = {-5, 999'999'999};
  request.offset = 10;
  request.length = 20;
  request.want_xattrs = true;
  return request;
}

void ExpectSame(const FileRequest& a, const FileRequest& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.path, b.path);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.file, b.file);
  EXPECT_EQ(a.size_bytes, b.size_bytes);
  EXPECT_EQ(a.mtime, b.mtime);
  EXPECT_EQ(a.offset, b.offset);
  EXPECT_EQ(a.length, b.length);
  EXPECT_EQ(a.want_xattrs, b.want_xattrs);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.unit_bytes, b.unit_bytes);
  EXPECT_EQ(a.accept_moving, b.accept_moving);
}

std::vector<FileRequest> RoundTrip(const RequestMessage& message) {
  std::vector<FileRequest> all;
  absl::StatusOr<std::vector<std::string>> headers = EncodeRequests(message);
  EXPECT_OK(headers);
  for (const std::string& header : *headers) {
    EXPECT_LE(header.size(), kMaxFrameHeaderBytes);
    absl::StatusOr<RequestMessage> decoded = DecodeRequests(AsBytes(header));
    EXPECT_OK(decoded);
    if (decoded.ok()) all.insert(all.end(), decoded->requests.begin(), decoded->requests.end());
  }
  return all;
}

TEST(DataRequestsTest, EverythingOfARequestSurvives) {
  RequestMessage message;
  message.requests = {Request(1, "a/b/c"), Request(2, "a/b/d"), Request(3, "a/x"),
                      Request(4, ""),      Request(5, "top"),   Request(6, "weird \n\xff/\x01")};
  message.requests[1].type = FileType::kCharDevice;
  message.requests[2].accept_moving = true;
  const std::vector<FileRequest> decoded = RoundTrip(message);
  ASSERT_EQ(decoded.size(), message.requests.size());
  for (size_t i = 0; i < decoded.size(); ++i) ExpectSame(decoded[i], message.requests[i]);
}

// A request for a signature of a file of 1 TiB.
FileRequest SignatureRequest(RequestKind kind, uint64_t offset, uint64_t length, uint32_t unit_bytes) {
  FileRequest request = Request(7, "a/b");
  request.want_xattrs = false;
  request.kind = kind;
  request.size_bytes = uint64_t{1} << 40;
  request.offset = offset;
  request.length = length;
  request.unit_bytes = unit_bytes;
  return request;
}

TEST(DataRequestsTest, SignaturesOfEveryKindSurviveWithTheirUnits) {
  constexpr uint64_t kMib = uint64_t{1} << 20;
  RequestMessage message;
  message.requests = {SignatureRequest(RequestKind::kLeaves, 0, 1, 0),
                      SignatureRequest(RequestKind::kLeaves, 5 * kMib, 64 * kMib, 0),
                      SignatureRequest(RequestKind::kBlocks, 3, 1, 512),
                      SignatureRequest(RequestKind::kBlocks, 7 * kMib, kMib, 65536),
                      SignatureRequest(RequestKind::kChunks, 0, 64 * kMib, 16 << 10),
                      SignatureRequest(RequestKind::kChunks, (uint64_t{1} << 40) - kMib, kMib, 128 << 10)};
  const std::vector<FileRequest> decoded = RoundTrip(message);
  ASSERT_EQ(decoded.size(), message.requests.size());
  for (size_t i = 0; i < decoded.size(); ++i) ExpectSame(decoded[i], message.requests[i]);
}

TEST(DataRequestsTest, SignaturesThatBreakARuleAreRefusedOnTheirArrival) {
  constexpr uint64_t kMib = uint64_t{1} << 20;
  const std::pair<FileRequest, const char*> bad[] = {
      {SignatureRequest(RequestKind::kLeaves, 4096, kMib, 0), "within a leaf"},
      {SignatureRequest(RequestKind::kLeaves, 0, 64 * kMib + 1, 0), "longer than"},
      {SignatureRequest(RequestKind::kLeaves, 0, kMib, 512), "chunks of 512"},
      {SignatureRequest(RequestKind::kLeaves, 0, 0, 0), "outside"},
      {SignatureRequest(RequestKind::kLeaves, uint64_t{1} << 40, 1, 0), "outside"},
      {SignatureRequest(RequestKind::kBlocks, 0, kMib + 1, 512), "more than a leaf"},
      {SignatureRequest(RequestKind::kBlocks, 0, kMib, 0), "blocks of 0"},
      {SignatureRequest(RequestKind::kBlocks, 0, kMib, 256), "blocks of 256"},
      {SignatureRequest(RequestKind::kBlocks, 0, kMib, 131072), "blocks of 131072"},
      {SignatureRequest(RequestKind::kBlocks, 0, kMib, 5000), "blocks of 5000"},
      {SignatureRequest(RequestKind::kChunks, 0, kMib, 8 << 10), "chunks of 8192"},
      {SignatureRequest(RequestKind::kChunks, 0, kMib, 256 << 10), "chunks of 262144"},
      {SignatureRequest(RequestKind::kChunks, 0, kMib, 0), "chunks of 0"},
      {SignatureRequest(RequestKind::kChunks, 1, kMib, 16 << 10), "within a leaf"},
      {SignatureRequest(RequestKind::kContents, 0, kMib, 512), "unit"}};
  for (const auto& [request, why] : bad) {
    RequestMessage message;
    message.requests = {request};
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> headers, EncodeRequests(message));
    EXPECT_THAT(DecodeRequests(AsBytes(headers[0])), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  }
  RequestMessage message;
  message.requests = {SignatureRequest(RequestKind::kLeaves, 0, kMib, 0)};
  message.requests[0].type = FileType::kDirectory;
  ASSERT_OK_AND_ASSIGN(std::vector<std::string> headers, EncodeRequests(message));
  EXPECT_THAT(DecodeRequests(AsBytes(headers[0])), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("regular")));
  v1::DataRequests wire;
  ASSERT_TRUE(wire.ParseFromString(headers[0]));
  wire.mutable_requests(0)->set_type(v1::DATA_FILE_TYPE_REGULAR);
  wire.mutable_requests(0)->set_kind(static_cast<v1::DataRequestKind>(5));
  EXPECT_THAT(DecodeRequests(AsBytes(wire.SerializeAsString())),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no kind that is known: 5")));
}

TEST(DataRequestsTest, ExtentsMayBeAskedOfAnyRangeAndHaveNoUnit) {
  RequestMessage message;
  message.requests = {Request(1, "a")};
  FileRequest& request = message.requests[0];
  request.want_xattrs = false;
  request.kind = RequestKind::kExtents;
  request.size_bytes = uint64_t{1} << 40;
  request.length = request.size_bytes - request.offset;
  const std::vector<FileRequest> decoded = RoundTrip(message);
  ASSERT_EQ(decoded.size(), 1u);
  ExpectSame(decoded[0], request);
  EXPECT_EQ(decoded[0].kind, RequestKind::kExtents);
  ASSERT_OK_AND_ASSIGN(std::vector<std::string> headers, EncodeRequests(message));
  v1::DataRequests wire;
  ASSERT_TRUE(wire.ParseFromString(headers[0]));
  const auto refuse = [&wire](auto change) {
    v1::DataRequests bad = wire;
    change(bad.mutable_requests(0));
    return DecodeRequests(AsBytes(bad.SerializeAsString())).status();
  };
  EXPECT_THAT(refuse([](v1::DataRequest* r) { r->set_unit(512); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unit")));
  EXPECT_THAT(refuse([](v1::DataRequest* r) { r->set_length(r->length() + 1); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("outside")));
  EXPECT_THAT(refuse([](v1::DataRequest* r) { r->set_want_xattrs(true); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("attributes")));
}

TEST(DataRequestsTest, DirectoriesAreWrittenOnce) {
  RequestMessage message;
  for (uint64_t i = 0; i < 100; ++i)
    message.requests.push_back(Request(i, "some/long/way/down/file" + std::to_string(i)));
  ASSERT_OK_AND_ASSIGN(std::vector<std::string> headers, EncodeRequests(message));
  ASSERT_EQ(headers.size(), 1u);
  v1::DataRequests wire;
  ASSERT_TRUE(wire.ParseFromString(headers[0]));
  EXPECT_EQ(wire.directories_size(), 4);
}

TEST(DataRequestsTest, WhatDoesNotFitIntoOneFrameTakesSeveral) {
  RequestMessage message;
  for (uint64_t i = 0; i < 600; ++i) message.requests.push_back(Request(i, "f" + std::to_string(i)));
  EXPECT_EQ(RoundTrip(message).size(), 600u);
  // Long paths that share nothing: the header is the bound.
  message.requests.clear();
  for (uint64_t i = 0; i < 40; ++i) {
    std::string path = std::to_string(i);
    for (int depth = 0; depth < 100; ++depth) path += "/" + std::string(250, static_cast<char>('a' + i % 20));
    message.requests.push_back(Request(i, path));
  }
  const std::vector<FileRequest> decoded = RoundTrip(message);
  ASSERT_EQ(decoded.size(), message.requests.size());
  for (size_t i = 0; i < decoded.size(); ++i) EXPECT_EQ(decoded[i].path, message.requests[i].path);
}

TEST(DataRequestsTest, ThePathsOfTheLargestKindFit) {
  std::string longest(255, 'n');
  while (longest.size() + 256 <= kMaxRelPathBytes) longest += "/" + std::string(255, 'n');
  RequestMessage message;
  message.requests = {Request(1, longest), Request(2, longest), Request(3, longest), Request(4, longest),
                      Request(5, longest)};
  EXPECT_EQ(RoundTrip(message).size(), 5u);
  std::string deepest = "d";
  for (size_t i = 0; i < kMaxDirectoriesPerRequestMessage; ++i) deepest += "/d";
  message.requests = {Request(1, deepest)};
  EXPECT_EQ(RoundTrip(message).size(), 1u);
  message.requests = {Request(1, deepest + "/d")};
  EXPECT_THAT(EncodeRequests(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("65536")));
}

class MalformedRequestTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(wire_.ParseFromString(EncodeRequests({{Request(1, "a/b")}})->front()));
    EXPECT_OK(Decode());
  }
  absl::Status Decode() { return DecodeRequests(AsBytes(wire_.SerializeAsString())).status(); }
  void ExpectRefused(std::string_view why) {
    EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(why))));
  }
  v1::DataRequests wire_;
};

TEST_F(MalformedRequestTest, NamesThatLeadElsewhereAreRefused) {
  for (const std::string& name :
       {std::string(".."), std::string("."), std::string("a/b"), std::string("a\0b", 3), std::string(256, 'x')}) {
    wire_.mutable_requests(0)->set_name(name);
    EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kInvalidArgument));
    wire_.mutable_requests(0)->set_name("b");
    wire_.mutable_directories(0)->set_name(name);
    EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kInvalidArgument));
    wire_.mutable_directories(0)->set_name("a");
  }
  wire_.mutable_directories(0)->set_name("");
  EXPECT_THAT(Decode(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(MalformedRequestTest, ReferencesMustPointBackwards) {
  wire_.mutable_directories(0)->set_parent(1);
  ExpectRefused("before its parent");
  wire_.mutable_directories(0)->set_parent(0);
  wire_.mutable_requests(0)->set_directory(2);
  ExpectRefused("not in its message's table");
  wire_.mutable_requests(0)->set_directory(1);
  wire_.mutable_requests(0)->set_name("");
  ExpectRefused("no name");
}

TEST_F(MalformedRequestTest, NumbersOutOfRangeAreRefused) {
  wire_.mutable_requests(0)->set_offset(uint64_t{1} << 63);
  ExpectRefused("range");
  wire_.mutable_requests(0)->set_offset(uint64_t(INT64_MAX) - 5);
  ExpectRefused("range");
  wire_.mutable_requests(0)->set_offset(0);
  wire_.mutable_requests(0)->set_length(UINT64_MAX);
  ExpectRefused("range");
  wire_.mutable_requests(0)->set_length(0);
  wire_.mutable_requests(0)->set_mtime_nanoseconds(1'000'000'000);
  ExpectRefused("nanoseconds");
  wire_.mutable_requests(0)->set_mtime_nanoseconds(0);
  wire_.mutable_requests(0)->set_size(uint64_t{1} << 63);
  ExpectRefused("size");
  wire_.mutable_requests(0)->set_size(0);
  wire_.mutable_requests(0)->set_type(v1::DATA_FILE_TYPE_UNSPECIFIED);
  ExpectRefused("type");
}

TEST_F(MalformedRequestTest, ASmallTableCannotSpellOutEnormousPaths) {
  wire_.Clear();
  for (int i = 0; i < 4000; ++i) {
    v1::DataDirectory* directory = wire_.add_directories();
    directory->set_parent(static_cast<uint32_t>(i));
    directory->set_name(std::string(255, 'n'));
  }
  for (uint64_t i = 0; i < kMaxRequestsPerMessage; ++i) {
    v1::DataRequest* request = wire_.add_requests();
    request->set_id(i);
    request->set_directory(4000);
    request->set_name("x");
    request->set_type(v1::DATA_FILE_TYPE_REGULAR);
  }
  ExpectRefused("longer than 4194304 bytes together");
  for (int i = 4000; i < 4200; ++i) {
    v1::DataDirectory* directory = wire_.add_directories();
    directory->set_parent(static_cast<uint32_t>(i));
    directory->set_name(std::string(255, 'n'));
  }
  ExpectRefused("longer than 1048576 bytes");
}

TEST_F(MalformedRequestTest, CountsAreCheckedBeforeParsing) {
  wire_.Clear();
  for (size_t i = 0; i <= kMaxRequestsPerMessage; ++i) wire_.add_requests();
  ExpectRefused("more than 256 elements");
  // 65537 empty directories: two bytes each.
  std::string header;
  for (size_t i = 0; i <= kMaxDirectoriesPerRequestMessage; ++i) header += std::string("\x0a\x00", 2);
  EXPECT_THAT(DecodeRequests(AsBytes(header)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("more than 65536 elements")));
  for (const std::string& garbage :
       {std::string("\xff\xff\xff"), std::string("\x0a\x7f", 2), std::string("\x0b"), std::string("\x00", 1)}) {
    EXPECT_THAT(DecodeRequests(AsBytes(garbage)), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

// ---- replies
// ------------------------------------------------------------------------------------------------------------

ReplyItem Data(uint64_t id, uint64_t offset, uint32_t length) {
  ReplyItem item;
  item.id = id;
  item.offset = offset;
  item.data_length = length;
  item.digest = {id * 3, id * 5};
  return item;
}

ReplyMessage RoundTrip(const ReplyMessage& message, size_t* frames = nullptr) {
  ReplyMessage all;
  absl::StatusOr<std::vector<EncodedReply>> encoded = EncodeReplies(message);
  EXPECT_OK(encoded);
  if (frames != nullptr) *frames = encoded->size();
  for (const EncodedReply& frame : *encoded) {
    EXPECT_LE(frame.header.size(), kMaxFrameHeaderBytes);
    EXPECT_LE(frame.payload_length, kMaxFramePayloadBytes);
    EXPECT_EQ(frame.payload_begin, all.payload.size());
    absl::StatusOr<ReplyMessage> decoded = DecodeReplies(AsBytes(frame.header), frame.payload_length);
    EXPECT_OK(decoded);
    if (!decoded.ok()) return all;
    all.items.insert(all.items.end(), decoded->items.begin(), decoded->items.end());
    all.payload.resize(all.payload.size() + frame.payload_length);
  }
  EXPECT_EQ(all.payload.size(), message.payload.size());
  return all;
}

TEST(DataRepliesTest, EverythingOfAReplySurvives) {
  ReplyMessage message;
  message.items.push_back(Data(1, 0, 100));
  message.items[0].xattrs = XattrList{{"security.x", std::string("\0\1", 2)}, {"user.a", ""}};
  ReplyItem hole;
  hole.id = 1;
  hole.offset = 100;
  hole.hole_length = uint64_t{1} << 40;
  hole.end = true;
  message.items.push_back(hole);
  ReplyItem failed;
  failed.id = 2;
  failed.status = ReplyStatus::kFailed;
  failed.error = 13;
  failed.operation = "openat2";
  failed.end = true;
  message.items.push_back(failed);
  message.items.push_back(Data(3, 7, 50));
  message.payload.resize(150);
  const ReplyMessage decoded = RoundTrip(message);
  ASSERT_EQ(decoded.items.size(), 4u);
  EXPECT_EQ(decoded.items[0].digest, message.items[0].digest);
  ASSERT_TRUE(decoded.items[0].xattrs.has_value());
  EXPECT_EQ(*decoded.items[0].xattrs, *message.items[0].xattrs);
  EXPECT_FALSE(decoded.items[1].xattrs.has_value());
  EXPECT_EQ(decoded.items[1].hole_length, hole.hole_length);
  EXPECT_TRUE(decoded.items[1].end);
  EXPECT_EQ(decoded.items[2].status, ReplyStatus::kFailed);
  EXPECT_EQ(decoded.items[2].error, 13);
  EXPECT_EQ(decoded.items[2].operation, "openat2");
  EXPECT_EQ(decoded.items[3].offset, 7u);
}

TEST(DataRepliesTest, WhatAChangedFileIsNowSurvivesAndIsChecked) {
  ReplyMessage message;
  ReplyItem& item = message.items.emplace_back();
  item.id = 4;
  item.status = ReplyStatus::kChanged;
  item.end = true;
  item.current = CurrentFile{{8, 9}, uint64_t{1} << 40, FileTime{-7, 999'999'999}};
  const ReplyMessage decoded = RoundTrip(message);
  ASSERT_EQ(decoded.items.size(), 1u);
  ASSERT_TRUE(decoded.items[0].current.has_value());
  EXPECT_EQ(decoded.items[0].current->file, item.current->file);
  EXPECT_EQ(decoded.items[0].current->size_bytes, item.current->size_bytes);
  EXPECT_EQ(decoded.items[0].current->mtime, item.current->mtime);
  ASSERT_OK_AND_ASSIGN(const std::vector<EncodedReply> encoded, EncodeReplies(message));
  v1::DataReplies wire;
  ASSERT_TRUE(wire.ParseFromString(encoded[0].header));
  const auto refused = [&wire](const char* why) {
    EXPECT_THAT(DecodeReplies(AsBytes(wire.SerializeAsString()), 0).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  wire.mutable_items(0)->mutable_current()->set_mtime_nanoseconds(1'000'000'000);
  refused("nanoseconds");
  wire.mutable_items(0)->mutable_current()->set_size(uint64_t{1} << 63);
  refused("beyond 2^63-1");
  wire.mutable_items(0)->set_status(v1::DATA_STATUS_VANISHED);
  refused("not about a change");
}

TEST(DataRepliesTest, AskedForAndNoneIsNotTheSameAsNotAsked) {
  ReplyMessage message;
  message.items.push_back(Data(1, 0, 0));
  message.items[0].xattrs.emplace();
  EXPECT_TRUE(RoundTrip(message).items[0].xattrs.has_value());
}

TEST(DataRepliesTest, WhatDoesNotFitIntoOneFrameTakesSeveral) {
  ReplyMessage message;
  for (uint64_t i = 0; i < 5; ++i) message.items.push_back(Data(i, 0, kMaxPieceBytes));
  message.payload.resize(5 * size_t{kMaxPieceBytes});
  size_t frames = 0;
  EXPECT_EQ(RoundTrip(message, &frames).items.size(), 5u);
  EXPECT_EQ(frames, 3u);
  // Each item with the most attributes that an object may have.
  ReplyMessage attributes;
  for (uint64_t i = 0; i < 4; ++i) {
    attributes.items.push_back(Data(i, 0, 0));
    XattrList& list = attributes.items.back().xattrs.emplace();
    for (int n = 0; n < 15; ++n)
      list.push_back({"user." + std::string(1, static_cast<char>('a' + n)), std::string(65536, 'v')});
  }
  EXPECT_EQ(RoundTrip(attributes, &frames).items.size(), 4u);
  EXPECT_GE(frames, 3u);
}

class MalformedReplyTest : public testing::Test {
 protected:
  void SetUp() override {
    v1::DataReply* item = wire_.add_items();
    item->set_status(v1::DATA_STATUS_OK);
    item->set_data_length(10);
    EXPECT_OK(Decode(10));
  }
  absl::Status Decode(size_t payload) { return DecodeReplies(AsBytes(wire_.SerializeAsString()), payload).status(); }
  void ExpectRefused(std::string_view why, size_t payload = 10) {
    EXPECT_THAT(Decode(payload), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(why))));
  }
  v1::DataReplies wire_;
};

TEST_F(MalformedReplyTest, ContentMustFitThePayload) {
  ExpectRefused("10 bytes of content, its payload has 9", 9);
  ExpectRefused("10 bytes of content, its payload has 0", 0);
  wire_.mutable_items(0)->set_data_length(kMaxPieceBytes + 1);
  ExpectRefused("beyond the limit of 1048576");
}

TEST_F(MalformedReplyTest, ContradictionsAreRefused) {
  wire_.mutable_items(0)->set_hole_length(5);
  ExpectRefused("both data and a hole");
  wire_.mutable_items(0)->set_hole_length(0);
  wire_.mutable_items(0)->set_status(v1::DATA_STATUS_FAILED);
  ExpectRefused("carries content");
  wire_.mutable_items(0)->set_status(v1::DATA_STATUS_UNSPECIFIED);
  ExpectRefused("status");
  wire_.mutable_items(0)->set_status(v1::DATA_STATUS_OK);
  wire_.mutable_items(0)->set_offset(INT64_MAX);
  ExpectRefused("range");
  wire_.mutable_items(0)->set_offset(0);
  wire_.mutable_items(0)->set_error(5000);
  ExpectRefused("errno");
  wire_.mutable_items(0)->set_error(0);
  wire_.mutable_items(0)->set_operation(std::string(65, 'o'));
  ExpectRefused("operation");
}

TEST_F(MalformedReplyTest, AttributesHaveBounds) {
  v1::DataXattrs* xattrs = wire_.mutable_items(0)->mutable_xattrs();
  v1::DataXattr* xattr = xattrs->add_xattrs();
  ExpectRefused("name of an extended attribute");
  xattr->set_name(std::string("a\0b", 3));
  ExpectRefused("name of an extended attribute");
  xattr->set_name("user.b");
  xattr->set_value(std::string(65537, 'v'));
  ExpectRefused("longer than 65536");
  xattr->set_value("");
  xattrs->add_xattrs()->set_name("user.a");
  ExpectRefused("not sorted");
  xattrs->mutable_xattrs(1)->set_name("user.b");
  ExpectRefused("not unique");
  xattrs->Clear();
  for (size_t i = 0; i <= kMaxXattrsPerReplyMessage; ++i) xattrs->add_xattrs();
  ExpectRefused("more than 16384 elements");
}

TEST_F(MalformedReplyTest, EncodingTheSameIsRefusedAtTheSender) {
  ReplyMessage message;
  message.items.push_back(Data(1, 0, 10));
  message.payload.resize(9);
  EXPECT_THAT(EncodeReplies(message), StatusIs(absl::StatusCode::kInvalidArgument));
}

// ---- hello
// --------------------------------------------------------------------------------------------------------------

TEST(DataHelloTest, SurvivesAndIsChecked) {
  DataHello hello;
  hello.session.fill(7);
  hello.token.fill(9);
  hello.role = Role::kSource;
  ASSERT_OK_AND_ASSIGN(DataHello decoded, DecodeDataHello(AsBytes(EncodeDataHello(hello))));
  EXPECT_EQ(decoded.session, hello.session);
  EXPECT_EQ(decoded.token, hello.token);
  EXPECT_EQ(decoded.role, Role::kSource);
  EXPECT_EQ(decoded.version, kProtocolVersion);
  v1::DataHello wire;
  ASSERT_TRUE(wire.ParseFromString(EncodeDataHello(hello)));
  wire.set_token("short");
  EXPECT_THAT(DecodeDataHello(AsBytes(wire.SerializeAsString())),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("token")));
  wire.set_token(std::string(32, 'x'));
  wire.set_role(v1::DATA_ROLE_UNSPECIFIED);
  EXPECT_THAT(DecodeDataHello(AsBytes(wire.SerializeAsString())),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("role")));
}

TEST(DataHelloTest, ALongErrorIsCutBetweenCharacters) {
  std::string error(kMaxHelloErrorBytes - 1, 'x');
  error += "\xc3\xa4 and more";
  ASSERT_OK_AND_ASSIGN(DataHelloReply reply,
                       DecodeDataHelloReply(AsBytes(EncodeDataHelloReply({.ok = false, .error = error}))));
  EXPECT_EQ(reply.error.size(), kMaxHelloErrorBytes - 1);
}

TEST(TokenTest, OnlyEqualTokensAreEqual) {
  SessionToken a{};
  SessionToken b{};
  EXPECT_TRUE(TokensEqual(a, b));
  b[31] = 1;
  EXPECT_FALSE(TokensEqual(a, b));
}

}  // namespace
}  // namespace uringsync
