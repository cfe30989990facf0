// The kernels, written once for all instruction sets. The including file defines, in its own
// unnamed namespace, before this is included there:
//
//   kLanes, kRegisters           float32 lanes of a vector; vector registers
//   F, I                         vectors of float and of int32, as the compilers' extensions
//   fma(a, b, c)                 a · b + c
//   dot_u7(sum, a, w)            adds to each lane Σ of 4 products of bytes, a in 0…127, w signed
//   dot_i16(sum, a, w)           adds to each lane Σ of 2 products of 16-bit numbers
//   horizontal_sum(v)
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
inline I load(const std::int32_t* p) {
    I v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
inline void store(float* p, F v) { __builtin_memcpy(p, &v, sizeof v); }
inline void store(std::int32_t* p, I v) { __builtin_memcpy(p, &v, sizeof v); }
inline F splat(float x) { return x - F{}; }
inline I splat(std::int32_t x) { return x - I{}; }
inline F to_float(I v) { return __builtin_convertvector(v, F); }
inline F max(F a, F b) { return a > b ? a : b; }
inline F min(F a, F b) { return a < b ? a : b; }
inline F clamp(F v, float low, float high) { return max(min(v, splat(high)), splat(low)); }
inline F absolute(F v) { return (F)((I)v & 0x7fffffff); }

// Rounds |v| < 2^22 to the nearest integer, half to even.
inline I round_to_int(F v) {
    const F magic = splat(12582912.0f);
    return (I)(v + magic) - (I)magic;
}

inline float horizontal_max(F v) {
    alignas(kAlign) float lanes[kLanes];
    store(lanes, v);
    for (int width = kLanes / 2; width; width /= 2)
        for (int i = 0; i < width; ++i)
            lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
    return lanes[0];
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

// tanh(a) · σ(b), with one division.
inline F gated(F a, F b) {
    F an, ad, bn, bd;
    tanh_parts(a, an, ad);
    tanh_parts(b * splat(0.5f), bn, bd);
    return (an * splat(0.5f)) * (bd + bn) / (ad * bd);
}

// Where 8-bit weights meet activations of 14 bits (wide) or of 7: nothing comes after the head
// that would smooth its errors, and it is small.
constexpr bool kWideInputs = false, kWideGates = false, kWideHead = true;

// ---- Precisions: how activations are kept and multiplied ------------------------------------

struct Float32 {
    using Weight = float;
    using Activation = float;
    using Sum = F;
    using SkipSum = float;
    static constexpr int kGroup = 1, kPlanes = 1;
    static constexpr bool kScaled = false;

    template <int TI, int S, bool kWide>
    static inline void product(const float* w, int stride, int columns, const float* const* a,
                               F (&sum)[1][S][TI]) {
        for (int k = 0; k < columns; ++k, w += stride * kLanes) {
            F tile[TI];
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) tile[i] = load(w + i * kLanes);
            TIMBREL_UNROLL
            for (int s = 0; s < S; ++s) {
                const F x = splat(a[s][k]);
                TIMBREL_UNROLL
                for (int i = 0; i < TI; ++i) sum[0][s][i] = fma(tile[i], x, sum[0][s][i]);
            }
        }
    }
    template <bool kWide>
    static inline F total(const F (&sums)[1], I) {
        return sums[0];
    }
    template <bool kWide>
    static inline void keep(float* to, int, int i, F v) {
        store(to + i, v);
    }
    static constexpr float kWideScale = 1.0f, kNarrowScale = 1.0f;
};

struct Int16 {
    using Weight = std::int16_t;
    using Activation = std::int16_t;
    using Sum = I;
    using SkipSum = std::int32_t;
    static constexpr int kGroup = 2, kPlanes = 1;
    static constexpr bool kScaled = true;

    template <int TI, int S, bool kWide>
    static inline void product(const std::int16_t* w, int stride, int columns,
                               const std::int16_t* const* a, I (&sum)[1][S][TI]) {
        for (int k = 0; k < columns; k += 2, w += stride * kLanes * 2) {
            I tile[TI];
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) __builtin_memcpy(&tile[i], w + i * kLanes * 2, sizeof(I));
            TIMBREL_UNROLL
            for (int s = 0; s < S; ++s) {
                std::int32_t pair;
                __builtin_memcpy(&pair, a[s] + k, sizeof pair);
                const I x = splat(pair);
                TIMBREL_UNROLL
                for (int i = 0; i < TI; ++i) sum[0][s][i] = dot_i16(sum[0][s][i], x, tile[i]);
            }
        }
    }
    template <bool kWide>
    static inline F total(const I (&sums)[1], I) {
        return to_float(sums[0]);
    }
    template <bool kWide>
    static inline void keep(std::int16_t* to, int, int i, F v) {
        typedef std::int16_t Short __attribute__((vector_size(kLanes * 2)));
        const Short q = __builtin_convertvector(round_to_int(v), Short);
        __builtin_memcpy(to + i, &q, sizeof q);
    }
    static constexpr float kWideScale = kInt16Max, kNarrowScale = kInt16Max;
};

