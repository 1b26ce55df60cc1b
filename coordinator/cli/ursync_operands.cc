#include "coordinator/cli/ursync_operands.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "coordinator/cli/rsync/file_list.h"
#include "coordinator/cli/rsync/item.h"
#include "coordinator/cli/rsync/plan_settings.h"
#include "coordinator/core/operands.h"
#include "coordinator/link/destination_path.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/local_path.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/link_rules.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

// A source that is listed is compared with nothing: a plan into a name that nobody has.
constexpr char kNowhere[] = "/.uringsync-nowhere";

OperandsEnd End(const absl::Status& status) {
  const bool plain = status.code() == absl::StatusCode::kInvalidArgument && LinkErrorKind(status) != ErrorKind::kUsage;
  const absl::Status told = plain ? LinkError(ErrorKind::kUsage, ToStd(status.message())) : status;
  return {static_cast<int>(ExitCodeForSessionError(LinkErrorKind(told))), std::string(ToStd(told.message())), false};
}

std::string WorkingDirectory() {
  std::error_code error;
  return std::filesystem::current_path(error).string();
}

std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  return error ? path : absolute.string();
}

class Preparation {
 public:
  Preparation(Settings settings, Console* console) : settings_(std::move(settings)), console_(console) {}
  std::variant<RunOptions, OperandsEnd> Run();

 private:
  bool Relative() const { return settings_.relative.value_or(settings_.files_from.has_value()); }
  // One directory's contents with all that is below: the whole session, as other commands have it.
  bool IsWhole() const;
  absl::Status SplitOperands();
  // Leaves local sources out that are missing, and directories that -r would be needed for, and tells of them.
  void LookAtSources();
  absl::StatusOr<std::vector<SourceOperand>> MakeOperands();
  struct Looked {
    PathKind kind = PathKind::kMissing;
    int error = 0;  // errno, ENOENT too
  };
  // What the run takes the local object at `path` for; `contents`: what is in it is meant.
  Looked LookAtSource(const std::string& path, bool contents) const;
  bool IsSingleObject(const std::vector<SourceOperand>& operands) const;
  absl::Status ChooseLocalDestination(std::vector<SourceOperand>* operands);
  // In rsync's words: a line of its own, or the receiver's.
  OperandsEnd EndOfDestination(const absl::Status& status) const;
  absl::StatusOr<RunOptions> Assemble(std::vector<SourceOperand> operands);

  Settings settings_;
  Console* const console_;
  std::vector<std::string> sources_;
  std::string destination_;
  Endpoint source_;
  bool sources_missing_ = false;
  bool make_path_ = false;
};

bool Preparation::IsWhole() const {
  return sources_.size() == 1 && (settings_.recursive || settings_.list_only) && !Relative() && !settings_.files_from && NamesContents(sources_.front());
}

absl::Status Preparation::SplitOperands() {
  if (settings_.old_dirs) {
    settings_.recursive = settings_.recursive_itself = true;
    settings_.filters.push_back({FilterOption::Kind::kRule, "- /*/*"});
  }
  // The names of a list are entered by -r alone.
  if (settings_.files_from && !settings_.recursive_itself) settings_.recursive = false;
  if (settings_.operands.size() == 1) settings_.list_only = true;
  sources_ = std::move(settings_.operands);
  if (sources_.size() > 1) {
    destination_ = std::move(sources_.back());
    sources_.pop_back();
  }
  if (settings_.files_from && sources_.size() > 1) {
    return LinkError(ErrorKind::kUsage, "--files-from takes one source argument");
  }
  US_ASSIGN_OR_RETURN(source_, ParseEndpoint(sources_.front()));
  for (const std::string& source : sources_) {
    US_ASSIGN_OR_RETURN(const Endpoint endpoint, ParseEndpoint(source));
    if (endpoint.is_local() != source_.is_local()) return LinkError(ErrorKind::kUsage, "All source args must come from the same machine.");
  }
  return absl::OkStatus();
}

