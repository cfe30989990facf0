// The kernels, written once for all instruction sets. The including file defines, in its own
// unnamed namespace, before this is included there:
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

// Rounds |v| < 2^22 to the nearest integer, half to even.
inline I round_to_int(F v) {
    const F magic = splat(12582912.0f);
    return (I)(v + magic) - (I)magic;
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

// e^v to 2e-7, for v in [-87, 88].
inline F exponential(F v) {
    v = clamp(v, -87.0f, 88.0f);
    const I n = round_to_int(v * splat(1.44269504f));
    const F whole = to_float(n);
    F r = fma(whole, splat(-0.693359375f), v);
    r = fma(whole, splat(2.12194440e-4f), r);
    F p = splat(1.9875691500e-4f);
    p = fma(p, r, splat(1.3981999507e-3f));
    p = fma(p, r, splat(8.3334519073e-3f));
    p = fma(p, r, splat(4.1665795894e-2f));
    p = fma(p, r, splat(1.6666665459e-1f));
    p = fma(p, r, splat(5.0000001201e-1f));
    p = fma(p, r * r, r) + splat(1.0f);
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

// The same to 8e-4, for half the work: enough where the result is rounded to 1/63.
inline void coarse_tanh_parts(F v, F& numerator, F& denominator) {
    v = clamp(v, -4.3f, 4.3f);
    const F s = v * v;
    numerator = fma(splat(7.954928e-02f), s, splat(0.99833029f)) * v;
    denominator = fma(fma(splat(6.04785e-03f), s, splat(0.40876973f)), s, splat(1.0f));
}

// tanh(a) · σ(b), with one division.
template <class P>
inline F gated(F a, F b) {
    F an, ad, bn, bd;
    b *= splat(0.5f);
    if constexpr (P::kCoarseGates) {
        coarse_tanh_parts(a, an, ad);
        coarse_tanh_parts(b, bn, bd);
    } else {
        tanh_parts(a, an, ad);
        tanh_parts(b, bn, bd);
    }
    return (an * splat(0.5f)) * (bd + bn) / (ad * bd);
}

// ---- Precisions: how activations are kept and multiplied ------------------------------------

struct Float32 {
    using Weight = float;
    using Activation = float;
    using Sum = F;
    using Number = float;  // a lane of Sum
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
    template <Range>
    static inline void keep(float* to, F v) {
        store(to, v);
    }
    static constexpr float most(Range) { return 1.0f; }
};

struct Int16 {
    using Weight = std::int16_t;
    using Activation = std::int16_t;
    using Sum = I;
    using Number = std::int32_t;
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
    template <Range>
    static inline void keep(std::int16_t* to, F v) {
        typedef std::int16_t Short __attribute__((vector_size(kLanes * 2)));
        const Short q = __builtin_convertvector(round_to_int(v), Short);
        __builtin_memcpy(to, &q, sizeof q);
    }
    static constexpr float most(Range) { return kInt16Max; }
};

struct Int8 {
    using Weight = std::int8_t;
    using Activation = std::uint8_t;
    using Sum = I;
    using Number = std::int32_t;
    static constexpr int kGroup = 4;
    static constexpr bool kScaled = true, kHasZero = true, kCoarseGates = true;
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
    template <Range kRange>
    static inline void keep(std::uint8_t* to, F v) {
        typedef std::uint8_t Byte __attribute__((vector_size(kLanes)));
        const Byte q = __builtin_convertvector(round_to_int(v) + zero_of(kRange), Byte);
        __builtin_memcpy(to, &q, sizeof q);
    }
    static constexpr float most(Range range) { return float(kBytesMost - zero_of(range)); }
};

// ---- Products -------------------------------------------------------------------------------

template <class P>
struct Operands {
    int n;
    const typename P::Activation* activations[kMaxOperands];
    float scales[kMaxOperands];
    float* results[kMaxOperands];                 // of rows; the product is added to them
    typename P::Number* sums[kMaxOperands];       // the same, for Finish::sum
    typename P::Activation* gated[kMaxOperands];  // where Finish::gate puts the gates' products
};

// Rounds tanh(a) · σ(b); what rounding leaves is put `rests` elements behind it.
template <class P>
inline void keep_gated(typename P::Activation* to, int rests, F a, F b) {
    const F z = gated<P>(a, b) * splat(P::most(Range::both_signs));
    P::template keep<Range::both_signs>(to, z);
    if constexpr (P::kHasRests)
        P::template keep<Range::both_signs>(to + rests,
                                            (z - to_float(round_to_int(z))) * splat(float(kRests)));
}

// What becomes of results: they are stored, or, as pairs of tiles, they are gates and only the
// rounded product of each pair is, or they stay sums that have no scale yet. Operands of `fine`
// products have their rests behind them, where there are any.
enum class Finish { add, fine, gate, sum };

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
            rests[s] = o.activations[first + s] + m.columns;
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) sums[s][i] *= splat(kRests);
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
    const float* const scales = P::kScaled ? m.scales + row : nullptr;
    TIMBREL_UNROLL
    for (int s = 0; s < S; ++s) {
        float* const result = o.results[first + s] + row;
        const F unit = splat(o.scales[first + s]);
        F values[TI];
        TIMBREL_UNROLL
        for (int i = 0; i < TI; ++i) {
            const F sum = P::total(sums[s][i]), before = load(result + i * kLanes);
            if constexpr (P::kScaled)
                values[i] = fma(sum, load(scales + i * kLanes) * unit, before);
            else
                values[i] = before + sum;
        }
        if constexpr (kFinish != Finish::gate) {
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) store(result + i * kLanes, values[i]);
        } else {
            TIMBREL_UNROLL
            for (int i = 0; i < TI; i += 2)
                keep_gated<P>(o.gated[first + s] + (row + i * kLanes) / 2, m.columns, values[i],
                              values[i + 1]);
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
    if constexpr (TI > (kFinish == Finish::gate ? 2 : 1))
        if (i < tiles) add_block<P, kFinish, S, TI / 2>(m, w, tiles, row, o, first, i);
}

constexpr int kOperandsAtOnce = operands_at_once(kRegisters);
template <int S>
constexpr int kTilesAtOnce = tiles_at_once(kRegisters, S);

template <class P, Finish kFinish, int S>
inline void add_operands(const Matrix& m, const typename P::Weight* w, int tiles, int row,
                         const Operands<P>& o, int s) {
    for (; s + S <= o.n; s += S) add_block<P, kFinish, S, kTilesAtOnce<S>>(m, w, tiles, row, o, s);
    if constexpr (S > 1)
        if (s < o.n) add_operands<P, kFinish, S / 2>(m, w, tiles, row, o, s);
}

// results += matrix · activations.
template <class P, Finish kFinish = Finish::add>
inline void add_product(const Matrix& m, const Operands<P>& o) {
    const auto* w = static_cast<const typename P::Weight*>(m.weights);
    for (int tile = 0; tile < m.tiles; tile += m.tiles_in_block) {
        const int left = m.tiles - tile;
        const int tiles = left < m.tiles_in_block ? left : m.tiles_in_block;
        add_operands<P, kFinish, kOperandsAtOnce>(m, w, tiles, tile * kLanes, o, 0);
        w += std::size_t(tiles) * kLanes * m.columns;
    }
}

// ---- The network ----------------------------------------------------------------------------

template <class T>
inline T* at(unsigned char* state, std::size_t offset) {
    return reinterpret_cast<T*>(state + offset);
}

// Rounds floats to activations with a scale of their own; gives the number that undoes it.
template <class P, Range kRange>
inline float quantise(typename P::Activation* to, const float* from, int n) {
    if constexpr (!P::kScaled) {
        for (int i = 0; i < n; i += kLanes) P::template keep<kRange>(to + i, load(from + i));
        return 1.0f;
    } else {
        constexpr float most_kept = P::most(kRange);
        F most = absolute(load(from));
        for (int i = kLanes; i < n; i += kLanes) most = max(most, absolute(load(from + i)));
        // Silence has a scale, too, and no inverse that overflows.
        const F peak = max(largest(most), splat(1e-30f));
        const F up = splat(most_kept) / peak;
        for (int i = 0; i < n; i += kLanes) P::template keep<kRange>(to + i, load(from + i) * up);
        return peak[0] * (1.0f / most_kept);
    }
}

// Conditioning of the next frames: all layers' rows of each.
inline void condition_frames(Group& g) {
    const Plan& p = *g.plan;
    std::uint64_t stop = g.conditioned + kConditionFrames;
    if (stop > g.mel_stop) stop = g.mel_stop;
    const int n = int(stop - g.conditioned);
    for (int s = 0; s < g.n; ++s) {
        Operands<Float32> o;
        o.n = n;
        for (int i = 0; i < n; ++i) {
            const std::uint64_t frame = g.conditioned + i;
            o.activations[i] = g.mels[s] + (frame - g.mel_start) * p.mels;
            o.scales[i] = 1.0f;
            o.results[i] =
                at<float>(g.states[s], p.conditions) + frame % p.condition_ring * p.condition_rows;
            __builtin_memcpy(o.results[i], p.condition_bias, p.condition_rows * sizeof(float));
        }
        add_product<Float32>(p.condition, o);
    }
    g.conditioned = stop;
}

// The conditioning of n samples, for some of the rows; each frame is loaded once for all of them.
template <int n>
inline void mix_frames(const Plan& p, const float* const* frames, const float* weights, int n_rows,
                       float* to) {
    for (int i = 0; i < n_rows; i += kLanes) {
        F sums[n] = {};
        for (int j = 0; j < p.n_around; ++j) {
            const F row = load(frames[j] + i);
            TIMBREL_UNROLL
            for (int k = 0; k < n; ++k) sums[k] = fma(row, splat(weights[j * p.hop + k]), sums[k]);
        }
        TIMBREL_UNROLL
        for (int k = 0; k < n; ++k) store(to + k * n_rows + i, sums[k]);
    }
}

// to[i] = the conditioning of the samples from `position` on, for some of the rows.
inline void interpolate(const Plan& p, unsigned char* state, std::uint64_t position, int n_samples,
                        int row, int n_rows, float* to) {
    const std::uint64_t frame = position / p.hop;
    const int phase = int(position - frame * p.hop);
    const float* frames[kMaxAround];
    for (int j = 0; j < p.n_around; ++j)
        frames[j] = at<float>(state, p.conditions) +
                    (frame + j) % p.condition_ring * p.condition_rows + row;
    int i = 0;
    for (; i + 8 <= n_samples; i += 8)
        mix_frames<8>(p, frames, p.interpolation + phase + i, n_rows, to + i * n_rows);
    for (; i + 4 <= n_samples; i += 4)
        mix_frames<4>(p, frames, p.interpolation + phase + i, n_rows, to + i * n_rows);
    for (; i + 2 <= n_samples; i += 2)
        mix_frames<2>(p, frames, p.interpolation + phase + i, n_rows, to + i * n_rows);
    for (; i < n_samples; ++i)
        mix_frames<1>(p, frames, p.interpolation + phase + i, n_rows, to + i * n_rows);
}

// Where an older tap finds its input, for the sample whose own goes to `slot`.
inline int older_slot(const Layer& layer, int slot, int tap) {
    slot += tap * layer.dilation;
    return slot < layer.ring ? slot : slot - layer.ring;
}

// The conditioning of a layer's gates, and the products of its older taps, for the samples that
// begin now. Rows are worked off ahead up to the next multiple of what is worked off together, or
// to the end of the frame, whose successor may not be there yet.
template <class P>
inline void prepare_gates(Group& g, const Layer& layer, int index, int row) {
    const Plan& p = *g.plan;
    const int rows = 2 * p.residual, of_frame = p.hop - int(g.position % p.hop);
    const auto up_to = [&](int multiple) {
        const int left = multiple - row % multiple;
        return left < of_frame ? left : of_frame;
    };
    const bool anew = of_frame == p.hop;
    const int conditioned = anew || row == 0 ? up_to(kMaxBlock) : 0;
    const int tapped =
        !layer.looked_up && (anew || row % layer.block == 0) ? up_to(layer.block) : 0;
    for (int s = 0; conditioned && s < g.n; ++s) {
        float* gates = at<float>(g.states[s], layer.gates) + row * rows;
        if (p.layer_condition)
            interpolate(p, g.states[s], g.position, conditioned, index * rows, rows, gates);
        else
            for (int i = 0; i < conditioned; ++i)
                __builtin_memcpy(gates + i * rows, p.condition_bias + index * rows,
                                 rows * sizeof(float));
    }
    for (int tap = 0; tapped && tap < p.n_older_taps; ++tap) {
        // The ring holds whole dilations and these whole blocks, so a block never wraps around.
        const int slot = older_slot(layer, g.slots[index], tap);
        // The samples of all streams' blocks share a load of the weights.
        Operands<P> o;
        o.n = 0;
        for (int s = 0; s < g.n; ++s)
            for (int i = 0; i < tapped; ++i, ++o.n) {
                o.activations[o.n] = at<typename P::Activation>(
                    g.states[s], layer.inputs + (slot + i) * p.activation_bytes);
                o.scales[o.n] = at<float>(g.states[s], layer.input_scales)[slot + i];
                o.results[o.n] = at<float>(g.states[s], layer.gates) + (row + i) * rows;
            }
        add_product<P>(layer.taps[tap], o);
    }
}

inline void add_vector(float* to, const float* v, int n) {
    for (int i = 0; i < n; i += kLanes) store(to + i, load(to + i) + load(v + i));
}

// The first layer's input, and what of it goes to the skip sum.
inline void start_sample(const Plan& p, unsigned char* state) {
    float* x = at<float>(state, p.x);
    const float* history = at<float>(state, p.history);
    if (p.input_taps == 0) {
        const int level = int(history[0]);
        __builtin_memcpy(x, p.input_weights + level * p.residual, p.residual * sizeof(float));
        return;
    }
    for (int i = 0; i < p.residual; i += kLanes) {
        F sum = load(p.input_bias + i);
        for (int j = 0; j < p.input_taps; ++j)
            sum = fma(load(p.input_weights + j * p.residual + i), splat(history[j]), sum);
        store(x + i, sum);
    }
}

// The first layer's gates where its inputs are levels: their products are looked up.
template <class P>
inline void look_up_gates(const Plan& p, unsigned char* state, int slot, const float* before,
                          typename P::Activation* to) {
    const Layer& layer = p.layers[0];
    const int rows = 2 * p.residual, n_taps = p.n_older_taps + 1;
    const float* products[kMaxTaps];
    const auto product = [&](int tap, int level) {
        return p.first_tables + (tap * (p.n_parameters + 1) + level) * rows;
    };
    // Counted from 1: before the first sample there is none, and 0 has a row of zeros.
    auto* levels = at<std::int32_t>(state, layer.inputs);
    for (int tap = 0; tap < p.n_older_taps; ++tap)
        products[tap] = product(tap, levels[older_slot(layer, slot, tap)]);
    levels[slot] = 1 + int(*at<float>(state, p.history));
    products[p.n_older_taps] = product(p.n_older_taps, levels[slot]);
    for (int i = 0; i < p.residual; i += kLanes) {
        F a = load(before + 2 * i), b = load(before + 2 * i + kLanes);
        for (int tap = 0; tap < n_taps; ++tap) {
            a += load(products[tap] + 2 * i);
            b += load(products[tap] + 2 * i + kLanes);
        }
        keep_gated<P>(to + i, p.residual, a, b);
    }
}

// All layers for one sample of all streams; their skip sums are left in the states.
//
// Each step of a layer waits for the one before, but nothing waits for its skip product: it is
// done in two parts, while the next layer's input and its gates are on their way.
template <class P>
inline void layers(Group& g) {
    using Activation = typename P::Activation;
    const Plan& p = *g.plan;
    Operands<P> inputs, gated, skip[2];
    inputs.n = gated.n = skip[0].n = skip[1].n = g.n;
    const int half = p.layers[0].skip[0].tiles * kLanes;
    for (int s = 0; s < g.n; ++s) {
        gated.scales[s] = 1.0f / (P::most(Range::both_signs) * (P::kHasRests ? kRests : 1));
        gated.results[s] = at<float>(g.states[s], p.x);
        skip[0].sums[s] = at<typename P::Number>(g.states[s], p.skip_sum);
        skip[1].sums[s] = skip[0].sums[s] + half;
    }
    for (int l = 0; l < p.n_layers; ++l) {
        const Layer& layer = p.layers[l];
        // Layers begin their blocks at different samples: were it the same, that sample's weights
        // would not fit into the second-level cache, and the next would miss them.
        const int slot = g.slots[l], row = int((g.position + l) % kMaxBlock);
        prepare_gates<P>(g, layer, l, row);
        g.slots[l] = slot + 1 == layer.ring ? 0 : slot + 1;
        const bool last = l + 1 == p.n_layers;
        for (int s = 0; s < g.n; ++s) {
            float* x = at<float>(g.states[s], p.x);
            inputs.results[s] = at<float>(g.states[s], layer.gates) + row * 2 * p.residual;
            inputs.gated[s] = at<Activation>(g.states[s], p.z) + l % 2 * 2 * p.residual;
            gated.activations[s] = inputs.gated[s];
            if (layer.looked_up) {
                look_up_gates<P>(p, g.states[s], slot, inputs.results[s], inputs.gated[s]);
            } else {
                auto* input = at<Activation>(g.states[s], layer.inputs + slot * p.activation_bytes);
                inputs.scales[s] = quantise<P, Range::both_signs>(input, x, p.residual);
                at<float>(g.states[s], layer.input_scales)[slot] = inputs.scales[s];
                inputs.activations[s] = input;
            }
            if (!last) add_vector(x, layer.residual_bias, p.residual);
        }
        if (l == 0 && p.skip_start) {
            Operands<P> start = inputs;
            for (int s = 0; s < g.n; ++s)
                start.results[s] = at<float>(g.states[s], p.skip_start_sum);
            add_product<P>(p.skip_start_matrix, start);
        }
        const Matrix* before = l > 0 ? p.layers[l - 1].skip : nullptr;
        if (before) add_product<P, Finish::sum>(before[0], skip[0]);
        if (!layer.looked_up) add_product<P, Finish::gate>(layer.current, inputs);
        if (before) add_product<P, Finish::sum>(before[1], skip[1]);
        if (!last) add_product<P, Finish::fine>(layer.residual, gated);
        for (int s = 0; s < g.n; ++s)
            skip[0].activations[s] = skip[1].activations[s] = gated.activations[s];
    }
    for (int i = 0; i < 2; ++i)
        add_product<P, Finish::sum>(p.layers[p.n_layers - 1].skip[i], skip[i]);
}

inline void rectify(float* v, int n) {
    for (int i = 0; i < n; i += kLanes) store(v + i, max(load(v + i), F{}));
}

// Skip sums → parameters of the distribution.
template <class P>
inline void output(Group& g) {
    using Activation = typename P::Activation;
    const Plan& p = *g.plan;
    Operands<P> o;
    o.n = g.n;
    for (int s = 0; s < g.n; ++s) {
        unsigned char* state = g.states[s];
        float *skip = at<float>(state, p.skip_start_sum), *head = at<float>(state, p.head);
        auto* activations = at<Activation>(state, p.head_activations);
        const auto* sums = at<typename P::Number>(state, p.skip_sum);
        for (int i = 0; i < p.skip; i += kLanes) {
            const F sum = P::total(load(sums + i)), start = load(skip + i);
            if constexpr (P::kScaled)
                store(skip + i, max(fma(sum, load(p.skip_scales + i), start), F{}));
            else
                store(skip + i, max(start + sum, F{}));
        }
        o.scales[s] = quantise<P, Range::positive>(activations, skip, p.skip);
        o.activations[s] = activations;
        if (p.output_condition) {
            interpolate(p, state, g.position, 1, p.n_layers * 2 * p.residual, p.skip, head);
            add_vector(head, p.hidden_bias, p.skip);
        } else {
            __builtin_memcpy(head, p.hidden_bias, p.skip * sizeof(float));
        }
        o.results[s] = head;
    }
    add_product<P>(p.hidden, o);
    for (int s = 0; s < g.n; ++s) {
        unsigned char* state = g.states[s];
        float* head = at<float>(state, p.head);
        auto* activations = at<Activation>(state, p.head_activations);
        rectify(head, p.skip);
        o.scales[s] = quantise<P, Range::positive>(activations, head, p.skip);
        o.results[s] = at<float>(state, p.logits);
        __builtin_memcpy(o.results[s], p.last_bias, p.parameters * sizeof(float));
    }
    add_product<P>(p.last, o);
}

// ---- Drawing samples ------------------------------------------------------------------------

// A number in [0, 1) that depends on nothing but its place (Philox 4×32-10, Salmon et al. 2011).
inline double uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t sample) {
    std::uint32_t c[4] = {std::uint32_t(sample), std::uint32_t(sample >> 32), std::uint32_t(stream),
                          std::uint32_t(stream >> 32)};
    std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t(0xD2511F53u) * c[0];
        const std::uint64_t b = std::uint64_t(0xCD9E8D57u) * c[2];
        const std::uint32_t next[4] = {std::uint32_t(b >> 32) ^ c[1] ^ k0, std::uint32_t(b),
                                       std::uint32_t(a >> 32) ^ c[3] ^ k1, std::uint32_t(a)};
        for (int i = 0; i < 4; ++i) c[i] = next[i];
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return double((std::uint64_t(c[0]) << 21) ^ (c[1] >> 11)) * 0x1p-53;
}

