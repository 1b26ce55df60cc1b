#include "proto/data_stream.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/coro/semaphore.h"
#include "engine/net/address.h"
#include "engine/net/cancel_watch.h"
#include "engine/net/connect.h"
#include "engine/net/frame.h"
#include "engine/net/memory_stream.h"
#include "engine/transfer/compressor.h"
#include "proto/data_convert.h"

namespace uringsync {

namespace {

ConstBytes AsBytes(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

// Bytes [begin, begin + length) of the contents: what of them lies in the payload, and what in the tail.
std::pair<ConstBytes, ConstBytes> Cut(const ReplyMessage& message, size_t begin, size_t length) {
  const size_t payload_begin = std::min(begin, message.payload.size());
  const size_t payload_end = std::min(begin + length, message.payload.size());
  const ConstBytes first = ConstBytes(message.payload).subspan(payload_begin, payload_end - payload_begin);
  const size_t tail_begin = begin + first.size() - message.payload.size();
  if (first.size() == length) return {first, {}};
  return {first, message.tail_bytes().subspan(tail_begin, length - first.size())};
}

// A stream with the reader that may hold bytes of it already.
struct DataLink {
  explicit DataLink(std::unique_ptr<Stream> owned, FrameLimits limits)
      : stream(std::move(owned)), reader(stream.get(), limits) {}
  std::unique_ptr<Stream> stream;
  FrameReader reader;
};

absl::Status ExpectType(const Frame& frame, DataFrameType wanted) {
  if (frame.type == static_cast<uint8_t>(wanted)) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kInvalidArgument, "frame type " + std::to_string(frame.type) +
                                                            " came where type " +
                                                            std::to_string(static_cast<int>(wanted)) + " was due");
}

// What both ends of a channel share. Nothing is read or written after the first thing that went wrong.
class DataEnd {
 public:
  DataEnd(std::unique_ptr<DataLink> link, DataTimeouts timeouts, FrameLimits limits)
      : link_(std::move(link)), timeouts_(timeouts) {
    link_->reader.set_limits(limits);
  }
  ~DataEnd() { Close(); }

  Task<absl::StatusOr<Frame>> Receive(DataFrameType type) {
    absl::StatusOr<Frame> frame = co_await link_->reader.Read(timeouts_.idle, timeouts_.message);
    if (frame.ok()) {
      absl::Status status = ExpectType(*frame, type);
      if (!status.ok()) frame = std::move(status);
    }
    co_return Checked(std::move(frame));
  }

  // A connection on which something malformed came is over, and told so once, here.
  template <typename T>
  absl::StatusOr<T> Checked(absl::StatusOr<T> result) {
    if (result.ok() || absl::IsOutOfRange(result.status())) return result;
    Close();
    return WithContext(result.status(), "data connection with " + link_->stream->peer_address());
  }

  Task<SemaphoreUnits> Lock() {
    SemaphoreUnits lock = co_await sending_.Acquire(1);
    co_return lock;
  }
  // Under the lock.
  Task<absl::Status> Write(DataFrameType type, ConstBytes header, ConstBytes payload = {}, ConstBytes rest = {}) {
    absl::Status status =
        co_await WriteFrame(link_->stream.get(), static_cast<uint8_t>(type), header, payload, timeouts_.send, rest);
    if (!status.ok()) Close();
    co_return status;
  }
  Task<absl::Status> End() {
    SemaphoreUnits lock = co_await sending_.Acquire(1);
    co_return co_await link_->stream->EndWrites(timeouts_.send);
  }

  void Close() { link_->stream->Shutdown(); }
  uint64_t wire_bytes() const { return link_->stream->bytes_read() + link_->stream->bytes_written(); }

 private:
  const std::unique_ptr<DataLink> link_;
  const DataTimeouts timeouts_;
  Semaphore sending_{1};
};

class StreamRequestChannel final : public RequestChannel {
 public:
  StreamRequestChannel(std::unique_ptr<DataLink> link, DataTimeouts timeouts)
      : end_(std::move(link), timeouts, kDataReplyLimits) {}

