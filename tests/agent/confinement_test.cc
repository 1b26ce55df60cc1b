// What a confined process may no longer do, tried in a child: confinement is for ever.
#include "agent/confinement.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/unique_fd.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

// Lines that `body` returned in a child process; it ends without the parent's exit handlers.
std::string InChild(const std::function<std::string()>& body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return "pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string text = body();
    if (::write(ends[1], text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(1);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? text : "the child died: " + text;
}

// 0 or the errno of opening `path`.
int Opens(const std::string& path, int flags) {
  const UniqueFd file(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  return file.valid() ? 0 : errno;
}

class ConfinementTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"rw", "ro", "else"}) {
      ASSERT_EQ(::mkdir((dir_ / name).c_str(), 0700), 0);
      ASSERT_EQ(Opens(dir_ / name + "/file", O_WRONLY | O_CREAT), 0);
    }
    ASSERT_EQ(::symlink("../else/file", (dir_ / "rw/link").c_str()), 0);
  }
  ConfinementPlan Plan(ConfinementMode mode) const {
    ConfinementPlan plan;
    plan.mode = mode;
    plan.roots = {{"rw", dir_ / "rw", false}, {"ro", dir_ / "ro", true}};
    return plan;
  }
  TempDir dir_;
};

TEST_F(ConfinementTest, FilesOutsideOfTheRootsAreOutOfReach) {
  const std::string said = InChild([this]() -> std::string {
    const absl::StatusOr<ConfinementReport> report = Confine(Plan(ConfinementMode::kAuto));
    if (!report.ok()) return std::string(report.status().message());
    if (report->landlock_abi == 0) return "no Landlock here";
    std::string wrong;
    const auto expect = [&wrong](const char* what, int found, int wanted) {
      if (found != wanted) wrong += std::string(what) + ": " + std::to_string(found) + "\n";
    };
    expect("write in a root", Opens(dir_ / "rw/new", O_WRONLY | O_CREAT), 0);
    expect("read in a root", Opens(dir_ / "rw/file", O_RDONLY), 0);
    expect("rename into a directory of a root",
           ::mkdir((dir_ / "rw/d").c_str(), 0700) == 0 &&
                   ::rename((dir_ / "rw/new").c_str(), (dir_ / "rw/d/new").c_str()) == 0
               ? 0
               : errno,
           0);
    expect(
        "a file without a name",
        [this] {
          const UniqueFd file(::open((dir_ / "rw").c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
          const std::string self = "/proc/self/fd/" + std::to_string(file.get());
          const std::string name = dir_ / "rw/linked";
          return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
        }(),
        0);
    expect("read of a read-only root", Opens(dir_ / "ro/file", O_RDONLY), 0);
    expect("write in a read-only root", Opens(dir_ / "ro/file", O_WRONLY), EACCES);
    expect("make in a read-only root", Opens(dir_ / "ro/new", O_WRONLY | O_CREAT), EACCES);
    expect("read elsewhere", Opens(dir_ / "else/file", O_RDONLY), EACCES);
    expect("write elsewhere", Opens(dir_ / "else/new", O_WRONLY | O_CREAT), EACCES);
    expect("list elsewhere", Opens(dir_ / "else", O_RDONLY | O_DIRECTORY), EACCES);
    expect("through a link", Opens(dir_ / "rw/link", O_RDONLY), EACCES);
    expect("remove elsewhere", ::unlink((dir_ / "else/file").c_str()) == 0 ? 0 : errno, EACCES);
    expect("rename out", ::rename((dir_ / "rw/file").c_str(), (dir_ / "else/moved").c_str()) == 0 ? 0 : errno, EACCES);
    expect("names of users", Opens("/etc/passwd", O_RDONLY), 0);
    expect("nothing", Opens("/dev/null", O_RDWR), 0);
    return wrong.empty() ? "as it should be" : wrong;
  });
  if (said == "no Landlock here") GTEST_SKIP() << said;
  EXPECT_EQ(said, "as it should be");
}

TEST_F(ConfinementTest, SystemCallsThatAnAgentNeverMakesAreRefused) {
  const std::string said = InChild([]() -> std::string {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const absl::Status confined = ConfineSystemCalls();
    if (!confined.ok()) return std::string(confined.message());
    std::string wrong;
    const auto expect = [&wrong](const char* what, long result, int wanted) {
      const int found = result < 0 ? errno : 0;
      if (found != wanted) wrong += std::string(what) + ": " + std::to_string(found) + "\n";
    };
    char path[] = "/bin/true";
    char* arguments[] = {path, nullptr};
    expect("execve", ::execve(path, arguments, nullptr), EPERM);
    const UniqueFd program(::open(path, O_PATH | O_CLOEXEC));
    expect("fexecve", ::fexecve(program.get(), arguments, environ), EPERM);
    expect("mount", ::mount("none", "/mnt", "tmpfs", 0, nullptr), EPERM);
    expect("unshare", ::unshare(0), EPERM);
    // Not through the library, which would call in every thread.
    expect("setuid", ::syscall(SYS_setuid, 0), EPERM);
    expect("packet socket", ::socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
    expect("vsock", ::socket(AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT);
    char typed = 'x';
    expect("typing into a terminal", ::ioctl(0, TIOCSTI, &typed), EPERM);
    const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    expect("a socket", socket.valid() ? 0 : -1, 0);
    return wrong.empty() ? "as it should be" : wrong;
  });
  EXPECT_EQ(said, "as it should be");
}

TEST_F(ConfinementTest, CapabilitiesWithoutUseAreDropped) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string said = InChild([]() -> std::string {
    const absl::StatusOr<std::string> kept = DropCapabilities();
    if (!kept.ok()) return std::string(kept.status().message());
    ::capng_clear(CAPNG_SELECT_BOTH);
    ::capng_get_caps_process();
    for (const unsigned gone :
         {CAP_SYS_PTRACE, CAP_SYS_MODULE, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SETUID, CAP_SYS_CHROOT}) {
      for (const capng_type_t set : {CAPNG_EFFECTIVE, CAPNG_PERMITTED}) {
        if (::capng_have_capability(set, gone) != 0) return std::string("kept: ") + ::capng_capability_to_name(gone);
      }
    }
    return ::capng_have_capability(CAPNG_EFFECTIVE, CAP_CHOWN) != 0 ? *kept : "chown is gone";
  });
  EXPECT_THAT(said, testing::AllOf(testing::HasSubstr("chown"), testing::HasSubstr("fowner"),
                                   testing::Not(testing::HasSubstr("sys_ptrace"))));
}

TEST_F(ConfinementTest, OffIsOffAndOtherWordsAreErrors) {
  const std::string said = InChild([this]() -> std::string {
    const absl::StatusOr<ConfinementReport> report = Confine(Plan(ConfinementMode::kOff));
    return report.ok() && Opens(dir_ / "else/file", O_RDONLY) == 0 && report->landlock_abi == 0 ? "free" : "confined";
  });
  EXPECT_EQ(said, "free");
  EXPECT_THAT(ParseConfinementMode("require"), IsOkAndHolds(ConfinementMode::kRequire));
  EXPECT_THAT(ParseConfinementMode("on"),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("auto, off or require")));
}

}  // namespace
}  // namespace uringsync