Preparation::Looked Preparation::LookAtSource(const std::string& path, bool contents) const {
  const PathInfo found = LookAtPath(path);
  if (found.error != 0) return {found.kind, found.error};
  const bool followed = contents || settings_.copy_links || (settings_.copy_dirlinks && found.target == PathKind::kDirectory);
  if (found.kind != PathKind::kSymlink || !followed) return {found.kind, found.kind == PathKind::kMissing ? ENOENT : 0};
  std::error_code error;
  if (found.target == PathKind::kMissing) static_cast<void>(std::filesystem::status(path, error));
  const bool lost = found.target == PathKind::kMissing;
  return {found.target, !lost ? 0 : error ? error.value() : ENOENT};
}

void Preparation::LookAtSources() {
  const auto leave_out = [this](const std::string& argument) {
    const bool contents = NamesContents(argument);
    const auto [kind, error] = LookAtSource(argument, contents);
    if (error != 0) {
      if (error == ENOENT && settings_.delete_missing_args) return false;
      if (error == ENOENT && settings_.ignore_missing_args) return true;
      console_->Error("ursync: [sender] link_stat \"" + PrintableText(Absolute(argument), {}) + "\" failed: " + std::strerror(error) + " (" +
                      std::to_string(error) + ")");
      sources_missing_ = true;
      return true;
    }
    if (kind != PathKind::kDirectory || settings_.recursive || settings_.dirs || settings_.list_only) return false;
    const std::string name = contents ? std::string(".") : Relative() ? argument : NameOfHostPath(argument);
    if (!settings_.quiet) console_->Line("skipping directory " + PrintableText(name, {}));
    return true;
  };
  sources_.erase(std::remove_if(sources_.begin(), sources_.end(), leave_out), sources_.end());
}

absl::StatusOr<std::vector<SourceOperand>> Preparation::MakeOperands() {
  OperandList operands({.relative = Relative(),
                        .implied_directories = settings_.implied_dirs,
                        .recursive = settings_.recursive,
                        .directories = settings_.dirs || settings_.list_only || settings_.files_from.has_value()});
  if (!settings_.files_from) {
    for (const std::string& argument : sources_) US_RETURN_IF_ERROR(operands.Add(argument));
    return operands.Take();
  }
  US_ASSIGN_OR_RETURN(const std::vector<std::string> names, ReadFileList(*settings_.files_from, settings_.from0));
  for (const std::string& name : names) US_RETURN_IF_ERROR(operands.AddListed(sources_.front(), name));
  return operands.Take();
}

bool Preparation::IsSingleObject(const std::vector<SourceOperand>& operands) const {
  if (operands.size() != 1 || operands.front().at.is_root() || !operands.front().at.Parent().is_root()) return false;
  const SourceOperand& only = operands.front();
  const std::string above = only.base.empty() || only.base.back() == '/' ? only.base : only.base + "/";
  PathKind kind = LookAtSource(above + only.from.text(), false).kind;
  if (kind == PathKind::kSymlink && settings_.copy_unsafe_links) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(above + only.from.text(), error).string();
    if (!error && IsUnsafeLink(target, 0)) kind = LookAtPath(above + only.from.text()).target;
  }
  return kind != PathKind::kDirectory && kind != PathKind::kMissing;
}

absl::Status Preparation::ChooseLocalDestination(std::vector<SourceOperand>* operands) {
  const bool single = IsSingleObject(*operands);
  US_ASSIGN_OR_RETURN(const DestinationChoice choice, ChooseDestination({.path = destination_,
                                                                         .found = LookAtPath(destination_),
                                                                         .several = !single,
                                                                         .single_object = single,
                                                                         .make_path = settings_.mkpath,
                                                                         .working_directory = WorkingDirectory()}));
  destination_ = choice.directory.empty() ? "." : choice.directory;
  make_path_ = choice.make_path;
  if (!choice.new_name.empty()) operands->front().at = RelPath().Child(choice.new_name);
  return absl::OkStatus();
}

