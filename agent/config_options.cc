#include "agent/config_options.h"

#include <array>

namespace uringsync {

std::span<const OptionRow> AgentOptions() {
  static constexpr std::array kRows = {
      OptionRow{"listen", OptionKind::kText, "HOST:PORT",
                "where the control service listens (0.0.0.0:7440; port 0: any)"},
      OptionRow{"data-listen", OptionKind::kText, "HOST:PORT",
                "where data connections arrive (0.0.0.0:7441; port 0: any)"},
      OptionRow{"cert", OptionKind::kText, "FILE", "PEM certificate of this agent; 'uringsync certs init' makes one"},
      OptionRow{"key", OptionKind::kText, "FILE", "PEM private key of the certificate"},
      OptionRow{"ca", OptionKind::kText, "FILE", "PEM authority that signed the certificates of all peers"},
      OptionRow{"crl", OptionKind::kText, "FILE",
                "PEM revocation lists of the authority; 'uringsync certs revoke' makes one. Who is in one is refused"},
      OptionRow{"root", OptionKind::kList, "NAME=PATH[:ro]",
                "serve the directory PATH as NAME (repeatable); :ro forbids writing"},
      OptionRow{"allow", OptionKind::kList, "WHO=ROOT:VERBS",
                "let the holder of a certificate with the name WHO do this in ROOT (repeatable): read, write, delete, "
                "chown, device, all; '*' is everybody, or every root"},
      OptionRow{"io-backend", OptionKind::kText, "auto|uring|threads", "how files and sockets are driven (auto)"},
      OptionRow{"jobs", OptionKind::kNumber, "N", "event loops, each a thread (0: one for each usable core)"},
      OptionRow{"log-format", OptionKind::kText, "text|json", "form of the log on standard error (text)"},
      OptionRow{"log-level", OptionKind::kText, "debug|info|warn|error", "least level that is logged (info)"},
      OptionRow{"index", OptionKind::kSwitch, "",
                "keep a live index of every root: a sync with nothing to do takes a few messages"},
      OptionRow{"index-memory", OptionKind::kNumber, "MIB", "largest index of a root; beyond it there is none (100)"},
      OptionRow{"index-max-age", OptionKind::kNumber, "SECONDS",
                "read everything anew for the index after so long (86400)"},
      OptionRow{
          "session-hold", OptionKind::kNumber, "SECONDS",
          "keep a session for a command that has lost its connection for so long at most; 0: end it at once (600)"},
      OptionRow{"fake-super", OptionKind::kSwitch, "",
                "keep owners, devices, ACLs and the like in extended attributes, as rsync's --fake-super does"},
      OptionRow{"device-data", OptionKind::kSwitch, "",
                "let runs read and write what devices below the roots hold (--copy-devices, --write-devices)"},
      OptionRow{"confinement", OptionKind::kText, "auto|off|require",
                "give up what the agent has no use for: files outside of its roots, capabilities, system calls (auto: "
                "as far as the kernel goes)"},
      OptionRow{"insecure", OptionKind::kSwitch, "",
                "do without TLS and certificates, for tests: everybody on this host gets what --allow gives the name "
                "'insecure'. Listens on the loopback alone",
                false},
      OptionRow{"health", OptionKind::kSwitch, "", "offer the gRPC health service"},
      OptionRow{"reflection", OptionKind::kSwitch, "", "offer gRPC server reflection"},
      OptionRow{"ready-fd", OptionKind::kNumber, "N", "write 'control=PORT data=PORT' to this descriptor when ready",
                false},
      OptionRow{"background", OptionKind::kSwitch, "", "", false},
      OptionRow{"private-fd", OptionKind::kNumber, "N", "", false},
      OptionRow{"stdio", OptionKind::kSwitch, "",
                "speak to one peer over standard input and output; what a remote shell starts", false},
      OptionRow{"shell", OptionKind::kList, "FDS", "", false},
      OptionRow{"carry-only", OptionKind::kSwitch, "", "", false},
  };
  return kRows;
}

std::string EnvironmentName(std::string_view option) {
  std::string name = "URINGSYNC_AGENT_";
  for (const char c : option) name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

}  // namespace uringsync
