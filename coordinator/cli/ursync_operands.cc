#include "coordinator/cli/ursync_operands.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coordinator/cli/rsync/file_list.h"
#include "coordinator/cli/rsync/filter_settings.h"
#include "coordinator/cli/rsync/item.h"
#include "coordinator/cli/rsync/messages.h"
#include "coordinator/cli/rsync/plan_settings.h"
#include "coordinator/cli/rsync/rule_settings.h"
#include "coordinator/core/operands.h"
#include "coordinator/link/destination_path.h"
#include "coordinator/link/host_places.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/local_path.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/link_rules.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

// Paths that are looked at with one question, so that their bytes fit into one.
constexpr size_t kLookedAtOnce = 256;
// A source that is listed is compared with nothing: a plan into a name that nobody has.
constexpr char kNowhere[] = "/.uringsync-nowhere";
// What another host lists that receives, it lists as if nobody had asked for numbers of another form.
constexpr int kUsualHuman = 1;

OperandsEnd End(const absl::Status& status) {
  if (absl::IsUnimplemented(status))
    return {static_cast<int>(ExitCode::kUsage), std::string(ToStd(status.message())), true};
  const bool plain = status.code() == absl::StatusCode::kInvalidArgument && LinkErrorKind(status) != ErrorKind::kUsage;
  const absl::Status told = plain ? LinkError(ErrorKind::kUsage, ToStd(status.message())) : status;
  return {static_cast<int>(LinkExitCode(told)), std::string(ToStd(told.message())), false};
}

std::string Absolute(const std::string& path, const std::string& working_directory) {
  return (std::filesystem::path(working_directory) / path).lexically_normal().string();
}

// Stands in a run for nothing at all: on the way to an operand, and not there.
SourceOperand NoObject() {
  SourceOperand operand;
  operand.from = operand.at = RelPath().Child(kNowhere + 1);
  operand.implied = true;
  return operand;
}

std::string_view FarPart(std::string_view file) {
  return file.substr(file.find(':') + 1);
}

class Preparation {
 public:
  Preparation(Settings settings, Console* console) : settings_(std::move(settings)), console_(console) {}
  // `settles`: the run is for Settle to finish.
  std::variant<RunOptions, OperandsEnd> Run(bool* settles);
  std::optional<OperandsEnd> Settle(Links* links, RunOptions* run);

 private:
  bool Relative() const { return settings_.relative.value_or(settings_.files_from.has_value()); }
  // One directory's contents with all that is below: the whole session, as other commands have it.
  bool IsWhole() const;
  // As with rsync DST/ is made even where nothing is left to go into it, unless nothing comes from another host.
  bool OnlyMakesDirectory() const {
    return !settings_.list_only && destination_.ends_with('/') && !source_.is_shell() && !to_.is_agent() &&
           settings_.plan_out.empty();
  }
  std::string FirstSource() const { return sources_.empty() ? "." : sources_.front(); }
  OperandsEnd Nothing() const {
    return Listed({sources_missing_ ? static_cast<int>(ExitCode::kPartial) : 0, "", false});
  }
  // `end` with what is said of the list that was made.
  OperandsEnd Listed(OperandsEnd end) const;
  absl::Status SplitOperands();
  absl::Status TakeFarPaths();
  // A list of names on another host is one of the run's.
  absl::Status CheckList();
  // nullopt: what it is about may be asked of a running agent.
  std::optional<OperandsEnd> RefuseForAgents(const Endpoint& destination) const;
  absl::StatusOr<PathReply> Look(Side side, const PathQuery& query) const;
  // Leaves sources out that are missing, and directories that -r would be needed for, and tells of them.
  absl::Status LookAtSources();
  struct Looked {
    PathKind kind = PathKind::kMissing;
    int error = 0;  // errno, ENOENT too
  };
  // What the run takes the object at `path` of the source's host for; `contents`: what is in it is meant.
  Looked Judge(const std::string& path, const PathInfo& found, bool contents) const;
  absl::StatusOr<bool> IsLeftOut(const std::string& argument, const PathInfo& found);
  // With --relative a source that begins with "./" brings along the directory that it is below.
  void LeaveOutTop();
  // Tells that a source cannot be looked at, unless it may be missing. `below`: the part of it that rsync looks for in
  // a directory; where that is missing, too, nothing is deleted.
  absl::Status TellMissing(const std::string& path, int error, const std::string& below);
  void TellLookedAt(const char* operation, const std::string& path, int error);
  absl::StatusOr<std::vector<std::string>> ReadNames() const;
  // The names of a list as they are to be taken: without a '/' behind what is no directory, and without what is
  // missing, which is told.
  absl::StatusOr<std::vector<std::string>> LookAtListed(const std::vector<std::string>& names);
  // None: the whole directory (IsWhole), or nothing is left.
  absl::StatusOr<std::vector<SourceOperand>> MakeOperands();
  absl::StatusOr<bool> IsSingleObject(const std::vector<SourceOperand>& operands) const;
  absl::Status ChooseDirectory(std::vector<SourceOperand>* operands);
  // How many of `directory` of the destination's host and those above it are not there.
  absl::StatusOr<size_t> CountMissing(const std::string& directory) const;
  // Some basis directory of the destination is there.
  absl::StatusOr<bool> HasBasis() const;
  // What telling the run depends on.
  void Describe(RunOptions* run) const;
  // In rsync's words: a line of its own, or the receiver's.
  OperandsEnd EndOfDestination(const absl::Status& status) const;
  absl::StatusOr<RunOptions> Assemble(std::vector<SourceOperand> operands);

