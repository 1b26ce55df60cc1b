// The lines of a proof document (proof_document.h).
//
// Thread rule: free functions.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "coordinator/core/proof_document.h"

namespace uringsync {

// Everything up to and with the empty line.
std::string ProofHeaderText(const ProofHeader& header);
// The header of such a text, which ends with its empty line. NotFound: it is none; Unimplemented: another format;
// DataLoss: a line that ProofHeaderText does not write.
absl::StatusOr<ProofHeader> ParseProofHeader(std::string_view text);
// Whether the first line is that of a proof of this format: OK, NotFound or Unimplemented.
absl::Status CheckProofFormat(std::string_view line);

// A name as one word, and back; nullopt: no such word.
std::string ProofWord(std::string_view bytes);
std::optional<std::string> ParseProofWord(std::string_view word);

// One object, without the end of the line; of its entry what counts. DataLoss: no such line.
std::string ProofObjectLine(const Entry& entry);
absl::StatusOr<Entry> ParseProofObject(std::string_view line);

absl::Status DamagedProof(std::string_view what);

}  // namespace uringsync
