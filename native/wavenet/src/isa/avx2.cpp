// Kernels for processors with AVX2 and FMA.
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
inline I dot_i16(I sum, I a, I w) { return sum + (I)_mm256_madd_epi16((__m256i)a, (__m256i)w); }
inline I dot_u7(I sum, I a, I w) {
    // Sums of two products of 7 bits and 8 do not saturate.
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)a, (__m256i)w);
    return sum + (I)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

#include "../kernels.inl"

}  // namespace

extern const Kernels kAvx2Kernels = make_kernels("avx2");

}  // namespace timbrel
