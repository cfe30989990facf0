// The arithmetic of the kernels, written once for all instruction sets: functions, precisions and
// products. The including file defines, in its own unnamed namespace, before this is included
// there:
//
//   kLanes, kRegisters           float32 lanes of a vector; vector registers
//   F, I                         vectors of float and of int32, as the compilers' extensions
//   fma(a, b, c)                 a · b + c
//   min(a, b), max(a, b)         of numbers
//   dot_u7(sum, a, w)            adds to each lane Σ of 4 products of bytes, a in 0…127, w signed
//   dot_i16(sum, a, w)           adds to each lane Σ of 2 products of 16-bit numbers
//
// Every number is computed by a fixed sequence of operations, whatever the number of streams, the
// block or the thread, so that all of these give the same bytes.
#pragma once

// Sums must live in registers, so the loops over them have to go.
#ifdef __clang__
#define TIMBREL_UNROLL _Pragma("unroll")
#else
#define TIMBREL_UNROLL _Pragma("GCC unroll 16")
#endif

inline F load(const float* p) {
    F v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
template <class T>
inline I load_bits(const T* p) {
    I v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
inline I load(const std::int32_t* p) { return load_bits(p); }
inline void store(float* p, F v) { __builtin_memcpy(p, &v, sizeof v); }
inline void store(std::int32_t* p, I v) { __builtin_memcpy(p, &v, sizeof v); }
inline F splat(float x) { return x - F{}; }
inline I splat(std::int32_t x) { return x - I{}; }
// The 32 bits at an address, in all lanes.
template <class T>
inline I splat_bits(const T* p) {
    std::int32_t bits;
    __builtin_memcpy(&bits, p, sizeof bits);
    return splat(bits);
}
inline F to_float(I v) { return __builtin_convertvector(v, F); }
inline F clamp(F v, float low, float high) { return max(min(v, splat(high)), splat(low)); }
inline F absolute(F v) { return (F)((I)v & 0x7fffffff); }

// How conditioning is kept for products of bytes.
#ifdef TIMBREL_HALF
using FrameOfBytes = TIMBREL_HALF;
#else
using FrameOfBytes = float;
#endif

// Stores what a Frame keeps of numbers.
template <class Frame, class T>
inline void keep(T* to, F v) {
    if constexpr (sizeof(Frame) < sizeof(T)) v = Frame::rounded(v);
    store(to, v);
}

// Rounds |v| < 2^22 to the nearest integer, half to even.
inline I round_to_int(F v) {
#ifdef TIMBREL_ROUND
    return TIMBREL_ROUND(v);
#else
    const F magic = splat(12582912.0f);
    return (I)(v + magic) - (I)magic;
#endif
}

template <int... i>
struct Numbers {};
template <int n, int... i>
struct UpTo : UpTo<n - 1, n - 1, i...> {};
template <int... i>
struct UpTo<0, i...> {
    using Type = Numbers<i...>;
};

template <int by, int... lane>
inline F rotated(F v, Numbers<lane...>) {
    return __builtin_shufflevector(v, v, (lane + by) % kLanes...);
}

// The largest lane, in all lanes: it need not leave the vector registers.
template <int by = kLanes / 2>
inline F largest(F v) {
    v = max(v, rotated<by>(v, typename UpTo<kLanes>::Type()));
    if constexpr (by > 1) v = largest<by / 2>(v);
    return v;
}

// 2^v to 3e-7, for v of 0 or less; below 2^-126, that.
inline F power_of_two(F v) {
    v = max(v, splat(-126.0f));
    const I n = round_to_int(v);
    const F r = v - to_float(n);
    F p = splat(1.327647199e-3f);
    p = fma(p, r, splat(9.675541334e-3f));
    p = fma(p, r, splat(5.550713273e-2f));
    p = fma(p, r, splat(2.402211972e-1f));
    p = fma(p, r, splat(6.931469671e-1f));
    p = fma(p, r, splat(1.0f));
    return (F)((I)p + (n << 23));
}

// tanh(v) = numerator / denominator, to 3e-7: a rational minimax approximation.
inline void tanh_parts(F v, F& numerator, F& denominator) {
    v = clamp(v, -7.90531110763549805f, 7.90531110763549805f);
    const F s = v * v;
    F p = splat(-2.76076847742355e-16f);
    p = fma(p, s, splat(2.00018790482477e-13f));
    p = fma(p, s, splat(-8.60467152213735e-11f));
    p = fma(p, s, splat(5.12229709037114e-08f));
    p = fma(p, s, splat(1.48572235717979e-05f));
    p = fma(p, s, splat(6.37261928875436e-04f));
    p = fma(p, s, splat(4.89352455891786e-03f));
    numerator = p * v;
    F q = splat(1.19825839466702e-06f);
    q = fma(q, s, splat(1.18534705686654e-04f));
    q = fma(q, s, splat(2.26843463243900e-03f));
    denominator = fma(q, s, splat(4.89352518554385e-03f));
}

// tanh(a) · σ(b) · most, with one division.
inline F gated(F a, F b, float most) {
    F an, ad, bn, bd;
    tanh_parts(a, an, ad);
    tanh_parts(b * splat(0.5f), bn, bd);
    return (an * splat(0.5f * most)) * (bd + bn) / (ad * bd);
}

// The same to 8e-4, for half the work: enough where the result is rounded to 1/63.
inline F coarsely_gated(F a, F b, float most) {
    const float half = 0.5f * most;
#ifdef TIMBREL_COARSE_TANH
    const F once = TIMBREL_COARSE_TANH(a) * splat(half);
    return fma(once, TIMBREL_COARSE_TANH(b * splat(0.5f)), once);
#else
    constexpr float n0 = 0.99833029f, n1 = 7.954928e-02f, d1 = 0.40876973f, d2 = 6.04785e-03f;
    a = clamp(a, -4.3f, 4.3f);
    b = clamp(b, -8.6f, 8.6f);
    const F s = a * a, t = b * b;
    const F an = fma(splat(n1 * half), s, splat(n0 * half)) * a;
    const F bn = fma(splat(n1 / 8), t, splat(n0 / 2)) * b;
    const F ad = fma(fma(splat(d2), s, splat(d1)), s, splat(1.0f));
    const F bd = fma(fma(splat(d2 / 16), t, splat(d1 / 4)), t, splat(1.0f));
    return an * (bd + bn) / (ad * bd);
#endif
}

// ---- Precisions: how activations are kept and multiplied ------------------------------------

struct Float32 {
    using Weight = float;
    using Activation = float;
    using Sum = F;
    using Number = float;     // a lane of Sum
    using Frame = float;      // how conditioning is kept
    using Gate = float;       // what products of gates are added to,
    using GateFrame = Frame;  // and how its conditioning is kept
    static constexpr int kGroup = 1;
    static constexpr bool kScaled = false, kHasZero = false, kCoarseGates = false;
    static constexpr bool kHasRests = false;
    // How far ahead of the sums weights are asked for, in bytes: those of four bytes come from
    // beyond the second-level cache, and the loads alone follow each other too slowly there.
    template <int S>
    static constexpr int kAhead = S == 1 ? 2048 : 8192;

    template <int TI, int S>
    static inline void multiply(const float* w, const float* const* a, int k, F (&sum)[S][TI]) {
        F tile[TI];
        TIMBREL_UNROLL
        for (int i = 0; i < TI; ++i) tile[i] = load(w + i * kLanes);
        TIMBREL_UNROLL
        for (int s = 0; s < S; ++s) {
            const F x = splat(a[s][k]);
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) sum[s][i] = fma(tile[i], x, sum[s][i]);
        }
    }
    static inline F total(F sum) { return sum; }
    template <Range, int n>
    static inline void keep(float* to, const F (&v)[n]) {
        TIMBREL_UNROLL
        for (int i = 0; i < n; ++i) store(to + i * kLanes, v[i]);
    }
    static constexpr float most(Range) { return 1.0f; }
};

struct Int16 {
    using Weight = std::int16_t;
    using Activation = std::int16_t;
    using Sum = I;
    using Number = std::int32_t;
    using Frame = float;
    using Gate = float;
    using GateFrame = Frame;
    static constexpr int kGroup = 2;
    static constexpr bool kScaled = true, kHasZero = false, kCoarseGates = true;
    static constexpr bool kHasRests = false;
    template <int S>
    static constexpr int kAhead = 0;

    template <int TI, int S>
    static inline void multiply(const std::int16_t* w, const std::int16_t* const* a, int k,
                                I (&sum)[S][TI]) {
        I tile[TI];
        TIMBREL_UNROLL
        for (int i = 0; i < TI; ++i) tile[i] = load_bits(w + i * kLanes * kGroup);
        TIMBREL_UNROLL
        for (int s = 0; s < S; ++s) {
            const I x = splat_bits(a[s] + k);
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) sum[s][i] = dot_i16(sum[s][i], x, tile[i]);
        }
    }
    static inline F total(I sum) { return to_float(sum); }
    template <Range, int n>
    static inline void keep(std::int16_t* to, const F (&v)[n]) {
        typedef std::int16_t Short __attribute__((vector_size(kLanes * 2)));
        TIMBREL_UNROLL
        for (int i = 0; i < n; ++i) {
            const Short q = __builtin_convertvector(round_to_int(v[i]), Short);
            __builtin_memcpy(to + i * kLanes, &q, sizeof q);
        }
    }
    static constexpr float most(Range) { return kInt16Max; }
};

