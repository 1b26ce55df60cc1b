#include "coordinator/cli/proof_command.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include "coordinator/cli/cancellation.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/json_reporter.h"
#include "coordinator/cli/replaced_file.h"
#include "coordinator/cli/run_command.h"
#include "coordinator/core/proof_compare.h"
#include "coordinator/core/proof_tree.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/links.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kAgentGrace{5000};
constexpr DocumentKind kProofKind{kProofMagic, "proof"};

std::string Shown(const RelPath& path) {
  return path.is_root() ? "." : EscapeName(path.text());
}

const char* NameOf(ProofDifference::Kind kind) {
  switch (kind) {
    case ProofDifference::Kind::kMissing: return "missing";
    case ProofDifference::Kind::kExtra: return "extra";
    case ProofDifference::Kind::kChanged: return "changed";
  }
  return "";
}

std::string Counted(uint64_t count, const char* what) {
  return std::to_string(count) + " " + what;
}

// A tree that is proven, and what is told of it.
class Teller {
 public:
  Teller(const OutputOptions& output, Console* console) : output_(output), console_(console) {}

  void Notice(const std::string& text) { console_->Error("uringsync: " + text); }
  void Unproven(const UnprovenObject& object) {
    ++unproven_;
    const std::string why =
        object.changing ? std::string("it changed while it was read") : std::generic_category().message(object.error);
    if (output_.json) {
      return Event({{"event", "unproven"},
                    {"path", Shown(object.path)},
                    {"operation", object.operation},
                    {"changing", object.changing},
                    {"error", why}});
    }
    console_->Error("uringsync: " + std::string(object.changing ? "changing: " : "cannot " + object.operation + ": ") +
                    Shown(object.path) + ": " + why);
  }
  void Difference(const ProofDifference& difference) {
    if (output_.json) {
      return Event({{"event", "difference"},
                    {"kind", NameOf(difference.kind)},
                    {"path", Shown(difference.path)},
                    {"fields", difference.fields}});
    }
    if (output_.quiet) return;
    std::string fields;
    for (const std::string& field : difference.fields) fields += (fields.empty() ? "  (" : ", ") + field;
    if (!fields.empty()) fields += ")";
    console_->Line(std::string(NameOf(difference.kind)) + ": " + Shown(difference.path) + fields);
  }
  void Checked(const ProofTotals& totals, const Sha256Digest& digest, ExitCode code) {
    if (output_.json) {
      return Event({{"event", "checked"},
                    {"objects", totals.objects},
                    {"missing", totals.missing},
                    {"extra", totals.extra},
                    {"changed", totals.changed},
                    {"unproven", unproven_},
                    {"sha256", Hex(digest)},
                    {"exit_code", static_cast<int>(code)}});
    }
    if (output_.quiet) return;
    std::string line = Counted(totals.objects, "objects in the proof: ");
    if (totals.equal() && unproven_ == 0) {
      line += "the tree is the same";
    } else {
      line += Counted(totals.missing, "missing, ") + Counted(totals.extra, "extra, ") +
              Counted(totals.changed, "changed, ") + Counted(unproven_, "not read");
    }
    console_->Line(line);
  }
  void Proven(uint64_t objects, const Sha256Digest& digest) {
    if (output_.json)
      return Event({{"event", "proven"}, {"objects", objects}, {"sha256", Hex(digest)}, {"exit_code", 0}});
    if (!output_.quiet) console_->Line(Counted(objects, "objects, sha256 ") + Hex(digest));
  }
  void Error(const std::string& text, ExitCode code) {
    if (output_.json) return Event({{"event", "error"}, {"error", text}, {"exit_code", static_cast<int>(code)}});
    console_->Error("uringsync: " + text);
  }
  uint64_t unproven() const { return unproven_; }

 private:
  void Event(const Json& event) { console_->Line(event.dump(-1, ' ', false, Json::error_handler_t::replace)); }

  const OutputOptions& output_;
  Console* const console_;
  uint64_t unproven_ = 0;
};