  Settings settings_;
  Console* const console_;
  Links* links_ = nullptr;  // none: everything is on this host
  std::string software_;
  std::vector<std::string> sources_;
  std::string destination_;  // the path, where the endpoint has one
  Endpoint source_;
  Endpoint to_;
  std::string source_directory_;
  std::string destination_directory_;
  bool far_list_ = false;
  bool sources_missing_ = false;
  bool sources_doubtful_ = false;  // what could not be looked at may be there
  std::vector<std::string> left_out_;
  bool make_path_ = false;
  bool listed_there_ = false;  // of a listing: the receiving end is another host
  bool nothing_left_ = false;  // NoObject is the only operand
  size_t made_path_ = 0;       // directories that --mkpath makes
  bool destination_is_there_ = true;
};

bool Preparation::IsWhole() const {
  return sources_.size() == 1 && (settings_.recursive || settings_.list_only) && !Relative() && !settings_.files_from &&
         NamesContents(sources_.front());
}

absl::Status Preparation::SplitOperands() {
  if (settings_.old_dirs) {
    settings_.recursive = settings_.recursive_itself = true;
    settings_.filters.push_back({FilterOption::Kind::kRule, "- /*/*"});
  }
  // The names of a list are entered by -r alone.
  if (settings_.files_from && !settings_.recursive_itself) settings_.recursive = false;
  if (settings_.files_from && settings_.operands.size() == 1)
    return LinkError(ErrorKind::kUsage, "--files-from needs SRC and DST");
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
  if (settings_.list_only && !destination_.empty()) {
    US_ASSIGN_OR_RETURN(const Endpoint listed_to, ParseEndpoint(destination_));
    listed_there_ = listed_to.is_shell();
    if (listed_there_ && source_.is_shell())
      return LinkError(ErrorKind::kUsage, "The source and destination cannot both be remote.");
  }
  if (settings_.list_only) destination_ = kNowhere;
  US_ASSIGN_OR_RETURN(to_, ParseEndpoint(destination_));
  if (to_.is_shell()) destination_ = to_.shell().path;
  if (source_.is_shell()) return TakeFarPaths();
  for (const std::string& source : sources_) {
    US_ASSIGN_OR_RETURN(const Endpoint endpoint, ParseEndpoint(source));
    if (source_.is_local() && endpoint.is_shell())
      return LinkError(ErrorKind::kUsage, "Unexpected remote arg: " + EscapeName(source));
    if (endpoint.is_local() != source_.is_local())
      return LinkError(ErrorKind::kUsage, "All source args must come from the same machine.");
  }
  return absl::OkStatus();
}

absl::Status Preparation::TakeFarPaths() {
  const ShellEndpoint& first = source_.shell();
  for (std::string& source : sources_) {
    std::string path = source.substr(std::min<size_t>(source.size(), 1));
    if (!source.starts_with(':')) {
      US_ASSIGN_OR_RETURN(const Endpoint endpoint, ParseEndpoint(source));
      if (endpoint.is_local()) {
        return LinkError(ErrorKind::kUsage, "Unexpected local arg: " + EscapeName(source) +
                                                "\nIf arg is a remote file/dir, prefix it with a colon (:).");
      }
      const bool same =
          endpoint.is_shell() && endpoint.shell().user == first.user && endpoint.shell().host == first.host;
      if (!same) return LinkError(ErrorKind::kUsage, "All source args must come from the same machine.");
      path = endpoint.shell().path;
    }
    source = path.empty() ? "." : path;
  }
  return absl::OkStatus();
}

