#include "engine/base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

namespace uringsync {
namespace {

bool IsOpen(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}
int OpenNull() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

TEST(UniqueFdTest, ClosesAtTheEndOfItsLife) {
  int number = -1;
  {
    UniqueFd fd(OpenNull());
    number = fd.get();
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(UniqueFdTest, MoveAndReleaseHandOver) {
  UniqueFd a(OpenNull());
  const int number = a.get();
  UniqueFd b = std::move(a);
  EXPECT_FALSE(a.valid());
  EXPECT_EQ(b.get(), number);
  UniqueFd c(OpenNull());
  const int displaced = c.get();
  c = std::move(b);
  EXPECT_FALSE(IsOpen(displaced));
  UniqueFd& self = c;
  c = std::move(self);
  EXPECT_EQ(c.Release(), number);
  EXPECT_TRUE(IsOpen(number));
  ::close(number);
}

TEST(UniqueFdTest, ResetReplaces) {
  UniqueFd fd(OpenNull());
  const int number = fd.get();
  const int next = OpenNull();
  fd.Reset(next);
  EXPECT_FALSE(IsOpen(number));
  EXPECT_EQ(fd.get(), next);
  fd.Reset();
  EXPECT_FALSE(fd.valid());
}

}  // namespace
}  // namespace uringsync
