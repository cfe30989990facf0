// The passes with AMX. Compiled for processors that have it, and called on those alone.
#include <algorithm>
#include <thread>

#include "stack.hpp"
#include "tiles.hpp"

namespace timbrel::training {
namespace {

// So many samples, at most, go through all layers before the next ones: their activations stay in
// the second-level cache, and the more they are the fewer times weights and sums go through it.
constexpr int kForwardRows = 256, kBackwardRows = 512;

int block_rows(int hop, int wanted) { return std::max(1, wanted / hop) * hop; }

// What one thread computes with.
struct Scratch {
    Buffer<Half> x;  // a layer's inputs in a block, behind those that it still needs, all layers
    Buffer<Half> z;  // of all layers of a block, or of one on the way back
    Buffer<Half> condition, condition_columns;  // right-hand tiles
    Buffer<float> stream;                       // the residual stream of a block, or its gradient
    Buffer<Half> gates, later;  // gradients: of a block's gates, and those that follow it
    Buffer<Half> gate_tiles, z_columns, out, out_tiles, skip, skip_tiles;
    Buffer<float> taps_sum, out_sum, bias_sum, skip_sum, skip_bias_sum, kernel_sum;
};

class AmxPass final : public Pass {
  public:
    explicit AmxPass(const Sizes& sizes)
        : s_(sizes),
          C_(s_.residual),
          G_(2 * s_.residual),
          S_(s_.skip),
          L_(s_.layers()),
          T_(s_.time()),
          K_(s_.batch) {
        const int deepest = *std::max_element(s_.dilations.begin(), s_.dilations.end());
        pad_ = (deepest + kDepth - 1) / kDepth * kDepth;
        // Columns' rows an odd number of cache lines apart lie in different sets of the caches.
        stride_ = pad_ + T_;
        if (stride_ / kDepth % 2 == 0) stride_ += kDepth;
        columns_ = Buffer<Half>(std::size_t(K_) * L_ * C_ * stride_);
        gates_ = Buffer<Half>(std::size_t(K_) * L_ * T_ * G_);
        frames_ = Buffer<Half>(std::size_t(K_) * (s_.frames + Sizes::kAround - 1) * L_ * G_);
        // What a layer gives from this sample on reaches the skip sums.
        needed_.resize(L_ + 1, s_.first);
        needed_[L_] = s_.first;
        for (int l = L_ - 1; l > 0; --l) needed_[l - 1] = needed_[l] - s_.dilations[l];
        gate_weights_ = Buffer<Half>(std::size_t(L_) * G_ * 2 * C_);
        out_weights_ = Buffer<Half>(std::size_t(L_) * C_ * C_);
        skip_weights_ = Buffer<Half>(std::size_t(L_) * C_ * S_);
        gate_back_ = Buffer<Half>(gate_weights_.size());
        out_back_ = Buffer<Half>(out_weights_.size());
        skip_back_ = Buffer<Half>(skip_weights_.size());
        kernel_ = Buffer<Half>(std::size_t(s_.hop) * kDepth);
        kernel_columns_ = Buffer<Half>(std::size_t(kTile) * s_.hop);
        bias_ = Buffer<float>(std::size_t(L_) * C_);
        skip_bias_ = Buffer<float>(S_);
    }

    void forward(const float* x, const float* condition, const Parameters<const float>& weights,
                 Half* outputs, int threads) override {
        pack_weights(weights);
        share(threads, [&](Scratch& scratch, int item) {
            const std::size_t n_frames = std::size_t(s_.frames + Sizes::kAround - 1) * L_ * G_;
            to_halves(condition + item * n_frames, frames_ + item * n_frames, n_frames);
            forward_item(scratch, item, x + std::size_t(item) * T_ * C_,
                         outputs + std::size_t(item) * (T_ - s_.first) * S_);
        });
    }

    void backward(const Half* outputs, const Half* gradient, float* x, float* condition,
                  const Parameters<float>& gradients, int threads) override {
        const std::size_t n_frames = std::size_t(s_.frames + Sizes::kAround - 1) * L_ * G_;
        std::memset(condition, 0, K_ * n_frames * sizeof(float));
        share(threads, [&](Scratch& scratch, int item) {
            const std::size_t from = std::size_t(item) * (T_ - s_.first) * S_;
            backward_item(scratch, item, outputs + from, gradient + from,
                          x + std::size_t(item) * T_ * C_, condition + item * n_frames);
        });
        give(gradients);
    }

