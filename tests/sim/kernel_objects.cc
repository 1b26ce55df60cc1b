// Kernel: extended attributes and sockets.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/sim/kernel.h"

namespace uringsync::sim {
namespace {

// As in linux/xattr.h of 6.13.
struct XattrArguments {
  uint64_t value;
  uint32_t size;
  uint32_t flags;
};

template <typename T>
T* At(long address) {
  return reinterpret_cast<T*>(address);
}

// 127.0.0.HOST: the agents speak without TLS, and carry contents over the loopback alone then.
void FillAddress(HostId host, uint16_t port, long address, long length) {
  sockaddr_in filled{};
  filled.sin_family = AF_INET;
  filled.sin_port = htons(port);
  filled.sin_addr.s_addr = htonl(0x7f000000U + static_cast<uint32_t>(host));
  std::memcpy(At<void>(address), &filled, sizeof(filled));
  *At<socklen_t>(length) = sizeof(filled);
}

}  // namespace

long Kernel::XattrOf(const Found& found, CallCode kind, const char* name, void* buffer, size_t bytes) {
  if (found.error < 0) return found.error;
  if (found.inode == nullptr) return -ENOENT;
  auto& xattrs = found.inode->now.xattrs;
  std::string value;
  switch (kind) {
    case CallCode::kFlistxattr:
      for (const auto& [present, unused] : xattrs) value.append(present).push_back('\0');
      break;
    case CallCode::kFgetxattr: {
      const auto at = xattrs.find(name);
      if (at == xattrs.end()) return -ENODATA;
      value = at->second;
      break;
    }
    case CallCode::kFsetxattr:
      xattrs[name].assign(static_cast<const char*>(buffer), bytes);
      found.files->Touch(found.inode.get());
      return 0;
    default:
      if (xattrs.erase(name) == 0) return -ENODATA;
      found.files->Touch(found.inode.get());
      return 0;
  }
  if (bytes == 0) return static_cast<long>(value.size());
  if (value.size() > bytes) return -ERANGE;
  std::memcpy(buffer, value.data(), value.size());
  return static_cast<long>(value.size());
}

long Kernel::Xattr(CallCode code, const long (&a)[6], bool* handled) {
  const auto by_path = [&](bool follow) { return Resolve(AT_FDCWD, At<const char>(a[0]), follow); };
  const auto by_fd = [&] { return Resolve(static_cast<int>(a[0]), "", true, 0, true); };
  const auto by_at = [&] {
    return Resolve(static_cast<int>(a[0]), At<const char>(a[1]), (a[2] & AT_SYMLINK_NOFOLLOW) == 0, 0, true);
  };
  const auto list = [&](const Found& found, long buffer, long bytes) {
    return XattrOf(found, CallCode::kFlistxattr, nullptr, At<void>(buffer), static_cast<size_t>(bytes));
  };
  const auto value = [&](const Found& found, CallCode kind) {
    return XattrOf(found, kind, At<const char>(a[1]), At<void>(a[2]), static_cast<size_t>(a[3]));
  };
  switch (code) {
    case CallCode::kListxattr: return list(by_path(true), a[1], a[2]);
    case CallCode::kLlistxattr: return list(by_path(false), a[1], a[2]);
    case CallCode::kFlistxattr: return list(by_fd(), a[1], a[2]);
    case CallCode::kListxattrat: return list(by_at(), a[3], a[4]);
    case CallCode::kGetxattr: return value(by_path(true), CallCode::kFgetxattr);
    case CallCode::kLgetxattr: return value(by_path(false), CallCode::kFgetxattr);
    case CallCode::kFgetxattr: return value(by_fd(), CallCode::kFgetxattr);
    case CallCode::kSetxattr: return value(by_path(true), CallCode::kFsetxattr);
    case CallCode::kLsetxattr: return value(by_path(false), CallCode::kFsetxattr);
    case CallCode::kFsetxattr: return value(by_fd(), CallCode::kFsetxattr);
    case CallCode::kRemovexattr:
      return XattrOf(by_path(true), CallCode::kFremovexattr, At<const char>(a[1]), nullptr, 0);
    case CallCode::kLremovexattr:
      return XattrOf(by_path(false), CallCode::kFremovexattr, At<const char>(a[1]), nullptr, 0);
    case CallCode::kFremovexattr: return XattrOf(by_fd(), CallCode::kFremovexattr, At<const char>(a[1]), nullptr, 0);
    case CallCode::kRemovexattrat: return XattrOf(by_at(), CallCode::kFremovexattr, At<const char>(a[3]), nullptr, 0);
    case CallCode::kGetxattrat:
    case CallCode::kSetxattrat: {
      const auto* arguments = At<const XattrArguments>(a[4]);
      const CallCode kind = code == CallCode::kGetxattrat ? CallCode::kFgetxattr : CallCode::kFsetxattr;
      return XattrOf(by_at(), kind, At<const char>(a[3]), reinterpret_cast<void*>(arguments->value), arguments->size);
    }
    default: *handled = false; return 0;
  }
}

long Kernel::SocketCall(ProcessId process, CallCode code, const long (&a)[6], bool* handled) {
  const int fd = static_cast<int>(a[0]);
  switch (code) {
    case CallCode::kSocket: {
      auto socket = std::make_shared<Socket>();
      socket->host = host_of(process);
      return AddSocket(process, std::move(socket));
    }
    case CallCode::kBind:
    case CallCode::kListen:
    case CallCode::kSetsockopt:
    case CallCode::kGetsockopt:
    case CallCode::kGetsockname:
    case CallCode::kGetpeername:
    case CallCode::kShutdown: break;
    default: *handled = false; return 0;
  }
  const SocketPtr socket = SocketOf(fd);
  if (socket == nullptr) return -EBADF;
  switch (code) {
    case CallCode::kBind: socket->port = ntohs(At<const sockaddr_in>(a[1])->sin_port); return 0;
    case CallCode::kListen: return network_->Listen(socket, socket->port);
    case CallCode::kGetsockname: FillAddress(socket->host, socket->port, a[1], a[2]); return 0;
    case CallCode::kGetpeername:
      if (!socket->connected) return -ENOTCONN;
      FillAddress(socket->peer_host, socket->peer_port, a[1], a[2]);
      return 0;
    case CallCode::kGetsockopt: return -ENOPROTOOPT;
    case CallCode::kShutdown: network_->Shutdown(socket, a[1] != SHUT_WR, a[1] != SHUT_RD); return 0;
    default: return 0;
  }
}

}  // namespace uringsync::sim
