// Proofs as documents: what is written is read again, and nothing else is.
#include "coordinator/core/proof_document.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "coordinator/core/proof_compare.h"
#include "coordinator/core/proof_line.h"
#include "engine/base/errno_status.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

ProofHeader SomeHeader() {
  ProofHeader header{.software = "uringsync 1", .made = "2026-01-02T03:04:05.000Z", .tree = "host:a b\n\\"};
  header.selection.acls = false;
  header.selection.extra_xattrs = {"lustre.lov"};
  header.one_file_system = true;
  header.filters = {"- *.o", "+ \t x"};
  return header;
}

Entry SomeEntry(std::string name, FileType type, const std::string& contents = {}) {
  Entry entry;
  entry.name = std::move(name);
  entry.type = type;
  entry.mode = 04751;
  entry.uid = 4294967295u;
  entry.gid = 7;
  entry.mtime = {-5, 1};
  auto proof = std::make_shared<EntryProof>();
  if (type == FileType::kRegular) proof->contents = Sha256::Of(contents);
  if (type == FileType::kRegular) entry.size_bytes = contents.size();
  if (type == FileType::kDirectory) proof->attributes = Sha256::Of("user.x");
  if (type == FileType::kSymlink) entry.symlink_target = "to a\nplace ";
  if (type == FileType::kBlockDevice) entry.rdev_major = 8, entry.rdev_minor = 1048575;
  entry.proof = std::move(proof);
  return entry;
}

std::vector<ProofItem> SomeItems() {
  const RelPath root;
  const RelPath below = *RelPath::Parse("d e");
  return {{root, std::nullopt},
          {root, SomeEntry(".", FileType::kDirectory)},
          {root, SomeEntry("a \xff\\", FileType::kRegular, "one")},
          {root, SomeEntry("b", FileType::kBlockDevice)},
          {root, SomeEntry("d e", FileType::kDirectory)},
          {root, SomeEntry("l", FileType::kSymlink)},
          {root, SomeEntry("p", FileType::kFifo)},
          {below, std::nullopt},
          {below, SomeEntry("-", FileType::kRegular)},
          {below, SomeEntry("s", FileType::kSocket)}};
}

std::string Document(const std::vector<ProofItem>& items, const ProofHeader& header = SomeHeader()) {
  ProofEncoder encoder(header);
  std::string text = encoder.Begin();
  for (const ProofItem& item : items)
    text += item.object ? encoder.Object(*item.object) : encoder.Directory(item.directory);
  return text + encoder.End();
}

// Hands out `text` a few bytes at a time.
ProofDecoder::Read Reading(std::string text, size_t at_once = 7) {
  return [text = std::move(text), at = size_t{0}, at_once](std::span<char> buffer) mutable -> absl::StatusOr<size_t> {
    const size_t count = std::min({buffer.size(), at_once, text.size() - at});
    std::memcpy(buffer.data(), text.data() + at, count);
    at += count;
    return count;
  };
}

absl::StatusOr<std::vector<ProofItem>> ReadAll(const std::string& text, size_t at_once = 1 << 20) {
  US_ASSIGN_OR_RETURN(const std::unique_ptr<ProofDecoder> decoder, ProofDecoder::Open(Reading(text, at_once)));
  std::vector<ProofItem> items;
  while (true) {
    US_ASSIGN_OR_RETURN(std::optional<ProofItem> item, decoder->Next());
    if (!item) return items;
    items.push_back(*std::move(item));
  }
}

// `text` with its digest made right again.
std::string Resealed(std::string text) {
  const size_t end = text.rfind("end ");
  const std::string count = text.substr(end, text.find(" sha256 ") - end);
  text.resize(end);
  return text + count + " sha256 " + Hex(Sha256::Of(text)) + "\n";
}

TEST(ProofDocumentTest, WhatIsWrittenIsReadAgain) {
  for (const size_t at_once : {size_t{1}, size_t{7}, size_t{1} << 20}) {
    const absl::StatusOr<std::vector<ProofItem>> read = ReadAll(Document(SomeItems()), at_once);
    ASSERT_OK(read);
    EXPECT_EQ(Document(*read), Document(SomeItems()));
  }
  const auto decoder = ProofDecoder::Open(Reading(Document({})));
  ASSERT_OK(decoder);
  EXPECT_EQ((*decoder)->header(), SomeHeader());
}

TEST(ProofDocumentTest, TheDigestIsThatOfEverythingBefore) {
  const std::string text = Document(SomeItems());
  EXPECT_EQ(Resealed(text), text);
}

TEST(ProofDocumentTest, EveryCutAndEveryChangedByteIsRefused) {
  const std::string text = Document(SomeItems());
  for (size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(ReadAll(text.substr(0, size)).ok()) << size;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] ^= 1;
    EXPECT_FALSE(ReadAll(changed).ok()) << i;
  }
  EXPECT_THAT(ReadAll(text + "x"), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("follows its end")));
}

TEST(ProofDocumentTest, SomethingElseIsNoProofAndALaterFormatIsNamed) {
  EXPECT_THAT(ReadAll(""), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadAll(std::string(1 << 20, 'x')), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadAll("hello\n"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadAll("uringsync proof, format 2\n"),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("format 2")));
}

