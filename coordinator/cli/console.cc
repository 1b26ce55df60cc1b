#include "coordinator/cli/console.h"

#include <utility>

#include "coordinator/cli/units.h"

namespace uringsync {
namespace {

constexpr int kDefaultColumns = 80;
constexpr int kMinColumns = 20;
constexpr std::string_view kClearLine = "\r\x1b[K";

void Put(FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

}  // namespace

Console::~Console() {
  std::lock_guard lock(mutex_);
  ClearLocked();
  std::fflush(options_.out);
  std::fflush(options_.err);
}

int Console::columns() const {
  const int columns = options_.columns ? options_.columns() : 0;
  if (columns <= 0) return kDefaultColumns;
  return columns < kMinColumns ? kMinColumns : columns;
}

void Console::ClearLocked() {
  if (!progress_shown_) return;
  Put(options_.err, kClearLine);
  std::fflush(options_.err);
  progress_shown_ = false;
}

void Console::Line(std::string_view text) {
  std::lock_guard lock(mutex_);
  if (options_.out_is_terminal) ClearLocked();
  Put(options_.out, text);
  std::fputc('\n', options_.out);
  if (options_.out_is_terminal) std::fflush(options_.out);
}

void Console::Text(std::string_view text) {
  std::lock_guard lock(mutex_);
  if (options_.out_is_terminal) ClearLocked();
  Put(options_.out, text);
}

void Console::Error(std::string_view text) {
  std::lock_guard lock(mutex_);
  ClearLocked();
  if (std::fflush(options_.out) != 0) out_failed_ = true;
  Put(options_.err, text);
  std::fputc('\n', options_.err);
  std::fflush(options_.err);
}

void Console::Progress(std::string_view text) {
  std::lock_guard lock(mutex_);
  if (!options_.err_is_terminal) {
    Put(options_.err, text);
    std::fputc('\n', options_.err);
    std::fflush(options_.err);
    return;
  }
  // The last column stays free: a terminal that has it filled may wrap.
  Put(options_.err, kClearLine);
  Put(options_.err, FitColumns(text, static_cast<size_t>(columns() - 1)));
  std::fflush(options_.err);
  progress_shown_ = true;
}

void Console::SetBuffer(char mode) {
  std::lock_guard lock(mutex_);
  std::setvbuf(options_.out, nullptr, mode == 'N' ? _IONBF : mode == 'L' ? _IOLBF : _IOFBF, mode == 'N' ? 0 : BUFSIZ);
}

void Console::ClearProgress() {
  std::lock_guard lock(mutex_);
  ClearLocked();
}

bool Console::Flush() {
  std::lock_guard lock(mutex_);
  if (std::fflush(options_.out) != 0 || std::ferror(options_.out) != 0) out_failed_ = true;
  return !out_failed_;
}

}  // namespace uringsync