// kUnsigned: activations of both signs are kept with their zero in the middle, for products that
// take no signs.
template <bool kUnsigned>
struct Bytes {
    using Weight = std::int8_t;
    using Activation = std::uint8_t;
    using Sum = I;
    using Number = std::int32_t;
    using Frame = FrameOfBytes;
    using Gate = float;
    using GateFrame = Frame;
    static constexpr int kGroup = 4;
    static constexpr bool kScaled = true, kHasZero = kUnsigned, kCoarseGates = true;
    static constexpr bool kHasRests = true;
    template <int S>
    static constexpr int kAhead = 0;

    template <int TI, int S>
    static inline void multiply(const std::int8_t* w, const std::uint8_t* const* a, int k,
                                I (&sum)[S][TI]) {
        I tile[TI];
        TIMBREL_UNROLL
        for (int i = 0; i < TI; ++i) tile[i] = load_bits(w + i * kLanes * kGroup);
        TIMBREL_UNROLL
        for (int s = 0; s < S; ++s) {
            const I x = splat_bits(a[s] + k);
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) sum[s][i] = dot_u7(sum[s][i], x, tile[i]);
        }
    }
    static inline F total(I sum) { return to_float(sum); }
    template <Range kRange, int n>
    static inline void keep(std::uint8_t* to, const F (&v)[n]) {
        I q[n];
        TIMBREL_UNROLL
        for (int i = 0; i < n; ++i) q[i] = round_to_int(v[i]);
        keep_bytes<kUnsigned ? zero_of(kRange) : 0>(to, q);
    }
    // Numbers kRests times as fine: rounded, and what that leaves.
    template <int n>
    static inline void keep_with_rests(std::uint8_t* to, std::uint8_t* rests, const F (&v)[n]) {
        constexpr int zero = zero_of(Range::both_signs);
        static_assert(kRests == 2 * zero);
        I whole[n], left[n];
        TIMBREL_UNROLL
        for (int i = 0; i < n; ++i) {
            const I q = round_to_int(v[i]) + zero;
            whole[i] = q >> kRestBits;
            left[i] = q & (kRests - 1);
        }
        keep_bytes<kUnsigned ? zero : 0>(to, whole);
        keep_bytes<kUnsigned ? 0 : -zero>(rests, left);
    }
    template <int zero, int n>
    static inline void keep_bytes(std::uint8_t* to, const I (&v)[n]) {
#ifdef TIMBREL_STORE_BYTES
        if constexpr (n % 2 == 0) return TIMBREL_STORE_BYTES<zero>(to, v);
#endif
        typedef std::uint8_t Byte __attribute__((vector_size(kLanes)));
        TIMBREL_UNROLL
        for (int i = 0; i < n; ++i) {
            const Byte q = __builtin_convertvector(v[i] + zero, Byte);
            __builtin_memcpy(to + i * kLanes, &q, sizeof q);
        }
    }
    static constexpr float most(Range range) { return float(kBytesMost - zero_of(range)); }
};
using Int8 = Bytes<true>;

