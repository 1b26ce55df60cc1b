// ReplacedFile: a document of this program that is written beside its place and put there when it is whole, over
// nothing but another document of its kind.
//
// Thread rule: one thread at a time. Use:
//   US_ASSIGN_OR_RETURN(std::unique_ptr<ReplacedFile> file, ReplacedFile::Create(path, {kPlanMagic, "plan"}));
//   US_RETURN_IF_ERROR(file->Write(bytes));  ...  US_RETURN_IF_ERROR(file->Commit());
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

// How documents of one kind begin, and what they are called in messages. Both are literals.
struct DocumentKind {
  std::string_view magic;
  std::string_view noun;
};

class ReplacedFile {
 public:
  // LinkError(kUsage): something else is there; LinkError(kFileIo): the file system's errors.
  static absl::StatusOr<std::unique_ptr<ReplacedFile>> Create(std::string path, DocumentKind kind);
  // Removes what was not committed.
  ~ReplacedFile();
  ReplacedFile(const ReplacedFile&) = delete;
  ReplacedFile& operator=(const ReplacedFile&) = delete;

  absl::Status Write(std::string_view bytes);
  // On disk under its name, readable by its owner alone. Errors as of Create.
  absl::Status Commit();

 private:
  ReplacedFile(std::string path, DocumentKind kind) : path_(std::move(path)), kind_(kind) {}
  absl::Status Open();
  absl::Status Flush();

  const std::string path_;
  const DocumentKind kind_;
  std::string temporary_;
  UniqueFd file_;
  std::string buffer_;
};

// A regular file, open for reading. LinkError(kUsage): something else; LinkError(kFileIo): it cannot be opened.
absl::StatusOr<UniqueFd> OpenDocument(const std::string& path, DocumentKind kind);
// Reads on from the descriptor's position; 0 at the end.
absl::StatusOr<size_t> ReadSome(int fd, std::span<char> buffer);
// `name` in the directory of `path`.
std::string InDirectoryOf(const std::string& path, const std::string& name);
// A LinkError with the path in front: of usage, where it is no such document (NotFound, Unimplemented), else of files.
absl::Status NamedError(const std::string& path, const absl::Status& status);

}  // namespace uringsync
