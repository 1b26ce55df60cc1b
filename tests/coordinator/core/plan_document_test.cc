// Plans as documents: what is written is read again, and nothing else is.
#include "coordinator/core/plan_document.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "coordinator/core/plan_header.h"
#include "tests/support/message_samples.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

PlanHeader SomeHeader() {
  PlanHeader header{.software = "uringsync 1",
                    .made = "2026-01-02T03:04:05.000Z",
                    .program = "ursync",
                    .source = "/srv/a b\n\\c",
                    .destination = "host:\xff",
                    .options = {"--archive", "--suffix=.old", "--filter=- \t*"}};
  header.make_path = true;
  return header;
}

std::vector<PlannedAction> SomeActions(MessageSamples* samples, Phase phase, size_t count, uint64_t* id) {
  std::vector<PlannedAction> planned;
  for (Action& action : samples->Actions(count).actions) {
    action.id = ++*id;
    planned.push_back(
        {phase, std::move(action), Differences::FromMask(static_cast<uint32_t>(samples->Number(1u << 17)))});
  }
  return planned;
}

// A whole document with two batches of actions.
std::string SomeDocument(std::vector<PlannedAction>* actions = nullptr) {
  MessageSamples samples(5);
  PlanEncoder encoder(SomeHeader());
  std::string text = encoder.Begin();
  text += *encoder.Operands(samples.Operands(3));
  text += *encoder.Mounts({{"/mnt", "ext4 id 11"}});
  uint64_t id = 0;
  for (const Phase phase : {Phase::kCreate, Phase::kDelete}) {
    const std::vector<PlannedAction> batch = SomeActions(&samples, phase, 20, &id);
    text += *encoder.Actions(phase, batch);
    if (actions != nullptr) actions->insert(actions->end(), batch.begin(), batch.end());
  }
  PlanCounters counters;
  counters.source_entries = 77;
  counters.deletes = 3;
  return text + encoder.End(counters);
}

// Hands out `text` a few bytes at a time.
PlanDecoder::Read Reading(std::string text, size_t at_once = 7) {
  return [text = std::move(text), at = size_t{0}, at_once](std::span<char> buffer) mutable -> absl::StatusOr<size_t> {
    const size_t count = std::min({buffer.size(), at_once, text.size() - at});
    std::memcpy(buffer.data(), text.data() + at, count);
    at += count;
    return count;
  };
}

absl::Status ReadAll(const std::string& text) {
  absl::StatusOr<std::unique_ptr<PlanDecoder>> decoder = PlanDecoder::Open(Reading(text, 1 << 20));
  if (!decoder.ok()) return decoder.status();
  while (true) {
    const auto batch = (*decoder)->Next();
    if (!batch.ok() || !batch->has_value()) return batch.status();
  }
}

TEST(PlanDocumentTest, WhatIsWrittenIsRead) {
  std::vector<PlannedAction> written;
  absl::StatusOr<std::unique_ptr<PlanDecoder>> decoder = PlanDecoder::Open(Reading(SomeDocument(&written)));
  ASSERT_OK(decoder);
  EXPECT_EQ((*decoder)->header(), SomeHeader());
  EXPECT_EQ((*decoder)->mounts(), (std::vector<MountedPlace>{{"/mnt", "ext4 id 11"}}));
  EXPECT_EQ((*decoder)->operands().size(), 3u);
  std::vector<PlannedAction> read;
  while (true) {
    absl::StatusOr<std::optional<PlannedBatch>> batch = (*decoder)->Next();
    ASSERT_OK(batch);
    if (!batch->has_value()) break;
    for (PlannedAction& planned : (*batch)->actions) {
      EXPECT_EQ(planned.phase, (*batch)->phase);
      read.push_back(std::move(planned));
    }
  }
  ASSERT_EQ(read.size(), written.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].phase, written[i].phase);
    EXPECT_EQ(read[i].differences, written[i].differences);
    EXPECT_EQ(read[i].action.id, i + 1);
    EXPECT_EQ(read[i].action.kind, written[i].action.kind);
    EXPECT_EQ(read[i].action.path, written[i].action.path);
    EXPECT_EQ(read[i].action.wanted.mtime, written[i].action.wanted.mtime);
    EXPECT_EQ(read[i].action.existing.has_value(), written[i].action.existing.has_value());
  }
  EXPECT_EQ((*decoder)->counters().source_entries, 77u);
  EXPECT_EQ((*decoder)->counters().deletes, 3u);
}

TEST(PlanDocumentTest, ACutDocumentIsRefusedWhereverItIsCut) {
  const std::string whole = SomeDocument();
  ASSERT_OK(ReadAll(whole));
  for (size_t length = 0; length < whole.size(); length += 1 + length / 40) {
    const absl::Status status = ReadAll(whole.substr(0, length));
    EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsNotFound(status)) << length << status;
  }
}

TEST(PlanDocumentTest, AChangedByteIsSeenWhereverItIs) {
  const std::string whole = SomeDocument();
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string spoilt = whole;
    spoilt[at] = static_cast<char>(spoilt[at] ^ 1);
    EXPECT_FALSE(ReadAll(spoilt).ok()) << at;
  }
}

TEST(PlanDocumentTest, WhatFollowsTheEndIsRefused) {
  EXPECT_THAT(ReadAll(SomeDocument() + "x"), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("follows its end")));
}

TEST(PlanDocumentTest, RecordsOfAnotherDocumentDoNotFit) {
  PlanHeader other = SomeHeader();
  other.destination = "/elsewhere";
  const std::string whole = SomeDocument();
  const std::string text = PlanHeaderText(SomeHeader());
  EXPECT_THAT(ReadAll(PlanHeaderText(other) + whole.substr(text.size())),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum")));
}

TEST(PlanDocumentTest, AnActionThatIsMissingIsMissed) {
  MessageSamples samples(9);
  PlanEncoder encoder(SomeHeader());
  std::string text = encoder.Begin();
  uint64_t id = 1;
  text += *encoder.Actions(Phase::kCreate, SomeActions(&samples, Phase::kCreate, 2, &id));
  EXPECT_THAT(ReadAll(text + encoder.End({})), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("missing")));
}

TEST(PlanDocumentTest, OtherFilesAndOtherFormatsAreToldApart) {
  EXPECT_THAT(ReadAll("#!/bin/sh\n"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadAll(""), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadAll("uringsync plan, format x\n\n"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadAll("uringsync plan, format 2\nnew: thing\n\n"),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("format 2")));
}

TEST(PlanDocumentTest, AHeaderHasOneSpelling) {
  const std::string good = PlanHeaderText(SomeHeader());
  ASSERT_OK(ParsePlanHeader(good));
  const auto with = [&good](std::string_view from, std::string_view to) {
    std::string text = good;
    const size_t at = text.find(from);
    return text.replace(at, from.size(), to);
  };
  for (const std::string& bad :
       {with("source: ", "origin: "), with("# Show", "# Snow"), with("make-path: yes", "make-path: no"),
        with("program: ursync", "program: ursync\nprogram: sync"), with("/srv/a b", "/srv/a\\040b"),
        with("/srv/a b", "/srv/\\9")}) {
    EXPECT_TRUE(absl::IsDataLoss(ParsePlanHeader(bad).status())) << bad;
  }
}

TEST(PlanDocumentTest, AHeaderWithoutEndIsNotReadForEver) {
  const std::string endless = std::string(kPlanMagic) + "1\n" + std::string(3 * kMaxPlanHeaderBytes, '#');
  EXPECT_TRUE(absl::IsDataLoss(ReadAll(endless)));
}

}  // namespace
}  // namespace uringsync
