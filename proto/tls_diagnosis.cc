#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/unique_fd.h"
#include "engine/net/tls.h"
#include "proto/tls_files.h"

namespace uringsync {
namespace {

using Clock = std::chrono::steady_clock;
// In TLS 1.3 a server judges the client's certificate after the client believes that the handshake is over.
constexpr std::chrono::milliseconds kVerdictWait{2000};

struct Target {
  const std::string& host;
  uint16_t port;
  const ControlTlsFiles& files;
  Clock::time_point deadline;
  std::string Name() const { return EscapeName(host) + ":" + std::to_string(port); }
};

int MillisecondsLeft(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::max<int64_t>(0, left));
}

// Waits for `events`; false when the deadline passes first.
bool WaitFor(int fd, short events, Clock::time_point deadline) {
  pollfd entry = {.fd = fd, .events = events, .revents = 0};
  int ready;
  do {
    ready = ::poll(&entry, 1, MillisecondsLeft(deadline));
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

absl::Status NoAnswer(const Target& target) {
  return MakeStatus(absl::StatusCode::kDeadlineExceeded,
                    "no answer from " + target.Name() + " in time; the host is down, or a firewall drops the packets");
}

absl::Status ConnectError(const Target& target, int err) {
  std::string text = target.Name() + ": " + std::strerror(err);
  if (err == ECONNREFUSED) text += "; no agent listens there: start uringsync-agent on that host, or correct the port";
  return MakeStatus(absl::StatusCode::kUnavailable, text);
}

// One address; the errno in `err` when it is not reached.
UniqueFd ConnectTo(const addrinfo& address, Clock::time_point deadline, int* err) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) {
    *err = errno;
    return {};
  }
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) {
    *err = errno;
    return {};
  }
  if (!WaitFor(fd.get(), POLLOUT, deadline)) {
    *err = ETIMEDOUT;
    return {};
  }
  socklen_t size = sizeof(*err);
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, err, &size);
  return *err == 0 ? std::move(fd) : UniqueFd();
}

absl::StatusOr<UniqueFd> Dial(const Target& target) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &hints, &list);
  if (failed != 0) {
    return MakeStatus(absl::StatusCode::kUnavailable,
                      "cannot resolve " + EscapeName(target.host) + ": " + ::gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  int err = EADDRNOTAVAIL;
  for (const addrinfo* address = list; address != nullptr; address = address->ai_next) {
    UniqueFd fd = ConnectTo(*address, target.deadline, &err);
    if (fd.valid()) return fd;
  }
  if (err == ETIMEDOUT) return NoAnswer(target);
  return ConnectError(target, err);
}

// The names in the agent's certificate, for a person.
std::string NamesOf(X509* cert) {
  auto* raw = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr));
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(raw, &GENERAL_NAMES_free);
  std::string text;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    const bool is_ip = name->type == GEN_IPADD;
    if (!is_ip && name->type != GEN_DNS) continue;
    const ASN1_STRING* value = is_ip ? name->d.iPAddress : name->d.dNSName;
    std::string shown(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                      static_cast<size_t>(ASN1_STRING_length(value)));
    char address[INET6_ADDRSTRLEN];
    if (is_ip &&
        ::inet_ntop(shown.size() == 4 ? AF_INET : AF_INET6, shown.data(), address, sizeof(address)) != nullptr &&
        (shown.size() == 4 || shown.size() == 16)) {
      shown = address;
    }
    text += (text.empty() ? "" : ", ") + EscapeName(shown);
  }
  return text.empty() ? "no names" : text;
}

// Notes the names of a certificate that fails; afterwards the connection has it no more. The SSL's app data is a
// std::string.
int NoteNames(int ok, X509_STORE_CTX* store) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509* cert = X509_STORE_CTX_get_current_cert(store);
  if (!ok && cert != nullptr) *static_cast<std::string*>(SSL_get_app_data(ssl)) = NamesOf(cert);
  return ok;
}

