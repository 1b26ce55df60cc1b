#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/authority.h"
#include "engine/net/issued.h"
#include "engine/net/certificates.h"
#include "engine/net/openssl_util.h"
#include "engine/net/pem_files.h"
#include "engine/net/x509_info.h"

namespace uringsync {

namespace {

using openssl::Authority;

constexpr char kClientStem[] = "cli";

std::vector<std::string> SplitNames(const std::string& list) {
  std::vector<std::string> names;
  size_t begin = 0;
  while (begin <= list.size()) {
    const size_t end = std::min(list.find(',', begin), list.size());
    names.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

// Whoever is asked for as "localhost" is reached by the loopback's addresses as well.
void AddLoopback(std::vector<std::string>* names) {
  if (std::find(names->begin(), names->end(), "localhost") == names->end()) return;
  for (const char* address : {"127.0.0.1", "::1"}) {
    if (std::find(names->begin(), names->end(), address) == names->end()) names->push_back(address);
  }
}

bool Covers(X509* certificate, const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [certificate](const std::string& name) {
    return X509_check_host(certificate, name.c_str(), name.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1 ||
           X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
  });
}

// Names asked for now, and those that the certificate had: a renewal takes nothing away.
std::vector<std::string> Union(std::vector<std::string> names, const CertificateInfo& info) {
  for (const auto* list : {&info.dns_names, &info.ip_addresses, &info.uris}) {
    for (const std::string& name : *list) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

// A certificate that this authority signed and that is no longer good gets a successor with the same key: one rename,
// so that certificate and key match at any moment. Returns false when it is good as it is. What others signed is not
// touched.
absl::StatusOr<bool> RenewIfNeeded(const CertificateFiles& files, const std::vector<std::string>& names,
                                   const InitOptions& options, const Authority& authority) {
  US_ASSIGN_OR_RETURN(openssl::X509Ptr certificate, openssl::ReadCertificate(files.certificate));
  US_ASSIGN_OR_RETURN(openssl::PkeyPtr key, openssl::ReadPrivateKey(files.key));
  const bool ours = X509_check_private_key(certificate.get(), key.get()) == 1 &&
                    X509_verify(certificate.get(), authority.key.get()) == 1;
  ERR_clear_error();
  if (!ours) {
    return MakeStatus(absl::StatusCode::kAlreadyExists,
                      EscapeName(files.certificate) + " exists and is not of this authority, or does not match " +
                          EscapeName(files.key) + "; move it away, or replace everything with --force");
  }
  const CertificateInfo info = openssl::DescribeCertificate(certificate.get());
  US_ASSIGN_OR_RETURN(const bool revoked, openssl::IsRevoked(options.directory, certificate.get()));
  if (revoked) {
    // Whoever has the key must not get a good certificate for it.
    const IssueOptions anew{.directory = options.directory,
                            .name = names.front(),
                            .hosts = Union(names, info),
                            .days = options.days,
                            .force = true};
    US_RETURN_IF_ERROR(IssueCertificate(anew).status());
    return true;
  }
  if (!info.expired(std::time(nullptr) + kRenewalDays * openssl::kDaySeconds) && Covers(certificate.get(), names))
    return false;
  const IssueOptions issue{
      .directory = options.directory, .name = names.front(), .hosts = Union(names, info), .days = options.days};
  US_ASSIGN_OR_RETURN(openssl::X509Ptr renewed, openssl::SignFor(issue, authority, key.get()));
  US_RETURN_IF_ERROR(openssl::NoteIssued(options.directory, names.front(), renewed.get()));
  US_RETURN_IF_ERROR(openssl::PublishCertificate(files.certificate, renewed.get(), true));
  return true;
}

absl::Status EnsureCertificate(const std::vector<std::string>& names, const InitOptions& options,
                               const Authority& authority, InitResult* result) {
  const CertificateFiles files = openssl::FilesOf(options.directory, names.front());
  bool issued = true;
  if (options.force || (!openssl::FileExists(files.certificate) && !openssl::FileExists(files.key))) {
    const IssueOptions issue{.directory = options.directory,
                             .name = names.front(),
                             .hosts = names,
                             .days = options.days,
                             .force = options.force};
    US_RETURN_IF_ERROR(IssueCertificate(issue).status());
  } else {
    US_ASSIGN_OR_RETURN(issued, RenewIfNeeded(files, names, options, authority));
  }
  (issued ? result->issued : result->kept).push_back(files);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<InitResult> InitCertificates(const InitOptions& options) {
  InitResult result;
  result.authority = openssl::FilesOf(options.directory, openssl::kAuthorityStem);
  std::vector<std::vector<std::string>> wanted = {{kClientStem}};
  for (const std::string& host : options.hosts) {
    wanted.push_back(SplitNames(host));
    AddLoopback(&wanted.back());
    for (const std::string& name : wanted.back()) US_RETURN_IF_ERROR(openssl::CheckHostName(name));
    if (wanted.back().front() == openssl::kAuthorityStem || wanted.back().front() == kClientStem) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "a host cannot have the file name '" + wanted.back().front() + "': use its full name");
    }
  }
  const bool missing = !openssl::FileExists(result.authority.certificate) && !openssl::FileExists(result.authority.key);
  if (options.force || missing) {
    US_ASSIGN_OR_RETURN(result.authority, CreateAuthority({.directory = options.directory, .force = options.force}));
    result.made_authority = true;
  }
  US_ASSIGN_OR_RETURN(const Authority authority, openssl::LoadAuthority(options.directory));
  for (const std::vector<std::string>& names : wanted) {
    US_RETURN_IF_ERROR(EnsureCertificate(names, options, authority, &result));
  }
  return result;
}

}  // namespace uringsync
