#include "engine/base/boxed.h"

#include <gtest/gtest.h>

#include <string>

namespace uringsync {
namespace {

struct Large {
  std::string name;
  char room[512] = {};
  friend bool operator==(const Large& left, const Large& right) { return left.name == right.name; }
};

TEST(Boxed, TakesTheRoomOfAPointer) {
  EXPECT_EQ(sizeof(Boxed<Large>), sizeof(void*));
}

TEST(Boxed, IsEmptyUntilItIsGivenAValue) {
  Boxed<Large> box;
  EXPECT_FALSE(box);
  EXPECT_EQ(box.get(), nullptr);
  EXPECT_FALSE(box.ToOptional().has_value());
  box = Large{"first"};
  ASSERT_TRUE(box.has_value());
  EXPECT_EQ(box->name, "first");
  EXPECT_EQ(box.emplace("second").name, "second");
  box = std::nullopt;
  EXPECT_FALSE(box);
}

TEST(Boxed, CopiesTheValueAndNotThePlace) {
  Boxed<Large> original = Large{"old"};
  Boxed<Large> copy = original;
  EXPECT_EQ(copy, original);
  copy->name = "new";
  EXPECT_EQ(original->name, "old");
  EXPECT_NE(copy, original);
  const Boxed<Large>& itself = copy;
  copy = itself;
  EXPECT_EQ(copy->name, "new");
  copy = Boxed<Large>();
  EXPECT_NE(copy, original);
}

TEST(Boxed, IsEmptyAfterItWasMovedFrom) {
  Boxed<Large> source = Large{"moved"};
  const Boxed<Large> target = std::move(source);
  EXPECT_EQ(target->name, "moved");
  EXPECT_FALSE(source);  // NOLINT(bugprone-use-after-move): that is what is asked
}

TEST(Boxed, TakesWhatAnOptionalHolds) {
  EXPECT_FALSE(Boxed<Large>(std::optional<Large>()));
  EXPECT_EQ(Boxed<Large>(std::optional<Large>(Large{"held"}))->name, "held");
  const std::optional<Large> held = Large{"held"};
  EXPECT_EQ(AddressOrNull(held), &*held);
  EXPECT_EQ(AddressOrNull(std::optional<Large>()), nullptr);
}

}  // namespace
}  // namespace uringsync
