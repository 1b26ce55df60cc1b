#include "engine/net/tls_identity.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>

#include "engine/net/certificates.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TlsIdentityTest : public testing::Test {
 protected:
  TlsIdentityTest() {
    EXPECT_OK(InitCertificates({.directory = dir_.path(), .hosts = {"a", "b"}}));
    Copy("a.crt", "own.crt");
    Copy("a.key", "own.key");
  }
  void Copy(const std::string& from, const std::string& to) {
    std::filesystem::copy_file(dir_ / from, dir_ / to, std::filesystem::copy_options::overwrite_existing);
  }
  TlsFiles Files(bool with_list = false) const {
    return {dir_ / "own.crt", dir_ / "own.key", dir_ / "ca.crt", with_list ? dir_ / "ca.crl" : std::string()};
  }
  ShownCertificate Shown(const std::string& name) const { return {ReadFile(dir_ / (name + ".crt")), {}}; }
  absl::Status Revoke(std::vector<std::string> names) {
    return RevokeCertificates({.directory = dir_.path(), .names = std::move(names)}).status();
  }
  TempDir dir_;
};

// The list of dir's authority, ended in the past.
void ExpireList(const std::string& directory) {
  std::FILE* file = std::fopen((directory + "/ca.key").c_str(), "r");
  EVP_PKEY* key = PEM_read_PrivateKey(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  file = std::fopen((directory + "/ca.crl").c_str(), "r");
  X509_CRL* list = PEM_read_X509_CRL(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  ASN1_TIME* const then = ASN1_TIME_set(nullptr, std::time(nullptr) - 30);
  X509_CRL_set1_nextUpdate(list, then);
  X509_CRL_sign(list, key, EVP_sha256());
  file = std::fopen((directory + "/ca.crl").c_str(), "w");
  PEM_write_X509_CRL(file, list);
  std::fclose(file);
  ASN1_TIME_free(then);
  X509_CRL_free(list);
  EVP_PKEY_free(key);
}

TEST_F(TlsIdentityTest, WhatDoesNotChangeIsNotLoadedAgain) {
  ASSERT_OK_AND_ASSIGN(const auto identity, TlsIdentity::Load(Files()));
  const auto before = identity->current();
  EXPECT_FALSE(identity->Refresh().renewed);
  EXPECT_EQ(identity->current(), before);
}

TEST_F(TlsIdentityTest, HalfAPairLeavesTheOldOneInForceAndIsToldOnce) {
  ASSERT_OK_AND_ASSIGN(const auto identity, TlsIdentity::Load(Files()));
  const auto before = identity->current();
  Copy("b.crt", "own.crt");
  TlsRefresh refresh = identity->Refresh();
  EXPECT_FALSE(refresh.renewed);
  EXPECT_THAT(refresh.problem, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("does not belong to")));
  EXPECT_OK(identity->Refresh().problem);
  EXPECT_EQ(identity->current(), before);
  Copy("b.key", "own.key");
  refresh = identity->Refresh();
  EXPECT_TRUE(refresh.renewed);
  EXPECT_NE(identity->current(), before);
  EXPECT_THAT(identity->current()->texts().key, ReadFile(dir_ / "b.key"));
}

TEST_F(TlsIdentityTest, ARevokedCertificateIsRefusedByNameWhoeverShowsIt) {
  ASSERT_OK(Revoke({}));
  ASSERT_OK_AND_ASSIGN(const auto identity, TlsIdentity::Load(Files(true)));
  EXPECT_OK(identity->current()->JudgePeer(Shown("b"), "b", "peer"));
  EXPECT_FALSE(identity->current()->Revokes(Shown("b").leaf));
  ASSERT_OK(Revoke({"b"}));
  ASSERT_TRUE(identity->Refresh().renewed);
  const auto now = identity->current();
  EXPECT_THAT(now->JudgePeer(Shown("b"), "b", "peer"),
              StatusIs(absl::StatusCode::kUnauthenticated, AllOf(HasSubstr("CN=b"), HasSubstr("has been revoked"))));
  EXPECT_THAT(now->JudgePeer(Shown("b"), "", "peer"), StatusIs(absl::StatusCode::kUnauthenticated));
  EXPECT_TRUE(now->Revokes(Shown("b").leaf));
  EXPECT_FALSE(now->Revokes(Shown("a").leaf));
  EXPECT_OK(now->JudgePeer(Shown("a"), "a", "peer"));
}

TEST_F(TlsIdentityTest, JudgingAPeerChecksNameAuthorityAndThatThereIsOne) {
  ASSERT_OK_AND_ASSIGN(const auto identity, TlsIdentity::Load(Files()));
  const auto now = identity->current();
  EXPECT_THAT(now->JudgePeer(Shown("a"), "b", "peer"),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("not for 'b'")));
  TempDir other;
  ASSERT_OK(InitCertificates({.directory = other.path(), .hosts = {"a"}}));
  EXPECT_THAT(now->JudgePeer({ReadFile(other / "a.crt"), {}}, "a", "peer"),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("another authority")));
  EXPECT_THAT(now->JudgePeer({"no certificate", {}}, "a", "peer"), StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(TlsIdentityTest, AListThatHasExpiredLetsNobodyInAndIsNotTakenOver) {
  ASSERT_OK(Revoke({}));
  ASSERT_OK_AND_ASSIGN(const auto identity, TlsIdentity::Load(Files(true)));
  ExpireList(dir_.path());
  EXPECT_THAT(identity->Refresh().problem,
              StatusIs(absl::StatusCode::kFailedPrecondition, AllOf(HasSubstr("has expired on"), HasSubstr("ca.crl"))));
  EXPECT_OK(identity->current()->JudgePeer(Shown("b"), "b", "peer"));
  EXPECT_THAT(TlsIdentity::Load(Files(true)), StatusIs(absl::StatusCode::kFailedPrecondition));
  // One that expires while it is in force.
  ASSERT_OK_AND_ASSIGN(const auto expired, TlsContext::Load(Files(true), {.check_dates = false}));
  EXPECT_THAT(expired->JudgePeer(Shown("b"), "b", "peer"),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("has expired here")));
}

