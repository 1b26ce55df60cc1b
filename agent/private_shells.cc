#include "agent/private_shells.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <list>
#include <string>
#include <utility>

#include "agent/data_server.h"
#include "agent/logging.h"
#include "agent/shell_channel.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/coro/scope.h"
#include "engine/net/splice.h"
#include "engine/net/tcp_stream.h"
#include "engine/ring/runtime.h"

namespace uringsync {
namespace {

constexpr const char* kPeerName = "the far agent";

void Tell(const absl::Status& status, const char* what) {
  LogEvent(LogLevel::kWarn, std::string(what) + ": " + std::string(ToStd(status.message())));
}

}  // namespace

absl::StatusOr<ShellSpec> ParseShellSpec(std::string_view text) {
  std::vector<int> numbers;
  bool good = true;
  for (std::string_view rest = text; good && !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    int number = -1;
    const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), number);
    good = error == std::errc() && end == one.data() + one.size() && number > 2;
    numbers.push_back(number);
  }
  if (good && numbers.size() >= 3 && numbers.size() <= 2 + kMaxShellControls) {
    return ShellSpec{numbers[0], numbers[1], {numbers.begin() + 2, numbers.end()}};
  }
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "\"" + EscapeName(text) + "\" is not INPUT:OUTPUT:CONTROL[:CONTROL...], descriptors above 2");
}

struct PrivateShells::State {
  explicit State(PrivateShellsOptions shell_options) : options(std::move(shell_options)) {}

  absl::Status StartShell(const ShellSpec& spec);
  Task<void> Carry(size_t shell, UniqueFd control);
  Task<void> ShutIdle();
  Task<void> Accept(size_t shell, MuxAccepted accepted);
  Task<void> Relay(size_t shell, std::unique_ptr<Stream> stream);

  PrivateShellsOptions options;
  std::vector<std::unique_ptr<ShellChannel>> channels;
  // Of shard 0: control sockets on which nothing was said yet.
  std::list<Stream*> idle;
  bool stopping = false;
};

// A control stream, once the command says something on its socket: that goes to the far agent, and back.
Task<void> PrivateShells::State::Carry(size_t shell, UniqueFd control) {
  std::unique_ptr<Stream> socket = TcpStream::Adopt(Shard::Current()->driver(), {std::move(control), "the command"});
  if (stopping) co_return;
  std::array<std::byte, 4096> first;
  const auto place = idle.insert(idle.end(), socket.get());
  absl::StatusOr<size_t> n = co_await socket->Read(first, kNoTimeout);
  idle.erase(place);
  if (!n.ok() || *n == 0) co_return;
  absl::StatusOr<std::unique_ptr<Stream>> stream = channels[shell]->Open(MuxKind::kControl);
  // The command sees its socket end, and why from the shell itself.
  if (!stream.ok()) co_return;
  const std::array<ConstBytes, 1> parts = {ConstBytes(first).first(*n)};
  const absl::Status written = co_await (*stream)->WriteAll(parts, kNoTimeout);
  if (written.ok()) static_cast<void>(co_await Splice(std::move(socket), *std::move(stream)));
}

Task<void> PrivateShells::State::ShutIdle() {
  stopping = true;
  for (Stream* socket : idle) socket->Shutdown();
  co_return;
}

// Contents between two far agents.
Task<void> PrivateShells::State::Relay(size_t shell, std::unique_ptr<Stream> stream) {
  absl::StatusOr<std::unique_ptr<Stream>> onward = channels[1 - shell]->Open(MuxKind::kData);
  if (onward.ok()) {
    static_cast<void>(co_await Splice(std::move(stream), *std::move(onward)));
  } else {
    Tell(onward.status(), "a data stream between the agents");
  }
}

Task<void> PrivateShells::State::Accept(size_t shell, MuxAccepted accepted) {
  // A far agent has no control streams of its own to open; one that is not served is reset.
  if (accepted.kind == MuxKind::kControl) co_return;
  if (channels.size() > 1) {
    co_await Relay(shell, std::move(accepted.stream));
  } else {
    co_await ServeDataStream(std::move(accepted.stream), options.table);
  }
}

absl::Status PrivateShells::State::StartShell(const ShellSpec& spec) {
  const size_t shell = channels.size();
  US_ASSIGN_OR_RETURN(
      std::unique_ptr<ShellChannel> channel,
      ShellChannel::Start(
          {.runtime = options.runtime,
           .ends = {UniqueFd(spec.input), UniqueFd(spec.output), kPeerName},
           .side = MuxSide::kClient,
           .begin_with = spec.control.back(),  // the one that the command uses first
           .on_stream = [this, shell](MuxAccepted accepted) { return Accept(shell, std::move(accepted)); },
           .on_end =
               [](const absl::Status& end) {
                 // That it hung up is told by the shell's end.
                 if (absl::IsInvalidArgument(end) || absl::IsDeadlineExceeded(end)) Tell(end, "remote shell");
               }}));
  channels.push_back(std::move(channel));
  return absl::OkStatus();
}

PrivateShells::PrivateShells(std::unique_ptr<State> state) : state_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<PrivateShells>> PrivateShells::Start(PrivateShellsOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  for (const ShellSpec& spec : state->options.shells) US_RETURN_IF_ERROR(state->StartShell(spec));
  for (size_t shell = 0; shell < state->channels.size(); ++shell) {
    state->channels[shell]->Begin();
    for (const int control : state->options.shells[shell].control) {
      state->channels[shell]->Spawn(state->Carry(shell, UniqueFd(control)));
    }
  }
  return std::unique_ptr<PrivateShells>(new PrivateShells(std::move(state)));
}

PrivateShells::~PrivateShells() {
  Stop();
}

OpenPeer PrivateShells::PeerOpener() {
  State* const state = state_.get();
  return [state] { return state->channels.front()->Open(MuxKind::kData); };
}

void PrivateShells::Stop() {
  BlockOn(&state_->options.runtime->shard(0), state_->ShutIdle());
  for (const std::unique_ptr<ShellChannel>& channel : state_->channels) channel->Stop();
}

}  // namespace uringsync
