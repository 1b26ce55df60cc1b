#include "agent/session_table.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

class Waiting final : public LiveDestination {
 public:
  const SessionToken& token() const override { return token_; }
  void Break(const std::string& why) override { broken_ = why; }
  Task<absl::Status> Use(std::unique_ptr<RequestChannel>) override { co_return absl::OkStatus(); }
  SessionToken token_{1, 2, 3};
  std::string broken_;
};

PeerIdentity Peer(const std::string& name, const std::string& pem) {
  return {.common_name = "", .dns_names = {name}, .ip_addresses = {}, .uris = {}, .fingerprint = "", .pem = pem};
}

class SessionTableTest : public testing::Test {
 protected:
  SessionTableTest() { EXPECT_OK(table_.AddDestination(id_, session_)); }
  absl::Status Show(const PeerIdentity& peer) {
    return table_.FindDestination(id_, session_->token_, &peer).status();
  }
  SessionTable table_;
  const SessionId id_{7};
  const std::shared_ptr<Waiting> session_ = std::make_shared<Waiting>();
};

TEST_F(SessionTableTest, ATokenIsWorthNothingAfterItsSession) {
  EXPECT_OK(Show(Peer("a", "A")));
  table_.RemoveDestination(id_);
  EXPECT_THAT(Show(Peer("a", "A")), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(SessionTableTest, ATokenBelongsToTheFirstNameThatShowsIt) {
  EXPECT_OK(Show(Peer("a", "A")));
  EXPECT_OK(Show(Peer("a", "A")));
  EXPECT_OK(Show(Peer("a", "renewed")));
  EXPECT_THAT(Show(Peer("b", "B")), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(SessionTableTest, AWrongTokenAndAnUnknownSessionAreToldAlike) {
  const PeerIdentity peer = Peer("a", "A");
  const SessionToken other{9};
  const absl::Status wrong = table_.FindDestination(id_, other, &peer).status();
  const absl::Status unknown = table_.FindDestination(SessionId{8}, session_->token_, &peer).status();
  EXPECT_THAT(wrong, StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_EQ(wrong, unknown);
  // A wrong token takes nothing from who has the right one.
  EXPECT_OK(Show(Peer("b", "B")));
}

TEST_F(SessionTableTest, SessionsOfARevokedPeerAreBroken) {
  EXPECT_OK(Show(Peer("a", "A")));
  EXPECT_OK(Show(Peer("a", "renewed")));
  EXPECT_EQ(table_.BreakRevoked([](const std::string& pem) { return pem == "other"; }), 0u);
  EXPECT_EQ(session_->broken_, "");
  EXPECT_EQ(table_.BreakRevoked([](const std::string& pem) { return pem == "A"; }), 1u);
  EXPECT_THAT(session_->broken_, testing::HasSubstr("(a) has been revoked"));
}

}  // namespace
}  // namespace uringsync
