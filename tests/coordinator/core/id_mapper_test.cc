#include "coordinator/core/id_mapper.h"

#include <gmock/gmock.h>

#include <map>

#include "coordinator/core/rewritten_manifest.h"
#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A host's accounts, and what it was asked.
class Host {
 public:
  explicit Host(std::map<uint32_t, std::string> users, std::map<uint32_t, std::string> groups = {})
      : users_(std::move(users)), groups_(std::move(groups)) {}
  IdMapper::Ask Asked() {
    return [this](const NameQuery& query) -> absl::StatusOr<NameReply> {
      queries.push_back(query);
      NameReply reply;
      for (const uint32_t id : query.uids) reply.user_names.push_back(users_.contains(id) ? users_.at(id) : "");
      for (const uint32_t id : query.gids) reply.group_names.push_back(groups_.contains(id) ? groups_.at(id) : "");
      for (const std::string& name : query.users) reply.user_ids.push_back(IdOf(users_, name));
      for (const std::string& name : query.groups) reply.group_ids.push_back(IdOf(groups_, name));
      return reply;
    };
  }
  std::vector<NameQuery> queries;

 private:
  static std::optional<uint32_t> IdOf(const std::map<uint32_t, std::string>& names, const std::string& wanted) {
    for (const auto& [id, name] : names) {
      if (name == wanted) return id;
    }
    return std::nullopt;
  }
  const std::map<uint32_t, std::string> users_;
  const std::map<uint32_t, std::string> groups_;
};

Entry Owned(uint32_t uid, uint32_t gid) {
  Entry entry = File("f", 1);
  entry.uid = uid;
  entry.gid = gid;
  return entry;
}
// What becomes of users 0, 1, 2 and 12345: root, daemon, bin and one without a name; at the destination daemon is 70,
// and bin unknown.
std::vector<uint32_t> MapUsers(const std::string& rules, bool numeric = false) {
  Host source({{0, "root"}, {1, "daemon"}, {2, "bin"}});
  Host destination({{5, "root"}, {70, "daemon"}, {80, "news"}});
  IdMapOptions options;
  options.numeric = numeric;
  if (!rules.empty()) options.users = IdRules::Parse(rules).value();
  IdMapper mapper(options, source.Asked(), destination.Asked());
  EXPECT_TRUE(mapper.Prepare().ok());
  const std::vector<Entry> entries = {Owned(0, 0), Owned(1, 0), Owned(2, 0), Owned(12345, 0)};
  EXPECT_TRUE(mapper.Learn(entries).ok());
  return {mapper.User(0), mapper.User(1), mapper.User(2), mapper.User(12345)};
}

TEST(IdMapperTest, ByNameAnUnknownNameAndRootKeepTheirNumbers) {
  EXPECT_THAT(MapUsers(""), ElementsAre(0, 70, 2, 12345));
}

TEST(IdMapperTest, NumericIdsAskNobody) {
  EXPECT_THAT(MapUsers("", true), ElementsAre(0, 1, 2, 12345));
  Host host({});
  IdMapper mapper({.users = *IdRules::Parse("*:9")}, host.Asked(), host.Asked());
  EXPECT_TRUE(mapper.Learn(std::vector<Entry>{Owned(3, 4)}).ok());
  EXPECT_EQ(mapper.User(3), 9u);
  EXPECT_EQ(mapper.Group(4), 4u);
  EXPECT_THAT(host.queries, IsEmpty());
}

TEST(IdMapperTest, TheFirstRuleThatFitsCounts) {
  EXPECT_THAT(MapUsers("daemon:4"), ElementsAre(0, 4, 2, 12345));
  EXPECT_THAT(MapUsers("1:77"), ElementsAre(0, 77, 2, 12345));
  EXPECT_THAT(MapUsers("0-2:88"), ElementsAre(88, 88, 88, 12345));
  EXPECT_THAT(MapUsers("*:99"), ElementsAre(99, 99, 99, 99));
  EXPECT_THAT(MapUsers("d*:4,12345:6,*:7"), ElementsAre(7, 4, 7, 6));
  EXPECT_THAT(MapUsers(":9"), ElementsAre(0, 70, 2, 9));
  EXPECT_THAT(MapUsers("1:4,1:5"), ElementsAre(0, 4, 2, 12345));
  EXPECT_THAT(MapUsers("da[e]mon:9"), ElementsAre(0, 9, 2, 12345));
  EXPECT_THAT(MapUsers("?in:news"), ElementsAre(0, 70, 80, 12345));
  EXPECT_THAT(MapUsers("nosuch:3,5-3:3,-5:3"), ElementsAre(0, 70, 2, 12345));
}

TEST(IdMapperTest, RulesSeeNoNamesWithNumericIds) {
  EXPECT_THAT(MapUsers("daemon:9", true), ElementsAre(0, 1, 2, 12345));
  EXPECT_THAT(MapUsers("1:9", true), ElementsAre(0, 9, 2, 12345));
}

