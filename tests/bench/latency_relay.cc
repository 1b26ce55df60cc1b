// latency_relay: tests/support/delay_relay.h as a program, for tests/bench/compare and for measuring by hand.
//
//   latency_relay --rtt-ms 50 --mbit 1000 127.0.0.2:7440=127.0.0.1:7440 127.0.0.2:7441=127.0.0.1:7441
//
// Prints "ready" and the ports, serves until its standard input ends, and prints what went through.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/support/delay_relay.h"

namespace {

int Usage() {
  std::fputs(
      "usage: latency_relay [--rtt-ms N] [--mbit N] [--queue-ms N] [--window BYTES] [--slow-start] LISTEN=TARGET...\n"
      "LISTEN and TARGET are numeric IPv4 addresses with a port. All connections share one link.\n",
      stderr);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  uringsync::DelayOptions options;
  std::vector<uringsync::RelayedAddress> addresses;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&]() { return ++i < argc ? std::strtod(argv[i], nullptr) : -1.0; };
    if (word == "--rtt-ms") {
      options.delay = std::chrono::nanoseconds(static_cast<int64_t>(number() * 1e6 / 2));
    } else if (word == "--mbit") {
      options.bytes_per_second = static_cast<uint64_t>(number() * 1e6 / 8);
    } else if (word == "--queue-ms") {
      options.queue = std::chrono::nanoseconds(static_cast<int64_t>(number() * 1e6));
    } else if (word == "--window") {
      options.window_bytes = static_cast<uint64_t>(number());
    } else if (word == "--slow-start") {
      options.slow_start = true;
    } else if (const size_t equals = word.find('='); equals != std::string::npos) {
      addresses.push_back({word.substr(0, equals), word.substr(equals + 1)});
    } else {
      return Usage();
    }
  }
  if (addresses.empty()) return Usage();
  auto relay = uringsync::DelayRelay::Start(addresses, options);
  if (!relay.ok()) {
    std::fprintf(stderr, "latency_relay: %s\n", std::string(relay.status().message()).c_str());
    return 1;
  }
  std::string ready = "ready";
  for (const uint16_t port : (*relay)->ports()) ready += " " + std::to_string(port);
  std::printf("%s\n", ready.c_str());
  std::fflush(stdout);
  char byte = 0;
  while (::read(0, &byte, 1) > 0) {
  }
  std::printf("connections %llu forth %llu back %llu\n", static_cast<unsigned long long>((*relay)->connections()),
              static_cast<unsigned long long>((*relay)->forth_bytes()),
              static_cast<unsigned long long>((*relay)->back_bytes()));
  return 0;
}
