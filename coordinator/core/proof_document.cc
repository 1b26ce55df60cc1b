#include "coordinator/core/proof_document.h"

#include <charconv>
#include <utility>

#include "coordinator/core/proof_line.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;
constexpr std::string_view kRootName = ".";
constexpr std::string_view kEndWord = "end ";
constexpr std::string_view kDigestWord = " sha256 ";

}  // namespace

std::string ProofEncoder::Note(std::string line) {
  sha_.Update(line);
  return line;
}

std::string ProofEncoder::Begin() {
  return Note(ProofHeaderText(header_));
}

std::string ProofEncoder::Directory(const RelPath& path) {
  return Note("/" + (path.is_root() ? std::string() : ProofWord(path.text())) + "\n");
}

std::string ProofEncoder::Object(const Entry& entry) {
  ++objects_;
  return Note(ProofObjectLine(entry) + "\n");
}

std::string ProofEncoder::End() {
  digest_ = sha_.Finish();
  return std::string(kEndWord) + std::to_string(objects_) + std::string(kDigestWord) + Hex(digest_) + "\n";
}

absl::StatusOr<std::unique_ptr<ProofDecoder>> ProofDecoder::Open(Read read) {
  std::unique_ptr<ProofDecoder> decoder(new ProofDecoder(std::move(read)));
  US_RETURN_IF_ERROR(decoder->ReadHeader());
  return decoder;
}

absl::Status ProofDecoder::Fill() {
  buffer_.erase(0, std::exchange(position_, 0));
  const size_t before = buffer_.size();
  buffer_.resize(before + kReadBytes);
  absl::StatusOr<size_t> got = read_(std::span(buffer_).subspan(before));
  buffer_.resize(before + (got.ok() ? *got : 0));
  US_RETURN_IF_ERROR(got.status());
  return *got > 0 ? absl::OkStatus() : DamagedProof("it ends early");
}

absl::StatusOr<std::string_view> ProofDecoder::TakeLine() {
  size_t searched = position_;
  while (true) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      line_.assign(buffer_, position_, end - position_);
      position_ = end + 1;
      return std::string_view(line_);
    }
    const size_t pending = buffer_.size() - position_;
    if (pending > kMaxProofLineBytes) return DamagedProof("a line is too long");
    US_RETURN_IF_ERROR(Fill());
    searched = position_ + pending;
  }
}

absl::Status ProofDecoder::ReadHeader() {
  std::string text;
  for (size_t lines = 0; lines < kMaxProofHeaderLines; ++lines) {
    absl::StatusOr<std::string_view> line = TakeLine();
    // A file without a first line of ours is no proof, however it ends.
    if (!line.ok() && lines == 0 && absl::IsDataLoss(line.status()))
      return CheckProofFormat(std::string_view(buffer_).substr(position_, kProofMagic.size() + 16));
    US_RETURN_IF_ERROR(line.status());
    if (lines == 0) US_RETURN_IF_ERROR(CheckProofFormat(*line));
    text.append(*line) += '\n';
    if (text.size() > kMaxProofHeaderBytes) break;
    if (!line->empty()) continue;
    sha_.Update(text);
    US_ASSIGN_OR_RETURN(header_, ParseProofHeader(text));
    return absl::OkStatus();
  }
  return DamagedProof("its header is too long");
}

absl::StatusOr<ProofItem> ProofDecoder::DecodeDirectory(std::string_view line) {
  RelPath path;
  if (line.size() > 1) {
    const std::optional<std::string> text = ParseProofWord(line.substr(1));
    absl::StatusOr<RelPath> parsed =
        text ? RelPath::Parse(*text) : absl::StatusOr<RelPath>(DamagedProof("a directory that is no path"));
    if (!parsed.ok() || parsed->is_root() || parsed->text() != *text)
      return DamagedProof("a directory that is no path");
    path = *std::move(parsed);
  }
  const bool in_order = in_directory_ ? directory_ < path : path.is_root();
  if (!in_order) return DamagedProof("its directories are out of order");
  in_directory_ = true;
  directory_ = path;
  last_name_.reset();
  return ProofItem{std::move(path), std::nullopt};
}

absl::StatusOr<ProofItem> ProofDecoder::DecodeObject(std::string_view line) {
  US_ASSIGN_OR_RETURN(Entry entry, ParseProofObject(line));
  const bool is_root = directory_.is_root() && entry.name == kRootName && !last_name_;
  const bool is_name = is_root || ValidateName(entry.name).ok();
  const bool in_order = in_directory_ && (!last_name_ || *last_name_ == kRootName || *last_name_ < entry.name);
  if (!is_name || !in_order) return DamagedProof("its objects are out of order");
  if (is_root && entry.type != FileType::kDirectory) return DamagedProof("its root is no directory");
  last_name_ = entry.name;
  ++objects_;
  return ProofItem{directory_, std::move(entry)};
}

absl::Status ProofDecoder::DecodeEnd(std::string_view line) {
  digest_ = sha_.Finish();
  const std::string expected =
      std::string(kEndWord) + std::to_string(objects_) + std::string(kDigestWord) + Hex(digest_);
  if (line != expected) return DamagedProof("its digest is another one");
  ended_ = true;
  if (position_ == buffer_.size() && absl::IsDataLoss(Fill())) return absl::OkStatus();
  return DamagedProof("something follows its end");
}

absl::StatusOr<std::optional<ProofItem>> ProofDecoder::Next() {
  if (ended_) return std::optional<ProofItem>();
  US_ASSIGN_OR_RETURN(const std::string_view line, TakeLine());
  if (line.starts_with(kEndWord)) {
    US_RETURN_IF_ERROR(DecodeEnd(line));
    return std::optional<ProofItem>();
  }
  sha_.Update(line);
  sha_.Update(std::string_view("\n"));
  if (line.starts_with('/')) {
    US_ASSIGN_OR_RETURN(ProofItem item, DecodeDirectory(line));
    return std::optional(std::move(item));
  }
  US_ASSIGN_OR_RETURN(ProofItem item, DecodeObject(line));
  return std::optional(std::move(item));
}

}  // namespace uringsync
