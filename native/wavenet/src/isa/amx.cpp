// Kernels for processors with AMX: those of AVX-512, and products of 8-bit integers and of bfloat16
// by whole tiles, a row for each stream. A tile's row of 64 bytes of weights is what one
// instruction of AVX-512 multiplies, so both read the same packed weights, and sums of integers are
// the same.
#include <immintrin.h>

#include "../plan.hpp"

namespace timbrel {
namespace {

#include "vector512.inl"

#include "../products.inl"

struct BFloat16 {
    using Weight = std::uint16_t;
    using Activation = std::uint16_t;
    using Sum = F;
    using Number = float;
    static constexpr int kGroup = 2;
    static constexpr bool kScaled = false, kHasZero = false, kCoarseGates = true;
    static constexpr bool kHasRests = false;
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

// Tiles 0 to 3 are sums, 4 is activations, with a row for each operand, and 6 and 7 are weights.
// All have all rows: fewer would not be faster, and what is in rows without an operand is not used.
template <class P>
struct TileProducts {
    using Activation = typename P::Activation;
    static constexpr bool kThere = true;
    static constexpr int kMost = 1;  // samples whose operands are multiplied together

    // The compiler does not know that tiles are loaded from memory: what was stored before must be
    // there.
    static inline void settle() { asm volatile("" ::: "memory"); }

    struct Session {
        explicit Session(int n_streams) {
            struct alignas(64) {
                std::uint8_t palette = 1, start = 0, reserved[14] = {};
                std::uint16_t columns[16] = {};
                std::uint8_t rows[16] = {};
            } config;
            for (int i = 0; i < 8; ++i) {
                config.columns[i] = kTileRow;
                config.rows[i] = std::uint8_t(i < 6 ? n_streams : kTileRows);
            }
            settle();
            _tile_loadconfig(&config);
        }
        ~Session() { _tile_release(); }
    };

    // Of a tile of rows: a row of weights, and how far it is to the next.
    struct Weights {
        const unsigned char* first;
        std::size_t distance;
    };

    static inline int steps(const Matrix& m) { return m.columns * sizeof(Activation) / kTileRow; }

    // Adds a step of the activations in tile 4 to the sums of tile i. GCC wants the numbers of
    // tiles as they are written here.
    template <int i>
    static inline void add_step(const unsigned char* first, std::size_t distance) {
        if constexpr (i % 2 == 0)
            _tile_loadd(6, first, distance);
        else
            _tile_loadd(7, first, distance);
        if constexpr (P::kScaled) {
            if constexpr (i == 0) _tile_dpbusd(0, 4, 6);
            if constexpr (i == 1) _tile_dpbusd(1, 4, 7);
            if constexpr (i == 2) _tile_dpbusd(2, 4, 6);
            if constexpr (i == 3) _tile_dpbusd(3, 4, 7);
        } else {
            if constexpr (i == 0) _tile_dpbf16ps(0, 4, 6);
            if constexpr (i == 1) _tile_dpbf16ps(1, 4, 7);
            if constexpr (i == 2) _tile_dpbf16ps(2, 4, 6);
            if constexpr (i == 3) _tile_dpbf16ps(3, 4, 7);
        }
    }

    // Adds the products of n tiles of rows, side by side, to the sums.
    template <int n>
    static inline void add_tiles(Weights w, int steps, const void* activations,
                                 std::size_t distance) {
        const auto* a = static_cast<const unsigned char*>(activations);
        for (int k = 0; k < steps; ++k, a += kTileRow, w.first += kTileRows * w.distance) {
            _tile_loadd(4, a, distance);
            add_step<0>(w.first, w.distance);
            if constexpr (n > 1) add_step<1>(w.first + kTileRow, w.distance);
            if constexpr (n > 2) add_step<2>(w.first + 2 * kTileRow, w.distance);
            if constexpr (n > 3) add_step<3>(w.first + 3 * kTileRow, w.distance);
        }
    }

    template <int n>
    static inline void zero() {
        _tile_zero(0);
        if constexpr (n > 1) _tile_zero(1);
        if constexpr (n > 2) _tile_zero(2);
        if constexpr (n > 3) _tile_zero(3);
    }