absl::Status Preparation::CheckList() {
  const std::string list = settings_.files_from.value_or("");
  const size_t colon = list.find(':');
  if (colon == std::string::npos || colon > list.find('/')) return absl::OkStatus();
  if (!source_.is_shell() && !to_.is_shell()) {
    return LinkError(ErrorKind::kUsage, "--files-from cannot be remote when the transfer is local");
  }
  const ShellEndpoint& host = source_.is_shell() ? source_.shell() : to_.shell();
  const std::string login = (host.user.empty() ? "" : host.user + "@") + host.host;
  if (colon > 0 && list.substr(0, colon) != login && list.substr(0, colon) != host.Login()) {
    return LinkError(ErrorKind::kUsage, "--files-from hostname is not the same as the transfer hostname");
  }
  far_list_ = true;
  return absl::OkStatus();
}

std::optional<OperandsEnd> Preparation::RefuseForAgents(const Endpoint& destination) const {
  const auto refuse = [](const char* text) { return OperandsEnd{static_cast<int>(ExitCode::kUsage), text, true}; };
  if (source_.is_agent() &&
      (sources_.size() > 1 || Relative() || settings_.files_from || !(settings_.recursive || settings_.list_only))) {
    return refuse(
        "a source of a running agent is one directory, with -r: more than that is not supported: this version cannot "
        "do it");
  }
  if (destination.is_agent() && settings_.mkpath) {
    return refuse("--mkpath is not supported where DST is of a running agent: this version cannot do it");
  }
  return std::nullopt;
}

absl::StatusOr<PathReply> Preparation::Look(Side side, const PathQuery& query) const {
  if (links_ != nullptr) return links_->Look(side, query, software_);
  PathReply reply;
  for (const std::string& path : query.paths) reply.paths.push_back(LookAtPath(path));
  std::error_code error;
  reply.directory = std::filesystem::current_path(error).string();
  return reply;
}

Preparation::Looked Preparation::Judge(const std::string& path, const PathInfo& found, bool contents) const {
  if (found.error != 0) return {found.kind, found.error};
  const bool followed =
      contents || settings_.copy_links || (settings_.copy_dirlinks && found.target == PathKind::kDirectory);
  if (found.kind != PathKind::kSymlink || !followed) return {found.kind, found.kind == PathKind::kMissing ? ENOENT : 0};
  std::error_code error;
  const bool lost = found.target == PathKind::kMissing;
  if (lost && source_.is_local()) static_cast<void>(std::filesystem::status(path, error));
  return {found.target, !lost ? 0 : error ? error.value() : ENOENT};
}

absl::Status Preparation::TellMissing(const std::string& path, int error, const std::string& below) {
  if (error == ENOENT && settings_.ignore_missing_args) return absl::OkStatus();
  TellLookedAt("link_stat", path, error);
  const std::string above = path.substr(0, path.size() - below.size());
  sources_doubtful_ = sources_doubtful_ || error != ENOENT || below.empty();
  if (sources_doubtful_ || above.empty()) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(const PathReply reply, Look(Side::kSource, {.paths = {above}}));
  sources_doubtful_ = reply.paths.front().target != PathKind::kDirectory;
  return absl::OkStatus();
}

void Preparation::TellLookedAt(const char* operation, const std::string& path, int error) {
  console_->Error(std::string("ursync: [sender] ") + operation + " \"" +
                  PrintableText(Absolute(path, source_directory_), {}) + "\" failed: " + std::strerror(error) + " (" +
                  std::to_string(error) + ")");
  sources_missing_ = true;
}