struct Int8 {
    using Weight = std::int8_t;
    using Activation = std::uint8_t;
    using Sum = I;
    using SkipSum = std::int32_t;
    static constexpr int kGroup = 4, kPlanes = 2;
    static constexpr bool kScaled = true;

    template <int TI, int S, bool kWide>
    static inline void product(const std::int8_t* w, int stride, int columns,
                               const std::uint8_t* const* a, I (&sum)[2][S][TI]) {
        for (int k = 0; k < columns; k += 4, w += stride * kLanes * 4) {
            I tile[TI];
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i) __builtin_memcpy(&tile[i], w + i * kLanes * 4, sizeof(I));
            TIMBREL_UNROLL
            for (int s = 0; s < S; ++s) {
                std::int32_t four;
                __builtin_memcpy(&four, a[s] + k, sizeof four);
                const I high = splat(four);
                TIMBREL_UNROLL
                for (int i = 0; i < TI; ++i) sum[0][s][i] = dot_u7(sum[0][s][i], high, tile[i]);
                if constexpr (kWide) {
                    __builtin_memcpy(&four, a[s] + columns + k, sizeof four);
                    const I low = splat(four);
                    TIMBREL_UNROLL
                    for (int i = 0; i < TI; ++i) sum[1][s][i] = dot_u7(sum[1][s][i], low, tile[i]);
                }
            }
        }
    }
    template <bool kWide>
    static inline F total(const I (&sums)[2], I offset) {
        // Without the lower plane, the zero is that of seven bits.
        if constexpr (!kWide) return to_float(sums[0] - (offset >> kPlaneBits));
        return to_float((sums[0] << kPlaneBits) + sums[1] - offset);
    }
    template <bool kWide>
    static inline void keep(std::uint8_t* to, int n, int i, F v) {
        typedef std::uint8_t Byte __attribute__((vector_size(kLanes)));
        const I q = round_to_int(v) + (kWide ? kWideZero : kNarrowZero);
        const Byte high = __builtin_convertvector(kWide ? q >> kPlaneBits : q, Byte);
        __builtin_memcpy(to + i, &high, sizeof high);
        if constexpr (kWide) {
            const Byte low = __builtin_convertvector(q & kPlaneMax, Byte);
            __builtin_memcpy(to + n + i, &low, sizeof low);
        }
    }
    static constexpr float kWideScale = kWideMax, kNarrowScale = kNarrowMax;
};

// ---- Products -------------------------------------------------------------------------------

template <class P>
struct Operands {
    int n;
    const typename P::Activation* activations[kMaxLockstep];
    float scales[kMaxLockstep];
    float* results[kMaxLockstep];  // of rows; the product is added to them
};

template <class P, bool kWide, int TI, int S>
inline void add_tiles(const Matrix& m, const typename P::Weight* w, int stride, int row,
                      const Operands<P>& o, int first) {
    typename P::Sum sums[P::kPlanes][S][TI] = {};
    P::template product<TI, S, kWide>(w, stride, m.columns, o.activations + first, sums);
    TIMBREL_UNROLL
    for (int i = 0; i < TI; ++i) {
        const int at = row + i * kLanes;
        F scale{};
        I offset{};
        if constexpr (P::kScaled) scale = load(m.scales + at);
        if constexpr (P::kPlanes == 2) offset = load(m.offsets + at);
        TIMBREL_UNROLL
        for (int s = 0; s < S; ++s) {
            typename P::Sum parts[P::kPlanes];
            for (int p = 0; p < P::kPlanes; ++p) parts[p] = sums[p][s][i];
            float* result = o.results[first + s] + at;
            const F sum = P::template total<kWide>(parts, offset);
            if constexpr (P::kScaled)
                store(result, fma(sum, scale * splat(o.scales[first + s]), load(result)));
            else
                store(result, load(result) + sum);
        }
    }
}

