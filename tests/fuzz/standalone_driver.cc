// Runs a fuzz target without libFuzzer: over every file given, or in the directories given, and over bytes derived from
// each: cut short, with one byte changed, doubled. Without files it still runs the empty input and a few fixed ones.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kVariants = 200;

void Feed(const std::string& input) {
  // A copy of the exact size: the sanitizer sees a read past the end.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

void FeedVariants(const std::string& input, std::mt19937* random) {
  Feed(input);
  Feed(input + input);
  for (int i = 0; i < kVariants && !input.empty(); ++i) {
    std::string changed = input;
    const size_t at = (*random)() % changed.size();
    switch (i % 3) {
      case 0: changed.resize(at); break;
      case 1: changed[at] = static_cast<char>((*random)()); break;
      default: changed.insert(at, 1, static_cast<char>((*random)())); break;
    }
    Feed(changed);
  }
}

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  std::mt19937 random(1);
  size_t files = 0;
  for (const char* fixed : {"", "a", "\xff\xfe", "a/b/../c", "\\101\\", "[["}) FeedVariants(fixed, &random);
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path(argv[i]);
    if (std::filesystem::is_directory(path)) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
        if (entry.is_regular_file()) FeedVariants(ReadAll(entry.path()), &random), ++files;
      }
    } else if (std::filesystem::exists(path)) {
      FeedVariants(ReadAll(path), &random);
      ++files;
    }
  }
  std::printf("%zu seed files\n", files);
  return 0;
}