  private:
    template <class Work>
    void share(int threads, const Work& work) {
        threads = std::clamp(threads, 1, K_);
        while (int(scratch_.size()) < threads) scratch_.push_back(make_scratch());
        const auto run = [&](int thread) {
            const TileSession session;
            for (int item = thread; item < K_; item += threads) work(scratch_[thread], item);
        };
        std::vector<std::thread> others;
        for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
        run(0);
        for (auto& other : others) other.join();
    }

    Scratch make_scratch() const {
        const std::size_t f = block_rows(s_.hop, kForwardRows),
                          b = block_rows(s_.hop, kBackwardRows);
        std::size_t history = 0;
        for (const int d : s_.dilations) history += d;
        Scratch s;
        s.x = Buffer<Half>((history + L_ * f) * C_);
        s.z = Buffer<Half>(std::max(f * L_, b) * C_);
        s.condition = Buffer<Half>(f / s_.hop * (G_ / kTile) * kTileHalves);
        s.condition_columns = Buffer<Half>(std::size_t(G_) / kDepth * kTileHalves);
        s.stream = Buffer<float>(std::max(f, b) * C_);
        s.gates = Buffer<Half>((b + pad_) * G_);
        s.later = Buffer<Half>(history * G_);
        s.gate_tiles = Buffer<Half>(b * G_);
        s.z_columns = Buffer<Half>(b * C_);
        s.out = Buffer<Half>(b * C_);
        s.out_tiles = Buffer<Half>(b * C_);
        s.skip = Buffer<Half>(b * S_);
        s.skip_tiles = Buffer<Half>(b * S_);
        s.taps_sum = Buffer<float>(std::size_t(L_) * 2 * C_ * G_);
        s.out_sum = Buffer<float>(std::size_t(L_) * C_ * C_);
        s.bias_sum = Buffer<float>(std::size_t(L_) * C_);
        s.skip_sum = Buffer<float>(std::size_t(L_) * C_ * S_);
        s.skip_bias_sum = Buffer<float>(S_);
        s.kernel_sum = Buffer<float>(std::size_t(s_.hop) * kTile);
        return s;
    }

    static void to_halves(const float* from, Half* to, std::size_t n) {
        for (std::size_t i = 0; i < n; i += 16) store_half(to + i, _mm512_loadu_ps(from + i));
    }

    void pack_weights(const Parameters<const float>& w) {
        const int C = C_, G = G_, S = S_;
        for (int l = 0; l < L_; ++l) {
            const float *previous = w.previous + std::size_t(l) * G * C,
                        *current = w.current + std::size_t(l) * G * C,
                        *skip = w.skip + std::size_t(l) * S * C;
            pack(gate_weights_ + std::size_t(l) * G * 2 * C, 2 * C, G, [&](int k, int n) {
                return to_half(k < C ? previous[n * C + k] : current[n * C + k - C]);
            });
            // On the way back: gates now, then those one dilation later.
            pack(gate_back_ + std::size_t(l) * G * 2 * C, 2 * G, C, [&](int k, int n) {
                return to_half(k < G ? current[k * C + n] : previous[(k - G) * C + n]);
            });
            // All layers' skip weights are one matrix, whose depth goes over the layers.
            for (int n = 0; n < S; n += kTile)
                pack(skip_weights_ + (std::size_t(n) * L_ * C + std::size_t(l) * kTile * C), C,
                     kTile, [&](int k, int j) { return to_half(skip[(n + j) * C + k]); });
            pack(skip_back_ + std::size_t(l) * S * C, S, C,
                 [&](int k, int n) { return to_half(skip[k * C + n]); });
            if (l == L_ - 1) break;
            const float* out = w.out + std::size_t(l) * C * C;
            pack(out_weights_ + std::size_t(l) * C * C, C, C,
                 [&](int k, int n) { return to_half(out[n * C + k]); });
            pack(out_back_ + std::size_t(l) * C * C, C, C,
                 [&](int k, int n) { return to_half(out[k * C + n]); });
            std::copy_n(w.out_bias + std::size_t(l) * C, C, bias_ + std::size_t(l) * C);
        }
        std::copy_n(w.skip_bias, S_, skip_bias_.data());
        for (int r = 0; r < s_.hop; ++r)
            for (int j = 0; j < Sizes::kAround; ++j)
                kernel_[r * kDepth + j] = kernel_columns_[j * s_.hop + r] =
                    to_half(w.kernel[j * s_.hop + r]);
    }

