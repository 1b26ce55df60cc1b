#include "coordinator/cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include "coordinator/cli/bench_flags.h"
#include "coordinator/cli/rsync/filter_settings.h"
#include "coordinator/cli/rsync/help.h"
#include "coordinator/cli/rsync/option_table.h"
#include "coordinator/cli/rsync/parse.h"
#include "coordinator/cli/rsync/suggest.h"
#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/certificates.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

constexpr char kEndpoints[] =
    "An endpoint is a directory of this host or agent://HOST[:PORT]/ROOT[/PATH], a directory below a named\n"
    "root of a running uringsync-agent. DST becomes equal to SRC: the tree below SRC goes below DST, with or\n"
    "without a trailing '/'.\n";
constexpr char kExitCodes[] =
    "Exit codes: 0 all as asked, 1 usage, 2 protocol version, 3 wrong source or destination, 11 file I/O or locked,\n"
    "12 agent or connection lost, 20 interrupted, 23 some objects failed (verify: differ), 24 some vanished,\n"
    "25 deletes left out (--max-delete, or SRC is not mounted as before), 30 time-out.\n";

// Help that shows of an option its names, its value and the variable that sets it; what excludes what is told when it
// happens.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string out;
    if (option->get_type_size() != 0) out += " " + option->get_type_name().substr(0, option->get_type_name().find(':'));
    if (!option->get_envname().empty()) out += " ($" + option->get_envname() + ")";
    return out;
  }
  std::string make_positionals(const CLI::App*) const override { return {}; }  // the footer explains them
};

struct App {
  CLI::App root{"uringsync makes a directory tree equal to another one, on this host or between hosts.", "uringsync"};
  BenchFlags bench;
  CertsOptions certs{.directory = {}, .hosts = {}, .days = kDefaultCertificateDays, .revoked = {}};
  DoctorOptions doctor;
  CLI::App* sync_command = nullptr;
  CLI::App* plan_command = nullptr;
  CLI::App* apply_command = nullptr;
  CLI::App* explain_command = nullptr;
  CLI::App* verify_command = nullptr;
  CLI::App* prove_command = nullptr;
  CLI::App* bench_command = nullptr;
  CLI::App* certs_command = nullptr;
  CLI::App* certs_init = nullptr;
  CLI::App* certs_revoke = nullptr;
  CLI::App* doctor_command = nullptr;
  bool version = false;
};

// sync, plan, apply, explain and verify are here for their names: what stands behind those is read by the option table
// (rsync/parse.h).
void AddRunCommands(App* app) {
  app->sync_command = app->root.add_subcommand("sync", "Make DST equal to SRC");
  app->plan_command = app->root.add_subcommand("plan", "Show what a sync would do, one line an object; change nothing");
  app->apply_command =
      app->root.add_subcommand("apply", "Carry out a plan that plan --plan-out wrote, as far as nothing changed since");
  app->explain_command =
      app->root.add_subcommand("explain", "Say why paths would be copied, left out, kept or deleted, and what differs");
  app->verify_command =
      app->root.add_subcommand("verify", "Compare two trees by content and metadata; list what differs");
  app->prove_command =
      app->root.add_subcommand("prove", "Write down what a tree is, to be checked later without another tree");

  app->bench_command =
      app->root.add_subcommand("bench", "Measure two endpoints and say what limits a sync between them");
  app->bench_command->footer(std::string("\n") + kEndpoints +
                             "\nEach part of a sync is measured alone, by the agents, with the code that syncs: "
                             "listing, reading, the way between the\n"
                             "hosts, writing, making and deleting small files, fsync. No file of either tree is "
                             "changed; what is written lies in a\n"
                             "temporary directory below DST and is removed.\n\n" +
                             kExitCodes);
  AddBenchFlags(app->bench_command, &app->bench);
}

void AddRevoke(App* app) {
  app->certs_revoke = app->certs_command->add_subcommand(
      "revoke", "Add certificates to the authority's revocation list, DIR/ca.crl");
  app->certs_revoke->add_option("DIR", app->certs.directory, "Directory that 'certs init' has made")->required();
  app->certs_revoke->add_option("NAME", app->certs.revoked,
                                "Name of a host, or 'cli', with all certificates that it was given; or the file of one "
                                "certificate. None: an empty list, or what is there anew");
  app->certs_revoke->footer(
      "\nGive DIR/ca.crl to every agent (--crl), in place of the one before: it is in force within seconds, and sessions "
      "of\nwho is in it end. 'certs init' with the same host makes a new certificate with a new key.\n\n"
      "Example:\n"
      "  uringsync certs revoke ~/certs beta.example\n");
}

