#include "coordinator/cli/rsync/plan_settings.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <variant>

#include "coordinator/cli/rsync/parse.h"
#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

using S = Settings;

// Not normalised: ".." behind a link is another directory.
std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path current = std::filesystem::current_path(error);
  return error ? path : (current / path).string();
}

const char* ProgramName(Command command) {
  switch (command) {
    case Command::kUrsync: return "ursync";
    case Command::kSync: return "sync";
    default: return "plan";
  }
}

absl::StatusOr<Command> ProgramOf(const std::string& name) {
  for (const Command command : {Command::kUrsync, Command::kSync, Command::kPlan}) {
    if (name == ProgramName(command)) return command;
  }
  return LinkError(ErrorKind::kUsage, "the plan was made by a program that is not known here: " + EscapeName(name));
}

// An endpoint as it is written in the plan; `typed`: as it was on the command line.
std::string Written(const Endpoint& endpoint, const std::string& typed) {
  if (endpoint.is_local()) return Absolute(typed);
  return endpoint.is_shell() ? endpoint.shell().Login() + ":" + endpoint.shell().path : typed;
}

// What says that a plan is made, and how that is told, is no part of it.
bool IsKept(const std::string& word) {
  return !word.starts_with("--plan-out=") && word != "--dry-run";
}

absl::StatusOr<Settings> ReadOptions(const PlanHeader& header) {
  US_ASSIGN_OR_RETURN(const Command command, ProgramOf(header.program));
  std::vector<const char*> words{header.program.c_str()};
  for (const std::string& option : header.options) words.push_back(option.c_str());
  Parsed parsed = ParseArguments(command, static_cast<int>(words.size()), words.data());
  if (const auto* error = std::get_if<GrammarError>(&parsed)) {
    return LinkError(ErrorKind::kUsage, "an option of the plan: " + error->text);
  }
  Settings settings = std::get<Settings>(std::move(parsed));
  if (!settings.operands.empty())
    return LinkError(ErrorKind::kUsage, "the plan has a word among its options that is none");
  // The choice of objects is made; the files that it was read from may be gone.
  settings.filters.clear();
  settings.files_from.reset();
  settings.cvs_exclude = settings.prune_empty_dirs = settings.dry_run = false;
  settings.plan_out.clear();
  settings.show.clear();
  return settings;
}

// Where `given` has something, it counts.
template <auto... Members>
void Override(const Settings& given, Settings* settings) {
  const Settings unset = Settings::For(given.command);
  ((given.*Members != unset.*Members ? static_cast<void>(settings->*Members = given.*Members) : static_cast<void>(0)),
   ...);
}

// How it runs, where the command line says so; when it ends, as the command line says.
void TakeRunning(const Settings& given, Settings* settings) {
  Override<&S::rsh, &S::far_program, &S::direct, &S::direct_port, &S::family, &S::jobs, &S::connections, &S::background,
           &S::compress, &S::compress_choice, &S::compress_level, &S::bwlimit, &S::durability, &S::resume, &S::wait,
           &S::timeout, &S::contimeout, &S::io_backend, &S::cert, &S::key, &S::ca,
           &S::crl>(given, settings);
  settings->stop_minutes = given.stop_minutes;
  settings->stop_at = given.stop_at;
  settings->preflight = given.preflight;
  // What was accepted when the plan was made stands in it.
  settings->allow_empty_source = given.allow_empty_source;
}

// What is told is told as the command line says.
void ForgetTelling(Settings* settings) {
  const Settings silent;
  settings->verbose = settings->itemize = 0;
  settings->quiet = settings->json = settings->stats = settings->list_only = false;
  settings->progress.reset();
  settings->out_format.reset();
  settings->log_file.clear();
  settings->log_file_format.reset();
  settings->info.clear();
  settings->human = silent.human;
}

}  // namespace

absl::Status DescribePlan(const Settings& settings, const std::string& source, const std::string& destination,
                          RunOptions* run) {
  if (settings.plan_out.empty()) return absl::OkStatus();
  if (settings.list_only) return LinkError(ErrorKind::kUsage, "--plan-out: a listing is no plan");
  const LinkFollowing& follows = run->request.follow_links;
  if (follows.all || follows.unsafe || follows.directories || run->request.keep_directory_links) {
    return LinkError(
        ErrorKind::kUsage,
        "--plan-out: what is found through symlinks cannot be looked at again object by object; plan without "
        "--copy-links, --copy-unsafe-links, --copy-dirlinks and --keep-dirlinks");
  }
  PlanOutput& output = run->plan_output.emplace();
  output.file = settings.plan_out;
  output.header.software = SoftwareName("uringsync");
  output.header.program = ProgramName(settings.command);
  output.header.source = Written(run->source, source);
  output.header.destination = Written(run->destination, destination);
  output.header.make_path = run->request.make_path;
  for (const std::string& word : settings.words) {
    if (IsKept(word)) output.header.options.push_back(word);
  }
  if (output.header.options.size() > kMaxPlanOptions)
    return LinkError(ErrorKind::kUsage, "--plan-out: too many options for a plan");
  output.operands = run->request.operands;
  for (SourceOperand& operand : output.operands) {
    if (run->source.is_local()) operand.base = Absolute(operand.base);
  }
  return absl::OkStatus();
}

absl::StatusOr<RunOptions> ToRunOptionsOfPlan(const PlanHeader& header, const std::vector<SourceOperand>& operands,
                                              const Settings& settings) {
  US_RETURN_IF_ERROR(CheckCombinations(settings));
  US_ASSIGN_OR_RETURN(Settings planned, ReadOptions(header));
  ForgetTelling(&planned);
  TakeRunning(settings, &planned);
  US_ASSIGN_OR_RETURN(const Endpoint source, ParseEndpoint(header.source));
  US_ASSIGN_OR_RETURN(const Endpoint destination, ParseEndpoint(header.destination));
  US_ASSIGN_OR_RETURN(RunOptions run, ToRunOptions(planned, source, destination));
  run.request.operands = operands;
  run.names_operands = !operands.empty();
  run.request.make_path = header.make_path;
  run.host_destination = header.make_path || source.is_shell();
  run.request.mode = settings.dry_run ? SyncMode::kPlan : SyncMode::kSync;
  run.output = {.verbose = settings.verbose > 0 || settings.dry_run,
                .quiet = settings.quiet,
                .json = settings.json,
                .stats = settings.stats,
                .progress = settings.progress};
  US_ASSIGN_OR_RETURN(run.output.rsync, ToTelling(settings));
  run.output.applies = settings.command == Command::kApply;
  return run;
}

}  // namespace uringsync
