// Operands of a session and questions about paths: round trips, and what a decoder refuses.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "proto/convert.h"
#include "proto/wire_size.h"
#include "tests/support/message_samples.h"
#include "tests/support/status_matchers.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

RelPath Path(std::string_view text) {
  return *RelPath::Parse(text);
}

void AddName(v1::Strings* strings, const std::string& name) {
  strings->mutable_text()->append(name);
  strings->add_lengths(static_cast<uint32_t>(name.size()));
}

template <typename Value>
absl::StatusOr<ClientMessage> Passed(const Value& value) {
  v1::ClientMessage wire;
  const absl::Status encoded = EncodeMessage(ClientMessage(value), &wire);
  if (!encoded.ok()) return encoded;
  return DecodeMessage(wire);
}

// "a" with all below it, and "b/c" for "x" in /srv.
v1::OperandTable GoodTable() {
  v1::OperandTable table;
  AddName(table.mutable_bases(), "/srv");
  for (const char* at : {"a", "b/c"}) AddName(table.mutable_ats(), at);
  table.add_from_rows(1);
  AddName(table.mutable_froms(), "x");
  table.add_depths(3);
  return table;
}

absl::Status Decoded(const std::function<void(v1::OperandTable*)>& spoil) {
  v1::ClientMessage wire;
  *wire.mutable_operand_batch()->mutable_operands() = GoodTable();
  spoil(wire.mutable_operand_batch()->mutable_operands());
  return DecodeMessage(wire).status();
}

TEST(OperandsConvertTest, OperandsKeepEveryField) {
  MessageSamples samples(7);
  for (size_t count = 0; count < 50; ++count) {
    const OperandBatch batch{.operands = samples.Operands(count), .last = samples.Coin()};
    const absl::StatusOr<ClientMessage> passed = Passed(batch);
    ASSERT_OK(passed);
    EXPECT_EQ(std::get<OperandBatch>(*passed).operands, batch.operands);
    EXPECT_EQ(std::get<OperandBatch>(*passed).last, batch.last);
  }
}

TEST(OperandsConvertTest, ASessionOnHostPathsKeepsThemAsBytes) {
  OpenSession open;
  open.host_path = "../\xff\n/";
  open.make_path = open.more_operands = true;
  open.operands = {
      {.base = "/a//b/..", .from = Path("x"), .at = Path("y"), .depth = OperandDepth::kEntries, .follow = true}};
  const absl::StatusOr<ClientMessage> passed = Passed(open);
  ASSERT_OK(passed);
  const auto& decoded = std::get<OpenSession>(*passed);
  EXPECT_EQ(decoded.root, "");
  EXPECT_EQ(decoded.host_path, open.host_path);
  EXPECT_EQ(decoded.operands, open.operands);
  EXPECT_TRUE(decoded.make_path && decoded.more_operands);
}

TEST(OperandsConvertTest, BasesBelowARootAreNoHostPaths) {
  OpenSession open;
  open.root = "data";
  for (const char* base : {"/etc", "a/../..", "..", "a//b"}) {
    open.operands = {{.base = base, .from = Path("x"), .at = Path("x")}};
    EXPECT_THAT(Passed(open), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("OpenSession.operands[0]")))
        << base;
  }
  open.operands[0].base = "a/b";
  EXPECT_OK(Passed(open));
}

