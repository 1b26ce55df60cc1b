// The reference of tests/bench/compare: what two threads of plain system calls reach when they take the steps that a
// careful copy takes, and no others. No uringsync code; nothing to tune.
//
//   bench_reference small SRC DST   files and directories: open, look at, list attributes, read, look again, create a
//   temporary,
//                                   write, owner, mode, times, rename; directories get their metadata at the end
//   bench_reference large SRC DST   the regular files of one directory, cut into ranges: pread, pwrite; then as above
//   bench_reference list SRC DST    getdents and statx of both trees
//
// Further threads: BENCH_REFERENCE_THREADS. Any failure ends the program with 1: what it measures must be complete.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kRangeBytes = size_t{4} << 20;
constexpr size_t kBlockBytes = size_t{256} << 10;

[[noreturn]] void Die(const char* what, const std::string& path) {
  std::perror((std::string("bench_reference: ") + what + " " + path).c_str());
  std::exit(1);
}
int Must(int result, const char* what, const std::string& path) {
  if (result < 0) Die(what, path);
  return result;
}

unsigned Threads() {
  const char* given = std::getenv("BENCH_REFERENCE_THREADS");
  return given == nullptr ? 2 : std::max(1, std::atoi(given));
}
void OnThreads(const std::function<void()>& work) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < Threads(); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
}

// Directories to do, relative to both roots; it ends when none is left and none is being done.
class Directories {
 public:
  void Add(std::string path) {
    std::lock_guard lock(mutex_);
    pending_.push_back(std::move(path));
    changed_.notify_one();
  }
  bool Take(std::string* path) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !pending_.empty() || busy_ == 0; });
    if (pending_.empty()) return false;
    *path = std::move(pending_.back());
    pending_.pop_back();
    ++busy_;
    return true;
  }
  void Done() {
    std::lock_guard lock(mutex_);
    if (--busy_ == 0) changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> pending_;
  size_t busy_ = 0;
};

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

void SetMetadata(int fd, const struct stat& wanted, const std::string& path) {
  Must(::fchown(fd, wanted.st_uid, wanted.st_gid), "fchown", path);
  Must(::fchmod(fd, wanted.st_mode & 07777), "fchmod", path);
  const timespec times[2] = {{0, UTIME_OMIT}, wanted.st_mtim};
  Must(::futimens(fd, times), "futimens", path);
}

