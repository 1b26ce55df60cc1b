#include "agent/session_opening.h"

#include <iterator>
#include <string>
#include <utility>
#include <variant>

#include "agent/direct_data.h"
#include "agent/path_expansion.h"
#include "agent/path_query.h"
#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/ring/runtime.h"
#include "proto/transport.h"

namespace uringsync {
namespace {

absl::Status Refuse(AgentStream* stream, ErrorKind kind, const absl::Status& why) {
  const absl::Status sent = stream->Send(SessionError{kind, std::string(ToStd(why.message()))});
  return sent.ok() ? why : sent;
}

// What did not come has nobody to be told; what came and makes no sense has.
absl::Status RefuseMalformed(AgentStream* stream, const absl::Status& received) {
  return absl::IsInvalidArgument(received) ? Refuse(stream, ErrorKind::kProtocol, received) : received;
}

size_t BytesOf(const std::vector<SourceOperand>& operands) {
  size_t bytes = 0;
  for (const SourceOperand& operand : operands)
    bytes += operand.base.size() + operand.from.text().size() + operand.at.text().size();
  return bytes;
}

// Those of later messages; of the first one the decoder knew the session's root.
absl::Status CheckBases(const OpenSession& open, const std::vector<SourceOperand>& operands) {
  if (open.root.empty()) return absl::OkStatus();
  for (const SourceOperand& operand : operands)
    US_RETURN_IF_ERROR(WithContext(RelPath::Parse(operand.base).status(), "an operand's base"));
  return absl::OkStatus();
}

absl::Status ReceiveOperands(AgentStream* stream, OpeningWatch* watch, OpenSession* open,
                             OperandBudget::Charge* charge) {
  size_t bytes = BytesOf(open->operands);
  if (absl::Status room = charge->Add(open->operands.size(), bytes); !room.ok())
    return Refuse(stream, ErrorKind::kUsage, room);
  for (bool more = open->more_operands; more;) {
    absl::StatusOr<ClientMessage> message = stream->Receive();
    US_RETURN_IF_ERROR(RefuseMalformed(stream, watch->Passed(message.status(), "operands")));
    auto* batch = std::get_if<OperandBatch>(&*message);
    if (batch == nullptr)
      return Refuse(stream, ErrorKind::kProtocol,
                    absl::InvalidArgumentError("operands were announced and did not come"));
    if (absl::Status valid = CheckBases(*open, batch->operands); !valid.ok())
      return Refuse(stream, ErrorKind::kProtocol, valid);
    bytes += BytesOf(batch->operands);
    if (absl::Status room = charge->Add(batch->operands.size(), BytesOf(batch->operands)); !room.ok())
      return Refuse(stream, ErrorKind::kUsage, room);
    if (open->operands.size() + batch->operands.size() > kMaxOperands || bytes > kMaxOperandBytes) {
      return Refuse(stream, ErrorKind::kUsage,
                    absl::ResourceExhaustedError("too many source arguments for one run: at most " +
                                                 std::to_string(kMaxOperands) + " with " +
                                                 std::to_string(kMaxOperandBytes >> 20) + " MiB of names"));
    }
    open->operands.insert(open->operands.end(), std::make_move_iterator(batch->operands.begin()),
                          std::make_move_iterator(batch->operands.end()));
    more = !batch->last;
  }
  open->more_operands = false;
  return absl::OkStatus();
}

Task<void> AnswerInto(const AgentContext* context, PathQuery query, absl::StatusOr<PathReply>* reply) {
  *reply = co_await AnswerPathQuery(context, std::move(query));
}

absl::Status Answer(const AgentContext& context, AgentStream* stream, DirectQuery query) {
  if (context.direct == nullptr) {
    return Refuse(stream, ErrorKind::kUsage,
                  absl::FailedPreconditionError("this agent has keys of its own, and a port for data"));
  }
  absl::StatusOr<DirectReply> reply = context.direct->Open(query);
  if (!reply.ok()) return Refuse(stream, ErrorKind::kUsage, reply.status());
  return stream->Send(*std::move(reply));
}

absl::Status Answer(const AgentContext& context, AgentStream* stream, PathQuery query) {
  absl::StatusOr<PathReply> reply;
  if (query.expand && query.root.empty() && context.host_paths) {
    for (std::string& path : query.paths) ExpandTilde(&path);
  }
  BlockOn(&context.runtime->Next(), AnswerInto(&context, std::move(query), &reply));
  if (!reply.ok()) return Refuse(stream, ErrorKind::kSelection, reply.status());
  return stream->Send(*std::move(reply));
}

}  // namespace

absl::StatusOr<std::optional<OpenSession>> AwaitOpenSession(const AgentContext& context, AgentStream* stream,
                                                            OpeningWatch* watch, OperandBudget::Charge* charge) {
  while (true) {
    absl::StatusOr<ClientMessage> message = stream->Receive();
    const bool asks =
        message.ok() && (std::holds_alternative<PathQuery>(*message) || std::holds_alternative<DirectQuery>(*message));
    const absl::Status passed = watch->Passed(message.status(), asks ? "OpenSession" : "");
    if (absl::IsDeadlineExceeded(passed)) return passed;
    if (!message.ok()) {
      watch->Stop();
      if (absl::IsOutOfRange(message.status())) return std::optional<OpenSession>();
      return RefuseMalformed(stream, message.status());
    }
    if (asks) {
      auto* const paths = std::get_if<PathQuery>(&*message);
      US_RETURN_IF_ERROR(paths != nullptr ? Answer(context, stream, std::move(*paths))
                                          : Answer(context, stream, std::get<DirectQuery>(*std::move(message))));
      continue;
    }
    if (auto* open = std::get_if<OpenSession>(&*message)) {
      if (open->more_operands) US_RETURN_IF_ERROR(watch->Passed(absl::OkStatus(), "operands"));
      US_RETURN_IF_ERROR(ReceiveOperands(stream, watch, open, charge));
      watch->Stop();
      return std::optional<OpenSession>(std::move(*open));
    }
    watch->Stop();
    if (std::holds_alternative<CloseSession>(*message)) return std::optional<OpenSession>();
    return Refuse(stream, ErrorKind::kProtocol, absl::InvalidArgumentError("a session must begin with OpenSession"));
  }
}

}  // namespace uringsync
