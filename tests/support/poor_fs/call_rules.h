// CallRules: which calls of a poor file system are refused or fail, and how often each was made.
//
// Rules come from the command line and, while the file system is mounted, as lines that are written into its control
// file (poor_fs.cc): "refuse NAME [ERRNO]", "fail CALL ERRNO NTH [always]", "short CALL NTH [always]", "clear".
//
// Thread rule: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace uringsync::poor_fs {

class CallRules {
 public:
  // One rule as above; false: it makes no sense.
  bool Add(std::string_view line);

  // 0, or the errno of a refusal of `name`, which is counted.
  int Refusal(const std::string& name);
  // Whether it is refused, without counting.
  bool Refuses(const std::string& name) const;
  // Counts a call. 0 or the errno that it fails with.
  int Failure(const std::string& call);
  // The same of a transfer of `bytes`, of which less may be left: never nothing.
  int Transfer(const std::string& call, size_t* bytes);

  // "refused NAME COUNT" and "call NAME COUNT", a line each, sorted.
  std::string Counts() const;

 private:
  struct Fault {
    uint64_t nth = 0;  // from the moment of the rule on; 1 is the next one
    bool always = false;
    int error = 0;  // 0: less is transferred
    uint64_t seen = 0;
  };
  bool AddFault(const std::vector<std::string>& words);
  std::optional<Fault> Hit(const std::string& call);

  mutable std::mutex mutex_;
  std::map<std::string, int> refused_;
  std::map<std::string, std::vector<Fault>> faults_;
  std::map<std::string, uint64_t> refusals_;
  std::map<std::string, uint64_t> calls_;
};

}  // namespace uringsync::poor_fs
