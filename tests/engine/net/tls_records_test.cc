// The record layer against the example of RFC 8448, and against what a peer may do wrong.
#include "engine/net/tls_records.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace uringsync::openssl {
namespace {

using Bytes = std::vector<std::byte>;

Bytes FromHex(std::string_view text) {
  Bytes bytes;
  std::string digits;
  for (char c : text)
    if (c != ' ') digits += c;
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

TlsSecret SecretOf(std::string_view hex) {
  TlsSecret secret{};
  const Bytes bytes = FromHex(hex);
  std::ranges::transform(bytes, secret.begin(), [](std::byte b) { return std::to_integer<unsigned char>(b); });
  return secret;
}

// RFC 8448, section 3: {client} derive write traffic keys for application data; {client} send application_data.
constexpr std::string_view kClientSecret = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
constexpr std::string_view kClientRecord =
    "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a297"
    "7014bd1e3dea"
    "e63aeebb21694915e4";

Bytes Pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

class TlsRecordsTest : public testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(const TlsSuite suite, SuiteNamed(GetParam().first, EVP_get_digestbyname(GetParam().second)));
    const TlsSecret secret = SecretOf(kClientSecret);
    absl::StatusOr<TlsSealer> sealer = TlsSealer::Make(suite, secret);
    absl::StatusOr<TlsOpener> opener = TlsOpener::Make(suite, secret);
    ASSERT_OK(sealer.status());
    ASSERT_OK(opener.status());
    sealer_ = std::make_unique<TlsSealer>(*std::move(sealer));
    opener_ = std::make_unique<TlsOpener>(*std::move(opener));
  }
  Bytes Seal(TlsContent type, std::vector<Bytes> parts) {
    std::vector<ConstBytes> views(parts.begin(), parts.end());
    size_t length = kTlsOverheadBytes;
    for (ConstBytes view : views) length += view.size();
    Bytes record(length);
    EXPECT_OK(sealer_->Seal(type, views, record.data()));
    return record;
  }
  absl::StatusOr<TlsOpened> Open(const Bytes& record, size_t room) {
    into_.assign(room, std::byte{0xee});
    return opener_->Open(record, into_, rest_);
  }
  // The contents of what was opened, wherever they lie.
  Bytes Contents(size_t length) const {
    Bytes all(into_.begin(), into_.begin() + static_cast<ptrdiff_t>(std::min(length, into_.size())));
    if (length > into_.size())
      all.insert(all.end(), rest_.begin(), rest_.begin() + static_cast<ptrdiff_t>(length - into_.size()));
    return all;
  }

  std::unique_ptr<TlsSealer> sealer_;
  std::unique_ptr<TlsOpener> opener_;
  Bytes into_;
  Bytes rest_ = Bytes(kTlsMaxBodyBytes);
};

TEST_P(TlsRecordsTest, WhatIsSealedOpensWhateverRoomThereIs) {
  for (size_t length : {0, 1, 5, 15, 16, 17, 1000, 16383, 16384}) {
    const Bytes sent = Pattern(length);
    for (size_t room : {size_t{0}, size_t{1}, size_t{15}, size_t{500}, length, length + 1, length + 100}) {
      const size_t cut = length / 3;
      const Bytes record =
          Seal(TlsContent::kApplication, {Bytes(sent.begin(), sent.begin() + static_cast<ptrdiff_t>(cut)),
                                          {},
                                          Bytes(sent.begin() + static_cast<ptrdiff_t>(cut), sent.end())});
      absl::StatusOr<size_t> told = TlsOpener::LengthOf(ConstBytes(record).first<kTlsHeaderBytes>());
      ASSERT_OK(told.status());
      EXPECT_EQ(*told, record.size());
      absl::StatusOr<TlsOpened> opened = Open(record, room);
      ASSERT_OK(opened.status());
      EXPECT_EQ(opened->type, TlsContent::kApplication);
      ASSERT_EQ(opened->length, length);
      EXPECT_EQ(Contents(length), sent) << length << " into " << room;
    }
  }
}

