#include "proto/wire_size.h"

namespace uringsync {
namespace {

// All plain columns of one row at their longest: five 4-byte numbers as varints, seven 8-byte ones, row numbers and
// lengths.
constexpr size_t kRowBytes = 128;
constexpr size_t kDigestBytes = 20;
// Numbers of an operand at their longest, and where a message of operands is full.
constexpr size_t kOperandBytes = 32;
constexpr size_t kOperandMessageBytes = size_t{1} << 20;

}  // namespace

size_t WireBytesBound(const Entry& entry) {
  size_t bytes = kRowBytes + entry.name.size() + entry.symlink_target.size();
  if (!entry.xattr_digest.is_zero()) bytes += kDigestBytes;
  if (!entry.capability_digest.is_zero()) bytes += kDigestBytes;
  if (!entry.trusted_digest.is_zero()) bytes += kDigestBytes;
  if (entry.content_digest) bytes += kDigestBytes;
  if (entry.proof != nullptr) bytes += sizeof(EntryProof);
  return bytes;
}

size_t WireBytesBound(const Action& action) {
  size_t bytes = 32 + action.path.text().size() + action.link_target.text().size() + WireBytesBound(action.wanted);
  if (action.existing) bytes += WireBytesBound(*action.existing);
  if (action.basis) bytes += WireBytesBound(action.basis->object);
  if (action.origin) bytes += 16 + action.origin->path.text().size() + WireBytesBound(action.origin->object);
  return bytes;
}

size_t WireBytesBound(const Problem& problem) {
  return 32 + problem.path.text().size() + problem.operation.size() + problem.detail.size();
}

size_t OperandsOfOneMessage(std::span<const SourceOperand> operands) {
  size_t bytes = 0;
  size_t count = 0;
  while (count < operands.size() && count < kMaxOperandsPerMessage) {
    const SourceOperand& operand = operands[count];
    bytes += kOperandBytes + operand.base.size() + operand.from.text().size() + operand.at.text().size();
    // One always goes: a decoder refuses what no message can hold.
    if (count > 0 && bytes > kOperandMessageBytes) break;
    ++count;
  }
  return count;
}

}  // namespace uringsync
