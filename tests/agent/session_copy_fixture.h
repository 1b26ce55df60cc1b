// The fixture of session tests: one agent over a scratch directory with src and dst, and what a coordinator would send
// it.
//
// Use:  class SessionApplyTest : public SessionTest {};   TEST_F(SessionApplyTest, ...) { OpenBoth(); ... CopyAll(); }
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/agent/session_fixture.h"

namespace uringsync {

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
    OpenSession open = DestinationAtDst();
    open.durability = durability;
    OpenDestination(std::move(open));
  }
  // What OpenBoth asks of the destination, to be changed and given to OpenDestination, which puts the new session in
  // its place.
  static OpenSession DestinationAtDst() {
    OpenSession open = OpenFor(Role::kDestination, 2, "dst");
    open.route.kind = DataRoute::Kind::kLocal;
    open.route.peer_session = TestSessionId(1);
    return open;
  }
  void OpenDestination(OpenSession open) {
    destination_ = std::make_unique<TestSession>(agent_.get());
    ASSERT_OK(destination_->Handshake());
    destination_->Send(std::move(open));
    opened_ = destination_->Expect<SessionOpened>();
  }
  // A file of src's top, which replaces what has its name at dst.
  Action PutTop(const std::string& name) {
    if (top_.empty()) top_ = ReadManifest(source_.get())[0].entries;
    for (const Entry& entry : top_) {
      if (entry.name != name) continue;
      Action action = Add(ActionKind::kPutFile, name, entry);
      if (Exists("dst/" + name)) action.existing = DestinationEntry("", name);
      return action;
    }
    ADD_FAILURE() << "no " << name;
    return {};
  }
  struct stat Stat(const std::string& name) {
    struct stat found{};
    EXPECT_EQ(::lstat((dir_ / name).c_str(), &found), 0) << name;
    return found;
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
  std::vector<Entry> top_;
  uint64_t last_action_ = 0;
  uint64_t last_sequence_ = 0;
};

}  // namespace uringsync