// A level, by inverting the distribution's cumulative sum. It runs through the levels in columns of
// every sixteenth, whose sums need no shuffles.
inline int draw_level(float* logits, int n, int padded, double u, float temperature) {
    F most = load(logits);
    // Padding must not win, nor add to the sum.
    for (int i = n; i < padded; ++i) logits[i] = -3e38f;
    for (int i = kLanes; i < padded; i += kLanes) most = max(most, load(logits + i));
    const F peak = largest(most), inverse = splat(1.0f / temperature);
    F sums[kPad / kLanes] = {};
    for (int i = 0; i < padded; i += kPad) {
        TIMBREL_UNROLL
        for (int j = 0; j < kPad / kLanes; ++j) {
            float* place = logits + i + j * kLanes;
            const F e = exponential((load(place) - peak) * inverse);
            store(place, e);
            sums[j] += e;
        }
    }
    alignas(kAlign) float below[kPad];
    float total = 0;
    for (int j = 0; j < kPad / kLanes; ++j) store(below + j * kLanes, sums[j]);
    for (int i = 0; i < kPad; ++i) {
        const float column = below[i];
        below[i] = total;
        total += column;
    }
    const float target = float(u) * total;
    int column = 0;
    for (int i = 1; i < kPad; ++i) column += below[i] <= target;
    float cumulative = below[column];
    int level = column;
    for (; level + kPad < padded; level += kPad) {
        cumulative += logits[level];
        if (cumulative > target) break;
    }
    return level < n ? level : n - 1;
}

