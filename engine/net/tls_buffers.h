// TlsBuffers: ciphertext on its way in and out, in two fixed sizes, with the BIO that shows them to OpenSSL for the
// handshake.
//
// It does what a BIO pair of fixed size does, but the buffers are plain memory: received into and sent from in place,
// which a pair's ring (whose start moves when it runs empty) forbids while an operation is in flight. After the
// handshake records are opened and sealed in them (tls_records.h). Inside engine/net only. Thread rule: the stream's
// shard. Invariant: `flight` is written to by nobody while a send holds it.
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

  // Where the next receive goes: behind what arrived and was not taken, which may move to make room, and is less than a
  // record.
  std::span<std::byte> ReceiveSpace();
  void Received(size_t n) { in_end_ += n; }
  ConstBytes input() const { return {in_.get() + in_begin_, in_end_ - in_begin_}; }
  // `n` bytes of the input were taken.
  void Take(size_t n) { in_begin_ += n; }

  size_t unsent() const { return fill_size_; }
  size_t space() const { return kTlsBufferBytes - fill_size_; }
  // Where the next record is sealed: space() bytes. Sealed() says how many of them it took.
  std::byte* seal_at() { return fill_.get() + fill_size_; }
  void Sealed(size_t n) { fill_size_ += n; }
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
