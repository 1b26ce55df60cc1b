#include "coordinator/core/asked_manifest.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>

#include "tests/coordinator/core/plan_fixture.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

class Told final : public ManifestStream {
 public:
  explicit Told(std::deque<DirectoryBatch> batches) : batches_(std::move(batches)) {}
  absl::StatusOr<std::optional<DirectoryBatch>> Next() override {
    if (batches_.empty()) return std::optional<DirectoryBatch>();
    DirectoryBatch batch = std::move(batches_.front());
    batches_.pop_front();
    return std::optional(std::move(batch));
  }

 private:
  std::deque<DirectoryBatch> batches_;
};

SourceOperand Operand(std::string_view at, OperandDepth depth) {
  return {.base = "", .from = *RelPath::Parse(at), .at = *RelPath::Parse(at), .depth = depth};
}

absl::Status Read(const std::vector<SourceOperand>& operands, std::deque<DirectoryBatch> batches,
                  const std::vector<std::string>& rules = {}) {
  Told told(std::move(batches));
  PathFilterPtr filter;
  if (!rules.empty()) filter = *PathFilter::Compile(rules, {});
  AskedManifest asked(&told, operands, filter);
  while (true) {
    const absl::StatusOr<std::optional<DirectoryBatch>> batch = asked.Next();
    if (!batch.ok()) return batch.status();
    if (!*batch) return absl::OkStatus();
  }
}

auto Unasked(const std::string& path) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"" + path + "\", which nobody asked for"));
}

TEST(AskedManifestTest, WithoutOperandsEverythingWasAskedFor) {
  EXPECT_OK(Read({}, {Batch("", {Dir("a", 2), File("b", 3)}, 1), Batch("a", {File("c", 4)}, 2)}));
}

TEST(AskedManifestTest, OperandsAndTheWaysToThemMayBeToldAndNothingBeside) {
  const std::vector<SourceOperand> operands = {Operand("x/deep/file", OperandDepth::kObject),
                                               Operand("a", OperandDepth::kTree), Operand("d", OperandDepth::kObject),
                                               Operand("e", OperandDepth::kEntries)};
  const DirectoryBatch top = Batch("", {Dir("a", 2), Dir("d", 3), Dir("e", 4), Dir("x", 5)}, 1);
  const DirectoryBatch tree = Batch("a", {Dir("any", 6)}, 2);
  const DirectoryBatch below = Batch("a/any", {File("thing", 7)}, 6);
  const DirectoryBatch entries = Batch("e", {File("f", 8), Dir("g", 9)}, 4);
  EXPECT_OK(Read(operands, {top, tree, below, Batch("d", {}, 3), entries, Batch("e/g", {}, 9),
                            Batch("x", {Dir("deep", 10)}, 5), Batch("x/deep", {File("file", 11)}, 10)}));
  EXPECT_THAT(Read(operands, {Batch("", {Dir(".ssh", 2)}, 1)}), Unasked(".ssh"));
  EXPECT_THAT(Read(operands, {Batch("", {File("a.b", 2)}, 1)}), Unasked("a.b"));
  EXPECT_THAT(Read(operands, {top, Batch("d", {File("inside", 7)}, 3)}), Unasked("d/inside"));
  EXPECT_THAT(Read(operands, {top, entries, Batch("e/g", {File("deeper", 12)}, 9)}), Unasked("e/g/deeper"));
  EXPECT_THAT(Read(operands, {top, Batch("x", {File("deep.er", 10)}, 5)}), Unasked("x/deep.er"));
  EXPECT_THAT(Read(operands, {Batch("other", {}, 5)}), Unasked("other"));
  // What came before makes no difference.
  EXPECT_THAT(Read(operands, {top, tree, below, Batch("", {File("late", 13)}, 1)}), Unasked("late"));
}

TEST(AskedManifestTest, AFileAskedForByNameIsNoReasonToListIt) {
  const std::vector<SourceOperand> operands = {Operand("one", OperandDepth::kObject)};
  EXPECT_OK(Read(operands, {Batch("", {File("one", 2)}, 1)}));
  EXPECT_THAT(Read(operands, {Batch("", {Dir("one", 2)}, 1), Batch("one", {File("two", 3)}, 2)}), Unasked("one/two"));
}

TEST(AskedManifestTest, WhatTheRulesHideIsNotToldEither) {
  const std::vector<std::string> rules = {"+ keep.o", "- *.o", "- build/", "P safe"};
  EXPECT_OK(Read({}, {Batch("", {File("a.c", 2), File("build", 3), File("keep.o", 4), File("safe", 5)}, 1)}, rules));
  EXPECT_THAT(Read({}, {Batch("", {File("a.o", 2)}, 1)}, rules), Unasked("a.o"));
  EXPECT_THAT(Read({}, {Batch("", {Dir("build", 2)}, 1)}, rules), Unasked("build"));
  EXPECT_OK(Read({Operand("d/a.o", OperandDepth::kObject)},
                 {Batch("", {Dir("d", 2)}, 1), Batch("d", {File("a.o", 3)}, 2)}, rules));
  EXPECT_THAT(
      Read({Operand("d", OperandDepth::kTree)}, {Batch("", {Dir("d", 2)}, 1), Batch("d", {File("a.o", 3)}, 2)}, rules),
      Unasked("d/a.o"));
  // What a merge file of the source may decide is its word.
  EXPECT_OK(Read({}, {Batch("", {File("a.o", 2)}, 1)}, {": .rules", "- *.o"}));
  EXPECT_OK(Read({}, {Batch("", {File("a.o", 2)}, 1)}, {"+s *.o", "- *.o"}));
}

}  // namespace
}  // namespace uringsync