    const Half* frame(int item, int index, int layer) {
        const int n = s_.frames + Sizes::kAround - 1;
        return frames_ + ((std::size_t(item) * n + index) * L_ + layer) * G_;
    }

    Half* columns(int item, int layer) {
        return columns_ + (std::size_t(item) * L_ + layer) * C_ * stride_ + pad_;
    }

    // tanh and σ of 16 channels at a time, side by side.
    Half* gates(int item, int layer, int t, int tile) {
        const std::size_t tiles = C_ / kTile, row = (std::size_t(item) * L_ + layer) * tiles + tile;
        return gates_ + (row * T_ + t) * kDepth;
    }

    void forward_item(Scratch& s, int item, const float* x, Half* outputs) {
        const int step = block_rows(s_.hop, kForwardRows), C = C_;
        s.x.clear();
        for (int t = 0; t < T_; t += step) {
            const int rows = std::min(step, T_ - t);
            std::copy_n(x + std::size_t(t) * C, std::size_t(rows) * C, s.stream.data());
            Half* inputs = s.x.data();
            for (int l = 0; l < L_; ++l) {
                const int d = s_.dilations[l];
                if (t + rows <= needed_[l] - d) break;
                Half* now = inputs + std::size_t(d) * C;
                to_halves(s.stream.data(), now, std::size_t(rows) * C);
                for (int r = 0; r < rows; r += kDepth)
                    for (int c = 0; c < C; c += kTile)
                        transpose<true>(now + r * C + c, C, columns(item, l) + c * stride_ + t + r,
                                        stride_);
                if (t + rows > needed_[l]) {
                    gate(s, item, l, t, rows, inputs, now);
                    if (l < L_ - 1) add_out(s, l, rows);
                }
                std::memmove(inputs, inputs + std::size_t(rows) * C,
                             std::size_t(d) * C * sizeof(Half));
                inputs += std::size_t(d + step) * C;
            }
            if (t + rows > s_.first) give_outputs(s, t, rows, outputs);
        }
    }

    // Gates of a layer: what the way back needs of them, and their product in `s.z`.
    void gate(Scratch& s, int item, int l, int t, int rows, const Half* past, const Half* now) {
        const int C = C_, G = G_, hop = s_.hop, depth = 2 * C / kDepth, width = L_ * C;
        for (int f = 0; f < rows / hop; ++f) {
            const Half* frames[Sizes::kAround];
            for (int j = 0; j < Sizes::kAround; ++j) frames[j] = frame(item, t / hop + f + j, l);
            for (int n = 0; n < G / kTile; ++n) {
                Half* tile = s.condition + (std::size_t(f) * (G / kTile) + n) * kTileHalves;
                for (int p = 0; p < Sizes::kAround / 2; ++p)
                    _mm512_store_si512(tile + p * kDepth, pair(frames[2 * p] + n * kTile,
                                                               frames[2 * p + 1] + n * kTile));
            }
        }
        const Half* weights = gate_weights_ + std::size_t(l) * G * 2 * C;
        alignas(64) float sums[kDepth * kDepth];
        for (int n = 0; n < C / kTile; ++n) {
            const int m = n + C / kTile;  // the sigmoid's tile beside the tangent's
            const Half *tangent = weights + std::size_t(n) * depth * kTileHalves,
                       *sigma = weights + std::size_t(m) * depth * kTileHalves;
            const std::size_t half = std::size_t(depth) / 2 * kTileHalves;
            for (int r = 0; r < rows; r += kDepth) {
                zero_sums();
                multiply(past + r * C, C, tangent, sigma, kTileHalves, depth / 2);
                multiply(now + r * C, C, tangent + half, sigma + half, kTileHalves, depth / 2);
                const Half* condition =
                    s.condition + std::size_t(r / hop) * (G / kTile) * kTileHalves;
                multiply(kernel_ + std::size_t(r % hop) * kDepth, kDepth,
                         condition + n * kTileHalves, condition + m * kTileHalves, 0, 1);
                store_sums(sums, kDepth);
                Half* kept = gates(item, l, t + r, n);
                Half* z = s.z + (std::size_t(r) * width + l * C + n * kTile);
                for (int i = 0; i < kDepth; ++i) {
                    const __m512 a = tanh(_mm512_load_ps(sums + i * kDepth));
                    const __m512 b = sigmoid(_mm512_load_ps(sums + i * kDepth + kTile));
                    stream(kept + i * kDepth, (__m512i)_mm512_cvtne2ps_pbh(b, a));
                    store_half(z + i * width, _mm512_mul_ps(a, b));
                }
            }
        }
    }

