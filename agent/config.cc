#include "agent/config.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>

#include "agent/config_options.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

absl::Status Bad(const Setting& setting, std::string_view what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, setting.origin + ": " + std::string(what));
}

// What the flags say; `output` for --help and --version.
struct Flags {
  Settings settings;
  std::string config_file;
  std::string config_origin;
  std::string output;
};

absl::StatusOr<Flags> ParseFlags(const std::vector<std::string>& arguments) {
  Flags flags;
  CLI::App app{"Serves directories of this host to uringsync over mutual TLS.", "uringsync-agent"};
  bool version = false;
  app.add_flag("--version", version, "print the version and end");
  app.add_option("--config", flags.config_file, "TOML file with the same names as these flags")->type_name("FILE");
  std::map<std::string, std::vector<std::string>, std::less<>> values;
  for (const OptionRow& row : AgentOptions()) {
    const std::string name = "--" + std::string(row.name);
    if (row.kind == OptionKind::kSwitch) {
      CLI::Option* flag = app.add_flag_callback(
          name, [&values, row] { values[std::string(row.name)] = {"true"}; }, std::string(row.help));
      if (row.help.empty()) flag->group("");
      continue;
    }
    CLI::Option* option = app.add_option(name, values[std::string(row.name)], std::string(row.help));
    option->type_name(std::string(row.value_name))->allow_extra_args(false);
    if (row.kind != OptionKind::kList) option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    if (row.help.empty()) option->group("");
  }
  app.footer(
      "Each flag but --ready-fd may also be set by an environment variable (URINGSYNC_AGENT_DATA_LISTEN for "
      "--data-listen;\n"
      "several roots one a line) or in the file; flags win over variables, variables over the file.");
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // the order that CLI11 wants
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    flags.output = app.help();
    return flags;
  } catch (const CLI::ParseError& error) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, EscapeName(error.what()) + "; see uringsync-agent --help");
  }
  if (version) flags.output = SoftwareName("uringsync-agent") + "\n";
  if (!flags.config_file.empty()) flags.config_origin = "--config";
  for (auto& [name, list] : values) {
    if (!list.empty()) flags.settings[name] = {std::move(list), "--" + name};
  }
  return flags;
}

std::vector<std::string> SplitLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (!line.empty()) lines.emplace_back(line);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

// An empty variable counts as not set.
Settings ReadEnvironment(const Environment& environment) {
  Settings settings;
  for (const OptionRow& row : AgentOptions()) {
    if (!row.in_file) continue;
    const std::string name = EnvironmentName(row.name);
    const char* value = environment(name.c_str());
    if (value == nullptr || *value == '\0') continue;
    std::vector<std::string> values =
        row.kind == OptionKind::kList ? SplitLines(value) : std::vector<std::string>{value};
    if (!values.empty()) settings[std::string(row.name)] = {std::move(values), name};
  }
  return settings;
}

absl::StatusOr<Settings> ReadFile(const std::string& path, const std::string& origin) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoStatus(errno, origin + ": " + EscapeName(path));
  std::string text(kMaxConfigFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return ErrnoStatus(errno, origin + ": " + EscapeName(path));
  text.resize(static_cast<size_t>(file.gcount()));
  return ParseConfigText(text, path);
}

const Setting* FindSetting(const Settings& settings, std::string_view name) {
  const auto found = settings.find(name);
  return found == settings.end() ? nullptr : &found->second;
}

// Each sets `out` where the setting is there.
absl::Status ReadText(const Settings& settings, std::string_view name, std::string* out) {
  if (const Setting* setting = FindSetting(settings, name)) *out = setting->values.front();
  return absl::OkStatus();
}