// ---- Products -------------------------------------------------------------------------------

// The products of an instruction set that multiplies whole tiles, by precision: see isa/amx.cpp.
template <class P>
struct Tiles {
    static constexpr bool kThere = false;
    struct Session {
        explicit Session(int) {}
    };
};

template <class P>
struct Operands {
    int n;
    // For Tiles, with activations at equal distances: where sums go. Null where vectors multiply.
    unsigned char* tile_sums = nullptr;
    int rests = 0;  // how far behind gates' products their rests are: those of all streams together
    const typename P::Activation* activations[kMaxOperands];
    float scales[kMaxOperands];
    const float* starts[kMaxOperands];  // of rows; with the product they are results
    float* results[kMaxOperands];
    typename P::Number* sums[kMaxOperands];       // of rows, to which Finish::sum adds the product
    typename P::Gate* gates[kMaxOperands];        // the same, for Finish::gate and Finish::taps
    typename P::Activation* gated[kMaxOperands];  // where Finish::gate puts the gates' products
};

// Rounds tanh · σ of n pairs; what rounding leaves is put `rests` elements behind them.
template <class P, int n>
inline void keep_gated(typename P::Activation* to, int rests, const F (&pairs)[2 * n]) {
    constexpr float most = P::most(Range::both_signs) * (P::kHasRests ? kRests : 1);
    F z[n];
    TIMBREL_UNROLL
    for (int i = 0; i < n; ++i) {
        const F a = pairs[2 * i], b = pairs[2 * i + 1];
        z[i] = P::kCoarseGates ? coarsely_gated(a, b, most) : gated(a, b, most);
    }
    if constexpr (P::kHasRests)
        P::keep_with_rests(to, to + rests, z);
    else
        P::template keep<Range::both_signs>(to, z);
}

