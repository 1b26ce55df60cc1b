// Network: connections between simulated hosts, as sockets of drivers see them: bytes in order, late by what the seed
// says, whole or in pieces; cut, or held up while two hosts do not hear each other.
//
// Thread rule: one thread at a time (scheduler.h).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/scheduler.h"

struct sockaddr;

namespace uringsync::sim {

using HostId = int;

// Delays, and who does not hear whom.
class Weather {
 public:
  explicit Weather(Scheduler* scheduler);
  // How long something takes from here to there, now.
  Nanos Delay(HostId from, HostId to);
  // These two do not hear each other for so long.
  void Part(HostId a, HostId b, Nanos until) { parted_[Key(a, b)] = until; }
  Nanos parted_until(HostId a, HostId b) const;

 private:
  static std::pair<HostId, HostId> Key(HostId a, HostId b) { return {a < b ? a : b, a < b ? b : a}; }
  Scheduler* const scheduler_;
  Nanos latency_;
  Nanos jitter_;
  std::map<std::pair<HostId, HostId>, Nanos> parted_;
};

// What waits for a socket: called once, in no thread's name.
using SocketWaiter = std::function<void()>;

// One end of a connection, or a listener.
struct Socket : std::enable_shared_from_this<Socket> {
  HostId host = 0;
  ProcessId process = 0;
  uint16_t port = 0;
  HostId peer_host = 0;
  uint16_t peer_port = 0;
  bool listening = false;
  bool connected = false;
  std::deque<std::shared_ptr<Socket>> backlog;
  std::weak_ptr<Socket> peer;
  std::string arrived;     // bytes to be received
  uint64_t under_way = 0;  // bytes that this end sent and that have not arrived
  Nanos last_arrival = 0;  // of what this end sent: nothing overtakes
  bool no_more = false;    // the peer has ended its side
  int error = 0;           // the connection broke
  bool shut_read = false;
  bool shut_write = false;
  std::vector<SocketWaiter> waiters;  // for anything to happen
  void Happened();
};
using SocketPtr = std::shared_ptr<Socket>;

class Network {
 public:
  Network(Scheduler* scheduler, Weather* weather) : scheduler_(scheduler), weather_(weather) {}

  // Results are 0 or -errno.
  int Listen(const SocketPtr& socket, uint16_t port);
  // `done` gets 0 or -errno, later.
  void Connect(const SocketPtr& socket, HostId host, uint16_t port, std::function<void(int)> done);
  // Bytes taken, or -EAGAIN, -EPIPE, -ECONNRESET.
  int64_t Send(const SocketPtr& socket, const void* bytes, uint64_t count);
  // Bytes, 0 at the end, or -EAGAIN, -errno.
  int64_t Receive(const SocketPtr& socket, void* buffer, uint64_t count);
  void Shutdown(const SocketPtr& socket, bool read, bool write);
  void Close(const SocketPtr& socket);
  // Breaks every connection between two hosts.
  void Cut(HostId a, HostId b);
  // The process, and with `silent` its host, is gone: peers hear of it, or wait until they give up.
  void ProcessDied(ProcessId process, bool silent);
  // Connections between hosts now, listeners not counted.
  size_t connections() const;

 private:
  static void Break(const SocketPtr& socket, int error);
  void Later(const SocketPtr& from, std::function<void()> event);
  void Prune();

  Scheduler* const scheduler_;
  Weather* const weather_;
  std::vector<std::weak_ptr<Socket>> sockets_;
  std::map<std::pair<HostId, uint16_t>, std::weak_ptr<Socket>> listeners_;
  uint16_t next_port_ = 40000;
};

}  // namespace uringsync::sim