    template <int n>
    static inline void store_sums(unsigned char* to, std::size_t distance) {
        _tile_stored(0, to, distance);
        if constexpr (n > 1) _tile_stored(1, to + kTileRow, distance);
        if constexpr (n > 2) _tile_stored(2, to + 2 * kTileRow, distance);
        if constexpr (n > 3) _tile_stored(3, to + 3 * kTileRow, distance);
        settle();
    }

    // Sums of n tiles of rows, those of an operand side by side.
    template <int n>
    struct alignas(kAlign) Sums {
        unsigned char rows[kMaxLockstep][n][kTileRow];
        inline typename P::Sum at(int operand, int i) const {
            typename P::Sum sum;
            __builtin_memcpy(&sum, rows[operand][i], sizeof sum);
            return sum;
        }
        inline void store() { store_sums<n>(rows[0][0], n * kTileRow); }
    };

    template <Finish kFinish>
    static constexpr bool kWithRests = kFinish == Finish::fine && P::kHasRests;

    // The sums stay in tiles, and go to memory when they are ready: a load that follows a store
    // which waits for its sums waits with it.
    template <int n>
    static inline void multiply(const Matrix& m, Weights w, const Activation* activations) {
        settle();
        zero<n>();
        add_tiles<n>(w, steps(m), activations, m.columns * sizeof(Activation));
    }

    template <Finish kFinish, int n>
    static inline void finish(const Matrix& m, int row, const Operands<P>& o, const Sums<n>& sums,
                              const Sums<n>* rests) {
        typename P::Sum offsets[n] = {};
        F scales[n];
        TIMBREL_UNROLL
        for (int i = 0; i < n; ++i) {
            if constexpr (P::kScaled) scales[i] = load(m.scales + row + i * kLanes);
            if constexpr (P::kHasZero)
                if (m.offsets) offsets[i] = load(m.offsets + row + i * kLanes);
        }
        for (int s = 0; s < o.n; ++s) {
            float* const result = o.results[s] + row;
            const F unit = splat(o.scales[s]);
            F values[n];
            TIMBREL_UNROLL
            for (int i = 0; i < n; ++i) {
                typename P::Sum sum = sums.at(s, i) + offsets[i];
                if constexpr (kWithRests<kFinish>) sum = sum * splat(kRests) + rests->at(s, i);
                const F before = load(result + i * kLanes);
                if constexpr (P::kScaled)
                    values[i] = fma(P::total(sum), scales[i] * unit, before);
                else
                    values[i] = before + P::total(sum);
            }
            if constexpr (kFinish != Finish::gate) {
                TIMBREL_UNROLL
                for (int i = 0; i < n; ++i) store(result + i * kLanes, values[i]);
            } else {
                keep_gated<P, n / 2>(o.gated[s] + row / 2, o.rests, values);
            }
        }
    }

    template <Finish kFinish, int n>
    static inline void add_few(const Matrix& m, Weights w, int row, const Operands<P>& o) {
        Sums<n> sums, rests;
        multiply<n>(m, w, o.activations[0]);
        sums.store();
        if constexpr (kWithRests<kFinish>) {
            multiply<n>(m, w, o.activations[0] + o.rests);
            rests.store();
        }
        finish<kFinish, n>(m, row, o, sums, &rests);
    }

    // While the vectors' units finish four tiles of rows, the next four are multiplied.
    template <Finish kFinish>
    static void add_product(const Matrix& m, const Operands<P>& o) {
        Sums<4> sums[2];
        const auto* first = static_cast<const unsigned char*>(m.weights);
        int n_multiplied = 0, unfinished = 0;
        for (int block = 0; block < m.tiles; block += m.tiles_in_block) {
            const int left = m.tiles - block;
            const int tiles = left < m.tiles_in_block ? left : m.tiles_in_block;
            const std::size_t distance = std::size_t(tiles) * kTileRow;
            int tile = 0;
            for (; !kWithRests<kFinish> && tile + 4 <= tiles; tile += 4) {
                multiply<4>(m, {first + tile * kTileRow, distance}, o.activations[0]);
                sums[n_multiplied % 2].store();
                if (n_multiplied++)
                    finish<kFinish, 4>(m, unfinished * kLanes, o, sums[n_multiplied % 2], nullptr);
                unfinished = block + tile;
            }
            for (; kWithRests<kFinish> && tile + 4 <= tiles; tile += 4)
                add_few<kFinish, 4>(m, {first + tile * kTileRow, distance}, (block + tile) * kLanes,
                                    o);
            for (; tile + 2 <= tiles; tile += 2)
                add_few<kFinish, 2>(m, {first + tile * kTileRow, distance}, (block + tile) * kLanes,
                                    o);
            if constexpr (kFinish != Finish::gate)
                if (tile < tiles)
                    add_few<kFinish, 1>(m, {first + tile * kTileRow, distance},
                                        (block + tile) * kLanes, o);
            first += distance * (m.columns / P::kGroup);
        }
        if (n_multiplied)
            finish<kFinish, 4>(m, unfinished * kLanes, o, sums[(n_multiplied - 1) % 2], nullptr);
    }

