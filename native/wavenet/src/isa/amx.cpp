// Kernels for processors with AMX: those of AVX-512, and products of 8-bit integers and of bfloat16
// by whole tiles, a row for each stream. A tile's row of 64 bytes of weights is what one
// instruction of AVX-512 multiplies, so the sums of integers are the same. Where tiles fit, gates
// of 8-bit products are those of half.inl, for one stream, too.
#include <immintrin.h>

#include "../plan.hpp"
#include "processor/tile_config.hpp"

namespace timbrel {
namespace {

#include "vector512.inl"

#include "../steps.inl"

#include "half.inl"

struct BFloat16 {
    using Weight = std::uint16_t;
    using Activation = std::uint16_t;
    using Sum = F;
    using Number = float;
    static constexpr int kGroup = 2;
    static constexpr bool kScaled = false, kHasZero = false, kCoarseGates = true;
    static constexpr bool kHasRests = false;
    using Frame = Half;
    using Gate = float;
    using GateFrame = Frame;
    template <int S>
    static constexpr int kAhead = 0;

    template <int TI, int S>
    static inline void multiply(const std::uint16_t* w, const std::uint16_t* const* a, int k,
                                F (&sum)[S][TI]) {
        __m512bh tile[TI];
        TIMBREL_UNROLL
        for (int i = 0; i < TI; ++i) tile[i] = (__m512bh)load_bits(w + i * kLanes * kGroup);
        TIMBREL_UNROLL
        for (int s = 0; s < S; ++s) {
            const auto x = (__m512bh)splat_bits(a[s] + k);
            TIMBREL_UNROLL
            for (int i = 0; i < TI; ++i)
                sum[s][i] = (F)_mm512_dpbf16_ps((__m512)sum[s][i], x, tile[i]);
        }
    }
    static inline F total(F sum) { return sum; }
    template <Range, int n>
    static inline void keep(std::uint16_t* to, const F (&v)[n]) {
        TIMBREL_UNROLL
        for (int i = 0; i < n; ++i) {
            const __m256bh halves = _mm512_cvtneps_pbh((__m512)v[i]);
            __builtin_memcpy(to + i * kLanes, &halves, sizeof halves);
        }
    }
    static constexpr float most(Range) { return 1.0f; }
};

// The largest lanes of each of eight vectors, side by side.
inline F largest_of_each(const F (&v)[8]) {
    F halves[4], quarters[2];
    TIMBREL_UNROLL
    for (int i = 0; i < 4; ++i)
        halves[i] = max((F)_mm512_shuffle_f32x4((__m512)v[i], (__m512)v[i + 4], 0x44),
                        (F)_mm512_shuffle_f32x4((__m512)v[i], (__m512)v[i + 4], 0xee));
    TIMBREL_UNROLL
    for (int i = 0; i < 2; ++i)
        quarters[i] = max((F)_mm512_shuffle_f32x4((__m512)halves[i], (__m512)halves[i + 2], 0x88),
                          (F)_mm512_shuffle_f32x4((__m512)halves[i], (__m512)halves[i + 2], 0xdd));
    const F pairs = max((F)_mm512_unpacklo_ps((__m512)quarters[0], (__m512)quarters[1]),
                        (F)_mm512_unpackhi_ps((__m512)quarters[0], (__m512)quarters[1]));
    const F all = max(pairs, (F)_mm512_permute_ps((__m512)pairs, 0x4e));
    return (F)_mm512_permutexvar_ps(
        _mm512_setr_epi32(0, 1, 8, 9, 4, 5, 12, 13, 0, 0, 0, 0, 0, 0, 0, 0), (__m512)all);
}

// Tiles 0 to 3 are sums and 4 activations, with a row for each stream; 7 are sums and 5 activations
// of two rows for each, which take a fifth longer; and 6 weights.
template <int tile>
inline void zero_tile() {
    asm volatile("tilezero %%tmm%c0" : : "i"(tile));
}
template <int tile>
inline void load_tile(const void* from, std::size_t distance) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2"
                 :
                 : "r"(from), "r"(distance), "i"(tile)
                 : "memory");
}
template <int tile>
inline void store_tile(void* to, std::size_t distance) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(distance), "i"(tile) : "memory");
}
template <class P, int sums, int activations, int weights>
inline void multiply_tiles() {
    if constexpr (P::kScaled)
        asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0"
                     :
                     : "i"(sums), "i"(activations), "i"(weights));
    else
        asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0"
                     :
                     : "i"(sums), "i"(activations), "i"(weights));
}