    // The residual stream goes on to the next layer.
    void add_out(Scratch& s, int l, int rows) {
        const int C = C_, width = L_ * C;
        const Half* weights = out_weights_ + std::size_t(l) * C * C;
        const std::size_t tiles = std::size_t(C / kDepth) * kTileHalves;
        for (int n = 0; n < C; n += 2 * kTile)
            for (int r = 0; r < rows; r += kDepth) {
                float* stream = s.stream + (std::size_t(r) * C + n);
                load_sums(stream, C);
                multiply(s.z + (std::size_t(r) * width + l * C), width, weights + n / kTile * tiles,
                         weights + (n / kTile + 1) * tiles, kTileHalves, C / kDepth);
                store_sums(stream, C);
            }
        const float* bias = bias_ + std::size_t(l) * C;
        for (int r = 0; r < rows; ++r)
            for (int c = 0; c < C; c += kTile) {
                float* value = s.stream + (std::size_t(r) * C + c);
                _mm512_store_ps(value,
                                _mm512_add_ps(_mm512_load_ps(value), _mm512_load_ps(bias + c)));
            }
    }

    void give_outputs(Scratch& s, int t, int rows, Half* outputs) {
        const int S = S_, width = L_ * C_, depth = width / kDepth;
        const std::size_t tiles = std::size_t(depth) * kTileHalves;
        alignas(64) float sums[kDepth * kDepth];
        for (int n = 0; n < S; n += 2 * kTile)
            for (int r = 0; r < rows; r += kDepth) {
                const int row = t + r - s_.first;
                if (row + kDepth <= 0) continue;
                zero_sums();
                multiply(s.z + std::size_t(r) * width, width, skip_weights_ + n / kTile * tiles,
                         skip_weights_ + (n / kTile + 1) * tiles, kTileHalves, depth);
                store_sums(sums, kDepth);
                const __m512 zero = _mm512_setzero_ps(), left = _mm512_load_ps(skip_bias_ + n),
                             right = _mm512_load_ps(skip_bias_ + n + kTile);
                for (int i = std::max(0, -row); i < kDepth; ++i) {
                    const float* sum = sums + i * kDepth;
                    const __m512 a = _mm512_add_ps(_mm512_load_ps(sum), left),
                                 b = _mm512_add_ps(_mm512_load_ps(sum + kTile), right);
                    stream(outputs + std::size_t(row + i) * S + n,
                           (__m512i)_mm512_cvtne2ps_pbh(_mm512_max_ps(b, zero),
                                                        _mm512_max_ps(a, zero)));
                }
            }
    }

    void backward_item(Scratch& s, int item, const Half* outputs, const Half* gradient, float* x,
                       float* condition) {
        const int step = block_rows(s_.hop, kBackwardRows), C = C_;
        s.later.clear();
        for (int t = (T_ - 1) / step * step; t >= 0; t -= step) {
            const int rows = std::min(step, T_ - t);
            take_gradient(s, t, rows, outputs, gradient);
            pack_block(s.skip.data(), S_, rows, s.skip_tiles.data());
            std::fill_n(s.stream.data(), std::size_t(rows) * C, 0.0f);
            Half* later = s.later + s.later.size();
            for (int l = L_ - 1; l >= 0; --l) {
                const int d = s_.dilations[l];
                later -= std::size_t(d) * G_;
                // No gradient comes from before this.
                if (t + rows <= needed_[l] - d) continue;
                if (l < L_ - 1) take_out(s, l, rows);
                gate_back(s, item, l, t, rows);
                std::copy_n(later, std::size_t(d) * G_, s.gates + std::size_t(rows) * G_);
                add_gradients(s, item, l, t, rows);
                condition_back(s, item, l, t, rows, condition);
                inputs_back(s, l, rows);
                std::copy_n(s.gates.data(), std::size_t(d) * G_, later);
            }
            std::copy_n(s.stream.data(), std::size_t(rows) * C, x + std::size_t(t) * C);
        }
    }

