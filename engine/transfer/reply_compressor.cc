#include "engine/transfer/reply_compressor.h"

#include <algorithm>
#include <utility>

namespace uringsync {
namespace {

std::chrono::nanoseconds Now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

size_t XattrBytes(const ReplyMessage& message) {
  size_t bytes = 0;
  for (const ReplyItem& item : message.items) {
    if (!item.xattrs.has_value()) continue;
    for (const Xattr& xattr : *item.xattrs) bytes += xattr.name.size() + xattr.value.size();
  }
  return bytes;
}

}  // namespace

double ReplyCompressor::Sample(std::span<const std::byte> raw, double* nanoseconds_per_byte) {
  const std::chrono::nanoseconds begin = Now();
  const double ratio = compressor_.SampleRatio(raw);
  const auto took = static_cast<double>((Now() - begin).count());
  *nanoseconds_per_byte = took / static_cast<double>(std::min(raw.size(), Compressor::kSampledBytes));
  return ratio;
}

bool ReplyCompressor::WorthTrying(const ReplyMessage& message, FileId file) {
  const size_t length = message.content_length();
  const bool has_tail = message.tail_length > 0;
  const std::span<const std::byte> raw = has_tail ? message.tail_bytes() : std::span<const std::byte>(message.payload);
  if (length < kLeastBytes || length > kMaxRawPayloadBytes) return false;
  double cost = 0;
  if (!shared_->level().has_value()) {
    unsampled_bytes_ += length;
    if (unsampled_bytes_ < kSampleEveryBytes || !shared_->wants_sample()) return false;
    unsampled_bytes_ = 0;
    const double ratio = Sample(raw, &cost);
    shared_->OnSample(ratio, cost);
    return false;
  }
  if (XattrBytes(message) > kMostXattrBytes) return false;
  if (has_tail && !incompressible_.WorthTrying(file, message.tail_length)) return false;
  if (raw.size() < kSampledBytes || Sample(raw, &cost) < kHopeless) return true;
  if (has_tail) incompressible_.OnTried(file, false);
  return false;
}

Task<void> ReplyCompressor::Prepare(ReplyMessage* message, FileId file) {
  if (shared_ == nullptr) co_return;
  const std::chrono::nanoseconds begin = Now();
  current_ = SentMessage();
  current_.raw_bytes = message->content_length();
  if (last_sent_.count() > 0) current_.idle = begin - last_sent_;
  const bool try_it = WorthTrying(*message, file);
  const std::optional<int> level = shared_->level();
  if (try_it && level.has_value()) {
    const bool has_tail = message->tail_length > 0;
    if (has_tail && !message->payload.empty()) message->payload.Append(message->tail_bytes());
    const bool in_payload = !message->payload.empty();
    Payload wire;
    const std::span<const std::byte> raw =
        in_payload ? std::span<const std::byte>(message->payload) : message->tail_bytes();
    const size_t raw_length = raw.size();
    // Whatever goes wrong with it, plain is right.
    absl::StatusOr<bool> smaller = co_await compressor_.Compress(raw, *level, &wire);
    if (has_tail) incompressible_.OnTried(file, smaller.ok() && *smaller);
    const bool replaced = smaller.ok() && *smaller;
    if (replaced) {
      message->payload = std::move(wire);
      message->raw_length = raw_length;
    }
    // In the payload by now, in one form or the other.
    if (has_tail && (replaced || in_payload)) {
      message->tail = Buffer();
      message->tail_length = 0;
    }
  }
  current_.wire_bytes = message->payload.size() + message->tail_length;
  current_.compress = Now() - begin;
}

void ReplyCompressor::Sent(std::chrono::nanoseconds send) {
  if (shared_ == nullptr) return;
  current_.send = send;
  last_sent_ = Now();
  shared_->OnSent(current_, last_sent_);
}

}  // namespace uringsync