TEST(IdMapperTest, ATargetThatTheDestinationDoesNotKnowIsAnError) {
  Host source({});
  Host destination({{0, "root"}});
  IdMapper mapper({.users = *IdRules::Parse("1:root,2:nosuch")}, source.Asked(), destination.Asked());
  const absl::Status prepared = mapper.Prepare();
  EXPECT_EQ(prepared.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(prepared.message()), testing::HasSubstr("no user is called \"nosuch\""));
}

TEST(IdMapperTest, EachIdIsAskedForOnceAndManyTogether) {
  Host source({{7, "x"}}, {{8, "y"}});
  Host destination({{70, "x"}}, {{80, "y"}});
  IdMapper mapper({.numeric = false}, source.Asked(), destination.Asked());
  const std::vector<Entry> entries = {Owned(7, 8), Owned(7, 8), Owned(9, 8)};
  ASSERT_TRUE(mapper.Learn(entries).ok());
  ASSERT_TRUE(mapper.Learn(entries).ok());
  ASSERT_EQ(source.queries.size(), 1u);
  EXPECT_THAT(source.queries[0].uids, ElementsAre(7, 9));
  ASSERT_EQ(destination.queries.size(), 1u);
  EXPECT_THAT(destination.queries[0].users, ElementsAre("x"));
  EXPECT_EQ(mapper.User(7), 70u);
  EXPECT_EQ(mapper.Group(8), 80u);
}

TEST(IdMapperTest, WhatIsNotKeptIsNotLookedUp) {
  Host source({{7, "x"}}, {{8, "y"}});
  Host destination({{70, "x"}}, {{80, "y"}});
  IdMapper mapper({.numeric = false, .owner = false}, source.Asked(), destination.Asked());
  ASSERT_TRUE(mapper.Learn(std::vector<Entry>{Owned(7, 8)}).ok());
  EXPECT_EQ(mapper.User(7), 7u);
  EXPECT_EQ(mapper.Group(8), 80u);
  EXPECT_THAT(source.queries.at(0).uids, IsEmpty());
}

TEST(IdMapperTest, AnAnswerThatDoesNotFitIsRefused) {
  const auto nothing = [](const NameQuery&) -> absl::StatusOr<NameReply> { return NameReply(); };
  IdMapper mapper({.numeric = false}, nothing, nothing);
  EXPECT_EQ(mapper.Learn(std::vector<Entry>{Owned(7, 8)}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(IdMapperTest, WithTheSameNamesOnBothSidesOnlyRulesMap) {
  EXPECT_FALSE((IdMapOptions{.numeric = false, .same_names = true}).Maps());
  EXPECT_TRUE((IdMapOptions{.numeric = false}).Maps());
  EXPECT_FALSE(IdMapOptions{}.Maps());
  EXPECT_TRUE((IdMapOptions{.groups = *IdRules::Everything("5")}).Maps());
}

TEST(IdRulesTest, WhatIsNoRuleIsRefused) {
  for (const char* text : {"", "x", "12345:", "1-:4", "1x:4", "a:4294967295", "a:b,", "99999999999:1"}) {
    EXPECT_EQ(IdRules::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(IdRules::Everything("").ok());
}

TEST(RewrittenManifestTest, OwnersModesAndLinksComeOutAsTheyAreToBe) {
  Host host({});
  IdMapper mapper({.users = *IdRules::Everything("4"), .groups = *IdRules::Parse("1000:5")}, host.Asked(),
                  host.Asked());
  Entry link = MakeEntry("l", FileType::kSymlink, 2);
  link.symlink_target = "/rsyncd-munged//etc";
  Entry unknown = File("u", 3);
  unknown.error = 5;
  const auto rewritten = [&](LinkMunging munging) {
    VectorManifest source({Batch("", {File("f", 1), link, unknown})});
    RewrittenManifest manifest(
        &source, {.mapper = &mapper, .mode_changes = *ModeChanges::Parse("D711,F=r", 0), .munging = munging});
    return manifest.Next().value().value();
  };
  DirectoryBatch batch = rewritten(LinkMunging::kUnmunge);
  EXPECT_EQ(batch.self.mode, 0711u);
  EXPECT_EQ(batch.self.uid, 4u);
  EXPECT_EQ(batch.entries[0].mode, 0444u);
  EXPECT_EQ(batch.entries[0].uid, 4u);
  EXPECT_EQ(batch.entries[0].gid, 5u);
  EXPECT_EQ(batch.entries[1].symlink_target, "/etc");
  EXPECT_EQ(batch.entries[2].uid, 1000u);
  batch = rewritten(LinkMunging::kMunge);
  EXPECT_EQ(batch.entries[1].symlink_target, "/rsyncd-munged//rsyncd-munged//etc");
  EXPECT_EQ(rewritten(LinkMunging::kNone).entries[1].symlink_target, link.symlink_target);
}

}  // namespace
}  // namespace uringsync
