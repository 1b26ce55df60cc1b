// PrivateShells: the remote shells of a command's run, in the private agent that the command started for it.
//
// The command starts the shells, greets the far agents and inherits the pipes to this process, which from then on is
// the only one that reads and writes them: contents go from a shell straight to the local session, or from one shell to
// the other, and the command sees control messages only. Each control stream is a socket that the command holds the
// other end of.
//
// Thread rule: Start, Stop and destruction on the main thread.
// Use:  US_ASSIGN_OR_RETURN(ShellSpec spec, ParseShellSpec("4:5:6"));
//       US_ASSIGN_OR_RETURN(auto shells, PrivateShells::Start({.runtime = runtime, .shells = {spec}, .table =
//       &table}));
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/session_handler.h"
#include "proto/messages.h"

namespace uringsync {

constexpr size_t kMaxPrivateShells = 2;

// Inherited descriptors of one shell.
struct ShellSpec {
  int input = -1;   // its standard output
  int output = -1;  // its standard input
  std::vector<int>
      control;  // sockets, one for each control stream, which is opened when something comes; at most kMaxShellControls
};
constexpr size_t kMaxShellControls =
    3 + kMaxBasisDirectories;  // questions, the two sessions of a run within one host, bases
// "INPUT:OUTPUT:CONTROL[:CONTROL...]", numbers above 2. InvalidArgument shows the form.
absl::StatusOr<ShellSpec> ParseShellSpec(std::string_view text);

struct PrivateShellsOptions {
  Runtime* runtime = nullptr;
  std::vector<ShellSpec> shells;  // 1 or 2; with two, data streams of either are carried to the other
  SessionTable* table = nullptr;  // with one: of the sessions that its data streams are for
};

class PrivateShells {
 public:
  static absl::StatusOr<std::unique_ptr<PrivateShells>> Start(PrivateShellsOptions options);
  // Stops.
  ~PrivateShells();
  PrivateShells(const PrivateShells&) = delete;
  PrivateShells& operator=(const PrivateShells&) = delete;

  // For AgentContext::open_peer: to the first shell's far agent.
  OpenPeer PeerOpener();
  // Says goodbye to the far agents and ends everything. Idempotent.
  void Stop();

 private:
  struct State;
  explicit PrivateShells(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace uringsync
