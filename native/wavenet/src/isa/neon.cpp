// Kernels for 64-bit ARM; compiled a second time for processors with the dot-product instructions.
#include <arm_neon.h>

#include "../plan.hpp"

namespace timbrel {
namespace {

#define TIMBREL_FMA(a, b, c) ((F)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b))

inline int32x4_t neon_dot_i16(int32x4_t sum, int16x8_t a, int16x8_t w) {
    const int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(w));
    return vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(a, w)));
}
#define TIMBREL_DOT_I16(sum, a, w) ((I)neon_dot_i16((int32x4_t)sum, (int16x8_t)a, (int16x8_t)w))

#ifdef __ARM_FEATURE_DOTPROD
#define TIMBREL_DOT_U7(sum, a, w) ((I)vdotq_s32((int32x4_t)sum, (int8x16_t)a, (int8x16_t)w))
#else
inline int32x4_t neon_dot_u7(int32x4_t sum, int8x16_t a, int8x16_t w) {
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(w));
    return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(a, w)));
}
#define TIMBREL_DOT_U7(sum, a, w) ((I)neon_dot_u7((int32x4_t)sum, (int8x16_t)a, (int8x16_t)w))
#endif
#include "vector128.inl"

#include "../kernels.inl"

}  // namespace

#ifdef __ARM_FEATURE_DOTPROD
extern const Kernels kNeonDotKernels = make_kernels("neon-dot");
#else
extern const Kernels kNeonKernels = make_kernels("neon");
#endif

}  // namespace timbrel
