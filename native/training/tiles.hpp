// Tiles of AMX and the moves of AVX-512 around them. To be compiled for a processor that has both.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "processor/tile_config.hpp"
#include "stack.hpp"

namespace timbrel::training {

constexpr int kTile = 16;   // rows of a tile, and its columns of 32 bits
constexpr int kDepth = 32;  // bfloat16 in a row
constexpr int kTileHalves = kTile * kDepth;

// Zeroed memory on a cache line's boundary.
template <class T>
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(std::size_t size) : size_(size) {
        const std::size_t bytes = (size * sizeof(T) + 63) / 64 * 64;
        data_.reset(static_cast<T*>(std::aligned_alloc(64, bytes ? bytes : 64)));
        if (!data_) throw std::bad_alloc();
        std::memset(data_.get(), 0, bytes);
    }
    T* data() { return data_.get(); }
    T* operator+(std::size_t i) { return data_.get() + i; }
    T& operator[](std::size_t i) { return data_[i]; }
    std::size_t size() const { return size_; }
    void clear() { std::memset(data_.get(), 0, size_ * sizeof(T)); }

  private:
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T[], Free> data_;
    std::size_t size_ = 0;
};

// All eight tiles full-sized, for the thread; released at the end of its work.
class TileSession {
  public:
    TileSession() {
        TileConfig config;
        for (int i = 0; i < 8; ++i) {
            config.columns[i] = 64;
            config.rows[i] = kTile;
        }
        config.load();
    }
    ~TileSession() {
        _tile_release();
        _mm_sfence();  // what was streamed is there for other threads
    }
    TileSession(const TileSession&) = delete;
};

// The compiler does not know that tiles are loaded from memory: what was stored before must be
// there.
inline void settle() { asm volatile("" ::: "memory"); }

// Tiles 0 to 3 are the sums of a block of 32 × 32: (0, 1) above (2, 3).
inline void zero_sums() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

inline void load_sums(const float* c, std::size_t stride) {
    settle();
    _tile_loadd(0, c, stride * 4);
    _tile_loadd(1, c + kTile, stride * 4);
    _tile_loadd(2, c + kTile * stride, stride * 4);
    _tile_loadd(3, c + kTile * stride + kTile, stride * 4);
}

inline void store_sums(float* c, std::size_t stride) {
    _tile_stored(0, c, stride * 4);
    _tile_stored(1, c + kTile, stride * 4);
    _tile_stored(2, c + kTile * stride, stride * 4);
    _tile_stored(3, c + kTile * stride + kTile, stride * 4);
}

// Add a product of depth 32 · n: 32 rows at `a`, `stride` numbers apart, with the packed tiles at
// `left` and `right`, whose next ones in depth follow after `step` numbers.
inline void multiply(const Half* a, std::size_t stride, const Half* left, const Half* right,
                     std::size_t step, int n) {
    settle();
    for (int k = 0; k < n; ++k) {
        _tile_loadd(4, a + k * kDepth, stride * 2);
        _tile_loadd(6, left + k * step, 64);
        _tile_loadd(7, right + k * step, 64);
        _tile_loadd(5, a + kTile * stride + k * kDepth, stride * 2);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

inline Half to_half(float x) {
    return _mm_extract_epi16((__m128i)_mm_cvtneps_pbh(_mm_set_ss(x)), 0);
}

inline void store_half(Half* to, __m512 x) {
    _mm256_storeu_si256((__m256i*)to, (__m256i)_mm512_cvtneps_pbh(x));
}

inline __m512 from_halves(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

// Two rows of 16 numbers side by side: what a row of a right-hand tile is.
inline __m512i pair(const Half* row, const Half* next) {
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)row));
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)next));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

// 32 rows × 16 columns, `stride` numbers apart → a right-hand tile whose depth are the rows.
inline void pack_rows(const Half* from, std::size_t stride, Half* tile) {
    for (int p = 0; p < kTile; ++p)
        _mm512_store_si512(tile + p * kDepth,
                           pair(from + 2 * p * stride, from + (2 * p + 1) * stride));
}

// What is not needed again soon goes past the caches.
inline void stream(Half* to, __m512i x) { _mm512_stream_si512((__m512i*)to, x); }

// The transpose of 16 × 16 numbers of 32 bits, row i of which goes to `to + i · stride` halves.
template <bool kPastCaches>
void store_transposed(const __m512i (&rows)[16], Half* to, std::size_t stride) {
    __m512i a[16], b[16];
    for (int i = 0; i < 8; ++i) {
        a[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    for (int i = 0; i < 4; ++i) {
        b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
    // b[4 i + j] has column 4 q + j of rows 4 i … 4 i + 3 in its quarter q.
    const auto store = [&](int row, __m512i x) {
        if constexpr (kPastCaches)
            stream(to + row * stride, x);
        else
            _mm512_storeu_si512(to + row * stride, x);
    };
    for (int j = 0; j < 4; ++j) {
        const __m512i u = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88);
        const __m512i v = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);
        const __m512i w = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88);
        const __m512i x = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
        store(0 + j, _mm512_shuffle_i32x4(u, w, 0x88));
        store(4 + j, _mm512_shuffle_i32x4(v, x, 0x88));
        store(8 + j, _mm512_shuffle_i32x4(u, w, 0xdd));
        store(12 + j, _mm512_shuffle_i32x4(v, x, 0xdd));
    }
}

// 32 rows × 16 columns → 16 rows × 32 columns.
template <bool kPastCaches = false>
void transpose(const Half* from, std::size_t stride, Half* to, std::size_t to_stride) {
    __m512i rows[16];
    for (int p = 0; p < 16; ++p) rows[p] = pair(from + 2 * p * stride, from + (2 * p + 1) * stride);
    store_transposed<kPastCaches>(rows, to, to_stride);
}

// Weights → right-hand tiles: `at(k, n)` in (n_tiles, depth / 32) tiles.
template <class At>
void pack(Half* to, int depth, int columns, const At& at) {
    for (int n = 0; n < columns; n += kTile)
        for (int k = 0; k < depth; k += kDepth)
            for (int p = 0; p < kTile; ++p)
                for (int j = 0; j < kTile; ++j)
                    for (int i = 0; i < 2; ++i) *to++ = at(k + 2 * p + i, n + j);
}

inline __m512 exponential(__m512 x) {
    x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-80)), _mm512_set1_ps(80));
    const __m512 y = _mm512_mul_ps(x, _mm512_set1_ps(1.44269504f));
    const __m512 whole = _mm512_roundscale_ps(y, 0);
    const __m512 f = _mm512_sub_ps(y, whole);
    // Coefficients of 2^f = exp(f ln 2).
    __m512 p = _mm512_set1_ps(1.33335581e-3f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.61812911e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.55041087e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.40226507e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.93147182e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1));
    return _mm512_scalef_ps(p, whole);
}

inline __m512 reciprocal(__m512 x) {
    const __m512 r = _mm512_rcp14_ps(x);
    return _mm512_mul_ps(r, _mm512_fnmadd_ps(x, r, _mm512_set1_ps(2)));
}

inline __m512 sigmoid(__m512 x) {
    return reciprocal(
        _mm512_add_ps(_mm512_set1_ps(1), exponential(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

inline __m512 tanh(__m512 x) {
    const __m512 r = sigmoid(_mm512_add_ps(x, x));
    return _mm512_fmsub_ps(r, _mm512_set1_ps(2), _mm512_set1_ps(1));
}

}  // namespace timbrel::training