OperandsEnd Preparation::EndOfDestination(const absl::Status& status) const {
  OperandsEnd end = End(status);
  if (end.text.starts_with("ERROR")) {
    console_->Error(end.text);
    end.text.clear();
  } else {
    end.text = "[Receiver] " + end.text;
  }
  return end;
}

absl::StatusOr<RunOptions> Preparation::Assemble(std::vector<SourceOperand> operands) {
  US_ASSIGN_OR_RETURN(const Endpoint destination, ParseEndpoint(destination_));
  Settings settings = settings_;
  if (settings.list_only) {
    settings.dry_run = settings.links = settings.devices = settings.specials = true;
    settings.hard_links = settings.delete_extraneous = false;
    settings.basis_option.clear();
    settings.basis_directories.clear();
  }
  US_ASSIGN_OR_RETURN(RunOptions run, ToRunOptions(settings, source_, destination));
  if (make_path_ && !run.basis_directories.empty()) {
    return LinkError(ErrorKind::kUsage, "--mkpath that has directories to make does not go together with --" + settings.basis_option);
  }
  run.request.make_path = run.make_path = make_path_;
  run.sources_missing = sources_missing_;
  run.request.plain_ways = Relative() && !settings.implied_dirs;
  run.request.operands = std::move(operands);
  US_RETURN_IF_ERROR(DescribePlan(settings, source_.is_local() ? source_.local().path : sources_.front(), destination_, &run));
  if (run.output.rsync) {
    run.output.rsync->list_only = settings.list_only;
    run.output.rsync->list_targets = settings_.links;
  }
  return run;
}

std::variant<RunOptions, OperandsEnd> Preparation::Run() {
  if (const absl::Status status = SplitOperands(); !status.ok()) return End(status);
  if (const absl::Status status = CheckCombinations(settings_); !status.ok()) return End(status);
  const bool local = source_.is_local();
  if (local && !settings_.files_from) LookAtSources();
  const OperandsEnd nothing{sources_missing_ ? static_cast<int>(ExitCode::kPartial) : 0, "", false};
  if (sources_.empty()) return nothing;
  std::vector<SourceOperand> operands;
  if (!local && (sources_.size() > 1 || Relative() || settings_.files_from || !(settings_.recursive || settings_.list_only))) {
    return OperandsEnd{static_cast<int>(ExitCode::kUsage),
                       "a source of another host is one directory, with -r: more than that is not supported: this version cannot do it", true};
  }
  if (local && !IsWhole()) {
    absl::StatusOr<std::vector<SourceOperand>> made = MakeOperands();
    if (!made.ok()) return End(made.status());
    if (made->empty()) return nothing;
    operands = *std::move(made);
    source_ = Endpoint{LocalEndpoint{"."}};
  } else if (local) {
    source_ = Endpoint{LocalEndpoint{sources_.front()}};
  }
  if (settings_.list_only) destination_ = kNowhere;
  const absl::StatusOr<Endpoint> destination = ParseEndpoint(destination_);
  if (!destination.ok()) return End(destination.status());
  if (destination->is_local() && !settings_.list_only && (!operands.empty() || settings_.mkpath)) {
    if (const absl::Status status = ChooseLocalDestination(&operands); !status.ok()) return EndOfDestination(status);
  } else if (settings_.mkpath && !destination->is_local()) {
    return OperandsEnd{static_cast<int>(ExitCode::kUsage), "--mkpath is not supported where DST is on another host: this version cannot do it", true};
  }
  const bool names_directory = destination_.ends_with('/') || destination_.ends_with(':');
  if (!destination->is_local() && !names_directory && IsSingleObject(operands)) {
    return OperandsEnd{static_cast<int>(ExitCode::kUsage),
                       "another name for a single file is not supported where DST is on another host; of a directory write \"DST/\"", true};
  }
  absl::StatusOr<RunOptions> run = Assemble(std::move(operands));
  if (!run.ok()) return End(run.status());
  return *std::move(run);
}

}  // namespace

std::variant<RunOptions, OperandsEnd> PrepareRun(Settings settings, Console* console) {
  return Preparation(std::move(settings), console).Run();
}

}  // namespace uringsync
