// OperandBudget: how much memory the operands (single paths, lists of names) of all sessions of an agent may take together.
//
// One session may bring millions of names; a few such sessions of one coordinator must not end the agent for everybody else.
//
// Thread rule: the budget from any thread; a charge on its session's.
// Use:  OperandBudget::Charge charge(&budget);   US_RETURN_IF_ERROR(charge.Add(operands, bytes));
#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "engine/base/errno_status.h"

namespace uringsync {

class OperandBudget {
 public:
  static constexpr size_t kMaxBytes = size_t{256} << 20;
  // What an operand takes beside its names.
  static constexpr size_t kBytesEach = 128;

  // Of one session; given back with it.
  class Charge {
   public:
    // `budget` null: nothing is counted (an agent that one command started for itself).
    explicit Charge(OperandBudget* budget) : budget_(budget) {}
    ~Charge() {
      if (budget_ != nullptr) budget_->taken_ -= bytes_;
    }
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;

    // ResourceExhausted beyond what is left.
    absl::Status Add(size_t operands, size_t name_bytes) {
      if (budget_ == nullptr) return absl::OkStatus();
      const size_t more = operands * kBytesEach + name_bytes;
      bytes_ += more;
      if (budget_->taken_.fetch_add(more) + more <= kMaxBytes) return absl::OkStatus();
      return MakeStatus(absl::StatusCode::kResourceExhausted,
                        "the source arguments of all runs of this agent take more than " +
                            std::to_string(kMaxBytes >> 20) + " MiB: name directories, or run again later");
    }

   private:
    OperandBudget* const budget_;
    size_t bytes_ = 0;
  };

 private:
  std::atomic<size_t> taken_{0};
};

}  // namespace uringsync
