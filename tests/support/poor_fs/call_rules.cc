#include "tests/support/poor_fs/call_rules.h"

#include <algorithm>
#include <cerrno>
#include <sstream>

namespace uringsync::poor_fs {
namespace {

// What file systems say where a call is none of theirs.
const std::map<std::string, int>& Refusable() {
  static const std::map<std::string, int> kKnown = {
      {"exchange", EINVAL},      {"noreplace", EINVAL},     {"link", EPERM},          {"xattr", EOPNOTSUPP},
      {"fallocate", EOPNOTSUPP}, {"holes", EINVAL},         {"copy", EOPNOTSUPP},     {"fsyncdir", EINVAL},
      {"chown", EPERM},          {"special", EPERM},        {"symlink", EPERM}};
  return kKnown;
}

int ErrnoNamed(const std::string& name) {
  static const std::map<std::string, int> kKnown = {
      {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EPERM", EPERM},   {"EACCES", EACCES},
      {"EINVAL", EINVAL}, {"ENOMEM", ENOMEM}, {"EROFS", EROFS},   {"ENOSYS", ENOSYS}, {"EOPNOTSUPP", EOPNOTSUPP}};
  const auto found = kKnown.find(name);
  return found == kKnown.end() ? 0 : found->second;
}

std::vector<std::string> WordsOf(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

}  // namespace

bool CallRules::AddFault(const std::vector<std::string>& words) {
  const bool cut = words[0] == "short";
  const size_t at = cut ? 2 : 3;
  if (words.size() < at + 1 || words.size() > at + 2) return false;
  Fault fault;
  fault.error = cut ? 0 : ErrnoNamed(words[2]);
  if (!cut && fault.error == 0) return false;
  if (words[at].find_first_not_of("0123456789") != std::string::npos) return false;
  fault.nth = std::strtoull(words[at].c_str(), nullptr, 10);
  fault.always = words.size() == at + 2;
  if (fault.nth == 0 || (fault.always && words[at + 1] != "always")) return false;
  faults_[words[1]].push_back(fault);
  return true;
}

bool CallRules::Add(std::string_view line) {
  const std::vector<std::string> words = WordsOf(line);
  std::lock_guard lock(mutex_);
  if (words.size() == 1 && words[0] == "clear") {
    refused_.clear();
    faults_.clear();
    refusals_.clear();
    calls_.clear();
    return true;
  }
  if (words.size() < 2) return false;
  if (words[0] == "fail" || words[0] == "short") return AddFault(words);
  const auto known = Refusable().find(words[1]);
  if (words[0] != "refuse" || words.size() > 3 || known == Refusable().end()) return false;
  const int error = words.size() == 3 ? ErrnoNamed(words[2]) : known->second;
  if (error != 0) refused_[words[1]] = error;
  return error != 0;
}

int CallRules::Refusal(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto found = refused_.find(name);
  if (found == refused_.end()) return 0;
  ++refusals_[name];
  return found->second;
}

bool CallRules::Refuses(const std::string& name) const {
  std::lock_guard lock(mutex_);
  return refused_.contains(name);
}

std::optional<CallRules::Fault> CallRules::Hit(const std::string& call) {
  std::lock_guard lock(mutex_);
  ++calls_[call];
  std::optional<Fault> hit;
  for (Fault& fault : faults_[call]) {
    ++fault.seen;
    if (fault.always ? fault.seen >= fault.nth : fault.seen == fault.nth) hit = fault;
  }
  return hit;
}

int CallRules::Failure(const std::string& call) {
  const std::optional<Fault> hit = Hit(call);
  return hit ? hit->error : 0;
}

int CallRules::Transfer(const std::string& call, size_t* bytes) {
  const std::optional<Fault> hit = Hit(call);
  if (hit && hit->error == 0) *bytes = std::max<size_t>(std::min<size_t>(*bytes, 1), *bytes / 2);
  return hit ? hit->error : 0;
}

std::string CallRules::Counts() const {
  std::lock_guard lock(mutex_);
  std::string text;
  for (const auto& [name, count] : refusals_) text += "refused " + name + " " + std::to_string(count) + "\n";
  for (const auto& [name, count] : calls_) text += "call " + name + " " + std::to_string(count) + "\n";
  return text;
}

}  // namespace uringsync::poor_fs