// Why we refuse the agent's certificate.
absl::Status AgentRefused(const Target& target, const std::string& names, long verdict) {
  std::string text = "the certificate of " + target.Name() + " was refused: ";
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      text += "it has expired; issue a new one for that host (uringsync certs init)";
      break;
    case X509_V_ERR_CERT_NOT_YET_VALID: text += "it is not valid yet; check the clocks of both hosts"; break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      text += "it is made out to " + names + "; connect by such a name, or issue one for " + EscapeName(target.host) +
              " (uringsync certs init --host)";
      break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      text +=
          "the authority in " + EscapeName(target.files.ca) + " did not sign it; give the authority that did with --ca";
      break;
    case X509_V_ERR_CERT_REVOKED:
      text += "its authority has revoked it, says " + EscapeName(target.files.crl) + "; issue a new one for that host";
      break;
    case X509_V_ERR_CRL_HAS_EXPIRED:
      text += "the revocation list " + EscapeName(target.files.crl) +
              " has expired, so nobody knows who was revoked since; get a new one from the authority";
      break;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
      text += EscapeName(target.files.crl) + " has no revocation list of its authority; add it";
      break;
    default: text += X509_verify_cert_error_string(verdict);
  }
  return MakeStatus(absl::StatusCode::kUnauthenticated, text);
}

// Why the agent refuses ours, by the TLS alert that it sent.
absl::Status WeAreRefused(const Target& target, unsigned long error) {
  std::string text = target.Name() + " refused the certificate " + EscapeName(target.files.cert) + ": ";
  const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  switch (reason) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED: text += "it has expired; issue a new one (uringsync certs init)"; break;
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED: text += "it did not arrive; give --cert and --key"; break;
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      text += "the agent's --ca did not sign it; use a certificate of the agent's authority";
      break;
    // gRPC's server often hangs up without an alert.
    default:
      text += "the agent's --ca did not sign it, or it is no longer valid; use a certificate of the agent's authority";
  }
  return MakeStatus(absl::StatusCode::kUnauthenticated, text);
}

bool IsAlert(unsigned long error) {
  return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET;
}

// Runs `step` (SSL_connect, SSL_read) to its end. Positive: done; 0: failed, `error` from OpenSSL; -1: the deadline
// passed.
template <typename Step>
int Drive(SSL* ssl, int fd, Clock::time_point deadline, unsigned long* error, Step step) {
  while (true) {
    ERR_clear_error();
    const int result = step();
    if (result > 0) return 1;
    const int wants = SSL_get_error(ssl, result);
    if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE) {
      *error = ERR_get_error();
      return 0;
    }
    if (!WaitFor(fd, wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline)) return -1;
  }
}

absl::Status Handshake(const Target& target, SSL* ssl, int fd, const std::string& names) {
  unsigned long error = 0;
  const int result = Drive(ssl, fd, target.deadline, &error, [ssl] { return SSL_connect(ssl); });
  if (result < 0) return NoAnswer(target);
  if (result == 0) {
    const long verdict = SSL_get_verify_result(ssl);
    if (verdict != X509_V_OK) return AgentRefused(target, names, verdict);
    if (IsAlert(error)) return WeAreRefused(target, error);
    return MakeStatus(absl::StatusCode::kUnavailable,
                      target.Name() + " does not answer in TLS; is that the control port of a uringsync-agent?");
  }
  char byte;
  const auto verdict_deadline = std::min(target.deadline, Clock::now() + kVerdictWait);
  if (Drive(ssl, fd, verdict_deadline, &error, [ssl, &byte] { return SSL_read(ssl, &byte, 1); }) == 0) {
    return WeAreRefused(target, error);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DiagnoseConnection(const std::string& host, uint16_t port, const ControlTlsFiles& files,
                                const TlsContext& context, std::chrono::milliseconds timeout) {
  const Target target{host, port, files, Clock::now() + timeout};
  US_ASSIGN_OR_RETURN(const UniqueFd fd, Dial(target));
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.native()), &SSL_free);
  if (ssl == nullptr) return absl::InternalError("OpenSSL makes no connection object");
  SSL_set_fd(ssl.get(), fd.get());
  std::string names;
  SSL_set_app_data(ssl.get(), &names);
  SSL_set_verify(ssl.get(), SSL_VERIFY_PEER, &NoteNames);
  constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl.get(), kHttp2, sizeof(kHttp2));
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl.get());
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) != 1) {
    X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
    SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  }
  SSL_set_connect_state(ssl.get());
  return Handshake(target, ssl.get(), fd.get(), names);
}

}  // namespace uringsync
