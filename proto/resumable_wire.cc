#include "proto/resumable_wire.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>

#include "engine/base/errno_status.h"
#include "uringsync/v1/resume.pb.h"

namespace uringsync {
namespace {

// Bounds of times, in milliseconds.
constexpr auto kMostHoldMs = static_cast<uint32_t>(kMostHold.count());
constexpr uint32_t kLeastSilenceMs = 100;
constexpr uint32_t kMostSilenceMs = 3'600'000;

absl::Status Wrong(std::string_view what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, std::string(what));
}

template <typename Wire>
absl::Status Parse(std::string_view bytes, size_t limit, const char* what, Wire* wire) {
  if (bytes.size() > limit) return Wrong(std::string(what) + " of " + std::to_string(bytes.size()) + " bytes");
  if (!wire->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Wrong("bytes that are no " + std::string(what));
  return absl::OkStatus();
}

template <size_t N>
absl::Status Take(const std::string& bytes, const char* what, std::array<uint8_t, N>* out) {
  if (bytes.size() != N)
    return Wrong(std::string(what) + " has " + std::to_string(bytes.size()) + " bytes, not " + std::to_string(N));
  std::copy(bytes.begin(), bytes.end(), out->begin());
  return absl::OkStatus();
}

template <size_t N>
std::string Text(const std::array<uint8_t, N>& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

absl::Status CheckTime(uint32_t value, uint32_t least, uint32_t most, const char* what) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Wrong(std::string(what) + " is " + std::to_string(value) + ", not " + std::to_string(least) + " to " +
               std::to_string(most));
}

template <size_t N>
absl::StatusOr<std::array<uint8_t, N>> Draw() {
  std::array<uint8_t, N> drawn{};
  if (RAND_bytes(drawn.data(), static_cast<int>(N)) != 1)
    return absl::InternalError("the system has no random bytes");
  return drawn;
}

}  // namespace

std::string Encode(const ResumeOffer& offer) {
  v1::ResumeOffer wire;
  wire.set_stream(Text(offer.stream));
  wire.set_token(Text(offer.token));
  wire.set_hold_ms(static_cast<uint32_t>(offer.hold.count()));
  wire.set_silence_ms(static_cast<uint32_t>(offer.silence.count()));
  return wire.SerializeAsString();
}

std::string Encode(const ResumeGrant& grant) {
  v1::ResumeGrant wire;
  wire.set_hold_ms(static_cast<uint32_t>(grant.hold.count()));
  return wire.SerializeAsString();
}

std::string Encode(const ResumeRequest& request) {
  v1::ResumeRequest wire;
  wire.set_stream(Text(request.stream));
  wire.set_token(Text(request.token));
  wire.set_received(request.received);
  return wire.SerializeAsString();
}

std::string Encode(const StreamNote& note) {
  v1::StreamNote wire;
  wire.set_received(note.received);
  if (note.token) wire.set_token(Text(*note.token));
  wire.set_end(static_cast<v1::StreamNote::End>(note.end));
  return '\0' + wire.SerializeAsString();
}

absl::StatusOr<ResumeOffer> DecodeResumeOffer(std::string_view bytes) {
  v1::ResumeOffer wire;
  ResumeOffer offer;
  US_RETURN_IF_ERROR(Parse(bytes, kMaxResumeMetadataBytes, "ResumeOffer", &wire));
  US_RETURN_IF_ERROR(Take(wire.stream(), "ResumeOffer.stream", &offer.stream));
  US_RETURN_IF_ERROR(Take(wire.token(), "ResumeOffer.token", &offer.token));
  US_RETURN_IF_ERROR(CheckTime(wire.hold_ms(), 1, kMostHoldMs, "ResumeOffer.hold_ms"));
  US_RETURN_IF_ERROR(CheckTime(wire.silence_ms(), kLeastSilenceMs, kMostSilenceMs, "ResumeOffer.silence_ms"));
  offer.hold = std::chrono::milliseconds(wire.hold_ms());
  offer.silence = std::chrono::milliseconds(wire.silence_ms());
  return offer;
}

absl::StatusOr<ResumeGrant> DecodeResumeGrant(std::string_view bytes) {
  v1::ResumeGrant wire;
  US_RETURN_IF_ERROR(Parse(bytes, kMaxResumeMetadataBytes, "ResumeGrant", &wire));
  US_RETURN_IF_ERROR(CheckTime(wire.hold_ms(), 1, kMostHoldMs, "ResumeGrant.hold_ms"));
  return ResumeGrant{std::chrono::milliseconds(wire.hold_ms())};
}

absl::StatusOr<ResumeRequest> DecodeResumeRequest(std::string_view bytes) {
  v1::ResumeRequest wire;
  ResumeRequest request;
  US_RETURN_IF_ERROR(Parse(bytes, kMaxResumeMetadataBytes, "ResumeRequest", &wire));
  US_RETURN_IF_ERROR(Take(wire.stream(), "ResumeRequest.stream", &request.stream));
  US_RETURN_IF_ERROR(Take(wire.token(), "ResumeRequest.token", &request.token));
  request.received = wire.received();
  return request;
}

absl::StatusOr<StreamNote> DecodeStreamNote(std::string_view message) {
  if (!IsStreamNote(message)) return Wrong("a message that is no note of the stream");
  v1::StreamNote wire;
  StreamNote note;
  US_RETURN_IF_ERROR(Parse(message.substr(1), kMaxNoteBytes, "StreamNote", &wire));
  note.received = wire.received();
  if (!wire.token().empty()) US_RETURN_IF_ERROR(Take(wire.token(), "StreamNote.token", &note.token.emplace()));
  if (!v1::StreamNote::End_IsValid(wire.end()))
    return Wrong("StreamNote.end is " + std::to_string(static_cast<int>(wire.end())) + ", which nobody knows");
  note.end = static_cast<StreamNote::End>(wire.end());
  return note;
}

absl::StatusOr<StreamId> DrawStreamId() {
  return Draw<std::tuple_size_v<StreamId>>();
}

absl::StatusOr<ResumeToken> DrawResumeToken() {
  return Draw<std::tuple_size_v<ResumeToken>>();
}

bool TokensMatch(const ResumeToken& a, const ResumeToken& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace uringsync
