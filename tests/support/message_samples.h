// Random but valid control messages, for round trips, transports and seed corpora.
//
// Thread rule: one thread. The same seed gives the same messages.
#pragma once

#include <cstdint>
#include <random>

#include "proto/messages.h"

namespace uringsync {

class MessageSamples {
 public:
  explicit MessageSamples(uint64_t seed) : random_(seed) {}

  std::string Name();  // any valid name
  RelPath Path(size_t max_depth);
  Entry AnyEntry(std::string name);
  Entry EntryOfType(std::string name, FileType type);
  DirectoryBatch Batch(size_t entries);
  ActionBatch Actions(size_t actions);
  Problem AnyProblem();
  ClientMessage AnyManifestRequest();
  TreeReply AnyTreeReply();
  std::vector<SourceOperand> Operands(size_t count);
  PathReply AnyPathReply();
  MountQuery AnyMountQuery();
  MountReply AnyMountReply();
  NameQuery AnyNameQuery();
  NameReply AnyNameReply();
  EntryQuery AnyEntryQuery();
  EntryReply AnyEntryReply();
  ClientMessage AnyClientMessage();
  AgentMessage AnyAgentMessage();
  uint64_t Number(uint64_t bound) {
    return bound == 0 ? 0 : std::uniform_int_distribution<uint64_t>(0, bound - 1)(random_);
  }
  bool Coin() { return Number(2) == 0; }

 private:
  OpenSession AnyOpenSession();
  Digest128 AnyDigest() { return {random_(), random_()}; }
  Digest128 MaybeDigest() { return Number(4) == 0 ? AnyDigest() : Digest128{}; }
  FileTime Time();
  std::string Text(size_t max_bytes);
  ApplyCounters Counters();

  std::mt19937_64 random_;
};

}  // namespace uringsync