absl::StatusOr<bool> Preparation::IsLeftOut(const std::string& argument, const PathInfo& found) {
  const bool contents = NamesContents(argument);
  const auto [kind, error] = Judge(argument, found, contents);
  if (error != 0) {
    if (error == ENOENT && settings_.delete_missing_args) return false;
    const std::string below = contents ? std::string() : Relative() ? argument : NameOfHostPath(argument);
    US_RETURN_IF_ERROR(TellMissing(argument, error, below));
    return true;
  }
  if (kind != PathKind::kDirectory || settings_.recursive || settings_.dirs || settings_.list_only) return false;
  OperandList named({.relative = Relative(), .implied_directories = false});
  US_RETURN_IF_ERROR(named.Add(argument));
  const std::vector<SourceOperand> operands = named.Take();
  const bool top = operands.empty() || operands.back().at.is_root();
  left_out_.push_back("skipping directory " + (top ? "." : operands.back().at.text()));
  return true;
}

void Preparation::LeaveOutTop() {
  const bool enters = settings_.recursive || settings_.dirs || settings_.list_only || settings_.files_from;
  const auto from_top = [](const std::string& source) { return source.size() > 2 && source.starts_with("./"); };
  if (Relative() && !enters && std::any_of(sources_.begin(), sources_.end(), from_top))
    left_out_.push_back("skipping directory .");
}

absl::Status Preparation::LookAtSources() {
  const bool far = source_.is_shell();
  LeaveOutTop();
  std::vector<std::string> kept;
  for (size_t first = 0; first < sources_.size(); first += kLookedAtOnce) {
    const size_t end = std::min(sources_.size(), first + kLookedAtOnce);
    const PathQuery query{
        .paths = {sources_.begin() + static_cast<long>(first), sources_.begin() + static_cast<long>(end)},
        .expand = far};
    US_ASSIGN_OR_RETURN(const PathReply reply, Look(Side::kSource, query));
    source_directory_ = reply.directory;
    const std::vector<std::string>& names = far ? reply.names : query.paths;
    for (size_t i = 0; i < names.size(); ++i) {
      // The names of a list are looked at one by one (LookAtListed).
      bool left_out = false;
      if (!settings_.files_from) {
        US_ASSIGN_OR_RETURN(left_out, IsLeftOut(names[i], reply.paths[i]));
      }
      if (!left_out) kept.push_back(names[i]);
    }
  }
  sources_ = std::move(kept);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Preparation::ReadNames() const {
  const FileListFormat format{.nul_separated = settings_.from0, .comments = far_list_ == source_.is_shell()};
  if (!far_list_) return ReadFileList(*settings_.files_from, format);
  const Side side = source_.is_shell() ? Side::kSource : Side::kDestination;
  US_ASSIGN_OR_RETURN(const std::string list,
                      links_->ReadList(side, std::string(FarPart(*settings_.files_from)), software_));
  return SplitFileList(list, *settings_.files_from, format);
}

absl::StatusOr<std::vector<SourceOperand>> Preparation::MakeOperands() {
  if (sources_.empty() || IsWhole()) return std::vector<SourceOperand>();
  OperandList operands({.relative = Relative(),
                        .implied_directories = settings_.implied_dirs,
                        .recursive = settings_.recursive,
                        .directories = settings_.dirs || settings_.list_only || settings_.files_from.has_value()});
  if (!settings_.files_from) {
    for (const std::string& argument : sources_) US_RETURN_IF_ERROR(operands.Add(argument));
    return operands.Take();
  }
  US_ASSIGN_OR_RETURN(const std::vector<std::string> names, ReadNames());
  US_ASSIGN_OR_RETURN(const std::vector<std::string> found, LookAtListed(names));
  for (const std::string& name : found) US_RETURN_IF_ERROR(operands.AddListed(sources_.front(), name));
  return operands.Take();
}

absl::StatusOr<std::vector<std::string>> Preparation::LookAtListed(const std::vector<std::string>& names) {
  const std::string above = sources_.front().ends_with('/') ? sources_.front() : sources_.front() + "/";
  std::vector<std::string> kept;
  for (size_t first = 0; first < names.size(); first += kLookedAtOnce) {
    const size_t end = std::min(names.size(), first + kLookedAtOnce);
    PathQuery query;
    for (size_t i = first; i < end; ++i) {
      std::string itself = names[i];
      while (itself.size() > 1 && itself.back() == '/') itself.pop_back();
      query.paths.push_back(above + itself);
    }
    US_ASSIGN_OR_RETURN(const PathReply reply, Look(Side::kSource, query));
    source_directory_ = reply.directory;
    for (size_t i = first; i < end; ++i) {
      const PathInfo& found = reply.paths[i - first];
      const std::string itself = query.paths[i - first].substr(above.size());
      const bool missing =
          found.error == ENOENT || found.error == ENOTDIR || (found.error == 0 && found.kind == PathKind::kMissing);
      const bool climbs = ("/" + names[i] + "/").find("/../") != std::string::npos;
      if (climbs || (found.error != 0 && !missing)) {
        // For the run to look at.
        kept.push_back(names[i]);
      } else if (missing && itself != names[i] && !Relative()) {
        TellLookedAt("change_dir", above + itself, found.error != 0 ? found.error : ENOENT);
        sources_doubtful_ = true;
      } else if (missing && settings_.delete_missing_args) {
        kept.push_back(itself);
      } else if (missing) {
        // No directory on its way is in the transfer for its sake.
        US_RETURN_IF_ERROR(TellMissing(above + itself, found.error != 0 ? found.error : ENOENT,
                                       Relative() ? itself : NameOfHostPath(itself)));
      } else if (found.target != PathKind::kDirectory && itself != names[i] && !Relative()) {
        // As with rsync: what is in it was asked for.
        TellLookedAt("change_dir", above + itself, ENOTDIR);
        sources_doubtful_ = true;
      } else {
        kept.push_back(found.target == PathKind::kDirectory ? names[i] : itself);
      }
    }
  }
  return kept;
}

absl::StatusOr<bool> Preparation::IsSingleObject(const std::vector<SourceOperand>& operands) const {
  if (operands.size() != 1 || operands.front().at.is_root() || !operands.front().at.Parent().is_root()) return false;
  const SourceOperand& only = operands.front();
  const std::string above = only.base.empty() || only.base.back() == '/' ? only.base : only.base + "/";
  const std::string path = above + only.from.text();
  US_ASSIGN_OR_RETURN(const PathReply reply, Look(Side::kSource, {.paths = {path}}));
  PathKind kind = Judge(path, reply.paths.front(), false).kind;
  if (kind == PathKind::kSymlink && settings_.copy_unsafe_links && source_.is_local()) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(path, error).string();
    if (!error && IsUnsafeLink(target, 0)) kind = reply.paths.front().target;
  }
  return kind != PathKind::kDirectory && kind != PathKind::kMissing;
}