// Kept: how activations of both signs are kept. Tiles multiply signed bytes, which need no zero.
template <class P, class Kept>
struct TileProducts {
    using Activation = typename P::Activation;
    using Sum = typename P::Sum;
    using Gate = typename P::GateFrame;
    static constexpr bool kThere = true;

    struct Session {
        explicit Session(int n_streams) {
            TileConfig config;
            for (int i = 0; i < 8; ++i) {
                config.columns[i] = kTileRow;
                const bool of_two = i == 5 || i == 7;
                config.rows[i] = std::uint8_t(i == 6 ? kTileRows : n_streams * (of_two ? 2 : 1));
            }
            config.load();
        }
        ~Session() { _tile_release(); }
    };

    // Rows at equal distances.
    struct Rows {
        unsigned char* first;
        std::size_t distance;
    };

    static inline int steps(const Matrix& m) { return m.columns * sizeof(Activation) / kTileRow; }

    // Of a pair of tiles. A step is one of each, side by side.
    static inline const unsigned char* weights(const Matrix& m, int tile) {
        return m.by_tiles + std::size_t(tile) * steps(m) * kTileBytes;
    }

    static inline Rows activations(const Activation* first, int columns) {
        return {reinterpret_cast<unsigned char*>(const_cast<Activation*>(first)),
                columns * sizeof(Activation)};
    }

    // Products of pairs of tiles, one pair after the other, in tiles 0 and 1 or 2 and 3. A pair's
    // sums are stored when the next is being multiplied: a load that follows a store which waits
    // for its sums may wait with it.
    class Pairs {
      public:
        // `multiply` is given the number of the pair.
        template <class Multiply>
        inline void next(Rows to, const Multiply& multiply) {
            odd_ = !odd_;
            if (odd_) {
                multiply(Numbers<1>());
                if (to_.first) store(Numbers<0>());
            } else {
                multiply(Numbers<0>());
                if (to_.first) store(Numbers<1>());
            }
            to_ = to;
        }
        inline void flush() {
            if (!to_.first) return;
            if (odd_)
                store(Numbers<1>());
            else
                store(Numbers<0>());
            to_.first = nullptr;
        }

      private:
        template <int pair>
        inline void store(Numbers<pair>) {
            store_tiles<2 * pair, 2>(to_.first, to_.distance);
        }

        Rows to_ = {};
        bool odd_ = false;
    };

    // Of tiles of rows side by side.
    template <int tile, int n>
    static inline void store_tiles(unsigned char* to, std::size_t distance) {
        store_tile<tile>(to, distance);
        if constexpr (n > 1) store_tiles<tile + 1, n - 1>(to + kTileRow, distance);
    }

    template <int tile, int n>
    static inline void zero_tiles() {
        zero_tile<tile>();
        if constexpr (n > 1) zero_tiles<tile + 1, n - 1>();
    }

    // Adds the products of n tiles of rows side by side; gives the weights behind them.
    template <int sums, int n>
    static inline const unsigned char* add_tiles(const unsigned char* w, int n_steps, Rows a) {
        for (int k = 0; k < n_steps; ++k, a.first += kTileRow) {
            load_tile<4>(a.first, a.distance);
            w = add_step<sums, n>(w);
        }
        return w;
    }
    template <int sums, int n>
    static inline const unsigned char* add_step(const unsigned char* w) {
        load_tile<6>(w, kTileRow);
        multiply_tiles<P, sums, 4, 6>();
        if constexpr (n > 1) return add_step<sums + 1, n - 1>(w + kTileBytes);
        return w + kTileBytes;
    }

    // sums = matrix · activations, of two rows for each stream.
    static inline void multiply_twice(const Matrix& m, Rows a, unsigned char* sums) {
        const std::size_t distance = std::size_t(m.tiles) * kTileRow;
        for (int tile = 0; tile < m.tiles; ++tile) {
            const unsigned char* w = weights(m, tile / 2 * 2) + tile % 2 * kTileBytes;
            for (int k = 0; k < steps(m); ++k, w += 2 * kTileBytes) {
                if (tile == 0 || steps(m) > 1) load_tile<5>(a.first + k * kTileRow, a.distance);
                load_tile<6>(w, kTileRow);
                if (k == 0) {
                    if (tile) store_tile<7>(sums + (tile - 1) * kTileRow, distance);
                    zero_tile<7>();
                }
                multiply_tiles<P, 7, 5, 6>();
            }
        }
        store_tile<7>(sums + (m.tiles - 1) * kTileRow, distance);
    }