// What becomes of results: they are stored, or, as pairs of tiles, they are gates and only the
// rounded product of each pair is, or they stay sums that have no scale yet. Operands of `fine`
// products have their rests behind them, where there are any. Those of older taps are added to
// gates.
enum class Finish { add, fine, taps, gate, sum };

// Whether P finishes gates itself, which are not rows of floats: see isa/half.inl.
template <class P>
constexpr bool kInTurns = sizeof(typename P::Gate) < sizeof(float);

// Tiles that are finished together, at least.
template <class P, Finish kFinish>
constexpr int kFewestTiles = kFinish == Finish::gate   ? (kInTurns<P> ? 8 : 2)
                             : kFinish == Finish::taps ? (kInTurns<P> ? 4 : 1)
                                                       : 1;

// Steps of a loop's turn. Processors foresee what an instruction loads from the distance of its
// last addresses, and on some a distance of 2 or 4 KiB makes this harmful: a turn covers one, or
// eight of them, which also leaves few ends of loops to foresee. Browsers, and loops of many
// products a step, do best when they are short.
template <int S>
constexpr int kSteps = sizeof(I) == 64 && S <= 2 ? 16
                       : sizeof(I) == 32         ? 4
                                                 : 1;

// sums += tiles · activations. Inline wherever the compiler would think better of it: it would pass
// the sums in memory.
template <class P, int TI, int S>
[[gnu::always_inline]] inline void multiply_all(const typename P::Weight* w, int stride,
                                                int columns, const typename P::Activation* const* a,
                                                typename P::Sum (&sums)[S][TI]) {
    const int step = stride * kLanes * P::kGroup;
    int k = 0;
    for (; k + kSteps<S> * P::kGroup <= columns; k += kSteps<S> * P::kGroup) {
        TIMBREL_UNROLL
        for (int i = 0; i < kSteps<S>; ++i, w += step) {
            TIMBREL_UNROLL
            for (int tile = 0; P::template kAhead<S> && tile < TI; tile += kAlign / sizeof(I))
                __builtin_prefetch(reinterpret_cast<const char*>(w) + P::template kAhead<S> +
                                   tile * sizeof(I));
            P::template multiply<TI, S>(w, a, k + i * P::kGroup, sums);
        }
    }
    for (; k < columns; k += P::kGroup, w += step) P::template multiply<TI, S>(w, a, k, sums);
}

