// Source files that never rest, in a session that takes them as they are read (ReceiveOptions::copy_unstable). They
// move with every read of them, so nothing depends on who is faster.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "engine/base/errno_status.h"
#include "engine/transfer/receiver.h"
#include "tests/engine/transfer/transfer_fixture.h"

namespace uringsync {
namespace {

class MovingSourceTest : public testing::TestWithParam<Way> {
 protected:
  MovingSourceTest()
      : runtime_(StartFaultyRuntime(plan_, GetParam().backend, 1)),
        from_(OpenTestRoot(source_.path())),
        into_(OpenTestRoot(destination_.path())) {}

  static Task<void> PutTask(Receiver* receiver, ReceiveShared* shared, DirectoryPtr into, IncomingFile* file,
                            std::optional<Entry> existing, std::optional<TransferFailure>* failure) {
    Driver* driver = receiver->shard()->driver();
    if (existing) file->basis = OpenBasis(driver, into->fd(), LeafName(file->path), *existing, &shared->direct_io());
    absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(driver, into, shared->namer());
    if (!staged.ok()) std::abort();
    *failure = co_await receiver->Fill(&*staged, file);
    file->basis = nullptr;
    if (!failure->has_value() && !staged->Publish(LeafName(file->path), existing).ok()) std::abort();
  }

