// Gates in floats of 16 bits, 32 at once: AVX-512 FP16 and VBMI, beside vector512.inl. They are
// made of 8-bit products and rounded to 7 bits, with rests, so 11 bits are enough for them.
//
// In these vectors the rows of two tiles take turns, as a shift of the tiles' sums brings them: of
// 64 gates in a row, which are a tile of tanh's rows, one of sigmoid's, and again both, the first
// vector holds all of tanh's and the second all of sigmoid's. The latter are halved, for
// σ(v) = (1 + tanh(v / 2)) / 2.
constexpr int kTurns = 2 * kLanes;
typedef _Float16 H __attribute__((vector_size(64)));

inline H fma(H a, H b, H c) { return (H)_mm512_fmadd_ph((__m512h)a, (__m512h)b, (__m512h)c); }
inline H splat_half(float v) { return (H)_mm512_set1_ph(_Float16(v)); }

// A gate, or a frame's share of it.
struct Turn {
    std::uint16_t bits;
};
inline H load(const Turn* p) {
    H v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
inline void store(Turn* p, H v) { __builtin_memcpy(p, &v, sizeof v); }
template <int n>
inline void load_turns(const Turn* from, H (&v)[n]) {
    TIMBREL_UNROLL
    for (int i = 0; i < n; ++i) v[i] = load(from + i * kTurns);
}
template <int n>
inline void store_turns(Turn* to, const H (&v)[n]) {
    TIMBREL_UNROLL
    for (int i = 0; i < n; ++i) store(to + i * kTurns, v[i]);
}

// Rows of two tiles, in turns.
inline H in_turns(F first, F second) {
    alignas(kAlign) static constexpr std::uint16_t order[] = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i both =
        _mm512_inserti64x4(_mm512_castsi256_si512(Half::of(clamp(first, -kMostHalf, kMostHalf))),
                           Half::of(clamp(second, -kMostHalf, kMostHalf)), 1);
    return (H)_mm512_permutexvar_epi16(_mm512_load_si512(order), both);
}
template <int n>
inline void in_turns(const F (&tiles)[n], H (&gates)[n / 2]) {
    TIMBREL_UNROLL
    for (int i = 0; i < n; i += 4) {
        gates[i / 2] = in_turns(tiles[i], tiles[i + 2]);
        gates[i / 2 + 1] = in_turns(tiles[i + 1] * splat(0.5f), tiles[i + 3] * splat(0.5f));
    }
}

// As the one of floats.
template <int n>
inline void mix_frames(const Turn* const* frames, const float* const* weights, int n_frames,
                       int n_rows, Turn* to) {
    alignas(16) _Float16 factors[kMaxAround][8];
    for (int j = 0; j < n_frames; ++j) {
        float some[8] = {};
        __builtin_memcpy(some, weights[j], n * sizeof(float));
        const __m128h halves = _mm256_cvtxps_ph(_mm256_loadu_ps(some));
        __builtin_memcpy(factors[j], &halves, sizeof halves);
    }
    for (int i = 0; i < n_rows; i += kTurns) {
        H sums[n] = {};
        for (int j = 0; j < n_frames; ++j) {
            const H row = load(frames[j] + i);
            TIMBREL_UNROLL
            for (int k = 0; k < n; ++k) sums[k] = fma(row, splat_half(factors[j][k]), sums[k]);
        }
        TIMBREL_UNROLL
        for (int k = 0; k < n; ++k) store(to + k * n_rows + i, sums[k]);
    }
}

// What a matrix's sums are multiplied by, for activations of a scale: times its rows' shares.
inline H unit_of(const Matrix& m, float scale) {
    const float unit = scale * m.turn_unit;
    return splat_half(unit < kMostHalf ? unit : kMostHalf);
}

// Bits of a lane's 32-bit sums: 16 from the shift on, of the first vector, then of the second.
struct Sixteen {
    __m512i bits;

    explicit Sixteen(int shift)
        : bits(_mm512_set1_epi64(0x2820282008000800 + shift * 0x0101010101010101)) {}
    inline H of(I first, I second) const {
        const __m512i low = _mm512_multishift_epi64_epi8(bits, (__m512i)first);
        return (H)_mm512_cvtepi16_ph(
            _mm512_mask_multishift_epi64_epi8(low, 0xcccccccccccccccc, bits, (__m512i)second));
    }
};

// gates += sums of products, of the rows from `row` on.
template <int n, class Sums>
inline void add_in_turns(const Matrix& m, int row, H unit, const Sums& sums, H (&gates)[n]) {
    const Sixteen sixteen(m.turn_shift);
    const auto* shares = reinterpret_cast<const Turn*>(m.turn_shares);
    TIMBREL_UNROLL
    for (int i = 0; i < n; ++i) {
        const int tile = i / 2 * 4 + i % 2;
        const H each = load(shares + row + i * kTurns) * unit;
        gates[i] = fma(sixteen.of(sums(tile), sums(tile + 2)), each, gates[i]);
    }
}

// tanh · scale by lines, between 32 multiples of a step.
struct TanhLines {
    static constexpr int kLines = 32;
    static constexpr float kMost = 3.9375f, kInverseStep = 8.125f;  // these 16 bits hold
    alignas(kAlign) _Float16 at_zero[kLines] = {}, slopes[kLines] = {};

    constexpr explicit TanhLines(double scale) {
        for (int i = 0; i < kLines; ++i) {
            const double from = i / double(kInverseStep), to = (i + 1) / double(kInverseStep);
            const double middle = (from + to) / 2, low = TanhPieces::tanh(from),
                         slope = (TanhPieces::tanh(to) - low) / (to - from);
            // As far from the curve in the middle as at the ends.
            const double above = (TanhPieces::tanh(middle) - low - slope * (middle - from)) / 2;
            slopes[i] = _Float16(slope * scale);
            at_zero[i] = i ? _Float16((low + above - slope * from) * scale) : _Float16(0);
        }
    }
};

constexpr double kFineGates = Int8::most(Range::both_signs) * kRests;  // the integers of 1
constexpr TanhLines kTanhHalves(kFineGates / 2), kTanh(1);

// To 1.1e-3 of the scale, of which rounding is a third.
inline H tanh_by_lines(H v, const TanhLines& lines) {
    const __m512i bits = (__m512i)v;
    // In this order it is kMost for what is no number, too.
    const __m512h size =
        _mm512_min_ph(_mm512_abs_ph((__m512h)v), _mm512_set1_ph(_Float16(TanhLines::kMost)));
    const auto index = (__m512i)_mm512_fmadd_round_ph(
        size, _mm512_set1_ph(_Float16(TanhLines::kInverseStep)), _mm512_set1_ph(_Float16(1024)),
        _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const auto factor = [&](const _Float16* from) {
        return (__m512h)_mm512_permutexvar_epi16(index, _mm512_load_si512(from));
    };
    const auto found = (__m512i)_mm512_fmadd_ph(factor(lines.slopes), size, factor(lines.at_zero));
    // With the sign of v.
    return (H)_mm512_ternarylogic_epi64(found, bits, _mm512_set1_epi16(short(0x8000)), 0x78);
}

struct ByteOrder {
    alignas(kAlign) std::uint8_t from[64] = {};

    constexpr ByteOrder() {
        for (int i = 0; i < 64; ++i) from[i] = std::uint8_t(2 * (i % 16 * 2 + i / 16 % 2) + i / 32);
    }
};
constexpr ByteOrder kByteOrder;

// Rounds tanh · σ of 64 pairs; what rounding leaves is put `rests` bytes behind them.
template <class Kept>
inline void keep_gated(std::uint8_t* to, int rests, const H (&gates)[4]) {
    constexpr int zero = zero_of(Range::both_signs);
    __m512i fine[2];
    TIMBREL_UNROLL
    for (int i = 0; i < 2; ++i) {
        const H once = tanh_by_lines(gates[2 * i], kTanhHalves);
        const H z = fma(once, tanh_by_lines(gates[2 * i + 1], kTanh), once);
        fine[i] = _mm512_add_epi16(_mm512_cvtph_epi16((__m512h)z), _mm512_set1_epi16(zero));
    }
    // Bytes of both in turns.
    const auto byte = [&](int first_bit) {
        const __m512i bits = _mm512_set1_epi64(0x3030202010100000 + first_bit * 0x0101010101010101);
        return _mm512_mask_multishift_epi64_epi8(_mm512_multishift_epi64_epi8(bits, fine[0]),
                                                 0xaaaaaaaaaaaaaaaa, bits, fine[1]);
    };
    const auto keep = [&](std::uint8_t* place, __m512i bytes, int more) {
        bytes = _mm512_permutexvar_epi8(_mm512_load_si512(kByteOrder.from), bytes);
        if (more) bytes = _mm512_add_epi8(bytes, _mm512_set1_epi8(char(more)));
        __builtin_memcpy(place, &bytes, sizeof bytes);
    };
    keep(to, byte(kRestBits), Kept::kHasZero ? zero : 0);
    keep(to + rests, _mm512_and_si512(byte(0), _mm512_set1_epi8(kRests - 1)),
         Kept::kHasZero ? 0 : -zero);
}

// Products of bytes whose gates are such vectors. `kUnsigned` as there.
template <bool kUnsigned>
struct BytesInTurns : Bytes<kUnsigned> {
    using Gate = Turn;
    using GateFrame = Turn;
    using Kept = Bytes<kUnsigned>;

    static inline void keep_gates(Turn* to, const float* from, int n_rows) {
        for (int i = 0; i < n_rows; i += 4 * kLanes) {
            F tiles[4];
            H gates[2];
            TIMBREL_UNROLL
            for (int j = 0; j < 4; ++j) tiles[j] = load(from + i + j * kLanes);
            in_turns(tiles, gates);
            store_turns(to + i, gates);
        }
    }
    static inline void keep_looked_up(std::uint8_t* to, int rests, const Turn* before,
                                      const F (&values)[8]) {
        H gates[4], more[4];
        load_turns(before, gates);
        in_turns(values, more);
        TIMBREL_UNROLL
        for (int i = 0; i < 4; ++i) gates[i] += more[i];
        keep_gated<Kept>(to, rests, gates);
    }
    template <Finish kFinish, int TI>
    static inline void finish_gates(const Matrix& m, int row, const I (&sums)[TI],
                                    const Operands<BytesInTurns>& o, int s) {
        H gates[TI / 2];
        load_turns(o.gates[s] + row, gates);
        add_in_turns(m, row, unit_of(m, o.scales[s]), [&](int i) { return sums[i]; }, gates);
        if constexpr (kFinish == Finish::gate)
            keep_gated<Kept>(o.gated[s] + row / 2, o.rests, gates);
        else
            store_turns(o.gates[s] + row, gates);
    }
};
