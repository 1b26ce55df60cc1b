// What it costs to make a small file that appears whole, by the way it gets its name: the numbers behind decision 0009.
//
// Run: ninja -C build/release micro_publish && build/release/bin/micro_publish
// Files of 7 KiB are made by two threads in directories of their own below $TMPDIR, or /dev/shm where it is not set,
// and removed.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "engine/base/unique_fd.h"

namespace uringsync {
namespace {

constexpr int kFilesPerDirectory = 100;
constexpr size_t kFileBytes = 7168;

enum class Way { kRename, kLink, kLinkWithMode, kLinkThroughProc };

void Must(bool done, const char* what) {
  if (done) return;
  std::perror((std::string("micro_publish: ") + what).c_str());
  std::exit(1);
}

// The directories of one thread, each with kFilesPerDirectory files, gone with it.
class Directories {
 public:
  Directories() {
    const char* parent = std::getenv("TMPDIR");
    root_ = std::string(parent != nullptr ? parent : "/dev/shm") + "/micro_publish.XXXXXX";
    Must(::mkdtemp(root_.data()) != nullptr, "mkdtemp");
  }
  ~Directories() { std::filesystem::remove_all(root_); }
  int ForFile(int64_t number) {
    if (number % kFilesPerDirectory != 0) return directory_.get();
    const std::string path = root_ + "/" + std::to_string(number / kFilesPerDirectory);
    Must(::mkdir(path.c_str(), 0755) == 0, "mkdir");
    directory_.Reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    Must(directory_.valid(), "open");
    return directory_.get();
  }

 private:
  std::string root_;
  UniqueFd directory_;
};

UniqueFd Create(Way way, int directory, const char* temporary) {
  if (way == Way::kRename) return UniqueFd(::openat(directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  return UniqueFd(::openat(directory, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, way == Way::kLink ? 0600 : 0644));
}

int Publish(Way way, int directory, int fd, const char* temporary, const char* name) {
  if (way == Way::kRename) return ::renameat2(directory, temporary, directory, name, RENAME_NOREPLACE);
  if (way != Way::kLinkThroughProc) return ::linkat(fd, "", directory, name, AT_EMPTY_PATH);
  return ::linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), directory, name, AT_SYMLINK_FOLLOW);
}

void MakeFiles(benchmark::State& state, Way way) {
  const std::string content(kFileBytes, 'x');
  const timespec times[2] = {{0, UTIME_OMIT}, {1'000'000'000, 5}};
  Directories directories;
  int64_t number = 0;
  for (auto _ : state) {
    const int directory = directories.ForFile(number);
    const std::string name = "file" + std::to_string(number);
    const std::string temporary = ".temporary" + std::to_string(number++);
    const UniqueFd file = Create(way, directory, temporary.c_str());
    Must(file.valid(), "create");
    Must(::pwrite(file.get(), content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()), "write");
    if (way == Way::kRename || way == Way::kLink) Must(::fchmod(file.get(), 0644) == 0, "fchmod");
    Must(::futimens(file.get(), times) == 0, "futimens");
    Must(Publish(way, directory, file.get(), temporary.c_str(), name.c_str()) == 0, "publish");
  }
  state.SetItemsProcessed(number);
}

constexpr int64_t kFiles = 50'000;  // of each thread

BENCHMARK_CAPTURE(MakeFiles, rename, Way::kRename)->Threads(2)->Iterations(kFiles);
BENCHMARK_CAPTURE(MakeFiles, link, Way::kLink)->Threads(2)->Iterations(kFiles);
BENCHMARK_CAPTURE(MakeFiles, link_with_mode, Way::kLinkWithMode)->Threads(2)->Iterations(kFiles);
BENCHMARK_CAPTURE(MakeFiles, link_with_mode_through_proc, Way::kLinkThroughProc)->Threads(2)->Iterations(kFiles);

}  // namespace
}  // namespace uringsync

BENCHMARK_MAIN();