TEST(ProofDocumentTest, ADigestThatIsRightKeepsNobodyFromBeingChecked) {
  const auto refused = [](const std::string& from, const std::string& to) {
    std::string text = Document(SomeItems());
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    EXPECT_THAT(ReadAll(Resealed(text)), StatusIs(absl::StatusCode::kDataLoss)) << to;
  };
  refused("/\n", "/x\n");  // the root comes first
  refused("/d\\040e", "/../e");
  refused("/d\\040e", "/d\\40e");
  refused("\nd 4751", "\nq 4751");
  refused("\nf 4751", "\nf 04751");
  refused("\nf 4751", "\nf 14751");
  refused("-5.000000001", "-5.1");
  refused(" p\n", " ..\n");
  refused(" p\n", " a/b\n");
  refused(" l\n", " p\n");  // twice
  refused(" 1048575 b", " 1048575 b c");
  refused("keeps: mode", "keeps: modes");
  refused("end 8", "end 9");
}

TEST(ProofDocumentTest, ALineWithoutEndIsRefusedInBoundedMemory) {
  std::string text = Document({});
  text.resize(text.rfind("end "));
  size_t given = 0;
  const auto decoder = ProofDecoder::Open([&](std::span<char> buffer) -> absl::StatusOr<size_t> {
    if (given < text.size()) {
      const size_t count = std::min(buffer.size(), text.size() - given);
      std::memcpy(buffer.data(), text.data() + given, count);
      given += count;
      return count;
    }
    std::fill(buffer.begin(), buffer.end(), 'f');
    given += buffer.size();
    return buffer.size();
  });
  ASSERT_OK(decoder);
  EXPECT_THAT((*decoder)->Next(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("too long")));
  EXPECT_LT(given, 3 * kMaxProofLineBytes);
}

// What CompareWithProof is given.
class GivenItems final : public ProofItems {
 public:
  explicit GivenItems(std::vector<ProofItem> items) : items_(std::move(items)) {}
  absl::StatusOr<std::optional<ProofItem>> Next() override {
    return next_ < items_.size() ? std::optional(items_[next_++]) : std::nullopt;
  }

 private:
  const std::vector<ProofItem> items_;
  size_t next_ = 0;
};

std::vector<std::string> Differences(std::vector<ProofItem> then, std::vector<ProofItem> now,
                                     const MetadataSelection& selection = {}) {
  GivenItems proof(std::move(then));
  GivenItems tree(std::move(now));
  std::vector<std::string> found;
  const auto totals = CompareWithProof(proof, tree, selection, [&found](const ProofDifference& difference) {
    const char* const kind = difference.kind == ProofDifference::Kind::kMissing ? "missing"
                             : difference.kind == ProofDifference::Kind::kExtra ? "extra"
                                                                                : "changed";
    std::string line = std::string(kind) + " " + difference.path.text();
    for (const std::string& field : difference.fields) line += " " + field;
    found.push_back(line);
  });
  EXPECT_OK(totals);
  EXPECT_EQ(totals->missing + totals->extra + totals->changed, found.size());
  return found;
}

TEST(ProofCompareTest, EqualTreesHaveNoDifference) {
  EXPECT_THAT(Differences(SomeItems(), SomeItems()), testing::IsEmpty());
}

TEST(ProofCompareTest, MissingExtraAndChangedObjectsAreTold) {
  std::vector<ProofItem> then = SomeItems();
  std::vector<ProofItem> now = SomeItems();
  now.erase(now.begin() + 6);    // p
  then.erase(then.begin() + 8);  // d e/-
  now[2].object = SomeEntry("a \xff\\", FileType::kRegular, "two");
  now[5].object->symlink_target = "elsewhere";
  EXPECT_THAT(Differences(then, now),
              testing::ElementsAre("changed a \xff\\ content", "changed l target", "missing p", "extra d e/-"));
}

TEST(ProofCompareTest, ADirectoryThatIsGoneIsMissingWithAllBelow) {
  std::vector<ProofItem> now = SomeItems();
  now.erase(now.begin() + 7, now.end());
  now.erase(now.begin() + 4);
  EXPECT_THAT(Differences(SomeItems(), now), testing::ElementsAre("missing d e", "missing d e/-", "missing d e/s"));
  EXPECT_THAT(Differences(now, SomeItems()), testing::ElementsAre("extra d e", "extra d e/-", "extra d e/s"));
}

TEST(ProofCompareTest, MetadataCountsAsFarAsItIsSelected) {
  std::vector<ProofItem> now = SomeItems();
  Entry& file = *now[2].object;
  file.mode = 0644;
  file.uid = 1;
  file.gid = 1;
  file.mtime.nanoseconds = 2;
  EXPECT_THAT(Differences(SomeItems(), now), testing::ElementsAre("changed a \xff\\ mode owner group mtime"));
  MetadataSelection nothing;
  nothing.mode = nothing.owner = nothing.group = nothing.mtime = false;
  EXPECT_THAT(Differences(SomeItems(), now, nothing), testing::IsEmpty());
}

TEST(ProofCompareTest, WhatIsThereAndCouldNotBeReadIsNotMissing) {
  std::vector<ProofItem> now = SomeItems();
  now[2].unproven = true;
  EXPECT_THAT(Differences(SomeItems(), now), testing::IsEmpty());
}

}  // namespace
}  // namespace uringsync