absl::Status ReadNumber(const Settings& settings, std::string_view name, uint32_t max, uint32_t* out) {
  const Setting* setting = FindSetting(settings, name);
  if (setting == nullptr) return absl::OkStatus();
  const std::string& text = setting->values.front();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (error != std::errc() || end != text.data() + text.size() || *out > max) {
    return Bad(*setting, "\"" + EscapeName(text) + "\" is no number from 0 to " + std::to_string(max));
  }
  return absl::OkStatus();
}

absl::Status ReadDescriptor(const Settings& settings, std::string_view name, int* out) {
  if (FindSetting(settings, name) == nullptr) return absl::OkStatus();
  uint32_t number = 0;
  US_RETURN_IF_ERROR(ReadNumber(settings, name, 1 << 20, &number));
  *out = static_cast<int>(number);
  return absl::OkStatus();
}

absl::Status ReadSwitch(const Settings& settings, std::string_view name, bool* out) {
  const Setting* setting = FindSetting(settings, name);
  if (setting == nullptr) return absl::OkStatus();
  const std::string& text = setting->values.front();
  if (text != "true" && text != "1" && text != "false" && text != "0") {
    return Bad(*setting, "\"" + EscapeName(text) + "\" is neither true nor false");
  }
  *out = text == "true" || text == "1";
  return absl::OkStatus();
}

// Any value with a parser that returns StatusOr<T>.
template <typename T, typename Parse>
absl::Status ReadParsed(const Settings& settings, std::string_view name, T* out, Parse parse) {
  const Setting* setting = FindSetting(settings, name);
  if (setting == nullptr) return absl::OkStatus();
  auto parsed = parse(setting->values.front());
  if (!parsed.ok()) return Bad(*setting, ToStd(parsed.status().message()));
  *out = *std::move(parsed);
  return absl::OkStatus();
}

absl::Status ReadRoots(const Settings& settings, bool required, std::vector<RootSpec>* roots) {
  const Setting* setting = FindSetting(settings, "root");
  if (setting == nullptr || setting->values.empty()) {
    // The command that started a private agent may name paths instead.
    if (!required) return absl::OkStatus();
    return absl::InvalidArgumentError("there is nothing to serve: give --root NAME=PATH, e.g. --root data=/srv/data");
  }
  for (const std::string& text : setting->values) {
    absl::StatusOr<RootSpec> root = ParseRootSpec(text);
    if (!root.ok()) return Bad(*setting, ToStd(root.status().message()));
    roots->push_back(*std::move(root));
  }
  return absl::OkStatus();
}

// Nobody is let in by default, so an agent that was told of nobody would serve nobody.
absl::Status ReadGrants(const Settings& settings, bool required, AgentConfig* config) {
  const Setting* setting = FindSetting(settings, "allow");
  if (setting == nullptr || setting->values.empty()) {
    if (!required) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "nobody would be let in: give --allow WHO=ROOT:VERBS, e.g. --allow cli=data:read; --allow '*=*:all' lets "
        "everybody with a certificate of the authority do everything");
  }
  for (const std::string& text : setting->values) {
    absl::StatusOr<Grant> grant = ParseGrant(text);
    if (!grant.ok()) return Bad(*setting, ToStd(grant.status().message()));
    const bool known =
        grant->root == kAnybody || std::any_of(config->roots.begin(), config->roots.end(),
                                               [&](const RootSpec& root) { return root.name == grant->root; });
    if (!known) return Bad(*setting, "\"" + EscapeName(text) + "\": there is no root of that name");
    config->grants.push_back(*std::move(grant));
  }
  return absl::OkStatus();
}