    // A pair of tiles of rows of all layers' skip products, which are one product: tiles 0 and 1
    // take the sums of every other pair, 2 and 3 those between. The sums of the pair before are
    // stored when they are ready: loads that follow a store which waits for its sums wait, too.
    template <int pair>
    static inline void multiply_skips(const Group& g, int part, std::size_t first,
                                      std::size_t distance, Sums<2>* before) {
        const Plan& p = *g.plan;
        const unsigned char* z = g.rows + p.z * g.n;
        settle();
        if constexpr (pair == 0) {
            _tile_zero(0);
            _tile_zero(1);
        } else {
            _tile_zero(2);
            _tile_zero(3);
        }
        for (int l = 0; l < p.n_layers; ++l, z += 2 * p.activation_bytes * g.n) {
            if (before && l == p.n_layers / 2) store_pair<1 - pair>(*before);
            const Matrix& m = p.layers[l].skip[part];
            const auto* w = static_cast<const unsigned char*>(m.weights) + first;
            for (int k = 0; k < steps(m); ++k, w += kTileRows * distance) {
                _tile_loadd(4, z + k * kTileRow, p.activation_bytes);
                add_step<2 * pair>(w, distance);
                add_step<2 * pair + 1>(w + kTileRow, distance);
            }
        }
    }

    template <int pair>
    static inline void store_pair(Sums<2>& to) {
        unsigned char* row = to.rows[0][0];
        if constexpr (pair == 0) {
            _tile_stored(0, row, 2 * kTileRow);
            _tile_stored(1, row + kTileRow, 2 * kTileRow);
        } else {
            _tile_stored(2, row, 2 * kTileRow);
            _tile_stored(3, row + kTileRow, 2 * kTileRow);
        }
        settle();
    }

    static inline void add_sums(const Group& g, int tile, const Sums<2>& sums) {
        for (int s = 0; s < g.n; ++s) {
            auto* to = at<typename P::Number>(g.states[s], g.plan->skip_sum) + tile * kLanes;
            for (int i = 0; i < 2; ++i, to += kLanes) store(to, load(to) + sums.at(s, i));
        }
    }

    static void add_skips(const Group& g) {
        Sums<2> sums[2];
        int tile = 0;
        for (int part = 0; part < 2; ++part) {
            const Matrix& m = g.plan->layers[0].skip[part];
            std::size_t first = 0;
            for (int block = 0; block < m.tiles; block += m.tiles_in_block) {
                const int left = m.tiles - block;
                const int tiles = left < m.tiles_in_block ? left : m.tiles_in_block;
                const std::size_t distance = std::size_t(tiles) * kTileRow;
                for (int i = 0; i < tiles; i += 2, tile += 2) {
                    const bool odd = tile / 2 % 2;
                    Sums<2>* before = tile ? &sums[!odd] : nullptr;
                    if (odd)
                        multiply_skips<1>(g, part, first + i * kTileRow, distance, before);
                    else
                        multiply_skips<0>(g, part, first + i * kTileRow, distance, before);
                    if (before) add_sums(g, tile - 2, *before);
                }
                first += distance * (m.columns / P::kGroup);
            }
        }
        const bool odd = tile / 2 % 2;
        if (odd)
            store_pair<0>(sums[0]);
        else
            store_pair<1>(sums[1]);
        add_sums(g, tile - 2, sums[!odd]);
    }
};

// For fewer streams the vectors are faster, and give the same integers.
template <>
struct Tiles<Int8> : TileProducts<Int8> {
    static constexpr int kLeast = 3;
};
// Sums of bfloat16 depend on their order.
template <>
struct Tiles<BFloat16> : TileProducts<BFloat16> {
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
