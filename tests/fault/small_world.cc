#include "tests/fault/small_world.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <utility>

#include "agent/logging.h"
#include "engine/fs/state_name.h"
#include "tests/support/in_process_link.h"

namespace uringsync {
namespace {

namespace fs = std::filesystem;

// Big enough for ranges and a delta, small enough for a thousand runs.
constexpr size_t kLargeBytes = size_t{1200} << 10;
constexpr absl::Duration kPatience = absl::Seconds(60);

std::string Pattern(size_t bytes, unsigned seed) {
  std::string text(bytes, '\0');
  uint32_t state = seed * 2654435761u + 1;
  for (char& c : text) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

void SetTime(const std::string& path, int64_t seconds) {
  const timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 123456789}, {.tv_sec = seconds, .tv_nsec = 123456789}};
  if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) std::abort();
}

void Link(const std::string& target, const std::string& name) {
  if (::symlink(target.c_str(), name.c_str()) != 0) std::abort();
}

void BuildSource(const std::string& root) {
  for (const char* name : {"new", "d/new", "d/deep/new", "same"})
    WriteFile(root + "/" + name, std::string("of ") + name);
  WriteFile(root + "/changed", "the new contents");
  WriteFile(root + "/large", Pattern(kLargeBytes, 1));
  std::string edited = Pattern(kLargeBytes, 2);
  edited.replace(700000, 5, "edits");
  WriteFile(root + "/edited", edited);
  WriteFile(root + "/mode", "mode", 0600);
  WriteFile(root + "/was-link", "a file now");
  Link("where it leads", root + "/was-file");
  Link("new target", root + "/link");
  WriteFile(root + "/attribute", "attribute");
  ::setxattr((root + "/attribute").c_str(), "user.a", "1", 1, 0);
  WriteFile(root + "/h1", "linked");
  if (::link((root + "/h1").c_str(), (root + "/d/h2").c_str()) != 0) std::abort();
  if (::mkfifo((root + "/fifo").c_str(), 0640) != 0) std::abort();
  MakeDirectories(root + "/empty");
  WriteFile(root + "/was-directory", "a file in its place");
}

void BuildDestination(const std::string& root) {
  WriteFile(root + "/same", "of same");
  WriteFile(root + "/changed", "the old contents, longer");
  WriteFile(root + "/edited", Pattern(kLargeBytes, 2));
  WriteFile(root + "/mode", "mode", 0644);
  Link("somewhere", root + "/was-link");
  WriteFile(root + "/was-file", "a file");
  Link("old target", root + "/link");
  WriteFile(root + "/attribute", "attribute");
  WriteFile(root + "/extra", "extra");
  WriteFile(root + "/gone/below/extra", "extra");
  WriteFile(root + "/was-directory/in-it", "in it");
}

// Times of one side are all different from those of the other, but where objects are to be equal.
void SetTimes(const std::string& root, int64_t base) {
  std::vector<std::string> all = {root};
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) all.push_back(entry.path());
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    const std::string name = fs::path(*at).filename();
    const bool equal = name == "same" || name == "mode" || name == "attribute";
    SetTime(*at, equal ? 1'500'000'000 : base);
  }
}

}  // namespace

TreeText ReadTree(const std::string& root) {
  TreeText tree;
  const auto describe = [&tree, &root](const std::string& path) {
    struct stat found{};
    if (::lstat(path.c_str(), &found) != 0) return;
    std::string text = std::to_string(found.st_mode) + " " + std::to_string(found.st_mtim.tv_sec) + "." +
                       std::to_string(found.st_mtim.tv_nsec);
    if (S_ISREG(found.st_mode)) {
      text += " links " + std::to_string(found.st_nlink) + " contents " +
              std::to_string(std::hash<std::string>()(ReadFile(path))) + " of " + std::to_string(found.st_size);
      char value[16];
      const ssize_t got = ::getxattr(path.c_str(), "user.a", value, sizeof(value));
      if (got > 0) text += " user.a " + std::string(value, static_cast<size_t>(got));
    } else if (S_ISLNK(found.st_mode)) {
      text += " -> " + fs::read_symlink(path).string();
    }
    tree[path == root ? "." : path.substr(root.size() + 1)] = text;
  };
  describe(root);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) describe(entry.path());
  return tree;
}

class SmallWorld::Silent final : public Observer {
 public:
  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {}
  void OnAction(const Action&, const Differences&, ActionOutcome) override {}
  void OnProgress(const SyncProgress&) override {}
  void OnNotice(Side, std::string_view) override {}
  void OnSkipped(SkipReason, const RelPath&, FileType) override {}
  void OnProblem(const Problem& problem) override { problems.push_back(problem); }
  std::vector<Problem> problems;
};

