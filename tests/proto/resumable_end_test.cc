// Both ends of a resumable stream, over connections that a test breaks where it likes.
#include "proto/resumable_end.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/wire_stream.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Hands each end its part of the next connection, once both have lost the last one.
class Exchange {
 public:
  // Messages that the next connection carries, -1: any number. Empty: no further connection comes.
  std::function<int64_t()> budget = [] { return int64_t{-1}; };

  absl::StatusOr<ConnectionSupply::Connection> Next(int side, uint64_t received) {
    std::unique_lock lock(mutex_);
    waiting_[side] = received;
    if (waiting_[0] && waiting_[1]) {
      auto wire = std::make_shared<Wire>();
      wire->left = budget();
      for (const int each : {0, 1})
        made_[each] = {.stream = std::make_shared<WireEnd>(wire, each), .peer_received = *waiting_[1 - each]};
      waiting_[0].reset();
      waiting_[1].reset();
      wire_ = wire;
      ++connections;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return made_[side].stream != nullptr || cancelled_[side]; });
    if (cancelled_[side]) return absl::UnavailableError("cancelled");
    return std::exchange(made_[side], {});
  }
  void Cancel(int side) {
    std::lock_guard lock(mutex_);
    cancelled_[side] = true;
    changed_.notify_all();
  }
  std::shared_ptr<Wire> wire() {
    std::lock_guard lock(mutex_);
    return wire_;
  }
  std::atomic<int> connections{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<uint64_t> waiting_[2];
  ConnectionSupply::Connection made_[2];
  std::shared_ptr<Wire> wire_;
  bool cancelled_[2] = {false, false};
};

class Supply final : public ConnectionSupply {
 public:
  Supply(Exchange* exchange, int side) : exchange_(exchange), side_(side) {}
  absl::StatusOr<Connection> Next(const Loss& loss) override {
    last_why = loss.why;
    again.push_back(loss.again);
    return exchange_->Next(side_, loss.received);
  }
  void Cancel() override { exchange_->Cancel(side_); }
  void Proved() override { ++proved; }
  absl::Status last_why;
  std::vector<bool> again;  // of the losses
  std::atomic<int> proved{0};

 private:
  Exchange* const exchange_;
  const int side_;
};

class ResumableEndTest : public testing::Test {
 protected:
  void Begin(ResumableOptions options = {}, int64_t first_budget = -1) {
    wire_->left = first_budget;
    options.peer_keeps = true;
    b_ = std::make_unique<ResumableEnd>(std::make_shared<WireEnd>(wire_, 1), &supply_b_, options);
    options.peer_keeps = false;
    a_ = std::make_unique<ResumableEnd>(std::make_shared<WireEnd>(wire_, 0), &supply_a_, options);
  }
  void TearDown() override {
    if (a_) a_->Close();
    if (b_) b_->Close();
  }

  void TalkBothWays(int count, size_t padding);

  int connections_ = 0;  // when both had everything
  std::shared_ptr<Wire> wire_ = std::make_shared<Wire>();
  Exchange exchange_;
  Supply supply_a_{&exchange_, 0};
  Supply supply_b_{&exchange_, 1};
  std::unique_ptr<ResumableEnd> a_;
  std::unique_ptr<ResumableEnd> b_;
};

// Sends `count` numbers one way and receives as many, tells so and goes on receiving, as sessions do: a sender needs the
// confirmations, and a lost connection somebody who takes the next one.
void Talk(ResumableEnd* end, int count, size_t padding, std::atomic<int>* done) {
  std::thread sender([&] {
    for (int i = 0; i < count; ++i) {
      const absl::Status sent = end->Send(std::to_string(i) + std::string(padding, '.'));
      ASSERT_TRUE(sent.ok()) << sent;
    }
  });
  for (int i = 0; i < count; ++i) {
    const absl::StatusOr<std::string> message = end->Receive();
    ASSERT_TRUE(message.ok()) << message.status();
    ASSERT_EQ(message->substr(0, message->find('.')), std::to_string(i));
  }
  ++*done;
  EXPECT_FALSE(end->Receive().ok());
  sender.join();
}

void ResumableEndTest::TalkBothWays(int count, size_t padding) {
  std::atomic<int> done{0};
  std::thread here([&] { Talk(a_.get(), count, padding, &done); });
  std::thread there([&] { Talk(b_.get(), count, padding, &done); });
  while (done < 2) std::this_thread::sleep_for(milliseconds(1));
  connections_ = exchange_.connections;
  a_->Close();
  b_->Close();
  here.join();
  there.join();
}

