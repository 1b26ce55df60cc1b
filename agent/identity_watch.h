// IdentityWatch: keeps the certificates of an agent in step with their files, says so in the log, and has those ended who
// are revoked.
//
// Thread rule: made and destroyed on one thread; it has one of its own, on which `on_look` is called.
// Use:  IdentityWatch watch(identity, [&](const TlsContext& now, bool renewed) { if (renewed) control->BreakRevoked(now); });
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/net/tls_identity.h"

namespace uringsync {

class IdentityWatch {
 public:
  // After each look at the files: what is in force, and whether it is so only from now on.
  using OnLook = std::function<void(const TlsContext& now, bool renewed)>;
  IdentityWatch(std::shared_ptr<TlsIdentity> identity, OnLook on_look);
  ~IdentityWatch();
  IdentityWatch(const IdentityWatch&) = delete;
  IdentityWatch& operator=(const IdentityWatch&) = delete;

 private:
  void Loop();
  void Look();

  const std::shared_ptr<TlsIdentity> identity_;
  const OnLook on_look_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace uringsync
