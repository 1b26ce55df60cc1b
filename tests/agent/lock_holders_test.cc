#include "agent/lock_holders.h"

#include <gtest/gtest.h>

#include <utility>

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A session in the list.
struct Held {
  std::optional<milliseconds> detached;
  int ended = 0;
  LockHolders::Hold hold;
};

// /srv/b, in / and /srv.
LockClaim Tree(std::string who, uint64_t root, std::vector<uint64_t> above = {2, 1}) {
  LockClaim claim{.who = std::move(who), .root = {1, root}, .above = {}};
  for (const uint64_t inode : above) claim.above.push_back({1, inode});
  return claim;
}

class LockHoldersTest : public testing::Test {
 protected:
  void Add(Held* held, LockClaim claim) {
    held->hold = holders_.Add(
        std::move(claim), [held] { return held->detached; }, [held] { ++held->ended; });
  }
  LockHolders holders_;
};

TEST_F(LockHoldersTest, ASessionThatLostItsCoordinatorMakesWayForTheSameNamesAtOnce) {
  Held held;
  Add(&held, Tree("cli", 10));
  held.detached = milliseconds(0);
  EXPECT_EQ(holders_.MakeWay(Tree("cli", 10)), LockWay::kMade);
  EXPECT_EQ(held.ended, 1);
}

TEST_F(LockHoldersTest, ForOthersOnlyAfterAWhile) {
  Held held;
  Add(&held, Tree("cli", 10));
  held.detached = LockHolders::kPatience - seconds(1);
  EXPECT_EQ(holders_.MakeWay(Tree("backup", 10)), LockWay::kNone);
  EXPECT_EQ(holders_.MakeWay(Tree("", 10)), LockWay::kNone);
  held.detached = LockHolders::kPatience;
  EXPECT_EQ(holders_.MakeWay(Tree("backup", 10)), LockWay::kMade);
  EXPECT_EQ(held.ended, 1);
}

TEST_F(LockHoldersTest, ASessionWithItsConnectionStays) {
  Held held;
  Add(&held, Tree("cli", 10));
  EXPECT_EQ(holders_.MakeWay(Tree("cli", 10)), LockWay::kConnected);
  EXPECT_EQ(holders_.MakeWay(Tree("backup", 10)), LockWay::kNone);
  EXPECT_EQ(held.ended, 0);
}

TEST_F(LockHoldersTest, NobodysNamesHaveNoSuccessor) {
  Held held;
  Add(&held, Tree("", 10));
  held.detached = seconds(1);
  EXPECT_EQ(holders_.MakeWay(Tree("", 10)), LockWay::kNone);
}

TEST_F(LockHoldersTest, OnlyWhatIsInTheWayIsAsked) {
  Held beside, above, below;
  Add(&beside, Tree("cli", 11));
  Add(&above, Tree("cli", 2, {1}));
  Add(&below, Tree("cli", 12, {10, 2, 1}));
  beside.detached = above.detached = below.detached = seconds(1);
  EXPECT_EQ(holders_.MakeWay(Tree("cli", 10)), LockWay::kMade);
  EXPECT_EQ(std::make_pair(above.ended, below.ended), std::make_pair(1, 1));
  EXPECT_EQ(beside.ended, 0);
}

TEST_F(LockHoldersTest, WhoHasGoneIsNotAsked) {
  Held held;
  Add(&held, Tree("cli", 10));
  held.detached = seconds(1);
  held.hold.Release();
  EXPECT_EQ(holders_.MakeWay(Tree("cli", 10)), LockWay::kNone);
  EXPECT_EQ(held.ended, 0);
}

}  // namespace
}  // namespace uringsync
