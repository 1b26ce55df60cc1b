// One conformance suite for every kind of control transport.
#include "proto/transport.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "proto/handshake.h"
#include "tests/support/control_links.h"
#include "tests/support/message_samples.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::AnyOf;

class TransportTest : public testing::TestWithParam<ControlLinkKind> {
 protected:
  std::unique_ptr<ControlLink> Link(AgentFunction serve) { return MakeControlLink(GetParam(), std::move(serve)); }
};

ManifestEnd Numbered(uint64_t number) {
  return {.directories = number};
}

// An error text of `bytes`, sent as one message.
SessionError TextOf(size_t bytes) {
  return {.kind = ErrorKind::kFileIo, .message = std::string(bytes, 'x')};
}

// A valid batch whose encoded form exceeds the bound of a message.
DirectoryBatch Oversized() {
  DirectoryBatch batch;
  batch.self.type = FileType::kDirectory;
  for (int i = 0; i < 100; ++i) {
    Entry entry{.name = std::to_string(1000 + i), .type = FileType::kSymlink};
    entry.symlink_target.assign(kMaxSymlinkTargetBytes, 'x');
    batch.entries.push_back(entry);
  }
  return batch;
}

TEST_P(TransportTest, MessagesArriveInOrderBothWays) {
  constexpr uint32_t kMessages = 500;
  std::promise<void> all_received;
  auto link = Link([&](AgentStream* stream, const ControlPeer&) {
    std::thread sender([stream] {
      for (uint64_t i = 0; i < kMessages; ++i) ASSERT_OK(stream->Send(Numbered(i)));
    });
    for (uint32_t i = 0; i < kMessages; ++i) {
      auto message = stream->Receive();
      ASSERT_OK(message);
      ASSERT_EQ(std::get<ManifestCredit>(*message).batches, i + 1);
    }
    sender.join();
    all_received.set_value();
  });
  auto client = link->Open();
  std::thread sender([&client] {
    for (uint32_t i = 0; i < kMessages; ++i) ASSERT_OK(client->Send(ManifestCredit{.batches = i + 1}));
  });
  for (uint64_t i = 0; i < kMessages; ++i) {
    auto message = client->Receive();
    ASSERT_OK(message);
    ASSERT_EQ(std::get<ManifestEnd>(*message).directories, i);
  }
  sender.join();
  all_received.get_future().wait();
  EXPECT_THAT(client->Receive(), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_P(TransportTest, LargeMessagesArriveWhole) {
  MessageSamples samples(7);
  const DirectoryBatch batch = samples.Batch(kMaxEntriesPerBatch);
  auto link = Link([&](AgentStream* stream, const ControlPeer&) { EXPECT_OK(stream->Send(batch)); });
  auto client = link->Open();
  auto message = client->Receive();
  ASSERT_OK(message);
  const auto& received = std::get<DirectoryBatch>(*message);
  ASSERT_EQ(received.entries.size(), batch.entries.size());
  EXPECT_EQ(received.entries.back().name, batch.entries.back().name);
}

TEST_P(TransportTest, ASlowReceiverLosesNothingAndBoundsTheSender) {
  constexpr size_t kMessageBytes = 60'000;
  constexpr size_t kMessages = 1000;  // 60 MB
  std::atomic<size_t> sent{0};
  auto link = Link([&](AgentStream* stream, const ControlPeer&) {
    for (size_t i = 0; i < kMessages; ++i) {
      ASSERT_OK(stream->Send(TextOf(kMessageBytes)));
      ++sent;
    }
  });
  auto client = link->Open();
  // Until the sender stands still: no progress between two looks.
  size_t seen = 0;
  do {
    seen = sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  } while (seen == 0 || sent != seen);
  EXPECT_LT(seen * kMessageBytes, size_t{16} << 20);
  for (size_t i = 0; i < kMessages; ++i) {
    auto message = client->Receive();
    ASSERT_OK(message);
    ASSERT_EQ(std::get<SessionError>(*message).message.size(), kMessageBytes);
  }
  EXPECT_THAT(client->Receive(), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_EQ(sent, kMessages);
}

TEST_P(TransportTest, TheAgentsReturnIsAnOrderlyEnd) {
  auto link = Link([](AgentStream* stream, const ControlPeer&) { ASSERT_OK(stream->Send(Numbered(1))); });
  auto client = link->Open();
  EXPECT_OK(client->Receive());
  EXPECT_THAT(client->Receive(), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(client->Receive(), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_P(TransportTest, TheClientsDestructionIsAnOrderlyEnd) {
  std::promise<absl::Status> end;
  auto link = Link([&](AgentStream* stream, const ControlPeer&) {
    auto first = stream->Receive();
    ASSERT_OK(first);
    end.set_value(stream->Receive().status());
  });
  auto client = link->Open();
  ASSERT_OK(client->Send(StartManifest{}));
  client.reset();
  EXPECT_THAT(end.get_future().get(), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_P(TransportTest, CloseFromAnotherThreadEndsAWaitingReceive) {
  auto link = Link([](AgentStream* stream, const ControlPeer&) { EXPECT_FALSE(stream->Receive().ok()); });
  auto client = link->Open();
  std::promise<void> waiting;
  std::thread receiver([&] {
    waiting.set_value();
    EXPECT_FALSE(client->Receive().ok());
  });
  waiting.get_future().wait();
  client->Close();
  client->Close();
  receiver.join();
  EXPECT_THAT(client->Send(StartManifest{}), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_P(TransportTest, CloseFromAnotherThreadEndsAWaitingSend) {
  std::promise<void> release;
  auto link = Link([&](AgentStream* stream, const ControlPeer&) {
    release.get_future().wait();
    while (stream->Receive().ok()) {
    }
  });
  auto client = link->Open();
  std::atomic<size_t> sent{0};
  const Hello hello{.software = std::string(200, 's'), .features = std::vector<std::string>(60, std::string(60, 'f'))};
  std::thread sender([&] {
    while (client->Send(hello).ok()) ++sent;
  });
  size_t seen = 0;
  do {
    seen = sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  } while (seen == 0 || sent != seen);
  client->Close();
  sender.join();
  release.set_value();
}

TEST_P(TransportTest, TheAgentsCloseEndsTheClientsReceive) {
  auto link = Link([](AgentStream* stream, const ControlPeer&) {
    stream->Close();
    EXPECT_FALSE(stream->Receive().ok());
    EXPECT_FALSE(stream->Send(Numbered(1)).ok());
  });
  auto client = link->Open();
  EXPECT_THAT(client->Receive(),
              AnyOf(StatusIs(absl::StatusCode::kUnavailable), StatusIs(absl::StatusCode::kOutOfRange)));
}

TEST_P(TransportTest, AnOversizedMessageIsRefusedAndTheStreamLives) {
  auto link = Link([](AgentStream* stream, const ControlPeer&) {
    EXPECT_THAT(stream->Send(Oversized()),
                StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("at most 4194304")));
    EXPECT_OK(stream->Send(Numbered(5)));
  });
  auto client = link->Open();
  auto message = client->Receive();
  ASSERT_OK(message);
  EXPECT_EQ(std::get<ManifestEnd>(*message).directories, 5u);
}

TEST_P(TransportTest, AMalformedMessageEndsReceivingAndLeavesAWayToAnswer) {
  auto link = Link([](AgentStream* stream, const ControlPeer&) {
    const auto message = stream->Receive();
    EXPECT_THAT(message, StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("ManifestCredit.batches")));
    EXPECT_OK(stream->Send(SessionError{.kind = ErrorKind::kProtocol, .message = "no"}));
  });
  auto client = link->Open();
  ASSERT_OK(client->Send(ManifestCredit{.batches = 0}));
  auto answer = client->Receive();
  ASSERT_OK(answer);
  EXPECT_EQ(std::get<SessionError>(*answer).kind, ErrorKind::kProtocol);
}

TEST_P(TransportTest, ACutConnectionIsFoundByBothEnds) {
  std::promise<absl::Status> agent_end;
  auto link = Link([&](AgentStream* stream, const ControlPeer&) {
    ASSERT_OK(stream->Send(Numbered(1)));
    agent_end.set_value(stream->Receive().status());
  });
  auto client = link->Open();
  ASSERT_OK(client->Receive());
  if (!link->Cut()) {
    client.reset();
    GTEST_SKIP() << "no connection to cut in memory";
  }
  EXPECT_THAT(client->Receive(), StatusIs(absl::StatusCode::kUnavailable, testing::HasSubstr("lost the connection")));
  EXPECT_FALSE(agent_end.get_future().get().ok());
}

TEST_P(TransportTest, StreamsOfOneChannelAreIndependent) {
  auto link = Link([](AgentStream* stream, const ControlPeer&) {
    auto message = stream->Receive();
    if (message.ok()) EXPECT_OK(stream->Send(Numbered(std::get<ManifestCredit>(*message).batches)));
  });
  auto first = link->Open();
  auto second = link->Open();
  ASSERT_OK(second->Send(ManifestCredit{.batches = 2}));
  auto message = second->Receive();
  ASSERT_OK(message);
  EXPECT_EQ(std::get<ManifestEnd>(*message).directories, 2u);
  first->Close();
  EXPECT_THAT(second->Receive(), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_P(TransportTest, TheHandshakeChoosesAVersionAndTheFeaturesInCommon) {
  auto link = Link([](AgentStream* stream, const ControlPeer&) {
    auto hello = AgentHandshake(stream, {.software = "agent 1", .features = {"x", "y", "z"}, .io_backend = "threads"});
    ASSERT_OK(hello);
    EXPECT_EQ(hello->hello.software, "client 1");
    EXPECT_EQ(hello->version, kProtocolVersion);
    EXPECT_EQ(hello->features, (std::vector<std::string>{"x", "z"}));
  });
  auto client = link->Open();
  auto reply = ClientHandshake(client.get(), {.software = "client 1", .features = {"z", "w", "x"}});
  ASSERT_OK(reply);
  EXPECT_EQ(reply->version, kProtocolVersion);
  EXPECT_EQ(reply->software, "agent 1");
  EXPECT_EQ(reply->features, (std::vector<std::string>{"x", "z"}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, TransportTest,
                         testing::Values(ControlLinkKind::kInMemory, ControlLinkKind::kSocketPair,
                                         ControlLinkKind::kMtls, ControlLinkKind::kMux),
                         [](const auto& info) { return ControlLinkName(info.param); });

}  // namespace
}  // namespace uringsync
