// ControlPeer: who is at the other end of a control stream, as an agent sees it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace uringsync {

// Roots of an agent that a remote shell has started: the whole host, and the directory where the shell began.
constexpr std::string_view kFarHostRoot = "host";
constexpr std::string_view kFarHomeRoot = "home";

// The name of every peer of an agent that does without TLS (--insecure).
constexpr std::string_view kInsecurePeer = "insecure";

struct ControlPeer {
  // Transport address, e.g. "ipv4:10.0.0.7:51234"; "private" for an inherited socket.
  std::string address;
  // DNS, URI and IP names of the verified client certificate, in the certificate's order; its common name when it has
  // no such name; kInsecurePeer where there is no TLS; empty for a private agent. Bytes of the peer: escape before
  // printing.
  std::vector<std::string> identities;
  // That certificate as PEM; empty for a private agent.
  std::string certificate{};
  // The stream came over an inherited socket pair: the peer is the process that started this one.
  bool is_private = false;

  // All identities in one order, a line each: what a certificate has in common with the one that succeeds it.
  std::string Names() const;
  // First identity, or "private", or the address. Escaped, fit for a log.
  std::string Describe() const;
};

}  // namespace uringsync
