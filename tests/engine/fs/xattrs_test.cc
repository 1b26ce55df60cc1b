#include "engine/fs/xattrs.h"

#include <cerrno>

#include "engine/fs/file.h"
#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

TEST(XattrClassTest, EachNameHasItsClass) {
  MetadataSelection s;
  EXPECT_EQ(ClassifyXattr("user.a", s), XattrClass::kOrdinary);
  EXPECT_EQ(ClassifyXattr("system.posix_acl_access", s), XattrClass::kOrdinary);
  EXPECT_EQ(ClassifyXattr("system.posix_acl_default", s), XattrClass::kOrdinary);
  EXPECT_EQ(ClassifyXattr("security.capability", s), XattrClass::kCapability);
  EXPECT_EQ(ClassifyXattr("trusted.x", s), XattrClass::kTrusted);
  EXPECT_EQ(ClassifyXattr("security.ima", s), XattrClass::kTrusted);
  for (const char* name : {"security.selinux", "security.evm", "trusted.lov", "trusted.SGI_ACL_FILE", "lustre.lov",
                           "system.nfs4_acl", "btrfs.x"})
    EXPECT_EQ(ClassifyXattr(name, s), XattrClass::kNotSelected) << name;
  s.selinux = true;
  s.extra_xattrs = {"trusted.lov", "system.nfs4_acl"};
  for (const char* name : {"security.selinux", "trusted.lov", "system.nfs4_acl"})
    EXPECT_EQ(ClassifyXattr(name, s), XattrClass::kOrdinary) << name;
  s = {};
  s.xattrs = false;
  EXPECT_EQ(ClassifyXattr("user.a", s), XattrClass::kNotSelected);
  EXPECT_EQ(ClassifyXattr("security.capability", s), XattrClass::kNotSelected);
  EXPECT_EQ(ClassifyXattr("system.posix_acl_access", s), XattrClass::kOrdinary);
  s.acls = false;
  EXPECT_FALSE(SelectsXattrs(s));
}

// Both system call families, on both kinds of handle.
class XattrTest : public testing::TestWithParam<KernelLevel> {
 protected:
  void SetUp() override {
    WriteFile(dir_ / "f", "x");
    if (::setxattr((dir_ / "f").c_str(), "user.probe", "1", 1, 0) != 0) GTEST_SKIP() << "no user xattrs in $TMPDIR";
    ::removexattr((dir_ / "f").c_str(), "user.probe");
  }
  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver(GetParam());
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());
  XattrAccess xattrs_{driver_.get()};
  MetadataSelection all_;
};

TEST_P(XattrTest, AttributesComeSortedAndUnselectedOnesNot) {
  ::setxattr((dir_ / "f").c_str(), "user.b", "2", 1, 0);
  ::setxattr((dir_ / "f").c_str(), "user.a", "", 0, 0);
  ASSERT_OK_AND_ASSIGN(const XattrList list, xattrs_.Read(ObjectHandle::At(root_->fd(), "f"), all_));
  EXPECT_EQ(list, (XattrList{{"user.a", ""}, {"user.b", "2"}}));
  MetadataSelection none = all_;
  none.xattrs = none.acls = false;
  ASSERT_OK_AND_ASSIGN(const XattrList empty, xattrs_.Read(ObjectHandle::At(root_->fd(), "f"), none));
  EXPECT_TRUE(empty.empty());
}

TEST_P(XattrTest, SetGetAndRemoveWorkByNameAndByDescriptor) {
  ASSERT_OK_AND_ASSIGN(const SourceFile file, OpenSourceFile(driver_.get(), root_->fd(), "f"));
  for (const ObjectHandle object : {ObjectHandle::At(root_->fd(), "f"), ObjectHandle::OfFd(file.fd.get())}) {
    EXPECT_EQ(xattrs_.Set(object, "user.k", "value"), 0);
    EXPECT_EQ(GetXattr(dir_ / "f", "user.k"), "value");
    char buffer[16];
    EXPECT_EQ(xattrs_.Get(object, "user.k", buffer, sizeof(buffer)), 5);
    EXPECT_EQ(xattrs_.Remove(object, "user.k"), 0);
    EXPECT_EQ(xattrs_.Get(object, "user.k", buffer, sizeof(buffer)), -ENODATA);
  }
}

TEST_P(XattrTest, ALinkIsAskedAndNotItsTarget) {
  SKIP_UNLESS_ROOT();
  ::setxattr((dir_ / "f").c_str(), "user.of_target", "1", 1, 0);
  ASSERT_EQ(::symlink("f", (dir_ / "link").c_str()), 0);
  const ObjectHandle link = ObjectHandle::At(root_->fd(), "link");
  ASSERT_EQ(xattrs_.Set(link, "trusted.of_link", "1"), 0);
  ASSERT_OK_AND_ASSIGN(const XattrList list, xattrs_.Read(link, all_));
  EXPECT_EQ(list, (XattrList{{"trusted.of_link", "1"}}));
  EXPECT_EQ(GetXattr(dir_ / "f", "trusted.of_link"), "<none>");
}

TEST_P(XattrTest, ManyAndLargeAttributesAreRead) {
  SKIP_UNLESS_ROOT();
  const std::string path = dir_ / "f";
  size_t set = 0;
  for (int i = 0; i < 40; ++i) {  // names of 2 KiB together: more than the first list buffer
    const std::string name = "user." + std::string(50, 'n') + std::to_string(100 + i);
    if (::setxattr(path.c_str(), name.c_str(), "v", 1, 0) == 0) ++set;
  }
  ASSERT_OK_AND_ASSIGN(const XattrList list, xattrs_.Read(ObjectHandle::At(root_->fd(), "f"), all_));
  EXPECT_EQ(list.size(), set);
  EXPECT_GT(set, 20u);
}

TEST_P(XattrTest, DigestsFollowTheirClassOnly) {
  SKIP_UNLESS_ROOT();
  const ObjectHandle f = ObjectHandle::At(root_->fd(), "f");
  XattrDigests digests;
  ASSERT_EQ(xattrs_.Digest(f, all_, &digests), 0);
  EXPECT_TRUE(digests.ordinary.is_zero() && digests.capability.is_zero() && digests.trusted.is_zero());
  ASSERT_EQ(xattrs_.Set(f, "user.a", "1"), 0);
  ASSERT_EQ(xattrs_.Digest(f, all_, &digests), 0);
  EXPECT_FALSE(digests.ordinary.is_zero());
  EXPECT_TRUE(digests.trusted.is_zero());
  const Digest128 before = digests.ordinary;
  ASSERT_EQ(xattrs_.Set(f, "trusted.a", "1"), 0);
  ASSERT_EQ(xattrs_.Digest(f, all_, &digests), 0);
  EXPECT_EQ(digests.ordinary, before);
  EXPECT_FALSE(digests.trusted.is_zero());
  EXPECT_EQ(before, XattrDigest({{"user.a", "1"}}));
}

TEST_P(XattrTest, AMissingObjectIsNotFound) {
  EXPECT_THAT(xattrs_.Read(ObjectHandle::At(root_->fd(), "none"), all_), StatusIs(absl::StatusCode::kNotFound));
}

INSTANTIATE_TEST_SUITE_P(NewAndOldKernels, XattrTest, testing::Values(KernelLevel::kNative, KernelLevel::k5_15),
                         [](const auto& info) { return info.param == KernelLevel::kNative ? "Native" : "Linux515"; });

}  // namespace
}  // namespace uringsync
