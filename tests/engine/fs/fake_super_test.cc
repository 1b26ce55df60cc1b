// What only a privileged process may set, kept in attributes: in rsync's form, over either driver.
#include "engine/fs/fake_super.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "engine/fs/fake_acl.h"
#include "engine/fs/file.h"
#include "engine/fs/metadata.h"
#include "engine/fs/syscalls.h"
#include "engine/fs/xattrs.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/fault_driver.h"

namespace uringsync {
namespace {

class FakeSuperTest : public testing::TestWithParam<KernelLevel> {
 protected:
  void SetUp() override {
    WriteFile(dir_ / "f", "contents");
    if (::setxattr((dir_ / "f").c_str(), "user.probe", "1", 1, 0) != 0) GTEST_SKIP() << "no user xattrs in $TMPDIR";
    ::removexattr((dir_ / "f").c_str(), "user.probe");
    ASSERT_EQ(::chmod((dir_ / "f").c_str(), 0644), 0);
  }
  // The attribute of rsync as the file system has it; empty: none.
  std::string Stored(const char* name, const char* attribute = "user.rsync.%stat") {
    char value[256];
    const ssize_t bytes = ::lgetxattr((dir_ / name).c_str(), attribute, value, sizeof(value));
    return bytes < 0 ? std::string() : std::string(value, static_cast<size_t>(bytes));
  }
  struct stat Real(const char* name) {
    struct stat found{};
    EXPECT_EQ(::lstat((dir_ / name).c_str(), &found), 0) << name;
    return found;
  }
  Entry Shown(const char* name) {
    struct statx found{};
    EXPECT_OK(StatAt(driver_.get(), root_->fd(), name, &found));
    Entry entry;
    EntryFromStatx(found, false, &entry);
    return entry;
  }
  std::string Ids(uint32_t uid, uint32_t gid) { return std::to_string(uid) + ":" + std::to_string(gid); }
  std::string OwnIds() { return Ids(::geteuid(), ::getegid()); }

