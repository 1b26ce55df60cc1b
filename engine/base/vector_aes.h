// The code of Intel's ipsec-mb for processors with vector AES instructions (VAES): several blocks an instruction, where
// OpenSSL 3.0 has one.
//
// Thread rule: any thread; what is done with the manager keeps its state elsewhere (IMB_AES128_GCM_*,
// IMB_AES128_GMAC_*). Use:  if (const IMB_MGR* manager = VectorAes()) IMB_AES128_GCM_PRE(manager, key, &expanded);   //
// with <intel-ipsec-mb.h>
#pragma once

struct IMB_MGR;

namespace uringsync {

// Null: this processor or this build has none. Lives as long as the process.
const IMB_MGR* VectorAes();

}  // namespace uringsync
