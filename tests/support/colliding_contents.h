// Two contents that XXH3 cannot tell apart, in 64 and in 128 bits, for whoever knows the seed.
//
// A word of a long input whose lower half is that of the secret adds nothing to its own lane, whatever its upper half
// is, and is added whole to the lane beside it. So what one such word gains another one of the same lane can lose
// again. Published pairs that collide under one of 2^27 seeds nobody knows:
// https://github.com/Cyan4973/xxHash/issues/1127.
#pragma once

// Of the parts of xxhash.h that only static programs may use: the secret of a seed.
#ifndef XXH_STATIC_LINKING_ONLY
#define XXH_STATIC_LINKING_ONLY
#endif
#include <xxhash.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace uringsync {

// `text` twice, with other words at `at` and 64 bytes behind it: they collide as pieces that begin a multiple of 1024
// bytes before `at` and go on for 512 bytes at least.
inline std::pair<std::string, std::string> CollidingContents(std::string text, size_t at, uint64_t seed) {
  std::array<uint8_t, XXH3_SECRET_DEFAULT_SIZE> secret{};
  XXH3_generateSecret_fromSeed(secret.data(), seed);
  // The first two stripes of a block: the same lane, under the secret's first and second word.
  for (size_t stripe = 0; stripe < 2; ++stripe) {
    uint64_t key = 0;
    std::memcpy(&key, secret.data() + 8 * stripe, sizeof(key));
    const uint64_t word = (key & 0xffffffffu) | uint64_t{0x41414141} << 32;
    std::memcpy(text.data() + at + 64 * stripe, &word, sizeof(word));
  }
  std::string other = text;
  ++other[at + 4];
  --other[at + 64 + 4];
  return {text, other};
}

// A published pair of 32 bytes and a seed under which it collides.
constexpr uint64_t kPublishedSeed = 0x2eb063e3a885cf36;
inline std::pair<std::string, std::string> PublishedPair() {
  constexpr uint64_t kWord = 0x0123456789abcdef;
  std::array<uint64_t, 4> one = {kWord, ~kWord, 0x1111111111111111, 0x2222222222222222};
  std::array<uint64_t, 4> other = {~one[0], ~one[1], one[2], one[3]};
  return {std::string(reinterpret_cast<const char*>(one.data()), sizeof(one)),
          std::string(reinterpret_cast<const char*>(other.data()), sizeof(other))};
}

}  // namespace uringsync
