#include "agent/session.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "agent/data_server.h"
#include "tests/agent/session_fixture.h"

namespace uringsync {
namespace {

class SessionTest : public testing::Test {
 protected:
  SessionTest() {
    MakeDirectories(dir_ / "src");
    MakeDirectories(dir_ / "dst");
  }
  void StartAgent() { agent_ = std::make_unique<TestAgent>(dir_.path(), plan_); }

  // Opens a source session at src and a destination session at dst with the local route.
  void OpenBoth(Durability durability = Durability::kBatch) {
    if (agent_ == nullptr) StartAgent();
    source_ = std::make_unique<TestSession>(agent_.get());
    ASSERT_OK(source_->Handshake());
    source_->Send(OpenFor(Role::kSource, 1, "src"));
    source_opened_ = source_->Expect<SessionOpened>();
    destination_ = std::make_unique<TestSession>(agent_.get());
    ASSERT_OK(destination_->Handshake());
    OpenSession open = OpenFor(Role::kDestination, 2, "dst");
    open.durability = durability;
    open.route.kind = DataRoute::Kind::kLocal;
    open.route.peer_session = TestSessionId(1);
    destination_->Send(open);
    opened_ = destination_->Expect<SessionOpened>();
  }

  Action Add(ActionKind kind, const std::string& path, const Entry& wanted) {
    Action action;
    action.id = ++last_action_;
    action.kind = kind;
    action.path = *RelPath::Parse(path);
    action.wanted = wanted;
    return action;
  }
  void Submit(Phase phase, std::vector<Action> actions) {
    ActionBatch batch;
    batch.phase = phase;
    batch.sequence = ++last_sequence_;
    batch.actions = std::move(actions);
    destination_->Send(std::move(batch));
  }
  ApplyDone Finish() {
    destination_->Send(FinishApply{});
    return destination_->Expect<ApplyDone>();
  }
  // Makes everything that the source's manifest lists.
  ApplyDone CopyAll() {
    std::vector<DirectoryBatch> manifest = ReadManifest(source_.get());
    std::vector<Action> directories;
    for (const DirectoryBatch& batch : manifest) {
      std::vector<Action> actions;
      for (const Entry& entry : batch.entries) {
        std::string path = batch.directory.Child(entry.name).text();
        switch (entry.type) {
          case FileType::kDirectory:
            actions.push_back(Add(ActionKind::kMakeDirectory, path, entry));
            directories.push_back(Add(ActionKind::kSetMetadata, path, entry));
            break;
          case FileType::kRegular: actions.push_back(Add(ActionKind::kPutFile, path, entry)); break;
          case FileType::kSymlink: actions.push_back(Add(ActionKind::kPutSymlink, path, entry)); break;
          default: actions.push_back(Add(ActionKind::kPutSpecial, path, entry)); break;
        }
      }
      Submit(Phase::kCreate, std::move(actions));
    }
    std::reverse(directories.begin(), directories.end());
    Submit(Phase::kDirectoryMetadata, std::move(directories));
    return Finish();
  }
  bool Exists(const std::string& name) {
    struct stat found{};
    return ::lstat((dir_ / name).c_str(), &found) == 0;
  }
  std::vector<std::string> ReadDestinationNames() {
    std::vector<std::string> names;
    DIR* dir = ::opendir((dir_ / "dst").c_str());
    while (dirent* item = ::readdir(dir)) {
      std::string name = item->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    ::closedir(dir);
    return names;
  }
  Entry DestinationEntry(const std::string& directory, const std::string& name) {
    TestSession reader(agent_.get());
    EXPECT_OK(reader.Handshake());
    reader.Send(OpenFor(Role::kSource, 77, "dst"));
    reader.Expect<SessionOpened>();
    for (const DirectoryBatch& batch : ReadManifest(&reader)) {
      if (batch.directory.text() != directory) continue;
      for (const Entry& entry : batch.entries)
        if (entry.name == name) return entry;
    }
    ADD_FAILURE() << "no " << directory << "/" << name;
    return Entry{};
  }

  TempDir dir_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<TestAgent> agent_;
  std::unique_ptr<TestSession> source_;
  std::unique_ptr<TestSession> destination_;
  SessionOpened source_opened_;
  SessionOpened opened_;
  uint64_t last_action_ = 0;
  uint64_t last_sequence_ = 0;
};

TEST_F(SessionTest, TreeIsCopiedWithinOneAgent) {
  for (int d = 0; d < 5; ++d) {
    for (int f = 0; f < 40; ++f)
      WriteFile(dir_ / ("src/d" + std::to_string(d) + "/f" + std::to_string(f)), std::string(f * 100, 'a' + d), 0640);
  }
  WriteFile(dir_ / "src/big", std::string(20 << 20, 'B'));
  ASSERT_EQ(::symlink("d1/f3", (dir_ / "src/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir_ / "src/pipe").c_str(), 0604), 0);
  ASSERT_EQ(::chmod((dir_ / "src/d2").c_str(), 0750), 0);
  OpenBoth();
  ASSERT_TRUE(opened_.exists);
  ApplyDone done = CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(done.durability, Durability::kBatch);
  EXPECT_EQ(done.counters.files_published, 201u);
  EXPECT_EQ(done.counters.actions_done, last_action_);
  EXPECT_EQ(done.counters.bytes_received, done.counters.bytes_written);
  EXPECT_EQ(destination_->completed, last_sequence_);
  for (int f = 0; f < 40; ++f) EXPECT_EQ(ReadFile(dir_ / ("dst/d3/f" + std::to_string(f))), std::string(f * 100, 'd'));
  EXPECT_EQ(ReadFile(dir_ / "dst/big"), std::string(20 << 20, 'B'));
  struct stat found{};
  ASSERT_EQ(::lstat((dir_ / "dst/pipe").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode, static_cast<mode_t>(S_IFIFO | 0604));
  ASSERT_EQ(::stat((dir_ / "dst/d2").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0750u);
  destination_->Send(CloseSession{});
  source_->Send(CloseSession{});
  EXPECT_OK(destination_->End());
  EXPECT_OK(source_->End());
}

TEST_F(SessionTest, HardLinksDeletesAndMetadataAreApplied) {
  WriteFile(dir_ / "src/a", "content");
  WriteFile(dir_ / "dst/old/x", "x");
  OpenBoth();
  std::vector<DirectoryBatch> manifest = ReadManifest(source_.get());
  Entry wanted = manifest[0].entries[0];
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "a", wanted)});
  Action link = Add(ActionKind::kLink, "b", wanted);
  link.link_target = *RelPath::Parse("a");
  Submit(Phase::kLink, {link});
  Entry old = DestinationEntry("", "old");
  Entry x = DestinationEntry("old", "x");
  Submit(Phase::kDelete, {Add(ActionKind::kDelete, "old/x", x), Add(ActionKind::kDelete, "old", old)});
  Entry root = source_opened_.root;
  root.mode = 0711;
  Submit(Phase::kDirectoryMetadata, {Add(ActionKind::kSetMetadata, "", root)});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  struct stat a{};
  struct stat b{};
  ASSERT_EQ(::stat((dir_ / "dst/a").c_str(), &a), 0);
  ASSERT_EQ(::stat((dir_ / "dst/b").c_str(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_FALSE(Exists("dst/old"));
  ASSERT_EQ(::stat((dir_ / "dst").c_str(), &a), 0);
  EXPECT_EQ(a.st_mode & 07777, 0711u);
}

TEST_F(SessionTest, ObjectThatIsNotTheOnePlannedAgainstIsAConflictAndStays) {
  WriteFile(dir_ / "src/a", "new");
  WriteFile(dir_ / "dst/a", "somebody else's");
  OpenBoth();
  Entry wanted = ReadManifest(source_.get())[0].entries[0];
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "a", wanted)});
  Action remove = Add(ActionKind::kDelete, "a", wanted);
  Submit(Phase::kDelete, {remove});
  Finish();
  ASSERT_EQ(destination_->problems.size(), 2u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kConflict);
  EXPECT_EQ(destination_->problems[1].kind, ProblemKind::kConflict);
  EXPECT_EQ(ReadFile(dir_ / "dst/a"), "somebody else's");
}

TEST_F(SessionTest, ChildrenOfADirectoryThatCannotBeMadeFailWithoutStorming) {
  WriteFile(dir_ / "src/d/e/f", "x");
  WriteFile(dir_ / "dst/d", "a file in the way");
  OpenBoth();
  CopyAll();
  // The metadata of the two directories is not missed a second time.
  ASSERT_EQ(destination_->problems.size(), 3u);  // of d, d/e, d/e/f
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kConflict);
  EXPECT_EQ(destination_->problems[1].detail, "its directory could not be made");
  EXPECT_EQ(ReadFile(dir_ / "dst/d"), "a file in the way");
}

TEST_F(SessionTest, FailedFsyncStagesTheBatchAgain) {
  for (int f = 0; f < 10; ++f) WriteFile(dir_ / ("src/f" + std::to_string(f)), "content");
  OpenBoth();
  if (opened_.file_system == "tmpfs") GTEST_SKIP() << "tmpfs is never synced";
  plan_->Fail(OpCode::kFsync, 1, EIO);
  ApplyDone done = CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(plan_->injected(), 1u);
  EXPECT_GE(done.counters.retries, 1u);
  EXPECT_EQ(done.counters.files_published, 10u);
  EXPECT_EQ(done.durability, Durability::kBatch);
}

TEST_F(SessionTest, FullDiskEndsEveryActionWithAResultAndLeavesNoTemporary) {
  for (int f = 0; f < 500; ++f) WriteFile(dir_ / ("src/f" + std::to_string(f)), "content");
  OpenBoth();
  // Whichever way small writes go.
  plan_->FailFrom(OpCode::kWrite, 100, ENOSPC);
  plan_->FailFrom(CallCode::kPwrite, 100, ENOSPC);
  ApplyDone done = CopyAll();
  EXPECT_EQ(done.counters.actions_done, 500u);
  EXPECT_EQ(done.counters.files_published + destination_->problems.size(), 500u);
  ASSERT_GE(destination_->problems.size(), 400u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kNoSpace);
  // The file system says that it has room, so a few files are tried after the first refusal, and some twice.
  EXPECT_LE(plan_->injected(), 250u);
  plan_->Clear();
  static_cast<void>(destination_->End());
  EXPECT_TRUE(ReadDestinationNames().size() == done.counters.files_published);
}

TEST_F(SessionTest, EndOfTheStreamStopsTheWorkAndReleasesTheLock) {
  WriteFile(dir_ / "src/big", std::string(200 << 20, 'x'));
  OpenBoth();
  Entry wanted = ReadManifest(source_.get())[0].entries[0];
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "big", wanted)});
  static_cast<void>(destination_->End());
  EXPECT_TRUE(ReadDestinationNames().empty() || Exists("dst/big"));
  TestSession again(agent_.get());
  ASSERT_OK(again.Handshake());
  again.Send(OpenFor(Role::kDestination, 3, "dst"));
  EXPECT_TRUE(again.Expect<SessionOpened>().exists);
}

TEST_F(SessionTest, SecondSessionIntoTheSameDirectoryIsRefused) {
  OpenBoth();
  TestSession second(agent_.get());
  ASSERT_OK(second.Handshake());
  second.Send(OpenFor(Role::kDestination, 3, "dst"));
  SessionError error = second.Expect<SessionError>();
  EXPECT_EQ(error.kind, ErrorKind::kLocked);
  EXPECT_THAT(error.message, testing::HasSubstr("in use by another session (process " + std::to_string(::getpid())));
  EXPECT_THAT(error.message, testing::HasSubstr("; --wait waits for it to end"));
  // The audit line says the same.
  EXPECT_EQ(ToStd(second.End().message()), error.message);
}

TEST_F(SessionTest, MissingSourceAndFileInPlaceOfADirectoryAreNamed) {
  WriteFile(dir_ / "file", "x");
  StartAgent();
  TestSession missing(agent_.get());
  ASSERT_OK(missing.Handshake());
  missing.Send(OpenFor(Role::kSource, 1, "nowhere"));
  SessionError error = missing.Expect<SessionError>();
  EXPECT_EQ(error.kind, ErrorKind::kSelection);
  EXPECT_THAT(error.message, testing::HasSubstr("nowhere does not exist"));
  TestSession file(agent_.get());
  ASSERT_OK(file.Handshake());
  file.Send(OpenFor(Role::kSource, 2, "file"));
  EXPECT_THAT(file.Expect<SessionError>().message, testing::HasSubstr("is a file"));
}

TEST_F(SessionTest, MissingDestinationIsMadeWhenAskedForAndNotInADryRun) {
  StartAgent();
  OpenSession open = OpenFor(Role::kDestination, 1, "made");
  open.create_root = true;
  open.dry_run = true;
  {
    TestSession dry(agent_.get());
    ASSERT_OK(dry.Handshake());
    dry.Send(open);
    EXPECT_FALSE(dry.Expect<SessionOpened>().exists);
    EXPECT_TRUE(ReadManifest(&dry).empty());
  }
  EXPECT_FALSE(Exists("made"));
  open.dry_run = false;
  TestSession real(agent_.get());
  ASSERT_OK(real.Handshake());
  real.Send(open);
  SessionOpened opened = real.Expect<SessionOpened>();
  EXPECT_TRUE(opened.exists && opened.created);
  EXPECT_TRUE(Exists("made"));
}

TEST_F(SessionTest, WrongTokenForALocalSourceIsRefused) {
  StartAgent();
  TestSession source(agent_.get());
  ASSERT_OK(source.Handshake());
  source.Send(OpenFor(Role::kSource, 1, "src"));
  source.Expect<SessionOpened>();
  TestSession thief(agent_.get());
  ASSERT_OK(thief.Handshake());
  OpenSession open = OpenFor(Role::kDestination, 2, "dst");
  open.token.fill(1);
  open.route.kind = DataRoute::Kind::kLocal;
  open.route.peer_session = TestSessionId(1);
  thief.Send(open);
  thief.Expect<SessionOpened>();
  // The source may open after the destination, so it is looked for with the first batch.
  ActionBatch batch;
  batch.sequence = 1;
  thief.Send(batch);
  EXPECT_THAT(thief.Expect<SessionError>().message, testing::HasSubstr("wrong token"));
}

TEST_F(SessionTest, NothingToDoNeedsNoSource) {
  StartAgent();
  destination_ = std::make_unique<TestSession>(agent_.get());
  ASSERT_OK(destination_->Handshake());
  OpenSession open = OpenFor(Role::kDestination, 2, "dst");
  open.route.kind = DataRoute::Kind::kConnect;
  open.route.host = "127.0.0.1";
  open.route.port = 1;
  destination_->Send(open);
  destination_->Expect<SessionOpened>();
  ApplyDone done = Finish();
  EXPECT_EQ(done.counters.actions_done, 0u);
  EXPECT_EQ(done.durability, Durability::kBatch);
}

TEST_F(SessionTest, MessagesOutOfOrderAreAProtocolError) {
  StartAgent();
  TestSession session(agent_.get());
  ASSERT_OK(session.Handshake());
  session.Send(StartManifest{});
  EXPECT_EQ(session.Expect<SessionError>().kind, ErrorKind::kProtocol);
  TestSession source(agent_.get());
  ASSERT_OK(source.Handshake());
  source.Send(OpenFor(Role::kSource, 1, "src"));
  source.Expect<SessionOpened>();
  source.Send(FinishApply{});
  EXPECT_EQ(source.Expect<SessionError>().kind, ErrorKind::kProtocol);
}

TEST_F(SessionTest, RemovedDirectoriesAreNotSynced) {
  for (int d = 0; d < 20; ++d) WriteFile(dir_ / ("dst/top/d" + std::to_string(d) + "/x"), "x");
  OpenBoth();
  if (opened_.file_system == "tmpfs") GTEST_SKIP() << "tmpfs is never synced";
  std::vector<Action> actions;
  for (int d = 0; d < 20; ++d) {
    const std::string name = "d" + std::to_string(d);
    actions.push_back(Add(ActionKind::kDelete, "top/" + name + "/x", DestinationEntry("top/" + name, "x")));
    actions.push_back(Add(ActionKind::kDelete, "top/" + name, DestinationEntry("top", name)));
  }
  actions.push_back(Add(ActionKind::kDelete, "top", DestinationEntry("", "top")));
  auto syncs = std::make_shared<std::atomic<int>>(0);
  plan_->FilterOps([syncs](const Op& op) {
    if (op.code == OpCode::kFsync) syncs->fetch_add(1);
    return 0;
  });
  Submit(Phase::kDelete, std::move(actions));
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_TRUE(ReadDestinationNames().empty());
  EXPECT_EQ(syncs->load(), 1);  // of the root
}

TEST_F(SessionTest, PeerThatDoesNotOpenASessionInTimeIsToldSo) {
  StartAgent();
  OpeningLimits limits;
  limits.message = std::chrono::milliseconds(20);
  TestSession silent(agent_.get(), limits);
  SessionError error = silent.Expect<SessionError>();
  EXPECT_EQ(error.kind, ErrorKind::kTimeout);
  EXPECT_THAT(error.message, testing::HasSubstr("Hello did not come"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(silent.End()));
  limits.message = std::chrono::milliseconds(300);
  TestSession idle(agent_.get(), limits);
  ASSERT_OK(idle.Handshake());
  EXPECT_THAT(idle.Expect<SessionError>().message, testing::HasSubstr("OpenSession did not come"));
}

TEST_F(SessionTest, LatePeerThatDoesNotHangUpIsCutOff) {
  StartAgent();
  OpeningLimits limits{std::chrono::milliseconds(10), std::chrono::milliseconds(10)};
  TestSession silent(agent_.get(), limits);
  silent.Expect<SessionError>();
  EXPECT_FALSE(silent.stream()->Receive().ok());
}

TEST_F(SessionTest, OpenedSessionMayBeIdle) {
  StartAgent();
  OpeningLimits limits;
  limits.message = std::chrono::milliseconds(300);
  TestSession session(agent_.get(), limits);
  ASSERT_OK(session.Handshake());
  session.Send(OpenFor(Role::kSource, 1, "src"));
  session.Expect<SessionOpened>();
  pollfd nothing{-1, 0, 0};
  ::poll(&nothing, 1, 400);  // the time that would be too long before
  EXPECT_FALSE(ReadManifest(&session).empty());
}

// Two agents; the data plane over loopback TCP without certificates.
class TwoAgentsTest : public SessionTest {
 protected:
  // Sessions end before the agents that serve them.
  ~TwoAgentsTest() override {
    destination_.reset();
    source_.reset();
    servers_.clear();
  }
  void StartBoth() {
    far_ = std::make_unique<TestAgent>(dir_ / "src", far_plan_);
    near_ = std::make_unique<TestAgent>(dir_ / "dst", plan_);
    for (TestAgent* agent : {far_.get(), near_.get()}) {
      DataServerOptions options;
      options.runtime = agent->runtime();
      options.table = &agent->table();
      options.host = "127.0.0.1";
      absl::StatusOr<std::unique_ptr<DataServer>> server = DataServer::Start(options);
      ASSERT_OK(server);
      agent->context().data_port = (*server)->port();
      servers_.push_back(*std::move(server));
    }
  }
  void OpenTwo(DataRoute::Kind kind) {
    StartBoth();
    source_ = std::make_unique<TestSession>(far_.get());
    ASSERT_OK(source_->Handshake());
    OpenSession source = OpenFor(Role::kSource, 1, "");
    source.data_connections = source_connections_;
    source_->Send(source);
    source_opened_ = source_->Expect<SessionOpened>();
    destination_ = std::make_unique<TestSession>(near_.get());
    ASSERT_OK(destination_->Handshake());
    OpenSession open = OpenFor(Role::kDestination, 1, "");
    open.route.kind = kind;
    open.route.host = "127.0.0.1";
    open.route.port = servers_[0]->port();
    destination_->Send(open);
    opened_ = destination_->Expect<SessionOpened>();
    if (kind == DataRoute::Kind::kAccept) source_->Send(ConnectData{"127.0.0.1", servers_[1]->port()});
  }
  void FillSource() {
    for (int f = 0; f < 300; ++f) WriteFile(dir_ / ("src/d/f" + std::to_string(f)), std::string(f * 37, 'q'));
    WriteFile(dir_ / "src/big", std::string((33 << 20) + 5, 'B'));
  }
  void CheckDestination(const ApplyDone& done) {
    EXPECT_TRUE(destination_->problems.empty());
    EXPECT_EQ(done.counters.files_published, 301u);
    EXPECT_EQ(done.counters.bytes_received, done.counters.bytes_written);
    EXPECT_GE(done.counters.wire_bytes, done.counters.bytes_received);
    EXPECT_EQ(ReadFile(dir_ / "dst/d/f299"), std::string(299 * 37, 'q'));
    EXPECT_EQ(ReadFile(dir_ / "dst/big"), std::string((33 << 20) + 5, 'B'));
  }
  std::unique_ptr<TestAgent> far_;
  std::unique_ptr<TestAgent> near_;
  std::vector<std::unique_ptr<DataServer>> servers_;
  std::shared_ptr<FaultPlan> far_plan_ = std::make_shared<FaultPlan>();
  uint32_t source_connections_ = 0;
};

TEST_F(TwoAgentsTest, DestinationConnectsAndPulls) {
  FillSource();
  OpenTwo(DataRoute::Kind::kConnect);
  CheckDestination(CopyAll());
  EXPECT_OK(destination_->End());
}

TEST_F(TwoAgentsTest, FileDataAndSocketTrafficAreRingOperations) {
  FillSource();
  OpenTwo(DataRoute::Kind::kConnect);
  if (far_->runtime()->backend() != "uring") GTEST_SKIP() << "io_uring is not usable here";
  CheckDestination(CopyAll());
  ASSERT_OK(destination_->End());
  const DriverCounters source = far_->runtime()->Counters();
  const DriverCounters destination = near_->runtime()->Counters();
  const auto submitted = [](const DriverCounters& counters, OpCode code) {
    return counters.submitted[static_cast<size_t>(code)];
  };
  const auto calls = [](const DriverCounters& counters, CallCode code) {
    return counters.calls[static_cast<size_t>(code)];
  };
  // 299 small files with contents, 34 pieces of the big one.
  EXPECT_GE(submitted(source, OpCode::kRead), 299u + 34u);
  EXPECT_EQ(calls(source, CallCode::kPread), 0u);
  EXPECT_GT(submitted(source, OpCode::kSend), 0u);
  EXPECT_GT(submitted(destination, OpCode::kRecv), 0u);
  EXPECT_GE(submitted(destination, OpCode::kWrite), 33u);
  // Small writes are inline by measurement (docs/engine.md): one for each small file, and the big one's last 5 bytes.
  EXPECT_EQ(calls(destination, CallCode::kPwrite), 299u + 1u);
}

TEST_F(TwoAgentsTest, SourceConnectsAndServes) {
  FillSource();
  OpenTwo(DataRoute::Kind::kAccept);
  CheckDestination(CopyAll());
  EXPECT_OK(destination_->End());
}

TEST_F(TwoAgentsTest, BrokenDataConnectionIsReplacedAndNothingIsLost) {
  FillSource();
  OpenTwo(DataRoute::Kind::kConnect);
  plan_->Fail(OpCode::kRecv, 40, ECONNRESET);
  plan_->Fail(OpCode::kRecv, 70, ECONNRESET);
  CheckDestination(CopyAll());
  EXPECT_EQ(plan_->injected(), 2u);
}

TEST_F(TwoAgentsTest, SourceThatIsGoneEndsTheSessionWithAnError) {
  FillSource();
  OpenTwo(DataRoute::Kind::kConnect);
  std::vector<DirectoryBatch> manifest = ReadManifest(source_.get());
  static_cast<void>(source_->End());
  servers_[0]->Stop();
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "big", manifest[0].entries[0])});
  destination_->Send(FinishApply{});
  SessionError error = destination_->Expect<SessionError>();
  EXPECT_EQ(error.kind, ErrorKind::kProtocol);
  EXPECT_THAT(error.message, testing::HasSubstr("data connection"));
}

TEST_F(TwoAgentsTest, RequestsAreServedOverAConnectionThatCameBackOnAnotherShard) {
  FillSource();
  source_connections_ = 1;
  OpenTwo(DataRoute::Kind::kAccept);
  // The only connection breaks again and again; the data server gives each new one to the next shard.
  for (uint64_t nth : {4, 7, 10}) far_plan_->Fail(OpCode::kRecv, nth, ECONNRESET);
  CheckDestination(CopyAll());
  EXPECT_GE(far_plan_->injected(), 1u);
}

}  // namespace
}  // namespace uringsync
