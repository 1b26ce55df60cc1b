// LateDriver: completes operations late and in a shuffled order, and touches their memory only then.
//
// A kernel that reads into freed memory is invisible to sanitizers. Here every read and receive lands in a copy, and
// this code, which sanitizers see, copies it into the caller's buffer at the moment of completion; what is written and
// sent is copied at submission and compared at completion: a caller that frees or changes a buffer in flight is caught.
//
// Use:  options.wrap_driver = LateDriver::Wrapper(LateDriver::SeedFromEnvironment());
//
// The seed is printed; URINGSYNC_TEST_SEED repeats a run. Thread rule: as Driver.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>

#include "tests/support/completion_interceptor.h"

namespace uringsync {

class LateDriver final : public CompletionInterceptor {
 public:
  LateDriver(std::unique_ptr<Driver> inner, uint64_t seed);

  // $URINGSYNC_TEST_SEED, else a fresh one; printed to stderr either way.
  static uint64_t SeedFromEnvironment();
  static std::function<std::unique_ptr<Driver>(std::unique_ptr<Driver>)> Wrapper(uint64_t seed);

 protected:
  bool Admit(Pending* pending) override;
  int HoldFor(Pending* pending) override;
  void Reorder(std::vector<Pending*>* due) override;
  void BeforeCompletion(Pending* pending) override;

 private:
  std::mt19937_64 random_;
};

}  // namespace uringsync