TEST_F(TlsIdentityTest, AListOfAnotherAuthorityIsRefused) {
  TempDir other;
  ASSERT_OK(InitCertificates({.directory = other.path(), .hosts = {"a"}}));
  ASSERT_OK(RevokeCertificates({.directory = other.path(), .names = {}}));
  TlsFiles files = Files();
  files.revocations = other / "ca.crl";
  EXPECT_THAT(TlsIdentity::Load(files), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not signed by")));
}

TEST_F(TlsIdentityTest, WithListsAnAuthorityWithoutOneLetsNobodyIn) {
  TempDir other;
  ASSERT_OK(InitCertificates({.directory = other.path(), .hosts = {"a"}}));
  ASSERT_OK(Revoke({}));
  WriteFile(dir_ / "both.crt", ReadFile(dir_ / "ca.crt") + ReadFile(other / "ca.crt"));
  TlsFiles files = Files(true);
  files.authority = dir_ / "both.crt";
  ASSERT_OK_AND_ASSIGN(const auto identity, TlsIdentity::Load(files));
  EXPECT_OK(identity->current()->JudgePeer(Shown("a"), "a", "peer"));
  // Both are called alike, so the other one's list is looked at, and does not fit.
  EXPECT_THAT(identity->current()->JudgePeer({ReadFile(other / "a.crt"), {}}, "a", "peer"),
              StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(TlsIdentityTest, WhatWasRevokedIsIssuedAnewWithANewKeyAndStaysRevoked) {
  const std::string old_key = ReadFile(dir_ / "b.key");
  const ShownCertificate old = Shown("b");
  ASSERT_OK(Revoke({"b"}));
  ASSERT_OK(InitCertificates({.directory = dir_.path(), .hosts = {"a", "b"}}));
  EXPECT_NE(ReadFile(dir_ / "b.key"), old_key);
  ASSERT_OK(Revoke({"a"}));
  ASSERT_OK_AND_ASSIGN(const auto context, TlsContext::Load(Files(true)));
  EXPECT_TRUE(context->Revokes(old.leaf));
  EXPECT_FALSE(context->Revokes(Shown("b").leaf));
}

TEST_F(TlsIdentityTest, ContextsOfOtherLibrariesSpeakTls13Alone) {
  ASSERT_OK(TlsIdentity::Load(Files()));
  // As gRPC 1.51 does it.
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()), &SSL_CTX_free);
  ASSERT_EQ(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION), 1);
  ASSERT_EQ(SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION), 1);
  EXPECT_NE(SSL_CTX_get_options(context.get()) & SSL_OP_NO_TLSv1_2, 0u);
  EXPECT_EQ(SSL_CTX_get_options(context.get()) & SSL_OP_NO_TLSv1_3, 0u);
}

}  // namespace
}  // namespace uringsync
