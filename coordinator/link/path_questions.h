// PathQuestions: what an agent that a command started is asked before a run: about paths of its host (what is there,
// what patterns stand for, what is in a list of names), and whether it takes direct connections.
//
// Answers are of the far host and may be lies about it; a name that was not asked for is refused here.
// Thread rule: one thread; questions block. Use:
//   US_ASSIGN_OR_RETURN(auto questions, PathQuestions::Open(stream, software));
//   US_ASSIGN_OR_RETURN(PathReply reply, questions->Ask({.paths = {"~/a*"}, .expand = true}));
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/messages.h"
#include "proto/transport.h"

namespace uringsync {

class PathQuestions {
 public:
  // Greets the agent at the other end of `stream`, which nobody has used and which serves nothing else; it outlives
  // this object. LinkError(kVersion) for an agent that does not know such questions, else of the kind of what broke.
  static absl::StatusOr<std::unique_ptr<PathQuestions>> Open(ClientStream* stream, const std::string& software);
  // Tells the agent that no more is asked.
  ~PathQuestions();
  PathQuestions(const PathQuestions&) = delete;
  PathQuestions& operator=(const PathQuestions&) = delete;

  // LinkError: of the kind that the agent names, kVersion for patterns and lists that it does not know, kProtocol for
  // an answer to something else.
  absl::StatusOr<PathReply> Ask(const PathQuery& query);
  // The whole of a file of at most kMaxOperandBytes. LinkError(kUsage) for one that cannot be read or is larger.
  absl::StatusOr<std::string> ReadList(const std::string& file);
  // LinkError: kVersion for an agent that knows no direct connections, else of the kind that it names.
  absl::StatusOr<DirectReply> AskDirect(const DirectQuery& query);

 private:
  absl::StatusOr<AgentMessage> AskAgent(const ClientMessage& question);

  explicit PathQuestions(ClientStream* stream) : stream_(stream) {}

  ClientStream* const stream_;
  bool knows_patterns_ = false;
  bool knows_direct_ = false;
};

// InvalidArgument unless each of `names` is what one of `patterns` (PathQuery::expand) may stand for.
absl::Status CheckExpansion(const std::vector<std::string>& patterns, const std::vector<std::string>& names);

// `path` as the pattern that stands for it alone; a "~" in front keeps its meaning.
std::string AsPattern(std::string_view path);

}  // namespace uringsync