  Task<absl::Status> Send(RequestMessage message) override {
    US_CO_ASSIGN_OR_RETURN(const std::vector<std::string> headers, EncodeRequests(message));
    const SemaphoreUnits lock = co_await end_.Lock();
    for (const std::string& header : headers) {
      US_CO_RETURN_IF_ERROR(co_await end_.Write(DataFrameType::kRequests, AsBytes(header)));
    }
    co_return absl::OkStatus();
  }
  Task<absl::StatusOr<ReplyMessage>> Receive() override {
    US_CO_ASSIGN_OR_RETURN(Frame frame, co_await end_.Receive(DataFrameType::kReplies));
    US_CO_ASSIGN_OR_RETURN(ReplyMessage message, end_.Checked(DecodeReplies(frame.header, frame.payload.size())));
    if (message.raw_length == 0) {
      message.payload = std::move(frame.payload);
    } else {
      absl::StatusOr<Payload> raw = Payload();
      absl::Status decompressed = decompressor_.Decompress(frame.payload, message.raw_length, &*raw);
      if (!decompressed.ok()) raw = std::move(decompressed);
      US_CO_ASSIGN_OR_RETURN(message.payload, end_.Checked(std::move(raw)));
      message.raw_length = 0;
    }
    co_return message;
  }
  Task<absl::Status> End() override { return end_.End(); }
  void Close() override { end_.Close(); }
  uint64_t wire_bytes() const override { return end_.wire_bytes(); }

 private:
  DataEnd end_;
  Decompressor decompressor_;
};

// Who serves waits for requests as long as there are none.
DataTimeouts WithoutIdle(DataTimeouts timeouts) {
  timeouts.idle = kNoTimeout;
  return timeouts;
}

class StreamReplyChannel final : public ReplyChannel {
 public:
  StreamReplyChannel(std::unique_ptr<DataLink> link, DataTimeouts timeouts)
      : end_(std::move(link), WithoutIdle(timeouts), kDataRequestLimits) {}

  Task<absl::StatusOr<RequestMessage>> Receive() override {
    US_CO_ASSIGN_OR_RETURN(Frame frame, co_await end_.Receive(DataFrameType::kRequests));
    co_return end_.Checked(DecodeRequests(frame.header));
  }
  Task<absl::Status> Send(ReplyMessage message) override {
    US_CO_ASSIGN_OR_RETURN(const std::vector<EncodedReply> frames, EncodeReplies(message));
    const SemaphoreUnits lock = co_await end_.Lock();
    for (const EncodedReply& frame : frames) {
      const auto [first, rest] = Cut(message, frame.payload_begin, frame.payload_length);
      US_CO_RETURN_IF_ERROR(co_await end_.Write(DataFrameType::kReplies, AsBytes(frame.header), first, rest));
    }
    co_return absl::OkStatus();
  }
  Task<absl::Status> End() override { return end_.End(); }
  void Close() override { end_.Close(); }

