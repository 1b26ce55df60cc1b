#include "coordinator/cli/rsync/parse.h"

#include <popt.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>

#include "coordinator/cli/rsync/option_table.h"
#include "coordinator/cli/rsync/suggest.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

// An option as popt sees it: a spelling of a row, on or off.
struct Spelling {
  const OptionRow* row = nullptr;
  std::string name;  // long; empty: the letter alone
  char letter = 0;
  bool on = true;
};

// Every spelling that `command` has, in the order of the table.
std::deque<Spelling> Spellings(Command command) {
  std::deque<Spelling> spellings;
  for (const OptionGroup& group : OptionTable()) {
    for (const OptionRow& row : group.rows) {
      if (!row.IsFor(command)) continue;
      spellings.push_back({&row, row.name == nullptr ? "" : row.name, row.letter, true});
      for (std::string& alias : row.Aliases()) spellings.push_back({&row, std::move(alias), 0, true});
      if (row.off == nullptr) continue;
      if (row.name != nullptr) spellings.push_back({&row, "no-" + std::string(row.name), 0, false});
      if (row.letter != 0) spellings.push_back({&row, std::string("no-") + row.letter, 0, false});
      for (const std::string& alias : row.Aliases()) spellings.push_back({&row, "no-" + alias, 0, false});
    }
  }
  return spellings;
}

struct FreeContext {
  void operator()(poptContext context) const { poptFreeContext(context); }
};
using Context = std::unique_ptr<poptContext_s, FreeContext>;

std::string Written(const Spelling& spelling) {
  return spelling.name.empty() ? std::string("-") + spelling.letter : "--" + spelling.name;
}

GrammarError Unknown(Command command, std::string word) {
  word = word.substr(0, word.find('='));
  std::string text = "unknown option '" + EscapeName(word) + "'";
  // Between options of one letter everything is near.
  if (word.size() > 2) {
    if (const std::optional<std::string> nearest = NearestWord(word, KnownOptions(command))) {
      text += "; did you mean '" + *nearest + "'?";
    }
  }
  return {text, 1, false};
}

// What popt could not read.
GrammarError Misread(Command command, poptContext context, int error) {
  const char* bad = poptBadOption(context, 0);
  const std::string word = bad == nullptr ? "" : bad;
  switch (error) {
    case POPT_ERROR_BADOPT: return Unknown(command, word);
    case POPT_ERROR_NOARG: return {EscapeName(word) + ": missing argument", 1, false};
    case POPT_ERROR_UNWANTEDARG: return {EscapeName(word) + ": option does not take an argument", 1, false};
    default: return {EscapeName(word) + ": " + poptStrerror(error), 1, false};
  }
}

std::optional<GrammarError> Act(const Spelling& spelling, const std::string& value, Settings* settings) {
  const OptionRow& row = *spelling.row;
  const std::string name = Written(spelling);
  // Switching off what is never on is what rsync's users do to be sure.
  if (row.refused != nullptr && spelling.on)
    return GrammarError{name + " is not supported: " + row.refused, row.refusal_code, true};
  const absl::Status status = (spelling.on ? row.on : row.off)(*settings, value);
  if (status.ok()) {
    const bool has_value = spelling.on && row.argument != nullptr;
    settings->words.push_back(name + (!has_value ? "" : spelling.name.empty() ? value : "=" + value));
    return std::nullopt;
  }
  const bool unsupported = status.code() == absl::StatusCode::kUnimplemented;
  return GrammarError{name + "=" + EscapeName(value) + (unsupported ? " is not supported: " : ": ") +
                          std::string(ToStd(status.message())),
                      unsupported ? 4 : 1, unsupported};
}

void ReadEnvironment(Settings* settings) {
  const auto from = [](const char* name, std::string* value) {
    if (const char* set = std::getenv(name); set != nullptr) *value = set;
  };
  from("URINGSYNC_CERT", &settings->cert);
  from("URINGSYNC_KEY", &settings->key);
  from("URINGSYNC_CA", &settings->ca);
  from("URINGSYNC_CRL", &settings->crl);
}

}  // namespace

std::vector<std::string> KnownOptions(Command command) {
  std::vector<std::string> names;
  for (const Spelling& spelling : Spellings(command)) {
    if (!spelling.name.empty()) names.push_back("--" + spelling.name);
    if (spelling.letter != 0) names.push_back(std::string("-") + spelling.letter);
  }
  return names;
}

Parsed ParseArguments(Command command, int argc, const char* const* argv) {
  Settings settings = Settings::For(command);
  ReadEnvironment(&settings);
  const std::deque<Spelling> spellings = Spellings(command);
  std::vector<poptOption> options;
  for (const Spelling& spelling : spellings) {
    const bool takes_value = spelling.on && spelling.row->argument != nullptr;
    options.push_back({spelling.name.empty() ? nullptr : spelling.name.c_str(), spelling.letter,
                       static_cast<unsigned>(takes_value ? POPT_ARG_STRING : POPT_ARG_NONE), nullptr,
                       static_cast<int>(options.size()) + 1, nullptr, nullptr});
  }
  options.push_back(POPT_TABLEEND);
  // popt keeps what it is given until it is freed.
  const Context context(poptGetContext(nullptr, argc, const_cast<const char**>(argv), options.data(), 0));
  int found = 0;
  while ((found = poptGetNextOpt(context.get())) > 0) {
    const std::unique_ptr<char, decltype(&std::free)> value(poptGetOptArg(context.get()), &std::free);
    const Spelling& spelling = spellings[static_cast<size_t>(found) - 1];
    if (std::optional<GrammarError> error = Act(spelling, value == nullptr ? "" : value.get(), &settings))
      return *std::move(error);
  }
  if (found < -1) return Misread(command, context.get(), found);
  for (const char** operand = poptGetArgs(context.get()); operand != nullptr && *operand != nullptr; ++operand) {
    settings.operands.emplace_back(*operand);
  }
  return settings;
}

}  // namespace uringsync
