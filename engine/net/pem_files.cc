#include "engine/net/pem_files.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/unique_fd.h"

namespace uringsync::openssl {

namespace {

absl::Status SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return ErrnoStatus(errno, "flush directory " + EscapeName(directory));
  return absl::OkStatus();
}

absl::Status WriteAndFlush(int fd, const std::string& path, const std::string& text, mode_t mode) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "write " + EscapeName(path));
    done += static_cast<size_t>(n);
  }
  // The umask must not decide whether a certificate can be read.
  if (::fchmod(fd, mode) != 0) return ErrnoStatus(errno, "chmod " + EscapeName(path));
  if (::fsync(fd) != 0) return ErrnoStatus(errno, "flush " + EscapeName(path));
  return absl::OkStatus();
}

absl::Status PublishFile(const std::string& path, const std::string& text, mode_t mode, bool replace) {
  const std::string temporary = path + "." + std::to_string(::getpid()) + ".new";
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, "create " + EscapeName(temporary));
  absl::Status status = WriteAndFlush(fd.get(), temporary, text, mode);
  if (status.ok() && replace && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, "replace " + EscapeName(path));
  }
  if (status.ok() && !replace && ::link(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, "create " + EscapeName(path));
  }
  if (!status.ok() || !replace) ::unlink(temporary.c_str());
  if (!status.ok()) return status;
  return SyncDirectoryOf(path);
}

absl::StatusOr<std::string> TextOf(BIO* bio, bool encoded, const char* what) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  if (!encoded || size <= 0)
    return MakeStatus(absl::StatusCode::kInternal, std::string("encode ") + what + ": " + TakeError());
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

absl::StatusOr<std::string> ToPem(EVP_PKEY* key) {
  BioPtr bio(BIO_new(BIO_s_secmem()));
  const bool encoded = PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1;
  return TextOf(bio.get(), encoded, "a private key");
}

absl::StatusOr<std::string> ToPem(X509* certificate) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  const bool encoded = PEM_write_bio_X509(bio.get(), certificate) == 1;
  return TextOf(bio.get(), encoded, "a certificate");
}

absl::Status PublishList(const std::string& path, X509_CRL* list) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  const bool encoded = PEM_write_bio_X509_CRL(bio.get(), list) == 1;
  const absl::StatusOr<std::string> text = TextOf(bio.get(), encoded, "a revocation list");
  if (!text.ok()) return WithContext(text.status(), EscapeName(path));
  return PublishFile(path, *text, 0644, true);
}

CertificateFiles FilesOf(const std::string& directory, const std::string& stem) {
  return {directory + "/" + stem + ".crt", directory + "/" + stem + ".key"};
}

bool FileExists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

absl::Status MakeDirectory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return ErrnoStatus(errno, "mkdir " + EscapeName(directory));
  return absl::OkStatus();
}

absl::Status PublishKey(const std::string& path, EVP_PKEY* key, bool replace) {
  absl::StatusOr<std::string> text = ToPem(key);
  if (!text.ok()) return WithContext(text.status(), EscapeName(path));
  return PublishFile(path, *text, 0600, replace);
}

absl::Status PublishCertificate(const std::string& path, X509* certificate, bool replace) {
  absl::StatusOr<std::string> text = ToPem(certificate);
  if (!text.ok()) return WithContext(text.status(), EscapeName(path));
  return PublishFile(path, *text, 0644, replace);
}

}  // namespace uringsync::openssl
