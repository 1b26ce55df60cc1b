#include "engine/transfer/compressor.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"

namespace uringsync {
namespace {

// Samples of a payload: this many, spread over it, each this long.
constexpr size_t kSamples = 4;
constexpr size_t kSampleBytes = Compressor::kSampledBytes / kSamples;
constexpr int kSampleLevel = 1;
// Up to this level a payload takes some milliseconds at most, and goes in one call. Higher ones take up to a second a
// megabyte: in slices, so that the shard's other work is not held up.
constexpr int kQuickLevel = 6;
constexpr size_t kSliceBytes = size_t{64} << 10;

absl::Status Bad(const std::string& text) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "compressed payload: " + text);
}

absl::Status Failed(size_t code) {
  return MakeStatus(absl::StatusCode::kInternal, std::string("compress: ") + ZSTD_getErrorName(code));
}

// The frame header's descriptor byte follows the magic number (RFC 8878, 3.1.1).
constexpr std::array<std::byte, 4> kMagic = {std::byte{0x28}, std::byte{0xb5}, std::byte{0x2f}, std::byte{0xfd}};
constexpr unsigned kSingleSegmentBit = 1u << 5;
constexpr unsigned kDictionaryBits = 3;

// Only today's format: the library also knows decoders of formats before 1.0, which nobody sends. One-shot
// decompression needs no window, but a peer must not count on one that another implementation would have to refuse.
absl::Status CheckFrameHeader(std::span<const std::byte> wire) {
  if (wire.size() < kMagic.size() + 2 || !std::equal(kMagic.begin(), kMagic.end(), wire.begin())) {
    return Bad("it is no frame of zstd");
  }
  const auto descriptor = static_cast<unsigned>(wire[kMagic.size()]);
  if ((descriptor & kDictionaryBits) != 0) return Bad("it wants a dictionary");
  if ((descriptor & kSingleSegmentBit) != 0) return absl::OkStatus();  // the window is the content
  const auto window = static_cast<unsigned>(wire[kMagic.size() + 1]);
  const uint64_t base = uint64_t{1} << (10 + (window >> 3));
  if (base + base / 8 * (window & 7) > kMaxRawPayloadBytes) return Bad("its window is too large");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCompressedLengths(uint64_t wire_length, uint64_t raw_length) {
  if (raw_length == 0 || raw_length > kMaxRawPayloadBytes) {
    return Bad("a raw length of " + std::to_string(raw_length) + " bytes is not within 1 to " +
               std::to_string(kMaxRawPayloadBytes));
  }
  if (wire_length >= raw_length) return Bad("it is not shorter than what it stands for");
  if (raw_length / kMaxCompressionRatio > wire_length) {
    return Bad(std::to_string(wire_length) + " bytes cannot stand for " + std::to_string(raw_length));
  }
  return absl::OkStatus();
}

struct Compressor::State {
  ~State() { ZSTD_freeCCtx(context); }
  // nullptr when there is no memory.
  ZSTD_CCtx* Context() {
    if (context == nullptr) context = ZSTD_createCCtx();
    return context;
  }
  ZSTD_CCtx* context = nullptr;
  std::array<std::byte, kSamples * kSampleBytes> sample;
  std::vector<std::byte> sampled;
};

Compressor::Compressor() : state_(std::make_unique<State>()) {}
Compressor::~Compressor() = default;

// False as soon as the result does not fit into `out`.
Task<absl::StatusOr<bool>> Compressor::CompressInSlices(std::span<const std::byte> raw, Payload* wire) {
  ZSTD_outBuffer out{wire->data(), wire->size(), 0};
  size_t left = raw.size();
  while (true) {
    const size_t begin = raw.size() - left;
    ZSTD_inBuffer in{raw.data() + begin, std::min(left, kSliceBytes), 0};
    left -= in.size;
    const ZSTD_EndDirective directive = left > 0 ? ZSTD_e_continue : ZSTD_e_end;
    const size_t rest = ZSTD_compressStream2(state_->context, &out, &in, directive);
    if (ZSTD_isError(rest)) co_return Failed(rest);
    if (in.pos < in.size || (left == 0 && rest > 0)) co_return false;
    if (left == 0) break;
    co_await Yield{};
  }
  wire->resize(out.pos);
  co_return true;
}

Task<absl::StatusOr<bool>> Compressor::Compress(std::span<const std::byte> raw, int level, Payload* wire) {
  if (raw.size() > kMaxRawPayloadBytes) co_return absl::InternalError("a payload too large to be compressed");
  const size_t gain = std::max<size_t>(raw.size() / kMinGainDivisor, 1);
  if (raw.size() <= gain) co_return false;
  ZSTD_CCtx* context = state_->Context();
  if (context == nullptr) co_return absl::ResourceExhaustedError("no memory for compression");
  ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, std::clamp(level, kMinCompressLevel, kMaxCompressLevel));
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0);  // the digests of the items say more
  ZSTD_CCtx_setPledgedSrcSize(context, raw.size());         // bounds the window too
  // Room for a result that is worth sending and no more: zstd gives up early on the others.
  wire->resize(raw.size() - gain);
  if (level > kQuickLevel) co_return co_await CompressInSlices(raw, wire);
  const size_t size = ZSTD_compress2(context, wire->data(), wire->size(), raw.data(), raw.size());
  if (ZSTD_isError(size)) {
    if (ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall) co_return false;
    co_return Failed(size);
  }
  wire->resize(size);
  co_return true;
}

