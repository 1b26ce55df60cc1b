// TlsIdentity: what this process shows and trusts in TLS, kept in step with its files while it runs.
//
// Connections take current() when they begin; one under way keeps what it began with. Files that cannot be used (a pair
// half of which has been replaced, a list that was cut short, one that has expired) leave in force what was loaded before.
//
// Thread rule: every method from any thread; Refresh reads files.
// Use:  US_ASSIGN_OR_RETURN(std::shared_ptr<TlsIdentity> identity, TlsIdentity::Load(files));
//       const TlsRefresh refresh = identity->Refresh();   // every kTlsRefreshInterval
//       TlsAccept(std::move(stream), identity->current(), timeout);
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/tls.h"

namespace uringsync {

// What keeps an identity in step looks so often: files that were replaced are in force within about two of these.
constexpr std::chrono::seconds kTlsRefreshInterval{1};

struct TlsRefresh {
  bool renewed = false;  // other files are in force from now on
  // OK, or why files that have changed cannot be used; told once for each change.
  absl::Status problem;
};

class TlsIdentity {
 public:
  // Errors as TlsContext::Load.
  static absl::StatusOr<std::shared_ptr<TlsIdentity>> Load(TlsFiles files);
  // One that never changes.
  static std::shared_ptr<TlsIdentity> Of(std::shared_ptr<const TlsContext> context);
  TlsIdentity(const TlsIdentity&) = delete;
  TlsIdentity& operator=(const TlsIdentity&) = delete;

  std::shared_ptr<const TlsContext> current() const;
  const TlsFiles& files() const { return files_; }
  // Loads the files again where one of them is another one than was loaded, or the last try failed.
  TlsRefresh Refresh();

 private:
  // What tells a file from its successor, also where that has the same time and size.
  struct Stamp {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t size = -1;
    int64_t changed_ns = 0;
    int64_t modified_ns = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  using Stamps = std::vector<Stamp>;
  TlsIdentity() = default;
  static Stamps StampsOf(const TlsFiles& files);

  TlsFiles files_;
  mutable std::mutex mutex_;  // of current_
  std::shared_ptr<const TlsContext> current_;
  std::mutex refreshing_;  // of what follows
  Stamps seen_;
  absl::Status told_;
};

}  // namespace uringsync
