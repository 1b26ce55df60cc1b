// Writes seed inputs for the message targets: make_fuzz_seeds DIRECTORY. The corpus in the tree was made by it.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "proto/convert.h"
#include "tests/support/message_samples.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync {
namespace {

constexpr int kSeeds = 24;
constexpr size_t kLargestSeed = 8192;

template <typename Wire, typename Value>
void Write(const std::filesystem::path& directory, int number, const Value& value) {
  Wire wire;
  if (!EncodeMessage(value, &wire).ok()) return;
  const std::string bytes = wire.SerializeAsString();
  if (bytes.size() > kLargestSeed) return;
  std::filesystem::create_directories(directory);
  std::ofstream(directory / ("seed" + std::to_string(number)), std::ios::binary) << bytes;
}

void WriteAll(const std::filesystem::path& directory) {
  MessageSamples samples(1);
  for (int i = 0; i < kSeeds; ++i) {
    Write<v1::ClientMessage>(directory / "fuzz_client_message", i, samples.AnyClientMessage());
    Write<v1::AgentMessage>(directory / "fuzz_agent_message", i, samples.AnyAgentMessage());
  }
  Write<v1::ClientMessage>(directory / "fuzz_client_message", kSeeds, ClientMessage(samples.Actions(12)));
  Write<v1::AgentMessage>(directory / "fuzz_agent_message", kSeeds, AgentMessage(samples.Batch(12)));
}

}  // namespace
}  // namespace uringsync

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_fuzz_seeds DIRECTORY\n", stderr);
    return 1;
  }
  uringsync::WriteAll(argv[1]);
  return 0;
}
