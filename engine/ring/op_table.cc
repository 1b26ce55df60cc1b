#include "engine/ring/op_table.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace uringsync {

OpState* OpTable::Add(Op* op) {
  if (free_.empty()) {
    const auto slot = static_cast<uint32_t>(states_.size());
    states_.emplace_back().slot = slot;
    free_.push_back(slot);
  }
  OpState* state = &states_[free_.back()];
  free_.pop_back();
  const uint32_t slot = state->slot;
  const uint32_t generation = state->generation;
  *state = OpState{};
  state->slot = slot;
  state->generation = generation;
  state->op = op;
  state->phase = OpState::Phase::kQueued;
  op->driver_state = state;
  ++live_;
  return state;
}

void OpTable::Remove(OpState* state) {
  ClearDeadline(state);
  state->op->driver_state = nullptr;
  state->op = nullptr;
  state->phase = OpState::Phase::kFree;
  // 31 bits: drivers keep the top bit of a token for themselves.
  state->generation = (state->generation + 1) & 0x7FFFFFFF;
  free_.push_back(state->slot);
  --live_;
}

OpState* OpTable::Find(uint64_t token) {
  const auto slot = static_cast<uint32_t>(token);
  if (slot >= states_.size()) return nullptr;
  OpState* state = &states_[slot];
  return state->op != nullptr && state->token() == token ? state : nullptr;
}

void OpTable::SetDeadline(OpState* state, MonotonicTime when) {
  ClearDeadline(state);
  state->deadline = when;
  heap_.push_back(state);
  state->heap_index = static_cast<uint32_t>(heap_.size() - 1);
  SiftUp(state->heap_index);
}

void OpTable::ClearDeadline(OpState* state) {
  if (state->heap_index == OpState::kNoHeapIndex) return;
  const uint32_t index = std::exchange(state->heap_index, OpState::kNoHeapIndex);
  OpState* last = heap_.back();
  heap_.pop_back();
  if (last == state) return;
  Place(index, last);
  SiftUp(index);
  SiftDown(last->heap_index);
}

std::optional<MonotonicTime> OpTable::NextDeadline() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front()->deadline;
}

OpState* OpTable::TakeExpired(MonotonicTime now) {
  if (heap_.empty() || heap_.front()->deadline > now) return nullptr;
  OpState* state = heap_.front();
  ClearDeadline(state);
  return state;
}

void OpTable::Place(uint32_t index, OpState* state) {
  heap_[index] = state;
  state->heap_index = index;
}

void OpTable::SiftUp(uint32_t index) {
  OpState* state = heap_[index];
  while (index > 0) {
    const uint32_t parent = (index - 1) / 2;
    if (heap_[parent]->deadline <= state->deadline) break;
    Place(index, heap_[parent]);
    index = parent;
  }
  Place(index, state);
}

void OpTable::SiftDown(uint32_t index) {
  OpState* state = heap_[index];
  while (true) {
    uint32_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->deadline < heap_[child]->deadline) ++child;
    if (heap_[child]->deadline >= state->deadline) break;
    Place(index, heap_[child]);
    index = child;
  }
  Place(index, state);
}

std::chrono::nanoseconds WaitUntil(std::optional<MonotonicTime> deadline, std::chrono::nanoseconds max_wait) {
  if (!deadline.has_value() || max_wait <= std::chrono::nanoseconds(0)) return max_wait;
  const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(*deadline - std::chrono::steady_clock::now());
  return std::clamp(left, std::chrono::nanoseconds(0), max_wait);
}

int64_t FinalResult(const OpState& state, int64_t result) {
  if (result != -ECANCELED && result != -EINTR) return result;
  return state.timed_out && !state.cancel_requested ? -ETIME : -ECANCELED;
}

}  // namespace uringsync