// Not inline: compilers run out of registers where all this meets in one function.
template <class P, Finish kFinish, int TI, int S>
__attribute__((noinline)) void add_tiles(const Matrix& m, const typename P::Weight* w, int stride,
                                         int row, const Operands<P>& o, int first) {
    typename P::Sum sums[S][TI] = {};
    if constexpr (kFinish == Finish::sum) {
        TIMBREL_UNROLL
        for (int s = 0; s < S; ++s) {
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) sums[s][i] = load(o.sums[first + s] + row + i * kLanes);
        }
    } else if constexpr (P::kHasZero) {
        if (m.offsets) {
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) {
                const I offset = load(m.offsets + row + i * kLanes);
                TIMBREL_UNROLL
                for (int s = 0; s < S; ++s) sums[s][i] = offset;
            }
        }
    }
    multiply_all<P>(w, stride, m.columns, o.activations + first, sums);
    if constexpr (kFinish == Finish::fine && P::kHasRests) {
        const typename P::Activation* rests[S];
        TIMBREL_UNROLL
        for (int s = 0; s < S; ++s) {
            rests[s] = o.activations[first + s] + o.rests;
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) {
                sums[s][i] <<= kRestBits;
                if (P::kHasZero && m.offsets) sums[s][i] += load(m.offsets + row + i * kLanes);
            }
        }
        multiply_all<P>(w, stride, m.columns, rests, sums);
    }
    if constexpr (kFinish == Finish::sum) {
        TIMBREL_UNROLL
        for (int s = 0; s < S; ++s) {
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) store(o.sums[first + s] + row + i * kLanes, sums[s][i]);
        }
        return;
    }
    constexpr bool of_gates = kFinish == Finish::gate || kFinish == Finish::taps;
    if constexpr (of_gates && kInTurns<P>) {
        TIMBREL_UNROLL
        for (int s = 0; s < S; ++s)
            P::template finish_gates<kFinish>(m, row, sums[s], o, first + s);
        return;
    }
    const float* const scales = P::kScaled ? m.scales + row : nullptr;
    TIMBREL_UNROLL
    for (int s = 0; s < S; ++s) {
        const float* start;
        float* result;
        if constexpr (of_gates && !kInTurns<P>) {
            start = result = o.gates[first + s] + row;
        } else {
            start = o.starts[first + s] + row;
            result = o.results[first + s] + row;
        }
        const F unit = splat(o.scales[first + s]);
        F values[TI];
        TIMBREL_UNROLL
        for (int i = 0; i < TI; ++i) {
            const F sum = P::total(sums[s][i]), before = load(start + i * kLanes);
            if constexpr (P::kScaled)
                values[i] = fma(sum, load(scales + i * kLanes) * unit, before);
            else
                values[i] = before + sum;
        }
        if constexpr (kFinish != Finish::gate) {
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) store(result + i * kLanes, values[i]);
        } else {
            keep_gated<P, TI / 2>(o.gated[first + s] + row / 2, o.rests, values);
        }
    }
}

// The tiles from `i` on, TI at once, what is left over in smaller numbers.
template <class P, Finish kFinish, int S, int TI>
inline void add_block(const Matrix& m, const typename P::Weight* w, int tiles, int row,
                      const Operands<P>& o, int first, int i = 0) {
    for (; i + TI <= tiles; i += TI)
        add_tiles<P, kFinish, TI, S>(m, w + i * kLanes * P::kGroup, tiles, row + i * kLanes, o,
                                     first);
    if constexpr (TI > kFewestTiles<P, kFinish>)
        if (i < tiles) add_block<P, kFinish, S, TI / 2>(m, w, tiles, row, o, first, i);
}

// As many as let tiles be finished together.
template <class P, Finish kFinish>
constexpr int kOperandsAtOnce =
    tiles_at_once(kRegisters, operands_at_once(kRegisters)) < kFewestTiles<P, kFinish>
        ? kRegisters / 2 / kFewestTiles<P, kFinish>
        : operands_at_once(kRegisters);
template <int S>
constexpr int kTilesAtOnce = tiles_at_once(kRegisters, S);

template <class P, Finish kFinish, int S>
inline void add_operands(const Matrix& m, const typename P::Weight* w, int tiles, int row,
                         const Operands<P>& o, int s) {
    for (; s + S <= o.n; s += S) add_block<P, kFinish, S, kTilesAtOnce<S>>(m, w, tiles, row, o, s);
    if constexpr (S > 1)
        if (s < o.n) add_operands<P, kFinish, S / 2>(m, w, tiles, row, o, s);
}

// results = starts + matrix · activations.
template <class P, Finish kFinish = Finish::add>
inline void add_product(const Matrix& m, const Operands<P>& o) {
    if constexpr (Tiles<P>::kThere && kFinish == Finish::add)
        if (o.tile_sums) return Tiles<P>::add_product(m, o);
    const auto* w = static_cast<const typename P::Weight*>(m.weights);
    for (int tile = 0; tile < m.tiles; tile += m.tiles_in_block) {
        const int left = m.tiles - tile;
        const int tiles = left < m.tiles_in_block ? left : m.tiles_in_block;
        add_operands<P, kFinish, kOperandsAtOnce<P, kFinish>>(m, w, tiles, tile * kLanes, o, 0);
        w += std::size_t(tiles) * kLanes * m.columns;
    }
}

// ---- Streams' states ------------------------------------------------------------------------

template <class T>
inline T* at(unsigned char* state, std::size_t offset) {
    return reinterpret_cast<T*>(state + offset);
}
