#include "proto/tls_files.h"

#include <fstream>
#include <iterator>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/tls.h"

namespace uringsync {
namespace {

// More than any chain of certificates; a wrong file (a device, a log) is not read to its end.
constexpr std::streamsize kMaxPemBytes = 1 << 20;

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(kMaxPemBytes), '\0');
  file.read(text.data(), kMaxPemBytes);
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.empty()) return MakeStatus(absl::StatusCode::kInvalidArgument, "cannot read " + EscapeName(path));
  return text;
}

}  // namespace

absl::StatusOr<TlsTexts> LoadTlsTexts(const ControlTlsFiles& files) {
  absl::StatusOr<std::shared_ptr<const TlsContext>> context =
      TlsContext::Load({.certificate = files.cert, .key = files.key, .authority = files.ca});
  if (!context.ok()) {
    const bool dates = absl::IsFailedPrecondition(context.status());
    return MakeStatus(dates ? absl::StatusCode::kUnauthenticated : absl::StatusCode::kInvalidArgument,
                      ToStd(context.status().message()));
  }
  TlsTexts texts;
  texts.context = *std::move(context);
  US_ASSIGN_OR_RETURN(texts.cert, ReadPem(files.cert));
  US_ASSIGN_OR_RETURN(texts.key, ReadPem(files.key));
  US_ASSIGN_OR_RETURN(texts.ca, ReadPem(files.ca));
  return texts;
}

}  // namespace uringsync
