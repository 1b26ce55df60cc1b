#include "coordinator/link/endpoint.h"

#include <charconv>
#include <optional>
#include <utility>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr std::string_view kAgentScheme = "agent://";
constexpr size_t kMaxHostBytes = 255;

absl::Status Bad(std::string_view text, std::string_view reason) {
  return LinkError(ErrorKind::kUsage, "endpoint '" + EscapeName(text) + "': " + std::string(reason));
}

std::optional<int> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// nullopt where a '%' is not followed by two hex digits.
std::optional<std::string> PercentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const std::optional<int> high = HexDigit(text[i + 1]);
    const std::optional<int> low = HexDigit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    out.push_back(static_cast<char>(*high * 16 + *low));
    i += 2;
  }
  return out;
}

struct Authority {
  std::string host;
  uint16_t port = kDefaultAgentPort;
};

bool IsHostByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

absl::StatusOr<Authority> ParseAuthority(std::string_view text, std::string_view authority) {
  Authority out;
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return Bad(text, "'[' without ']' around the IPv6 address");
    out.host = std::string(authority.substr(1, close - 1));
    for (char c : out.host) {
      if (!HexDigit(c) && c != ':' && c != '.' && c != '%') return Bad(text, "no IPv6 address between the brackets");
    }
    if (out.host.find(':') == std::string::npos) return Bad(text, "no IPv6 address between the brackets");
    std::string_view rest = authority.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return Bad(text, "only :PORT may follow ']'");
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return Bad(text, "the port after ':' is missing");
  } else {
    const size_t colon = authority.find(':');
    out.host = std::string(authority.substr(0, colon));
    if (colon != std::string_view::npos) {
      port = authority.substr(colon + 1);
      if (port.find(':') != std::string_view::npos)
        return Bad(text, "write an IPv6 address in brackets: agent://[::1]/ROOT");
      if (port.empty()) return Bad(text, "the port after ':' is missing");
    }
    if (out.host.find('@') != std::string::npos) {
      return Bad(text, "an agent endpoint has no user; the client certificate says who you are (--cert, --key)");
    }
    for (char c : out.host) {
      if (!IsHostByte(c)) return Bad(text, "the host holds a character that no host name has");
    }
  }
  if (out.host.empty()) return Bad(text, "the host is missing: agent://HOST[:PORT]/ROOT[/PATH]");
  if (out.host.size() > kMaxHostBytes) return Bad(text, "the host name is longer than 255 bytes");
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (error != std::errc() || end != port.data() + port.size() || out.port == 0) {
      return Bad(text, "the port must be a number from 1 to 65535");
    }
  }
  return out;
}

absl::StatusOr<Endpoint> ParseAgent(std::string_view text) {
  const std::string_view rest = text.substr(kAgentScheme.size());
  const size_t slash = rest.find('/');
  US_ASSIGN_OR_RETURN(Authority authority, ParseAuthority(text, rest.substr(0, slash)));
  AgentEndpoint agent;
  agent.host = std::move(authority.host);
  agent.port = authority.port;
  std::string_view path = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  while (!path.empty()) {
    const size_t end = path.find('/');
    const std::string_view raw = path.substr(0, end);
    path = end == std::string_view::npos ? std::string_view() : path.substr(end + 1);
    if (raw.empty()) {
      if (agent.root.empty()) break;
      continue;  // "a//b" and a trailing slash mean the same directory, as in every path
    }
    std::optional<std::string> name = PercentDecode(raw);
    if (!name) return Bad(text, "'%' must be followed by two hex digits (%25 is a percent sign)");
    if (absl::Status valid = ValidateName(*name); !valid.ok()) return Bad(text, ToStd(valid.message()));
    if (agent.root.empty()) {
      agent.root = *std::move(name);
    } else {
      agent.path = agent.path.Child(*name);
    }
  }
  if (agent.root.empty()) {
    return Bad(text,
               "the root is missing: agent://HOST[:PORT]/ROOT[/PATH], ROOT as in the agent's --root ROOT=DIRECTORY");
  }
  return Endpoint{std::move(agent)};
}