// The quantile function of the standard normal distribution to 1e-9 (Acklam).
inline double normal_quantile(double u) {
    constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                            1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
    constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                            6.680131188771972e+01, -1.328068155288572e+01};
    constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                            -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
    constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                            3.754408661907416e+00};
    u = u < 5e-7 ? 5e-7 : u > 1 - 5e-7 ? 1 - 5e-7 : u;
    const auto tail = [&](double p) {
        const double q = __builtin_sqrt(-2 * __builtin_log(p));
        return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
               ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    };
    if (u < 0.02425) return tail(u);
    if (u > 1 - 0.02425) return -tail(1 - u);
    const double q = u - 0.5, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

constexpr float kMinLogScale = -9.0f;

inline float scale_of(float log_scale) {
    return __builtin_expf(log_scale < kMinLogScale ? kMinLogScale : log_scale);
}

inline float bounded(float v) { return v < -1 ? -1 : v > 1 ? 1 : v; }

inline float draw_normal(const float* parameters, double u, float temperature) {
    const double deviate = normal_quantile(u);
    return bounded(parameters[0] + temperature * scale_of(parameters[1]) * float(deviate));
}

inline float draw_logistic(const float* parameters, int n, double u, float temperature) {
    double most = parameters[0], total = 0;
    for (int i = 1; i < n; ++i) most = parameters[i] > most ? parameters[i] : most;
    for (int i = 0; i < n; ++i) total += __builtin_exp(parameters[i] - most);
    const double target = u * total;
    double below = 0, width = 0;
    int which = 0;
    for (;; ++which) {
        width = __builtin_exp(parameters[which] - most);
        if (which == n - 1 || below + width > target) break;
        below += width;
    }
    // What is left of the draw within the component is uniform again.
    double rest = (target - below) / width;
    rest = rest < 1e-5 ? 1e-5 : rest > 1 - 1e-5 ? 1 - 1e-5 : rest;
    const float logistic = float(__builtin_log(rest / (1 - rest)));
    return bounded(parameters[n + which] +
                   temperature * scale_of(parameters[2 * n + which]) * logistic);
}