  TempDir dir_;
  std::unique_ptr<Driver> driver_ = FakeSuper(MakeTestDriver(GetParam()));
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());
};

TEST_P(FakeSuperTest, OwnersAndSpecialPermissionsAreKeptBeside) {
  ASSERT_EQ(sys::Fchownat(driver_.get(), root_->fd(), "f", 1234, 2345, AT_SYMLINK_NOFOLLOW), 0);
  const std::string link = "/proc/self/fd/" + std::to_string(root_->fd()) + "/f";
  ASSERT_EQ(sys::Fchmodat(driver_.get(), AT_FDCWD, link.c_str(), 04451), 0);
  EXPECT_EQ(Stored("f"), "104451 0,0 1234:2345");
  EXPECT_EQ(Real("f").st_mode & 07777, 0651u);
  EXPECT_EQ(Real("f").st_uid, ::geteuid());
  const Entry shown = Shown("f");
  EXPECT_EQ(shown.mode, 04451u);
  EXPECT_EQ(Ids(shown.uid, shown.gid), "1234:2345");
  // What the file system can say itself is not kept.
  ASSERT_EQ(sys::Fchownat(driver_.get(), root_->fd(), "f", ::geteuid(), ::getegid(), AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(Stored("f"), "104451 0,0 " + OwnIds());
  ASSERT_EQ(sys::Fchmodat(driver_.get(), AT_FDCWD, link.c_str(), 0640), 0);
  EXPECT_EQ(Stored("f"), "");
  EXPECT_EQ(Real("f").st_mode & 07777, 0640u);
}

TEST_P(FakeSuperTest, ADescriptorThatOnlyNamesAnObjectShowsTheSame) {
  ASSERT_EQ(sys::Fchownat(driver_.get(), root_->fd(), "f", 7, 8, AT_SYMLINK_NOFOLLOW), 0);
  const UniqueFd pinned(sys::Openat(driver_.get(), root_->fd(), "f", O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct statx found{};
  ASSERT_OK(StatDescriptor(driver_.get(), pinned.get(), &found));
  EXPECT_EQ(Ids(found.stx_uid, found.stx_gid), "7:8");
}

TEST_P(FakeSuperTest, SymlinksAreFilesThatHoldTheirTarget) {
  ASSERT_EQ(sys::Symlinkat(driver_.get(), "some/target", root_->fd(), "l"), 0);
  EXPECT_EQ(sys::Symlinkat(driver_.get(), "other", root_->fd(), "l"), -EEXIST);
  EXPECT_TRUE(S_ISREG(Real("l").st_mode));
  EXPECT_EQ(ReadFile(dir_ / "l"), "some/target");
  EXPECT_EQ(Stored("l"), "120777 0,0 " + OwnIds());
  EXPECT_EQ(Shown("l").type, FileType::kSymlink);
  char target[64];
  ASSERT_EQ(sys::Readlinkat(driver_.get(), root_->fd(), "l", target, sizeof(target)), 11);
  EXPECT_EQ(std::string(target, 11), "some/target");
  EXPECT_EQ(sys::Readlinkat(driver_.get(), root_->fd(), "l", target, 4), 4);
  EXPECT_EQ(sys::Readlinkat(driver_.get(), root_->fd(), "f", target, sizeof(target)), -EINVAL);
  EXPECT_FALSE(OpenSourceFile(driver_.get(), root_->fd(), "l").ok()) << "its contents are nobody's business";
  // A real one stays one.
  ASSERT_EQ(::symlink("real", (dir_ / "r").c_str()), 0);
  EXPECT_EQ(Shown("r").type, FileType::kSymlink);
  EXPECT_EQ(sys::Readlinkat(driver_.get(), root_->fd(), "r", target, sizeof(target)), 4);
}

TEST_P(FakeSuperTest, DevicesFifosAndSocketsAreEmptyFiles) {
  ASSERT_EQ(sys::Mknodat(driver_.get(), root_->fd(), "b", S_IFBLK | 0600, ::makedev(7, 9)), 0);
  ASSERT_EQ(sys::Mknodat(driver_.get(), root_->fd(), "p", S_IFIFO | 0600, 0), 0);
  ASSERT_EQ(sys::Mknodat(driver_.get(), root_->fd(), "s", S_IFSOCK | 0600, 0), 0);
  EXPECT_EQ(Stored("b"), "60600 7,9 " + OwnIds());
  EXPECT_EQ(Stored("p"), "10600 0,0 " + OwnIds());
  EXPECT_EQ(Stored("s"), "140600 0,0 " + OwnIds());
  EXPECT_EQ(Shown("b").type, FileType::kBlockDevice);
  EXPECT_EQ(Shown("b").rdev_minor, 9u);
  EXPECT_EQ(Shown("p").type, FileType::kFifo);
  EXPECT_EQ(Shown("s").type, FileType::kSocket);
  for (const char* name : {"b", "p", "s"}) EXPECT_TRUE(S_ISREG(Real(name).st_mode)) << name;
}

TEST_P(FakeSuperTest, WhatIsMadeIsNeverClosedToItsOwner) {
  const UniqueFd file(sys::Openat(driver_.get(), root_->fd(), "new", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444));
  EXPECT_EQ(Real("new").st_mode & 0777, 0644u);
  ASSERT_EQ(sys::Fchmod(driver_.get(), file.get(), 0), 0);
  EXPECT_EQ(Real("new").st_mode & 0777, 0600u);
  EXPECT_EQ(Shown("new").mode, 0u);
  ASSERT_EQ(sys::Mkdirat(driver_.get(), root_->fd(), "d", 0700), 0);
  const std::string link = "/proc/self/fd/" + std::to_string(root_->fd()) + "/d";
  ASSERT_EQ(sys::Fchmodat(driver_.get(), AT_FDCWD, link.c_str(), 01555), 0);
  EXPECT_EQ(Real("d").st_mode & 07777, 0755u);
  EXPECT_EQ(Stored("d"), "41555 0,0 " + OwnIds());
}

TEST_P(FakeSuperTest, AttributesOfOtherKindsGetAPrefix) {
  XattrAccess xattrs(driver_.get());
  for (const ObjectHandle object :
       {ObjectHandle::At(root_->fd(), "f"), ObjectHandle::OfFd(::open((dir_ / "f").c_str(), O_RDONLY))}) {
    ASSERT_EQ(xattrs.Set(object, "trusted.t", "T"), 0);
    ASSERT_EQ(xattrs.Set(object, "user.u", "U"), 0);
    EXPECT_EQ(Stored("f", "user.rsync.trusted.t"), "T");
    ASSERT_OK_AND_ASSIGN(const XattrList list, xattrs.Read(object, MetadataSelection()));
    EXPECT_EQ(list, (XattrList{{"trusted.t", "T"}, {"user.u", "U"}}));
    ASSERT_EQ(xattrs.Remove(object, "trusted.t"), 0);
    EXPECT_EQ(Stored("f", "user.rsync.trusted.t"), "");
    // Nobody gets at what is kept there by another name.
    EXPECT_EQ(xattrs.Set(object, "user.rsync.%stat", "104777 0,0 0:0"), -EPERM);
    char value[16];
    EXPECT_EQ(xattrs.Get(object, "user.rsync.%stat", value, sizeof(value)), -ENODATA);
    if (object.is_fd()) ::close(object.fd);
  }
}

TEST_P(FakeSuperTest, RealPrivilegedAttributesAreShownUntilOthersAreKeptInTheirPlace) {
  const std::string path = dir_ / "f";
  if (::setxattr(path.c_str(), "trusted.t", "real", 4, 0) != 0) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  const MetadataSelection selection;
  XattrAccess access(driver_.get());
  const ObjectHandle object = ObjectHandle::At(root_->fd(), "f");
  ASSERT_OK_AND_ASSIGN(XattrList list, access.Read(object, selection));
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].name + "=" + list[0].value, "trusted.t=real");
  ASSERT_EQ(access.Set(object, "trusted.t", "kept"), 0);
  EXPECT_EQ(Stored("f", "trusted.t"), "real") << "what only root may set is not touched";
  EXPECT_EQ(Stored("f", "user.rsync.trusted.t"), "kept");
  ASSERT_OK_AND_ASSIGN(list, access.Read(object, selection));
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].value, "kept");
  ASSERT_EQ(access.Remove(object, "trusted.t"), 0);
  ASSERT_OK_AND_ASSIGN(list, access.Read(object, selection));
  EXPECT_TRUE(list.empty()) << "a real one that is superfluous goes too";
}

TEST_P(FakeSuperTest, AFileThatItsOwnerMayNotWriteGetsItsAttributesAllTheSame) {
  auto plan = std::make_shared<FaultPlan>();
  driver_ = FakeSuper(plan->Wrap(MakeTestDriver(GetParam())));
  ASSERT_EQ(::chmod((dir_ / "f").c_str(), 0444), 0);
  plan->FilterCalls([this](CallCode code, const long(&)[6]) {
    const bool sets = code == CallCode::kSetxattr || code == CallCode::kLsetxattr || code == CallCode::kRemovexattr ||
                      code == CallCode::kLremovexattr;
    return sets && (Real("f").st_mode & 0200) == 0 ? EACCES : 0;
  });
  ASSERT_EQ(sys::Fchownat(driver_.get(), root_->fd(), "f", 7, 8, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(Stored("f"), "100444 0,0 7:8");
  EXPECT_EQ(Real("f").st_mode & 07777, 0644u);
  EXPECT_EQ(Shown("f").mode, 0444u);
  EXPECT_GT(plan->injected(), 0u);
}

TEST_P(FakeSuperTest, AStatThatMakesNoSenseIsLeftAlone) {
  for (const char* text : {"", "nonsense", "100644 0,0", "41755 0,0 1:1"}) {
    ASSERT_EQ(::setxattr((dir_ / "f").c_str(), "user.rsync.%stat", text, std::strlen(text), 0), 0);
    EXPECT_EQ(Shown("f").type, FileType::kRegular) << text;
    EXPECT_EQ(Shown("f").uid, ::geteuid()) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, FakeSuperTest, testing::Values(KernelLevel::kNative, KernelLevel::k5_6),
                         [](const auto& info) {
                           return std::string(info.param == KernelLevel::kNative ? "Native" : "Old");
                         });

std::string Bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

// u::rw-,u:1000:rw-,g::r--,m::rw-,o::r--
const std::string kAccess = Bytes({2, 0,  0,  0,  1,  0,  6, 0, -1, -1, -1, -1, 2,  0,  6, 0, 0xe8, 3,  0,  0,  4, 0, 4,
                                   0, -1, -1, -1, -1, 16, 0, 6, 0,  -1, -1, -1, -1, 32, 0, 4, 0,    -1, -1, -1, -1});
// As rsync 3.5 writes it.
const std::string kStoredAccess =
    Bytes({0x80, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 0x80, 0, 0, 0, 0xe8, 3, 0, 0, 6, 0, 0, 0x80});

TEST(FakeAclTest, AnAccessListLeavesOutWhatTheModeSays) {
  EXPECT_EQ(PackAcl(kAccess, AclKind::kAccess), kStoredAccess);
  EXPECT_EQ(UnpackAcl(kStoredAccess, AclKind::kAccess, 0100664), kAccess);
}

TEST(FakeAclTest, ADefaultListHasEverything) {
  const std::string value = Bytes({2, 0, 0, 0, 1, 0, 5,  0, -1, -1, -1, -1, 4,  0,  7,  0, -1, -1, -1, -1, 8,  0,
                                   1, 0, 9, 0, 0, 0, 16, 0, 7,  0,  -1, -1, -1, -1, 32, 0, 7,  0,  -1, -1, -1, -1});
  const std::optional<std::string> stored = PackAcl(value, AclKind::kDefault);
  EXPECT_EQ(stored, Bytes({5, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(UnpackAcl(*stored, AclKind::kDefault, 0), value);
}

TEST(FakeAclTest, WhatIsNoListIsRefused) {
  for (const std::string& bad : {std::string(), kAccess.substr(1), kAccess.substr(0, 10), Bytes({3, 0, 0, 0})})
    EXPECT_EQ(PackAcl(bad, AclKind::kAccess), std::nullopt);
  std::string unknown = kAccess;
  unknown[4] = 64;
  EXPECT_EQ(PackAcl(unknown, AclKind::kAccess), std::nullopt);
  EXPECT_EQ(UnpackAcl(kStoredAccess.substr(0, 15), AclKind::kAccess, 0), std::nullopt);
  EXPECT_EQ(UnpackAcl(kStoredAccess.substr(0, 20), AclKind::kAccess, 0), std::nullopt);
  EXPECT_EQ(UnpackAcl(kStoredAccess, AclKind::kDefault, 0), std::nullopt);
}

}  // namespace
}  // namespace uringsync
