// A proof: what a tree was at one time, as a text that can be checked against the tree later, without a second tree.
//
// A line for each object, in the order of manifests, with its metadata and the SHA-256 of its contents and of its
// extended attributes; the last line has the number of objects and the SHA-256 of everything before it, so that a proof
// that was cut or changed is refused, and that one number, noted elsewhere, stands for the whole tree.
// docs/proof-files.md has the grammar.
//
// Memory: one line. Thread rule: one thread at a time. Use:
//   ProofEncoder encoder(header);  write(encoder.Begin());
//   write(encoder.Directory(path));  write(encoder.Object(entry));  ...  write(encoder.End());
//   US_ASSIGN_OR_RETURN(std::unique_ptr<ProofDecoder> proof, ProofDecoder::Open(read));
//   while (true) { US_ASSIGN_OR_RETURN(std::optional<ProofItem> item, proof->Next()); if (!item) break; ... }
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
#include "engine/base/entry.h"
#include "engine/base/rel_path.h"
#include "engine/base/sha256.h"

namespace uringsync {

// How every proof begins, whatever its format.
constexpr std::string_view kProofMagic = "uringsync proof, format ";
constexpr uint32_t kProofFormat = 1;
// Bounds of a document.
constexpr size_t kMaxProofHeaderLines = 70000;
constexpr size_t kMaxProofHeaderBytes = size_t{16} << 20;
constexpr size_t kMaxProofLineBytes = size_t{5} << 20;

// What a proof is of. Only what is said here is compared.
struct ProofHeader {
  std::string software;  // that made it
  std::string made;      // when, UTC
  std::string tree;      // endpoint as it was written; for people
  // mode, owner, group, mtime, xattrs, acls, selinux and extra_xattrs count.
  MetadataSelection selection;
  bool one_file_system = false;
  std::vector<std::string> filters;  // rules of the tree, in order
  friend bool operator==(const ProofHeader&, const ProofHeader&) = default;
};

// The beginning of a directory, or one object of the directory that began last: the root itself as "." before all.
struct ProofItem {
  RelPath directory;
  std::optional<Entry> object;  // with a proof
  bool unproven = false;        // of a tree: it is there, and could not be read as a whole
};

// Items in the order of manifests.
class ProofItems {
 public:
  virtual ~ProofItems() = default;
  // nullopt: the end.
  virtual absl::StatusOr<std::optional<ProofItem>> Next() = 0;
};

class ProofEncoder {
 public:
  explicit ProofEncoder(ProofHeader header) : header_(std::move(header)) {}
  // What the document begins with. Once, first.
  std::string Begin();
  std::string Directory(const RelPath& path);
  // `entry` has a proof.
  std::string Object(const Entry& entry);
  // Once, last.
  std::string End();
  uint64_t objects() const { return objects_; }
  // Of the whole document; after End.
  const Sha256Digest& digest() const { return digest_; }

 private:
  std::string Note(std::string line);

  const ProofHeader header_;
  Sha256 sha_;
  uint64_t objects_ = 0;
  Sha256Digest digest_{};
};

class ProofDecoder final : public ProofItems {
 public:
  // Fills the buffer as far as there is something; 0 at the end.
  using Read = std::function<absl::StatusOr<size_t>(std::span<char>)>;

  // Reads the header. NotFound: it is no proof; Unimplemented: of another format; DataLoss: damaged or cut; what `read`
  // fails with.
  static absl::StatusOr<std::unique_ptr<ProofDecoder>> Open(Read read);

  const ProofHeader& header() const { return header_; }
  // nullopt at the end, where the digest was right. DataLoss, and what `read` fails with.
  absl::StatusOr<std::optional<ProofItem>> Next() override;
  // Valid at the end.
  uint64_t objects() const { return objects_; }
  const Sha256Digest& digest() const { return digest_; }

 private:
  explicit ProofDecoder(Read read) : read_(std::move(read)) {}
  absl::Status ReadHeader();
  // The next line, without its end; DataLoss where there is none.
  absl::StatusOr<std::string_view> TakeLine();
  absl::Status Fill();
  absl::StatusOr<ProofItem> DecodeDirectory(std::string_view line);
  absl::StatusOr<ProofItem> DecodeObject(std::string_view line);
  absl::Status DecodeEnd(std::string_view line);

  const Read read_;
  ProofHeader header_;
  std::string buffer_;  // read and not used from position_ on
  size_t position_ = 0;
  std::string line_;
  Sha256 sha_;
  RelPath directory_;
  std::optional<std::string> last_name_;  // in directory_
  bool in_directory_ = false;
  uint64_t objects_ = 0;
  Sha256Digest digest_{};
  bool ended_ = false;
};

}  // namespace uringsync
