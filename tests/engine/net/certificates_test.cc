#include "engine/net/certificates.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ctime>

#include "engine/net/tls.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

mode_t ModeOf(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return st.st_mode & 07777;
}

TEST(CertificatesTest, InitMakesAnAuthorityAClientAndOneCertificateForEachHost) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(InitResult made, InitCertificates({.directory = dir / "certs",
                                                          .hosts = {"a.example,10.0.0.5,fd00::5", "b.example"}}));
  EXPECT_TRUE(made.made_authority);
  EXPECT_EQ(made.issued.size(), 3u);
  EXPECT_EQ(ModeOf(dir / "certs/ca.key"), 0600u);
  EXPECT_EQ(ModeOf(dir / "certs/cli.key"), 0600u);
  EXPECT_EQ(ModeOf(dir / "certs/a.example.key"), 0600u);
  EXPECT_EQ(ModeOf(dir / "certs/a.example.crt"), 0644u);
  ASSERT_OK_AND_ASSIGN(CertificateInfo authority, ReadCertificateInfo(dir / "certs/ca.crt"));
  EXPECT_TRUE(authority.is_authority);
  ASSERT_OK_AND_ASSIGN(CertificateInfo host, ReadCertificateInfo(dir / "certs/a.example.crt"));
  EXPECT_FALSE(host.is_authority);
  EXPECT_EQ(host.common_name, "a.example");
  EXPECT_THAT(host.dns_names, ElementsAre("a.example"));
  EXPECT_THAT(host.ip_addresses, ElementsAre("10.0.0.5", "fd00::5"));
  EXPECT_EQ(host.issuer, authority.subject);
  const int64_t now = std::time(nullptr);
  EXPECT_FALSE(host.expired(now));
  EXPECT_TRUE(host.expired(now + int64_t{kDefaultCertificateDays + 1} * 86400));
}

TEST(CertificatesTest, CertificateOfLocalhostIsGoodForTheLoopbackAddresses) {
  TempDir dir;
  ASSERT_OK(InitCertificates({.directory = dir.path(), .hosts = {"localhost"}}));
  ASSERT_OK_AND_ASSIGN(CertificateInfo host, ReadCertificateInfo(dir / "localhost.crt"));
  EXPECT_THAT(host.dns_names, ElementsAre("localhost"));
  EXPECT_THAT(host.ip_addresses, ElementsAre("127.0.0.1", "::1"));
  ASSERT_OK_AND_ASSIGN(InitResult again, InitCertificates({.directory = dir.path(), .hosts = {"localhost,127.0.0.1"}}));
  EXPECT_TRUE(again.issued.empty());
}

TEST(CertificatesTest, InitAgainKeepsWhatIsGoodAndAddsWhatIsMissing) {
  TempDir dir;
  ASSERT_OK(InitCertificates({.directory = dir.path(), .hosts = {"a.example"}}));
  const std::string authority = ReadFile(dir / "ca.crt");
  const std::string host = ReadFile(dir / "a.example.crt");
  ASSERT_OK_AND_ASSIGN(InitResult again,
                       InitCertificates({.directory = dir.path(), .hosts = {"a.example", "b.example"}}));
  EXPECT_FALSE(again.made_authority);
  EXPECT_EQ(again.kept.size(), 2u);
  ASSERT_EQ(again.issued.size(), 1u);
  EXPECT_EQ(again.issued[0].certificate, dir / "b.example.crt");
  EXPECT_EQ(ReadFile(dir / "ca.crt"), authority);
  EXPECT_EQ(ReadFile(dir / "a.example.crt"), host);
}

TEST(CertificatesTest, InitRenewsAnExpiredCertificateWithItsKeyAndItsNames) {
  TempDir dir;
  ASSERT_OK(CreateAuthority({.directory = dir.path()}));
  ASSERT_OK(IssueCertificate({.directory = dir.path(),
                              .name = "a.example",
                              .hosts = {"a.example", "10.0.0.5"},
                              .days = 1,
                              .start_offset_seconds = -10 * 86400}));
  const std::string key = ReadFile(dir / "a.example.key");
  ASSERT_OK_AND_ASSIGN(InitResult made,
                       InitCertificates({.directory = dir.path(), .hosts = {"a.example,new.example"}}));
  EXPECT_EQ(made.issued.size(), 2u);
  EXPECT_EQ(ReadFile(dir / "a.example.key"), key);
  ASSERT_OK_AND_ASSIGN(CertificateInfo info, ReadCertificateInfo(dir / "a.example.crt"));
  EXPECT_FALSE(info.expired(std::time(nullptr)));
  EXPECT_THAT(info.dns_names, UnorderedElementsAre("a.example", "new.example"));
  EXPECT_THAT(info.ip_addresses, ElementsAre("10.0.0.5"));
}