// Takes or draws the sample, gives its amplitude, and remembers it as the next one's input.
inline void finish_sample(Group& g, const Strip& strip, int s, std::size_t i) {
    const Plan& p = *g.plan;
    float* logits = at<float>(g.states[s], p.logits);
    float* history = at<float>(g.states[s], p.history);
    if (strip.parameters[s])
        __builtin_memcpy(strip.parameters[s] + i * p.n_parameters, logits,
                         p.n_parameters * sizeof(float));
    float sample;
    if (strip.forced[s]) {
        sample = strip.forced[s][i];
    } else {
        const double u = uniform(g.seed, g.streams[s], g.position);
        if (p.output == 0)
            sample = float(draw_level(logits, p.n_parameters, p.parameters, u, g.temperature));
        else if (p.output == 1)
            sample = draw_normal(logits, u, g.temperature);
        else
            sample = draw_logistic(logits, p.n_parameters / 3, u, g.temperature);
    }
    if (strip.audio[s]) strip.audio[s][i] = p.output == 0 ? p.decode[int(sample)] : sample;
    for (int j = 0; j + 1 < p.input_taps; ++j) history[j] = history[j + 1];
    const bool by_value = p.input_taps > 0 && p.output == 0;
    history[p.input_taps ? p.input_taps - 1 : 0] = by_value ? p.input_values[int(sample)] : sample;
}

