#include "engine/fs/metadata.h"

#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>

#include "engine/fs/atomic_file.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"
#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

// A capability set as setcap writes it: cap_net_raw=ep, version 2 (linux/capability.h).
std::string CapabilityValue() {
  const uint32_t words[] = {0x02000001, 1U << 13, 0, 0, 0};
  return std::string(reinterpret_cast<const char*>(words), sizeof(words));
}

class MetadataTest : public testing::Test {
 protected:
  // Makes `name` like `wanted_`; `xattrs` null leaves attributes alone.
  absl::Status Apply(const char* name, const XattrList* xattrs = nullptr, bool fresh = false) {
    MetadataRequest request;
    request.wanted = &wanted_;
    request.xattrs = xattrs;
    request.selection = &selection_;
    request.capabilities = &capabilities_;
    request.fresh = fresh;
    return ApplyMetadata(&xattrs_, ObjectHandle::At(root_->fd(), name), request, &counters_);
  }
  absl::Status ApplyToFd(int fd, const XattrList* xattrs, bool fresh = false) {
    MetadataRequest request;
    request.wanted = &wanted_;
    request.xattrs = xattrs;
    request.selection = &selection_;
    request.capabilities = &capabilities_;
    request.fresh = fresh;
    return ApplyMetadata(&xattrs_, ObjectHandle::OfFd(fd), request, &counters_);
  }
  Entry Look(const char* name) {
    struct statx stat = {};
    EXPECT_OK(StatAt(driver_.get(), root_->fd(), name, &stat));
    Entry entry;
    EXPECT_TRUE(EntryFromStatx(stat, true, &entry));
    return entry;
  }

  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());
  XattrAccess xattrs_{driver_.get()};
  MetadataSelection selection_;
  ProcessCapabilities capabilities_ = ReadProcessCapabilities();
  MetadataCounters counters_;
  Entry wanted_{
      .mode = 0640, .uid = ::geteuid(), .gid = ::getegid(), .mtime = {.seconds = 1000000000, .nanoseconds = 123456789}};
};

TEST_F(MetadataTest, AnEntryHoldsWhatStatxTells) {
  WriteFile(dir_ / "f", "12345", 0640);
  const Entry f = Look("f");
  const struct stat st = LStat(dir_ / "f");
  EXPECT_EQ(f.type, FileType::kRegular);
  EXPECT_EQ(f.mode, 0640u);
  EXPECT_EQ(f.size_bytes, 5u);
  EXPECT_EQ(f.id.inode, st.st_ino);
  EXPECT_EQ(f.id.device, st.st_dev);
  EXPECT_EQ(f.mtime.seconds, st.st_mtim.tv_sec);
  EXPECT_EQ(f.mtime.nanoseconds, st.st_mtim.tv_nsec);
  ASSERT_EQ(::mkfifo((dir_ / "p").c_str(), 0600), 0);
  EXPECT_EQ(Look("p").type, FileType::kFifo);
}

TEST_F(MetadataTest, ModeAndTimesAreSetByNameAndByDescriptor) {
  WriteFile(dir_ / "a", "");
  WriteFile(dir_ / "b", "");
  wanted_.mode = 01751;
  ASSERT_OK(Apply("a"));
  UniqueFd fd(::open((dir_ / "b").c_str(), O_RDWR));
  ASSERT_OK(ApplyToFd(fd.get(), nullptr));
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(Look(name).mode, 01751u);
    EXPECT_EQ(Look(name).mtime, wanted_.mtime);
  }
}

TEST_F(MetadataTest, NothingIsChangedWhereNothingDiffers) {
  WriteFile(dir_ / "a", "");
  const XattrList xattrs = {{"user.k", "v"}};
  ASSERT_OK(Apply("a", &xattrs));
  const FileTime before = Look("a").ctime;
  const uint64_t calls = driver_->counters().calls[static_cast<size_t>(CallCode::kUtimensat)];
  ASSERT_OK(Apply("a", &xattrs));
  EXPECT_EQ(Look("a").ctime, before);
  EXPECT_EQ(driver_->counters().calls[static_cast<size_t>(CallCode::kUtimensat)], calls);
}

