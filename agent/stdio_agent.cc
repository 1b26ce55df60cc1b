#include "agent/stdio_agent.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "agent/control_service.h"
#include "agent/data_server.h"
#include "agent/logging.h"
#include "agent/session_gate.h"
#include "engine/base/errno_status.h"
#include "engine/net/splice.h"
#include "engine/net/tcp_stream.h"
#include "engine/ring/runtime.h"
#include "proto/socket_control.h"

namespace uringsync {
namespace {

constexpr std::chrono::milliseconds kGreetingLimit{60'000};
constexpr const char* kPeerName = "the command";

// What was said within the limit, at most as long as the greeting; less where the peer hung up or said something else.
absl::StatusOr<std::string> ReadGreeting(int fd) {
  std::string got;
  const auto deadline = std::chrono::steady_clock::now() + kGreetingLimit;
  while (got.size() < kMuxGreeting.size() && got == kMuxGreeting.substr(0, got.size())) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    const int count = ::poll(&ready, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (count == 0) return absl::DeadlineExceededError("--stdio: nothing came on standard input within a minute");
    char buffer[kMuxGreeting.size()];
    const ssize_t n = count < 0 ? -1 : ::read(fd, buffer, kMuxGreeting.size() - got.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) break;
    got.append(buffer, static_cast<size_t>(n));
  }
  return got;
}

// `fd` under another number; the number itself becomes a copy of `instead`.
absl::StatusOr<UniqueFd> MoveAway(int fd, int instead) {
  UniqueFd moved(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved.valid() || ::dup2(instead, fd) < 0) return ErrnoStatus(errno, "--stdio: standard input and output");
  return moved;
}

}  // namespace

absl::StatusOr<PipeEnds> GreetOnStdio() {
  if (::isatty(STDIN_FILENO) != 0) {
    return absl::InvalidArgumentError(
        "--stdio is for a remote shell, not for a terminal: 'uringsync sync HOST:PATH ...' starts this program by "
        "itself");
  }
  if (!WriteMuxGreeting(STDOUT_FILENO)) return absl::UnavailableError("--stdio: standard output is closed");
  US_ASSIGN_OR_RETURN(const std::string greeting, ReadGreeting(STDIN_FILENO));
  if (greeting.empty()) return absl::UnavailableError("--stdio: standard input ended before anything came");
  US_RETURN_IF_ERROR(CheckMuxGreeting(greeting, kPeerName));
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing.valid()) return ErrnoStatus(errno, "/dev/null");
  PipeEnds ends;
  US_ASSIGN_OR_RETURN(ends.input, MoveAway(STDIN_FILENO, nothing.get()));
  // Whatever prints goes where diagnostics go.
  US_ASSIGN_OR_RETURN(ends.output, MoveAway(STDOUT_FILENO, STDERR_FILENO));
  ends.peer = kPeerName;
  return ends;
}

struct StdioAgent::State {
  explicit State(StdioAgentOptions agent_options) : options(std::move(agent_options)), gate(kMaxShellSessions) {}

  Task<void> Accept(MuxAccepted accepted);
  Task<void> Control(std::unique_ptr<Stream> stream);
  void Session(UniqueFd socket);
  void OnEnd(const absl::Status& status);
  bool AwaitSessions(std::chrono::milliseconds limit);

