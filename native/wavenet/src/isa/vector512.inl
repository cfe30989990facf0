// Vectors of AVX-512 (F, BW, DQ, VL) and VNNI.
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

#define TIMBREL_ROUND(v) ((I)_mm512_maskz_cvtps_epi32(0xffff, (__m512)(v)))
// To 6e-5.
#define TIMBREL_RECIPROCAL(v) ((F)_mm512_maskz_rcp14_ps(0xffff, (__m512)(v)))
#define TIMBREL_STORE_BYTES store_bytes

// Numbers of -128 to 127, after which `zero` is added to their bytes.
inline void store_bytes(std::uint8_t* to, I a, I b, int zero) {
    const __m512i words = _mm512_packs_epi32((__m512i)a, (__m512i)b);
    const __m512i bytes = _mm512_packs_epi16(words, words);
    // Of each quarter, four of `a` and four of `b`.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i both =
        _mm512_castsi512_si256(_mm512_maskz_permutexvar_epi32(0xffff, order, bytes));
    const __m256i moved = _mm256_add_epi8(both, _mm256_set1_epi8(char(zero)));
    __builtin_memcpy(to, &moved, sizeof moved);
}