TEST_F(MetadataTest, SetuidSurvivesTheChangeOfOwner) {
  SKIP_UNLESS_ROOT();
  WriteFile(dir_ / "a", "");
  wanted_.mode = 06755;
  wanted_.uid = 1234;
  wanted_.gid = 4321;
  ASSERT_OK(Apply("a"));
  EXPECT_EQ(Look("a").mode, 06755u);
  EXPECT_EQ(Look("a").uid, 1234u);
  EXPECT_EQ(Look("a").gid, 4321u);
  wanted_.uid = 1235;
  ASSERT_OK(Apply("a"));
  EXPECT_EQ(Look("a").mode, 06755u);
}

TEST_F(MetadataTest, CapabilitiesSurviveAChangeOfOwnerAndMode) {
  SKIP_UNLESS_ROOT();
  WriteFile(dir_ / "a", "");
  const XattrList xattrs = {{"security.capability", CapabilityValue()}, {"trusted.t", "1"}, {"user.u", "2"}};
  ASSERT_OK(Apply("a", &xattrs));
  wanted_.uid = 77;
  wanted_.mode = 0511;
  ASSERT_OK(Apply("a", &xattrs));
  EXPECT_EQ(GetXattr(dir_ / "a", "security.capability"), CapabilityValue());
  EXPECT_EQ(GetXattr(dir_ / "a", "trusted.t"), "1");
  EXPECT_EQ(GetXattr(dir_ / "a", "user.u"), "2");
  EXPECT_EQ(Look("a").mode, 0511u);
  EXPECT_EQ(Look("a").mtime, wanted_.mtime);
}

TEST_F(MetadataTest, AttributesTheSourceLacksAreRemovedAndUnselectedOnesStay) {
  SKIP_UNLESS_ROOT();
  WriteFile(dir_ / "a", "");
  for (const char* name : {"user.old", "trusted.old", "trusted.lov"})
    ASSERT_EQ(::setxattr((dir_ / "a").c_str(), name, "x", 1, 0), 0);
  const XattrList xattrs = {{"user.new", "1"}};
  ASSERT_OK(Apply("a", &xattrs));
  EXPECT_EQ(GetXattr(dir_ / "a", "user.new"), "1");
  EXPECT_EQ(GetXattr(dir_ / "a", "user.old"), "<none>");
  EXPECT_EQ(GetXattr(dir_ / "a", "trusted.old"), "<none>");
  EXPECT_EQ(GetXattr(dir_ / "a", "trusted.lov"), "x");
}

TEST_F(MetadataTest, AChangeOfOwnerAloneKeepsCapabilityAndSpecialBits) {
  SKIP_UNLESS_ROOT();
  WriteFile(dir_ / "a", "");
  wanted_.mode = 06755;
  const XattrList xattrs = {{"security.capability", CapabilityValue()}};
  ASSERT_OK(Apply("a", &xattrs));
  wanted_.uid = 77;
  ASSERT_OK(Apply("a"));
  EXPECT_EQ(GetXattr(dir_ / "a", "security.capability"), CapabilityValue());
  EXPECT_EQ(Look("a").mode, 06755u);
  // Without the mode, setuid does not pass to a new owner, and setgid stays with the group.
  selection_.mode = false;
  wanted_.uid = 78;
  ASSERT_OK(Apply("a"));
  EXPECT_EQ(GetXattr(dir_ / "a", "security.capability"), CapabilityValue());
  EXPECT_EQ(Look("a").mode, 02755u);
  // A session without attributes hands no capability to a new owner.
  selection_.xattrs = false;
  wanted_.uid = 79;
  ASSERT_OK(Apply("a"));
  EXPECT_EQ(GetXattr(dir_ / "a", "security.capability"), "<none>");
}

