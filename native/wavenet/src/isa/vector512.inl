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
#define TIMBREL_COARSE_TANH(v) coarse_tanh(v)
#define TIMBREL_STORE_BYTES store_bytes
#define TIMBREL_HALF Half

// A float of 16 bits.
struct Half {
    std::uint16_t bits;

    static inline __m256i of(F v) {
        return _mm512_maskz_cvtps_ph(0xffff, (__m512)v,
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
    static inline F back(__m256i halves) { return (F)_mm512_maskz_cvtph_ps(0xffff, halves); }
    static inline F rounded(F v) { return back(of(v)); }
};
inline F load(const Half* p) {
    __m256i halves;
    __builtin_memcpy(&halves, p, sizeof halves);
    return Half::back(halves);
}
inline void store(Half* p, F v) {
    const __m256i halves = Half::of(v);
    __builtin_memcpy(p, &halves, sizeof halves);
}

// tanh, piece by piece: parabolas about the multiples of a step, of which 31 fit into tables of two
// vectors. Looking them up keeps units busy that do not multiply.
struct TanhPieces {
    static constexpr int kPieces = 32;
    static constexpr float kMost = 4.3f, kInverseStep = 15.49f / kMost;
    alignas(kAlign) float factors[3][kPieces] = {};

    constexpr TanhPieces() {
        for (int i = 0; i < kPieces; ++i) {
            // Through the tanh at three points, which are those of Chebyshev.
            const double middle = (i < kPieces / 2 ? i : i - kPieces) / double(kInverseStep);
            const double width = 0.8660254037844386 / 2 / kInverseStep;
            const double below = tanh(middle - width), at = tanh(middle),
                         above = tanh(middle + width);
            const double slope = (above - below) / (2 * width);
            const double curve = (above - 2 * at + below) / (2 * width * width);
            factors[0][i] = float(at - middle * slope + middle * middle * curve);
            factors[1][i] = float(slope - 2 * middle * curve);
            factors[2][i] = float(curve);
        }
    }
    static constexpr double tanh(double v) {
        double e = 1, power = 1;  // e^(v / 64), and then by squares
        for (int i = 1; i < 12; ++i) e += power *= v / 64 / i;
        for (int i = 0; i < 7; ++i) e *= e;
        return (e - 1) / (e + 1);
    }
};
constexpr TanhPieces kTanhPieces;

// To 3e-4.
inline F coarse_tanh(F v) {
    // The smaller of the sizes, with the first's sign.
    const auto within =
        _mm512_maskz_range_ps(0xffff, (__m512)v, _mm512_set1_ps(TanhPieces::kMost), 2);
    const auto index = (__m512i)_mm512_fmadd_ps(within, _mm512_set1_ps(TanhPieces::kInverseStep),
                                                _mm512_set1_ps(12582912.0f));
    const auto factor = [&](int i) {
        const float* from = kTanhPieces.factors[i];
        return _mm512_permutex2var_ps(_mm512_load_ps(from), index, _mm512_load_ps(from + kLanes));
    };
    return (F)_mm512_fmadd_ps(_mm512_fmadd_ps(factor(2), within, factor(1)), within, factor(0));
}

// Numbers of -128 to 127, after which `zero` is added to their bytes: four vectors at a time, or
// two.
template <int zero, int n>
inline void store_bytes(std::uint8_t* to, const I (&v)[n]) {
    constexpr int many = n % 4 == 0 ? 4 : 2;
    // Of each quarter, four of each vector.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
#pragma GCC unroll 4
    for (int i = 0; i < n; i += many, to += many * kLanes) {
        const __m512i first = _mm512_packs_epi32((__m512i)v[i], (__m512i)v[i + 1]);
        const __m512i last =
            many == 4 ? _mm512_packs_epi32((__m512i)v[i + many - 2], (__m512i)v[i + many - 1])
                      : first;
        const __m512i bytes =
            _mm512_maskz_permutexvar_epi32(0xffff, order, _mm512_packs_epi16(first, last));
        const __m512i moved = zero ? _mm512_add_epi8(bytes, _mm512_set1_epi8(zero)) : bytes;
        __builtin_memcpy(to, &moved, many * kLanes);
    }
}
