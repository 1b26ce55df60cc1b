// Names of temporaries: ".~uringsync~<16 hex digits of the session>.<decimal>.tmp" in the directory of the object they
// become. One that is about to take the place of another object has ".x<16 hex digits><16 hex digits>" before ".tmp":
// its own inode, and a digest of the object that it replaces (replace.h).
//
// The pattern is ours alone: scanners hide it, and the destination's scanner removes those of dead sessions. With
// sixteen zeros as the session it is a resume journal, in the directory of the session that writes it. Thread rule:
// values; StateNamer is thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace uringsync {

// First 8 bytes of a session's id, as the number whose 16 hex digits stand in the names.
uint64_t SessionTag(std::span<const uint8_t> session_id);
// True for exactly the patterns above.
bool IsStateName(std::string_view name);
// The session that made a temporary; nullopt where `name` is none.
std::optional<uint64_t> StateNameSession(std::string_view name);

// What the longer form of a temporary's name says.
struct ReplaceMark {
  uint64_t own_inode = 0;
  uint64_t replaced = 0;  // digest of an identity
};
// `name`, a temporary's, with `mark`; one that it has gives way.
std::string WithReplaceMark(std::string_view name, const ReplaceMark& mark);
// nullopt where `name` has none.
std::optional<ReplaceMark> ReplaceMarkOf(std::string_view name);

// The name of resume journal `slot`: of several sessions in one directory each has its own.
std::string JournalName(uint64_t slot);
bool IsJournalName(std::string_view name);

// Hands out unused names of one session; share one among all its shards.
class StateNamer {
 public:
  // `first`: the number of the first name.
  explicit StateNamer(uint64_t session_tag, uint64_t first = 1) : tag_(session_tag), next_(first) {}
  std::string Next();
  uint64_t session_tag() const { return tag_; }

 private:
  const uint64_t tag_;
  std::atomic<uint64_t> next_;
};

}  // namespace uringsync