TEST_F(MetadataTest, WithoutModesAFreshObjectGetsWhatAPlainCreationGives) {
  selection_.mode = false;
  WriteFile(dir_ / "a", "", 0600);
  MetadataRequest request{.wanted = &wanted_, .selection = &selection_, .capabilities = &capabilities_, .fresh = true};
  wanted_.mode = 04776;
  request.creation_mask = CreationMask(&xattrs_, root_->fd(), selection_, 027);
  ASSERT_OK(ApplyMetadata(&xattrs_, ObjectHandle::At(root_->fd(), "a"), request, &counters_));
  EXPECT_EQ(Look("a").mode, 0750u);
  request.unselected_mode = 0604;
  ASSERT_OK(ApplyMetadata(&xattrs_, ObjectHandle::At(root_->fd(), "a"), request, &counters_));
  EXPECT_EQ(Look("a").mode, 0604u);
  selection_.acls = false;
  const std::string acl = NamedUserAcl(1000, 7, 5);
  if (::setxattr(dir_.path().c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0) != 0)
    GTEST_SKIP() << "no ACLs in $TMPDIR";
  EXPECT_EQ(CreationMask(&xattrs_, root_->fd(), selection_, 027), 0650u);
}

TEST_F(MetadataTest, WithoutModesAnAclIsSetWholeAndItsRemovalWidensNothing) {
  selection_.mode = false;
  WriteFile(dir_ / "a", "", 0600);
  const XattrList xattrs = {{"system.posix_acl_access", NamedUserAcl(1000, 7, 7)}, {"user.u", "1"}};
  const absl::Status applied = Apply("a", &xattrs, /*fresh=*/true);
  if (absl::IsUnimplemented(applied)) GTEST_SKIP() << "no ACLs in $TMPDIR";
  ASSERT_OK(applied);
  EXPECT_EQ(GetXattr(dir_ / "a", "system.posix_acl_access"), NamedUserAcl(1000, 7, 7));
  EXPECT_EQ(Look("a").mode, 0670u);
  const XattrList none;
  ASSERT_OK(Apply("a", &none));
  EXPECT_EQ(GetXattr(dir_ / "a", "system.posix_acl_access"), "<none>");
  EXPECT_EQ(Look("a").mode, 0640u) << "the owning group had no more than r";
}

