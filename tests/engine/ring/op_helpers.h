// Small coroutines around one operation each, for the tests of this room.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/base/unique_fd.h"
#include "engine/coro/task.h"
#include "engine/ring/driver.h"
#include "engine/ring/runtime.h"

namespace uringsync {

inline Task<int64_t> Do(Op op) {
  const int64_t result = co_await Await(Shard::Current()->driver(), &op);
  co_return result;
}

inline Op ReadOp(int fd, void* buffer, size_t length, uint64_t offset) {
  return {.code = OpCode::kRead, .fd = fd, .buffer = buffer, .length = static_cast<uint32_t>(length), .offset = offset};
}
inline Op WriteOp(int fd, const void* buffer, size_t length, uint64_t offset) {
  return {.code = OpCode::kWrite,
          .fd = fd,
          .buffer = const_cast<void*>(buffer),
          .length = static_cast<uint32_t>(length),
          .offset = offset};
}
inline Op RecvOp(int fd, void* buffer, size_t length) {
  return {.code = OpCode::kRecv, .fd = fd, .buffer = buffer, .length = static_cast<uint32_t>(length)};
}
inline Op SendOp(int fd, const void* buffer, size_t length) {
  return {
      .code = OpCode::kSend, .fd = fd, .buffer = const_cast<void*>(buffer), .length = static_cast<uint32_t>(length)};
}
inline Op ReadPipeOp(int fd, void* buffer, size_t length) {
  return {.code = OpCode::kReadPipe, .fd = fd, .buffer = buffer, .length = static_cast<uint32_t>(length)};
}
inline Op WritePipeOp(int fd, const iovec* parts, size_t count) {
  return {.code = OpCode::kWritePipe,
          .fd = fd,
          .buffer = const_cast<iovec*>(parts),
          .length = static_cast<uint32_t>(count)};
}
inline Op AcceptOp(int fd) {
  return {.code = OpCode::kAccept, .fd = fd};
}
inline Op PollOp(int fd, uint32_t events) {
  return {.code = OpCode::kPoll, .fd = fd, .flags = events};
}
inline Op TimeoutOp(std::chrono::nanoseconds time) {
  return {.code = OpCode::kTimeout, .timeout = time};
}
inline Op WithTimeout(Op op, std::chrono::nanoseconds time) {
  op.timeout = time;
  return op;
}

inline size_t Index(OpCode code) {
  return static_cast<size_t>(code);
}
inline size_t Index(CallCode code) {
  return static_cast<size_t>(code);
}

// A connected pair of stream sockets.
struct SocketPair {
  UniqueFd a;
  UniqueFd b;
};
inline SocketPair MakeSocketPair(int type = SOCK_STREAM) {
  int fds[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0) {
    std::perror("socketpair");
    std::abort();
  }
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// A TCP listener on a free loopback port.
struct LoopbackListener {
  UniqueFd fd;
  sockaddr_in address{};
};
inline LoopbackListener MakeListener() {
  LoopbackListener listener;
  listener.fd.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  listener.address.sin_family = AF_INET;
  listener.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(listener.address);
  auto* address = reinterpret_cast<sockaddr*>(&listener.address);
  if (::bind(listener.fd.get(), address, size) < 0 || ::listen(listener.fd.get(), 16) < 0 ||
      ::getsockname(listener.fd.get(), address, &size) < 0) {
    std::perror("listener");
    std::abort();
  }
  return listener;
}
inline Op ConnectOp(int fd, const sockaddr_in& address) {
  return {.code = OpCode::kConnect,
          .fd = fd,
          .address = reinterpret_cast<const sockaddr*>(&address),
          .address_length = sizeof(address)};
}

}  // namespace uringsync
