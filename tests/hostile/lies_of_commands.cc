#include <utility>

#include "tests/hostile/lies.h"

namespace uringsync::hostile {
namespace {

using Message = v1::ClientMessage;
using More = std::vector<Message>;

CommandLie OfOpen(std::string name, void (*tell)(v1::OpenSession* open)) {
  return {.name = std::move(name), .kind = Message::kOpenSession, .tell = [tell](Message* message, More*) {
            tell(message->mutable_open_session());
          }};
}

CommandLie OfActions(std::string name, void (*tell)(v1::ActionBatch* batch)) {
  return {.name = std::move(name), .kind = Message::kActionBatch, .tell = [tell](Message* message, More*) {
            tell(message->mutable_action_batch());
          }};
}

// Something else in the place of what starts the manifest, when the session is open.
CommandLie Instead(std::string name, void (*make)(Message* message)) {
  return {.name = std::move(name), .kind = Message::kStartManifest, .tell = [make](Message* message, More*) {
            message->Clear();
            make(message);
          }};
}

void RenameAction(v1::ActionBatch* batch, const std::string& becomes) {
  std::vector<std::string> names = ValuesOf(batch->names());
  if (!names.empty()) names.back() = becomes;
  Assign(batch->mutable_names(), names);
}

std::vector<CommandLie> Openings() {
  std::vector<CommandLie> lies = {
      {.name = "no-greeting", .kind = Message::kHello, .tell = [](Message* m, More*) { m->mutable_start_manifest(); }},
      {.name = "greets-twice", .kind = Message::kHello, .tell = [](Message* m, More* more) { more->push_back(*m); }},
      {.name = "empty-message", .kind = Message::kHello, .tell = [](Message* m, More*) { m->Clear(); }},
      {.name = "opens-twice", .kind = Message::kOpenSession, .tell = [](Message* m, More* more) { more->push_back(*m); }},
      OfOpen("a-root-that-leads-out", [](v1::OpenSession* o) { o->set_root("../etc"); }),
      OfOpen("a-path-that-leads-out", [](v1::OpenSession* o) { o->set_path("../../canary"); }),
      OfOpen("an-absolute-path", [](v1::OpenSession* o) { o->set_path("/etc"); }),
      OfOpen("a-path-of-the-host",
             [](v1::OpenSession* o) {
               o->clear_root();
               o->clear_path();
               o->set_host_path("/");
             }),
      OfOpen("no-role", [](v1::OpenSession* o) { o->clear_role(); }),
      OfOpen("a-short-session-id", [](v1::OpenSession* o) { o->set_session("short"); }),
      OfOpen("a-short-token", [](v1::OpenSession* o) { o->set_token("short"); }),
      OfOpen("no-selection", [](v1::OpenSession* o) { o->clear_selection(); }),
      OfOpen("connections-without-number", [](v1::OpenSession* o) { o->set_data_connections(1u << 30); }),
      OfOpen("too-many-rules",
             [](v1::OpenSession* o) { Assign(o->mutable_filters(), std::vector<std::string>(1000, std::string(4000, '-'))); }),
      OfOpen("a-backup-that-leads-out",
             [](v1::OpenSession* o) {
               o->mutable_backup()->mutable_directory()->set_root("pool");
               o->mutable_backup()->mutable_directory()->set_path("../../canary");
             }),
      OfOpen("a-backup-on-the-host", [](v1::OpenSession* o) { o->mutable_backup()->mutable_directory()->set_host_path("/"); }),
      OfOpen("temporaries-on-the-host",
             [](v1::OpenSession* o) { o->mutable_staging()->mutable_temporaries()->set_host_path("/tmp"); }),
      OfOpen("parts-that-climb",
             [](v1::OpenSession* o) {
               o->mutable_staging()->set_keep_partial(true);
               o->mutable_staging()->set_partial_directory("canary");
               o->mutable_staging()->set_partial_climb(4000);
             }),
      OfOpen("a-basis-on-the-host",
             [](v1::OpenSession* o) { o->add_basis_directories()->set_host_path("/etc"); }),
      OfOpen("operands-that-lead-out",
             [](v1::OpenSession* o) {
               Assign(o->mutable_operands()->mutable_bases(), {"../.."});
               Assign(o->mutable_operands()->mutable_ats(), {"x"});
               o->mutable_operands()->add_depths(3);
             }),
      OfOpen("operands-that-never-come", [](v1::OpenSession* o) { o->set_more_operands(true); })};
  lies.push_back({.name = "operands-without-end", .kind = Message::kOpenSession, .tell = [](Message* m, More* more) {
                    m->mutable_open_session()->set_more_operands(true);
                    Message batch;
                    std::vector<std::string> names;
                    for (int i = 0; i < 16000; ++i) names.push_back("operand-with-a-long-name-" + std::to_string(i));
                    Assign(batch.mutable_operand_batch()->mutable_operands()->mutable_ats(), names);
                    Assign(batch.mutable_operand_batch()->mutable_operands()->mutable_bases(), {""});
                    batch.mutable_operand_batch()->mutable_operands()->add_depths(1);
                    more->push_back(batch);
                  },
                  .endless = true});
  return lies;
}

std::vector<CommandLie> Actions() {
  std::vector<CommandLie> lies = {
      OfActions("writes-a-name-that-leads-up", [](v1::ActionBatch* b) { RenameAction(b, ".."); }),
      OfActions("writes-a-name-with-a-slash", [](v1::ActionBatch* b) { RenameAction(b, "a/../../canary/file"); }),
      OfActions("writes-a-name-with-nul", [](v1::ActionBatch* b) { RenameAction(b, std::string("a\0b", 3)); }),
      OfActions("writes-an-empty-name",
                [](v1::ActionBatch* b) {
                  RenameAction(b, "");
                  b->clear_parents();
                  b->add_parents(1);
                  Assign(b->mutable_directories()->mutable_paths(), {"dir"});
                  b->mutable_directories()->clear_parents();
                  b->mutable_directories()->add_parents(0);
                }),
      OfActions("writes-over-temporaries-of-others",
                [](v1::ActionBatch* b) { RenameAction(b, ".~uringsync~0123456789abcdef.1.tmp"); }),
      OfActions("a-directory-that-leads-up",
                [](v1::ActionBatch* b) {
                  b->mutable_directories()->add_parents(0);
                  std::vector<std::string> paths = ValuesOf(b->directories().paths());
                  paths.emplace_back("../../canary");
                  Assign(b->mutable_directories()->mutable_paths(), paths);
                }),
      OfActions("a-directory-in-itself",
                [](v1::ActionBatch* b) {
                  const auto number = static_cast<uint32_t>(b->directories().parents_size()) + 1;
                  b->mutable_directories()->add_parents(number);
                  std::vector<std::string> paths = ValuesOf(b->directories().paths());
                  paths.emplace_back("loop");
                  Assign(b->mutable_directories()->mutable_paths(), paths);
                }),
      OfActions("a-parent-that-is-not-there",
                [](v1::ActionBatch* b) {
                  b->clear_parents();
                  b->add_parents(1u << 30);
                }),
      OfActions("actions-from-the-future", [](v1::ActionBatch* b) { b->set_sequence(b->sequence() + 5); }),
      OfActions("action-numbers-again",
                [](v1::ActionBatch* b) {
                  for (int i = 0; i < b->ids_size(); ++i) b->set_ids(i, 1);
                  b->add_ids(1);
                }),
      OfActions("actions-of-no-kind",
                [](v1::ActionBatch* b) {
                  b->clear_kinds();
                  b->add_kinds(99);
                }),
      OfActions("a-file-that-is-a-directory",
                [](v1::ActionBatch* b) {
                  b->clear_kinds();
                  b->add_kinds(v1::ACTION_KIND_PUT_FILE);
                  b->mutable_wanted()->clear_modes();
                  b->mutable_wanted()->add_modes(040755);
                }),
      OfActions("no-phase", [](v1::ActionBatch* b) { b->clear_phase(); }),
      OfActions("links-without-targets",
                [](v1::ActionBatch* b) {
                  b->clear_kinds();
                  b->add_kinds(v1::ACTION_KIND_LINK);
                  b->set_phase(v1::PHASE_LINK);
                }),
      OfActions("a-basis-that-was-not-opened", [](v1::ActionBatch* b) {
        b->add_basis_rows(0);
        b->add_basis_directories(7);
      })};
  lies.push_back({.name = "actions-twice", .kind = Message::kActionBatch, .tell = [](Message* m, More* more) {
                    more->push_back(*m);
                  }});
  lies.push_back({.name = "the-end-twice", .kind = Message::kFinishApply, .tell = [](Message* m, More* more) {
                    more->push_back(*m);
                  }});
  lies.push_back({.name = "actions-after-the-end", .kind = Message::kActionBatch, .tell = [](Message* m, More* more) {
                    more->push_back(*m);
                    m->Clear();
                    m->mutable_finish_apply();
                  }});
  return lies;
}

std::vector<CommandLie> Others() {
  return {Instead("actions-before-the-manifest", [](Message* m) { m->mutable_action_batch()->set_sequence(9); }),
          Instead("the-end-before-the-beginning",
                  [](Message* m) {
                    m->mutable_listing_verdicts()->set_through(1u << 30);
                    m->mutable_listing_verdicts()->add_expand(1);
                  }),
          Instead("a-credit-of-nought", [](Message* m) { m->mutable_manifest_credit(); }),
          Instead("a-credit-without-end", [](Message* m) { m->mutable_manifest_credit()->set_batches(0xffffffff); }),
          Instead("asks-an-index-that-is-not-there", [](Message* m) { Assign(m->mutable_tree_query()->mutable_directories(), {""}); }),
          Instead("asks-for-too-many-names",
                  [](Message* m) {
                    for (uint32_t i = 0; i < 100000; ++i) m->mutable_name_query()->add_uids(i);
                  }),
          Instead("asks-for-too-many-paths",
                  [](Message* m) { Assign(m->mutable_entry_query()->mutable_paths(), std::vector<std::string>(100000, "x")); }),
          Instead("asks-for-a-path-that-leads-out",
                  [](Message* m) { Assign(m->mutable_entry_query()->mutable_paths(), {"../../etc/passwd"}); }),
          Instead("asks-for-paths-of-the-host", [](Message* m) { Assign(m->mutable_path_query()->mutable_paths(), {"/etc/passwd"}); }),
          Instead("wants-keys", [](Message* m) { m->mutable_direct_query()->set_listen(true); }),
          Instead("connects-to-no-port", [](Message* m) { m->mutable_connect_data()->set_host("127.0.0.1"); }),
          Instead("measures-for-ever",
                  [](Message* m) {
                    m->mutable_run_bench()->set_step(4);
                    m->mutable_run_bench()->set_milliseconds(0xffffffff);
                    m->mutable_run_bench()->set_max_bytes(~uint64_t{0});
                  }),
          Instead("only-what-lies-outside", [](Message* m) { Assign(m->mutable_start_manifest()->mutable_only(), {"../x"}); }),
          Instead("opens-what-is-open", [](Message* m) { m->mutable_open_session(); }),
          Instead("beyond-the-message-limit",
                  [](Message* m) { m->mutable_hello()->set_software(std::string(20 << 20, 'x')); }),
          Instead("a-message-of-nothing", [](Message*) {}),
          {.name = "starts-twice", .kind = Message::kStartManifest, .tell = [](Message* m, More* more) { more->push_back(*m); }},
          {.name = "credits-without-end",
           .kind = Message::kManifestCredit,
           .tell = [](Message* m, More*) { m->mutable_manifest_credit()->set_batches(65536); },
           .endless = true}};
}

}  // namespace

const std::vector<CommandLie>& LiesOfCommands() {
  static const std::vector<CommandLie> lies = [] {
    std::vector<CommandLie> all;
    for (auto* group : {&Openings, &Actions, &Others}) {
      for (CommandLie& lie : group()) all.push_back(std::move(lie));
    }
    return all;
  }();
  return lies;
}

}  // namespace uringsync::hostile