double Compressor::SampleRatio(std::span<const std::byte> raw) {
  std::span<const std::byte> sample = raw;
  if (raw.size() > state_->sample.size()) {
    const size_t step = (raw.size() - kSampleBytes) / (kSamples - 1);
    for (size_t i = 0; i < kSamples; ++i) {
      const std::span<const std::byte> part = raw.subspan(i * step, kSampleBytes);
      std::copy(part.begin(), part.end(), state_->sample.begin() + static_cast<ptrdiff_t>(i * kSampleBytes));
    }
    sample = state_->sample;
  }
  ZSTD_CCtx* context = state_->Context();
  if (sample.empty() || context == nullptr) return 1;
  ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, kSampleLevel);
  state_->sampled.resize(ZSTD_compressBound(sample.size()));
  const size_t size =
      ZSTD_compress2(context, state_->sampled.data(), state_->sampled.size(), sample.data(), sample.size());
  return ZSTD_isError(size) ? 1 : static_cast<double>(size) / static_cast<double>(sample.size());
}

struct Decompressor::State {
  ~State() { ZSTD_freeDCtx(context); }
  ZSTD_DCtx* context = nullptr;
};

Decompressor::Decompressor() : state_(std::make_unique<State>()) {}
Decompressor::~Decompressor() = default;

absl::Status Decompressor::Decompress(std::span<const std::byte> wire, uint64_t raw_length, Payload* raw) {
  US_RETURN_IF_ERROR(CheckCompressedLengths(wire.size(), raw_length));
  US_RETURN_IF_ERROR(CheckFrameHeader(wire));
  const unsigned long long content = ZSTD_getFrameContentSize(wire.data(), wire.size());
  if (content == ZSTD_CONTENTSIZE_ERROR || content == ZSTD_CONTENTSIZE_UNKNOWN) return Bad("it is no frame of zstd");
  if (content != raw_length) return Bad("it says another length than the message");
  if (ZSTD_findFrameCompressedSize(wire.data(), wire.size()) != wire.size()) return Bad("it is not one whole frame");
  if (state_->context == nullptr) state_->context = ZSTD_createDCtx();
  if (state_->context == nullptr) return absl::ResourceExhaustedError("no memory for decompression");
  raw->resize(raw_length);
  const size_t size = ZSTD_decompressDCtx(state_->context, raw->data(), raw->size(), wire.data(), wire.size());
  if (ZSTD_isError(size)) return Bad(ZSTD_getErrorName(size));
  if (size != raw_length) return Bad("it holds another length than it says");
  return absl::OkStatus();
}

}  // namespace uringsync