  // Brings "f" over; `move` happens with every read of any file.
  std::optional<TransferFailure> Put(std::function<void()> move) {
    ReceiveOptions options;
    options.digest_seed = kTestSeed;
    options.direct_io = GetParam().direct_io;
    options.session_tag = 5;
    options.sync = false;
    options.selection = selection_;
    options.capabilities = ReadProcessCapabilities();
    options.delta = delta_;
    options.copy_unstable = copy_;
    shared_ = std::make_unique<ReceiveShared>(options);
    Shard* const shard = &runtime_->shard(0);
    SourceReaderOptions reader_options;
    reader_options.digest_seed = kTestSeed;
    reader_options.direct_io = &direct_io_;
    reader_options.selection = selection_;
    LocalContentSource source(
        std::make_unique<SourceReader>(shard->driver(), shard->buffers(), from_, std::move(reader_options)));
    Receiver receiver(shard, shared_.get(), &source);
    file_ = IncomingFile{*RelPath::Parse("f"), EntryOf(from()), want_xattrs_};
    std::optional<Entry> existing;
    if (::access(to().c_str(), F_OK) == 0) existing = EntryOf(to());
    if (move != nullptr) {
      plan_->FilterOps([move](const Op& op) {
        if (op.code == OpCode::kRead) move();
        return 0;
      });
    }
    std::optional<TransferFailure> failure;
    BlockOn(shard, PutTask(&receiver, shared_.get(), into_, &file_, existing, &failure));
    plan_->Clear();
    return failure;
  }
  std::string from() const { return source_ / "f"; }
  std::string to() const { return destination_ / "f"; }
  void Append(const std::string& text) const {
    const UniqueFd file(::open(from().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    ASSERT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // The byte at `at` becomes another one.
  void Touch(uint64_t at) {
    const UniqueFd file(::open(from().c_str(), O_WRONLY | O_CLOEXEC));
    const char byte = static_cast<char>('A' + touches_++ % 26);
    ASSERT_EQ(::pwrite(file.get(), &byte, 1, static_cast<off_t>(at)), 1);
    // Clocks of files are coarse.
    const timespec times[2] = {{.tv_sec = touches_, .tv_nsec = 0}, {.tv_sec = touches_, .tv_nsec = 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, from().c_str(), times, 0), 0);
  }

  DirectIo direct_io_{GetParam().direct_io};  // of the source
  TempDir source_;
  TempDir destination_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Runtime> runtime_;
  DirectoryPtr from_;
  DirectoryPtr into_;
  MetadataSelection selection_;
  DeltaPolicy delta_ = DeltaPolicy::kOff;
  bool copy_ = true;
  bool want_xattrs_ = false;
  int touches_ = 0;
  std::unique_ptr<ReceiveShared> shared_;
  IncomingFile file_;
};

TEST_P(MovingSourceTest, AFileThatGrowsAllTheTimeIsCopiedUpToALengthThatItHad) {
  for (const size_t bytes : {size_t{1}, size_t{3} << 20}) {
    const std::string text = Pattern(bytes);
    WriteFile(from(), text);
    ASSERT_FALSE(Put([this] { Append("more"); }).has_value()) << bytes;
    EXPECT_TRUE(file_.accept_moving);
    const std::string copy = ReadFile(to());
    EXPECT_GE(copy.size(), text.size());
    EXPECT_LT(copy.size(), EntryOf(from()).size_bytes);
    EXPECT_TRUE(ReadFile(from()).starts_with(copy)) << bytes;
    ASSERT_EQ(::unlink(to().c_str()), 0);
  }
}

TEST_P(MovingSourceTest, AFileThatIsWrittenOverAllTheTimeIsCopiedWithAnOlderTime) {
  for (const size_t bytes : {size_t{2000}, size_t{9} << 20}) {
    std::string text = Pattern(bytes);
    WriteFile(from(), text);
    ASSERT_FALSE(Put([this] { Touch(1000); }).has_value()) << bytes;
    EXPECT_TRUE(file_.accept_moving);
    std::string copy = ReadFile(to());
    ASSERT_EQ(copy.size(), text.size());
    copy[1000] = text[1000] = ' ';
    EXPECT_TRUE(copy == text) << bytes;
    EXPECT_LT(EntryOf(to()).mtime, EntryOf(from()).mtime) << "the next run would take it for the same";
    ASSERT_EQ(::unlink(to().c_str()), 0);
  }
}

TEST_P(MovingSourceTest, WhereTimesAreComparedByTheSecondTheCopyLooksOlderThanThat) {
  selection_.modify_window_s = 0;
  WriteFile(from(), "123456789");
  const FileTime before = EntryOf(from()).mtime;
  ASSERT_FALSE(Put([this] { Append("+"); }).has_value());
  EXPECT_TRUE(file_.accept_moving);
  EXPECT_FALSE(selection_.WithinWindow(EntryOf(to()).mtime, EntryOf(from()).mtime));
  EXPECT_GE(EntryOf(to()).mtime.seconds, before.seconds - 1);
}

TEST_P(MovingSourceTest, AFileThatComesToRestIsCopiedAtRest) {
  WriteFile(from(), "at first");
  int reads = 0;
  ASSERT_FALSE(Put([this, &reads] {
                 if (++reads < kRestingTries) Append("+");
               }).has_value());
  EXPECT_FALSE(file_.accept_moving);
  EXPECT_EQ(ReadFile(to()), ReadFile(from()));
  EXPECT_EQ(EntryOf(to()).mtime, EntryOf(from()).mtime);
}

TEST_P(MovingSourceTest, OneThatShrinksUnderTheLastTriesIsAskedForAgain) {
  WriteFile(from(), std::string(64, 'x'));
  int reads = 0;
  ASSERT_FALSE(Put([this, &reads] {
                 if (++reads <= kRestingTries + 1) ASSERT_EQ(::truncate(from().c_str(), 64 - 8 * reads), 0);
               }).has_value());
  EXPECT_EQ(ReadFile(to()), std::string(64 - 8 * (kRestingTries + 1), 'x'));
}

TEST_P(MovingSourceTest, ADeltaTakesWhatMovesAsItComes) {
  delta_ = DeltaPolicy::kForce;
  const std::string text = Pattern(size_t{6} << 20);
  std::string old_text = text;
  old_text[100] ^= 1;
  old_text[size_t{4} << 20] ^= 1;
  WriteFile(from(), text);
  WriteFile(to(), old_text);
  ASSERT_FALSE(Put([this] { Touch((size_t{2} << 20) + 5); }).has_value());
  EXPECT_TRUE(file_.accept_moving);
  std::string copy = ReadFile(to());
  ASSERT_EQ(copy.size(), text.size());
  copy[(size_t{2} << 20) + 5] = text[(size_t{2} << 20) + 5];
  EXPECT_TRUE(copy == text);
  EXPECT_GT(shared_->counters().bytes_matched.load(), uint64_t{2} << 20) << "only what differs crosses";
}

TEST_P(MovingSourceTest, AttributesOfAMovingFileComeWithIt) {
  WriteFile(from(), Pattern(size_t{3} << 20));
  if (::setxattr(from().c_str(), "user.a", "1", 1, 0) != 0) GTEST_SKIP() << "no user xattrs here: errno " << errno;
  selection_.xattrs = true;
  want_xattrs_ = true;
  ASSERT_FALSE(Put([this] { Touch(0); }).has_value());
  char value = 0;
  EXPECT_EQ(::getxattr(to().c_str(), "user.a", &value, 1), 1);
  EXPECT_EQ(value, '1');
}

TEST_P(MovingSourceTest, ASizeWithNothingBehindItIsNoDataAndEndsSoon) {
  WriteFile(from(), "what sysfs calls 4096 bytes");
  for (const bool copy : {false, true}) {
    copy_ = copy;
    plan_->Shorten(OpCode::kRead, 1, 0, FaultPlan::kForever);
    const std::optional<TransferFailure> failure = Put(nullptr);
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->error, ENODATA);
    EXPECT_EQ(failure->operation, "read");
    EXPECT_TRUE(failure->at_source);
    EXPECT_NE(::access(to().c_str(), F_OK), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, MovingSourceTest, testing::ValuesIn(kEveryWay), WayName);

}  // namespace
}  // namespace uringsync