  StdioAgentOptions options;
  SessionGate gate;
  std::unique_ptr<ShellChannel> channel;
  SessionHandler* handler = nullptr;
  UniqueFd ended_near;
  UniqueFd ended_far;
  mutable std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  absl::Status end;
  bool serving = false;
  bool stopping = false;
  size_t live = 0;
  std::list<std::thread> threads;
  bool stopped = false;  // main thread
};

Task<void> StdioAgent::State::Accept(MuxAccepted accepted) {
  if (accepted.kind == MuxKind::kData) return ServeDataStream(std::move(accepted.stream), options.table);
  return Control(std::move(accepted.stream));
}

// The session's thread reads and writes a socket; the other end of it is spliced to the stream.
Task<void> StdioAgent::State::Control(std::unique_ptr<Stream> stream) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    LogEvent(LogLevel::kError, std::string(ErrnoStatus(errno, "a control stream").message()));
    co_return;
  }
  std::unique_ptr<Stream> ours = TcpStream::Adopt(Shard::Current()->driver(), {UniqueFd(pair[0]), "session"});
  UniqueFd theirs(pair[1]);
  {
    std::lock_guard lock(mutex);
    // The gate tells a peer that is one too many; this bounds the threads that tell it.
    if (stopping || live > kMaxShellSessions) co_return;
    ++live;
    threads.emplace_back([this, fd = theirs.Release()] { Session(UniqueFd(fd)); });
  }
  static_cast<void>(co_await Splice(std::move(ours), std::move(stream)));
}

void StdioAgent::State::Session(UniqueFd socket) {
  {
    std::unique_ptr<AgentStream> stream = MakeSocketAgentStream(std::move(socket), kPeerName);
    ControlPeer peer;
    peer.address = "remote shell";
    peer.is_private = true;
    absl::StatusOr<std::unique_ptr<SessionGate::Pass>> pass = SessionGate::Pass::Enter(&gate, stream.get());
    if (pass.ok()) {
      static_cast<void>(handler->Run((*pass)->stream(), peer, (*pass)->token()));
    } else {
      static_cast<void>(stream->Send(SessionError{ErrorKind::kProtocol, std::string(pass.status().message())}));
    }
  }
  std::lock_guard lock(mutex);
  --live;
  changed.notify_all();
}

void StdioAgent::State::OnEnd(const absl::Status& status) {
  std::lock_guard lock(mutex);
  end = status;
  ended_far.Reset();
}

bool StdioAgent::State::AwaitSessions(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex);
  return changed.wait_for(lock, limit, [this] { return live == 0; });
}

StdioAgent::StdioAgent(std::unique_ptr<State> state) : state_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<StdioAgent>> StdioAgent::Start(StdioAgentOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return ErrnoStatus(errno, "socketpair");
  state->ended_near.Reset(pair[0]);
  state->ended_far.Reset(pair[1]);
  return std::unique_ptr<StdioAgent>(new StdioAgent(std::move(state)));
}

StdioAgent::~StdioAgent() {
  Stop();
}

OpenPeer StdioAgent::PeerOpener() {
  State* const state = state_.get();
  return [state] { return state->channel->Open(MuxKind::kData); };
}

absl::Status StdioAgent::Serve(SessionHandler* handler) {
  State* const state = state_.get();
  state->handler = handler;
  US_ASSIGN_OR_RETURN(
      state->channel,
      ShellChannel::Start({.runtime = state->options.runtime,
                           .ends = std::move(state->options.ends),
                           .side = MuxSide::kAgent,
                           .on_stream = [state](MuxAccepted accepted) { return state->Accept(std::move(accepted)); },
                           .on_end = [state](const absl::Status& status) { state->OnEnd(status); }}));
  state->channel->Begin();
  return absl::OkStatus();
}

int StdioAgent::ended_fd() const {
  return state_->ended_near.get();
}

absl::Status StdioAgent::end() const {
  std::lock_guard lock(state_->mutex);
  return state_->end;
}

void StdioAgent::Stop() {
  if (std::exchange(state_->stopped, true) || state_->channel == nullptr) return;
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  // On its own thread: telling a peer that does not read takes until its stream is cut.
  std::thread farewell(
      [this] { state_->gate.InterruptAll({.kind = ErrorKind::kInterrupted, .message = "the agent was stopped"}); });
  if (!state_->AwaitSessions(kStopGrace)) state_->channel->Cut();
  farewell.join();
  for (std::thread& thread : state_->threads) thread.join();
  state_->channel->Stop();
}

}  // namespace uringsync
