#include "engine/net/tls_versions.h"

#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <strings.h>

#include <memory>
#include <string>

#include "engine/base/errno_status.h"
#include "engine/net/openssl_util.h"

namespace uringsync::openssl {
namespace {

using ConfPtr = std::unique_ptr<CONF, Deleter<NCONF_free>>;

constexpr char kApplication[] = "uringsync_conf";
constexpr char kOurSection[] = "uringsync_tls";

bool SetsVersions(const char* name) {
  for (const char* known : {"Protocol", "MinProtocol", "MaxProtocol"}) {
    if (::strcasecmp(name, known) == 0) return true;
  }
  return false;
}

// The lines of the administrator's section `system_default` that are not about versions; empty without one.
std::string AdministratorsLines() {
  const std::unique_ptr<char, void (*)(char*)> path(CONF_get1_default_config_file(),
                                                    [](char* text) { OPENSSL_free(text); });
  const ConfPtr conf(NCONF_new(nullptr));
  long line = 0;
  std::string lines;
  if (path && conf && NCONF_load(conf.get(), path.get(), &line) > 0) {
    const char* const modules = NCONF_get_string(conf.get(), nullptr, "openssl_conf");
    const char* const ssl = modules == nullptr ? nullptr : NCONF_get_string(conf.get(), modules, "ssl_conf");
    const char* const section = ssl == nullptr ? nullptr : NCONF_get_string(conf.get(), ssl, "system_default");
    STACK_OF(CONF_VALUE)* const values = section == nullptr ? nullptr : NCONF_get_section(conf.get(), section);
    for (int i = 0; i < sk_CONF_VALUE_num(values); ++i) {
      const CONF_VALUE* const value = sk_CONF_VALUE_value(values, i);
      if (!SetsVersions(value->name)) lines += std::string(value->name) + " = " + value->value + "\n";
    }
  }
  ERR_clear_error();
  return lines;
}

absl::Status LoadConfiguration() {
  // The administrator's first: what is loaded last counts.
  if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, nullptr) != 1)
    return absl::InternalError("start OpenSSL: " + TakeError());
  const std::string text = std::string(kApplication) + " = " + kOurSection + "_modules\n[" + kOurSection +
                           "_modules]\nssl_conf = " + kOurSection + "_names\n[" + kOurSection +
                           "_names]\nsystem_default = " + kOurSection + "\n[" + kOurSection + "]\n" +
                           AdministratorsLines() + "MinProtocol = TLSv1.3\nProtocol = -SSLv3,-TLSv1,-TLSv1.1,-TLSv1.2\n";
  const BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const ConfPtr conf(NCONF_new(nullptr));
  long line = 0;
  ERR_clear_error();
  if (!bio || !conf || NCONF_load_bio(conf.get(), bio.get(), &line) <= 0 ||
      CONF_modules_load(conf.get(), kApplication, 0) <= 0) {
    return absl::InternalError("configure OpenSSL for TLS 1.3: " + TakeError());
  }
  ERR_clear_error();
  return absl::OkStatus();
}

}  // namespace

absl::Status RequireTls13() {
  static const absl::Status loaded = LoadConfiguration();
  return loaded;
}

}  // namespace uringsync::openssl