// The scheme of "scheme://...", empty where there is none.
std::string_view SchemeOf(std::string_view text) {
  const size_t end = text.find("://");
  if (end == std::string_view::npos || end == 0) return {};
  for (char c : text.substr(0, end)) {
    if (!IsHostByte(c) && c != '+') return {};
  }
  return text.substr(0, end);
}

// Bytes that would change the meaning of an agent:// text when written as they are.
std::string PercentEncode(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c == '%') {
      out += "%25";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

// Where the ':' after a host is; nullopt for a local path. An IPv6 address in brackets has ':' of its own.
std::optional<size_t> HostEnd(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view head = text.substr(0, slash);
  const size_t at = head.find('@');
  const size_t host = at == std::string_view::npos ? 0 : at + 1;
  size_t from = 0;
  if (host < head.size() && head[host] == '[') {
    const size_t close = head.find("]:", host);
    if (close != std::string_view::npos) from = close;
  }
  const size_t colon = head.find(':', from);
  if (colon == std::string_view::npos) return std::nullopt;
  return colon;
}

absl::StatusOr<Endpoint> ParseShell(std::string_view text, size_t colon) {
  ShellEndpoint shell;
  std::string_view host = text.substr(0, colon);
  shell.path = std::string(text.substr(colon + 1));
  if (const size_t at = host.rfind('@'); at != std::string_view::npos) {
    shell.user = std::string(host.substr(0, at));
    host.remove_prefix(at + 1);
    if (shell.user.empty()) return Bad(text, "the user before '@' is missing");
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  shell.host = std::string(host);
  if (!shell.path.empty() && shell.path.front() == ':') {
    return Bad(
        text,
        "'::' is rsync's daemon, which is not spoken here; write HOST:PATH for a remote shell, or agent://HOST/ROOT");
  }
  if (host.empty()) return Bad(text, "the host before ':' is missing; for a local path write ./" + EscapeName(text));
  if (host.size() > kMaxHostBytes) return Bad(text, "the host name is longer than 255 bytes");
  // It would be an option of the shell.
  if (host.front() == '-' || (!shell.user.empty() && shell.user.front() == '-')) {
    return Bad(text, "a host or user cannot begin with '-'; for a local path write ./" + EscapeName(text));
  }
  return Endpoint{std::move(shell)};
}

}  // namespace

std::string ShellEndpoint::Login() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return EscapeName((user.empty() ? "" : user + "@") + (ipv6 ? "[" + host + "]" : host));
}

std::string AgentEndpoint::Address() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string Endpoint::Display() const {
  if (is_local()) return EscapeName(local().path);
  if (is_shell()) return shell().Login() + ":" + EscapeName(shell().path);
  const AgentEndpoint& to = agent();
  const bool ipv6 = to.host.find(':') != std::string::npos;
  std::string out(kAgentScheme);
  out += ipv6 ? "[" + to.host + "]" : to.host;
  if (to.port != kDefaultAgentPort) out += ":" + std::to_string(to.port);
  out += "/" + EscapeName(PercentEncode(to.root));
  if (!to.path.is_root()) out += "/" + EscapeName(PercentEncode(to.path.text()));
  return out;
}

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text) {
  if (text.empty()) return LinkError(ErrorKind::kUsage, "an endpoint is empty; write '.' for the working directory");
  if (text.find('\0') != std::string_view::npos) return Bad(text, "a path cannot hold a NUL byte");
  if (text.substr(0, kAgentScheme.size()) == kAgentScheme) return ParseAgent(text);
  if (const std::string_view scheme = SchemeOf(text); !scheme.empty()) {
    if (scheme == "rsync") {
      return Bad(text, "rsync's daemon is not spoken here; write HOST:PATH for a remote shell, or agent://HOST/ROOT");
    }
    return Bad(
        text, "'" + EscapeName(scheme) + "://' is not known; write PATH, HOST:PATH or agent://HOST[:PORT]/ROOT[/PATH]");
  }
  if (const std::optional<size_t> colon = HostEnd(text)) return ParseShell(text, *colon);
  return Endpoint{LocalEndpoint{std::string(text)}};
}

}  // namespace uringsync