absl::Status Preparation::ChooseDirectory(std::vector<SourceOperand>* operands) {
  US_ASSIGN_OR_RETURN(const bool single, IsSingleObject(*operands));
  const bool far = to_.is_shell();
  US_ASSIGN_OR_RETURN(const PathReply reply, Look(Side::kDestination, {.paths = {destination_}, .expand = far}));
  if (reply.paths.size() != 1)
    return LinkError(ErrorKind::kUsage, "DST stands for several paths: " + EscapeName(destination_));
  if (far) destination_ = reply.names.front();
  destination_directory_ = reply.directory;
  US_ASSIGN_OR_RETURN(const DestinationChoice choice,
                      ChooseDestination({.path = destination_,
                                         .found = reply.paths.front(),
                                         .several = !single,
                                         .single_object = single,
                                         // A dry run goes on without what is missing.
                                         .make_path = settings_.mkpath || settings_.dry_run,
                                         .working_directory = reply.directory}));
  destination_ = choice.directory.empty() ? "." : choice.directory;
  make_path_ = choice.make_path;
  if (settings_.mkpath && choice.create) {
    US_ASSIGN_OR_RETURN(made_path_, CountMissing(destination_));
  }
  destination_is_there_ = !choice.create;
  if (!choice.new_name.empty()) operands->front().at = RelPath().Child(choice.new_name);
  if (to_.is_local()) to_ = Endpoint{LocalEndpoint{destination_}};
  return absl::OkStatus();
}

absl::StatusOr<size_t> Preparation::CountMissing(const std::string& directory) const {
  PathQuery query;
  for (std::string path = directory; !path.empty() && path != "." && path != "/"; path = ParentOfHostPath(path)) {
    if (NameOfHostPath(path) != ".") query.paths.push_back(path);
  }
  US_ASSIGN_OR_RETURN(const PathReply reply, Look(Side::kDestination, query));
  return static_cast<size_t>(std::count_if(reply.paths.begin(), reply.paths.end(),
                                           [](const PathInfo& path) { return path.target == PathKind::kMissing; }));
}

