#include <utility>

#include "tests/hostile/lies.h"

namespace uringsync::hostile {
namespace {

constexpr uint8_t kHelloReply = 2;
constexpr uint8_t kRequests = 3;
constexpr uint8_t kReplies = 4;
using More = std::vector<DataFrame>;

// The first frame with contents.
DataLie OfReplies(std::string name, std::function<void(v1::DataReplies* replies, DataFrame* frame)> tell) {
  return {.name = std::move(name), .of_source = true, .tell = [tell](DataFrame* frame, More*) {
            if (frame->type != kReplies) return;
            v1::DataReplies replies;
            replies.ParseFromString(frame->header);
            if (replies.items_size() > 0) tell(&replies, frame);
            frame->header = replies.SerializeAsString();
          }};
}

DataLie OfRequests(std::string name, std::function<void(v1::DataRequests* requests)> tell) {
  return {.name = std::move(name), .of_source = false, .tell = [tell](DataFrame* frame, More*) {
            if (frame->type != kRequests) return;
            v1::DataRequests requests;
            requests.ParseFromString(frame->header);
            if (requests.requests_size() > 0) tell(&requests);
            frame->header = requests.SerializeAsString();
          }};
}

DataLie Forged(std::string name, bool of_source, uint32_t header_length, uint32_t payload_length) {
  return {.name = std::move(name), .of_source = of_source, .tell = [=](DataFrame* frame, More*) {
            if (frame->type < kRequests) return;
            frame->forged = true;
            frame->header_length = header_length;
            frame->payload_length = payload_length;
          }};
}

std::vector<DataLie> OfSources() {
  std::vector<DataLie> lies = {
      OfReplies("wrong-digests", [](auto* r, DataFrame*) { r->mutable_items(0)->set_digest_low(r->items(0).digest_low() ^ 1); }),
      OfReplies("other-bytes", [](auto*, DataFrame* f) {
        if (!f->payload.empty()) f->payload[0] ^= 0x20;
      }),
      OfReplies("an-offset-beyond-the-range", [](auto* r, DataFrame*) { r->mutable_items(0)->set_offset(1u << 30); }),
      OfReplies("lengths-that-do-not-add-up", [](auto* r, DataFrame*) { r->mutable_items(0)->set_data_length(1u << 20); }),
      OfReplies("an-answer-to-nothing", [](auto* r, DataFrame*) { r->mutable_items(0)->set_id(987654321); }),
      OfReplies("an-answer-twice", [](auto* r, DataFrame*) { *r->add_items() = v1::DataReply(r->items(0)); }),
      OfReplies("a-hole-without-end",
                [](auto* r, DataFrame* f) {
                  r->mutable_items(0)->set_hole_length(uint64_t{1} << 62);
                  r->mutable_items(0)->set_data_length(0);
                  f->payload.clear();
                }),
      OfReplies("an-end-too-soon",
                [](auto* r, DataFrame* f) {
                  r->mutable_items(0)->set_data_length(0);
                  r->mutable_items(0)->set_end(true);
                  f->payload.clear();
                }),
      OfReplies("a-status-of-no-kind",
                [](auto* r, DataFrame*) { r->mutable_items(0)->set_status(static_cast<v1::DataStatus>(99)); }),
      OfReplies("attributes-unsorted",
                [](auto* r, DataFrame*) {
                  auto* xattrs = r->mutable_items(0)->mutable_xattrs();
                  xattrs->add_xattrs()->set_name("user.b");
                  xattrs->add_xattrs()->set_name("user.a");
                }),
      OfReplies("attributes-with-nul",
                [](auto* r, DataFrame*) {
                  r->mutable_items(0)->mutable_xattrs()->add_xattrs()->set_name(std::string("user.\0x", 7));
                }),
      OfReplies("attributes-that-nobody-asked-for",
                [](auto* r, DataFrame*) {
                  auto* xattr = r->mutable_items(0)->mutable_xattrs()->add_xattrs();
                  xattr->set_name("security.capability");
                  xattr->set_value(std::string(60000, 'x'));
                }),
      OfReplies("packed-contents-that-are-none",
                [](auto* r, DataFrame*) { r->set_compression(v1::DATA_COMPRESSION_ZSTD); }),
      OfReplies("replies-without-number",
                [](auto* r, DataFrame*) {
                  for (int i = 0; i < 50000; ++i) r->add_items()->set_id(r->items(0).id());
                }),
      Forged("a-frame-of-four-gigabytes", true, 0xffffffff, 0xffffffff),
      Forged("a-payload-of-a-gigabyte", true, 16, 1u << 30),
      {.name = "frames-of-another-type", .of_source = true, .tell = [](DataFrame* f, More*) {
         if (f->type == kReplies) f->type = kRequests;
       }},
      {.name = "a-greeting-with-escapes", .of_source = true, .tell = [](DataFrame* f, More*) {
         if (f->type != kHelloReply) return;
         v1::DataHelloReply reply;
         reply.set_error("\x1b[2J\x1b]0;pwned\a");
         f->header = reply.SerializeAsString();
       }}};
  // No contents and no end: progress that never comes to anything.
  lies.push_back({.name = "answers-without-end", .of_source = true, .tell = [](DataFrame* f, More* more) {
                    if (f->type != kReplies) return;
                    v1::DataReplies replies;
                    replies.ParseFromString(f->header);
                    v1::DataReplies empty;
                    empty.add_items()->set_id(replies.items(0).id());
                    empty.mutable_items(0)->set_status(v1::DATA_STATUS_OK);
                    f->header = empty.SerializeAsString();
                    f->payload.clear();
                    more->push_back(*f);
                  },
                  .endless = true});
  lies.push_back({.name = "changed-without-end", .of_source = true, .tell = [](DataFrame* f, More*) {
                    if (f->type != kReplies) return;
                    v1::DataReplies replies;
                    replies.ParseFromString(f->header);
                    for (auto& item : *replies.mutable_items()) {
                      const uint64_t id = item.id();
                      item.Clear();
                      item.set_id(id);
                      item.set_status(v1::DATA_STATUS_CHANGED);
                      item.set_end(true);
                    }
                    f->header = replies.SerializeAsString();
                    f->payload.clear();
                  }});
  return lies;
}

std::vector<DataLie> OfThoseWhoAsk() {
  const auto name = [](std::string lie, std::string becomes) {
    return OfRequests(std::move(lie), [becomes](auto* r) { r->mutable_requests(0)->set_name(becomes); });
  };
  return {name("asks-for-a-name-that-leads-up", ".."),
          name("asks-for-a-name-with-a-slash", "../canary/file"),
          name("asks-for-a-name-with-nul", std::string("a\0b", 3)),
          OfRequests("asks-below-what-is-not-there", [](auto* r) { r->mutable_requests(0)->set_directory(1u << 30); }),
          OfRequests("asks-below-a-loop",
                     [](auto* r) {
                       auto* directory = r->add_directories();
                       directory->set_parent(static_cast<uint32_t>(r->directories_size()));
                       directory->set_name("loop");
                     }),
          OfRequests("asks-for-more-than-there-is",
                     [](auto* r) {
                       r->mutable_requests(0)->set_offset((uint64_t{1} << 63) - 1);
                       r->mutable_requests(0)->set_length(uint64_t{1} << 63);
                     }),
          OfRequests("asks-for-another-inode", [](auto* r) { r->mutable_requests(0)->set_inode(1); }),
          OfRequests("asks-for-no-type", [](auto* r) { r->mutable_requests(0)->clear_type(); }),
          OfRequests("asks-without-number",
                     [](auto* r) {
                       for (int i = 0; i < 5000; ++i) *r->add_requests() = v1::DataRequest(r->requests(0));
                     }),
          OfRequests("asks-for-digests-of-bytes",
                     [](auto* r) {
                       r->mutable_requests(0)->set_kind(v1::DATA_REQUEST_KIND_BLOCKS);
                       r->mutable_requests(0)->set_unit(1);
                     }),
          Forged("a-request-of-four-gigabytes", false, 0xffffffff, 0),
          Forged("a-request-with-a-payload", false, 16, 1u << 30)};
}

}  // namespace

const std::vector<DataLie>& LiesAboutData() {
  static const std::vector<DataLie> lies = [] {
    std::vector<DataLie> all = OfSources();
    for (DataLie& lie : OfThoseWhoAsk()) all.push_back(std::move(lie));
    return all;
  }();
  return lies;
}

}  // namespace uringsync::hostile
