#include "engine/net/revocations.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <ctime>
#include <limits>

#include "engine/base/errno_status.h"
#include "engine/net/x509_info.h"

namespace uringsync::openssl {
namespace {

// More lists than authorities anybody has.
constexpr size_t kMaxLists = 1000;

absl::Status Invalid(const std::string& text) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, text);
}

// A list without an end never ends.
int64_t EndOf(const X509_CRL* list) {
  const ASN1_TIME* const end = X509_CRL_get0_nextUpdate(list);
  return end == nullptr ? std::numeric_limits<int64_t>::max() : SecondsOf(end);
}

bool SignedBy(X509_CRL* list, X509* authority) {
  if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(authority)) != 0) return false;
  EVP_PKEY* const key = X509_get0_pubkey(authority);
  const bool good = key != nullptr && X509_CRL_verify(list, key) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace

absl::StatusOr<Revocations> Revocations::FromPem(const std::string& pem, const std::string& shown) {
  Revocations made;
  made.shown_ = shown;
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  ERR_clear_error();
  while (bio) {
    X509CrlPtr list(PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
    if (!list) break;
    if (made.lists_.size() >= kMaxLists)
      return Invalid(shown + " holds more than " + std::to_string(kMaxLists) + " revocation lists");
    made.lists_.push_back(std::move(list));
  }
  // The end of a PEM text is told as "no start line"; anything else is a list that is broken.
  const unsigned long error = ERR_peek_last_error();
  const bool ended = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  const std::string reason = TakeError();
  if (made.lists_.empty() || !ended)
    return Invalid(shown + " holds no PEM revocation list that can be read to its end (" + reason + ")");
  return made;
}

absl::Status Revocations::CheckIssuers(const std::vector<X509Ptr>& authorities, bool check_dates) const {
  const int64_t now = std::time(nullptr);
  for (const X509CrlPtr& list : lists_) {
    const bool known = std::any_of(authorities.begin(), authorities.end(),
                                   [&](const X509Ptr& authority) { return SignedBy(list.get(), authority.get()); });
    if (!known)
      return Invalid("revocation list " + shown_ + " is not signed by an authority that is trusted here (--ca), but by " +
                     NameText(X509_CRL_get_issuer(list.get())));
    if (!check_dates) continue;
    if (EndOf(list.get()) < now) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition,
                        "revocation list " + shown_ + " has expired on " + FormatUtc(EndOf(list.get())) +
                            ": who was revoked since is not in it; get a new one from the authority (uringsync certs revoke)");
    }
    if (SecondsOf(X509_CRL_get0_lastUpdate(list.get())) > now) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition,
                        "revocation list " + shown_ + " is not valid before " +
                            FormatUtc(SecondsOf(X509_CRL_get0_lastUpdate(list.get()))) + "; check this host's clock");
    }
  }
  return absl::OkStatus();
}

absl::Status Revocations::EnforceIn(X509_STORE* store) const {
  ERR_clear_error();
  for (const X509CrlPtr& list : lists_) {
    if (X509_STORE_add_crl(store, list.get()) != 1)
      return Invalid("revocation list " + shown_ + " cannot be used: " + TakeError());
  }
  if (X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) != 1)
    return absl::InternalError("check revocations: " + TakeError());
  return absl::OkStatus();
}

bool Revocations::Revoked(X509* certificate) const {
  return std::any_of(lists_.begin(), lists_.end(), [certificate](const X509CrlPtr& list) {
    X509_REVOKED* entry = nullptr;
    return X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_issuer_name(certificate)) == 0 &&
           X509_CRL_get0_by_cert(list.get(), &entry, certificate) == 1;
  });
}

size_t Revocations::entries() const {
  size_t count = 0;
  for (const X509CrlPtr& list : lists_)
    count += static_cast<size_t>(std::max(0, sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list.get()))));
  return count;
}

int64_t Revocations::ends() const {
  int64_t end = std::numeric_limits<int64_t>::max();
  for (const X509CrlPtr& list : lists_) end = std::min(end, EndOf(list.get()));
  return end;
}

}  // namespace uringsync::openssl