    // sums = matrix · activations, those of a stream side by side.
    static inline void multiply_all(const Matrix& m, Rows a, unsigned char* sums) {
        Pairs pairs;
        for (int tile = 0; tile < m.tiles; tile += 2)
            pairs.next({sums + tile * kTileRow, std::size_t(m.tiles) * kTileRow},
                       [&]<int pair>(Numbers<pair>) {
                           zero_tiles<2 * pair, 2>();
                           add_tiles<2 * pair, 2>(weights(m, tile), steps(m), a);
                       });
        pairs.flush();
    }

    // What was before, and a tile's sums for one stream, of the rows from `row` on.
    static inline F added(F before, const unsigned char* sums, const Matrix& m, int row, F unit) {
        Sum sum;
        __builtin_memcpy(&sum, sums, sizeof sum);
        if constexpr (P::kScaled)
            return fma(P::total(sum), load(m.scales + row) * unit, before);
        else
            return before + P::total(sum);
    }

    static void add_product(const Matrix& m, const Operands<P>& o) {
        multiply_all(m, activations(o.activations[0], m.columns), o.tile_sums);
        const unsigned char* sums = o.tile_sums;
        for (int s = 0; s < o.n; ++s) {
            const F unit = splat(o.scales[s]);
            for (int i = 0; i < m.tiles * kLanes; i += kLanes, sums += kTileRow) {
                store(o.results[s] + i, added(load(o.starts[s] + i), sums, m, i, unit));
            }
        }
    }

    // All layers for one sample.
    class Layers {
      public:
        explicit Layers(Group& g)
            : g_(g),
              p_(*g.plan),
              gates_(2 * p_.residual / kLanes),
              of_frame_(left_of_frame(g)),
              sums_(g.rows + p_.tile_sums * g.n) {}

        void run() {
            // Before any tile: until a tenth of a microsecond after one is used, vectors of 512
            // bits find only one of two units that compute with floats.
            for (int l = 0; l < p_.n_layers; ++l)
                condition_gates<P, Gate>(g_, l, of_frame_, gates_row(l));
            for (int l = 0; l < p_.n_layers; ++l) {
                const Layer& layer = p_.layers[l];
                const int slot = g_.slots[l];
                auto* input = row_of<P>(g_, layer.inputs, slot, p_.activation_bytes, 0);
                // Before the oldest input gives its place to this sample's.
                if (!layer.looked_up) {
                    if constexpr (kInTurns<P>)
                        add_taps(l, slot);
                    else
                        multiply_taps(layer, slot);
                }
                make_inputs(l, slot, input);
                if (l == 0 && p_.skip_start) start_skips(input);
                if (!layer.looked_up)
                    multiply_all(layer.current, activations(input, p_.residual), sums_);
                ask_ahead(l + 2);
                for (int s = 0; s < g_.n; ++s) gates(l, slot, s);
                g_.slots[l] = slot + 1 == layer.ring ? 0 : slot + 1;
                if (l + 1 < p_.n_layers) multiply_residual(l);
            }
            multiply_skips();
        }

      private:
        static constexpr int kMany = 8;  // tiles of gates whose products fill a row of bytes

        int gates_row(int l) const { return int((g_.position + l) % kMaxBlock); }
        float* x(int s) const { return at<float>(g_.states[s], p_.x); }
        Activation* z(int l, int s) const {
            return row_of<P>(g_, p_.z, 2 * l, p_.activation_bytes, s);
        }
        unsigned char* tap_sums(int tap) const {
            return g_.rows + (p_.tap_sums + tap * 2 * p_.residual * sizeof(float)) * g_.n;
        }

        void multiply_taps(const Layer& layer, int slot) {
            for (int tap = 0; tap < p_.n_older_taps; ++tap) {
                const int older = older_slot(layer, slot, tap);
                const auto* input = row_of<P>(g_, layer.inputs, older, p_.activation_bytes, 0);
                multiply_all(layer.taps[tap], activations(input, p_.residual), tap_sums(tap));
            }
        }

        // How many samples' older taps are multiplied now: of two, the second's are added to its
        // gates, which are there already.
        int tapped(int l) const {
            if constexpr (kInTurns<P>)
                return begun(g_, of_frame_, gates_row(l), p_.layers[l].block % 2 ? 1 : 2);
            else
                return 1;
        }