void CopySmall(int from, int to, const std::string& name, std::vector<char>* block, std::atomic<unsigned>* serial) {
  const int in = Must(::openat(from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC), "open", name);
  struct stat before;
  struct stat after;
  Must(::fstat(in, &before), "fstat", name);
  char attributes[1024];
  if (::flistxattr(in, attributes, sizeof(attributes)) < 0 && errno != ENOTSUP) Die("flistxattr", name);
  const std::string temporary = ".reference-" + std::to_string(serial->fetch_add(1));
  const int out = Must(::openat(to, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "create", name);
  off_t at = 0;
  while (true) {
    const ssize_t n = ::pread(in, block->data(), block->size(), at);
    if (n < 0) Die("pread", name);
    if (n == 0) break;
    if (::pwrite(out, block->data(), static_cast<size_t>(n), at) != n) Die("pwrite", name);
    at += n;
    if (static_cast<size_t>(n) < block->size()) break;
  }
  Must(::fstat(in, &after), "fstat", name);
  if (!SameFile(before, after)) Die("it changed:", name);
  SetMetadata(out, before, name);
  Must(::renameat2(to, temporary.c_str(), to, name.c_str(), RENAME_NOREPLACE), "rename", name);
  ::close(in);
  ::close(out);
}

// ---- small

struct SmallTree {
  std::string source;
  std::string destination;
  Directories directories;
  std::atomic<unsigned> serial{0};
  std::mutex mutex;
  std::vector<std::pair<std::string, struct stat>> made;  // directories, in order of making
};

void CopyDirectory(SmallTree* tree, const std::string& path, std::vector<char>* block) {
  const int from = Must(::open((tree->source + path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", path);
  struct stat self;
  Must(::fstat(from, &self), "fstat", path);
  const std::string target = tree->destination + path;
  if (::mkdir(target.c_str(), 0700) < 0 && errno != EEXIST) Die("mkdir", target);
  {
    std::lock_guard lock(tree->mutex);
    tree->made.emplace_back(target, self);
  }
  const int to = Must(::open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", target);
  DIR* listing = ::fdopendir(from);
  while (const dirent* entry = ::readdir(listing)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (entry->d_type == DT_DIR) {
      tree->directories.Add(path + "/" + name);
    } else {
      CopySmall(from, to, name, block, &tree->serial);
    }
  }
  ::close(to);
  ::closedir(listing);
}

void Small(const std::string& source, const std::string& destination) {
  SmallTree tree;
  tree.source = source;
  tree.destination = destination;
  tree.directories.Add("");
  OnThreads([&tree] {
    std::vector<char> block(size_t{64} << 10);
    std::string path;
    while (tree.directories.Take(&path)) {
      CopyDirectory(&tree, path, &block);
      tree.directories.Done();
    }
  });
  for (auto made = tree.made.rbegin(); made != tree.made.rend(); ++made) {
    const int fd = Must(::open(made->first.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", made->first);
    SetMetadata(fd, made->second, made->first);
    ::close(fd);
  }
}

// ---- large

struct LargeFile {
  std::string name;
  int in = -1;
  int out = -1;
  struct stat stat{};
};

void Large(const std::string& source, const std::string& destination) {
  if (::mkdir(destination.c_str(), 0755) < 0 && errno != EEXIST) Die("mkdir", destination);
  std::vector<LargeFile> files;
  std::vector<std::pair<const LargeFile*, off_t>> ranges;
  DIR* listing = ::opendir(source.c_str());
  if (listing == nullptr) Die("opendir", source);
  while (const dirent* entry = ::readdir(listing)) {
    if (entry->d_type == DT_REG) files.push_back({.name = entry->d_name});
  }
  ::closedir(listing);
  for (LargeFile& file : files) {
    file.in = Must(::open((source + "/" + file.name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC), "open", file.name);
    Must(::fstat(file.in, &file.stat), "fstat", file.name);
    const std::string temporary = destination + "/.reference-" + file.name;
    file.out = Must(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "create", file.name);
    Must(::ftruncate(file.out, file.stat.st_size), "ftruncate", file.name);
    for (off_t at = 0; at < file.stat.st_size; at += kRangeBytes) ranges.emplace_back(&file, at);
  }
  std::atomic<size_t> next{0};
  OnThreads([&] {
    std::vector<char> block(kBlockBytes);
    for (size_t i = next.fetch_add(1); i < ranges.size(); i = next.fetch_add(1)) {
      const auto& [file, begin] = ranges[i];
      const off_t end = std::min<off_t>(begin + static_cast<off_t>(kRangeBytes), file->stat.st_size);
      for (off_t at = begin; at < end;) {
        const size_t want = std::min<size_t>(block.size(), static_cast<size_t>(end - at));
        const ssize_t n = ::pread(file->in, block.data(), want, at);
        if (n <= 0) Die("pread", file->name);
        if (::pwrite(file->out, block.data(), static_cast<size_t>(n), at) != n) Die("pwrite", file->name);
        at += n;
      }
    }
  });
  for (const LargeFile& file : files) {
    struct stat after;
    Must(::fstat(file.in, &after), "fstat", file.name);
    if (!SameFile(file.stat, after)) Die("it changed:", file.name);
    SetMetadata(file.out, file.stat, file.name);
    const std::string path = destination + "/";
    Must(::rename((path + ".reference-" + file.name).c_str(), (path + file.name).c_str()), "rename", file.name);
  }
}

// ---- list

void ListOne(const std::string& path, Directories* directories) {
  DIR* listing = ::opendir(path.c_str());
  if (listing == nullptr) Die("opendir", path);
  const int fd = ::dirfd(listing);
  while (const dirent* entry = ::readdir(listing)) {
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    struct statx stat;
    if (::statx(fd, entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stat) < 0) Die("statx", path);
    if (entry->d_type == DT_DIR) directories->Add(path + "/" + entry->d_name);
  }
  ::closedir(listing);
}

void List(const std::string& source, const std::string& destination) {
  Directories directories;
  directories.Add(source);
  directories.Add(destination);
  OnThreads([&directories] {
    std::string path;
    while (directories.Take(&path)) {
      ListOne(path, &directories);
      directories.Done();
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "small") == 0) {
    Small(argv[2], argv[3]);
  } else if (argc == 4 && std::strcmp(argv[1], "large") == 0) {
    Large(argv[2], argv[3]);
  } else if (argc == 4 && std::strcmp(argv[1], "list") == 0) {
    List(argv[2], argv[3]);
  } else {
    std::fputs("usage: bench_reference small|large|list SRC DST\n", stderr);
    return 1;
  }
  return 0;
}
