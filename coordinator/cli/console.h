// Console: the one place that writes to standard output and standard error, with a progress line that other lines do
// not tear.
//
// Lines go to `out`, errors and progress to `err`. On a terminal the progress line is redrawn in place and taken away
// before anything else is printed; elsewhere each progress text becomes a line of its own. Text must be escaped
// already. Thread rule: thread-safe. Use:  Console console({.out = stdout, .err = stderr, .err_is_terminal =
// isatty(2)});
//       console.Line("hello");  console.Error("uringsync: ...");  console.Progress("3 of 4 files");
#pragma once

#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace uringsync {

struct ConsoleOptions {
  FILE* out = nullptr;  // borrowed, as are all streams here
  FILE* err = nullptr;
  bool err_is_terminal = false;
  // Lines and progress reach the same terminal, so that a line has to clear the progress first.
  bool out_is_terminal = false;
  // Columns of the terminal now; 0 or less: unknown, 80 is taken.
  std::function<int()> columns;
};

class Console {
 public:
  explicit Console(ConsoleOptions options) : options_(std::move(options)) {}
  // Takes the progress line away and flushes.
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // `text` and a newline to standard output. Buffered; Flush() or the end of the program writes it.
  void Line(std::string_view text);
  // `text` as it is (it ends with its own newline) to standard output.
  void Text(std::string_view text);
  // `text` and a newline to standard error, after what standard output holds.
  void Error(std::string_view text);
  // Shows `text` as the progress; cut to the terminal's width.
  void Progress(std::string_view text);
  // Takes the progress line away.
  void ClearProgress();
  // Writes what is buffered. False when standard output could not take something, now or earlier (a closed pipe, a full
  // disk).
  bool Flush();

  // How standard output is written from now on: 'N' at once, 'L' by line, 'B' by block. Before anything was printed.
  void SetBuffer(char mode);
  bool err_is_terminal() const { return options_.err_is_terminal; }
  bool out_is_terminal() const { return options_.out_is_terminal; }
  // Columns that a progress text may take.
  int columns() const;

 private:
  void ClearLocked();

  ConsoleOptions options_;
  std::mutex mutex_;
  bool progress_shown_ = false;
  bool out_failed_ = false;
};

}  // namespace uringsync
