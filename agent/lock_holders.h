// LockHolders: the destination sessions of an agent that hold the lock of their tree, and how those that have lost
// their coordinator make way for others.
//
// A session without a connection is kept because its coordinator may come back (agent/resumable_sessions.h). A
// coordinator that was killed does not, and leaves the same picture. So who comes with a certificate of the same names
// and wants the same tree is taken for its successor at once, and anybody else once kPatience has passed: such a session
// ends, and the tree is free as soon as its work has stopped.
//
// Thread rule: every method from any thread.
// Use:  LockHolders::Hold hold = holders.Add({.who = who, .root = id, .above = ancestors}, [this] { return stream->DetachedFor(); },
//                                            [this] { stream->Close(); });
//       if (holders.MakeWay({.who = who, .root = id, .above = ancestors}) == LockWay::kMade) ...   // wait, and try the lock again
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/entry.h"

namespace uringsync {

// A tree, and whom it is for.
struct LockClaim {
  std::string who;  // names of a certificate; empty: nobody's successor
  FileId root;
  std::vector<FileId> above;  // the directories over it
};

enum class LockWay : uint8_t {
  kNone,       // nobody here is in the way, or nobody who has to go
  kConnected,  // a session of the same names is in the way; its connection may be lost without anybody having noticed yet
  kMade,       // who is in the way has been told, and ends soon
};

class LockHolders {
 public:
  // How long a session without a connection is kept from coordinators of other names.
  static constexpr std::chrono::seconds kPatience{30};
  using DetachedFor = std::function<std::optional<std::chrono::milliseconds>()>;

  // A session in the list, until it goes. What it was made with is called only while it lives.
  class Hold {
   public:
    Hold() = default;
    ~Hold() { Release(); }
    Hold(Hold&& other) noexcept;
    Hold& operator=(Hold&& other) noexcept;
    void Release();

   private:
    friend class LockHolders;
    LockHolders* holders_ = nullptr;
    std::list<struct LockHolder>::iterator place_;
  };

  LockHolders();
  ~LockHolders();
  LockHolders(const LockHolders&) = delete;
  LockHolders& operator=(const LockHolders&) = delete;

  Hold Add(LockClaim claim, DetachedFor detached_for, std::function<void()> end);
  // Ends the sessions without a connection that are in the way of `claim` and have to make way for it.
  LockWay MakeWay(const LockClaim& claim);

 private:
  std::mutex mutex_;
  std::list<struct LockHolder> holders_;
};

}  // namespace uringsync