ProofHeader HeaderOf(const RunOptions& run) {
  ProofHeader header;
  header.software = "uringsync " + std::string(SoftwareVersion());
  header.made = FormatTime(std::chrono::system_clock::now());
  header.tree = run.source.Display();
  const MetadataSelection& selection = run.request.selection;
  header.selection.mode = selection.mode;
  header.selection.owner = selection.owner;
  header.selection.group = selection.group;
  header.selection.mtime = selection.mtime;
  header.selection.xattrs = selection.xattrs;
  header.selection.acls = selection.acls;
  header.selection.selinux = selection.selinux;
  header.selection.extra_xattrs = selection.extra_xattrs;
  header.one_file_system = run.request.one_file_system;
  header.filters = run.request.filters;
  return header;
}

// What a proof is of is looked at again; of the metadata what was asked for then and now.
absl::StatusOr<MetadataSelection> AskForTheSame(const ProofHeader& header, SyncRequest* request) {
  MetadataSelection counted = header.selection;
  const MetadataSelection& asked = request->selection;
  counted.mode = counted.mode && asked.mode;
  counted.owner = counted.owner && asked.owner;
  counted.group = counted.group && asked.group;
  counted.mtime = counted.mtime && asked.mtime;
  const bool fewer = (header.selection.xattrs && !asked.xattrs) || (header.selection.acls && !asked.acls);
  if (fewer || (asked.selinux && !header.selection.selinux) || !asked.extra_xattrs.empty()) {
    return LinkError(ErrorKind::kUsage,
                     "which attributes count stands in the proof: one digest is of all of them. Leave --no-xattrs, "
                     "--no-acls, --selinux and --xattr out");
  }
  request->selection = header.selection;
  request->one_file_system = header.one_file_system;
  request->filters = header.filters;
  return counted;
}

absl::StatusOr<std::unique_ptr<ProofDecoder>> ReadProof(int fd, const std::string& path) {
  if (::lseek(fd, 0, SEEK_SET) != 0) return NamedError(path, ErrnoStatus(errno, "seek"));
  absl::StatusOr<std::unique_ptr<ProofDecoder>> decoder =
      ProofDecoder::Open([fd](std::span<char> buffer) { return ReadSome(fd, buffer); });
  if (!decoder.ok()) return NamedError(path, decoder.status());
  return decoder;
}

// Goes through all of it: nothing is compared with a proof that is not whole.
absl::Status CheckWhole(int fd, const std::string& path) {
  US_ASSIGN_OR_RETURN(const std::unique_ptr<ProofDecoder> decoder, ReadProof(fd, path));
  while (true) {
    const absl::StatusOr<std::optional<ProofItem>> item = decoder->Next();
    if (!item.ok()) return NamedError(path, item.status());
    if (!item->has_value()) return absl::OkStatus();
  }
}

// A proof that lies in its own tree is an object more than it holds, or changes its directory's time: it would fail at
// once. Where rules are given they may leave it out.
absl::Status CheckOutside(const ProofOptions& options) {
  const Endpoint& source = options.run.source;
  if (!source.is_local() || !options.run.request.filters.empty()) return absl::OkStatus();
  std::error_code error;
  const std::filesystem::path tree =
      std::filesystem::canonical(std::get<LocalEndpoint>(source.where).path, error);
  const std::filesystem::path file = std::filesystem::path(options.file);
  const std::filesystem::path parent =
      error ? file : std::filesystem::canonical(file.has_parent_path() ? file.parent_path() : ".", error);
  // What is not there is told by who opens it.
  if (error) return absl::OkStatus();
  const auto ends = std::mismatch(tree.begin(), tree.end(), parent.begin(), parent.end());
  if (ends.first != tree.end()) return absl::OkStatus();
  return LinkError(ErrorKind::kUsage,
                   EscapeName(options.file) +
                       " lies in the tree that is to be proven, which would not be the same any more once it is there; "
                       "give --out a place outside, or leave it out by a rule (--exclude)");
}