 private:
  DataEnd end_;
};

// Handshake of the connecting side.
Task<absl::StatusOr<std::unique_ptr<DataLink>>> SayHello(std::unique_ptr<Stream> stream, DataHello hello,
                                                         Timeout timeout) {
  auto link = std::make_unique<DataLink>(std::move(stream), kDataHelloLimits);
  const std::string context = "open a data connection to " + link->stream->peer_address();
  const std::string header = EncodeDataHello(hello);
  absl::Status sent = co_await WriteFrame(link->stream.get(), static_cast<uint8_t>(DataFrameType::kHello),
                                          AsBytes(header), {}, timeout);
  // A peer that refused us may have closed already; what it said is still there to be read, and says more.
  if (!sent.ok() && !absl::IsUnavailable(sent)) co_return WithContext(sent, context);
  absl::StatusOr<Frame> frame = co_await link->reader.Read(timeout, timeout);
  if (!frame.ok()) {
    if (absl::IsOutOfRange(frame.status()))
      co_return absl::UnavailableError(context + ": the peer closed it without an answer");
    co_return WithContext(frame.status(), context);
  }
  US_CO_RETURN_IF_ERROR(WithContext(ExpectType(*frame, DataFrameType::kHelloReply), context));
  US_CO_ASSIGN_OR_RETURN(const DataHelloReply reply, DecodeDataHelloReply(frame->header));
  if (reply.ok) co_return std::move(link);
  const bool version = reply.version != hello.version;
  co_return MakeStatus(version ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kPermissionDenied,
                       context + ": the peer refused it: " + EscapeName(reply.error));
}

absl::Status CheckVersion(const DataHello& hello) {
  if (hello.version >= kMinProtocolVersion && hello.version <= kProtocolVersion) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    "data protocol version " + std::to_string(hello.version) + " is not spoken here (only " +
                        std::to_string(kMinProtocolVersion) + " to " + std::to_string(kProtocolVersion) + ")");
}

// The acceptor's half. An error was told to the peer.
Task<absl::StatusOr<DataHello>> AnswerHello(DataLink* link, DataAdmission admit, Timeout timeout) {
  US_CO_ASSIGN_OR_RETURN(const Frame frame, co_await link->reader.Read(timeout, kHelloRest));
  US_CO_RETURN_IF_ERROR(ExpectType(frame, DataFrameType::kHello));
  absl::StatusOr<DataHello> hello = DecodeDataHello(frame.header);
  absl::Status admitted = hello.ok() ? CheckVersion(*hello) : hello.status();
  if (admitted.ok()) admitted = admit(*hello, link->stream->peer_identity());
  DataHelloReply reply{.ok = admitted.ok(), .error = EscapeName(ToStd(admitted.message()))};
  if (hello.ok() && admitted.ok()) reply.version = hello->version;
  const std::string header = EncodeDataHelloReply(reply);
  absl::Status sent = co_await WriteFrame(link->stream.get(), static_cast<uint8_t>(DataFrameType::kHelloReply),
                                          AsBytes(header), {}, timeout);
  if (!admitted.ok()) {
    (void)co_await link->stream->EndWrites(timeout);
    co_return admitted;
  }
  US_CO_RETURN_IF_ERROR(sent);
  co_return hello;
}

// Contents cross no network without TLS, whoever names the address.
absl::Status RequireLoopback(const Stream& stream) {
  const std::string& peer = stream.peer_address();
  if (peer.starts_with("unix:")) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(const HostPort where, ParseHostPort(peer, 0));
  US_ASSIGN_OR_RETURN(const std::vector<SocketAddress> literal, ResolveBlocking(where.host, where.port));
  if (literal.front().IsLoopback()) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    "without a certificate contents are carried over the loopback alone, and not to " + peer);
}

// `watch` watches the stream that is returned.
Task<absl::StatusOr<std::unique_ptr<Stream>>> Dial(Driver* driver, const DataDial& dial, CancelWatch* watch) {
  if (dial.open) {
    US_CO_ASSIGN_OR_RETURN(std::unique_ptr<Stream> opened, dial.open());
    watch->Watch(opened.get());
    co_return std::move(opened);
  }
  ConnectOptions options;
  options.host = dial.host;
  options.port = dial.port;
  options.cancel = dial.cancel;
  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream, co_await Connect(driver, std::move(options)));
  // The socket's stream lives as long as the TLS stream that owns it.
  watch->Watch(stream.get());
  if (!dial.tls) {
    US_CO_RETURN_IF_ERROR(RequireLoopback(*stream));
    co_return std::move(stream);
  }
  const std::string& name = dial.tls_host.empty() ? dial.host : dial.tls_host;
  absl::StatusOr<std::unique_ptr<Stream>> secured =
      co_await TlsConnect(std::move(stream), dial.tls, name, dial.timeouts.handshake);
  if (!secured.ok()) watch->Rest();
  co_return secured;
}

// Dials and says hello; `open` is OpenRequestChannel or OpenReplyChannel.
template <typename Channel>
Task<absl::StatusOr<std::unique_ptr<Channel>>> DialAndOpen(
    Driver* driver, DataDial dial,
    Task<absl::StatusOr<std::unique_ptr<Channel>>> (*open)(std::unique_ptr<Stream>, DataHello, DataTimeouts)) {
  CancelWatch watch(dial.cancel);
  absl::StatusOr<std::unique_ptr<Channel>> channel = absl::UnavailableError("no connection");
  absl::StatusOr<std::unique_ptr<Stream>> stream = co_await Dial(driver, dial, &watch);
  if (stream.ok()) {
    channel = co_await open(*std::move(stream), dial.hello, dial.timeouts);
  } else {
    channel = stream.status();
  }
  watch.Rest();
  if (!channel.ok()) channel = watch.Blame(channel.status());
  co_await watch.End();
  co_return channel;
}

}  // namespace