TEST(OperandsConvertTest, DamagedOperandsAreRefused) {
  using T = v1::OperandTable*;
  struct Case {
    const char* name;
    std::function<void(T)> spoil;
    const char* expected;
  };
  const auto at = [](const char* text) {
    return [text](T t) {
      t->mutable_ats()->Clear();
      AddName(t->mutable_ats(), text);
      AddName(t->mutable_ats(), "b");
    };
  };
  const Case cases[] = {
      {"dot dot", at("a/../b"), "OperandBatch.operands[0]"},
      {"absolute", at("/etc/passwd"), "OperandBatch.operands[0]"},
      {"slash at the end", at("a/"), "OperandBatch.operands[0]"},
      {"nul", [](T t) { t->mutable_ats()->mutable_text()->at(0) = '\0'; }, "OperandBatch.operands[0]"},
      {"nul in a base", [](T t) { t->mutable_bases()->mutable_text()->at(1) = '\0'; }, "contains NUL"},
      {"long base",
       [](T t) {
         t->clear_bases();
         AddName(t->mutable_bases(), std::string(4097, 'b'));
       },
       "4097 bytes, at most 4096"},
      {"long name",
       [](T t) {
         t->mutable_froms()->Clear();
         AddName(t->mutable_froms(), std::string(256, 'n'));
       },
       "operands[1]"},
      {"long path", [](T t) { t->mutable_froms()->set_lengths(0, (1 << 20) + 1); }, "at most 1048576"},
      {"no base", [](T t) { t->clear_bases(); }, "no base 0"},
      {"base number",
       [](T t) {
         t->add_base_numbers(0);
         t->add_base_numbers(1);
       },
       "operands[1]: no base 1"},
      {"depth", [](T t) { t->set_depths(0, 4); }, "unknown depth 4"},
      {"no depth", [](T t) { t->clear_depths(); }, "unknown depth 0"},
      {"from row", [](T t) { t->set_from_rows(0, 2); }, "row 2 of 2"},
      {"implied row", [](T t) { t->add_implied_rows(9); }, "row 9 of 2"},
      {"follow rows",
       [](T t) {
         t->add_follow_rows(1);
         t->add_follow_rows(1);
       },
       "out of order"},
      {"froms", [](T t) { t->clear_froms(); }, "0 elements where 1 belong"},
  };
  EXPECT_OK(Decoded([](T) {}));
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    EXPECT_THAT(Decoded(test.spoil), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(test.expected)));
  }
}

TEST(OperandsConvertTest, AHundredThousandOperandsInOneMessageAreRefusedBeforeTheyAreMade) {
  const auto many = [](v1::OperandTable* table) {
    table->Clear();
    AddName(table->mutable_bases(), "b");
    for (int i = 0; i < 100'000; ++i) AddName(table->mutable_ats(), "a");
    table->add_depths(1);
  };
  EXPECT_THAT(Decoded(many), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("100000 operands, at most 16384")));
}