absl::StatusOr<ExitCode> Prove(const ProofOptions& options, ProofTree* tree, Teller* teller) {
  ProofEncoder encoder(HeaderOf(options.run));
  US_ASSIGN_OR_RETURN(const std::unique_ptr<ReplacedFile> file, ReplacedFile::Create(options.file, kProofKind));
  US_RETURN_IF_ERROR(file->Write(encoder.Begin()));
  while (true) {
    US_ASSIGN_OR_RETURN(const std::optional<ProofItem> item, tree->Next());
    if (!item) break;
    if (item->unproven) continue;
    US_RETURN_IF_ERROR(file->Write(item->object ? encoder.Object(*item->object) : encoder.Directory(item->directory)));
  }
  if (teller->unproven() > 0) {
    teller->Error(Counted(teller->unproven(), "objects could not be read as they are; there is no proof"),
                  ExitCode::kPartial);
    return ExitCode::kPartial;
  }
  US_RETURN_IF_ERROR(file->Write(encoder.End()));
  US_RETURN_IF_ERROR(file->Commit());
  teller->Proven(encoder.objects(), encoder.digest());
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Check(ProofDecoder* proof, const MetadataSelection& counted, const std::string& path,
                               ProofTree* tree, Teller* teller) {
  absl::StatusOr<ProofTotals> totals = CompareWithProof(
      *proof, *tree, counted, [teller](const ProofDifference& difference) { teller->Difference(difference); });
  // It was whole a moment ago.
  if (absl::IsDataLoss(totals.status())) return NamedError(path, totals.status());
  US_RETURN_IF_ERROR(totals.status());
  const ExitCode code = totals->equal() && teller->unproven() == 0 ? ExitCode::kOk : ExitCode::kPartial;
  teller->Checked(*totals, proof->digest(), code);
  return code;
}

// What is compared with; empty where a proof is made.
struct OpenedProof {
  UniqueFd file;
  std::unique_ptr<ProofDecoder> decoder;
  MetadataSelection counted;
};

absl::StatusOr<OpenedProof> OpenProof(ProofOptions* options) {
  OpenedProof proof;
  if (!options->check) return proof;
  US_ASSIGN_OR_RETURN(proof.file, OpenDocument(options->file, kProofKind));
  US_RETURN_IF_ERROR(CheckWhole(proof.file.get(), options->file));
  US_ASSIGN_OR_RETURN(proof.decoder, ReadProof(proof.file.get(), options->file));
  US_ASSIGN_OR_RETURN(proof.counted, AskForTheSame(proof.decoder->header(), &options->run.request));
  return proof;
}

}  // namespace

int ProofCommand(ProofOptions options, const Program& program) {
  auto cancellation = std::make_shared<Cancellation>(program.name);
  Interrupts interrupts;
  interrupts.Watch([cancellation](int signal, int count) { cancellation->OnSignal(signal, count); });
  Teller teller(options.run.output, program.console);
  const auto fail = [&](const absl::Status& status) {
    const ExitCode code = LinkExitCode(status);
    teller.Error(std::string(ToStd(status.message())), code);
    static_cast<void>(program.console->Flush());
    return static_cast<int>(code);
  };
  const absl::Status outside = options.check ? absl::OkStatus() : CheckOutside(options);
  if (!outside.ok()) return fail(outside);
  absl::StatusOr<OpenedProof> proof = OpenProof(&options);
  if (!proof.ok()) return fail(proof.status());
  RunOptions& run = options.run;
  absl::StatusOr<std::unique_ptr<Links>> links =
      Links::Open(run.source, run.destination,
                  LinkOptionsOf(run, program, [&teller](std::string_view line) { teller.Notice(std::string(line)); }));
  const absl::Status ready = links.ok() ? (*links)->Prepare(&run.request) : links.status();
  if (!ready.ok()) return fail(ready);
  run.request.cancel = cancellation->source.token();
  cancellation->running = true;
  absl::StatusOr<ExitCode> code = ExitCode::kOk;
  ProofTree::Failure failure;
  {
    ProofTree tree(
        run.request, (*links)->source(), [&teller](const UnprovenObject& object) { teller.Unproven(object); },
        [&teller](const std::string& text) { teller.Notice(text); });
    code = options.check ? Check(proof->decoder.get(), proof->counted, options.file, &tree, &teller)
                         : Prove(options, &tree, &teller);
    failure = tree.failure();
  }
  if (failure.exit_code != ExitCode::kOk) {
    code = failure.exit_code;
    teller.Error(failure.of_agent ? (*links)->Explain(Side::kSource, failure.error, failure.broke) : failure.error,
                 failure.exit_code);
  }
  (*links)->Close(kAgentGrace);
  if (!code.ok()) return fail(code.status());
  if (!program.console->Flush() && *code == ExitCode::kOk) return static_cast<int>(ExitCode::kFileIo);
  return static_cast<int>(*code);
}

}  // namespace uringsync
