// Sessions that read again what they wrote (OpenSession::readback), on storage that damages what it is given.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "agent/session_root.h"
#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

class ReadbackSessionTest : public SessionTest {
 protected:
  void OpenWithReadback(bool readback = true, const std::function<void(OpenSession*)>& change = {}) {
    OpenBoth(Durability::kNone);
    OpenSession open = DestinationAtDst();
    open.session = TestSessionId(3);
    open.readback = readback;
    if (change) change(&open);
    static_cast<void>(destination_->End());
    OpenDestination(std::move(open));
  }
  // What is synced is another thing on storage than what was written: one bit of the byte at `offset`, in files of
  // `size_bytes`, `times` times.
  void DamageWhenSynced(off_t size_bytes, off_t offset, int times) {
    left_ = times;
    plan_->FilterOps([this, size_bytes, offset](const Op& op) {
      struct stat found {};
      if (op.code != OpCode::kFsync || ::fstat(op.fd, &found) != 0 || !S_ISREG(found.st_mode)) return 0;
      if (found.st_size != size_bytes || left_ == 0) return 0;
      --left_;
      char byte = 0;
      if (::pread(op.fd, &byte, 1, offset) != 1) std::abort();
      byte = static_cast<char>(byte ^ 4);
      if (::pwrite(op.fd, &byte, 1, offset) != 1 || ::fsync(op.fd) != 0) std::abort();
      ++damaged_;
      return 0;
    });
  }
  ApplyDone Put(const std::string& name) {
    Submit(Phase::kCreate, {PutTop(name)});
    return Finish();
  }

  std::atomic<int> left_{0};
  std::atomic<int> damaged_{0};
};

TEST_F(ReadbackSessionTest, WhatIsRightIsPublishedAndCounted) {
  WriteFile(dir_ / "src/small", "small");
  WriteFile(dir_ / "src/empty", "");
  WriteFile(dir_ / "src/big", std::string((5 << 20) + 3, 'b'));
  OpenWithReadback();
  const ApplyDone done = CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(done.counters.files_verified, 3u);
  EXPECT_EQ(done.counters.files_restaged, 0u);
  EXPECT_EQ(ReadFile(dir_ / "dst/big"), ReadFile(dir_ / "src/big"));
}

TEST_F(ReadbackSessionTest, AByteThatWasDamagedOnceIsFoundAndTheFileStagedAgain) {
  const std::string contents = std::string(70000, 'x');
  WriteFile(dir_ / "src/f", contents);
  WriteFile(dir_ / "dst/f", "old");
  OpenWithReadback();
  DamageWhenSynced(70000, 69999, 1);
  const ApplyDone done = Put("f");
  EXPECT_EQ(damaged_, 1);
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(done.counters.files_restaged, 1u);
  EXPECT_EQ(done.counters.files_verified, 1u);
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), contents);
  EXPECT_EQ(ReadDestinationNames(), std::vector<std::string>{"f"}) << "a temporary was left";
}

TEST_F(ReadbackSessionTest, StorageThatDamagesAgainAndAgainIsAProblemAndTheOldFileStays) {
  for (const bool large : {false, true}) {
    const size_t size = large ? (3 << 20) + 11 : 4097;
    const std::string name = large ? "large" : "small";
    WriteFile(dir_ / ("src/" + name), std::string(size, 'x'));
    WriteFile(dir_ / ("dst/" + name), "old");
    source_.reset();
    destination_.reset();
    agent_.reset();
    plan_ = std::make_shared<FaultPlan>();
    top_.clear();
    last_action_ = last_sequence_ = 0;
    damaged_ = 0;
    OpenWithReadback();
    DamageWhenSynced(static_cast<off_t>(size), large ? (2 << 20) + 5 : 0, 1000);
    const ApplyDone done = Put(name);
    EXPECT_EQ(damaged_, 2) << "one more try";
    ASSERT_EQ(destination_->problems.size(), 1u) << name;
    const Problem& problem = destination_->problems[0];
    EXPECT_EQ(problem.kind, ProblemKind::kIntegrity);
    EXPECT_EQ(problem.side, Side::kDestination);
    EXPECT_EQ(problem.operation, "readback");
    EXPECT_EQ(problem.path.text(), name);
    EXPECT_EQ(done.counters.files_published, 0u);
    EXPECT_EQ(ReadFile(dir_ / ("dst/" + name)), "old");
  }
}

TEST_F(ReadbackSessionTest, WithoutTheOptionDamageIsNotFound) {
  WriteFile(dir_ / "src/f", std::string(70000, 'x'));
  OpenWithReadback(false, [](OpenSession* open) { open->durability = Durability::kBatch; });
  if (IsVolatileFileSystem(opened_.file_system)) GTEST_SKIP() << "nothing is synced on " << opened_.file_system;
  DamageWhenSynced(70000, 100, 1);
  const ApplyDone done = Put("f");
  EXPECT_EQ(damaged_, 1) << "the premise";
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(done.counters.files_verified, 0u);
  EXPECT_NE(ReadFile(dir_ / "dst/f"), ReadFile(dir_ / "src/f"));
}

TEST_F(ReadbackSessionTest, AByteInAHoleIsFound) {
  const UniqueFd sparse(::open((dir_ / "src/f").c_str(), O_RDWR | O_CREAT, 0644));
  ASSERT_EQ(::ftruncate(sparse.get(), 6 << 20), 0);
  ASSERT_EQ(::pwrite(sparse.get(), "data", 4, 3 << 20), 4);
  OpenWithReadback();
  DamageWhenSynced(6 << 20, 5 << 20, 1000);
  Put("f");
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kIntegrity);
}

TEST_F(ReadbackSessionTest, AFileWrittenInPlaceThatIsDamagedIsAProblemAndDoesNotLookUnchanged) {
  WriteFile(dir_ / "src/f", std::string(5000, 'x'));
  WriteFile(dir_ / "dst/f", std::string(5000, 'o'));
  OpenWithReadback(true, [](OpenSession* open) { open->in_place = true; });
  DamageWhenSynced(5000, 10, 1000);
  Put("f");
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].operation, "readback");
  EXPECT_EQ(Stat("dst/f").st_mtime, 0) << "the next run would take it for unchanged";
}

TEST_F(ReadbackSessionTest, AReadThatFailsIsAProblemAndTheOldFileStays) {
  WriteFile(dir_ / "src/f", std::string(5000, 'x'));
  WriteFile(dir_ / "dst/f", "old");
  OpenWithReadback();
  const ino_t old_file = Stat("dst/f").st_ino;
  const ino_t source = Stat("src/f").st_ino;
  plan_->FilterOps([old_file, source](const Op& op) {
    struct stat found {};
    const bool staged = op.code == OpCode::kRead && ::fstat(op.fd, &found) == 0 && found.st_size == 5000 &&
                        found.st_ino != old_file && found.st_ino != source;
    return staged ? EIO : 0;
  });
  Put("f");
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].error, EIO);
  EXPECT_EQ(destination_->problems[0].operation, "readback");
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), "old");
}

}  // namespace
}  // namespace uringsync
