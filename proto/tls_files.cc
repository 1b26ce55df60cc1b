#include "proto/tls_files.h"

#include "engine/base/errno_status.h"

namespace uringsync {

absl::StatusOr<std::shared_ptr<TlsIdentity>> LoadIdentity(const ControlTlsFiles& files) {
  absl::StatusOr<std::shared_ptr<TlsIdentity>> identity = TlsIdentity::Load(
      {.certificate = files.cert, .key = files.key, .authority = files.ca, .revocations = files.crl});
  if (identity.ok()) return identity;
  const bool dates = absl::IsFailedPrecondition(identity.status());
  return MakeStatus(dates ? absl::StatusCode::kUnauthenticated : absl::StatusCode::kInvalidArgument,
                    ToStd(identity.status().message()));
}

}  // namespace uringsync