// What only the command that starts this process says.
absl::Status ReadShells(const Settings& settings, AgentConfig* config) {
  US_RETURN_IF_ERROR(ReadSwitch(settings, "stdio", &config->stdio));
  if (config->stdio && config->private_fd >= 0)
    return absl::InvalidArgumentError("--stdio and --private-fd exclude each other");
  US_RETURN_IF_ERROR(ReadSwitch(settings, "carry-only", &config->carry_only));
  const Setting* shells = FindSetting(settings, "shell");
  if (shells == nullptr) return absl::OkStatus();
  if (config->private_fd < 0 || shells->values.size() > kMaxPrivateShells) {
    return Bad(*shells, "is for a private agent, at most twice");
  }
  for (const std::string& text : shells->values) {
    absl::StatusOr<ShellSpec> spec = ParseShellSpec(text);
    if (!spec.ok()) return Bad(*shells, ToStd(spec.status().message()));
    config->shells.push_back(*std::move(spec));
  }
  return absl::OkStatus();
}

constexpr char kLoopback[] = "127.0.0.1";

// Whoever calls is taken for kInsecurePeer then.
absl::Status CheckInsecure(const AgentConfig& config) {
  if (config.private_fd >= 0 || config.stdio)
    return absl::InvalidArgumentError("--insecure is of an agent that listens");
  const ControlTlsFiles& tls = config.tls;
  if (!tls.cert.empty() || !tls.key.empty() || !tls.ca.empty() || !tls.crl.empty())
    return absl::InvalidArgumentError(
        "--insecure does without certificates: leave out it, or --cert, --key, --ca, --crl");
  for (const auto& [where, option] : {std::pair{&config.listen, "--listen"}, {&config.data_listen, "--data-listen"}}) {
    US_ASSIGN_OR_RETURN(const std::vector<SocketAddress> addresses,
                        ResolveBlocking(where->host, where->port, ResolvePurpose::kListen));
    for (const SocketAddress& address : addresses) {
      if (address.IsLoopback()) continue;
      return MakeStatus(absl::StatusCode::kInvalidArgument, "an agent without TLS listens on the loopback alone, and " +
                                                                std::string(option) + " is " + address.ToString() +
                                                                "; leave out --insecure, or write 127.0.0.1");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTls(const AgentConfig& config) {
  if (config.tls.insecure) return CheckInsecure(config);
  std::string missing;
  for (const auto& [file, flag] :
       {std::pair{&config.tls.cert, "--cert"}, {&config.tls.key, "--key"}, {&config.tls.ca, "--ca"}}) {
    if (file->empty()) missing += std::string(missing.empty() ? "" : ", ") + flag;
  }
  const bool none =
      config.tls.cert.empty() && config.tls.key.empty() && config.tls.ca.empty() && config.tls.crl.empty();
  if (missing.empty() || (none && (config.private_fd >= 0 || config.stdio))) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "peers are admitted by certificate only, and " + missing + (missing.size() > 6 ? " are" : " is") +
                        " missing; 'uringsync certs init DIR --host NAME' makes an authority and certificates");
}

}  // namespace

absl::StatusOr<AgentConfig> MakeAgentConfig(const Settings& settings) {
  AgentConfig config;
  US_RETURN_IF_ERROR(ReadDescriptor(settings, "private-fd", &config.private_fd));
  US_RETURN_IF_ERROR(ReadDescriptor(settings, "ready-fd", &config.ready_fd));
  US_RETURN_IF_ERROR(ReadShells(settings, &config));
  const bool is_private = config.private_fd >= 0 || config.stdio;
  if (is_private) config.log = {.format = LogFormat::kPlain, .level = LogLevel::kWarn};
  US_RETURN_IF_ERROR(ReadSwitch(settings, "insecure", &config.tls.insecure));
  if (config.tls.insecure) config.listen.host = config.data_listen.host = kLoopback;
  US_RETURN_IF_ERROR(ReadParsed(settings, "listen", &config.listen,
                                [](const std::string& text) { return ParseHostPort(text, kDefaultControlPort); }));
  US_RETURN_IF_ERROR(ReadParsed(settings, "data-listen", &config.data_listen,
                                [](const std::string& text) { return ParseHostPort(text, kDefaultDataPort); }));
  US_RETURN_IF_ERROR(ReadText(settings, "cert", &config.tls.cert));
  US_RETURN_IF_ERROR(ReadText(settings, "key", &config.tls.key));
  US_RETURN_IF_ERROR(ReadText(settings, "ca", &config.tls.ca));
  US_RETURN_IF_ERROR(ReadText(settings, "crl", &config.tls.crl));
  US_RETURN_IF_ERROR(ReadRoots(settings, !is_private, &config.roots));
  US_RETURN_IF_ERROR(CheckTls(config));
  US_RETURN_IF_ERROR(ReadGrants(settings, !is_private, &config));
  US_RETURN_IF_ERROR(ReadParsed(settings, "io-backend", &config.io_backend,
                                [](const std::string& text) { return ParseIoBackend(text); }));
  US_RETURN_IF_ERROR(ReadNumber(settings, "jobs", kMaxJobs, &config.jobs));
  US_RETURN_IF_ERROR(ReadParsed(settings, "log-format", &config.log.format,
                                [](const std::string& text) { return ParseLogFormat(text); }));
  US_RETURN_IF_ERROR(ReadParsed(settings, "log-level", &config.log.level,
                                [](const std::string& text) { return ParseLogLevel(text); }));
  US_RETURN_IF_ERROR(ReadSwitch(settings, "index", &config.index));
  US_RETURN_IF_ERROR(ReadSwitch(settings, "fake-super", &config.fake_super));
  US_RETURN_IF_ERROR(ReadSwitch(settings, "device-data", &config.device_data));
  US_RETURN_IF_ERROR(ReadNumber(settings, "index-memory", kMaxIndexMemoryMib, &config.index_memory_mib));
  US_RETURN_IF_ERROR(ReadNumber(settings, "session-hold", kMaxSessionHoldSeconds, &config.session_hold_seconds));
  US_RETURN_IF_ERROR(ReadNumber(settings, "index-max-age", kMaxIndexAgeSeconds, &config.index_max_age_seconds));
  US_RETURN_IF_ERROR(ReadParsed(settings, "confinement", &config.confinement,
                                [](const std::string& text) { return ParseConfinementMode(text); }));
  US_RETURN_IF_ERROR(ReadSwitch(settings, "health", &config.health));
  US_RETURN_IF_ERROR(ReadSwitch(settings, "reflection", &config.reflection));
  US_RETURN_IF_ERROR(ReadSwitch(settings, "background", &config.background));
  if (config.background && !is_private) {
    return absl::InvalidArgumentError("background is of a private agent; a session asks a running one for it");
  }
  return config;
}

absl::StatusOr<ConfigOutcome> LoadAgentConfig(const std::vector<std::string>& arguments,
                                              const Environment& environment) {
  US_ASSIGN_OR_RETURN(Flags flags, ParseFlags(arguments));
  if (!flags.output.empty()) return ConfigOutcome{std::nullopt, std::move(flags.output)};
  Settings merged = std::move(flags.settings);
  // A private agent is part of the command that starts it: what a daemon on this host is told does not concern it.
  if (merged.contains("private-fd") || merged.contains("stdio")) {
    US_ASSIGN_OR_RETURN(AgentConfig config, MakeAgentConfig(merged));
    return ConfigOutcome{std::move(config), {}};
  }
  merged.merge(ReadEnvironment(environment));
  if (flags.config_file.empty()) {
    const std::string name = EnvironmentName("config");
    if (const char* path = environment(name.c_str()); path != nullptr && *path != '\0') {
      flags.config_file = path;
      flags.config_origin = name;
    }
  }
  if (!flags.config_file.empty()) {
    US_ASSIGN_OR_RETURN(Settings file, ReadFile(flags.config_file, flags.config_origin));
    merged.merge(std::move(file));
  }
  US_ASSIGN_OR_RETURN(AgentConfig config, MakeAgentConfig(merged));
  return ConfigOutcome{std::move(config), {}};
}

}  // namespace uringsync
