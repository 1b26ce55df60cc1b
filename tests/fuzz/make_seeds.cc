// Writes seed inputs for the message targets: make_fuzz_seeds DIRECTORY. The corpus in the tree was made by it.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/resume_record.h"
#include "coordinator/core/plan_document.h"
#include "engine/fs/state_name.h"
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

// See fuzz_plan_document.cc: a whole document behind "0", single records behind "1".
void WritePlans(const std::filesystem::path& directory) {
  constexpr size_t kHeadBytes = 4;
  constexpr size_t kTailBytes = 16;
  MessageSamples samples(2);
  PlanEncoder encoder({.software = "uringsync",
                       .made = "now",
                       .program = "sync",
                       .source = "/a",
                       .destination = "/b",
                       .options = {"-a"}});
  std::vector<PlannedAction> planned;
  for (Action& action : samples.Actions(4).actions) {
    action.id = planned.size() + 1;
    planned.push_back({Phase::kCreate, std::move(action), Differences::FromMask(2)});
  }
  const std::string begin = encoder.Begin();
  const std::vector<std::string> records = {encoder.Operands(samples.Operands(3)).value(),
                                            encoder.Actions(Phase::kCreate, planned).value(), encoder.End({})};
  std::filesystem::create_directories(directory);
  std::string whole = "0" + begin;
  for (const std::string& record : records) {
    whole += record;
    const std::string inside =
        record.substr(0, 1) + record.substr(1 + kHeadBytes, record.size() - 1 - kHeadBytes - kTailBytes);
    std::ofstream(directory / (std::string("record_") + record.front()), std::ios::binary) << "1" << inside;
  }
  std::ofstream(directory / "whole", std::ios::binary) << whole;
}

// See fuzz_resume_journal.cc: a whole journal behind "0", the inside of a record behind "1".
void WriteJournals(const std::filesystem::path& directory) {
  constexpr size_t kRecordHeadBytes = 20;
  const ResumeHeader header{.session_tag = 7, .device = 2049};
  ResumeEntry entry;
  entry.path = *RelPath::Parse("directory/file");
  entry.temporary = StateNamer(7).Next();
  entry.object = {2049, 4711};
  entry.size_bytes = 5 << 20;
  entry.mtime = {1700000000, 5};
  const std::string part = ResumeRecordText(header, entry);
  entry.whole = true;
  const std::string whole = ResumeRecordText(header, entry);
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "journal", std::ios::binary) << "0" << header.Text() << part << whole;
  std::ofstream(directory / "cut_off", std::ios::binary) << "0" << header.Text() << part << whole.substr(0, 30);
  std::ofstream(directory / "record", std::ios::binary) << "1" << part.substr(kRecordHeadBytes);
  std::ofstream(directory / "record_whole", std::ios::binary) << "1" << whole.substr(kRecordHeadBytes);
}

void WriteAll(const std::filesystem::path& directory) {
  MessageSamples samples(1);
  for (int i = 0; i < kSeeds; ++i) {
    Write<v1::ClientMessage>(directory / "fuzz_client_message", i, samples.AnyClientMessage());
    Write<v1::AgentMessage>(directory / "fuzz_agent_message", i, samples.AnyAgentMessage());
  }
  Write<v1::ClientMessage>(directory / "fuzz_client_message", kSeeds, ClientMessage(samples.Actions(12)));
  Write<v1::AgentMessage>(directory / "fuzz_agent_message", kSeeds, AgentMessage(samples.Batch(12)));
  WritePlans(directory / "fuzz_plan_document");
  WriteJournals(directory / "fuzz_resume_journal");
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
