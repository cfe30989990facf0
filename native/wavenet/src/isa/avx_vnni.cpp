// Kernels for processors with AVX2, FMA and AVX-VNNI, but not AVX-512.
#include <immintrin.h>

#include "../plan.hpp"

namespace timbrel {
namespace {

constexpr int kLanes = 8, kRegisters = 16;
typedef float F __attribute__((vector_size(32)));
typedef std::int32_t I __attribute__((vector_size(32)));

inline F fma(F a, F b, F c) { return (F)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
inline F min(F a, F b) { return (F)_mm256_min_ps((__m256)a, (__m256)b); }
inline F max(F a, F b) { return (F)_mm256_max_ps((__m256)a, (__m256)b); }
inline I dot_i16(I sum, I a, I w) {
    return (I)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)w);
}
inline I dot_u7(I sum, I a, I w) {
    return (I)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)w);
}

#include "../kernels.inl"

}  // namespace

extern const Kernels kAvxVnniKernels = make_kernels("avx-vnni");

}  // namespace timbrel