template <class P>
void sample(Group& g, const Strip& strip) {
    const Plan& p = *g.plan;
    for (std::size_t i = 0; i < strip.n_samples; ++i) {
        if (g.position % p.hop == 0)
            while (g.conditioned < g.position / p.hop + p.n_around) condition_frames(g);
        for (int s = 0; s < g.n; ++s) {
            start_sample(p, g.states[s]);
            __builtin_memcpy(at<float>(g.states[s], p.skip_start_sum), p.skip_bias,
                             p.skip * sizeof(float));
            __builtin_memcpy(at<std::int32_t>(g.states[s], p.skip_sum), p.skip_offsets,
                             p.skip * sizeof(std::int32_t));
        }
        layers<P>(g);
        output<P>(g);
        for (int s = 0; s < g.n; ++s) finish_sample(g, strip, s, i);
        ++g.position;
    }
}

// ---- The floor ------------------------------------------------------------------------------

inline I loaded(const unsigned char* p, std::size_t bytes, I sum) {
    I sums[8] = {};
    std::size_t i = 0;
    for (; i + sizeof sums <= bytes; i += sizeof sums) {
        TIMBREL_UNROLL
        for (int j = 0; j < 8; ++j) sums[j] ^= load_bits(p + i + j * sizeof(I));
    }
    for (; i + sizeof(I) <= bytes; i += sizeof(I)) sum ^= load_bits(p + i);
    TIMBREL_UNROLL
    for (int j = 0; j < 8; ++j) sum ^= sums[j];
    return sum;
}

