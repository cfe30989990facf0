// Kernels for processors with AMX: those of AVX-512, and products of 8-bit integers and of bfloat16
// by whole tiles, a row for each stream. A tile's row of 64 bytes of weights is what one
// instruction of AVX-512 multiplies, so both read the same packed weights, and sums of integers are
// the same.
#include <immintrin.h>

#include "../plan.hpp"
#include "processor/tile_config.hpp"

namespace timbrel {
namespace {

#include "vector512.inl"

#include "../steps.inl"

struct BFloat16 {
    using Weight = std::uint16_t;
    using Activation = std::uint16_t;
    using Sum = F;
    using Number = float;
    static constexpr int kGroup = 2;
    static constexpr bool kScaled = false, kHasZero = false, kCoarseGates = true;
    static constexpr bool kHasRests = false;
    using Frame = Half;
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

constexpr int kTileRow = 64;  // bytes
constexpr int kTileRows = 16;

// Tiles 0 to 3 are sums, 4 and 5 activations, with a row for each stream, and 6 and 7 weights.
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
    using Gate = typename P::Frame;
    static constexpr bool kThere = true;

    struct Session {
        explicit Session(int n_streams) {
            TileConfig config;
            for (int i = 0; i < 8; ++i) {
                config.columns[i] = kTileRow;
                config.rows[i] = std::uint8_t(i < 6 ? n_streams : kTileRows);
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

    // The first step of a tile of a matrix's rows; the next is kTileRows rows further.
    static inline Rows weights(const Matrix& m, int tile) {
        const int in_block = tile % kTilesInBlock, block = tile - in_block;
        const int left = m.tiles - block;
        auto* first = static_cast<unsigned char*>(const_cast<void*>(m.weights));
        return {first + (std::size_t(block) * kTileRows * steps(m) + in_block) * kTileRow,
                std::size_t(left < kTilesInBlock ? left : kTilesInBlock) * kTileRow};
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
        // `multiply` is given the number of the pair; the second tile's sums go `gap` bytes behind.
        template <class Multiply>
        inline void next(Rows to, std::size_t gap, const Multiply& multiply) {
            odd_ = !odd_;
            if (odd_) {
                multiply(Numbers<1>());
                if (to_.first) store(Numbers<0>());
            } else {
                multiply(Numbers<0>());
                if (to_.first) store(Numbers<1>());
            }
            to_ = to;
            gap_ = gap;
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
            store_tile<2 * pair>(to_.first, to_.distance);
            store_tile<2 * pair + 1>(to_.first + gap_, to_.distance);
        }

        Rows to_ = {};
        std::size_t gap_ = 0;
        bool odd_ = false;
    };

    template <int pair>
    static inline void zero_pair() {
        zero_tile<2 * pair>();
        zero_tile<2 * pair + 1>();
    }

    // Adds the products of two tiles of rows, side by side.
    template <int pair>
    static inline void add_pair(const Matrix& m, int tile, Rows a) {
        Rows w = weights(m, tile);
        for (int k = 0; k < steps(m); ++k, a.first += kTileRow, w.first += kTileRows * w.distance) {
            load_tile<4>(a.first, a.distance);
            load_tile<6>(w.first, w.distance);
            load_tile<7>(w.first + kTileRow, w.distance);
            multiply_tiles<P, 2 * pair, 4, 6>();
            multiply_tiles<P, 2 * pair + 1, 4, 7>();
        }
    }

    // sums = matrix · activations, those of a stream side by side.
    static inline void multiply_all(const Matrix& m, Rows a, unsigned char* sums) {
        Pairs pairs;
        for (int tile = 0; tile < m.tiles; tile += 2)
            pairs.next({sums + tile * kTileRow, std::size_t(m.tiles) * kTileRow}, kTileRow,
                       [&]<int pair>(Numbers<pair>) {
                           zero_pair<pair>();
                           add_pair<pair>(m, tile, a);
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
                float* result = o.results[s] + i;
                store(result, added(load(result), sums, m, i, unit));
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
              sums_(g.rows + p_.tile_sums * g.n) {}

        void run() {
            // Before any tile: until a tenth of a microsecond after one is used, vectors of 512
            // bits find only one of two units that compute with floats.
            for (int l = 0; l < p_.n_layers; ++l) condition_gates<P, Gate>(g_, l, gates_row(l));
            for (int l = 0; l < p_.n_layers; ++l) {
                const Layer& layer = p_.layers[l];
                const int slot = g_.slots[l];
                auto* input = row_of<P>(g_, layer.inputs, slot, p_.activation_bytes, 0);
                // Before the oldest input gives its place to this sample's.
                if (!layer.looked_up) multiply_taps(layer, slot);
                for (int s = 0; s < g_.n; ++s) {
                    if (l > 0) finish_residual(p_.layers[l - 1], s);
                    if (!layer.looked_up) keep_input(layer, slot, s, input + s * p_.residual);
                }
                if (l == 0 && p_.skip_start) start_skips(input);
                if (!layer.looked_up)
                    multiply_all(layer.current, activations(input, p_.residual), sums_);
                for (int s = 0; s < g_.n; ++s) gates(l, slot, s);
                g_.slots[l] = slot + 1 == layer.ring ? 0 : slot + 1;
                if (l + 1 < p_.n_layers) multiply_residual(l);
            }
            multiply_skips();
        }

      private:
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
                for (int s = 0; s < g_.n; ++s)
                    tap_scales_[tap][s] = at<float>(g_.states[s], layer.input_scales)[older];
            }
        }

        void keep_input(const Layer& layer, int slot, int s, Activation* to) {
            scales_[s] = quantise<Kept, Range::both_signs>(to, x(s), p_.residual);
            at<float>(g_.states[s], layer.input_scales)[slot] = scales_[s];
        }

        // All layers' skip products are one sum.
        void multiply_skips() {
            unsigned char* sums = reinterpret_cast<unsigned char*>(skip_sums<P>(g_, 0));
            const int half = p_.layers[0].skip[0].tiles;
            Pairs pairs;
            for (int tile = 0; tile < p_.skip / kLanes; tile += 2)
                pairs.next({sums + tile * kTileRow, p_.skip * sizeof(float)}, kTileRow,
                           [&]<int pair>(Numbers<pair>) {
                               const int part = tile >= half;
                               zero_pair<pair>();
                               for (int l = 0; l < p_.n_layers; ++l)
                                   add_pair<pair>(p_.layers[l].skip[part], tile - part * half,
                                                  activations(z(l, 0), p_.residual));
                           });
            pairs.flush();
        }

        void start_skips(const Activation* input) {
            Operands<P> start;
            start.n = g_.n;
            start.tile_sums = sums_;
            start.activations[0] = input;
            for (int s = 0; s < g_.n; ++s) {
                start.scales[s] = scales_[s];
                start.results[s] = at<float>(g_.states[s], p_.skip_start_sum);
            }
            add_product(p_.skip_start_matrix, start);
        }

        void gates(int l, int slot, int s) {
            ask_ahead(l, s);
            const Layer& layer = p_.layers[l];
            const Gate* before = gates_of<Gate>(g_, layer, s, gates_row(l));
            if (layer.looked_up)
                look_up_gates<Kept>(p_, g_.states[s], slot, before, z(l, s), g_.n * p_.residual);
            else
                finish_gates(l, s, before);
        }

        // Older inputs come from beyond the second-level cache.
        void ask_ahead(int l, int s) const {
            if (l + 2 >= p_.n_layers) return;
            const Layer& layer = p_.layers[l + 2];
            for (int tap = 0; tap < p_.n_older_taps; ++tap) {
                const int older = older_slot(layer, g_.slots[l + 2], tap);
                const auto* input = row_of<P>(g_, layer.inputs, older, p_.activation_bytes, s);
                for (int i = 0; i < p_.residual; i += kTileRow / sizeof(Activation))
                    __builtin_prefetch(input + i);
            }
        }

        // So many at once as fill a row of bytes.
        void finish_gates(int l, int s, const Gate* before) {
            constexpr int kPairs = 4, kMany = 2 * kPairs;
            const Layer& layer = p_.layers[l];
            for (int tile = 0; tile < gates_; tile += kMany) {
                F values[kMany];
                TIMBREL_UNROLL
                for (int i = 0; i < kMany; ++i) values[i] = load(before + (tile + i) * kLanes);
                const auto add = [&](const Matrix& m, const unsigned char* sums, float scale) {
                    sums += (s * gates_ + tile) * kTileRow;
                    TIMBREL_UNROLL
                    for (int i = 0; i < kMany; ++i)
                        values[i] = added(values[i], sums + i * kTileRow, m, (tile + i) * kLanes,
                                          splat(scale));
                };
                for (int tap = 0; tap < p_.n_older_taps; ++tap)
                    add(layer.taps[tap], tap_sums(tap), tap_scales_[tap][s]);
                add(layer.current, sums_, scales_[s]);
                keep_gated<Kept, kPairs>(z(l, s) + tile / 2 * kLanes, g_.n * p_.residual, values);
            }
        }

        // Each row meets the gates' products, and the rests of these.
        void multiply_residual(int l) {
            const Matrix& m = p_.layers[l].residual;
            const Rows gated = activations(z(l, 0), p_.residual);
            if constexpr (!P::kHasRests) return multiply_all(m, gated, sums_);
            Pairs pairs;
            for (int tile = 0; tile < m.tiles; ++tile)
                pairs.next({sums_ + tile * kTileRow, 2 * std::size_t(m.tiles) * kTileRow},
                           m.tiles * kTileRow, [&]<int pair>(Numbers<pair>) {
                               zero_pair<pair>();
                               add_with_rests<pair>(m, tile, gated);
                           });
            pairs.flush();
        }

        // Adds the products of a tile of rows with the gates' products, and with their rests.
        template <int pair>
        void add_with_rests(const Matrix& m, int tile, Rows a) {
            Rows w = weights(m, tile);
            for (int k = 0; k < steps(m); ++k) {
                load_tile<4>(a.first, a.distance);
                load_tile<5>(a.first + g_.n * a.distance, a.distance);
                load_tile<6 + pair>(w.first, w.distance);
                multiply_tiles<P, 2 * pair, 4, 6 + pair>();
                multiply_tiles<P, 2 * pair + 1, 5, 6 + pair>();
                a.first += kTileRow;
                w.first += kTileRows * w.distance;
            }
        }

        void finish_residual(const Layer& layer, int s) {
            constexpr float unit = 1.0f / (P::most(Range::both_signs) * kRests);
            const Matrix& m = layer.residual;
            const std::size_t distance = m.tiles * kTileRow;
            const unsigned char* sums = sums_ + (P::kHasRests ? 2 : 1) * s * distance;
            for (int i = 0; i < m.tiles * kLanes; i += kLanes, sums += kTileRow) {
                const F before = load(x(s) + i) + load(layer.residual_bias + i);
                if constexpr (P::kHasRests) {
                    const F sum =
                        to_float((load_bits(sums) << kRestBits) + load_bits(sums + distance));
                    store(x(s) + i, fma(sum, load(m.scales + i) * splat(unit), before));
                } else {
                    store(x(s) + i, added(before, sums, m, i, F{}));
                }
            }
        }

        Group& g_;
        const Plan& p_;
        const int gates_;  // tiles of rows
        unsigned char* const sums_;
        float scales_[kMaxLockstep], tap_scales_[kMaxTaps][kMaxLockstep];
    };
};

// For fewer streams the vectors are faster, and give the same integers.
template <>
struct Tiles<Int8> : TileProducts<Int8, Bytes<false>> {
    static constexpr int kLeast = 3;
};
// Sums of bfloat16 depend on their order.
template <>
struct Tiles<BFloat16> : TileProducts<BFloat16, BFloat16> {
    static constexpr int kLeast = 1;
};

#include "../kernels.inl"

constexpr Kernels with_tiles(Kernels kernels) {
    kernels.tile_bytes = kTileRow;
    kernels.sample[3] = sample<BFloat16>;
    return kernels;
}

}  // namespace

extern const Kernels kAmxKernels = with_tiles(make_kernels("amx"));

}  // namespace timbrel
