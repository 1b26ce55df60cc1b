// TlsBuffers: ciphertext on its way in and out, in two fixed sizes, with the BIO that shows them to OpenSSL.
//
// It does what a BIO pair of fixed size does, but the buffers are plain memory: received into and sent from in place,
// which a pair's ring (whose start moves when it runs empty) forbids while an operation is in flight. Inside engine/net
// only. Thread rule: the stream's shard. Invariant: `flight` is written to by nobody while a send holds it.
#pragma once

#include <openssl/bio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "engine/net/stream.h"
#include "engine/net/tls.h"

namespace uringsync::openssl {

class TlsBuffers {
 public:
  TlsBuffers();

  // A BIO that reads what arrived and writes to what will be sent; the caller (SSL_set_bio) owns it. `this` outlives
  // it.
  BIO* MakeBio();

  // Where the next receive goes. Only when everything that arrived was taken.
  std::span<std::byte> ReceiveSpace() { return {in_.get(), kTlsBufferBytes}; }
  void Received(size_t n) {
    in_begin_ = 0;
    in_end_ = n;
  }
  bool HasInput() const { return in_begin_ < in_end_; }

  size_t unsent() const { return fill_size_; }
  size_t space() const { return kTlsBufferBytes - fill_size_; }
  // Takes everything unsent for one send; valid until the next call. New output goes to the other buffer meanwhile.
  ConstBytes TakeForSending() {
    std::swap(fill_, flight_);
    const size_t n = std::exchange(fill_size_, 0);
    return {flight_.get(), n};
  }

 private:
  static int BioRead(BIO* bio, char* into, size_t wanted, size_t* taken);
  static int BioWrite(BIO* bio, const char* from, size_t wanted, size_t* taken);
  static long BioControl(BIO* bio, int command, long number, void* pointer);
  static const BIO_METHOD* Method();

  // Not initialised: memory that a connection never uses costs nothing.
  std::unique_ptr<std::byte[]> in_;
  std::unique_ptr<std::byte[]> fill_;
  std::unique_ptr<std::byte[]> flight_;
  size_t in_begin_ = 0;
  size_t in_end_ = 0;
  size_t fill_size_ = 0;
};

}  // namespace uringsync::openssl