    // The gradient of the skip sums: that of the outputs, where these are not 0.
    void take_gradient(Scratch& s, int t, int rows, const Half* outputs, const Half* gradient) {
        const int before = std::clamp(s_.first - t, 0, rows), S = S_;
        std::fill_n(s.skip.data(), std::size_t(before) * S, Half(0));
        for (int c = 0; c < S; c += kDepth) {
            __m512 left = _mm512_load_ps(s.skip_bias_sum + c),
                   right = _mm512_load_ps(s.skip_bias_sum + c + kTile);
            for (int r = before; r < rows; ++r) {
                const std::size_t from = std::size_t(t + r - s_.first) * S + c;
                const __mmask32 on = _mm512_test_epi16_mask(_mm512_loadu_si512(outputs + from),
                                                            _mm512_set1_epi16(-1));
                const __m512i x = _mm512_maskz_loadu_epi16(on, gradient + from);
                _mm512_store_si512(s.skip + (std::size_t(r) * S + c), x);
                left = _mm512_add_ps(left, from_halves(_mm512_castsi512_si256(x)));
                right = _mm512_add_ps(right, from_halves(_mm512_extracti64x4_epi64(x, 1)));
            }
            _mm512_store_ps(s.skip_bias_sum + c, left);
            _mm512_store_ps(s.skip_bias_sum + c + kTile, right);
        }
    }

    // (rows, width) → right-hand tiles whose depth are the rows: (width / 16, rows / 32) tiles.
    static void pack_block(const Half* from, int width, int rows, Half* tiles) {
        for (int n = 0; n < width; n += kTile)
            for (int r = 0; r < rows; r += kDepth, tiles += kTileHalves)
                pack_rows(from + std::size_t(r) * width + n, width, tiles);
    }

    // The gradient of the residual stream, as the products want it, and the bias's.
    void take_out(Scratch& s, int l, int rows) {
        const int C = C_;
        to_halves(s.stream.data(), s.out.data(), std::size_t(rows) * C);
        pack_block(s.out.data(), C, rows, s.out_tiles.data());
        for (int c = 0; c < C; c += kTile) {
            float* to = s.bias_sum + (std::size_t(l) * C + c);
            __m512 sum = _mm512_load_ps(to);
            for (int r = 0; r < rows; ++r)
                sum = _mm512_add_ps(sum, _mm512_load_ps(s.stream + (std::size_t(r) * C + c)));
            _mm512_store_ps(to, sum);
        }
    }

    // Gradients of a block's gates, before tanh and σ, in `s.gates`; z again, in columns.
    void gate_back(Scratch& s, int item, int l, int t, int rows) {
        const int C = C_, G = G_, S = S_;
        const Half *skip = skip_back_ + std::size_t(l) * S * C,
                   *out = out_back_ + std::size_t(l) * C * C;
        const std::size_t skip_tiles = std::size_t(S / kDepth) * kTileHalves,
                          out_tiles = std::size_t(C / kDepth) * kTileHalves;
        const bool has_skip = t + rows > s_.first, has_out = l < L_ - 1;
        alignas(64) float sums[kDepth * kDepth];
        for (int n = 0; n < C / kTile; n += 2)
            for (int r = 0; r < rows; r += kDepth) {
                zero_sums();
                if (has_skip)
                    multiply(s.skip + std::size_t(r) * S, S, skip + n * skip_tiles,
                             skip + (n + 1) * skip_tiles, kTileHalves, S / kDepth);
                if (has_out)
                    multiply(s.out + std::size_t(r) * C, C, out + n * out_tiles,
                             out + (n + 1) * out_tiles, kTileHalves, C / kDepth);
                store_sums(sums, kDepth);
                for (int half = 0; half < 2; ++half) {
                    const Half* kept = gates(item, l, t + r, n + half);
                    Half* to = s.gates + (std::size_t(r) * G + (n + half) * kTile);
                    Half* z_to = s.z + (std::size_t(r) * C + (n + half) * kTile);
                    for (int i = 0; i < kDepth; ++i) {
                        const __m512i both = _mm512_load_si512(kept + i * kDepth);
                        const __m512 a = from_halves(_mm512_castsi512_si256(both)),
                                     b = from_halves(_mm512_extracti64x4_epi64(both, 1));
                        const __m512 dz = _mm512_load_ps(sums + i * kDepth + half * kTile);
                        const __m512 z = _mm512_mul_ps(a, b), db = _mm512_mul_ps(dz, b);
                        store_half(to + i * G, _mm512_fnmadd_ps(_mm512_mul_ps(a, a), db, db));
                        store_half(to + i * G + C,
                                   _mm512_mul_ps(_mm512_mul_ps(dz, z),
                                                 _mm512_sub_ps(_mm512_set1_ps(1), b)));
                        store_half(z_to + i * C, z);
                    }
                }
            }
        pack_block(s.gates.data(), G, rows, s.gate_tiles.data());
        for (int r = 0; r < rows; r += kDepth)
            for (int c = 0; c < C; c += kTile)
                transpose(s.z + (std::size_t(r) * C + c), C,
                          s.z_columns + (std::size_t(c) * rows + r), rows);
    }

