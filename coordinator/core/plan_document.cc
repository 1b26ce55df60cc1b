#include "coordinator/core/plan_document.h"

#include <algorithm>
#include <array>
#include <utility>

#include "coordinator/core/plan_header.h"
#include "coordinator/core/spool_record.h"
#include "engine/base/digest.h"
#include "engine/base/errno_status.h"
#include "proto/message_bytes.h"

namespace uringsync {
namespace {

constexpr char kOperands = 'o';
constexpr char kMounts = 'm';
constexpr char kActions = 'a';
constexpr char kEnd = 'e';
constexpr size_t kLengthBytes = 4;
constexpr size_t kDigestBytes = 16;
constexpr size_t kReadBytes = size_t{256} << 10;

// What the end of a document tells, in this order; further ones may follow in a later version.
constexpr std::array<uint64_t PlanCounters::*, 27> kCounters = {&PlanCounters::source_entries,
                                                                &PlanCounters::source_files,
                                                                &PlanCounters::source_bytes,
                                                                &PlanCounters::source_directories,
                                                                &PlanCounters::source_symlinks,
                                                                &PlanCounters::source_devices,
                                                                &PlanCounters::source_specials,
                                                                &PlanCounters::source_symlink_bytes,
                                                                &PlanCounters::destination_entries,
                                                                &PlanCounters::unchanged,
                                                                &PlanCounters::told_by_digest,
                                                                &PlanCounters::told_by_index,
                                                                &PlanCounters::actions,
                                                                &PlanCounters::creates,
                                                                &PlanCounters::updates,
                                                                &PlanCounters::metadata_only,
                                                                &PlanCounters::links,
                                                                &PlanCounters::from_basis,
                                                                &PlanCounters::deletes,
                                                                &PlanCounters::transfer_files,
                                                                &PlanCounters::transfer_bytes,
                                                                &PlanCounters::problems,
                                                                &PlanCounters::skipped_options,
                                                                &PlanCounters::skipped_by_rule,
                                                                &PlanCounters::renames,
                                                                &PlanCounters::rename_bytes,
                                                                &PlanCounters::skipped_deletes};

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError("the plan is damaged: " + std::string(what));
}

void PutLittleEndian(uint64_t value, size_t bytes, std::string* out) {
  for (size_t i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t GetLittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

std::string PlanEncoder::Begin() {
  std::string text = PlanHeaderText(header_);
  chain_ = Xxh128(text).low;
  return text;
}

std::string PlanEncoder::Record(char type, std::string_view payload) {
  std::string record(1, type);
  PutLittleEndian(payload.size(), kLengthBytes, &record);
  record.append(payload);
  const Digest128 digest = Xxh128(record, chain_);
  chain_ = digest.low;
  PutLittleEndian(digest.low, 8, &record);
  PutLittleEndian(digest.high, 8, &record);
  return record;
}

absl::StatusOr<std::string> PlanEncoder::Operands(const std::vector<SourceOperand>& operands) {
  US_ASSIGN_OR_RETURN(const std::string bytes, MessageBytes(OperandBatch{.operands = operands, .last = false}));
  return Record(kOperands, bytes);
}

absl::StatusOr<std::string> PlanEncoder::Mounts(const std::vector<MountedPlace>& mounts) {
  US_ASSIGN_OR_RETURN(const std::string bytes, MessageBytes(MountQuery{.recorded = mounts}));
  return Record(kMounts, bytes);
}

absl::StatusOr<std::string> PlanEncoder::Actions(Phase phase, std::span<const PlannedAction> actions) {
  ActionBatch batch{.phase = phase, .sequence = ++batches_, .actions = {}};
  RecordWriter payload;
  payload.PutNumber(actions.size());
  for (const PlannedAction& planned : actions) {
    payload.PutDifferences(planned.differences);
    batch.actions.push_back(planned.action);
  }
  actions_ += actions.size();
  US_ASSIGN_OR_RETURN(const std::string bytes, MessageBytes(std::move(batch)));
  return Record(kActions, payload.bytes() + bytes);
}

std::string PlanEncoder::End(const PlanCounters& counters) {
  RecordWriter payload;
  payload.PutNumber(actions_);
  payload.PutNumber(kCounters.size());
  for (const auto counter : kCounters) payload.PutNumber(counters.*counter);
  return Record(kEnd, payload.bytes());
}

absl::StatusOr<std::unique_ptr<PlanDecoder>> PlanDecoder::Open(Read read) {
  std::unique_ptr<PlanDecoder> decoder(new PlanDecoder(std::move(read)));
  US_RETURN_IF_ERROR(decoder->ReadHeader());
  US_RETURN_IF_ERROR(decoder->ReadOperands());
  US_RETURN_IF_ERROR(decoder->ReadMounts());
  return decoder;
}

// Adds what there is to the buffer; nothing at the end.
absl::Status PlanDecoder::Fill() {
  buffer_.erase(0, std::exchange(position_, 0));
  const size_t had = buffer_.size();
  buffer_.resize(had + kReadBytes);
  absl::StatusOr<size_t> got = read_(std::span(buffer_).subspan(had));
  buffer_.resize(had + (got.ok() ? *got : 0));
  return got.status();
}

absl::Status PlanDecoder::ReadExactly(size_t bytes, std::string* out) {
  while (buffer_.size() - position_ < bytes) {
    const size_t had = buffer_.size() - position_;
    US_RETURN_IF_ERROR(Fill());
    if (buffer_.size() - position_ == had) return Damaged("it ends too early");
  }
  out->append(buffer_, position_, bytes);
  position_ += bytes;
  return absl::OkStatus();
}

absl::Status PlanDecoder::ReadHeader() {
  constexpr std::string_view kEmptyLine = "\n\n";
  for (size_t had = 0; buffer_.size() < kPlanMagic.size(); had = buffer_.size()) {
    US_RETURN_IF_ERROR(Fill());
    if (buffer_.size() == had) break;
  }
  // Known from its beginning, so that nothing else is read far.
  if (!std::string_view(buffer_).starts_with(kPlanMagic)) return absl::NotFoundError("it is no plan");
  size_t end = buffer_.find(kEmptyLine);
  while (end == std::string::npos && buffer_.size() < kMaxPlanHeaderBytes) {
    const size_t had = buffer_.size();
    US_RETURN_IF_ERROR(Fill());
    if (buffer_.size() == had) break;
    end = buffer_.find(kEmptyLine);
  }
  const std::string_view text =
      std::string_view(buffer_).substr(0, end == std::string::npos ? buffer_.size() : end + kEmptyLine.size());
  absl::StatusOr<PlanHeader> header = ParsePlanHeader(text);
  if (absl::IsDataLoss(header.status()) && end == std::string::npos) return Damaged("its header has no end");
  US_RETURN_IF_ERROR(header.status());
  header_ = *std::move(header);
  chain_ = Xxh128(text).low;
  position_ = text.size();
  return absl::OkStatus();
}

absl::StatusOr<char> PlanDecoder::ReadRecord() {
  if (peeked_) return *std::exchange(peeked_, std::nullopt);
  std::string head;
  US_RETURN_IF_ERROR(ReadExactly(1 + kLengthBytes, &head));
  const uint64_t length = GetLittleEndian(std::string_view(head).substr(1));
  if (length > kMaxPlanRecordBytes) return Damaged("a record is too long");
  record_.clear();
  std::string whole = std::move(head);
  US_RETURN_IF_ERROR(ReadExactly(length, &whole));
  std::string digest;
  US_RETURN_IF_ERROR(ReadExactly(kDigestBytes, &digest));
  const Digest128 expected = Xxh128(whole, chain_);
  const std::string_view bytes = digest;
  if (GetLittleEndian(bytes.substr(0, 8)) != expected.low || GetLittleEndian(bytes.substr(8)) != expected.high) {
    return Damaged("a checksum does not match");
  }
  chain_ = expected.low;
  record_ = whole.substr(1 + kLengthBytes);
  return whole.front();
}

absl::Status PlanDecoder::ReadOperands() {
  while (true) {
    US_ASSIGN_OR_RETURN(const char type, ReadRecord());
    if (type != kOperands) {
      peeked_ = type;
      return absl::OkStatus();
    }
    absl::StatusOr<ClientMessage> message = MessageOfBytes(record_);
    auto* batch = message.ok() ? std::get_if<OperandBatch>(&*message) : nullptr;
    if (batch == nullptr) return Damaged("operands that are none");
    if (operands_.size() + batch->operands.size() > kMaxOperands) return Damaged("too many operands");
    std::move(batch->operands.begin(), batch->operands.end(), std::back_inserter(operands_));
  }
}

absl::Status PlanDecoder::ReadMounts() {
  US_ASSIGN_OR_RETURN(const char type, ReadRecord());
  if (type != kMounts) {
    peeked_ = type;
    return absl::OkStatus();
  }
  absl::StatusOr<ClientMessage> message = MessageOfBytes(record_);
  auto* query = message.ok() ? std::get_if<MountQuery>(&*message) : nullptr;
  if (query == nullptr) return Damaged("mounts that are none");
  mounts_ = std::move(query->recorded);
  return absl::OkStatus();
}

absl::StatusOr<PlannedBatch> PlanDecoder::DecodeActions() {
  RecordReader reader(record_);
  const uint64_t count = reader.GetNumber();
  if (!reader.ok() || count == 0 || count > kMaxActionsPerBatch) return Damaged("a wrong number of actions");
  std::vector<Differences> differences(count);
  for (Differences& each : differences) each = reader.GetDifferences();
  if (!reader.ok()) return Damaged("actions that are none");
  absl::StatusOr<ClientMessage> message = MessageOfBytes(reader.rest());
  if (!message.ok()) return Damaged(ToStd(message.status().message()));
  auto* batch = std::get_if<ActionBatch>(&*message);
  if (batch == nullptr || batch->actions.size() != count) return Damaged("actions that are none");
  PlannedBatch planned{.phase = batch->phase, .actions = {}};
  planned.actions.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    if (batch->actions[i].id != ++actions_) return Damaged("an action is missing");
    planned.actions.push_back({batch->phase, std::move(batch->actions[i]), differences[i]});
  }
  return planned;
}

absl::Status PlanDecoder::DecodeEnd() {
  RecordReader reader(record_);
  if (reader.GetNumber() != actions_) return Damaged("actions are missing");
  const uint64_t told = reader.GetNumber();
  for (uint64_t i = 0; i < std::min<uint64_t>(told, kCounters.size()); ++i)
    counters_.*kCounters[i] = reader.GetNumber();
  if (!reader.ok()) return Damaged("its end cannot be read");
  std::string beyond;
  if (ReadExactly(1, &beyond).ok()) return Damaged("something follows its end");
  ended_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<PlannedBatch>> PlanDecoder::Next() {
  if (ended_) return std::optional<PlannedBatch>();
  US_ASSIGN_OR_RETURN(const char type, ReadRecord());
  if (type == kEnd) {
    US_RETURN_IF_ERROR(DecodeEnd());
    return std::optional<PlannedBatch>();
  }
  if (type != kActions) return Damaged("a record of a kind that is not known here");
  US_ASSIGN_OR_RETURN(PlannedBatch batch, DecodeActions());
  return std::optional<PlannedBatch>(std::move(batch));
}

}  // namespace uringsync