absl::StatusOr<bool> Preparation::HasBasis() const {
  if (settings_.basis_directories.empty()) return false;
  PathQuery query;
  for (const std::string& directory : settings_.basis_directories)
    query.paths.push_back(PathBeside(destination_, destination_is_there_, directory));
  US_ASSIGN_OR_RETURN(const PathReply reply, Look(Side::kDestination, query));
  return std::any_of(reply.paths.begin(), reply.paths.end(),
                     [](const PathInfo& path) { return path.target == PathKind::kDirectory; });
}

OperandsEnd Preparation::Listed(OperandsEnd end) const {
  absl::StatusOr<RunOptions> run = ToRunOptions(settings_, source_, to_);
  if (!run.ok()) return end;
  Describe(&*run);
  end.listed = *std::move(run);
  return end;
}

void Preparation::Describe(RunOptions* run) const {
  if (!run->output.rsync) return;
  run->output.rsync->list_only = settings_.list_only;
  run->output.rsync->list_targets = settings_.links;
  if (listed_there_) run->output.rsync->list_human = kUsualHuman;
  run->output.rsync->left_out = left_out_;
  run->output.rsync->made_path = made_path_;
  run->output.rsync->nothing_left = nothing_left_;
  // As rsync: the end that sends knows the names as they were written.
  run->output.rsync->absolute_names = Relative() && source_.is_local() && !settings_.files_from &&
                                      std::any_of(sources_.begin(), sources_.end(), [](const std::string& source) {
                                        return source.starts_with('/') && source.find("/./") == std::string::npos;
                                      });
}

OperandsEnd Preparation::EndOfDestination(const absl::Status& status) const {
  OperandsEnd end = End(status);
  if (end.text.starts_with("ERROR")) {
    console_->Error(end.text);
    end.text.clear();
  } else if (LinkErrorKind(status) == ErrorKind::kSelection || LinkErrorKind(status) == ErrorKind::kFileIo) {
    end.text = "[Receiver] " + end.text;
  }
  return Listed(std::move(end));
}

absl::StatusOr<RunOptions> Preparation::Assemble(std::vector<SourceOperand> operands) {
  Settings settings = settings_;
  if (settings.list_only) {
    settings.dry_run = settings.links = settings.devices = settings.specials = true;
    settings.hard_links = settings.delete_extraneous = false;
    // What decides at a destination decides nothing.
    settings.existing = settings.ignore_existing = settings.update = settings.safe_links = false;
    settings.usermap.reset();
    settings.groupmap.reset();
    settings.chown.reset();
    settings.max_size.reset();
    settings.min_size.reset();
    settings.basis_option.clear();
    settings.basis_directories.clear();
  }
  US_ASSIGN_OR_RETURN(RunOptions run, ToRunOptions(settings, source_, to_));
  run.host_destination = make_path_ || (source_.is_shell() && !settings.list_only);
  run.request.make_path = make_path_;
  run.sources_missing = sources_missing_;
  run.request.rules.sources_missing = sources_doubtful_;
  run.names_operands = far_list_ || !operands.empty();
  run.request.plain_ways = Relative() && !settings.implied_dirs;
  run.request.operands = std::move(operands);
  US_RETURN_IF_ERROR(
      DescribePlan(settings, source_.is_local() ? source_.local().path : FirstSource(), destination_, &run));
  Describe(&run);
  return run;
}

