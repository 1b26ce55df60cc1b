#include "coordinator/cli/certs_command.h"

#include <string>

#include "coordinator/core/exit_code.h"
#include "engine/base/escape.h"
#include "engine/net/certificates.h"

namespace uringsync {

namespace {

int Failed(const absl::Status& status, Console* console) {
  console->Error("uringsync: " + std::string(status.message()));
  return static_cast<int>(status.code() == absl::StatusCode::kInvalidArgument ? ExitCode::kUsage : ExitCode::kFileIo);
}

int Revoke(const CertsOptions& options, Console* console) {
  const absl::StatusOr<RevokeResult> result =
      RevokeCertificates({.directory = options.directory, .names = options.revoked});
  if (!result.ok()) return Failed(result.status(), console);
  console->Line("revoked " + std::to_string(result->added) + ", " + std::to_string(result->entries) + " in all: " +
                EscapeName(result->list));
  console->Line("Copy it to every agent (--crl), in place of the one before: it is in force within seconds.");
  return console->Flush() ? 0 : static_cast<int>(ExitCode::kFileIo);
}

}  // namespace

int CertsCommand(const CertsOptions& options, Console* console) {
  if (options.revokes) return Revoke(options, console);
  InitOptions init;
  init.directory = options.directory;
  init.hosts = options.hosts;
  init.days = options.days;
  init.force = options.force;
  const absl::StatusOr<InitResult> result = InitCertificates(init);
  if (!result.ok()) return Failed(result.status(), console);
  const auto show = [console](const char* what, const CertificateFiles& files) {
    console->Line(std::string(what) + "  " + EscapeName(files.certificate) + "  " + EscapeName(files.key));
  };
  show(result->made_authority ? "made authority     " : "kept authority     ", result->authority);
  for (const CertificateFiles& files : result->kept) show("kept certificate   ", files);
  for (const CertificateFiles& files : result->issued) show("made certificate   ", files);
  const std::string directory = EscapeName(options.directory);
  console->Line("");
  console->Line("Each agent:    uringsync-agent --cert HOST.crt --key HOST.key --ca ca.crt --root NAME=DIRECTORY "
                "--allow WHO=NAME:VERBS");
  console->Line("This command:  uringsync sync --cert " + directory + "/cli.crt --key " + directory + "/cli.key --ca " +
                directory + "/ca.crt SRC agent://HOST/NAME");
  console->Line("Keep ca.key away from the agents: who has it can make certificates that every agent trusts.");
  return console->Flush() ? 0 : static_cast<int>(ExitCode::kFileIo);
}

}  // namespace uringsync
