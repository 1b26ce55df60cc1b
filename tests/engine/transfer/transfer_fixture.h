// What the tests of engine/transfer share: two trees on a real file system, a runtime, and a sink that remembers.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/fs/direct_io.h"
#include "engine/fs/directory.h"
#include "engine/fs/file.h"
#include "engine/fs/metadata.h"
#include "engine/transfer/content_source.h"
#include "engine/transfer/receiver.h"
#include "engine/transfer/source_reader.h"
#include "tests/support/fault_driver.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {

constexpr uint64_t kTestSeed = 77;

// How the bytes of a test move: over which driver, and whether past the page cache where the file system can.
struct Way {
  IoBackend backend = IoBackend::kAuto;
  DirectIoMode direct_io = DirectIoMode::kOff;
};
constexpr Way kEveryWay[] = {{IoBackend::kAuto, DirectIoMode::kOff},
                             {IoBackend::kThreads, DirectIoMode::kOff},
                             {IoBackend::kAuto, DirectIoMode::kOn},
                             {IoBackend::kThreads, DirectIoMode::kOn}};
inline std::string WayName(const testing::TestParamInfo<Way>& info) {
  return std::string(info.param.backend == IoBackend::kAuto ? "Auto" : "Threads") +
         (info.param.direct_io == DirectIoMode::kOn ? "Direct" : "");
}

// Keeps every item with a copy of its bytes.
class RecordingSink final : public ReplySink {
 public:
  Task<absl::Status> OnItem(ReplyItem item, Piece piece) override {
    content.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    items.push_back(std::move(item));
    co_return refusal;
  }
  std::vector<ReplyItem> items;
  std::string content;
  absl::Status refusal;
};

inline DirectoryPtr OpenTestRoot(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return std::make_shared<const Directory>(std::move(fd), true);
}

// The manifest's view of an object.
inline Entry EntryOf(const std::string& path) {
  struct statx found{};
  ::syscall(332, AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, kEntryStatxMask, &found);
  Entry entry;
  EntryFromStatx(found, false, &entry);
  entry.name = path.substr(path.rfind('/') + 1);
  return entry;
}

inline FileRequest WholeFile(const std::string& name, const Entry& entry) {
  FileRequest request;
  request.id = 1;
  request.path = *RelPath::Parse(name);
  request.type = entry.type;
  request.file = entry.id;
  request.size_bytes = entry.type == FileType::kRegular ? entry.size_bytes : 0;
  request.mtime = entry.mtime;
  request.length = request.size_bytes;
  return request;
}

// Bytes that differ everywhere, so that a misplaced piece shows.
inline std::string Pattern(size_t bytes) {
  std::string text(bytes, '\0');
  uint64_t state = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < bytes; i += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    text.replace(i, std::min<size_t>(8, bytes - i), reinterpret_cast<const char*>(&state),
                 std::min<size_t>(8, bytes - i));
  }
  return text;
}

// A runtime whose drivers inject the faults of `plan`.
inline std::unique_ptr<Runtime> StartFaultyRuntime(const std::shared_ptr<FaultPlan>& plan, IoBackend backend,
                                                   size_t shards) {
  RuntimeOptions options;
  options.shards = shards;
  options.driver.backend = backend;
  options.wrap_driver = plan->Wrapper();
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
  if (!runtime.ok()) std::abort();
  return *std::move(runtime);
}

inline Task<absl::Status> ServeOnce(DirectoryPtr root, FileRequest request, ReplySink* sink,
                                    DirectIo* direct_io = nullptr) {
  Shard* shard = Shard::Current();
  SourceReaderOptions options;
  options.digest_seed = kTestSeed;
  options.direct_io = direct_io;
  SourceReader reader(shard->driver(), shard->buffers(), std::move(root), options);
  absl::Status served = co_await reader.Serve(std::move(request), sink);
  co_return served;
}

}  // namespace uringsync