TEST_F(ResumableEndTest, MessagesPassBothWaysInOrder) {
  Begin();
  TalkBothWays(500, 10);
  EXPECT_EQ(connections_, 0);
}

TEST_F(ResumableEndTest, EveryMessageArrivesOnceThroughCutsAnywhere) {
  std::mt19937 random(7);
  exchange_.budget = [&random] { return static_cast<int64_t>(random() % 40); };
  // A window that both sides fill.
  Begin({.window_bytes = 2000, .silence = seconds(60)}, 5);
  TalkBothWays(400, 20);
  EXPECT_GT(connections_, 10);
}

TEST_F(ResumableEndTest, ASenderWaitsAtTheBoundInsteadOfGrowing) {
  Begin({.window_bytes = 1000, .silence = seconds(60)});
  std::atomic<int> sent{0};
  std::thread sender([&] {
    while (a_->Send(std::string(100, 'x')).ok()) ++sent;
  });
  // Nobody receives at the other end, so nothing is confirmed.
  int seen = -1;
  while (seen != sent || seen == 0) {
    seen = sent;
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(seen, 1000 / (100 + static_cast<int>(ReplayWindow::kOverheadBytes)));
  a_->Close();
  sender.join();
}

TEST_F(ResumableEndTest, ASilentConnectionIsReplaced) {
  Begin({.silence = milliseconds(200)});
  ASSERT_OK(b_->Send("first"));
  ASSERT_OK(a_->Receive());
  {
    std::lock_guard lock(wire_->mutex);
    wire_->swallows = true;
  }
  std::thread other([this] { EXPECT_OK(b_->Receive()); });
  ASSERT_OK(b_->Send("second"));
  ASSERT_OK(a_->Send("back"));
  const absl::StatusOr<std::string> message = a_->Receive();
  ASSERT_OK(message);
  EXPECT_EQ(*message, "second");
  other.join();
  EXPECT_EQ(exchange_.connections, 1);
}

TEST_F(ResumableEndTest, AnIdleConnectionIsKeptBySignsOfLife) {
  Begin({.silence = milliseconds(200)});
  ASSERT_OK(b_->Send("first"));
  ASSERT_OK(a_->Receive());
  std::thread here([this] { EXPECT_EQ(a_->Receive().value_or(""), "after a while"); });
  std::thread there([this] { EXPECT_FALSE(b_->Receive().ok()); });
  std::this_thread::sleep_for(milliseconds(900));
  EXPECT_EQ(exchange_.connections, 0);
  ASSERT_OK(b_->Send("after a while"));
  here.join();
  b_->Close();
  there.join();
}

TEST_F(ResumableEndTest, CloseEndsAWaitForAConnectionAtOnce) {
  Begin();
  ASSERT_OK(b_->Send("first"));
  ASSERT_OK(a_->Receive());
  wire_->Break();
  std::thread receiver([this] { EXPECT_THAT(a_->Receive(), StatusIs(absl::StatusCode::kUnavailable)); });
  while (!a_->detached_for()) std::this_thread::sleep_for(milliseconds(1));
  a_->Close();
  receiver.join();
  EXPECT_FALSE(a_->detached_for());
  EXPECT_THAT(a_->Send("late"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ResumableEndTest, TheOtherEndHearsOfAGoodbyeAndDoesNotWait) {
  Begin();
  ASSERT_OK(b_->Send("first"));
  ASSERT_OK(a_->Receive());
  std::thread other([this] { EXPECT_THAT(b_->Receive(), StatusIs(absl::StatusCode::kUnavailable)); });
  std::thread here([this] { EXPECT_THAT(a_->Receive(), StatusIs(absl::StatusCode::kUnavailable)); });
  std::this_thread::sleep_for(milliseconds(20));  // both wait
  a_->Close();
  other.join();
  here.join();
  EXPECT_EQ(exchange_.connections, 0);
}

TEST_F(ResumableEndTest, AnOrderlyEndComesAfterEverythingElse) {
  Begin();
  ASSERT_OK(b_->Send("first"));
  ASSERT_OK(a_->Receive());
  ASSERT_OK(a_->Send("last"));
  a_->Finish(seconds(5), /*half_close=*/true);
  EXPECT_EQ(b_->Receive().value_or(""), "last");
  EXPECT_THAT(b_->Receive(), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(ResumableEndTest, APeerThatKeepsNothingEndsWithItsConnection) {
  auto wire = std::make_shared<Wire>();
  ResumableEnd end(std::make_shared<WireEnd>(wire, 0, /*keeps=*/false), &supply_a_, {.silence = milliseconds(100)});
  WireEnd peer(wire, 1);
  ASSERT_OK(peer.Send("from an old agent"));
  ASSERT_OK(end.Receive());
  ASSERT_OK(end.Send("to it"));
  const absl::StatusOr<std::string> got = peer.Receive();
  ASSERT_OK(got);
  // No notes, and no window that would fill.
  EXPECT_EQ(*got, "to it");
  wire->Break();
  EXPECT_THAT(end.Receive(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(supply_a_.last_why, absl::OkStatus());
}

TEST_F(ResumableEndTest, NotesThatBreakTheRulesEndTheStream) {
  for (const std::string& bad : {std::string("\0garbage", 8), Encode(StreamNote{.received = 1}),
                                 Encode(StreamNote{.token = ResumeToken{}})}) {
    auto wire = std::make_shared<Wire>();
    Exchange exchange;
    Supply supply(&exchange, 1);
    ResumableEnd end(std::make_shared<WireEnd>(wire, 1), &supply, {.peer_keeps = true});
    WireEnd peer(wire, 0);
    ASSERT_OK(peer.Send(bad));
    EXPECT_THAT(end.Receive(), StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(end.Send("more"), StatusIs(absl::StatusCode::kUnavailable));
  }
}

TEST_F(ResumableEndTest, ALossBeforeAnythingGotThroughIsTheSameLossAgain) {
  int useless = 3;
  exchange_.budget = [&] { return useless-- > 0 ? int64_t{0} : int64_t{-1}; };
  Begin({}, /*first_budget=*/0);
  std::thread other([this] { EXPECT_FALSE(a_->Receive().ok()); });
  ASSERT_OK(a_->Send("at last"));
  EXPECT_EQ(b_->Receive().value_or("nothing"), "at last");
  const std::vector<bool> expected = {false, true, true, true};
  EXPECT_EQ(supply_b_.again, expected);
  // What came since counts.
  exchange_.wire()->Break();
  std::thread again([this] { EXPECT_EQ(b_->Receive().value_or("nothing"), "once more"); });
  ASSERT_OK(a_->Send("once more"));
  again.join();
  EXPECT_EQ(supply_b_.again.size(), 5u);
  EXPECT_FALSE(supply_b_.again.back());
  a_->Close();
  other.join();
}

TEST_F(ResumableEndTest, AConnectionIsAdoptedWhereItCanBeGoneOnWith) {
  Begin();
  ASSERT_OK(b_->Send("first"));
  ASSERT_OK(a_->Receive());
  auto wire = std::make_shared<Wire>();
  WireEnd far(wire, 0);
  ConnectionSupply::Connection next{.stream = std::make_shared<WireEnd>(wire, 1), .peer_received = 1};
  std::thread receiver([this] { EXPECT_EQ(b_->Receive().value_or(""), "to b"); });
  // What cannot be gone on with is not taken, whoever receives.
  next.peer_received = 9;
  EXPECT_FALSE(b_->Adopt(&next));
  next.peer_received = 1;
  ASSERT_OK(a_->Send("to b"));
  receiver.join();
  EXPECT_TRUE(b_->Adopt(&next));
  const absl::StatusOr<std::string> note = far.Receive();
  ASSERT_OK(note);
  EXPECT_EQ(DecodeStreamNote(*note).value_or(StreamNote{}).received, 1u);
  // The old one is closed.
  {
    std::lock_guard lock(wire_->mutex);
    EXPECT_TRUE(wire_->broken);
  }
  b_->Close();
  ConnectionSupply::Connection late{.stream = std::make_shared<WireEnd>(std::make_shared<Wire>(), 1), .peer_received = 1};
  EXPECT_FALSE(b_->Adopt(&late));
  EXPECT_NE(late.stream, nullptr);
}

TEST_F(ResumableEndTest, ANewConnectionIsProvedByWhatComesOverIt) {
  Begin();
  ASSERT_OK(b_->Send("first"));
  ASSERT_OK(a_->Receive());
  wire_->Break();
  std::thread other([this] { EXPECT_EQ(b_->Receive().value_or(""), "again"); });
  ASSERT_OK(a_->Send("again"));
  std::thread here([this] { EXPECT_FALSE(a_->Receive().ok()); });
  other.join();
  EXPECT_EQ(supply_b_.proved, 1);
  a_->Close();
  here.join();
}

}  // namespace
}  // namespace uringsync
