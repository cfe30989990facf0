// Kernels for processors with AVX-512 (F, BW, DQ, VL) and VNNI.
#include <immintrin.h>

#include "../plan.hpp"

namespace timbrel {
namespace {

constexpr int kLanes = 16, kRegisters = 32;
typedef float F __attribute__((vector_size(64)));
typedef std::int32_t I __attribute__((vector_size(64)));

inline F fma(F a, F b, F c) { return (F)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
inline I dot_u7(I sum, I a, I w) {
    return (I)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)w);
}
inline I dot_i16(I sum, I a, I w) {
    return (I)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)w);
}
inline float horizontal_sum(F v) {
    typedef float Half __attribute__((vector_size(32)));
    Half low, high;
    __builtin_memcpy(&low, &v, sizeof low);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    const __m256 half = (__m256)(low + high);
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

#include "../kernels.inl"

}  // namespace

extern const Kernels kAvx512Kernels = make_kernels("avx512");

}  // namespace timbrel