template <class P, bool kWide, int S>
inline void add_block(const Matrix& m, const typename P::Weight* w, int tiles, int row,
                      const Operands<P>& o, int first) {
    // As many sums as fit into two thirds of the registers.
    constexpr int fit = kRegisters * 2 / 3 / (S * (kWide ? P::kPlanes : 1));
    constexpr int TI = fit >= 4 ? 4 : fit >= 2 ? 2 : 1;
    constexpr int step = kLanes * P::kGroup;
    int i = 0;
    for (; i + TI <= tiles; i += TI)
        add_tiles<P, kWide, TI, S>(m, w + i * step, tiles, row + i * kLanes, o, first);
    for (; i < tiles; ++i)
        add_tiles<P, kWide, 1, S>(m, w + i * step, tiles, row + i * kLanes, o, first);
}

// results += matrix · activations, for the tiles from `begin` to `end`, which bound blocks.
template <class P, bool kWide>
inline void add_product(const Matrix& m, const Operands<P>& o, int begin, int end) {
    const auto* w =
        static_cast<const typename P::Weight*>(m.weights) + std::size_t(begin) * kLanes * m.columns;
    for (int tile = begin; tile < end; tile += kTilesInBlock) {
        const int left = m.tiles - tile;
        const int tiles = left < kTilesInBlock ? left : kTilesInBlock;
        int s = 0;
        for (; s + 4 <= o.n; s += 4) add_block<P, kWide, 4>(m, w, tiles, tile * kLanes, o, s);
        for (; s + 2 <= o.n; s += 2) add_block<P, kWide, 2>(m, w, tiles, tile * kLanes, o, s);
        for (; s < o.n; ++s) add_block<P, kWide, 1>(m, w, tiles, tile * kLanes, o, s);
        w += std::size_t(tiles) * kLanes * m.columns;
    }
}

template <class P, bool kWide>
inline void add_product(const Matrix& m, const Operands<P>& o) {
    add_product<P, kWide>(m, o, 0, m.tiles);
}

// ---- The network ----------------------------------------------------------------------------

template <class T>
inline T* at(unsigned char* state, std::size_t offset) {
    return reinterpret_cast<T*>(state + offset);
}

// Rounds floats to activations with a scale of their own; gives the number that undoes it.
template <class P, bool kWide>
inline float quantise(typename P::Activation* to, const float* from, int n) {
    if constexpr (!P::kScaled) {
        for (int i = 0; i < n; i += kLanes) P::template keep<kWide>(to, n, i, load(from + i));
        return 1.0f;
    } else {
        constexpr float most_kept = kWide ? P::kWideScale : P::kNarrowScale;
        F most = absolute(load(from));
        for (int i = kLanes; i < n; i += kLanes) most = max(most, absolute(load(from + i)));
        const float peak = horizontal_max(most);
        // Silence, and what is so small that its inverse overflows.
        const float up = peak > 1e-30f ? most_kept / peak : 0.0f;
        for (int i = 0; i < n; i += kLanes)
            P::template keep<kWide>(to, n, i, load(from + i) * splat(up));
        return peak > 1e-30f ? peak * (1.0f / most_kept) : 0.0f;
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
        add_product<Float32, true>(p.condition, o);
    }
    g.conditioned = stop;
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
    for (int sample = 0; sample < n_samples; ++sample, to += n_rows) {
        const float* weights = p.interpolation + phase + sample;
        for (int i = 0; i < n_rows; i += kLanes) {
            F sum{};
            for (int j = 0; j < p.n_around; ++j)
                sum = fma(load(frames[j] + i), splat(weights[j * p.hop]), sum);
            store(to + i, sum);
        }
    }
}

