#include "agent/resumable_sessions.h"

#include <gtest/gtest.h>

#include <thread>

#include "proto/resumable_streams.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wire_stream.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What a coordinator would know of one stream.
class ResumableSessionsTest : public testing::Test {
 protected:
  void SetUp() override {
    offer_.stream.fill(7);
    offer_.token.fill(1);
    offer_.hold = seconds(60);
    offer_.silence = seconds(30);
    peer_.address = "ipv4:192.0.2.1:5000";
    peer_.identities = {"cli", "cli.example"};
  }
  void TearDown() override {
    if (stream_) stream_->Close();
    if (receiver_.joinable()) receiver_.join();
    stream_.reset();
  }

  void Begin() {
    absl::StatusOr<std::unique_ptr<AgentStream>> begun =
        sessions_.Begin(offer_, peer_, std::make_shared<WireEnd>(wire_, 0));
    ASSERT_OK(begun);
    stream_ = *std::move(begun);
    receiver_ = std::thread([this] {
      while (true) {
        absl::StatusOr<ClientMessage> message = stream_->Receive();
        if (!message.ok()) {
          end_ = message.status();
          ended_ = true;
          return;
        }
        ++received_;
      }
    });
  }
  void Cut() {
    wire_->Break();
    Await([this] { return stream_->DetachedFor().has_value(); });
  }
  template <typename Condition>
  static void Await(Condition condition) {
    while (!condition()) std::this_thread::sleep_for(milliseconds(1));
  }
  // A call of Resume; the coordinator's end of it is `far`.
  absl::Status Resume(const ResumeToken& token, uint64_t received, const ControlPeer& peer) {
    auto wire = std::make_shared<Wire>();
    far_ = std::make_unique<WireEnd>(wire, 1);
    absl::Status resumed = sessions_.Resume({.stream = offer_.stream, .token = token, .received = received}, peer,
                                            std::make_shared<WireEnd>(wire, 0));
    if (resumed.ok()) wire_ = wire;
    return resumed;
  }
  absl::Status Resume(const ResumeToken& token, uint64_t received = 0) { return Resume(token, received, peer_); }
  StreamNote FirstNote() {
    const absl::StatusOr<std::string> first = far_->Receive();
    EXPECT_OK(first);
    return DecodeStreamNote(first.value_or("")).value_or(StreamNote{});
  }

  // A message of the coordinator; what came before it has been taken, too, once this returns.
  void Say() {
    std::string bytes;
    ASSERT_OK(WireEncoder<ClientMessage>().Encode(ManifestCredit{.batches = 1}, [&bytes](size_t size) {
      bytes.resize(size);
      return reinterpret_cast<uint8_t*>(bytes.data());
    }));
    const int before = received_;
    ASSERT_OK(far_->Send(bytes));
    Await([&] { return received_ > before; });
  }

  ResumeOffer offer_;
  ControlPeer peer_;
  ResumableSessions sessions_{seconds(600)};
  std::shared_ptr<Wire> wire_ = std::make_shared<Wire>();
  std::unique_ptr<WireEnd> far_ = std::make_unique<WireEnd>(wire_, 1);
  std::unique_ptr<AgentStream> stream_;
  std::thread receiver_;
  std::atomic<int> received_{0};
  std::atomic<bool> ended_{false};
  absl::Status end_;
};

