// Vectors of 128 bits, for any processor; the including file may define what it does better:
// TIMBREL_FMA(a, b, c), TIMBREL_MIN(a, b), TIMBREL_MAX(a, b), TIMBREL_DOT_I16(sum, a, w),
// TIMBREL_DOT_U7(sum, a, w).

constexpr int kLanes = 4, kRegisters = 16;
typedef float F __attribute__((vector_size(16)));
typedef std::int32_t I __attribute__((vector_size(16)));
typedef std::int16_t Short __attribute__((vector_size(16)));

inline F fma(F a, F b, F c) {
#ifdef TIMBREL_FMA
    return TIMBREL_FMA(a, b, c);
#else
    return a * b + c;
#endif
}

inline F min(F a, F b) {
#ifdef TIMBREL_MIN
    return TIMBREL_MIN(a, b);
#else
    return a < b ? a : b;
#endif
}

inline F max(F a, F b) {
#ifdef TIMBREL_MAX
    return TIMBREL_MAX(a, b);
#else
    return a > b ? a : b;
#endif
}

inline I dot_i16(I sum, I a, I w) {
#ifdef TIMBREL_DOT_I16
    return TIMBREL_DOT_I16(sum, a, w);
#else
    return sum + ((a << 16) >> 16) * ((w << 16) >> 16) + (a >> 16) * (w >> 16);
#endif
}

inline I dot_u7(I sum, I a, I w) {
#ifdef TIMBREL_DOT_U7
    return TIMBREL_DOT_U7(sum, a, w);
#else
    // Bytes of even and of odd places as 16-bit numbers.
    const Short wide_a = (Short)a, wide_w = (Short)w;
    sum = dot_i16(sum, (I)(wide_a & 0xff), (I)((wide_w << 8) >> 8));
    return dot_i16(sum, (I)(wide_a >> 8), (I)(wide_w >> 8));
#endif
}
