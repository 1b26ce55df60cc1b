#include <utility>

#include "tests/hostile/lies.h"

namespace uringsync::hostile {
namespace {

using Message = v1::AgentMessage;
using More = std::vector<Message>;
using Batch = v1::DirectoryBatch;

// The first name of the first listing becomes another one.
AgentLie Renamed(std::string name, std::string becomes) {
  return {.name = std::move(name), .kind = Message::kDirectoryBatch, .tell = [becomes](Message* message, More*) {
            std::vector<std::string> names = ValuesOf(message->directory_batch().names());
            if (!names.empty()) names.front() = becomes;
            Assign(message->mutable_directory_batch()->mutable_names(), names);
          }};
}

AgentLie OfBatch(std::string name, void (*tell)(Batch* batch)) {
  return {.name = std::move(name), .kind = Message::kDirectoryBatch, .tell = [tell](Message* message, More*) {
            tell(message->mutable_directory_batch());
          }};
}

AgentLie OfOpened(std::string name, void (*tell)(v1::SessionOpened* opened)) {
  return {.name = std::move(name), .kind = Message::kSessionOpened, .tell = [tell](Message* message, More*) {
            tell(message->mutable_session_opened());
          }};
}

AgentLie OfHello(std::string name, void (*tell)(v1::HelloReply* hello)) {
  return {.name = std::move(name), .kind = Message::kHelloReply, .tell = [tell](Message* message, More*) {
            tell(message->mutable_hello_reply());
          }};
}

AgentLie OfProgress(std::string name, void (*tell)(v1::ApplyProgress* progress)) {
  return {.name = std::move(name), .kind = Message::kApplyProgress, .tell = [tell](Message* message, More*) {
            tell(message->mutable_apply_progress());
          }};
}

// Something that nobody asked for, in the place of the first listing.
AgentLie Unasked(std::string name, void (*make)(Message* message)) {
  return {.name = std::move(name), .kind = Message::kDirectoryBatch, .tell = [make](Message* message, More*) {
            message->Clear();
            make(message);
          }};
}

template <typename Column>
void Fill(Column* column, uint64_t value) {
  for (int i = 0; i < column->size(); ++i) column->Set(i, static_cast<typename Column::value_type>(value));
  if (column->empty()) column->Add(static_cast<typename Column::value_type>(value));
}

// An object of the first listing, again and again, with names that go on in order: a directory without an end.
void GrowNames(Message* message, uint64_t number) {
  Batch* const batch = message->mutable_directory_batch();
  batch->set_last(false);
  std::vector<std::string> names = ValuesOf(batch->names());
  char text[32];
  for (size_t i = 0; i < names.size(); ++i) {
    std::snprintf(text, sizeof(text), "~%016llx-%04zx", static_cast<unsigned long long>(number), i);
    names[i] = text;
  }
  Assign(batch->mutable_names(), names);
}

std::vector<AgentLie> Names() {
  std::vector<AgentLie> lies = {Renamed("name-with-slash", "a/b"),
                                Renamed("name-leads-up", ".."),
                                Renamed("name-climbs", "../../canary"),
                                Renamed("name-is-dot", "."),
                                Renamed("name-is-empty", ""),
                                Renamed("name-with-nul", std::string("a\0b", 3)),
                                Renamed("name-too-long", std::string(300, 'x')),
                                Renamed("name-absolute", "/etc")};
  lies.push_back(OfBatch("names-unsorted", [](Batch* b) {
    std::vector<std::string> names = ValuesOf(b->names());
    if (names.size() > 1) std::swap(names.front(), names.back());
    Assign(b->mutable_names(), names);
  }));
  lies.push_back(OfBatch("names-twice", [](Batch* b) {
    std::vector<std::string> names = ValuesOf(b->names());
    for (std::string& name : names) name = names.front();
    Assign(b->mutable_names(), names);
  }));
  lies.push_back(OfBatch("name-lengths-beyond-text", [](Batch* b) { b->mutable_names()->add_lengths(0xffffffff); }));
  lies.push_back(OfBatch("name-lengths-overflow", [](Batch* b) {
    b->mutable_names()->add_lengths(0x80000000);
    b->mutable_names()->add_lengths(0x80000000);
  }));
  lies.push_back(OfBatch("names-without-attributes", [](Batch* b) { b->clear_entries(); }));
  lies.push_back(OfBatch("too-many-names", [](Batch* b) {
    std::vector<std::string> names;
    for (int i = 0; i < 100000; ++i) names.push_back(std::to_string(1000000 + i));
    Assign(b->mutable_names(), names);
  }));
  return lies;
}

std::vector<AgentLie> Attributes() {
  return {OfBatch("unknown-types", [](Batch* b) { Fill(b->mutable_entries()->mutable_modes(), 0170000); }),
          OfBatch("modes-of-32-bits", [](Batch* b) { Fill(b->mutable_entries()->mutable_modes(), 0xffffffff); }),
          OfBatch("sizes-beyond-63-bits", [](Batch* b) { Fill(b->mutable_entries()->mutable_sizes(), ~uint64_t{0}); }),
          OfBatch("nanoseconds-beyond-a-second",
                  [](Batch* b) { Fill(b->mutable_entries()->mutable_mtime_nanoseconds(), 1000000000); }),
          OfBatch("columns-of-other-lengths",
                  [](Batch* b) {
                    for (int i = 0; i < 77; ++i) b->mutable_entries()->add_uids(1);
                  }),
          OfBatch("huge-columns",
                  [](Batch* b) {
                    for (int i = 0; i < 500000; ++i) b->mutable_entries()->add_modes(0100644);
                  }),
          OfBatch("rows-that-are-not-there", [](Batch* b) { b->mutable_entries()->add_error_rows(1u << 30); }),
          OfBatch("empty-link-targets",
                  [](Batch* b) {
                    Fill(b->mutable_entries()->mutable_modes(), 0120777);
                    b->mutable_entries()->add_symlink_rows(0);
                    b->mutable_entries()->mutable_symlink_targets()->add_lengths(0);
                  }),
          OfBatch("the-root-is-a-file", [](Batch* b) { Fill(b->mutable_self()->mutable_modes(), 0100644); }),
          OfBatch("no-attributes-of-the-directory", [](Batch* b) { b->clear_self(); }),
          OfBatch("errno-out-of-range", [](Batch* b) { b->set_error(4096); })};
}

std::vector<AgentLie> Order() {
  std::vector<AgentLie> lies = {
      OfBatch("another-directory-first", [](Batch* b) { b->set_directory("somewhere"); }),
      OfBatch("a-directory-above", [](Batch* b) { b->set_directory(".."); }),
      OfBatch("an-absolute-directory", [](Batch* b) { b->set_directory("/etc"); }),
      OfBatch("answers-to-no-question", [](Batch* b) { b->set_expanded(true); }),
      OfBatch("folded-without-being-asked",
              [](Batch* b) {
                b->mutable_folded()->set_entries(5);
                b->set_last(true);
              })};
  lies.push_back({.name = "a-directory-twice", .kind = Message::kDirectoryBatch, .tell = [](Message* m, More* more) {
                    more->push_back(*m);
                  }});
  lies.push_back({.name = "a-directory-in-itself", .kind = Message::kDirectoryBatch, .every = true, .tell = [](Message* m, More*) {
                    if (!m->directory_batch().directory().empty()) m->mutable_directory_batch()->set_directory("dir/dir");
                  }});
  lies.push_back({.name = "the-end-twice", .kind = Message::kManifestEnd, .tell = [](Message* m, More* more) {
                    more->push_back(*m);
                  }});
  lies.push_back({.name = "the-end-at-once", .kind = Message::kDirectoryBatch, .tell = [](Message* m, More*) {
                    m->Clear();
                    m->mutable_manifest_end();
                  }});
  lies.push_back({.name = "opened-twice", .kind = Message::kSessionOpened, .tell = [](Message* m, More* more) {
                    more->push_back(*m);
                  }});
  lies.push_back({.name = "a-flood-past-all-credit",
                  .kind = Message::kDirectoryBatch,
                  .tell = [](Message* m, More*) { m->mutable_directory_batch()->set_last(false); },
                  .endless = true});
  // In order and within what a decoder may take, so only credit bounds it.
  lies.push_back({.name = "a-directory-without-end", .kind = Message::kDirectoryBatch, .tell = [](Message* m, More* more) {
                    GrowNames(m, 0);
                    for (uint64_t i = 1; i < 3000; ++i) {
                      more->push_back(*m);
                      GrowNames(&more->back(), i);
                    }
                  }});
  lies.push_back({.name = "silence", .kind = Message::kDirectoryBatch, .tell = [](Message*, More*) {}, .silent = true});
  lies.push_back({.name = "notices-without-end",
                  .kind = Message::kDirectoryBatch,
                  .tell = [](Message* m, More*) {
                    m->Clear();
                    m->mutable_notice()->set_text("\x1b[2J\x1b]0;pwned\a notice");
                  },
                  .endless = true});
  return lies;
}

std::vector<AgentLie> WrongTypes() {
  return {Unasked("unasked-tree-reply", [](Message* m) { m->mutable_tree_reply()->set_valid(true); }),
          Unasked("unasked-names", [](Message* m) { m->mutable_name_reply()->add_user_ids(1); }),
          Unasked("unasked-entries", [](Message* m) { m->mutable_entry_reply()->add_errors(0); }),
          Unasked("unasked-paths", [](Message* m) { m->mutable_path_reply()->add_kinds(2); }),
          Unasked("unasked-mounts", [](Message* m) { m->mutable_mount_reply(); }),
          Unasked("unasked-bench-report", [](Message* m) { m->mutable_bench_report()->set_step(1); }),
          Unasked("unasked-direct-reply", [](Message* m) { m->mutable_direct_reply()->set_port(1); }),
          Unasked("progress-of-a-source", [](Message* m) { m->mutable_apply_progress()->mutable_counters(); }),
          Unasked("done-before-it-began", [](Message* m) { m->mutable_apply_done()->mutable_counters(); }),
          Unasked("empty-message", [](Message*) {}),
          Unasked("greets-again", [](Message* m) { m->mutable_hello_reply()->set_version(1); }),
          Unasked("beyond-the-message-limit", [](Message* m) { m->mutable_notice()->set_text(std::string(20 << 20, 'x')); }),
          Unasked("an-error-with-escapes",
                  [](Message* m) {
                    m->mutable_session_error()->set_kind(v1::ERROR_KIND_PROTOCOL);
                    m->mutable_session_error()->set_message("\x1b[2J\x1b]0;pwned\a\r\nuringsync: all is well");
                  }),
          Unasked("an-error-of-no-kind", [](Message* m) { m->mutable_session_error()->set_message("x"); })};
}

std::vector<AgentLie> Greetings() {
  return {OfHello("version-of-tomorrow", [](v1::HelloReply* h) { h->set_version(1000); }),
          OfHello("version-nought", [](v1::HelloReply* h) { h->set_version(0); }),
          OfHello("features-without-number",
                  [](v1::HelloReply* h) { Assign(h->mutable_features(), std::vector<std::string>(100000, "feature")); }),
          OfHello("a-port-that-is-none", [](v1::HelloReply* h) { h->set_data_port(70000); }),
          OfOpened("opened-without-attributes", [](v1::SessionOpened* o) { o->clear_root(); }),
          OfOpened("opened-with-a-file", [](v1::SessionOpened* o) { Fill(o->mutable_root()->mutable_modes(), 0100644); }),
          OfOpened("a-grain-of-nought", [](v1::SessionOpened* o) { o->set_time_granularity_ns(0); }),
          OfOpened("groups-without-number",
                   [](v1::SessionOpened* o) {
                     for (uint32_t i = 0; i < 300000; ++i) o->add_groups(i);
                   })};
}

std::vector<AgentLie> Results() {
  return {OfProgress("ended-what-was-never-sent", [](v1::ApplyProgress* p) { p->set_completed_sequence(1u << 30); }),
          OfProgress("skipped-what-was-never-sent", [](v1::ApplyProgress* p) { p->add_skipped_actions(1u << 30); }),
          OfProgress("problems-of-no-kind",
                     [](v1::ApplyProgress* p) {
                       p->mutable_problems()->add_kinds(77);
                       p->mutable_problems()->add_sides(1);
                     }),
          OfProgress("a-problem-that-leads-out",
                     [](v1::ApplyProgress* p) {
                       p->mutable_problems()->add_kinds(1);
                       p->mutable_problems()->add_sides(1);
                       Assign(p->mutable_problems()->mutable_paths(), {"../../etc/passwd"});
                       Assign(p->mutable_problems()->mutable_operations(), {"open"});
                       Assign(p->mutable_problems()->mutable_details(), {""});
                     }),
          OfProgress("progress-without-counters", [](v1::ApplyProgress* p) { p->clear_counters(); }),
          OfProgress("a-current-file-that-leads-out", [](v1::ApplyProgress* p) { p->set_current_file("../x"); })};
}

}  // namespace

const std::vector<AgentLie>& LiesOfAgents() {
  static const std::vector<AgentLie> lies = [] {
    std::vector<AgentLie> all;
    for (auto* group : {&Names, &Attributes, &Order, &WrongTypes, &Greetings, &Results}) {
      for (AgentLie& lie : group()) all.push_back(std::move(lie));
    }
    return all;
  }();
  return lies;
}

}  // namespace uringsync::hostile
