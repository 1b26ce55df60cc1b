// Piece: bytes of one reply item together with whatever owns them, so that contents move from reader to writer
// uncopied.
//
// Thread rule: a piece over a pool buffer lives and dies on the shard of that pool; the others are plain values of one
// thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "engine/net/payload.h"
#include "engine/ring/buffer_pool.h"
#include "engine/transfer/data_channel.h"

namespace uringsync {

class Piece {
 public:
  Piece() = default;
  // The first `length` bytes of a pool buffer.
  static Piece InBuffer(Buffer buffer, size_t length) {
    Piece piece;
    piece.data_ = buffer.data();
    piece.length_ = length;
    piece.registered_ = buffer.registered_index();
    piece.buffer_ = std::move(buffer);
    return piece;
  }
  // `length` uninitialised bytes of its own; memory that this thread freed just before where there is some.
  static Piece OnHeap(size_t length) {
    Piece piece;
    piece.heap_.resize(length);
    piece.data_ = piece.heap_.data();
    piece.length_ = length;
    return piece;
  }
  // Bytes [offset, offset + length) of the payload of `message`, which stays alive as long as any piece of it.
  static Piece InMessage(std::shared_ptr<ReplyMessage> message, size_t offset, size_t length) {
    Piece piece;
    piece.data_ = message->payload.data() + offset;
    piece.length_ = length;
    piece.message_ = std::move(message);
    return piece;
  }

  std::byte* data() const { return data_; }
  size_t size() const { return length_; }
  std::span<const std::byte> bytes() const { return {data_, length_}; }
  // Registered buffer that data() lies in, or -1.
  int registered_index() const { return registered_; }
  // The pool buffer that it lies in, from its start; an invalid one where it lies elsewhere. The piece is empty then.
  Buffer TakeBuffer() {
    data_ = nullptr;
    length_ = 0;
    return std::move(buffer_);
  }
  bool in_buffer() const { return buffer_.valid(); }
  // Forgets bytes at the end; `length` is at most size().
  void Truncate(size_t length) { length_ = length; }

 private:
  std::byte* data_ = nullptr;
  size_t length_ = 0;
  int registered_ = -1;
  Buffer buffer_;
  Payload heap_;
  std::shared_ptr<ReplyMessage> message_;
};

// Where the answers to a request go.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  // Takes the next item of a request; `piece` holds item.data_length bytes. Items of one request come in order of
  // offset, the last one has `end`. A status that is not OK says that the sink wants no more of this request: the
  // caller stops with that status.
  virtual Task<absl::Status> OnItem(ReplyItem item, Piece piece) = 0;
};

}  // namespace uringsync