std::variant<RunOptions, OperandsEnd> Preparation::Run(bool* settles) {
  if (const absl::Status status = SplitOperands(); !status.ok()) return End(status);
  if (const absl::Status status = CheckCombinations(settings_); !status.ok()) return End(status);
  // As with rsync, before the first look.
  if (const absl::Status status = CheckRuleSettings(settings_); !status.ok()) return End(status);
  if (const absl::Status status = CheckFilters(settings_); !status.ok()) return End(status);
  if (const absl::Status status = CheckList(); !status.ok()) return End(status);
  *settles = source_.is_shell() || to_.is_shell();
  const bool local = source_.is_local();
  if (local && !settings_.files_from) {
    if (const absl::Status status = LookAtSources(); !status.ok()) return End(status);
  }
  if (sources_.empty() && !OnlyMakesDirectory()) return Nothing();
  if (std::optional<OperandsEnd> refused = RefuseForAgents(to_)) return *std::move(refused);
  std::vector<SourceOperand> operands;
  if (local && !far_list_) {
    absl::StatusOr<std::vector<SourceOperand>> made = MakeOperands();
    if (!made.ok()) return End(made.status());
    if (made->empty() && !IsWhole()) {
      if (!OnlyMakesDirectory()) return Nothing();
      made->push_back(NoObject());
      nothing_left_ = true;
    }
    operands = *std::move(made);
  }
  if (local) source_ = Endpoint{LocalEndpoint{far_list_ || !operands.empty() ? "." : sources_.front()}};
  if (to_.is_local() && !*settles && !settings_.list_only) {
    if (const absl::Status status = ChooseDirectory(&operands); !status.ok()) return EndOfDestination(status);
  }
  if (to_.is_agent() && !destination_.ends_with('/')) {
    const absl::StatusOr<bool> single = IsSingleObject(operands);
    if (single.ok() && *single) {
      return OperandsEnd{static_cast<int>(ExitCode::kUsage),
                         "another name for a single file is not supported where DST is of a running agent; of a "
                         "directory write \"DST/\"",
                         true};
    }
  }
  absl::StatusOr<RunOptions> run = Assemble(std::move(operands));
  if (!run.ok()) return End(run.status());
  return *std::move(run);
}

std::optional<OperandsEnd> Preparation::Settle(Links* links, RunOptions* run) {
  links_ = links;
  software_ = run->request.software;
  if (source_.is_shell()) {
    if (const absl::Status status = LookAtSources(); !status.ok()) return End(status);
    if (sources_.empty()) return Nothing();
  }
  std::vector<SourceOperand> operands = std::move(run->request.operands);
  if (source_.is_shell() || far_list_) {
    absl::StatusOr<std::vector<SourceOperand>> made = MakeOperands();
    if (!made.ok()) return End(made.status());
    if (made->empty() && !IsWhole()) {
      if (!OnlyMakesDirectory()) return Nothing();
      made->push_back(NoObject());
      nothing_left_ = true;
    }
    operands = *std::move(made);
  }
  if (source_.is_shell()) links->SetHostPath(Side::kSource, operands.empty() ? FirstSource() : "");
  if (!settings_.list_only) {
    if (const absl::Status status = ChooseDirectory(&operands); !status.ok()) return EndOfDestination(status);
    links->SetHostPath(Side::kDestination, destination_);
    const absl::StatusOr<bool> basis = HasBasis();
    if (!basis.ok()) return EndOfDestination(basis.status());
    run->has_basis = *basis;
    run->request.make_path = make_path_;
    if (run->plan_output) run->plan_output->header.make_path = make_path_;
    if (to_.is_local()) run->destination = to_;
    if (auto* shell = std::get_if<ShellEndpoint>(&run->destination.where)) shell->path = destination_;
  }
  if (auto* shell = std::get_if<ShellEndpoint>(&run->source.where)) shell->path = FirstSource();
  run->source_directory = source_directory_;
  run->destination_directory = destination_directory_;
  run->sources_missing = sources_missing_;
  run->request.rules.sources_missing = sources_doubtful_;
  run->request.operands = std::move(operands);
  Describe(run);
  // Now that it is known what it is about.
  const absl::Status described =
      DescribePlan(settings_, source_.is_local() ? source_.local().path : FirstSource(), destination_, run);
  return described.ok() ? std::nullopt : std::optional(End(described));
}

}  // namespace

int TellEnd(const OperandsEnd& end, Console* console) {
  if (end.exit_code == 0) return console->Flush() ? 0 : static_cast<int>(ExitCode::kFileIo);
  if (!end.text.empty()) console->Error("ursync: " + end.text);
  console->Error(ExitLine("ursync", end.exit_code));
  return end.exit_code;
}

std::variant<PreparedRun, OperandsEnd> PrepareRun(Settings settings, Console* console) {
  auto preparation = std::make_shared<Preparation>(std::move(settings), console);
  bool settles = false;
  std::variant<RunOptions, OperandsEnd> made = preparation->Run(&settles);
  if (auto* end = std::get_if<OperandsEnd>(&made)) return *std::move(end);
  PreparedRun prepared{std::get<RunOptions>(std::move(made)), {}};
  if (settles)
    prepared.settle = [preparation](Links& links, RunOptions& run) { return preparation->Settle(&links, &run); };
  return prepared;
}

}  // namespace uringsync