    // sums (32·m × columns) += left (its rows `stride` apart) · tiles, over a block's rows.
    static void accumulate(const Half* left, std::size_t stride, int m, const Half* tiles,
                           int columns, int rows, float* sums) {
        const std::size_t step = std::size_t(rows) * kTile;
        for (int i = 0; i < m; i += kDepth)
            for (int n = 0; n < columns; n += 2 * kTile) {
                float* to = sums + std::size_t(i) * columns + n;
                load_sums(to, columns);
                multiply(left + i * stride, stride, tiles + n / kTile * step,
                         tiles + (n / kTile + 1) * step, kTileHalves, rows / kDepth);
                store_sums(to, columns);
            }
    }

    void add_gradients(Scratch& s, int item, int l, int t, int rows) {
        const int C = C_, G = G_, S = S_;
        const Half* x = columns(item, l) + t;
        float* taps = s.taps_sum + std::size_t(l) * 2 * C * G;
        accumulate(x - s_.dilations[l], stride_, C, s.gate_tiles.data(), G, rows, taps);
        accumulate(x, stride_, C, s.gate_tiles.data(), G, rows, taps + std::size_t(C) * G);
        if (t + rows > s_.first)
            accumulate(s.z_columns.data(), rows, C, s.skip_tiles.data(), S, rows,
                       s.skip_sum + std::size_t(l) * C * S);
        if (l < L_ - 1)
            accumulate(s.z_columns.data(), rows, C, s.out_tiles.data(), C, rows,
                       s.out_sum + std::size_t(l) * C * C);
    }

