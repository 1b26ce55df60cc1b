#include "proto/wire_size.h"

namespace uringsync {
namespace {

// All plain columns of one row at their longest: five 4-byte numbers as varints, seven 8-byte ones, row numbers and lengths.
constexpr size_t kRowBytes = 128;
constexpr size_t kDigestBytes = 20;

}  // namespace

size_t WireBytesBound(const Entry& entry) {
  size_t bytes = kRowBytes + entry.name.size() + entry.symlink_target.size();
  if (!entry.xattr_digest.is_zero()) bytes += kDigestBytes;
  if (!entry.capability_digest.is_zero()) bytes += kDigestBytes;
  if (!entry.trusted_digest.is_zero()) bytes += kDigestBytes;
  if (entry.content_digest) bytes += kDigestBytes;
  return bytes;
}

size_t WireBytesBound(const Action& action) {
  size_t bytes = 32 + action.path.text().size() + action.link_target.text().size() + WireBytesBound(action.wanted);
  if (action.existing) bytes += WireBytesBound(*action.existing);
  return bytes;
}

size_t WireBytesBound(const Problem& problem) {
  return 32 + problem.path.text().size() + problem.operation.size() + problem.detail.size();
}

}  // namespace uringsync
