#include "coordinator/cli/rsync/option_table.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>

#include "coordinator/cli/rsync/help.h"
#include "coordinator/cli/rsync/parse.h"

namespace uringsync {
namespace {

// The spellings of the page's rows ("--name", "-l"), with what they say is done: same, differs, refused.
std::map<std::string, std::string> ReadPage() {
  std::map<std::string, std::string> rows;
  std::ifstream page(URINGSYNC_SOURCE_DIR "/docs/rsync-compatibility.md");
  std::string line;
  while (std::getline(page, line)) {
    if (line.rfind("| `-", 0) != 0) continue;
    const size_t end = line.find(" | ");
    const std::string names = line.substr(2, end - 2);
    const std::string status = line.substr(end + 3, line.find(" |", end + 3) - end - 3);
    for (size_t at = names.find('`'); at != std::string::npos; at = names.find('`', at + 1)) {
      const size_t close = names.find('`', at + 1);
      std::string name = names.substr(at + 1, close - at - 1);
      name = name.substr(0, name.find('='));
      name = name.substr(0, name.find('['));
      EXPECT_TRUE(rows.emplace(name, status).second) << name << " has two rows";
      at = close;
    }
  }
  return rows;
}

TEST(OptionTableTest, ThePageTellsOfEveryOptionWhatTheTableDoes) {
  const std::map<std::string, std::string> page = ReadPage();
  ASSERT_GT(page.size(), 150u);
  std::set<std::string> known;
  for (const OptionGroup& group : OptionTable()) {
    for (const OptionRow& row : group.rows) {
      if (!row.IsFor(Command::kUrsync)) continue;
      std::vector<std::string> names = row.Aliases();
      for (std::string& name : names) name = "--" + name;
      if (row.name != nullptr) names.push_back("--" + std::string(row.name));
      if (row.letter != 0) names.push_back(std::string("-") + row.letter);
      bool told = false;
      for (const std::string& name : names) {
        known.insert(name);
        const auto found = page.find(name);
        if (found == page.end()) continue;
        told = true;
        EXPECT_EQ(found->second == "refused", row.refused != nullptr)
            << name << " is " << found->second << " in the page";
      }
      // Some stand in the page by their negative form, as in rsync's help.
      if (row.name != nullptr && page.contains("--no-" + std::string(row.name))) told = true;
      EXPECT_TRUE(told) << row.Name() << " has no row in docs/rsync-compatibility.md";
    }
  }
  const std::vector<std::string> spellings = KnownOptions(Command::kUrsync);
  known.insert(spellings.begin(), spellings.end());
  for (const auto& [name, status] : page) {
    EXPECT_TRUE(status == "same" || status == "differs" || status == "refused") << name << ": " << status;
    EXPECT_TRUE(known.contains(name) || name == "--no-OPTION") << name << " is in the page and not in the table";
  }
}

TEST(OptionTableTest, HelpShowsWhatCanBeGivenAndNothingElse) {
  for (const Command command : {Command::kUrsync, Command::kSync, Command::kPlan, Command::kVerify}) {
    const std::string help = HelpText(command);
    for (const OptionGroup& group : OptionTable()) {
      for (const OptionRow& row : group.rows) {
        if (row.name == nullptr || row.help == nullptr || !row.IsFor(command)) continue;
        const bool shown = help.find("\n  --" + std::string(row.name)) != std::string::npos;
        if (row.refused == nullptr) {
          EXPECT_TRUE(shown) << row.Name();
        }
      }
    }
    EXPECT_EQ(help.find("--write-batch"), std::string::npos);
  }
}

TEST(OptionTableTest, VersionHasRsyncsKeys) {
  const std::string json = VersionJson();
  for (const char* key : {"program", "version", "protocol", "copyright", "url", "capabilities", "optimizations",
                          "checksum_list", "compress_list", "daemon_auth_list", "license", "caveat"}) {
    EXPECT_NE(json.find("\"" + std::string(key) + "\""), std::string::npos) << key;
  }
}

}  // namespace
}  // namespace uringsync