        // Of this sample and, where the layer knows its older inputs, the next.
        void add_taps(int l, int slot) {
            const Layer& layer = p_.layers[l];
            const int n = tapped(l), row = gates_row(l);
            for (int tap = 0; n && tap < p_.n_older_taps; ++tap) {
                const Matrix& m = layer.taps[tap];
                const int older = older_slot(layer, slot, tap);
                const auto* input = row_of<P>(g_, layer.inputs, older, p_.activation_bytes, 0);
                const unsigned char* sums = tap_sums(0);
                multiply_twice(m, activations(input, p_.residual), tap_sums(0));
                for (int i = 0; i < n; ++i)
                    for (int s = 0; s < g_.n; ++s) {
                        const float scale = at<float>(g_.states[s], layer.input_scales)[older + i];
                        Gate* to = gates_of<Gate>(g_, layer, s, row + i);
                        for (int j = 0; j < gates_; j += kMany, sums += kMany * kTileRow) {
                            H gates[kMany / 2];
                            load_with_sums(to + j * kLanes, m, j, scale, sums, gates);
                            store_turns(to + j * kLanes, gates);
                        }
                    }
            }
        }

        // Gates with a stream's sums of a product, of the tiles from `tile` on.
        static void load_with_sums(const Gate* from, const Matrix& m, int tile, float scale,
                                   const unsigned char* sums, H (&gates)[kMany / 2]) {
            load_turns(from, gates);
            const auto sum = [&](int i) { return load_bits(sums + i * kTileRow); };
            add_in_turns(m, tile * kLanes, unit_of(m, scale), sum, gates);
        }

        // All layers' skip products are one sum.
        void multiply_skips() {
            unsigned char* sums = reinterpret_cast<unsigned char*>(skip_sums<P>(g_, 0));
            const int n_steps = steps(p_.layers[0].skip[1]);
            const unsigned char* w = p_.skips_by_tiles;
            for (int tile = 0; tile < p_.skip / kLanes; tile += kSkipTiles) {
                zero_tiles<0, kSkipTiles>();
                for (int l = 0; l < p_.n_layers; ++l)
                    w = add_tiles<0, kSkipTiles>(w, n_steps, activations(z(l, 0), p_.residual));
                store_tiles<0, kSkipTiles>(sums + tile * kTileRow, p_.skip * sizeof(float));
            }
        }

        void start_skips(const Activation* input) {
            Operands<P> start;
            start.n = g_.n;
            start.tile_sums = sums_;
            start.activations[0] = input;
            for (int s = 0; s < g_.n; ++s) {
                start.scales[s] = scales_[s];
                start.starts[s] = p_.skip_bias;
                start.results[s] = at<float>(g_.states[s], p_.skip_start_sum);
            }
            add_product(p_.skip_start_matrix, start);
        }

        void gates(int l, int slot, int s) {
            const Layer& layer = p_.layers[l];
            const Gate* before = gates_of<Gate>(g_, layer, s, gates_row(l));
            if (layer.looked_up)
                look_up_gates<Kept>(p_, g_.states[s], slot, before, z(l, s), g_.n * p_.residual);
            else
                finish_gates(l, s, before);
        }

        // Older inputs come from beyond the second-level cache.
        void ask_ahead(int l) const {
            if (l >= p_.n_layers) return;
            const Layer& layer = p_.layers[l];
            const int n = tapped(l) * g_.n * p_.residual;
            for (int tap = 0; tap < p_.n_older_taps; ++tap) {
                const int older = older_slot(layer, g_.slots[l], tap);
                const auto* input = row_of<P>(g_, layer.inputs, older, p_.activation_bytes, 0);
                for (int i = 0; i < n; i += kTileRow / sizeof(Activation))
                    __builtin_prefetch(input + i);
            }
        }

        // So many at once as fill a row of bytes.
        void finish_gates(int l, int s, const Gate* before) {
            const Layer& layer = p_.layers[l];
            for (int tile = 0; tile < gates_; tile += kMany) {
                const auto sums_of = [&](unsigned char* first) {
                    return first + (s * gates_ + tile) * kTileRow;
                };
                auto* to = z(l, s) + tile / 2 * kLanes;
                const int rests = g_.n * p_.residual;
                if constexpr (kInTurns<P>) {
                    H gates[kMany / 2];
                    load_with_sums(before + tile * kLanes, layer.current, tile, scales_[s],
                                   sums_of(sums_), gates);
                    keep_gated<Kept>(to, rests, gates);
                } else {
                    F values[kMany];
                    TIMBREL_UNROLL
                    for (int i = 0; i < kMany; ++i) values[i] = load(before + (tile + i) * kLanes);
                    const auto add = [&](const Matrix& m, const unsigned char* sums) {
                        TIMBREL_UNROLL
                        for (int i = 0; i < kMany; ++i)
                            values[i] =
                                added(values[i], sums + i * kTileRow, m, (tile + i) * kLanes, F{});
                    };
                    for (int tap = 0; tap < p_.n_older_taps; ++tap)
                        add(layer.taps[tap], sums_of(tap_sums(tap)));
                    add(layer.current, sums_of(sums_));
                    keep_gated<Kept, kMany / 2>(to, rests, values);
                }
            }
        }

