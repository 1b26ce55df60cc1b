// New keys that a peer asks for: they come before the next contents, and reading does not wait for them to be sent.
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "engine/coro/executor.h"
#include "engine/coro/scope.h"
#include "engine/net/memory_stream.h"
#include "engine/net/tls_handshake.h"
#include "engine/net/tls_records.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using openssl::TlsContent;
using Bytes = std::vector<std::byte>;

constexpr std::byte kAsksForNewKeys{1};

Task<void> Write(Stream* stream, Bytes bytes) {
  const std::array<ConstBytes, 1> parts = {ConstBytes(bytes)};
  EXPECT_OK(co_await stream->WriteAll(parts, kNoTimeout));
}

// Reads once.
Task<void> ReadSome(Stream* stream, Bytes* into) {
  Bytes buffer(1000);
  absl::StatusOr<size_t> n = co_await stream->Read(buffer, kNoTimeout);
  EXPECT_OK(n.status());
  if (n.ok()) into->assign(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*n));
}

class TlsKeyUpdateTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(const openssl::TlsSuite suite, openssl::SuiteNamed("AES-128-GCM", EVP_sha256()));
    auto [near, far] = MakeMemoryStreamPair();
    ASSERT_OK_AND_ASSIGN(openssl::TlsSealer sealer, openssl::TlsSealer::Make(suite, {}));
    ASSERT_OK_AND_ASSIGN(openssl::TlsOpener opener, openssl::TlsOpener::Make(suite, {}));
    openssl::TlsEstablished established{{}, std::move(sealer), std::move(opener)};
    stream_ =
        openssl::MakeTlsStream(std::move(near), std::make_unique<openssl::TlsBuffers>(), std::move(established), true);
    far_ = std::move(far);
    ASSERT_OK_AND_ASSIGN(openssl::TlsSealer far_sealer, openssl::TlsSealer::Make(suite, {}));
    ASSERT_OK_AND_ASSIGN(openssl::TlsOpener far_opener, openssl::TlsOpener::Make(suite, {}));
    far_sealer_.emplace(std::move(far_sealer));
    far_opener_.emplace(std::move(far_opener));
  }
  // What the peer sends: one record.
  Bytes Seal(TlsContent type, const Bytes& contents) {
    Bytes record(contents.size() + openssl::kTlsOverheadBytes);
    const std::array<ConstBytes, 1> parts = {ConstBytes(contents)};
    EXPECT_OK(far_sealer_->Seal(type, parts, record.data()));
    return record;
  }
  // The peer seals with its next keys; what would tell of it is not sent.
  void TakeNewKeys() {
    Bytes silent(openssl::TlsSealer::kKeyUpdateBytes);
    EXPECT_OK(far_sealer_->SealKeyUpdate(silent.data()));
  }
  // The contents of the next record in `wire`, which is taken out of it.
  Bytes Open(Bytes* wire, TlsContent* type) {
    absl::StatusOr<size_t> length = openssl::TlsOpener::LengthOf(ConstBytes(*wire).first<openssl::kTlsHeaderBytes>());
    EXPECT_OK(length.status());
    Bytes into(openssl::kTlsMaxBodyBytes);
    absl::StatusOr<openssl::TlsOpened> opened = far_opener_->Open(ConstBytes(*wire).first(*length), into, {});
    EXPECT_OK(opened.status());
    wire->erase(wire->begin(), wire->begin() + static_cast<ptrdiff_t>(*length));
    *type = opened->type;
    into.resize(opened->length);
    return into;
  }
  void Run(Task<void> task) {
    scope_.Spawn(std::move(task));
    executor_.RunUntilIdle();
    ASSERT_EQ(scope_.running(), 0u) << "it waits for the peer";
  }

  ManualExecutor executor_;
  Executor::Guard guard_{&executor_};
  Scope scope_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Stream> far_;
  std::optional<openssl::TlsSealer> far_sealer_;
  std::optional<openssl::TlsOpener> far_opener_;
};

TEST_F(TlsKeyUpdateTest, AReaderSendsNothingAndTheNextContentsComeBehindTheNewKeys) {
  const Bytes hello = {std::byte{'h'}, std::byte{'i'}};
  // Both records in one piece: what the reader does about the first is done when it returns with the second.
  Bytes wire = Seal(TlsContent::kHandshake, {std::byte{24}, {}, {}, std::byte{1}, kAsksForNewKeys});
  TakeNewKeys();
  const Bytes contents = Seal(TlsContent::kApplication, hello);
  wire.insert(wire.end(), contents.begin(), contents.end());
  Run(Write(far_.get(), wire));
  Bytes read;
  Run(ReadSome(stream_.get(), &read));
  EXPECT_EQ(read, hello);
  EXPECT_EQ(stream_->bytes_written(), 0u);

  Run(Write(stream_.get(), hello));
  Bytes answer;
  Run(ReadSome(far_.get(), &answer));
  TlsContent type{};
  EXPECT_EQ(Open(&answer, &type), (Bytes{std::byte{24}, {}, {}, std::byte{1}, {}}));
  EXPECT_EQ(type, TlsContent::kHandshake);
  ASSERT_OK(far_opener_->Update());
  if (answer.empty()) Run(ReadSome(far_.get(), &answer));
  EXPECT_EQ(Open(&answer, &type), hello);
  EXPECT_EQ(type, TlsContent::kApplication);
  EXPECT_TRUE(answer.empty());
}

}  // namespace
}  // namespace uringsync
