// Kernels for processors with AVX-512 (F, BW, DQ, VL) and VNNI.
#include <immintrin.h>

#include "../plan.hpp"

namespace timbrel {
namespace {

constexpr int kLanes = 16, kRegisters = 32;
typedef float F __attribute__((vector_size(64)));
typedef std::int32_t I __attribute__((vector_size(64)));

inline F fma(F a, F b, F c) { return (F)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
// With a mask of all lanes: GCC 12 warns of its own header otherwise.
inline F min(F a, F b) { return (F)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b); }
inline F max(F a, F b) { return (F)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b); }
inline I dot_u7(I sum, I a, I w) {
    return (I)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)w);
}
inline I dot_i16(I sum, I a, I w) {
    return (I)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)w);
}

#include "../kernels.inl"

}  // namespace

extern const Kernels kAvx512Kernels = make_kernels("avx512");

}  // namespace timbrel
