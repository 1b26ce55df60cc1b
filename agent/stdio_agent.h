// StdioAgent: the sessions of an agent that was started through a remote shell, over the mux on its standard input and
// output.
//
// Control streams are served like those of a port, each on a thread of its own; data streams go to their sessions. The
// peer is whoever was let in by the shell, so it is trusted as the starter of a private agent is.
//
// Thread rule: Start, Stop and destruction on the main thread.
// Use:  US_ASSIGN_OR_RETURN(PipeEnds ends, GreetOnStdio());
//       US_ASSIGN_OR_RETURN(auto agent, StdioAgent::Start({.runtime = runtime, .table = &table, .ends =
//       std::move(ends)})); SessionRunner runner({..., .open_peer = agent->PeerOpener()}); agent->Serve(&runner);
//       WaitForStop(agent->ended_fd());   agent->Stop();
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "agent/session_handler.h"
#include "agent/shell_channel.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

// Control streams served at once: questions, the two of a run within one host, one for each basis directory, and some
// for a peer that is left.
constexpr size_t kMaxShellSessions = 32;

// Says the mux's greeting on standard output and reads the peer's from standard input; both are replaced by descriptors
// that nothing reads or disturbs. InvalidArgument for a terminal, FailedPrecondition when the peer is no uringsync,
// Unavailable when it hangs up first, DeadlineExceeded when it says nothing for a minute.
absl::StatusOr<PipeEnds> GreetOnStdio();

struct StdioAgentOptions {
  Runtime* runtime = nullptr;
  SessionTable* table = nullptr;
  PipeEnds ends;
};

class StdioAgent {
 public:
  static absl::StatusOr<std::unique_ptr<StdioAgent>> Start(StdioAgentOptions options);
  // Stops.
  ~StdioAgent();
  StdioAgent(const StdioAgent&) = delete;
  StdioAgent& operator=(const StdioAgent&) = delete;

  // For AgentContext::open_peer.
  OpenPeer PeerOpener();
  // Reads from the channel and serves what the peer opens, from now on; once. `handler` outlives this object.
  absl::Status Serve(SessionHandler* handler);
  // A socket that hangs up when the channel has ended.
  int ended_fd() const;
  // How the channel ended; OK before it has, and after a goodbye.
  absl::Status end() const;
  // Interrupts every session, gives their peers kStopGrace to take it, and ends the channel. Idempotent.
  void Stop();

 private:
  struct State;
  explicit StdioAgent(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace uringsync