SmallWorld::SmallWorld(IoBackend backend) : runtime_(StartRuntime(backend)) {
  SetUpLogging({.format = LogFormat::kPlain, .level = LogLevel::kWarn});
  BuildSource(dir_ / "src");
  SetTimes(dir_ / "src", 1'600'000'000);
  BuildDestination(dir_ / "template");
  SetTimes(dir_ / "template", 1'400'000'000);
  source_ = ReadTree(dir_ / "src");
  before_ = ReadTree(dir_ / "template");
  MakeDirectories(dir_ / "dst");
  absl::StatusOr<Roots> roots = Roots::Open({RootSpec{"data", dir_.path(), false}});
  if (!roots.ok()) std::abort();
  roots_ = std::make_unique<Roots>(*std::move(roots));
}

SmallWorld::~SmallWorld() = default;

std::unique_ptr<Runtime> SmallWorld::StartRuntime(IoBackend backend) {
  RuntimeOptions options;
  options.shards = 2;
  options.driver.backend = backend;
  options.wrap_driver = plan_->Wrapper();
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
  return runtime.ok() ? *std::move(runtime) : nullptr;
}

void SmallWorld::Reset() {
  if (std::system(("rm -rf " + dir_ / "dst" + " && cp -a " + dir_ / "template" + " " + dir_ / "dst").c_str()) != 0)
    std::abort();
}

WorldRun SmallWorld::Sync(Durability durability) {
  AgentContext context;
  context.runtime = runtime_.get();
  context.roots = roots_.get();
  context.table = &table_;
  SyncRequest request;
  request.source.root = request.destination.root = "data";
  request.source.path = *RelPath::Parse("src");
  request.destination.path = *RelPath::Parse("dst");
  request.source.session.fill(++sessions_);
  request.destination.session.fill(++sessions_);
  request.durability = durability;
  request.delete_extraneous = true;
  request.trust_source = true;
  request.delta = DeltaPolicy::kForce;
  request.idle_timeout = kPatience;
  request.choose_route = [id = request.source.session](const HelloReply&, const HelloReply&) {
    RouteChoice choice;
    choice.route.kind = DataRoute::Kind::kLocal;
    choice.route.peer_session = id;
    return choice;
  };
  Silent observer;
  WorldRun run;
  {
    InProcessLink source(context);
    InProcessLink destination(context);
    run.outcome = RunSync(request, *source.client, *destination.client, observer);
  }
  run.problems = std::move(observer.problems);
  return run;
}

std::string SmallWorld::Damage(bool strays) const {
  std::string damage;
  const TreeText now = destination();
  const auto contents = [](const TreeText& tree, const std::string& name) {
    const auto found = tree.find(name);
    if (found == tree.end()) return std::string();
    const size_t at = found->second.find(" contents ");
    const size_t target = found->second.find(" -> ");
    if (target != std::string::npos) return found->second.substr(target);
    if (at == std::string::npos) return std::string("no file");
    const size_t end = found->second.find(" user.a");
    return found->second.substr(at, end == std::string::npos ? end : end - at);
  };
  for (const auto& [name, text] : now) {
    const bool known = source_.contains(name) || before_.contains(name);
    const bool temporary = IsStateName(name.substr(name.rfind('/') + 1));
    if (!known && (strays || !temporary)) damage += "somebody made " + name + "\n";
    if (!known) continue;
    const std::string found = contents(now, name);
    if (found != contents(source_, name) && found != contents(before_, name))
      damage += name + " is neither the old nor the new one: " + text + "\n";
  }
  for (const auto& [name, text] : before_) {
    // What the source has too, in whatever form, is never gone; but for a directory that makes way for something else.
    if (source_.contains(name) && !now.contains(name) && name != "was-directory") damage += name + " is gone\n";
  }
  return damage;
}

std::string SmallWorld::Missing() const {
  std::string missing;
  const TreeText now = destination();
  for (const auto& [name, text] : source_) {
    const auto found = now.find(name);
    if (found == now.end()) {
      missing += name + " is missing\n";
    } else if (found->second != text) {
      missing += name + " is " + found->second + ", should be " + text + "\n";
    }
  }
  for (const auto& [name, text] : now) {
    if (!source_.contains(name)) missing += name + " should not be there\n";
  }
  return missing;
}

}  // namespace uringsync
