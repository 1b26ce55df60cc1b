// Holds PathFilter against the installed rsync: random trees with random rules and merge files, what rsync would send
// and what it would delete. A difference names its seed and leaves both lists.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "engine/tree/path_filter.h"
#include "tests/support/random_filters.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using Names = std::set<std::string>;

class TreeFiles final : public MergeFiles {
 public:
  explicit TreeFiles(std::string root) : root_(std::move(root)) {}
  absl::StatusOr<std::optional<std::string>> Read(std::string_view directory, const std::string& name) override {
    const std::string path = root_ + "/" + std::string(directory) + "/" + name;
    struct stat found;
    if (::stat(path.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
    return ReadFile(path);
  }

 private:
  const std::string root_;
};

// What the two agents and the planner will do together, told by recursion.
class Model {
 public:
  Model(const PathFilter& source, const std::string& source_root, const PathFilter& destination,
        const std::string& destination_root)
      : source_(source), destination_(destination), source_root_(source_root), destination_root_(destination_root) {}

  void Send(const std::string& directory, const FilterScopePtr& parent) {
    TreeFiles files(source_root_);
    absl::StatusOr<FilterScopePtr> scope = source_.Enter(parent, directory, files);
    ASSERT_OK(scope.status());
    for (const auto& [path, is_directory] : List(source_root_, directory)) {
      if (source_.Judge(**scope, FilterSide::kSender, path, is_directory) == FilterVerdict::kExclude) continue;
      sent.insert(path + (is_directory ? "/" : ""));
      if (is_directory) Send(path, *scope);
    }
  }

  // True: something is left in it.
  bool Delete(const std::string& directory, const FilterScopePtr& parent, bool gone) {
    TreeFiles files(destination_root_);
    absl::StatusOr<FilterScopePtr> scope = destination_.Enter(parent, directory, files);
    EXPECT_OK(scope.status());
    bool left = false;
    for (const auto& [path, is_directory] : List(destination_root_, directory)) {
      const bool here = !gone && sent.count(path + (is_directory ? "/" : "")) > 0;
      const bool other = !gone && sent.count(path + (is_directory ? "" : "/")) > 0;
      const bool kept =
          destination_.Judge(**scope, FilterSide::kReceiver, path, is_directory, gone) == FilterVerdict::kExclude;
      const bool full =
          destination_.Judge(**scope, FilterSide::kReceiver, path, is_directory) == FilterVerdict::kExclude &&
          destination_.Judge(**scope, FilterSide::kReceiver, path, is_directory, true) == FilterVerdict::kExclude;
      if (destination_.SurelyHidden(path) && full) EXPECT_FALSE(here || other) << "surely hidden: " << path;
      if (here) {
        left = true;
        if (is_directory) Delete(path, *scope, false);
      } else if (other) {
        left = true;  // makes way for the source's object of that name, protected or not; what is in it is told
        if (is_directory) in_the_way.insert(path);
        if (is_directory && Delete(path, *scope, true)) no_way.insert(path);
      } else if (kept) {
        left = true;
      } else if (!is_directory) {
        deleted.insert(path);
      } else {
        left = Delete(path, *scope, true) || left;
      }
    }
    return left;
  }

  Names sent;
  Names deleted;     // what is no directory
  Names in_the_way;  // directories where the source has a file
  Names no_way;      // files that find a directory in their place which cannot go

 private:
  static std::vector<std::pair<std::string, bool>> List(const std::string& root, const std::string& directory) {
    std::vector<std::pair<std::string, bool>> entries;
    for (const auto& entry : std::filesystem::directory_iterator(root + "/" + directory)) {
      const std::string name = entry.path().filename();
      entries.emplace_back(directory.empty() ? name : directory + "/" + name, entry.is_directory());
    }
    std::sort(entries.begin(), entries.end());
    return entries;
  }

  const PathFilter& source_;
  const PathFilter& destination_;
  const std::string source_root_;
  const std::string destination_root_;
};

// What one side has alone.
std::string Difference(const Names& rsync, const Names& ours) {
  std::string text;
  for (const std::string& name : rsync) {
    if (ours.count(name) == 0) text += "  only rsync: " + name + "\n";
  }
  for (const std::string& name : ours) {
    if (rsync.count(name) == 0) text += "  only ours: " + name + "\n";
  }
  return text;
}

// Every merge file below `root` with its text.
std::string MergeTexts(const std::string& root) {
  std::string text;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file() || entry.file_size() == 0) continue;
    text += entry.path().string().substr(root.size()) + ": " + ReadFile(entry.path());
  }
  return text;
}

class FilterRsyncTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HaveRsync()) GTEST_SKIP() << "no rsync at /usr/bin/rsync to compare with";
  }

  void CheckSeed(uint32_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TempDir dir;
    RandomFilters generator(seed);
    const std::vector<std::string> rules = generator.Rules();
    const bool delete_excluded = generator.Below(4) == 0;
    generator.Fill(dir / "source", 2, rules);
    generator.Fill(dir / "destination", 2, rules);
    std::vector<std::string> command = {"rsync", "-rnIii", "--delete-before", "--out-format=%o %n"};
    if (delete_excluded) command.push_back("--delete-excluded");
    std::string shown;
    for (const std::string& rule : rules) {
      command.push_back("--filter=" + rule);
      shown += rule + "\n";
    }
    command.push_back(dir / "source/");
    command.push_back(dir / "destination/");
    int exit_code = 0;
    const std::string output = RunRsync(command, dir / "output", &exit_code);
    PathFilterOptions options;
    options.delete_excluded = delete_excluded;
    absl::StatusOr<PathFilterPtr> source = PathFilter::Compile(rules, options);
    absl::StatusOr<PathFilterPtr> destination = PathFilter::Compile(rules, options);
    ASSERT_OK(source.status()) << shown;
    ASSERT_OK(destination.status()) << shown;
    const bool filter_has_merges = PathFilter::NeedsEntering(*(*source)->base());
    Model model(**source, dir / "source", **destination, dir / "destination");
    ASSERT_NO_FATAL_FAILURE(model.Send("", PathFilter::Below((*source)->base(), (dir / "source").substr(1))));
    model.Delete("", PathFilter::Below((*destination)->base(), (dir / "destination").substr(1)), false);
    Names sent;
    Names deleted;
    size_t at = 0;
    for (size_t end = output.find('\n'); end != std::string::npos; at = end + 1, end = output.find('\n', at)) {
      const std::string line = output.substr(at, end - at);
      if (line.rfind("send ", 0) == 0 && line != "send ./") sent.insert(line.substr(5));
      if (line.rfind("del. ", 0) == 0 && line.back() != '/') deleted.insert(line.substr(5));
    }
    ASSERT_TRUE(exit_code == 0 || exit_code == 23) << output << shown;
    for (const std::string& name : model.no_way) model.sent.erase(name);
    // There rsync has forgotten the merge files of the directories above.
    if (filter_has_merges) {
      for (const std::string& way : model.in_the_way) {
        for (Names* names : {&sent, &deleted, &model.sent, &model.deleted}) {
          std::erase_if(*names, [&](const std::string& name) { return name == way || name.rfind(way + "/", 0) == 0; });
        }
      }
    }
    // rsync says nothing of directories that are at the destination already.
    for (auto name = model.sent.begin(); name != model.sent.end();) {
      const bool untold = name->back() == '/' && std::filesystem::is_directory(dir / ("destination/" + *name)) &&
                          sent.count(*name) == 0;
      name = untold ? model.sent.erase(name) : std::next(name);
    }
    EXPECT_EQ(Difference(deleted, model.deleted), "") << "deleted. Rules:\n"
                                                      << shown << MergeTexts(dir / "destination");
    EXPECT_EQ(Difference(sent, model.sent), "") << "sent. Rules:\n" << shown << MergeTexts(dir / "source");
  }
};

TEST_F(FilterRsyncTest, SendsAndDeletesWhatRsyncDoes) {
  const char* first = std::getenv("URINGSYNC_FILTER_SEED");
  const char* count = std::getenv("URINGSYNC_FILTER_SEEDS");
  const auto from = static_cast<uint32_t>(first != nullptr ? std::atoi(first) : 0);
  const auto seeds = static_cast<uint32_t>(count != nullptr ? std::atoi(count) : 200);
  for (uint32_t seed = from; seed < from + seeds; ++seed) {
    CheckSeed(seed);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace uringsync
