#include "engine/base/vector_aes.h"

#ifdef URINGSYNC_IPSEC_MB

#include <intel-ipsec-mb.h>

#include <cstdint>

namespace uringsync {
namespace {

const IMB_MGR* MakeManager() {
  IMB_MGR* made = alloc_mb_mgr(0);
  if (made == nullptr) return nullptr;
  init_mb_mgr_auto(made, nullptr);
  constexpr uint64_t kNeeded = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX;
  if ((made->features & kNeeded) == kNeeded) return made;
  free_mb_mgr(made);
  return nullptr;
}

}  // namespace

const IMB_MGR* VectorAes() {
  static const IMB_MGR* const manager = MakeManager();
  return manager;
}

}  // namespace uringsync

#else

namespace uringsync {

const IMB_MGR* VectorAes() {
  return nullptr;
}

}  // namespace uringsync

#endif
