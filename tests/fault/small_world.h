// SmallWorld: a small tree with one object of every kind in every relation (new, changed, equal, of another kind,
// gone), and whole runs over it in this process, through a driver that can be made to fail.
//
// Use:  SmallWorld world(IoBackend::kUring);  world.Reset();  world.plan().Fail(CallCode::kRenameat2, 2, EIO);
//       const WorldRun run = world.Sync();  EXPECT_EQ(world.Damage(), "");
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/roots.h"
#include "agent/session_table.h"
#include "coordinator/core/run.h"
#include "engine/ring/runtime.h"
#include "tests/support/fault_driver.h"
#include "tests/support/temp_dir.h"

namespace uringsync {

// What a name is: kind, mode, contents or target, time, attributes. Equal texts are equal objects.
using TreeText = std::map<std::string, std::string>;
TreeText ReadTree(const std::string& root);

struct WorldRun {
  SyncOutcome outcome;
  std::vector<Problem> problems;
};

class SmallWorld {
 public:
  explicit SmallWorld(IoBackend backend);
  ~SmallWorld();

  // The destination as it was in the beginning.
  void Reset();
  // One run with --delete, hard links and attributes kept; what batches publish is durable.
  WorldRun Sync(Durability durability = Durability::kBatch);

  FaultPlan& plan() { return *plan_; }
  const TreeText& source() const { return source_; }
  TreeText destination() const { return ReadTree(dir_ / "dst"); }
  // What no failure may do to the destination: a file that is neither wholly the old nor wholly the new one, something
  // that is gone although the source has it, something that nobody made. Empty: nothing. `strays`: temporaries are
  // damage too.
  std::string Damage(bool strays) const;
  // What the destination lacks of the source's tree. Empty: nothing.
  std::string Missing() const;

 private:
  class Silent;
  std::unique_ptr<Runtime> StartRuntime(IoBackend backend);

  TempDir dir_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Roots> roots_;
  SessionTable table_;
  TreeText source_;
  TreeText before_;
  uint8_t sessions_ = 0;
};

}  // namespace uringsync