bool TokensEqual(const SessionToken& a, const SessionToken& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Task<absl::StatusOr<std::unique_ptr<RequestChannel>>> OpenRequestChannel(std::unique_ptr<Stream> stream,
                                                                         DataHello hello, DataTimeouts timeouts) {
  hello.role = Role::kDestination;
  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<DataLink> link,
                         co_await SayHello(std::move(stream), hello, timeouts.handshake));
  co_return std::unique_ptr<RequestChannel>(std::make_unique<StreamRequestChannel>(std::move(link), timeouts));
}

Task<absl::StatusOr<std::unique_ptr<ReplyChannel>>> OpenReplyChannel(std::unique_ptr<Stream> stream, DataHello hello,
                                                                     DataTimeouts timeouts) {
  hello.role = Role::kSource;
  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<DataLink> link,
                         co_await SayHello(std::move(stream), hello, timeouts.handshake));
  co_return std::unique_ptr<ReplyChannel>(std::make_unique<StreamReplyChannel>(std::move(link), timeouts));
}

Task<absl::StatusOr<std::unique_ptr<RequestChannel>>> DialRequestChannel(Driver* driver, DataDial dial) {
  return DialAndOpen(driver, std::move(dial), OpenRequestChannel);
}

Task<absl::StatusOr<std::unique_ptr<ReplyChannel>>> DialReplyChannel(Driver* driver, DataDial dial) {
  return DialAndOpen(driver, std::move(dial), OpenReplyChannel);
}

namespace {

Task<absl::StatusOr<AcceptedData>> AcceptWatched(std::unique_ptr<Stream> stream, std::shared_ptr<const TlsContext> tls,
                                                 DataAdmission admit, DataTimeouts timeouts, CancelWatch* watch) {
  const Deadline deadline(timeouts.handshake);
  watch->Watch(stream.get());
  AcceptedData accepted;
  accepted.peer_address = stream->peer_address();
  const std::string context = "data connection from " + accepted.peer_address;
  if (tls) {
    absl::StatusOr<std::unique_ptr<Stream>> secured =
        co_await TlsAccept(std::move(stream), std::move(tls), deadline.remaining());
    if (!secured.ok()) co_return WithContext(secured.status(), context);
    stream = *std::move(secured);
  }
  auto link = std::make_unique<DataLink>(std::move(stream), kDataHelloLimits);
  absl::StatusOr<DataHello> hello = co_await AnswerHello(link.get(), std::move(admit), deadline.remaining());
  if (!hello.ok()) {
    link->stream->Shutdown();
    co_return WithContext(hello.status(), context);
  }
  accepted.hello = *hello;
  if (hello->role == Role::kDestination) {
    accepted.reply_channel = std::make_unique<StreamReplyChannel>(std::move(link), timeouts);
  } else {
    accepted.request_channel = std::make_unique<StreamRequestChannel>(std::move(link), timeouts);
  }
  co_return std::move(accepted);
}

}  // namespace

Task<absl::StatusOr<AcceptedData>> AcceptDataConnection(std::unique_ptr<Stream> stream,
                                                        std::shared_ptr<const TlsContext> tls, DataAdmission admit,
                                                        DataTimeouts timeouts, CancelToken cancel) {
  CancelWatch watch(cancel);
  absl::StatusOr<AcceptedData> accepted =
      co_await AcceptWatched(std::move(stream), std::move(tls), std::move(admit), timeouts, &watch);
  watch.Rest();
  if (!accepted.ok()) accepted = watch.Blame(accepted.status());
  co_await watch.End();
  co_return accepted;
}

std::pair<std::unique_ptr<RequestChannel>, std::unique_ptr<ReplyChannel>> MakeInMemoryDataPair() {
  auto [here, there] = MakeMemoryStreamPair();
  return {std::make_unique<StreamRequestChannel>(std::make_unique<DataLink>(std::move(here), kDataReplyLimits),
                                                 DataTimeouts{}),
          std::make_unique<StreamReplyChannel>(std::make_unique<DataLink>(std::move(there), kDataRequestLimits),
                                               DataTimeouts{})};
}

}  // namespace uringsync
