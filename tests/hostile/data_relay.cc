#include "tests/hostile/data_relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace uringsync::hostile {
namespace {

constexpr size_t kPrefixBytes = 12;

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::exit(2);
}

SSL_CTX* MakeContext(const RelayFiles& files) {
  SSL_CTX* const context = SSL_CTX_new(TLS_method());
  if (SSL_CTX_use_certificate_chain_file(context, files.cert.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_load_verify_locations(context, files.ca.c_str(), nullptr) != 1) {
    Fail("certificates");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
  return context;
}

// One end, with blocking reads and writes from two threads: an SSL object is for one at a time.
class End {
 public:
  End(SSL* ssl, int fd) : ssl_(ssl), fd_(fd) {}
  ~End() {
    SSL_free(ssl_);
    ::close(fd_);
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  bool Read(std::string* into, size_t size) {
    into->resize(size);
    for (size_t done = 0; done < size;) {
      {
        const std::lock_guard lock(mutex_);
        const int n = SSL_read(ssl_, into->data() + done, static_cast<int>(size - done));
        if (n > 0) {
          done += static_cast<size_t>(n);
          continue;
        }
        if (SSL_get_error(ssl_, n) != SSL_ERROR_WANT_READ) return false;
      }
      pollfd entry = {.fd = fd_, .events = POLLIN, .revents = 0};
      ::poll(&entry, 1, 1000);
    }
    return true;
  }
  bool Write(const std::string& bytes) {
    for (size_t done = 0; done < bytes.size();) {
      {
        const std::lock_guard lock(mutex_);
        const int n = SSL_write(ssl_, bytes.data() + done, static_cast<int>(bytes.size() - done));
        if (n > 0) {
          done += static_cast<size_t>(n);
          continue;
        }
        const int error = SSL_get_error(ssl_, n);
        if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) return false;
      }
      pollfd entry = {.fd = fd_, .events = POLLOUT, .revents = 0};
      ::poll(&entry, 1, 1000);
    }
    return true;
  }
  void Shut() { ::shutdown(fd_, SHUT_RDWR); }

 private:
  SSL* const ssl_;
  const int fd_;
  std::mutex mutex_;
};

uint32_t Word(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

bool ReadFrame(End* from, DataFrame* frame) {
  std::string prefix;
  if (!from->Read(&prefix, kPrefixBytes)) return false;
  *frame = DataFrame();
  frame->type = static_cast<uint8_t>(prefix[3]);
  return from->Read(&frame->header, Word(prefix, 4)) && from->Read(&frame->payload, Word(prefix, 8));
}

std::string Bytes(const DataFrame& frame) {
  const uint32_t header = frame.forged ? frame.header_length : static_cast<uint32_t>(frame.header.size());
  const uint32_t payload = frame.forged ? frame.payload_length : static_cast<uint32_t>(frame.payload.size());
  std::string bytes = {'U', 'S', 1, static_cast<char>(frame.type)};
  bytes.append(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes.append(reinterpret_cast<const char*>(&payload), sizeof(payload));
  return bytes + frame.header + frame.payload;
}

void Pump(const std::shared_ptr<End>& from, const std::shared_ptr<End>& to, const DataLie* lie) {
  DataFrame frame;
  while (ReadFrame(from.get(), &frame)) {
    std::vector<DataFrame> more;
    const std::string before = Bytes(frame);
    if (lie != nullptr) lie->tell(&frame, &more);
    if (lie != nullptr && Bytes(frame) != before) {
      std::fputs("lied\n", stderr);
    }
    if (!to->Write(Bytes(frame))) break;
    for (const DataFrame& other : more) to->Write(Bytes(other));
    while (lie != nullptr && lie->endless && !more.empty() && to->Write(Bytes(more.back()))) continue;
  }
  from->Shut();
  to->Shut();
}

std::shared_ptr<End> Secure(SSL_CTX* context, int fd, bool server) {
  SSL* const ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  const int done = server ? SSL_accept(ssl) : SSL_connect(ssl);
  auto end = std::make_shared<End>(ssl, fd);
  if (done != 1) return nullptr;
  // From here on neither direction may hold the other up.
  const timeval soon = {.tv_sec = 0, .tv_usec = 1000};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
  SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
  SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return end;
}

void Serve(SSL_CTX* context, int near, uint16_t port, const DataLie* lie) {
  const int far = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::shared_ptr<End> accepted = Secure(context, near, true);
  if (!accepted || ::connect(far, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return;
  const std::shared_ptr<End> connected = Secure(context, far, false);
  if (!connected) return;
  // The agent behind the relay has the source here.
  std::thread(Pump, accepted, connected, lie != nullptr && !lie->of_source ? lie : nullptr).detach();
  Pump(connected, accepted, lie != nullptr && lie->of_source ? lie : nullptr);
}

}  // namespace

uint16_t StartDataRelay(const RelayFiles& files, uint16_t port, const DataLie* lie) {
  SSL_CTX* const context = MakeContext(files);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 64) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    Fail("listen");
  }
  std::thread([=] {
    for (int near = ::accept(listener, nullptr, nullptr); near >= 0; near = ::accept(listener, nullptr, nullptr))
      std::thread(Serve, context, near, port, lie).detach();
  }).detach();
  return ntohs(address.sin_port);
}

}  // namespace uringsync::hostile
