// The file of --log-file: lines with date, time and process in front, as rsync has them.
//
// Thread rule: one thread. Use:  RunLog log;  if (int error = log.Open("log.txt"); error == 0) log.Line(now, "building
// file list");
#pragma once

#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

namespace uringsync {

class RunLog {
 public:
  // Lines go to the end of `file`. An errno, 0 where it is open.
  int Open(const std::string& file);
  bool is_open() const { return file_ != nullptr; }
  // Nothing where none is open.
  void Line(std::time_t now, std::string_view line);

 private:
  struct Close {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<FILE, Close> file_;
};

}  // namespace uringsync
