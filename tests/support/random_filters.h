// Random filter rules, trees with merge files for them, and the installed rsync to compare with.
//
// Use:  RandomFilters random(seed);  std::vector<std::string> rules = random.Rules();  random.Fill(dir / "source", 2,
// rules);
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace uringsync {

inline bool HaveRsync() {
  return ::access("/usr/bin/rsync", X_OK) == 0;
}

// Runs rsync with its output (both streams) in the file `output`, and gives that.
inline std::string RunRsync(const std::vector<std::string>& arguments, const std::string& output, int* exit_code) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  char* environment[] = {const_cast<char*>("LC_ALL=C"), const_cast<char*>("HOME=/nonexistent"), nullptr};
  pid_t pid = 0;
  EXPECT_EQ(::posix_spawn(&pid, "/usr/bin/rsync", &actions, nullptr, argv.data(), environment), 0);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  return ReadFile(output);
}

class RandomFilters {
 public:
  explicit RandomFilters(uint32_t seed) : random_(seed) {}
  uint32_t Below(uint32_t n) { return random_() % n; }

  std::string Pattern() {
    static const char* const kParts[] = {"a",       "b",  "d",    "foo",  "foo.o",       "*",   "*.o", "f*",
                                         "**",      "?",  "[ab]", "[!a]", "[[:alpha:]]", "b c", "\\",  "\\*",
                                         "f[n-p]o", ".f", "[x]",  "-"};
    std::string pattern = Below(4) == 0 ? "/" : "";
    for (uint32_t n = 1 + Below(3); n > 0; --n) {
      pattern += kParts[Below(std::size(kParts))];
      if (n > 1 && Below(3) != 0) pattern += '/';
    }
    if (Below(5) == 0) pattern += '/';
    if (Below(9) == 0) pattern += "/***";
    if (Below(9) == 0) pattern += "/**";
    return pattern;
  }

  // `in_file`: rules that a merge file of a tree may hold.
  std::string Rule(bool in_file) {
    static const char* const kNames[] = {"-", "-", "-",       "+",       "+",    "H",      "S",
                                         "P", "R", "exclude", "include", "hide", "protect"};
    if (in_file && Below(12) == 0) return "!";
    // No ". file": rsync reads a plain name there from its own working directory, not from the merge file's.
    if (in_file && Below(12) == 0) return ": .g";
    if (Below(25) == 0) return "-C";
    std::string rule = kNames[Below(std::size(kNames))];
    std::string modifiers;
    if (Below(8) == 0) modifiers += '!';
    if (Below(8) == 0) modifiers += 'p';
    if (Below(10) == 0) modifiers += '/';
    if ((rule == "-" || rule == "+") && Below(6) == 0) modifiers += "sr"[Below(2)];
    if (!modifiers.empty() && (rule.size() > 1 || Below(2) == 0)) rule += ',';
    return rule + modifiers + " " + Pattern();
  }

  std::vector<std::string> Rules() {
    static const char* const kMerges[] = {": .f",  ":n .f", ":e .f", ":- .f",          ":+n .f", ":w- .f",
                                          ":s .g", ":p .f", ":C",    "dir-merge,/ .f", ":/- .g"};
    std::vector<std::string> rules;
    for (uint32_t n = 1 + Below(4); n > 0; --n) rules.push_back(Rule(false));
    for (uint32_t n = Below(3); n > 0; --n)
      rules.insert(rules.begin() + Below(static_cast<uint32_t>(rules.size())), kMerges[Below(std::size(kMerges))]);
    return rules;
  }

  void Fill(const std::string& directory, int depth, const std::vector<std::string>& rules) {
    static const char* const kFiles[] = {"a", "b", "foo", "foo.o", "b c", "x", "*", "-", "core", "f\\o"};
    static const char* const kDirectories[] = {"d", "a", "foo", "b", "CVS", "q.o"};
    MakeDirectories(directory);
    for (uint32_t n = 2 + Below(5); n > 0; --n) {
      const std::string path = directory + "/" + kFiles[Below(std::size(kFiles))];
      if (!std::filesystem::exists(path)) WriteFile(path, "");
    }
    for (const char* name : {".f", ".g", ".cvsignore"}) {
      if (Below(4) == 0) WriteFile(directory + "/" + name, MergeFile(name, rules));
    }
    for (uint32_t n = depth > 0 ? Below(3) + 1 : 0; n > 0; --n) {
      const std::string path = directory + "/" + kDirectories[Below(std::size(kDirectories))];
      if (!std::filesystem::exists(path)) Fill(path, depth - 1, rules);
    }
  }

 private:
  // In the style in which some rule reads it, or rsync would refuse it.
  std::string MergeFile(const std::string& name, const std::vector<std::string>& rules) {
    bool bare = name == ".cvsignore";
    bool sided = false;
    for (const std::string& rule : rules) {
      const size_t space = rule.find(' ');
      if (space == std::string::npos || rule.substr(space + 1) != name || (rule[0] != ':' && rule[0] != 'd')) continue;
      const std::string modifiers =
          rule.substr(rule[0] == ':' ? 1 : rule.find(','), space - (rule[0] == ':' ? 1 : rule.find(',')));
      bare = bare || modifiers.find_first_of("-+") != std::string::npos;
      sided = modifiers.find('s') != std::string::npos;
      break;  // the first of a name counts
    }
    std::string text;
    for (uint32_t n = 1 + Below(3); n > 0; --n) {
      std::string rule = sided ? std::string(1, "-+"[Below(2)]) + " " + Pattern() : Rule(true);
      if (bare) rule = Pattern();
      text += rule + "\n";
    }
    return text;
  }

  std::mt19937 random_;
};

}  // namespace uringsync