        // Where there are rests, each row meets both.
        void multiply_residual(int l) {
            const Matrix& m = p_.layers[l].residual;
            const Rows gated = activations(z(l, 0), p_.residual);
            if constexpr (P::kHasRests)
                multiply_twice(m, gated, sums_);
            else
                multiply_all(m, gated, sums_);
        }

        void finish_residual(const Layer& layer, int s) {
            const Matrix& m = layer.residual;
            const unsigned char* sums = sums_ + s * m.tiles * kTileRow;
            for (int i = 0; i < p_.residual; i += kLanes, sums += kTileRow) {
                const F before = load(x(s) + i) + load(layer.residual_bias + i);
                store(x(s) + i, added(before, sums, m, i, F{}));
            }
        }

        // Finishes the layer before, and rounds what becomes this layer's inputs.
        void make_inputs(int l, int slot, Activation* input) {
            const Layer& layer = p_.layers[l];
            if constexpr (!P::kScaled) {
                for (int s = 0; s < g_.n; ++s) {
                    if (l > 0) finish_residual(p_.layers[l - 1], s);
                    if (!layer.looked_up)
                        scales_[s] = quantise<Kept, Range::both_signs>(input + s * p_.residual,
                                                                       x(s), p_.residual);
                }
            } else if (!layer.looked_up) {
                F peaks[kMaxLockstep] = {};
                for (int i = 0; i < p_.residual; i += kLanes) {
                    const unsigned char* sums = sums_ + i / kLanes * kTileRow;
                    F each{}, bias{};
                    std::size_t distance = 0;
                    if (l > 0) {
                        constexpr float unit = 1.0f / (P::most(Range::both_signs) * kRests);
                        const Layer& before = p_.layers[l - 1];
                        each = load(before.residual.scales + i) * splat(unit);
                        bias = load(before.residual_bias + i);
                        distance = before.residual.tiles * kTileRow;
                    }
                    TIMBREL_UNROLL
                    for (int s = 0; s < kMaxLockstep; ++s) {
                        if (s >= g_.n) break;
                        F v = load(x(s) + i);
                        if (l > 0) {
                            const F sum = to_float((load_bits(sums + s * distance) << kRestBits) +
                                                   load_bits(sums + (g_.n + s) * distance));
                            v = fma(sum, each, v + bias);
                            store(x(s) + i, v);
                        }
                        peaks[s] = max(peaks[s], absolute(v));
                    }
                }
                // As `quantise` does it, of all streams at once.
                constexpr float most = P::most(Range::both_signs);
                const F peak = max(largest_of_each(peaks), splat(1e-30f));
                alignas(kAlign) float up[kLanes];
                store(up, splat(most) / peak);
                store(scales_, peak * splat(1.0f / most));
                for (int s = 0; s < g_.n; ++s) {
                    at<float>(g_.states[s], layer.input_scales)[slot] = scales_[s];
                    for (int i = 0; i < p_.residual; i += 4 * kLanes) {
                        F v[4];
                        TIMBREL_UNROLL
                        for (int j = 0; j < 4; ++j)
                            v[j] = load(x(s) + i + j * kLanes) * splat(up[s]);
                        Kept::template keep<Range::both_signs>(input + s * p_.residual + i, v);
                    }
                }
            }
        }

        Group& g_;
        const Plan& p_;
        const int gates_;  // tiles of rows
        const int of_frame_;
        unsigned char* const sums_;
        alignas(kAlign) float scales_[kLanes];
    };
};

using Int8InTurns = BytesInTurns<true>;

// For one stream the vectors are faster, and give the same integers and gates.
template <>
struct Tiles<Int8InTurns> : TileProducts<Int8InTurns, BytesInTurns<false>> {
    static constexpr int kLeast = 2;
};
// Sums of bfloat16 depend on their order.
template <>
struct Tiles<BFloat16> : TileProducts<BFloat16, BFloat16> {
    static constexpr int kLeast = 1;
};

#include "../kernels.inl"

void sample_bytes(Group& g, const Strip& strip) {
    if (g.plan->tiled)
        sample<Int8InTurns>(g, strip);
    else
        sample<Int8>(g, strip);
}

constexpr Kernels with_tiles(Kernels kernels) {
    kernels.has_tiles = true;
    kernels.sample[2] = sample_bytes;
    kernels.sample[3] = sample<BFloat16>;
    return kernels;
}

}  // namespace

extern const Kernels kAmxKernels = with_tiles(make_kernels("amx"));

}  // namespace timbrel