TEST_P(TlsRecordsTest, WhatWasChangedIsRefused) {
  for (size_t place : {size_t{5}, size_t{500}, size_t{1005}, size_t{1021}}) {
    Bytes record = Seal(TlsContent::kApplication, {Pattern(1000)});
    record[place] ^= std::byte{1};
    EXPECT_THAT(Open(record, 2000), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST_P(TlsRecordsTest, ARecordOpensOnceAndInItsTurn) {
  const Bytes first = Seal(TlsContent::kApplication, {Pattern(10)});
  const Bytes second = Seal(TlsContent::kApplication, {Pattern(10)});
  EXPECT_OK(Open(first, 100).status());
  EXPECT_THAT(Open(first, 100), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_P(TlsRecordsTest, NewKeysAreOthersThanTheOldOnes) {
  Bytes update(TlsSealer::kKeyUpdateBytes);
  ASSERT_OK(sealer_->SealKeyUpdate(update.data()));
  absl::StatusOr<TlsOpened> opened = Open(update, 100);
  ASSERT_OK(opened.status());
  EXPECT_EQ(opened->type, TlsContent::kHandshake);
  EXPECT_EQ(Contents(opened->length), FromHex("1800000100"));
  const Bytes after = Seal(TlsContent::kApplication, {Pattern(10)});
  ASSERT_OK(opener_->Update());
  EXPECT_OK(Open(after, 100).status());
  ASSERT_OK(opener_->Update());
  EXPECT_THAT(Open(Seal(TlsContent::kApplication, {Pattern(10)}), 100), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_P(TlsRecordsTest, PaddingIsCutOffAndNothingButPaddingIsRefused) {
  // The true type lies before the zeros: here as the end of the contents, with the type that is sealed as a zero.
  Bytes padded = Pattern(10);
  padded.push_back(std::byte{21});
  padded.resize(200);
  absl::StatusOr<TlsOpened> opened = Open(Seal(TlsContent{0}, {padded}), 5);
  ASSERT_OK(opened.status());
  EXPECT_EQ(opened->type, TlsContent::kAlert);
  EXPECT_EQ(opened->length, 10u);
  EXPECT_EQ(Contents(10), Pattern(10));
  EXPECT_THAT(Open(Seal(TlsContent{0}, {Bytes(100)}), 50), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(TlsRecordsTest, MoreContentsThanARecordMayHaveAreRefused) {
  EXPECT_THAT(Open(Seal(TlsContent::kApplication, {Pattern(16385)}), 20000), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_P(TlsRecordsTest, PaddingCountsAsContentsDo) {
  for (const auto& [bytes, code] : {std::pair(16384, absl::StatusCode::kOk), {16385, absl::StatusCode::kOutOfRange}}) {
    Bytes padded = Pattern(10);
    padded.push_back(std::byte{23});
    padded.resize(static_cast<size_t>(bytes));
    EXPECT_EQ(Open(Seal(TlsContent{0}, {padded}), 20000).status().code(), code) << bytes;
  }
}

TEST_P(TlsRecordsTest, WhatIsNoRecordIsRefused) {
  constexpr auto kNone = absl::StatusCode::kInvalidArgument;
  constexpr auto kTooLong = absl::StatusCode::kOutOfRange;
  const std::pair<std::string_view, absl::StatusCode> kHeaders[] = {{"1503030020", kNone},
                                                                    {"1604030020", kNone},
                                                                    {"1703030010", kNone},
                                                                    {"1703034101", kTooLong},
                                                                    {"170303ffff", kTooLong}};
  for (const auto& [header, code] : kHeaders) {
    const Bytes bytes = FromHex(header);
    EXPECT_THAT(TlsOpener::LengthOf(ConstBytes(bytes).first<kTlsHeaderBytes>()), StatusIs(code)) << header;
  }
}

INSTANTIATE_TEST_SUITE_P(Suites, TlsRecordsTest,
                         testing::Values(std::pair("AES-128-GCM", "SHA256"), std::pair("AES-256-GCM", "SHA384"),
                                         std::pair("ChaCha20-Poly1305", "SHA256")),
                         [](const auto& info) {
                           std::string name = info.param.first;
                           std::erase(name, '-');
                           return name;
                         });

TEST(TlsRecords, ACipherThatIsNotThereIsAnError) {
  EXPECT_THAT(SuiteNamed("none", EVP_sha256()), StatusIs(absl::StatusCode::kInternal));
}

TEST(TlsRecords, TheExampleOfRfc8448ComesOut) {
  ASSERT_OK_AND_ASSIGN(const TlsSuite suite, SuiteNamed("AES-128-GCM", EVP_sha256()));
  absl::StatusOr<TlsSealer> sealer = TlsSealer::Make(suite, SecretOf(kClientSecret));
  ASSERT_OK(sealer.status());
  const Bytes contents = Pattern(50);
  const std::array<ConstBytes, 1> parts = {ConstBytes(contents)};
  Bytes record(contents.size() + kTlsOverheadBytes);
  ASSERT_OK(sealer->Seal(TlsContent::kApplication, parts, record.data()));
  const Bytes expected = FromHex(kClientRecord);
  EXPECT_EQ(record, expected);
}

}  // namespace
}  // namespace uringsync::openssl
