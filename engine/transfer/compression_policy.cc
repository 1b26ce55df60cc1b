#include "engine/transfer/compression_policy.h"

#include <algorithm>

namespace uringsync {
namespace {

// Shares of the senders' time.
constexpr double kLinkBound = 0.4;    // waiting for the link: compression may help
constexpr double kSenderBound = 0.5;  // compressing: it is what holds the senders up
constexpr double kLinkIdle = 0.1;     // the link is waited for no more than this
// What a step has to bring to stay, and what going back may cost.
constexpr double kWorthIt = 1.03;
constexpr double kSameEnough = 0.98;
// The saved time must be this many times what compression takes before it is tried: its cost is a guess from a sample.
constexpr double kCaution = 1.5;
// Compression that takes less than this part of the waiting climbs two steps at once.
constexpr double kPlentyOfTime = 1.0 / 16;

double Seconds(CompressionPolicy::Time time) {
  return std::chrono::duration<double>(time).count();
}
double Nanoseconds(std::chrono::nanoseconds time) {
  return static_cast<double>(std::max<int64_t>(time.count(), 0));
}

}  // namespace

CompressionPolicy::CompressionPolicy(CompressionSettings settings, size_t shards)
    : settings_(settings), shards_(static_cast<double>(std::max<size_t>(shards, 1))) {}

std::optional<int> CompressionPolicy::level() const {
  if (settings_.mode == CompressionMode::kFixed) return settings_.level;
  if (settings_.mode == CompressionMode::kOff || step_ == 0) return std::nullopt;
  return kLevels[step_ - 1];
}

void CompressionPolicy::OnSample(double ratio, double nanoseconds_per_byte) {
  // Kept over many payloads: one odd file must not decide.
  const double weight = sample_cost_ > 0 ? 0.25 : 1;
  sample_ratio_ += weight * (ratio - sample_ratio_);
  sample_cost_ += weight * (nanoseconds_per_byte - sample_cost_);
}

void CompressionPolicy::OnSent(const SentMessage& message, Time now) {
  if (settings_.mode != CompressionMode::kAdaptive) return;
  if (!started_) {
    started_ = true;
    interval_.begin = now - message.compress - message.send;
  }
  interval_.raw_bytes += message.raw_bytes;
  interval_.wire_bytes += message.wire_bytes;
  interval_.idle += Nanoseconds(message.idle);
  interval_.compress += Nanoseconds(message.compress);
  interval_.send += Nanoseconds(message.send);
  const Time elapsed = now - interval_.begin;
  if (elapsed < length_ || interval_.raw_bytes < kIntervalBytes) return;
  Judge(now);
  interval_ = Interval{.begin = now};
}

// Whether compression would save the senders more than it costs them, by what samples say.
bool CompressionPolicy::PromisesGain(double elapsed) const {
  if (step_ > 0) return true;  // the trial will tell
  if (sample_cost_ <= 0 || interval_.wire_bytes == 0) return false;
  const double link_cost = elapsed * 1e9 * shards_ / static_cast<double>(interval_.wire_bytes);
  return link_cost * (1 - sample_ratio_) > kCaution * sample_cost_;
}

void CompressionPolicy::Try(size_t step) {
  tried_from_ = step_;
  step_ = step;
}

void CompressionPolicy::EndTrial(double goodput, Time now) {
  const size_t before = *tried_from_;
  tried_from_.reset();
  const bool climbed = step_ > before;
  if (goodput > goodput_before_ * (climbed ? kWorthIt : kSameEnough)) {
    hold_ = kFirstHold;
    return;
  }
  step_ = before;
  held_until_ = now + hold_;
  hold_ = std::min(hold_ * 2, kLongestHold);
}

void CompressionPolicy::Judge(Time now) {
  length_ = kInterval;
  const double elapsed = Seconds(now - interval_.begin);
  const double goodput = static_cast<double>(interval_.raw_bytes) / elapsed;
  if (tried_from_.has_value()) {
    EndTrial(goodput, now);
    // What comes next is measured at the step that stays.
    if (now < held_until_) return;
  }
  goodput_before_ = goodput;
  if (now < held_until_) return;
  const double all = std::max(interval_.idle + interval_.compress + interval_.send, 1.0);
  const double waiting = interval_.send / all;
  const double compressing = interval_.compress / all;
  if (step_ > 0 && compressing > kSenderBound && waiting < kLinkBound) return Try(step_ - 1);
  if (step_ > 0 && waiting < kLinkIdle) return Try(step_ - 1);
  if (waiting < kLinkBound || step_ == kLevels.size() || !PromisesGain(elapsed)) return;
  const bool two = step_ > 0 && interval_.compress < interval_.send * kPlentyOfTime;
  Try(std::min(step_ + (two ? 2 : 1), kLevels.size()));
}

IncompressibleFiles::Remembered* IncompressibleFiles::Find(const FileId& file) {
  for (size_t i = 0; i < used_; ++i) {
    if (files_[i].file == file) return &files_[i];
  }
  return nullptr;
}

bool IncompressibleFiles::WorthTrying(const FileId& file, uint64_t bytes) {
  Remembered* known = Find(file);
  if (known == nullptr || known->skip_left == 0) return true;
  known->skip_left -= std::min(known->skip_left, bytes);
  return false;
}

void IncompressibleFiles::OnTried(const FileId& file, bool smaller) {
  Remembered* known = Find(file);
  if (smaller) {
    if (known != nullptr) *known = Remembered{.file = file};
    return;
  }
  if (known == nullptr) {
    known = used_ < kRemembered ? &files_[used_++] : &files_[oldest_++ % kRemembered];
    *known = Remembered{.file = file};
  }
  known->skip_left = known->next_skip;
  known->next_skip = std::min(known->next_skip * 2, kMostSkipBytes);
}

}  // namespace uringsync
