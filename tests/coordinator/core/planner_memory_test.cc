// A million objects through the planner, each case in a process of its own: its peak memory must not depend on the
// tree. Prints nanoseconds per object (meaningful in an optimised build only).
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <iostream>

#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

#ifdef __OPTIMIZE__
constexpr uint64_t kObjects = 1'000'000;
#else
constexpr uint64_t kObjects = 100'000;  // the sorts of a million would take minutes
#endif
constexpr uint64_t kBatchEntries = 1000;
constexpr long kLimitKib = 60 * 1024;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define URINGSYNC_SANITIZED 1
#endif
#endif

struct Shape {
  uint64_t directories = 1000;  // below the root; 0: everything lies in the root
  bool empty = false;           // the root alone
  uint64_t links = 1;           // names of each inode
  uint64_t first_inode = 1'000'000;
};

// Makes its batches one at a time, as a stream would.
class GeneratedManifest final : public ManifestStream {
 public:
  explicit GeneratedManifest(Shape shape) : shape_(shape) {}

  absl::StatusOr<std::optional<DirectoryBatch>> Next() override {
    if (!root_done_) return Root();
    if (directory_ >= shape_.directories || shape_.empty) return std::optional<DirectoryBatch>();
    DirectoryBatch batch = Batch(DirectoryName(directory_), {}, 10 + directory_);
    AddFiles(kObjects / shape_.directories, &batch);
    ++directory_;
    return std::optional(std::move(batch));
  }

 private:
  static std::string Number(uint64_t number) {
    std::string digits = std::to_string(number);
    return std::string(8 - digits.size(), '0') + digits;
  }
  static std::string DirectoryName(uint64_t number) { return "directory-" + Number(number); }

  absl::StatusOr<std::optional<DirectoryBatch>> Root() {
    DirectoryBatch batch = Batch("", {}, 1);
    if (shape_.empty) {
      root_done_ = true;
    } else if (shape_.directories > 0) {
      const uint64_t end = std::min(directory_ + kBatchEntries, shape_.directories);
      for (; directory_ < end; ++directory_) batch.entries.push_back(Dir(DirectoryName(directory_), 10 + directory_));
      root_done_ = directory_ == shape_.directories;
      if (root_done_) directory_ = 0;
    } else {
      AddFiles(kBatchEntries, &batch);
      root_done_ = file_ == kObjects;
    }
    batch.last = root_done_;
    return std::optional(std::move(batch));
  }

  void AddFiles(uint64_t count, DirectoryBatch* batch) {
    batch->entries.reserve(count);
    for (uint64_t i = 0; i < count; ++i, ++file_) {
      // Names of one inode lie far apart, so that no group is near its end when the next one begins.
      Entry entry = File("file-" + Number(file_), shape_.first_inode + file_ % (kObjects / shape_.links));
      entry.nlink = shape_.links;
      batch->entries.push_back(std::move(entry));
    }
  }

  const Shape shape_;
  bool root_done_ = false;
  uint64_t directory_ = 0;
  uint64_t file_ = 0;
};

class CountingSink final : public PlanSink {
 public:
  absl::Status OnAction(PlannedAction) override {
    ++actions;
    return absl::OkStatus();
  }
  absl::Status OnProblem(Problem) override { return absl::OkStatus(); }
  absl::Status OnSkipped(SkipReason, const RelPath&, FileType) override { return absl::OkStatus(); }
  uint64_t actions = 0;
};

// Generating the manifests alone.
double DrainSeconds(Shape shape) {
  const auto start = std::chrono::steady_clock::now();
  GeneratedManifest manifest(shape);
  while (true) {
    const auto batch = manifest.Next();
    if (!batch.ok() || !batch->has_value()) break;
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// In the child: exit status 0 when the plan has `actions` actions.
int PlanOnce(Shape source_shape, Shape destination_shape, uint64_t actions) {
  const double generating = DrainSeconds(source_shape) + DrainSeconds(destination_shape);
  PlanOptions options = AllAbilities();
  options.delete_extraneous = true;
  GeneratedManifest source(source_shape);
  GeneratedManifest destination(destination_shape);
  CountingSink sink;
  const std::unique_ptr<Driver> driver = MakePlanDriver();
  Planner planner(options, driver.get(), "");
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status = planner.Run(source, destination, sink);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() - generating;
  std::cout << "  " << seconds * 1e9 / static_cast<double>(kObjects) << " ns per object, " << sink.actions
            << " actions";
  if (!status.ok()) std::cout << ", " << status.ToString();
  std::cout << std::endl;
  return status.ok() && sink.actions == actions ? 0 : 1;
}

void ExpectBounded(Shape source, Shape destination, uint64_t actions) {
#ifdef URINGSYNC_SANITIZED
  GTEST_SKIP() << "a sanitizer's shadow memory would be measured";
#endif
  // What tests before this one left free in the heap would count as the child's.
  malloc_trim(0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(PlanOnce(source, destination, actions));
  int status = 0;
  rusage usage{};
  ASSERT_EQ(wait4(child, &status, 0, &usage), child);
  EXPECT_EQ(status, 0);
  std::cout << "  peak " << usage.ru_maxrss / 1024 << " MiB\n";
  EXPECT_LT(usage.ru_maxrss, kLimitKib);
}

TEST(PlannerMemoryTest, MillionUnchangedFiles) {
  ExpectBounded({}, {.first_inode = 5'000'000}, 0);
}
TEST(PlannerMemoryTest, MillionNewFiles) {
  ExpectBounded({}, {.empty = true}, kObjects + 2001);
}
TEST(PlannerMemoryTest, MillionFilesToDelete) {
  ExpectBounded({.empty = true}, {}, kObjects + 1001);
}
TEST(PlannerMemoryTest, MillionNamesOfHalfAMillionInodesNew) {
  ExpectBounded({.links = 2}, {.empty = true}, kObjects + 2001);
}
TEST(PlannerMemoryTest, MillionNamesOfOneInodeUnchanged) {
  ExpectBounded({.links = kObjects}, {.links = kObjects, .first_inode = 5'000'000}, 0);
}
TEST(PlannerMemoryTest, MillionNewFilesInOneDirectory) {
  ExpectBounded({.directories = 0}, {.empty = true}, kObjects + 1);
}
TEST(PlannerMemoryTest, MillionFilesToDeleteInOneDirectory) {
  ExpectBounded({.empty = true}, {.directories = 0}, kObjects + 1);
}
TEST(PlannerMemoryTest, MillionNewDirectoriesInOneDirectory) {
  ExpectBounded({.directories = kObjects}, {.empty = true}, 3 * kObjects + 1);
}

}  // namespace
}  // namespace uringsync
