// The wire form of what keeps a control stream alive beyond its connection (proto/uringsync/v1/resume.proto): metadata
// of calls, and the notes between the messages of a stream.
//
// Thread rule: values and pure functions. Every Decode gives InvalidArgument for bytes that are no such thing, or that
// break a bound.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/features.h"

namespace uringsync {

// Names of metadata; gRPC carries the values as bytes because of "-bin".
constexpr char kOfferMetadata[] = "uringsync-offer-bin";
constexpr char kGrantMetadata[] = "uringsync-grant-bin";
constexpr char kResumeMetadata[] = "uringsync-resume-bin";
constexpr size_t kMaxResumeMetadataBytes = 512;
constexpr size_t kMaxNoteBytes = 256;

// Bound of ResumeOffer::hold.
constexpr std::chrono::milliseconds kMostHold{86'400'000};

using StreamId = std::array<uint8_t, 16>;
using ResumeToken = std::array<uint8_t, 32>;

struct ResumeOffer {
  StreamId stream{};
  ResumeToken token{};
  std::chrono::milliseconds hold{0};
  std::chrono::milliseconds silence{0};
  friend bool operator==(const ResumeOffer&, const ResumeOffer&) = default;
};

struct ResumeGrant {
  std::chrono::milliseconds hold{0};
  friend bool operator==(const ResumeGrant&, const ResumeGrant&) = default;
};

struct ResumeRequest {
  StreamId stream{};
  ResumeToken token{};
  uint64_t received = 0;
  friend bool operator==(const ResumeRequest&, const ResumeRequest&) = default;
};

struct StreamNote {
  enum class End : uint8_t { kNone, kOrderly, kBrokenOff };
  uint64_t received = 0;
  std::optional<ResumeToken> token = std::nullopt;
  End end = End::kNone;
  friend bool operator==(const StreamNote&, const StreamNote&) = default;
};

std::string Encode(const ResumeOffer& offer);
std::string Encode(const ResumeGrant& grant);
std::string Encode(const ResumeRequest& request);
// With the zero byte in front.
std::string Encode(const StreamNote& note);

absl::StatusOr<ResumeOffer> DecodeResumeOffer(std::string_view bytes);
absl::StatusOr<ResumeGrant> DecodeResumeGrant(std::string_view bytes);
absl::StatusOr<ResumeRequest> DecodeResumeRequest(std::string_view bytes);
// Whether a message of a stream is a note.
inline bool IsStreamNote(std::string_view message) {
  return !message.empty() && message.front() == '\0';
}
absl::StatusOr<StreamNote> DecodeStreamNote(std::string_view message);

// Random ones. Internal where the system has no randomness.
absl::StatusOr<StreamId> DrawStreamId();
absl::StatusOr<ResumeToken> DrawResumeToken();
// In constant time.
bool TokensMatch(const ResumeToken& a, const ResumeToken& b);

}  // namespace uringsync
