#include "tests/support/late_driver.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace uringsync {
namespace {

constexpr int kMostPollsLate = 6;

bool FillsBuffer(OpCode code) {
  return code == OpCode::kRead || code == OpCode::kRecv || code == OpCode::kReadPipe;
}
bool TakesBuffer(OpCode code) {
  return code == OpCode::kWrite || code == OpCode::kSend;
}

}  // namespace

LateDriver::LateDriver(std::unique_ptr<Driver> inner, uint64_t seed)
    : CompletionInterceptor(std::move(inner)), random_(seed) {}

uint64_t LateDriver::SeedFromEnvironment() {
  const char* given = std::getenv("URINGSYNC_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::fprintf(stderr, "late driver: URINGSYNC_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

std::function<std::unique_ptr<Driver>(std::unique_ptr<Driver>)> LateDriver::Wrapper(uint64_t seed) {
  // Each shard its own sequence.
  auto next = std::make_shared<std::atomic<uint64_t>>(seed);
  return [next](std::unique_ptr<Driver> inner) {
    return std::make_unique<LateDriver>(std::move(inner), next->fetch_add(1));
  };
}

bool LateDriver::Admit(Pending* pending) {
  Op* shadow = &pending->shadow;
  if (shadow->buffer == nullptr) return true;
  if (!FillsBuffer(shadow->code) && !TakesBuffer(shadow->code)) return true;
  pending->bytes.resize(shadow->length);
  if (TakesBuffer(shadow->code)) std::memcpy(pending->bytes.data(), shadow->buffer, shadow->length);
  shadow->buffer = pending->bytes.data();
  shadow->registered_buffer = -1;
  return true;
}

int LateDriver::HoldFor(Pending*) {
  return static_cast<int>(random_() % (kMostPollsLate + 1));
}

void LateDriver::Reorder(std::vector<Pending*>* due) {
  std::shuffle(due->begin(), due->end(), random_);
}

void LateDriver::BeforeCompletion(Pending* pending) {
  const Op& op = *pending->op;
  if (pending->bytes.empty()) return;
  if (FillsBuffer(op.code)) {
    if (op.result > 0) std::memcpy(op.buffer, pending->bytes.data(), static_cast<size_t>(op.result));
  } else if (std::memcmp(op.buffer, pending->bytes.data(), pending->bytes.size()) != 0) {
    std::fprintf(stderr, "late driver: the buffer of a %s in flight was changed\n", OpCodeName(op.code));
    std::abort();
  }
}

}  // namespace uringsync
