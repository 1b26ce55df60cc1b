#include "engine/ring/op_traits.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace uringsync {

unsigned ReadinessFor(const Op& op) {
  switch (op.code) {
    case OpCode::kAccept:
    case OpCode::kReadPipe:
    case OpCode::kRecv: return POLLIN;
    case OpCode::kConnect:
    case OpCode::kWritePipe:
    case OpCode::kSend: return POLLOUT;
    case OpCode::kPoll: return op.flags;
    default: return 0;
  }
}

int ConnectResult(int fd) {
  int err = 0;
  socklen_t size = sizeof(err);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0) return -errno;
  return -err;
}

}  // namespace uringsync
