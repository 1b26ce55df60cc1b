// CompletionInterceptor: a Driver around a Driver that takes hold of operations on their way in and out.
//
// Base of FaultDriver and LateDriver. The inner driver gets a shadow of each operation; when the shadow completes, the
// subclass decides when and with what result the caller's own completes.
//
// Thread rule: as Driver.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/ring/driver.h"

namespace uringsync {

class CompletionInterceptor : public Driver {
 public:
  explicit CompletionInterceptor(std::unique_ptr<Driver> inner) : inner_(std::move(inner)), sink_(this) {}
  ~CompletionInterceptor() override = default;

  std::string_view name() const override { return inner_->name(); }
  void Submit(Op* op) override;
  void Cancel(Op* op) override;
  int Poll(std::chrono::nanoseconds max_wait) override;
  void Wake() override { inner_->Wake(); }
  long Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) override {
    return inner_->Call(code, a0, a1, a2, a3, a4, a5);
  }
  absl::Status RegisterBuffer(int index, void* base, size_t size_bytes) override {
    return inner_->RegisterBuffer(index, base, size_bytes);
  }
  const DriverCounters& counters() const override { return inner_->counters(); }
  size_t in_flight() const override { return pending_.size(); }

 protected:
  struct Pending {
    Op* op = nullptr;  // the caller's
    Op shadow;         // what the inner driver sees
    std::vector<std::byte> bytes;
    int polls_left = 0;
  };

  // Before the shadow goes in. False: do not run it; the operation completes with pending->shadow.result.
  virtual bool Admit(Pending*) { return true; }
  // The shadow has completed (pending->shadow.result): for how many polls is the completion held back?
  virtual int HoldFor(Pending*) { return 0; }
  // Order of completions that leave together.
  virtual void Reorder(std::vector<Pending*>*) {}
  // Just before the caller's operation completes; op->result is filled.
  virtual void BeforeCompletion(Pending*) {}

  Driver* inner() { return inner_.get(); }

 private:
  // The inner driver "resumes" shadows here: the handle's address is the Pending.
  class Sink final : public Executor {
   public:
    explicit Sink(CompletionInterceptor* owner) : owner_(owner) {}
    void Post(std::coroutine_handle<> handle) override {
      owner_->OnShadowDone(static_cast<Pending*>(handle.address()));
    }

   private:
    CompletionInterceptor* owner_;
  };
  void OnShadowDone(Pending* pending);
  int Release();

  std::unique_ptr<Driver> inner_;
  Sink sink_;
  std::unordered_map<Op*, std::unique_ptr<Pending>> pending_;
  std::vector<Pending*> held_;
};

}  // namespace uringsync