TEST(OperandsConvertTest, ALongBaseForManyShortRowsIsNotMultiplied) {
  const auto many = [](v1::OperandTable* table) {
    table->Clear();
    AddName(table->mutable_bases(), std::string(kMaxHostPathBytes, 'b'));
    for (size_t i = 0; i < kMaxOperandsPerMessage; ++i) AddName(table->mutable_ats(), "a");
    table->add_depths(1);
  };
  EXPECT_THAT(Decoded(many),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bytes of operands, at most 4194304")));
}

TEST(OperandsConvertTest, AListOfAnySizeIsCutIntoMessagesThatPass) {
  std::vector<SourceOperand> operands(40'000);
  for (size_t i = 0; i < operands.size(); ++i) operands[i].at = operands[i].from = Path("n" + std::to_string(i));
  for (size_t i = 0; i < 1000; ++i) operands[i].base = std::string(kMaxHostPathBytes, 'b');
  size_t taken = 0;
  while (taken < operands.size()) {
    const size_t count = OperandsOfOneMessage(std::span(operands).subspan(taken));
    ASSERT_GT(count, 0u);
    OperandBatch batch;
    batch.operands.assign(operands.begin() + static_cast<long>(taken),
                          operands.begin() + static_cast<long>(taken + count));
    ASSERT_OK(Passed(batch));
    taken += count;
  }
}

TEST(OperandsConvertTest, QuestionsAboutPathsKeepTheirBytesAndTheirOrder) {
  const PathQuery query{.root = "", .paths = {"/a//b/../c/", "", "\xff\n", "x"}};
  const absl::StatusOr<ClientMessage> passed = Passed(query);
  ASSERT_OK(passed);
  EXPECT_EQ(std::get<PathQuery>(*passed).paths, query.paths);
  EXPECT_THAT(Passed(PathQuery{.root = "data", .paths = {"a", "../b"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("PathQuery.paths[1]")));
  EXPECT_THAT(Passed(PathQuery{.paths = {std::string("a\0b", 3)}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("contains NUL")));
  EXPECT_THAT(Passed(PathQuery{.paths = std::vector<std::string>(kMaxPathQuery + 1)}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 4096")));
}

TEST(OperandsConvertTest, PatternsAndListsAreOfHostPathsOnly) {
  const PathQuery query{.root = "", .paths = {"~/a*"}, .expand = true, .list_file = "li\xffst", .list_offset = 7};
  const absl::StatusOr<ClientMessage> passed = Passed(query);
  ASSERT_OK(passed);
  const auto& decoded = std::get<PathQuery>(*passed);
  EXPECT_TRUE(decoded.expand);
  EXPECT_EQ(decoded.list_file, query.list_file);
  EXPECT_EQ(decoded.list_offset, 7u);
  EXPECT_THAT(Passed(PathQuery{.root = "data", .paths = {"a"}, .expand = true}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("of host paths")));
  EXPECT_THAT(Passed(PathQuery{.root = "data", .list_file = "a"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("of host paths")));
  EXPECT_THAT(Passed(PathQuery{.list_file = std::string("a\0b", 3)}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("contains NUL")));
}

TEST(OperandsConvertTest, AnswersAboutPathsKeepEveryField) {
  MessageSamples samples(3);
  for (int i = 0; i < 50; ++i) {
    const PathReply reply = samples.AnyPathReply();
    v1::AgentMessage wire;
    ASSERT_OK(EncodeMessage(AgentMessage(reply), &wire));
    const absl::StatusOr<AgentMessage> decoded = DecodeMessage(wire);
    ASSERT_OK(decoded);
    const auto& same = std::get<PathReply>(*decoded);
    EXPECT_EQ(same.paths, reply.paths);
    EXPECT_EQ(same.names, reply.names);
    EXPECT_EQ(same.directory, reply.directory);
    EXPECT_EQ(same.list, reply.list);
    EXPECT_EQ(same.list_ends, reply.list_ends);
  }
}

TEST(OperandsConvertTest, DamagedAnswersAboutPathsAreRefused) {
  const auto decoded = [](const std::function<void(v1::PathReply*)>& spoil) {
    v1::AgentMessage wire;
    wire.mutable_path_reply()->add_kinds(1);
    wire.mutable_path_reply()->add_targets(1);
    spoil(wire.mutable_path_reply());
    return DecodeMessage(wire).status();
  };
  EXPECT_OK(decoded([](v1::PathReply*) {}));
  EXPECT_THAT(decoded([](v1::PathReply* r) { r->set_kinds(0, 6); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("kinds[0]")));
  EXPECT_THAT(decoded([](v1::PathReply* r) { r->set_targets(0, 4); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no end")));
  EXPECT_THAT(decoded([](v1::PathReply* r) { r->add_errors(5000); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no errno")));
  EXPECT_THAT(decoded([](v1::PathReply* r) { r->add_parent_rows(1); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("row 1 of 1")));
  const auto name = [](std::string_view text) {
    return [text](v1::PathReply* r) {
      r->mutable_names()->set_text(std::string(text));
      r->mutable_names()->add_lengths(static_cast<uint32_t>(text.size()));
    };
  };
  EXPECT_OK(decoded(name("a\n")));
  EXPECT_THAT(decoded(name("")), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("PathReply.names")));
  EXPECT_THAT(decoded(name(std::string_view("a\0", 2))),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("contains NUL")));
  EXPECT_THAT(decoded([&](v1::PathReply* r) {
                name("a")(r);
                r->mutable_names()->mutable_text()->append("b");
                r->mutable_names()->add_lengths(1);
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not one for each path")));
  EXPECT_THAT(decoded([](v1::PathReply* r) { r->set_directory(std::string(kMaxHostPathBytes + 1, 'x')); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 4096")));
  EXPECT_THAT(decoded([](v1::PathReply* r) { r->set_list(std::string(kMaxListBytes + 1, 'x')); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("PathReply.list")));
}

}  // namespace
}  // namespace uringsync