TEST_F(MetadataTest, APinnedObjectIsChangedWhateverItsNameLeadsToByNow) {
  SKIP_UNLESS_ROOT();
  WriteFile(dir_ / "victim", "", 0600);
  WriteFile(dir_ / "file", "");
  ASSERT_EQ(::symlink("victim", (dir_ / "link").c_str()), 0);
  const Entry victim = Look("victim");
  wanted_.uid = 55;
  wanted_.mode = 0777;
  const XattrList xattrs = {{"trusted.t", "1"}};
  for (const FileType type : {FileType::kRegular, FileType::kSymlink}) {
    const std::string name = type == FileType::kRegular ? "file" : "link";
    UniqueFd pinned(::open((dir_ / name).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    ASSERT_EQ(::rename((dir_ / name).c_str(), (dir_ / ("moved-" + name)).c_str()), 0);
    ASSERT_EQ(::link((dir_ / "victim").c_str(), (dir_ / name).c_str()), 0);
    MetadataRequest request{
        .wanted = &wanted_, .xattrs = &xattrs, .selection = &selection_, .capabilities = &capabilities_};
    wanted_.type = type;
    ASSERT_OK(ApplyMetadata(&xattrs_, ObjectHandle::Pinned(pinned.get()), request, &counters_));
    const std::string moved = "moved-" + name;
    EXPECT_EQ(Look(moved.c_str()).uid, 55u);
    EXPECT_EQ(Look(moved.c_str()).mtime, wanted_.mtime);
    EXPECT_EQ(GetXattr(dir_ / moved, "trusted.t"), "1");
  }
  EXPECT_EQ(Look("victim").uid, victim.uid);
  EXPECT_EQ(Look("victim").mode, victim.mode);
  EXPECT_EQ(Look("victim").mtime, victim.mtime);
  EXPECT_EQ(GetXattr(dir_ / "victim", "trusted.t"), "<none>");
}

TEST_F(MetadataTest, AnAclAndTheModeDoNotUndoEachOther) {
  WriteFile(dir_ / "a", "");
  const XattrList xattrs = {{"system.posix_acl_access", NamedUserAcl(1000, 6, 6)}};
  wanted_.mode = 0660;  // the group bits show the mask
  const absl::Status applied = Apply("a", &xattrs);
  if (absl::IsUnimplemented(applied)) GTEST_SKIP() << "no ACLs in $TMPDIR";
  ASSERT_OK(applied);
  EXPECT_EQ(Look("a").mode, 0660u);
  EXPECT_EQ(GetXattr(dir_ / "a", "system.posix_acl_access"), NamedUserAcl(1000, 6, 6));
  const XattrList none;
  wanted_.mode = 0604;
  ASSERT_OK(Apply("a", &none));
  EXPECT_EQ(GetXattr(dir_ / "a", "system.posix_acl_access"), "<none>");
  EXPECT_EQ(Look("a").mode, 0604u);
}

TEST_F(MetadataTest, AnAclInheritedFromTheDirectoryDoesNotStay) {
  std::string acl = NamedUserAcl(1000, 7);
  if (::setxattr(dir_.path().c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0) != 0)
    GTEST_SKIP() << "no ACLs in $TMPDIR";
  StateNamer namer(7);
  ASSERT_OK_AND_ASSIGN(StagedObject staged, StagedObject::CreateFile(driver_.get(), root_, &namer));
  ASSERT_NE(GetXattr(dir_ / staged.temporary_name(), "system.posix_acl_access"), "<none>");
  wanted_.mode = 0664;
  ASSERT_OK(ApplyToFd(staged.fd(), nullptr, /*fresh=*/true));
  EXPECT_EQ(GetXattr(dir_ / staged.temporary_name(), "system.posix_acl_access"), "<none>");
  EXPECT_EQ(LStat(dir_ / staged.temporary_name()).st_mode & 07777, 0664u);
  // A new directory inherits both kinds.
  ASSERT_OK(MakeDirectory(driver_.get(), root_->fd(), "sub"));
  wanted_.type = FileType::kDirectory;
  wanted_.mode = 0775;
  const XattrList none;
  ASSERT_OK(Apply("sub", &none, /*fresh=*/true));
  EXPECT_EQ(GetXattr(dir_ / "sub", "system.posix_acl_default"), "<none>");
  EXPECT_EQ(GetXattr(dir_ / "sub", "system.posix_acl_access"), "<none>");
  EXPECT_EQ(Look("sub").mode, 0775u);
}

TEST_F(MetadataTest, ModeIsIndependentOfTheUmask) {
  const mode_t old = ::umask(0777);
  StateNamer namer(7);
  absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(driver_.get(), root_, &namer);
  ::umask(old);
  ASSERT_OK(staged);
  wanted_.mode = 0666;
  ASSERT_OK(ApplyToFd(staged->fd(), nullptr, true));
  EXPECT_EQ(LStat(dir_ / staged->temporary_name()).st_mode & 07777, 0666u);
}

TEST_F(MetadataTest, ALinkKeepsItsOwnOwnerTimesAndAttributes) {
  SKIP_UNLESS_ROOT();
  WriteFile(dir_ / "target", "", 0600);
  ASSERT_EQ(::symlink("target", (dir_ / "link").c_str()), 0);
  wanted_.type = FileType::kSymlink;
  wanted_.mode = 0777;
  wanted_.uid = 55;
  const XattrList xattrs = {{"trusted.t", "1"}};
  ASSERT_OK(Apply("link", &xattrs));
  EXPECT_EQ(Look("link").uid, 55u);
  EXPECT_EQ(Look("link").mtime, wanted_.mtime);
  EXPECT_EQ(GetXattr(dir_ / "link", "trusted.t"), "1");
  EXPECT_EQ(Look("target").uid, 0u);
  EXPECT_EQ(Look("target").mode, 0600u);
  EXPECT_NE(Look("target").mtime, wanted_.mtime);
}

TEST_F(MetadataTest, SpecialFilesGetOwnerModeAndTimes) {
  SKIP_UNLESS_ROOT();
  StateNamer namer(7);
  for (const FileType type : {FileType::kFifo, FileType::kSocket, FileType::kCharDevice, FileType::kBlockDevice}) {
    wanted_.type = type;
    wanted_.mode = 0642;
    wanted_.uid = 99;
    wanted_.rdev_major = type == FileType::kCharDevice || type == FileType::kBlockDevice ? 7 : 0;
    wanted_.rdev_minor = wanted_.rdev_major != 0 ? 200 : 0;
    ASSERT_OK_AND_ASSIGN(StagedObject staged, StagedObject::CreateSpecial(driver_.get(), root_, &namer, wanted_));
    const std::string name = staged.temporary_name();
    const XattrList none;
    ASSERT_OK(Apply(name.c_str(), &none, true));
    const Entry made = Look(name.c_str());
    EXPECT_EQ(made.type, type);
    EXPECT_EQ(made.mode, 0642u);
    EXPECT_EQ(made.uid, 99u);
    EXPECT_EQ(made.mtime, wanted_.mtime);
    EXPECT_EQ(made.rdev_minor, wanted_.rdev_minor);
  }
}

TEST_F(MetadataTest, WhatIsNotSelectedStays) {
  SKIP_UNLESS_ROOT();
  WriteFile(dir_ / "a", "", 0644);
  const Entry before = Look("a");
  selection_.mode = selection_.owner = selection_.group = selection_.mtime = false;
  wanted_.mode = 0600;
  wanted_.uid = wanted_.gid = 5;
  ASSERT_OK(Apply("a"));
  EXPECT_EQ(Look("a").mode, before.mode);
  EXPECT_EQ(Look("a").uid, before.uid);
  EXPECT_EQ(Look("a").mtime, before.mtime);
}

TEST_F(MetadataTest, TimesOfDirectoriesAndLinksCanBeLeftOut) {
  ::mkdir((dir_ / "d").c_str(), 0700);
  ASSERT_EQ(::symlink("to", (dir_ / "l").c_str()), 0);
  WriteFile(dir_ / "f", "x", 0600);
  selection_.directory_times = selection_.link_times = false;
  const FileTime directory_time = Look("d").mtime;
  const FileTime link_time = Look("l").mtime;
  EXPECT_OK(Apply("d"));
  EXPECT_OK(Apply("l"));
  EXPECT_OK(Apply("f"));
  EXPECT_EQ(Look("d").mtime, directory_time);
  EXPECT_EQ(Look("l").mtime, link_time);
  EXPECT_EQ(Look("f").mtime, wanted_.mtime);
}

TEST_F(MetadataTest, ATimeWithinTheWindowStaysUnlessTheObjectIsNew) {
  WriteFile(dir_ / "f", "x", 0640);
  EXPECT_OK(Apply("f"));
  const FileTime kept = wanted_.mtime;
  selection_.modify_window_s = 1;
  wanted_.mtime = {kept.seconds + 1, 5};
  EXPECT_OK(Apply("f"));
  EXPECT_EQ(Look("f").mtime, kept);
  EXPECT_OK(Apply("f", nullptr, /*fresh=*/true));
  EXPECT_EQ(Look("f").mtime, wanted_.mtime);
  wanted_.mtime.seconds += 2;
  EXPECT_OK(Apply("f"));
  EXPECT_EQ(Look("f").mtime, wanted_.mtime);
}

TEST_F(MetadataTest, WithoutModesANewDirectoryKeepsTheSetgidThatItInherited) {
  selection_.mode = false;
  selection_.group = false;
  ::mkdir((dir_ / "d").c_str(), 0700);
  ASSERT_EQ(::chmod((dir_ / "d").c_str(), 02700), 0);
  wanted_.type = FileType::kDirectory;
  wanted_.mode = 01777;
  EXPECT_OK(Apply("d", nullptr, /*fresh=*/true));
  EXPECT_EQ(Look("d").mode, 02755u);
}

TEST_F(MetadataTest, ExecutabilityIsKeptWithoutTheRestOfTheMode) {
  selection_.mode = false;
  selection_.executability = true;
  WriteFile(dir_ / "f", "x", 0644);
  wanted_.type = FileType::kRegular;
  wanted_.mode = 0700;
  EXPECT_OK(Apply("f"));
  EXPECT_EQ(Look("f").mode, 0755u);
  wanted_.mode = 0666;
  EXPECT_OK(Apply("f"));
  EXPECT_EQ(Look("f").mode, 0644u);
  selection_.executability = false;
  wanted_.mode = 0777;
  EXPECT_OK(Apply("f"));
  EXPECT_EQ(Look("f").mode, 0644u);
}

TEST_F(MetadataTest, AtimeIsSetOnRequestOnly) {
  WriteFile(dir_ / "a", "");
  wanted_.atime = FileTime{.seconds = 5, .nanoseconds = 6};
  ASSERT_OK(Apply("a"));
  EXPECT_NE(Look("a").atime, wanted_.atime);
  selection_.atime = true;
  ASSERT_OK(Apply("a"));
  EXPECT_EQ(Look("a").atime, wanted_.atime);
}

TEST_F(MetadataTest, GrantableModeWithholdsSetuidFromAnotherOwner) {
  Entry wanted;
  wanted.mode = 06755;
  wanted.uid = 1;
  wanted.gid = 2;
  EXPECT_EQ(GrantableMode(wanted, 1, 2), 06755u);
  EXPECT_EQ(GrantableMode(wanted, 9, 2), 02755u);
  EXPECT_EQ(GrantableMode(wanted, 1, 9), 04755u);
  wanted.type = FileType::kDirectory;
  EXPECT_EQ(GrantableMode(wanted, 9, 9), 06755u);
}

TEST_F(MetadataTest, WithoutPrivilegeTheRestIsAppliedAndTheSkippedIsCounted) {
  SKIP_UNLESS_ROOT();
  ::chmod(dir_.path().c_str(), 0777);
  const std::string path = dir_.path();
  EXPECT_TRUE(AsNobody([&] {
    WriteFile(path + "/mine", "");
    driver_ = MakeTestDriver();
    root_ = MustOpenRoot(driver_.get(), path);
    XattrAccess xattrs(driver_.get());
    capabilities_ = ReadProcessCapabilities();
    wanted_.mode = 04755;
    wanted_.uid = 0;
    wanted_.gid = 0;
    const XattrList list = {{"security.capability", CapabilityValue()}, {"trusted.t", "1"}, {"user.u", "1"}};
    MetadataRequest request{
        .wanted = &wanted_, .xattrs = &list, .selection = &selection_, .capabilities = &capabilities_};
    const ObjectHandle mine = ObjectHandle::At(root_->fd(), "mine");
    const absl::Status applied = ApplyMetadata(&xattrs, mine, request, &counters_);
    if (!applied.ok() || counters_.skipped_owner != 1 || counters_.skipped_xattrs != 2) return false;
    if (LStat(path + "/mine").st_uid != kNobody || (LStat(path + "/mine").st_mode & 07777) != 0755) return false;
    if (GetXattr(path + "/mine", "user.u") != "1") return false;
    // Asked for by name, it is an error.
    selection_.explicit_owner = true;
    return absl::IsPermissionDenied(ApplyMetadata(&xattrs, mine, request, &counters_));
  }));
}

TEST_F(MetadataTest, TheOwnerOfAReadOnlyFileCanChangeItsAttributes) {
  SKIP_UNLESS_ROOT();
  ::chmod(dir_.path().c_str(), 0777);
  const std::string path = dir_.path();
  EXPECT_TRUE(AsNobody([&] {
    WriteFile(path + "/mine", "", 0444);
    driver_ = MakeTestDriver();
    root_ = MustOpenRoot(driver_.get(), path);
    XattrAccess xattrs(driver_.get());
    capabilities_ = ReadProcessCapabilities();
    wanted_.uid = wanted_.gid = kNobody;
    wanted_.mode = 0444;
    const XattrList list = {{"user.u", "1"}};
    MetadataRequest request{
        .wanted = &wanted_, .xattrs = &list, .selection = &selection_, .capabilities = &capabilities_};
    if (!ApplyMetadata(&xattrs, ObjectHandle::At(root_->fd(), "mine"), request, &counters_).ok()) return false;
    return GetXattr(path + "/mine", "user.u") == "1" && (LStat(path + "/mine").st_mode & 07777) == 0444;
  }));
}

}  // namespace
}  // namespace uringsync
