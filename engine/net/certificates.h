// A small certificate authority, so that mutual TLS takes one command (`uringsync certs init`).
//
// Keys are EC P-256. Files: ca.crt, ca.key, <name>.crt, <name>.key; keys have mode 0600 and are created exclusively;
// every file is flushed to disk. Thread rule: plain blocking functions, for programs at start-up, not for shards.
//
// Use:  US_ASSIGN_OR_RETURN(auto made, InitCertificates({.directory = "/etc/uringsync/certs", .hosts =
// {"a.example,10.0.0.5"}}));
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace uringsync {

constexpr int kDefaultCertificateDays = 825;
constexpr int kDefaultAuthorityDays = 3650;
// InitCertificates renews what ends within this time.
constexpr int kRenewalDays = 30;

struct CertificateInfo {
  std::string subject;  // one line, RFC 2253
  std::string issuer;
  std::string common_name;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::vector<std::string> uris;
  int64_t not_before = 0;  // seconds since 1970, UTC
  int64_t not_after = 0;
  bool is_authority = false;
  std::string fingerprint;  // SHA-256, lower-case hex

  bool expired(int64_t now) const { return now > not_after; }
};
// First certificate of a PEM file. NotFound, PermissionDenied, InvalidArgument name the file.
absl::StatusOr<CertificateInfo> ReadCertificateInfo(const std::string& path);
// "2026-11-22 12:00:00 UTC".
std::string FormatUtc(int64_t seconds);

struct CertificateFiles {
  std::string certificate;
  std::string key;
};

struct AuthorityOptions {
  std::string directory;
  std::string name = "uringsync authority";
  int days = kDefaultAuthorityDays;
  bool force = false;  // replace an existing authority
};
// Makes the directory (0755) where it is missing, then ca.key and ca.crt. AlreadyExists when one is there and !force.
absl::StatusOr<CertificateFiles> CreateAuthority(const AuthorityOptions& options);

struct IssueOptions {
  std::string directory;           // holds ca.crt and ca.key; the new files go there
  std::string name;                // file stem and common name
  std::vector<std::string> hosts;  // subjectAltNames: IP literals become IP, URIs (with "://") URI, everything else DNS
  int days = kDefaultCertificateDays;
  bool force = false;  // replace existing files
  // Validity starts now plus this many seconds (negative: in the past), minus a minute for skewed clocks. With a
  // negative value beyond `days` the certificate is expired: what tests need.
  int64_t start_offset_seconds = 0;
};
// Issues a certificate for server and client use. AlreadyExists when a file of that name exists and !force; NotFound
// without an authority; InvalidArgument for a name that is no host name.
absl::StatusOr<CertificateFiles> IssueCertificate(const IssueOptions& options);

struct InitOptions {
  std::string directory;
  // Each one a host's names, separated by commas, the first of which names its files: "a.example,10.0.0.5".
  std::vector<std::string> hosts;
  int days = kDefaultCertificateDays;
  bool force = false;  // new authority and new certificates
};
struct InitResult {
  bool made_authority = false;
  CertificateFiles authority;
  std::vector<CertificateFiles> issued;  // new or renewed now
  std::vector<CertificateFiles> kept;    // there already, and good
};
// Authority, a client certificate "cli" and one certificate for each host; what exists and is good is kept, what has
// expired or will within kRenewalDays, or misses an asked name, is renewed (with a new key). Safe to repeat.
absl::StatusOr<InitResult> InitCertificates(const InitOptions& options);

struct RevokeOptions {
  std::string directory;  // of the authority
  // Each one a name that was issued there (every certificate of it that has not ended, renewed ones included), or the
  // file of a certificate (with a '/', or ending in .crt or .pem). None: the list is made as it is, maybe empty.
  std::vector<std::string> names;
};
struct RevokeResult {
  std::string list;    // ca.crl of the directory
  size_t added = 0;    // certificates that were not in it before
  size_t entries = 0;  // that are in it now
};
// Makes or extends the authority's revocation list; it appears whole or not at all, is valid as long as the authority, and
// InitCertificates issues what is in it anew, with a new key. NotFound: no authority, or a name that was never issued;
// InvalidArgument: a certificate of another authority.
absl::StatusOr<RevokeResult> RevokeCertificates(const RevokeOptions& options);

// What everyone who takes part in one run has, and nobody else: a key, and the certificate that they show each other
// and trust alone. Both in PEM; they are sent over channels that keep them secret, and are in no file.
struct OneTimeKeys {
  std::string certificate;
  std::string key;
};
// The name in such a certificate, for TlsConnect.
constexpr char kOneTimeName[] = "one-time.uringsync";
// Of no host's clock: valid for years, while the run lasts in truth.
absl::StatusOr<OneTimeKeys> MakeOneTimeKeys();

}  // namespace uringsync
