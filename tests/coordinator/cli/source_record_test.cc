#include "coordinator/cli/source_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "coordinator/cli/source_memory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

const SourceRecordKey kKey{"/srv/data\n", "/backup"};
const std::vector<MountedPlace> kMounts{{"/srv", "ef53:1:2"}, {"/srv/data/new\nline", ""}};

TEST(SourceRecordTest, WhatWasSavedIsLoadedByTheSamePairAlone) {
  TempDir dir;
  const std::string state = dir.path() + "/a/b";
  const SourceRecord record(state, kKey);
  EXPECT_THAT(*record.Load(), Eq(std::nullopt));
  ASSERT_OK(record.Save({}));
  ASSERT_OK(record.Save(kMounts));
  EXPECT_THAT(*record.Load(), Optional(kMounts));
  EXPECT_THAT(*SourceRecord(state, {"/srv/data\n", "/backup2"}).Load(), Eq(std::nullopt));
  size_t files = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::recursive_directory_iterator(state)) ++files;
  EXPECT_EQ(files, 2u) << "the directory and one record";
}

TEST(SourceRecordTest, EveryCutAndEveryChangedByteIsNoticed) {
  const std::string whole = EncodeSourceRecord(kKey, kMounts);
  EXPECT_THAT(*DecodeSourceRecord(kKey, whole), kMounts);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(DecodeSourceRecord(kKey, whole.substr(0, size)).ok()) << size;
    std::string changed = whole;
    changed[size] = static_cast<char>(changed[size] ^ 1);
    EXPECT_FALSE(DecodeSourceRecord(kKey, changed).ok()) << size;
  }
  EXPECT_FALSE(DecodeSourceRecord({"/srv/other\n", "/backup"}, whole).ok());
}

TEST(SourceRecordTest, WhatIsDamagedOrCannotBeWrittenIsSaid) {
  TempDir dir;
  const SourceRecord record(dir.path(), kKey);
  ASSERT_OK(record.Save(kMounts));
  std::ofstream(record.path(), std::ios::app) << "x";
  EXPECT_THAT(record.Load().status(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("damaged")));
  EXPECT_THAT(record.Load().status().message(), HasSubstr(record.path()));
  std::filesystem::resize_file(record.path(), 0);
  EXPECT_THAT(record.Load().status(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(record.path())));
  std::filesystem::remove(record.path());
  std::filesystem::create_directory(record.path());
  EXPECT_THAT(record.Load().status().message(), HasSubstr(record.path()));
  std::ofstream(dir.path() + "/file") << "x";
  EXPECT_THAT(SourceRecord(dir.path() + "/file", kKey).Save(kMounts).message(), HasSubstr("mkdir"));
}

TEST(SourceMemoryTest, TheKeyTellsPlacesApartHoweverTheyAreWritten) {
  ReportFacts facts;
  facts.source_is_local = true;
  facts.source_absolute = "/srv/data";
  facts.destination_absolute = "/backup";
  const SourceRecordKey whole = SourceKeyOf(facts);
  EXPECT_EQ(whole.source, "/srv/data\n");
  facts.working_directory = "/srv";
  facts.operands = {{.base = "data/", .depth = OperandDepth::kTree}};
  EXPECT_EQ(SourceKeyOf(facts).source, whole.source);
  facts.operands = {{.base = "", .from = RelPath().Child("data"), .depth = OperandDepth::kTree},
                    {.base = "/etc", .from = RelPath().Child("passwd"), .depth = OperandDepth::kObject}};
  EXPECT_EQ(SourceKeyOf(facts).source, whole.source) << "a single file leads to no delete";
  for (const char* written : {"/backup/", "/backup/.", "/srv/../backup//"}) {
    facts.destination_absolute = written;
    EXPECT_EQ(SourceKeyOf(facts).destination, whole.destination) << written;
  }
  facts.source_is_local = false;
  facts.source = "host:data";
  EXPECT_NE(SourceKeyOf(facts).source, whole.source);
}

// A run that deletes, and what comes after it.
class SourceMemoryRunTest : public testing::Test {
 protected:
  SourceMemoryRunTest() {
    options_.request.delete_extraneous = true;
    facts_.source_absolute = "/srv/data";
    facts_.source_is_local = true;
    outcome_.complete = true;
    outcome_.mounts = {{"/srv", "1"}};
  }
  // A run that ends with outcome_. What it was told of an earlier one; nullopt: it does not ask.
  std::optional<RecalledMounts> Run() {
    SyncRequest request;
    SourceMemory memory(options_, facts_, dir_.path());
    memory.Attach(&request);
    std::optional<RecalledMounts> known;
    if (request.recall_mounts) known = request.recall_mounts(source_, destination_);
    if (known && !known->unusable.empty())
      outcome_.deletes_held = outcome_.source_in_doubt = !options_.request.accept_lost_mounts;
    EXPECT_EQ(memory.Remember(outcome_), "");
    return known;
  }
  // What a dry run is told.
  std::vector<MountedPlace> Next() {
    options_.request.mode = SyncMode::kPlan;
    std::vector<MountedPlace> known = Run()->mounts;
    options_.request.mode = SyncMode::kSync;
    return known;
  }
  TempDir dir_;
  RunOptions options_;
  ReportFacts facts_;
  SessionOpened source_;
  SessionOpened destination_;
  SyncOutcome outcome_;
};

