// Kernel: the system calls of all simulated hosts: descriptors, paths, file systems, locks, leases, sockets. What a
// call means is what its man page says, for root; a call that production code does not make ends the history with its
// name.
//
// Thread rule: one thread at a time (scheduler.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ring/driver.h"
#include "tests/sim/file_system.h"
#include "tests/sim/network.h"
#include "tests/sim/scheduler.h"

namespace uringsync::sim {

// Above whatever the real kernel hands out.
constexpr int kFirstDescriptor = 1 << 20;
// What the clocks of the hosts say when a history begins.
constexpr Nanos kWallClockStart = 1'700'000'000 * kSecond;
constexpr const char* kPathPrefix = "/sim/";  // and the number of the host

// Faults that are planted to see whether they are found.
struct Defects {
  bool lost_syncs = false;      // fsync says yes and does nothing
  bool torn_publish = false;    // what gets its name is cut short
  bool hidden_errors = false;   // a listing that failed looks like one that has ended
  bool blind_exchange = false;  // RENAME_EXCHANGE drops what was there
  bool lost_problems = false;   // the control stream forgets what went wrong
  bool lost_writes = false;     // a write says yes and does nothing
};

struct OpenFile {
  InodePtr inode;
  FileSystem* files = nullptr;
  SocketPtr socket;
  int flags = 0;
  int64_t position = 0;
  std::optional<std::vector<std::pair<std::string, InodePtr>>> listing;
  bool leased = false;
  ~OpenFile();
};

class Kernel {
 public:
  Kernel(Scheduler* scheduler, Network* network, Defects defects);
  ~Kernel();
  // The one of this history.
  static Kernel* Get();

  void AddHost(HostId host, FileSystem* files) { files_[host] = files; }
  FileSystem* files(HostId host) { return files_.at(host); }
  // Which host a process runs on.
  void Place(ProcessId process, HostId host) { places_[process] = host; }
  HostId host_of(ProcessId process) const { return places_.at(process); }
  const Defects& defects() const { return defects_; }

  // As Driver::Call: a result or -errno.
  long Call(ProcessId process, CallCode code, const long (&a)[6]);
  int Close(int fd);
  int OpenByPath(const char* path, int flags);
  // What an operation on files does, when its time has come: kRead, kWrite, kFsync, kFallocate.
  int64_t RunFileOp(const Op& op);
  // An fsync of it has failed.
  void FailSync(int fd);
  SocketPtr SocketOf(int fd) const;
  int AddSocket(ProcessId process, SocketPtr socket);
  // Its descriptors are closed and its locks are gone.
  void ProcessDied(ProcessId process);
  size_t descriptors(ProcessId process) const;
  // A descriptor that was closed twice, or of nobody.
  const std::string& misuse() const { return misuse_; }
  void SetMisuse(std::string what) { misuse_ = std::move(what); }

 private:
  struct Descriptor {
    std::shared_ptr<OpenFile> file;
    ProcessId process = 0;
  };
  struct Found {
    int error = 0;
    FileSystem* files = nullptr;
    InodePtr parent;  // null at a top or of a descriptor
    std::string name;
    InodePtr inode;  // null: not there
  };
  OpenFile* FileOf(int fd) const;
  int Install(ProcessId process, std::shared_ptr<OpenFile> file);
  // follow: the last component, where it is a symlink.
  Found Resolve(int dirfd, const char* path, bool follow, uint64_t resolve = 0, bool empty_path = false);
  Found Walk(FileSystem* files, InodePtr at, std::string_view path, bool follow, uint64_t resolve, int depth);
  long Open(ProcessId process, int dirfd, const char* path, int64_t flags, uint32_t mode, uint64_t resolve);
  long OpenInode(ProcessId process, FileSystem* files, InodePtr inode, int64_t flags);
  long Statx(int dirfd, const char* path, int flags, struct statx* out);
  long Getdents(OpenFile* file, void* buffer, size_t bytes);
  long Make(int dirfd, const char* path, const InodePtr& inode);
  long MakeNamed(int dirfd, const char* path, uint32_t mode, uint64_t device, const char* target);
  long Unlink(int dirfd, const char* path, int flags);
  long Rename(int from, const char* name, int to, const char* new_name, unsigned flags);
  long Link(int from, const char* name, int to, const char* new_name, int flags);
  long SetMode(const Found& found, uint32_t mode);
  long SetOwner(const Found& found, uint32_t uid, uint32_t gid);
  long SetTimes(const Found& found, const timespec* times);
  long Seek(OpenFile* file, int64_t offset, int whence);
  long Flock(const OpenFile* file, int operation);
  long Fcntl(ProcessId process, int fd, OpenFile* file, int command, long argument);
  long Statfs(OpenFile* file, void* out);
  long Xattr(CallCode code, const long (&a)[6], bool* handled);
  long XattrOf(const Found& found, CallCode kind, const char* name, void* buffer, size_t bytes);
  long SocketCall(ProcessId process, CallCode code, const long (&a)[6], bool* handled);
  long CallFile(ProcessId process, CallCode code, const long (&a)[6]);

  Scheduler* const scheduler_;
  Network* const network_;
  const Defects defects_;
  std::map<HostId, FileSystem*> files_;
  std::map<ProcessId, HostId> places_;
  std::map<int, Descriptor> descriptors_;
  int next_descriptor_ = kFirstDescriptor;
  // flock: who holds an inode, and how.
  struct Locks {
    const OpenFile* exclusive = nullptr;
    std::vector<const OpenFile*> shared;
  };
  std::map<const Inode*, Locks> locks_;
  friend struct OpenFile;
  void Unlock(const OpenFile* file);
  std::string misuse_;
};

}  // namespace uringsync::sim