// What the next `block` samples of a layer get from the conditioning and from the older taps.
template <class P>
inline void prepare_gates(Group& g, const Layer& layer, int index) {
    const Plan& p = *g.plan;
    const int rows = 2 * p.residual;
    for (int s = 0; s < g.n; ++s) {
        float* gates = at<float>(g.states[s], layer.gates);
        if (p.layer_condition)
            interpolate(p, g.states[s], g.position, layer.block, index * rows, rows, gates);
        else
            for (int i = 0; i < layer.block; ++i)
                __builtin_memcpy(gates + i * rows, p.condition_bias + index * rows,
                                 rows * sizeof(float));
    }
    for (int tap = 0; tap < p.n_older_taps; ++tap) {
        // The ring holds whole dilations and these whole blocks, so a block never wraps around.
        int slot = g.slots[index] + tap * layer.dilation;
        if (slot >= layer.ring) slot -= layer.ring;
        // The samples of a stream's block share a load of the weights.
        for (int s = 0; s < g.n; ++s) {
            Operands<P> o;
            o.n = layer.block;
            for (int i = 0; i < layer.block; ++i) {
                o.activations[i] = at<typename P::Activation>(
                    g.states[s], layer.inputs + (slot + i) * p.activation_bytes);
                o.scales[i] = at<float>(g.states[s], layer.input_scales)[slot + i];
                o.results[i] = at<float>(g.states[s], layer.gates) + i * rows;
            }
            add_product<P, kWideInputs>(layer.taps[tap], o);
        }
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

template <class P>
inline void gate(const Plan& p, unsigned char* state, const Layer& layer, int phase) {
    const float* a = at<float>(state, layer.gates) + phase * 2 * p.residual;
    const float* b = a + p.residual;
    auto* z = at<typename P::Activation>(state, p.z);
    const float scale = kWideGates ? P::kWideScale : P::kNarrowScale;
    for (int i = 0; i < p.residual; i += kLanes)
        P::template keep<kWideGates>(z, p.residual, i,
                                     gated(load(a + i), load(b + i)) * splat(scale));
}

// All layers for one sample of all streams; their skip sums are left in the states.
template <class P>
inline void layers(Group& g) {
    using Activation = typename P::Activation;
    const Plan& p = *g.plan;
    for (int l = 0; l < p.n_layers; ++l) {
        const Layer& layer = p.layers[l];
        const int slot = g.slots[l], phase = slot % layer.block;
        if (phase == 0) prepare_gates<P>(g, layer, l);
        g.slots[l] = slot + 1 == layer.ring ? 0 : slot + 1;
        Operands<P> o;
        o.n = g.n;
        for (int s = 0; s < g.n; ++s) {
            auto* input = reinterpret_cast<Activation*>(g.states[s] + layer.inputs +
                                                        slot * p.activation_bytes);
            o.scales[s] = quantise<P, kWideInputs>(input, at<float>(g.states[s], p.x), p.residual);
            at<float>(g.states[s], layer.input_scales)[slot] = o.scales[s];
            o.activations[s] = input;
            o.results[s] = at<float>(g.states[s], layer.gates) + phase * 2 * p.residual;
        }
        if (l == 0 && p.skip_start) {
            Operands<P> start = o;
            for (int s = 0; s < g.n; ++s) start.results[s] = at<float>(g.states[s], p.skip_sum);
            add_product<P, kWideInputs>(p.skip_start_matrix, start);
        }
        add_product<P, kWideInputs>(layer.current, o);
        for (int s = 0; s < g.n; ++s) {
            gate<P>(p, g.states[s], layer, phase);
            o.activations[s] = at<Activation>(g.states[s], p.z);
            o.scales[s] = 1.0f / (kWideGates ? P::kWideScale : P::kNarrowScale);
            o.results[s] = at<float>(g.states[s], p.x);
        }
        if (l + 1 < p.n_layers) {
            for (int s = 0; s < g.n; ++s) add_vector(o.results[s], layer.residual_bias, p.residual);
            add_product<P, kWideGates>(layer.residual, o);
        }
        for (int s = 0; s < g.n; ++s) o.results[s] = at<float>(g.states[s], p.skip_sum);
        add_product<P, kWideGates>(layer.skip, o);
    }
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
        float *skip = at<float>(state, p.skip_sum), *head = at<float>(state, p.head);
        auto* activations = at<Activation>(state, p.head_activations);
        rectify(skip, p.skip);
        o.scales[s] = quantise<P, kWideHead>(activations, skip, p.skip);
        o.activations[s] = activations;
        if (p.output_condition) {
            interpolate(p, state, g.position, 1, p.n_layers * 2 * p.residual, p.skip, head);
            add_vector(head, p.hidden_bias, p.skip);
        } else {
            __builtin_memcpy(head, p.hidden_bias, p.skip * sizeof(float));
        }
        o.results[s] = head;
    }
    add_product<P, kWideHead>(p.hidden, o);
    for (int s = 0; s < g.n; ++s) {
        unsigned char* state = g.states[s];
        float* head = at<float>(state, p.head);
        auto* activations = at<Activation>(state, p.head_activations);
        rectify(head, p.skip);
        o.scales[s] = quantise<P, kWideHead>(activations, head, p.skip);
        o.results[s] = at<float>(state, p.logits);
        __builtin_memcpy(o.results[s], p.last_bias, p.parameters * sizeof(float));
    }
    add_product<P, kWideHead>(p.last, o);
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

// A level, by inverting the distribution's cumulative sum.
inline int draw_level(float* logits, int n, int padded, double u, float temperature) {
    constexpr int kRun = 16;
    F most = load(logits);
    // Padding must not win, nor add to the sum.
    for (int i = n; i < padded; ++i) logits[i] = -3e38f;
    for (int i = kLanes; i < padded; i += kLanes) most = max(most, load(logits + i));
    const F peak = splat(horizontal_max(most)), inverse = splat(1.0f / temperature);
    float sums[4096 / kRun];
    float total = 0;
    for (int run = 0; run < padded / kRun; ++run) {
        F sum{};
        for (int i = run * kRun; i < (run + 1) * kRun; i += kLanes) {
            F e = exponential((load(logits + i) - peak) * inverse);
            store(logits + i, e);
            sum += e;
        }
        sums[run] = total;
        total += horizontal_sum(sum);
    }
    const float target = float(u) * total;
    int run = padded / kRun - 1;
    while (run > 0 && sums[run] > target) --run;
    float cumulative = sums[run];
    int level = run * kRun;
    for (; level < run * kRun + kRun - 1; ++level) {
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
            __builtin_memcpy(at<float>(g.states[s], p.skip_sum), p.skip_bias,
                             p.skip * sizeof(float));
        }
        layers<P>(g);
        output<P>(g);
        for (int s = 0; s < g.n; ++s) finish_sample(g, strip, s, i);
        ++g.position;
    }
}

// ---- The floor ------------------------------------------------------------------------------

inline I loaded(const Matrix& m, I sum) {
    const auto* p = static_cast<const unsigned char*>(m.weights);
    I sums[8] = {};
    std::size_t i = 0;
    for (; i + sizeof sums <= m.bytes; i += sizeof sums)
        for (int j = 0; j < 8; ++j) {
            I v;
            __builtin_memcpy(&v, p + i + j * sizeof(I), sizeof v);
            sums[j] ^= v;
        }
    for (; i + sizeof(I) <= m.bytes; i += sizeof(I)) {
        I v;
        __builtin_memcpy(&v, p + i, sizeof v);
        sums[0] ^= v;
    }
    for (int j = 0; j < 8; ++j) sum ^= sums[j];
    return sum;
}

std::uint64_t stream_weights(const Plan& p, std::size_t n_samples) {
    I sum{};
    for (std::size_t t = 0; t < n_samples; ++t) {
        for (int l = 0; l < p.n_layers; ++l) {
            const Layer& layer = p.layers[l];
            if (t % layer.block == 0)
                for (int tap = 0; tap < p.n_older_taps; ++tap) sum = loaded(layer.taps[tap], sum);
            if (l == 0 && p.skip_start) sum = loaded(p.skip_start_matrix, sum);
            sum = loaded(layer.current, sum);
            if (l + 1 < p.n_layers) sum = loaded(layer.residual, sum);
            sum = loaded(layer.skip, sum);
        }
        sum = loaded(p.hidden, sum);
        sum = loaded(p.last, sum);
        // As many samples as there are must be as many passes.
        asm volatile("" ::: "memory");
        sum += 1;
    }
    std::uint64_t all = 0;
    for (int i = 0; i < kLanes; ++i) all = all * 31 + std::uint32_t(sum[i]);
    return all;
}

constexpr Kernels make_kernels(const char* name) {
    return {name, kLanes, {sample<Float32>, sample<Int16>, sample<Int8>}, stream_weights};
}