    void condition_back(Scratch& s, int item, int l, int t, int rows, float* condition) {
        const int G = G_, hop = s_.hop;
        alignas(64) float sums[kTile * kDepth];
        for (int f = 0; f < rows / hop; ++f) {
            const int first = t / hop + f;
            for (int n = 0; n < G; n += 2 * kTile) {
                const Half* left =
                    s.gate_tiles + (std::size_t(n) * rows + std::size_t(f) * hop * kTile);
                settle();
                _tile_zero(0);
                _tile_zero(1);
                for (int k = 0; k < hop / kDepth; ++k) {
                    _tile_loadd(4, kernel_columns_ + k * kDepth, hop * 2);
                    _tile_loadd(6, left + k * kTileHalves, 64);
                    _tile_loadd(7, left + std::size_t(rows) * kTile + k * kTileHalves, 64);
                    _tile_dpbf16ps(0, 4, 6);
                    _tile_dpbf16ps(1, 4, 7);
                }
                _tile_stored(0, sums, kDepth * 4);
                _tile_stored(1, sums + kTile, kDepth * 4);
                for (int j = 0; j < Sizes::kAround; ++j)
                    for (int c = 0; c < kDepth; c += kTile) {
                        float* to = condition + (std::size_t(first + j) * L_ + l) * G + n + c;
                        _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to),
                                                           _mm512_load_ps(sums + j * kDepth + c)));
                    }
            }
            kernel_back(s, item, l, first, s.gates + std::size_t(f) * hop * G);
        }
    }

    void kernel_back(Scratch& s, int item, int l, int first, const Half* gates) {
        const int G = G_, depth = G / kDepth;
        for (int j = 0; j < Sizes::kAround; ++j) {
            const Half* values = frame(item, first + j, l);
            for (int c = 0; c < G; c += 2)
                std::memcpy(s.condition_columns + (std::size_t(c / 2) * kDepth + 2 * j), values + c,
                            4);
        }
        for (int r = 0; r < s_.hop; r += kDepth) {
            float* sums = s.kernel_sum + std::size_t(r) * kTile;
            settle();
            _tile_loadd(0, sums, kTile * 4);
            _tile_loadd(2, sums + kTile * kTile, kTile * 4);
            for (int k = 0; k < depth; ++k) {
                _tile_loadd(6, s.condition_columns + std::size_t(k) * kTileHalves, 64);
                _tile_loadd(4, gates + std::size_t(r) * G + k * kDepth, G * 2);
                _tile_loadd(5, gates + std::size_t(r + kTile) * G + k * kDepth, G * 2);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(2, 5, 6);
            }
            _tile_stored(0, sums, kTile * 4);
            _tile_stored(2, sums + kTile * kTile, kTile * 4);
        }
    }

    void inputs_back(Scratch& s, int l, int rows) {
        const int C = C_, G = G_, depth = G / kDepth;
        const Half* weights = gate_back_ + std::size_t(l) * G * 2 * C;
        const std::size_t tiles = std::size_t(2) * depth * kTileHalves, half = tiles / 2;
        for (int n = 0; n < C / kTile; n += 2)
            for (int r = 0; r < rows; r += kDepth) {
                float* stream = s.stream + (std::size_t(r) * C + n * kTile);
                const Half *left = weights + n * tiles, *right = left + tiles;
                load_sums(stream, C);
                multiply(s.gates + std::size_t(r) * G, G, left, right, kTileHalves, depth);
                multiply(s.gates + std::size_t(r + s_.dilations[l]) * G, G, left + half,
                         right + half, kTileHalves, depth);
                store_sums(stream, C);
            }
    }

    // Sums of all threads, as PyTorch has its gradients.
    void give(const Parameters<float>& to) {
        const int C = C_, G = G_, S = S_;
        Scratch& s = scratch_.front();
        for (std::size_t i = 1; i < scratch_.size(); ++i) {
            Scratch& other = scratch_[i];
            add_and_clear(s.taps_sum, other.taps_sum);
            add_and_clear(s.out_sum, other.out_sum);
            add_and_clear(s.bias_sum, other.bias_sum);
            add_and_clear(s.skip_sum, other.skip_sum);
            add_and_clear(s.skip_bias_sum, other.skip_bias_sum);
            add_and_clear(s.kernel_sum, other.kernel_sum);
        }
        for (int l = 0; l < L_; ++l) {
            const float* taps = s.taps_sum + std::size_t(l) * 2 * C * G;
            turned(taps, C, G, to.previous + std::size_t(l) * G * C);
            turned(taps + std::size_t(C) * G, C, G, to.current + std::size_t(l) * G * C);
            turned(s.skip_sum + std::size_t(l) * C * S, C, S, to.skip + std::size_t(l) * S * C);
            if (l == L_ - 1) break;
            turned(s.out_sum + std::size_t(l) * C * C, C, C, to.out + std::size_t(l) * C * C);
            std::copy_n(s.bias_sum + std::size_t(l) * C, C, to.out_bias + std::size_t(l) * C);
        }
        for (int j = 0; j < Sizes::kAround; ++j)
            for (int r = 0; r < s_.hop; ++r)
                to.kernel[j * s_.hop + r] = s.kernel_sum[std::size_t(r) * kTile + j];
        std::copy_n(s.skip_bias_sum.data(), S, to.skip_bias);
        s.skip_bias_sum.clear();
        s.taps_sum.clear();
        s.out_sum.clear();
        s.bias_sum.clear();
        s.skip_sum.clear();
        s.kernel_sum.clear();
    }

    static void add_and_clear(Buffer<float>& to, Buffer<float>& from) {
        for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
        from.clear();
    }

    static void turned(const float* from, int rows, int columns, float* to) {
        for (int r = 0; r < rows; ++r)
            for (int c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
    }

    const Sizes s_;
    const int C_, G_, S_, L_, T_, K_;  // residual, gates, skip, layers, samples, batch
    int pad_ = 0;
    std::size_t stride_ = 0;
    std::vector<int> needed_;
    // Of a pass: inputs of the layers (channel, time) with zeros in front; tanh and σ (tile, time,
    // both); the condition of the frames.
    Buffer<Half> columns_, gates_, frames_;
    Buffer<Half> gate_weights_, out_weights_, skip_weights_, gate_back_, out_back_, skip_back_;
    Buffer<Half> kernel_, kernel_columns_;
    Buffer<float> bias_, skip_bias_;
    std::vector<Scratch> scratch_;
};

}  // namespace

std::unique_ptr<Pass> make_amx_pass(const Sizes& sizes) { return std::make_unique<AmxPass>(sizes); }

}  // namespace timbrel::training
