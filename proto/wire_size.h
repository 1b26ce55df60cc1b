// How many bytes a value takes on the control wire, estimated from above without encoding: for senders that split
// batches.
//
// A sender keeps every batch under kTargetBatchBytes by these numbers (one value alone may exceed it); then no message
// comes near kMaxControlMessageBytes, which Send refuses, or kMaxPathBytesPerMessage, which the receiver refuses.
#pragma once

#include <cstddef>
#include <span>

#include "proto/messages.h"

namespace uringsync {

constexpr size_t kTargetBatchBytes = size_t{512} << 10;
// Bytes of all paths of one decoded message together, directories counted once for each use.
constexpr size_t kMaxPathBytesPerMessage = size_t{5} << 20;

size_t WireBytesBound(const Entry& entry);
size_t WireBytesBound(const Action& action);
size_t WireBytesBound(const Problem& problem);

// How many of the first `operands` go into one message.
size_t OperandsOfOneMessage(std::span<const SourceOperand> operands);

}  // namespace uringsync
