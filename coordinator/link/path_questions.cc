#include "coordinator/link/path_questions.h"

#include <fnmatch.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

constexpr char kAgent[] = "agent";

std::vector<std::string> Components(std::string_view path) {
  std::vector<std::string> components;
  while (true) {
    const size_t slash = path.find('/');
    components.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return components;
    path.remove_prefix(slash + 1);
  }
}

// What an agent says of a pattern that nothing matches.
std::string WithoutBackslashes(const std::string& pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size() &&
        std::string_view("*?[]\\").find(pattern[i + 1]) != std::string_view::npos)
      ++i;
    out += pattern[i];
  }
  return out;
}

bool MayStandFor(const std::string& pattern, const std::string& name) {
  if (pattern.empty()) return name == ".";
  std::vector<std::string> wanted = Components(pattern);
  const std::vector<std::string> found = Components(name);
  const bool home = pattern.front() == '~';
  // Somebody's home directory is told by the agent alone.
  if (home && wanted.size() == 1) return true;
  if (home) wanted.erase(wanted.begin());
  if (home ? found.size() < wanted.size() : found.size() != wanted.size()) return WithoutBackslashes(pattern) == name;
  const size_t skipped = found.size() - wanted.size();
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string& component = found[skipped + i];
    if (WithoutBackslashes(wanted[i]) != component && ::fnmatch(wanted[i].c_str(), component.c_str(), FNM_PERIOD) != 0)
      return false;
  }
  return true;
}

}  // namespace

absl::Status CheckExpansion(const std::vector<std::string>& patterns, const std::vector<std::string>& names) {
  // Answers come in the order of the questions.
  size_t pattern = 0;
  for (const std::string& name : names) {
    while (pattern < patterns.size() && !MayStandFor(patterns[pattern], name)) ++pattern;
    if (pattern == patterns.size()) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "the agent names " + EscapeName(name) + ", which nobody asked for");
    }
  }
  return absl::OkStatus();
}

std::string AsPattern(std::string_view path) {
  std::string pattern;
  for (const char c : path) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

absl::StatusOr<std::unique_ptr<PathQuestions>> PathQuestions::Open(ClientStream* stream, const std::string& software) {
  Hello hello;
  hello.software = software;
  hello.features = {std::string(kOperandsFeature), std::string(kHostPlacesFeature), std::string(kDirectFeature)};
  absl::StatusOr<HelloReply> greeted = ClientHandshake(stream, hello);
  if (!greeted.ok()) return AsLinkError(greeted.status(), kAgent);
  if (!HasFeature(greeted->features, kOperandsFeature)) {
    return LinkError(ErrorKind::kVersion, "the agent is too old for single sources and lists of names; update it");
  }
  std::unique_ptr<PathQuestions> questions(new PathQuestions(stream));
  questions->knows_patterns_ = HasFeature(greeted->features, kHostPlacesFeature);
  questions->knows_direct_ = HasFeature(greeted->features, kDirectFeature);
  return questions;
}

PathQuestions::~PathQuestions() {
  static_cast<void>(stream_->Send(CloseSession{}));
  stream_->Close();
}

absl::StatusOr<AgentMessage> PathQuestions::AskAgent(const ClientMessage& question) {
  if (absl::Status sent = stream_->Send(question); !sent.ok()) return AsLinkError(sent, kAgent);
  absl::StatusOr<AgentMessage> answer = stream_->Receive();
  if (!answer.ok()) return AsLinkError(answer.status(), kAgent);
  if (const auto* error = std::get_if<SessionError>(&*answer))
    return LinkError(error->kind, EscapeName(error->message));
  return answer;
}

absl::StatusOr<DirectReply> PathQuestions::AskDirect(const DirectQuery& query) {
  if (!knows_direct_) return LinkError(ErrorKind::kVersion, "the agent is too old for direct connections; update it");
  US_ASSIGN_OR_RETURN(AgentMessage answer, AskAgent(query));
  auto* reply = std::get_if<DirectReply>(&answer);
  if (reply == nullptr || (reply->port != 0) != query.listen) {
    return LinkError(ErrorKind::kProtocol, "the agent answers something else than it was asked");
  }
  return std::move(*reply);
}

absl::StatusOr<PathReply> PathQuestions::Ask(const PathQuery& query) {
  if ((query.expand || !query.list_file.empty()) && !knows_patterns_) {
    return LinkError(ErrorKind::kVersion,
                     "the agent is too old for patterns, '~' and lists of names over there; update it");
  }
  US_ASSIGN_OR_RETURN(AgentMessage answer, AskAgent(query));
  auto* reply = std::get_if<PathReply>(&answer);
  const size_t rows = reply == nullptr ? 0 : query.expand ? reply->names.size() : query.paths.size();
  if (reply == nullptr || reply->paths.size() != rows) {
    return LinkError(ErrorKind::kProtocol, "the agent answers something else than it was asked");
  }
  if (query.expand) {
    if (const absl::Status asked = CheckExpansion(query.paths, reply->names); !asked.ok()) {
      return LinkError(ErrorKind::kProtocol, ToStd(asked.message()));
    }
  }
  return *std::move(reply);
}

absl::StatusOr<std::string> PathQuestions::ReadList(const std::string& file) {
  std::string list;
  while (true) {
    PathQuery query;
    query.list_file = file;
    query.list_offset = list.size();
    absl::StatusOr<PathReply> reply = Ask(query);
    if (!reply.ok() && LinkErrorKind(reply.status()) == ErrorKind::kSelection) {
      return LinkError(ErrorKind::kUsage, ToStd(reply.status().message()));
    }
    US_RETURN_IF_ERROR(reply.status());
    list += reply->list;
    if (list.size() > kMaxOperandBytes)
      return LinkError(ErrorKind::kUsage, EscapeName(file) + ": more than 512 MiB of names");
    if (reply->list_ends) return list;
    if (reply->list.empty()) return LinkError(ErrorKind::kProtocol, "the agent tells a list without an end");
  }
}

}  // namespace uringsync