TEST(CertificatesTest, NothingIsReplacedWithoutForce) {
  TempDir dir;
  ASSERT_OK(CreateAuthority({.directory = dir.path()}));
  EXPECT_THAT(CreateAuthority({.directory = dir.path()}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("--force")));
  ASSERT_OK(IssueCertificate({.directory = dir.path(), .name = "x"}));
  EXPECT_THAT(IssueCertificate({.directory = dir.path(), .name = "x"}), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_OK(IssueCertificate({.directory = dir.path(), .name = "x", .force = true}));
  WriteFile(dir / "foreign.crt", ReadFile(dir / "ca.crt"));
  WriteFile(dir / "foreign.key", ReadFile(dir / "x.key"));
  EXPECT_THAT(InitCertificates({.directory = dir.path(), .hosts = {"foreign"}}),
              StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(InitResult forced,
                       InitCertificates({.directory = dir.path(), .hosts = {"foreign"}, .force = true}));
  EXPECT_TRUE(forced.made_authority);
}

TEST(CertificatesTest, NamesThatAreNoHostsAreRefusedBeforeAnythingIsMade) {
  TempDir dir;
  for (const char* bad : {"", "../x", "a/b", "a b", ".hidden", "-x", "*.example", "a,,b", "1:2", "ca", "cli", "a\nb"}) {
    EXPECT_THAT(InitCertificates({.directory = dir / "new", .hosts = {bad}}),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << bad;
  }
  EXPECT_THAT(ReadCertificateInfo(dir / "new/ca.crt"), StatusIs(absl::StatusCode::kNotFound));
}

TEST(CertificatesTest, UnreadableCertificatesAreNamed) {
  TempDir dir;
  WriteFile(dir / "x.crt", "no certificate");
  EXPECT_THAT(ReadCertificateInfo(dir / "x.crt"),
              StatusIs(absl::StatusCode::kInvalidArgument, AllOf(HasSubstr("x.crt"), HasSubstr("PEM"))));
  EXPECT_THAT(ReadCertificateInfo(dir / "y.crt"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("y.crt")));
}

TEST(TlsContextTest, LoadSaysWhatIsWrongAndWhatToDo) {
  TempDir dir;
  ASSERT_OK(InitCertificates({.directory = dir.path(), .hosts = {"a", "b"}}));
  const std::string ca = dir / "ca.crt";
  EXPECT_THAT(TlsContext::Load({dir / "none.crt", dir / "a.key", ca}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none.crt")));
  EXPECT_THAT(TlsContext::Load({dir / "a.crt", dir / "b.key", ca}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("does not belong to")));
  EXPECT_THAT(TlsContext::Load({dir / "a.crt", dir / "a.crt", ca}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no PEM private key")));
  ASSERT_OK(IssueCertificate(
      {.directory = dir.path(), .name = "old", .hosts = {"old"}, .days = 1, .start_offset_seconds = -100 * 86400}));
  EXPECT_THAT(
      TlsContext::Load({dir / "old.crt", dir / "old.key", ca}),
      StatusIs(absl::StatusCode::kFailedPrecondition, AllOf(HasSubstr("has expired on 20"), HasSubstr("certs init"))));
  ASSERT_OK(
      IssueCertificate({.directory = dir.path(), .name = "early", .hosts = {"early"}, .start_offset_seconds = 86400}));
  EXPECT_THAT(TlsContext::Load({dir / "early.crt", dir / "early.key", ca}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not valid before")));
  ASSERT_OK_AND_ASSIGN(auto good, TlsContext::Load({dir / "a.crt", dir / "a.key", ca}));
  EXPECT_THAT(good->warnings(), IsEmpty());
}

TEST(TlsContextTest, LoadWarnsOfAnOpenKeyAForeignAuthorityAndANearEnd) {
  TempDir dir;
  ASSERT_OK(InitCertificates({.directory = dir / "one", .hosts = {"a"}}));
  ASSERT_OK(InitCertificates({.directory = dir / "two", .hosts = {"a"}}));
  ASSERT_OK(IssueCertificate({.directory = dir / "one", .name = "short", .hosts = {"short"}, .days = 3}));
  ASSERT_EQ(::chmod((dir / "one/short.key").c_str(), 0644), 0);
  ASSERT_OK_AND_ASSIGN(auto context,
                       TlsContext::Load({dir / "one/short.crt", dir / "one/short.key", dir / "two/ca.crt"}));
  EXPECT_THAT(context->warnings(),
              UnorderedElementsAre(HasSubstr("chmod 600"), HasSubstr("not signed by"), HasSubstr("expires on")));
}

}  // namespace
}  // namespace uringsync
