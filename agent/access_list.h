// AccessList: what the holders of certificates may do in the roots of an agent. What nobody granted is denied.
//
// Thread rule: immutable once made; share freely.
// Use:  US_ASSIGN_OR_RETURN(Grant grant, ParseGrant("backup.example=data:read"));
//       AccessList access({grant});   access.Of(peer.identities, "data").Has(Verb::kRead);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace uringsync {

enum class Verb : uint8_t {
  kRead = 1,     // be a source; compare; read contents
  kWrite = 2,    // be a destination: make objects, replace them, set their metadata; sees what is there
  kDelete = 4,   // remove objects (--delete, --remove-source-files, a directory that makes way for another kind)
  kChown = 8,    // set owners and groups
  kDevice = 16,  // make device nodes; read and write what devices hold (with --device-data)
};

class Verbs {
 public:
  Verbs() = default;
  static Verbs All() { return Verbs(31); }
  bool Has(Verb verb) const { return (bits_ & static_cast<uint8_t>(verb)) != 0; }
  bool empty() const { return bits_ == 0; }
  void Add(Verb verb) { bits_ = static_cast<uint8_t>(bits_ | static_cast<uint8_t>(verb)); }
  void Add(Verbs others) { bits_ = static_cast<uint8_t>(bits_ | others.bits_); }
  friend bool operator==(Verbs, Verbs) = default;

 private:
  explicit Verbs(uint8_t bits) : bits_(bits) {}
  uint8_t bits_ = 0;
};

// "read,write,delete", or "all". InvalidArgument names what is unknown and the choices.
absl::StatusOr<Verbs> ParseVerbs(std::string_view text);

constexpr std::string_view kAnybody = "*";  // every certificate of the authority; every root

struct Grant {
  std::string who;  // a name of the certificate (DNS, URI or IP; the common name where it has none), or kAnybody
  std::string root;
  Verbs verbs;
};
// "WHO=ROOT:VERBS", e.g. "spiffe://example/backup=data:read,write"; WHO and ROOT may be "*". InvalidArgument shows the
// text and what is expected.
absl::StatusOr<Grant> ParseGrant(std::string_view text);

class AccessList {
 public:
  AccessList() = default;
  explicit AccessList(std::vector<Grant> grants) : grants_(std::move(grants)) {}
  // What any of `identities` may do in `root`.
  Verbs Of(const std::vector<std::string>& identities, std::string_view root) const;

 private:
  std::vector<Grant> grants_;
};

}  // namespace uringsync