TEST_F(ResumableSessionsTest, TheTokenOfTheOfferGoesOnWithItAndEachConnectionBringsANewOne) {
  Begin();
  Cut();
  ASSERT_OK(Resume(offer_.token));
  const StreamNote note = FirstNote();
  ASSERT_TRUE(note.token);
  EXPECT_NE(*note.token, offer_.token);
  Await([this] { return !stream_->DetachedFor(); });
  // What the coordinator says shows that it has the new token.
  Say();
  Cut();
  EXPECT_THAT(Resume(offer_.token), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(Resume(*note.token));
}

TEST_F(ResumableSessionsTest, ATokenWhoseSuccessorGotLostIsGoodOnceMore) {
  Begin();
  Cut();
  ASSERT_OK(Resume(offer_.token));
  wire_->Break();  // before the coordinator has read anything
  ASSERT_OK(Resume(offer_.token));
  EXPECT_TRUE(FirstNote().token);
}

TEST_F(ResumableSessionsTest, WrongTokensOtherStreamsAndOtherCertificatesAreRefusedAlike) {
  Begin();
  Cut();
  ResumeToken wrong = offer_.token;
  wrong[31] ^= 1;
  ControlPeer other = peer_;
  other.identities = {"cli"};
  const absl::Status by_token = Resume(wrong);
  const absl::Status by_peer = Resume(offer_.token, 0, other);
  ResumeRequest elsewhere{.stream = offer_.stream, .token = offer_.token};
  elsewhere.stream[0] = 9;
  const absl::Status by_stream =
      sessions_.Resume(elsewhere, peer_, std::make_shared<WireEnd>(std::make_shared<Wire>(), 0));
  EXPECT_THAT(by_token, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(by_token, by_peer);
  EXPECT_EQ(by_token, by_stream);
  // Nothing has changed.
  EXPECT_TRUE(stream_->DetachedFor());
  EXPECT_OK(Resume(offer_.token));
}

TEST_F(ResumableSessionsTest, APlaceWhereNobodyCanGoOnIsRefusedAndTheSessionStays) {
  Begin();
  ASSERT_OK(stream_->Send(ManifestEnd{}));
  ASSERT_OK(stream_->Send(ManifestEnd{}));
  ASSERT_OK(far_->Receive());
  ASSERT_OK(far_->Receive());
  ASSERT_OK(far_->Send(Encode(StreamNote{.received = 2})));
  Say();
  Cut();
  // What was confirmed is not kept; what was never sent cannot have arrived.
  EXPECT_THAT(Resume(offer_.token, 1), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(Resume(offer_.token, 3), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(stream_->DetachedFor());
  EXPECT_OK(Resume(offer_.token, 2));
}

TEST_F(ResumableSessionsTest, WhatWasNotConfirmedIsSentAgain) {
  Begin();
  ASSERT_OK(stream_->Send(ManifestEnd{.directories = 1}));
  ASSERT_OK(stream_->Send(ManifestEnd{.directories = 2}));
  ASSERT_OK(far_->Receive());
  Cut();
  ASSERT_OK(Resume(offer_.token, 1));
  EXPECT_EQ(FirstNote().received, 0u);
  const absl::StatusOr<std::string> again = far_->Receive();
  ASSERT_OK(again);
  google::protobuf::io::ArrayInputStream input(again->data(), static_cast<int>(again->size()));
  const absl::StatusOr<AgentMessage> message = WireDecoder<AgentMessage>().Decode(&input, again->size());
  ASSERT_OK(message);
  EXPECT_EQ(std::get<ManifestEnd>(*message).directories, 2u);
}

TEST_F(ResumableSessionsTest, AConnectionThatOnlyTheCoordinatorHasGivenUpIsReplaced) {
  Begin();
  ASSERT_OK(Resume(offer_.token));
  EXPECT_TRUE(FirstNote().token);
}

// What a session does may take longer than its coordinator waits for an answer.
TEST_F(ResumableSessionsTest, ASessionThatWorksAndDoesNotReceiveAnswersAllTheSame) {
  absl::StatusOr<std::unique_ptr<AgentStream>> begun =
      sessions_.Begin(offer_, peer_, std::make_shared<WireEnd>(wire_, 0));
  ASSERT_OK(begun);
  stream_ = *std::move(begun);
  ASSERT_OK(stream_->Send(SessionError{.message = "sent before the cut"}));
  wire_->Break();
  ASSERT_OK(Resume(offer_.token));
  const StreamNote first = FirstNote();
  ASSERT_TRUE(first.token);
  EXPECT_OK(far_->Receive());
  // Once more, for the network is bad; the coordinator has what was sent by now.
  wire_->Break();
  ASSERT_OK(Resume(*first.token, 1));
  const StreamNote second = FirstNote();
  ASSERT_TRUE(second.token);
  EXPECT_NE(*second.token, *first.token);
  // The work is done.
  receiver_ = std::thread([this] {
    while (stream_->Receive().ok()) ++received_;
  });
  Say();
  EXPECT_EQ(received_, 1);
  // The coordinator has shown that it has the last token: no earlier one is worth anything.
  EXPECT_THAT(Resume(*first.token), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ResumableSessionsTest, NobodyComesInTimeAndTheSessionEnds) {
  offer_.hold = milliseconds(50);
  Begin();
  Cut();
  Await([this] { return ended_.load(); });
  EXPECT_THAT(end_, StatusIs(absl::StatusCode::kUnavailable));
  receiver_.join();
  stream_.reset();
  EXPECT_THAT(Resume(offer_.token), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ResumableSessionsTest, TheAgentsOwnLimitBoundsWhatIsAskedFor) {
  EXPECT_EQ(sessions_.Grant(offer_).hold, seconds(60));
  offer_.hold = seconds(3600);
  EXPECT_EQ(sessions_.Grant(offer_).hold, seconds(600));
  EXPECT_EQ(ResumableSessions(milliseconds(0)).Grant(offer_).hold, seconds(0));
}

TEST_F(ResumableSessionsTest, AStopEndsThoseThatWaitAndLaterLosses) {
  Begin();
  Cut();
  sessions_.Stop();
  Await([this] { return ended_.load(); });
  EXPECT_FALSE(Resume(offer_.token).ok());
}

TEST_F(ResumableSessionsTest, AStreamIsNamedOnce) {
  Begin();
  EXPECT_THAT(sessions_.Begin(offer_, peer_, std::make_shared<WireEnd>(std::make_shared<Wire>(), 0)),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

}  // namespace
}  // namespace uringsync
