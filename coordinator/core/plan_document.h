// A plan as a document: what `--plan-out` writes and `uringsync apply` reads. Bytes alone; whoever has the file reads
// and writes it.
//
// A text that people read (first line, fields, empty line), then records: operands, actions in batches, the end. Each
// record ends with a digest that goes on from the one before it, so that a document that was cut, damaged or edited is
// refused; it proves nothing against somebody who means to deceive. docs/plan-files.md has the grammar.
//
// Memory: one record. Thread rule: one thread at a time. Use:
//   PlanEncoder encoder(header);  write(encoder.Begin());  write(encoder.Actions(phase, actions));
//   write(encoder.End(counters)); US_ASSIGN_OR_RETURN(std::unique_ptr<PlanDecoder> plan, PlanDecoder::Open(read));
//   while (true) { US_ASSIGN_OR_RETURN(std::optional<PlannedBatch> batch, plan->Next()); if (!batch) break; ... }
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/plan_applier.h"
#include "coordinator/core/planner.h"
#include "proto/messages.h"

namespace uringsync {

// How every plan document begins, whatever its format.
constexpr std::string_view kPlanMagic = "uringsync plan, format ";
constexpr uint32_t kPlanFormat = 1;
// Bounds of a document.
constexpr size_t kMaxPlanHeaderBytes = size_t{1} << 20;
constexpr size_t kMaxPlanOptions = 8192;
constexpr size_t kMaxPlanRecordBytes = kMaxControlMessageBytes + (size_t{64} << 10);

struct PlanHeader {
  std::string software;  // that made it
  std::string made;      // when, UTC
  std::string program;   // whose options they are: "ursync", "sync" or "plan"
  std::string source;    // endpoints as they are written; paths of this host absolute
  std::string destination;
  std::vector<std::string> options;  // in order, as words of a command line
  bool make_path = false;            // what is missing above the destination is made
  std::optional<DigestKey> digest_key;  // of the digests in it (SyncRequest::digest_key); unset: XXH3-128
  friend bool operator==(const PlanHeader&, const PlanHeader&) = default;
};

class PlanEncoder {
 public:
  explicit PlanEncoder(PlanHeader header) : header_(std::move(header)) {}
  // What the document begins with. Once, first.
  std::string Begin();
  // Records. InvalidArgument: more than one record holds.
  absl::StatusOr<std::string> Operands(const std::vector<SourceOperand>& operands);
  // Once at most, before the first actions.
  absl::StatusOr<std::string> Mounts(const std::vector<MountedPlace>& mounts);
  absl::StatusOr<std::string> Actions(Phase phase, std::span<const PlannedAction> actions);
  // Once, last.
  std::string End(const PlanCounters& counters);

 private:
  std::string Record(char type, std::string_view payload);

  const PlanHeader header_;
  uint64_t chain_ = 0;
  uint64_t batches_ = 0;
  uint64_t actions_ = 0;
};

class PlanDecoder final : public PlannedActions {
 public:
  // Fills the buffer as far as there is something; 0 at the end.
  using Read = std::function<absl::StatusOr<size_t>(std::span<char>)>;

  // Reads what comes before the actions. NotFound: it is no plan; Unimplemented: of another format; DataLoss: damaged
  // or cut; what `read` fails with.
  static absl::StatusOr<std::unique_ptr<PlanDecoder>> Open(Read read);

  const PlanHeader& header() const { return header_; }
  // Empty: the whole source.
  const std::vector<SourceOperand>& operands() const { return operands_; }
  // What the source was mounted from when the plan was made; empty: not known.
  const std::vector<MountedPlace>& mounts() const { return mounts_; }
  // The next actions; nullopt at the end. DataLoss, and what `read` fails with.
  absl::StatusOr<std::optional<PlannedBatch>> Next() override;
  // Of the whole plan; valid at the end.
  const PlanCounters& counters() const { return counters_; }

 private:
  explicit PlanDecoder(Read read) : read_(std::move(read)) {}
  absl::Status ReadHeader();
  absl::Status ReadOperands();
  absl::Status ReadMounts();
  // The next record's type and its payload in record_.
  absl::StatusOr<char> ReadRecord();
  absl::StatusOr<PlannedBatch> DecodeActions();
  absl::Status DecodeEnd();
  // DataLoss where there is less.
  absl::Status ReadExactly(size_t bytes, std::string* out);
  absl::Status Fill();

  const Read read_;
  PlanHeader header_;
  std::vector<SourceOperand> operands_;
  std::vector<MountedPlace> mounts_;
  PlanCounters counters_;
  std::string buffer_;  // read and not used from position_ on
  size_t position_ = 0;
  std::string record_;
  std::optional<char> peeked_;  // type of record_, not used yet
  uint64_t chain_ = 0;
  uint64_t actions_ = 0;
  bool ended_ = false;
};

}  // namespace uringsync