void AddOtherCommands(App* app) {
  app->certs_command = app->root.add_subcommand("certs", "Make certificates for mutual TLS");
  app->certs_command->require_subcommand(0, 1);
  app->certs_init = app->certs_command->add_subcommand(
      "init", "Make a small certificate authority in DIR, a client certificate 'cli' and one certificate a host");
  app->certs_init->add_option("DIR", app->certs.directory, "Directory of the files; made when missing")->required();
  app->certs_init
      ->add_option("--host", app->certs.hosts,
                   "Name or address of a host; more names of the same host after commas. Repeatable")
      ->take_all()
      ->allow_extra_args(false)
      ->required();
  app->certs_init->add_option("--days", app->certs.days, "Validity of the certificates in days")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  app->certs_init->add_flag("--force", app->certs.force, "New authority and new certificates, in place of good ones");
  app->certs_init->footer(
      "\nSafe to repeat: what is there and good is kept, what is about to expire or misses a name is renewed.\n\n"
      "Example:\n"
      "  uringsync certs init ~/certs --host alpha.example,10.0.0.5 --host beta.example\n"
      "then on alpha:\n"
      "  uringsync-agent --cert alpha.example.crt --key alpha.example.key --ca ca.crt --root data=/srv/data\n"
      "and here:\n"
      "  uringsync sync --cert ~/certs/cli.crt --key ~/certs/cli.key --ca ~/certs/ca.crt SRC \\\n"
      "      agent://alpha.example/data\n");
  AddRevoke(app);

  app->doctor_command =
      app->root.add_subcommand("doctor", "Check kernel, io_uring, limits, capabilities and the file systems of paths");
  app->doctor_command->add_option("PATH", app->doctor.paths, "Directories whose file system is looked at");
  app->doctor_command->add_flag("--json", app->doctor.json, "One JSON object");
  app->doctor_command->footer("\nExit 0: nothing is bad. Exit 23: something is bad; each finding says what to do.\n");
}

std::unique_ptr<App> MakeApp() {
  auto app = std::make_unique<App>();
  app->root.require_subcommand(0, 1);
  app->root.add_flag("--version", app->version, "Print the version");
  app->root.footer(
      std::string("\n") + kEndpoints +
      "\n'uringsync COMMAND --help' tells more about a command. 'uringsync doctor' tells what this host offers.\n");
  AddRunCommands(app.get());
  AddOtherCommands(app.get());
  // Unknown options are collected and answered with the nearest known one.
  for (CLI::App* command : {static_cast<CLI::App*>(&app->root), app->sync_command, app->plan_command,
                            app->apply_command, app->explain_command, app->verify_command, app->prove_command,
                            app->bench_command, app->certs_command, app->certs_init, app->certs_revoke,
                            app->doctor_command}) {
    command->allow_extras();
    command->formatter(std::make_shared<HelpFormatter>());
    command->get_formatter()->column_width(34);
  }
  return app;
}

std::string FullName(const CLI::App* command) {
  if (command->get_parent() == nullptr) return command->get_name();
  return FullName(command->get_parent()) + " " + command->get_name();
}

absl::Status Usage(const CLI::App* command, std::string_view reason) {
  return LinkError(ErrorKind::kUsage, std::string(reason) + "\nTry '" + FullName(command) + " --help'.");
}