inline I loaded(const Matrix& m, I sum) {
    return loaded(static_cast<const unsigned char*>(m.weights), m.bytes, sum);
}

inline std::uint64_t lanes_of(I sum) {
    std::uint64_t all = 0;
    for (int i = 0; i < kLanes; ++i) all = all * 31 + std::uint32_t(sum[i]);
    return all;
}

std::uint64_t load_all(const unsigned char* p, std::size_t bytes) {
    return lanes_of(loaded(p, bytes, I{}));
}

std::uint64_t stream_weights(const Plan& p, std::size_t n_samples) {
    I sum{};
    for (std::size_t t = 0; t < n_samples; ++t) {
        for (int l = 0; l < p.n_layers; ++l) {
            if ((t + l) % p.layers[l].block) continue;
            for (int tap = 0; tap < p.n_older_taps; ++tap) sum = loaded(p.layers[l].taps[tap], sum);
        }
        sum = loaded(p.stretch, p.stretch_bytes, sum);
        // As many samples as there are must be as many passes.
        asm volatile("" ::: "memory");
        sum += 1;
    }
    return lanes_of(sum);
}

constexpr Kernels make_kernels(const char* name) {
    return {name,           kLanes,  kRegisters, {sample<Float32>, sample<Int16>, sample<Int8>},
            stream_weights, load_all};
}
