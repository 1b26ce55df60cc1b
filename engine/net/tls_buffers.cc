#include "engine/net/tls_buffers.h"

#include <algorithm>
#include <cstring>

namespace uringsync::openssl {

TlsBuffers::TlsBuffers()
    : in_(new std::byte[kTlsBufferBytes]),
      fill_(new std::byte[kTlsBufferBytes]),
      flight_(new std::byte[kTlsBufferBytes]) {}

const BIO_METHOD* TlsBuffers::Method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "uringsync buffers");
    BIO_meth_set_read_ex(made, BioRead);
    BIO_meth_set_write_ex(made, BioWrite);
    BIO_meth_set_ctrl(made, BioControl);
    return made;
  }();
  return method;
}

BIO* TlsBuffers::MakeBio() {
  BIO* bio = BIO_new(Method());
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

std::span<std::byte> TlsBuffers::ReceiveSpace() {
  const size_t left = in_end_ - in_begin_;
  // What is left is moved seldom: when it is nothing, or when little could be received behind it.
  if (left == 0 || kTlsBufferBytes - in_end_ < kTlsBufferBytes / 4) {
    std::memmove(in_.get(), in_.get() + in_begin_, left);
    in_begin_ = 0;
    in_end_ = left;
  }
  return {in_.get() + in_end_, kTlsBufferBytes - in_end_};
}

int TlsBuffers::BioRead(BIO* bio, char* into, size_t wanted, size_t* taken) {
  auto* self = static_cast<TlsBuffers*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *taken = std::min(wanted, self->in_end_ - self->in_begin_);
  if (*taken == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(into, self->in_.get() + self->in_begin_, *taken);
  self->in_begin_ += *taken;
  return 1;
}

int TlsBuffers::BioWrite(BIO* bio, const char* from, size_t wanted, size_t* taken) {
  auto* self = static_cast<TlsBuffers*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *taken = std::min(wanted, self->space());
  if (*taken == 0) {
    BIO_set_retry_write(bio);
    return 0;
  }
  std::memcpy(self->fill_.get() + self->fill_size_, from, *taken);
  self->fill_size_ += *taken;
  return 1;
}

long TlsBuffers::BioControl(BIO*, int command, long, void*) {
  // Flushing is the stream's business, after the call into OpenSSL.
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace uringsync::openssl