// The command that the arguments chose, the innermost one.
const CLI::App* Chosen(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::optional<Command> RunKind(std::string_view command) {
  if (command == "sync") return Command::kSync;
  if (command == "plan") return Command::kPlan;
  if (command == "apply") return Command::kApply;
  if (command == "explain") return Command::kExplain;
  if (command == "verify") return Command::kVerify;
  if (command == "prove") return Command::kProve;
  return std::nullopt;
}

std::vector<std::string> OptionNames(const CLI::App* command) {
  if (const std::optional<Command> kind = RunKind(command->get_name())) return KnownOptions(*kind);
  std::vector<std::string> names;
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::vector<std::string> CommandNames(const CLI::App* app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

absl::Status ExplainExtra(const CLI::App* command, std::string word) {
  const bool is_option = word.size() > 1 && word.front() == '-';
  if (is_option) word = word.substr(0, word.find('='));
  const std::vector<std::string> commands = CommandNames(command);
  const bool wants_command = !is_option && !commands.empty();
  std::string text = wants_command ? "unknown command '" : is_option ? "unknown option '" : "unexpected argument '";
  text += EscapeName(word) + "'";
  const std::vector<std::string> known = is_option ? OptionNames(command) : commands;
  // The command has it, so it stood before the command's name: nothing else is left over.
  if (is_option && std::find(known.begin(), known.end(), word) != known.end()) {
    const std::string name = FullName(command);
    return Usage(command, "option '" + EscapeName(word) + "' must come after the command: '" + name + " " +
                              EscapeName(word) + " ...'");
  }
  // Between options of one letter everything is near.
  const bool short_option = is_option && word.size() == 2;
  const std::optional<std::string> nearest = short_option ? std::nullopt : NearestWord(word, known);
  if (nearest.has_value()) text += "; did you mean '" + *nearest + "'?";
  return Usage(command, text);
}

absl::StatusOr<CommandLine> Collect(App* app) {
  const CLI::App* chosen = Chosen(&app->root);
  for (const std::string& extra : app->root.remaining(true)) {
    if (extra != "--") return ExplainExtra(chosen, extra);  // CLI11 counts the mark itself among what is left over
  }
  if (app->version) {
    return TextAnswer{"uringsync " + std::string(SoftwareVersion()) + " (protocol " + std::to_string(kProtocolVersion) +
                      ")\n"};
  }
  if (app->bench_command->parsed()) {
    absl::StatusOr<BenchOptions> bench = ToBenchOptions(app->bench);
    if (!bench.ok()) return Usage(app->bench_command, ToStd(bench.status().message()));
    return *std::move(bench);
  }
  app->certs.revokes = app->certs_revoke->parsed();
  if (app->certs_init->parsed() || app->certs_revoke->parsed()) return app->certs;
  if (app->doctor_command->parsed()) return app->doctor;
  return Usage(chosen, chosen == app->certs_command
                           ? "certs needs a command: init or revoke"
                           : "a command is missing: sync, plan, apply, explain, verify, prove, bench, certs, doctor");
}

// `usage` makes a usage error.
template <typename Usage>
absl::StatusOr<CommandLine> ToPlanFileOptions(const Settings& settings, const Usage& usage) {
  PlanFileOptions options{.settings = settings, .file = settings.show};
  if (settings.command == Command::kApply) {
    if (settings.operands.empty()) return usage("FILE is missing");
    if (settings.operands.size() > 1) return usage("unexpected argument '" + EscapeName(settings.operands[1]) + "'");
    options.file = settings.operands.front();
    return options;
  }
  if (!settings.operands.empty()) return usage("--show takes no SRC and DST: they stand in the plan");
  options.settings.dry_run = true;
  return options;
}

// A path as it was asked for: below SRC, or with SRC or DST in front.
absl::StatusOr<RelPath> AskedPath(std::string path, const std::vector<std::string>& operands) {
  const auto without_slashes = [](std::string text) {
    while (text.size() > 1 && text.back() == '/') text.pop_back();
    return text;
  };
  path = without_slashes(path);
  for (size_t i = 0; i < 2; ++i) {
    const std::string above = without_slashes(operands[i]) + "/";
    if (path + "/" == above) return RelPath();
    if (path.starts_with(above)) return RelPath::Parse(path.substr(above.size()));
  }
  while (path.starts_with("./")) path.erase(0, 2);
  return path == "." ? RelPath() : RelPath::Parse(path);
}

template <typename Usage>
absl::StatusOr<CommandLine> ToExplainOptions(Settings settings, const Usage& usage) {
  if (settings.operands.size() < 3) return usage("SRC, DST and at least one PATH belong there");
  ExplainOptions options;
  for (size_t i = 2; i < settings.operands.size(); ++i) {
    if (settings.operands[i].empty()) return usage("a PATH is empty; '.' is the root");
    const absl::StatusOr<RelPath> path = AskedPath(settings.operands[i], settings.operands);
    if (!path.ok())
      return usage("'" + EscapeName(settings.operands[i]) +
                   "' is no path below SRC: " + std::string(ToStd(path.status().message())));
    if (std::find(options.paths.begin(), options.paths.end(), *path) == options.paths.end())
      options.paths.push_back(*path);
  }
  settings.operands.resize(2);
  absl::StatusOr<RunOptions> run = ToRunOptions(settings);
  if (!run.ok()) return usage(ToStd(run.status().message()));
  options.run = *std::move(run);
  absl::StatusOr<std::vector<ExpandedRule>> placed = ReadFiltersWithPlaces(settings);
  if (!placed.ok()) return usage(ToStd(placed.status().message()));
  options.run.placed_filters = *std::move(placed);
  return options;
}

// A destination that is never looked at and that no tree is taken for.
constexpr char kNowhere[] = "/.uringsync-nowhere";

// What is given beside --proof has to mean something there.
std::string StrangerToProof(const Settings& settings) {
  for (const std::string& word : settings.words) {
    std::string name = word.substr(0, word.find('='));
    name.erase(0, name.starts_with("--no-") ? 5 : 2);
    const auto is_it = [&name](const OptionRow& row) {
      return row.IsFor(Command::kVerify) && row.name != nullptr &&
             (row.name == name || std::string(1, row.letter) == name);
    };
    bool fits = name == "proof";
    for (const OptionGroup& group : OptionTable()) {
      const auto row = std::find_if(group.rows.begin(), group.rows.end(), is_it);
      fits = fits || (row != group.rows.end() && row->IsForProof());
    }
    if (!fits) return word;
  }
  return {};
}

template <typename Usage>
absl::StatusOr<CommandLine> ToProofOptions(Settings settings, const Usage& usage) {
  ProofOptions options{.file = settings.out, .check = settings.command == Command::kVerify};
  if (options.check) options.file = settings.proof;
  if (options.file.empty()) return usage("--out=FILE is missing");
  if (settings.operands.empty()) return usage("DIR is missing");
  if (settings.operands.size() > 1) return usage("unexpected argument '" + EscapeName(settings.operands[1]) + "'");
  const std::string stranger = options.check ? StrangerToProof(settings) : std::string();
  if (!stranger.empty()) return usage(EscapeName(stranger) + " means nothing with --proof");
  // One tree; the other end of a run is not looked at.
  settings.operands.emplace_back(kNowhere);
  settings.command = Command::kVerify;
  absl::StatusOr<RunOptions> run = ToRunOptions(settings);
  if (!run.ok()) return usage(ToStd(run.status().message()));
  options.run = *std::move(run);
  return options;
}

// `argv` begins with the command.
absl::StatusOr<CommandLine> ParseRun(Command command, int argc, const char* const* argv) {
  const auto usage = [argv](std::string_view reason) {
    return LinkError(ErrorKind::kUsage, std::string(reason) + "\nTry 'uringsync " + argv[0] + " --help'.");
  };
  Parsed parsed = ParseArguments(command, argc, argv);
  if (const auto* error = std::get_if<GrammarError>(&parsed)) return usage(error->text);
  const Settings& settings = std::get<Settings>(parsed);
  if (settings.help) return TextAnswer{HelpText(command)};
  if (settings.info_help) return TextAnswer{InfoLevels::Help()};
  if (command == Command::kExplain) return ToExplainOptions(settings, usage);
  if (command == Command::kProve || !settings.proof.empty()) return ToProofOptions(settings, usage);
  if (command == Command::kApply || !settings.show.empty()) return ToPlanFileOptions(settings, usage);
  absl::StatusOr<RunOptions> run = ToRunOptions(settings);
  if (!run.ok()) return usage(ToStd(run.status().message()));
  return *std::move(run);
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv) {
  if (argc > 1) {
    if (const std::optional<Command> command = RunKind(argv[1])) return ParseRun(*command, argc - 1, argv + 1);
  }
  std::unique_ptr<App> app = MakeApp();
  try {
    app->root.parse(argc, argv);
    return Collect(app.get());
  } catch (const CLI::CallForHelp&) {
    return TextAnswer{app->root.help()};
  } catch (const CLI::RequiredError& error) {
    // A mistyped option explains a missing argument better than its absence does.
    for (const std::string& extra : app->root.remaining(true)) {
      if (extra.size() > 1 && extra.front() == '-' && extra != "--") return ExplainExtra(Chosen(&app->root), extra);
    }
    return Usage(Chosen(&app->root), EscapeName(error.what()));
  } catch (const CLI::ParseError& error) {
    return Usage(Chosen(&app->root), EscapeName(error.what()));
  }
}

}  // namespace uringsync