TEST_F(SourceMemoryRunTest, ARunIsToldWhatTheLastOneSaw) {
  EXPECT_THAT(Run()->mounts, IsEmpty());
  EXPECT_THAT(Run()->mounts, ElementsAre(MountedPlace{"/srv", "1"}));
}

TEST_F(SourceMemoryRunTest, ARunThatHeldDeletesBackOrBrokeOffChangesNothing) {
  Run();
  outcome_.mounts = {{"/", "2"}};
  outcome_.deletes_held = outcome_.source_in_doubt = true;
  for (const uint64_t skipped : {1, 0}) {
    outcome_.plan.skipped_deletes = skipped;
    Run();
    EXPECT_THAT(Next(), ElementsAre(MountedPlace{"/srv", "1"}));
  }
  outcome_.deletes_held = outcome_.source_in_doubt = false;
  outcome_.complete = false;
  Run();
  EXPECT_THAT(Next(), ElementsAre(MountedPlace{"/srv", "1"}));
  outcome_.complete = true;
  Run();
  EXPECT_THAT(Next(), ElementsAre(MountedPlace{"/", "2"}));
}

TEST_F(SourceMemoryRunTest, AnotherFileSystemIsRecordedOnceNothingHasToBeDeletedBecauseOfIt) {
  Run();
  outcome_.mounts = {{"/srv", "2"}};
  outcome_.deletes_held = true;
  outcome_.plan.skipped_deletes = 1;
  Run();
  EXPECT_THAT(Next(), ElementsAre(MountedPlace{"/srv", "1"}));
  outcome_.plan.skipped_deletes = 0;
  Run();
  EXPECT_THAT(Next(), ElementsAre(MountedPlace{"/srv", "2"}));
}

TEST_F(SourceMemoryRunTest, PlacesThatAgentsTellCountAndNotHowTheyAreWritten) {
  source_.place = "aa";
  destination_.place = "bb";
  Run();
  facts_.source_absolute = "/link";
  facts_.destination_absolute = "/other";
  EXPECT_THAT(Next(), ElementsAre(MountedPlace{"/srv", "1"}));
  destination_.place = "cc";
  EXPECT_THAT(Next(), IsEmpty());
  destination_.place = "bb";
  source_.place = "cc";
  EXPECT_THAT(Next(), IsEmpty());
}

TEST_F(SourceMemoryRunTest, AnAppliedPlanIsHeldToItsOwnMountsWhateverIsRecorded) {
  options_.plan_mounts = {{"/mnt", "9"}};
  EXPECT_THAT(Run()->mounts, ElementsAre(MountedPlace{"/mnt", "9"}));
  std::ofstream(SourceRecord(dir_.path(), SourceKeyOf(facts_)).path()) << "nonsense";
  const std::optional<RecalledMounts> known = Run();
  EXPECT_THAT(known->mounts, ElementsAre(MountedPlace{"/mnt", "9"}));
  EXPECT_EQ(known->unusable, "");
  options_.plan_mounts.clear();
  EXPECT_THAT(Next(), ElementsAre(MountedPlace{"/srv", "1"})) << "as it was found";
}

TEST_F(SourceMemoryRunTest, NothingIsKeptOfAHostsOwnFileSystemOrOfRunsThatDeleteNothing) {
  outcome_.mounts = {{"/", "2"}};
  Run();
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
  options_.request.delete_extraneous = false;
  EXPECT_FALSE(Run().has_value());
}

TEST_F(SourceMemoryRunTest, ADamagedRecordStaysUntilTheSourceIsAccepted) {
  Run();
  const std::string path = SourceRecord(dir_.path(), SourceKeyOf(facts_)).path();
  std::ofstream(path) << "nonsense";
  outcome_.mounts = {{"/", "2"}};
  for (int i = 0; i < 2; ++i) EXPECT_THAT(Run()->unusable, HasSubstr(path));
  options_.request.accept_lost_mounts = true;
  outcome_.deletes_held = outcome_.source_in_doubt = false;
  Run();
  EXPECT_THAT(Next(), ElementsAre(MountedPlace{"/", "2"}));
}

}  // namespace
}  // namespace uringsync
