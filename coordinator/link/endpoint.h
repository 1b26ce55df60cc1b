// Endpoint: one side of a sync as the user names it.
//
//   PATH                                a directory of this host
//   agent://HOST[:PORT]/ROOT[/PATH]     below a named root of a running agent; PORT defaults to 7440
//   [USER@]HOST:PATH                    on a host where a remote shell starts the agent; PATH as it stands, relative to
//   where
//                                       the shell begins, nothing decoded. A ':' after the first '/' makes no host
//
// HOST may be an IPv6 address in brackets. ROOT and the components of PATH are percent-decoded one by one, so any byte
// but NUL and '/' can be written (%25 is a percent sign). Thread rule: values. Use:  US_ASSIGN_OR_RETURN(Endpoint
// source, ParseEndpoint(argv[1]));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "engine/base/rel_path.h"
#include "proto/grpc_control.h"

namespace uringsync {

constexpr uint16_t kDefaultAgentPort = kDefaultControlPort;

struct LocalEndpoint {
  std::string path;  // as given: relative to the working directory or absolute, symlinks not resolved
  friend bool operator==(const LocalEndpoint&, const LocalEndpoint&) = default;
};

struct AgentEndpoint {
  std::string host;  // name, IPv4 or IPv6 address (without brackets)
  uint16_t port = kDefaultAgentPort;
  std::string root;  // name of the root, at least one byte
  RelPath path;      // below it
  // "host:port", with brackets around an IPv6 address: what gRPC dials and what messages show.
  std::string Address() const;
  friend bool operator==(const AgentEndpoint&, const AgentEndpoint&) = default;
};

struct ShellEndpoint {
  std::string user;  // empty: whom the shell takes
  std::string host;  // as the shell is told it; an IPv6 address without brackets
  std::string path;  // bytes; empty: where the shell begins, the login directory
  // "user@host" for messages, escaped, with brackets around an IPv6 address.
  std::string Login() const;
  friend bool operator==(const ShellEndpoint&, const ShellEndpoint&) = default;
};

struct Endpoint {
  std::variant<LocalEndpoint, AgentEndpoint, ShellEndpoint> where;
  bool is_local() const { return std::holds_alternative<LocalEndpoint>(where); }
  bool is_agent() const { return std::holds_alternative<AgentEndpoint>(where); }
  bool is_shell() const { return std::holds_alternative<ShellEndpoint>(where); }
  const LocalEndpoint& local() const { return std::get<LocalEndpoint>(where); }
  const AgentEndpoint& agent() const { return std::get<AgentEndpoint>(where); }
  const ShellEndpoint& shell() const { return std::get<ShellEndpoint>(where); }
  // For messages: the path, or the agent:// form with the default port left out; names escaped.
  std::string Display() const;
};

// Fails with LinkError(kUsage, ...): an empty path, another scheme, rsync's daemon (HOST::MODULE, rsync://), a host or
// user that is empty or begins with '-', a missing root, a bad port or percent sequence, ".." or "." below the root.
// The text says what to write instead.
absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text);

}  // namespace uringsync
