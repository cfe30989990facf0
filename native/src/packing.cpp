// A model's weights → one arena, quantised, in the order in which sampling reads them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "engine.hpp"

namespace timbrel {
namespace {

constexpr int kInt8Max = 127;
constexpr double kInt32Max = 2147483647.0;

// Rows of weights in single precision, padded; zero rows where `rows` maps to none.
struct Dense {
    int rows, columns;
    std::vector<float> values;

    Dense(int rows, int columns)
        : rows(rows), columns(columns), values(std::size_t(rows) * columns) {}
    float* row(int i) { return values.data() + std::size_t(i) * columns; }
    const float* row(int i) const { return values.data() + std::size_t(i) * columns; }

    void place(std::span<const float> from, int n_rows, int n_columns, int source_row, int to_row) {
        for (int i = 0; i < n_rows; ++i)
            std::copy_n(from.data() + std::size_t(source_row + i) * n_columns, n_columns,
                        row(to_row + i));
    }
};

// Hands out aligned pieces of memory; first it only counts.
class Arena {
  public:
    explicit Arena(unsigned char* base) : base_(base) {}

    template <class T>
    T* take(std::size_t n) {
        const std::size_t at = used_;
        used_ += (n * sizeof(T) + kAlign - 1) / kAlign * kAlign;
        return base_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
    }
    std::size_t used() const { return used_; }

  private:
    unsigned char* base_;
    std::size_t used_ = 0;
};

class Packer {
  public:
    // `stream` takes the matrices, `arena` all else.
    Packer(const Model& model, Precision precision, int lanes, OwningPlan& plan, Arena& stream,
           Arena& arena)
        : model_(model),
          c_(model.config),
          precision_(precision),
          lanes_(lanes),
          plan_(plan),
          stream_(stream),
          arena_(arena) {}

    // What each sample reads lies together, in the order of reading and without gaps: each would
    // cost more than a hundred cycles until the processor loads ahead again. The older taps, read
    // less often, come after it, and then what is read once a frame.
    void pack() {
        sizes();
        layers();
        plan_.hidden =
            matrix(skip_rows("hidden.weight", c_.skip_size, plan_.skip), Range::positive);
        plan_.last =
            matrix(padded_dense("last.weight", c_.n_parameters, c_.skip_size), Range::positive);
        older_taps();
        condition();
        constants();
        state();
    }

  private:
    std::span<const float> weight(const std::string& name) const { return model_.weight(name); }

    void sizes() {
        plan_.n_layers = int(c_.dilations.size());
        plan_.n_older_taps = c_.kernel_size - 1;
        plan_.residual = padded(c_.residual_size);
        plan_.skip = padded(c_.skip_size);
        plan_.parameters = padded(c_.n_parameters);
        plan_.n_parameters = c_.n_parameters;
        plan_.mels = padded(c_.n_mels);
        plan_.hop = c_.hop_length;
        plan_.n_around = c_.n_around;
        plan_.output = int(c_.output);
        plan_.input_taps = c_.input_taps;
        plan_.layer_condition = c_.layer_condition;
        plan_.output_condition = c_.output_condition;
        plan_.skip_start = c_.skip_start;
        const int gates = 2 * plan_.residual;
        plan_.condition_rows = plan_.n_layers * gates + (c_.output_condition ? plan_.skip : 0);
        plan_.condition_ring = c_.n_around + kConditionFrames;
        plan_.activation_bytes = plan_.residual * activation_size();
        plan_.silence_level = c_.n_parameters / 2;
    }

    std::size_t activation_size() const {
        const std::size_t sizes[] = {sizeof(float), sizeof(std::int16_t), sizeof(std::uint8_t)};
        return sizes[int(precision_)];
    }

    float* floats(std::span<const float> from, int n) {
        float* to = arena_.take<float>(n);
        if (to) std::copy(from.begin(), from.end(), to);
        return to;
    }

    void constants() {
        plan_.skip_bias = floats(weight("skip.bias"), plan_.skip);
        plan_.hidden_bias = floats(weight("hidden.bias"), plan_.skip);
        plan_.last_bias = floats(weight("last.bias"), plan_.parameters);
        plan_.decode = floats(weight("decode"), c_.n_parameters);
        plan_.interpolation = floats(weight("interpolation"), c_.n_around * c_.hop_length);
        plan_.input_values = floats(weight("input.values"), c_.n_parameters);
        const auto input = weight("input.weight");
        const int r = c_.residual_size;
        if (c_.input_taps == 0) {
            float* rows = arena_.take<float>(std::size_t(c_.n_parameters) * plan_.residual);
            for (int i = 0; rows && i < c_.n_parameters; ++i)
                std::copy_n(input.data() + std::size_t(i) * r, r,
                            rows + std::size_t(i) * plan_.residual);
            plan_.input_weights = rows;
        } else {
            plan_.input_bias = floats(weight("input.bias"), plan_.residual);
            float* taps = arena_.take<float>(std::size_t(c_.input_taps) * plan_.residual);
            for (int i = 0; taps && i < c_.input_taps; ++i)
                for (int j = 0; j < r; ++j)
                    taps[i * plan_.residual + j] = input[j * c_.input_taps + i];
            plan_.input_weights = taps;
        }
    }

    // All layers' conditioning as one matrix, in single precision: it runs once a frame.
    void condition() {
        const int r = c_.residual_size, gates = 2 * plan_.residual;
        Dense all(plan_.condition_rows, plan_.mels);
        std::vector<float> bias(plan_.condition_rows);
        for (int l = 0; l < plan_.n_layers; ++l) {
            const std::string layer = "layers." + std::to_string(l) + ".";
            if (c_.layer_condition)
                place_gates(all, weight(layer + "condition.weight"), c_.n_mels, l * gates);
            for (int half = 0; half < 2; ++half)
                for (int i = 0; i < r; ++i)
                    bias[l * gates + gate_row(half, i)] =
                        weight(layer + "condition.bias")[source(half) + i];
        }
        if (c_.output_condition)
            all.place(weight("hidden.condition.weight"), c_.skip_size, c_.n_mels, 0,
                      plan_.n_layers * gates);
        const Precision kept = std::exchange(precision_, Precision::float32);
        plan_.condition = matrix(all, Range::both_signs);
        precision_ = kept;
        plan_.condition_bias = floats(bias, plan_.condition_rows);
    }

    // First source row of a half of the gates: the kernels want tanh first.
    int source(int half) const { return (half != int(c_.sigmoid_first)) ? c_.residual_size : 0; }

    // The kernels find a tile of tanh's rows and then the same channels' of sigmoid's.
    int gate_row(int half, int channel) const {
        return (channel / lanes_ * 2 + half) * lanes_ + channel % lanes_;
    }

    void place_gates(Dense& dense, std::span<const float> from, int n_columns, int to_row) const {
        for (int half = 0; half < 2; ++half)
            for (int i = 0; i < c_.residual_size; ++i)
                dense.place(from, 1, n_columns, source(half) + i, to_row + gate_row(half, i));
    }

    Dense gate_rows(const std::string& name) const {
        Dense dense(2 * plan_.residual, plan_.residual);
        place_gates(dense, weight(name), c_.residual_size, 0);
        return dense;
    }

    Dense padded_dense(const std::string& name, int rows, int columns) const {
        Dense dense(padded(rows), padded(columns));
        dense.place(weight(name), rows, columns, 0, 0);
        return dense;
    }

    Dense skip_rows(const std::string& name, int columns, int padded_columns) const {
        Dense dense(plan_.skip, padded_columns);
        dense.place(weight(name), c_.skip_size, columns, 0, 0);
        return dense;
    }

    void layers() {
        plan_.all_layers.resize(plan_.n_layers);
        if (c_.skip_start)
            plan_.skip_start_matrix =
                matrix(skip_rows("skip_start.weight", c_.residual_size, plan_.residual),
                       Range::both_signs);
        for (int l = 0; l < plan_.n_layers; ++l) {
            const std::string name = "layers." + std::to_string(l) + ".";
            Layer& layer = plan_.all_layers[l];
            layer.dilation = c_.dilations[l];
            layer.block = std::gcd(layer.dilation, kMaxBlock);
            layer.ring = std::max(1, plan_.n_older_taps) * layer.dilation;
            layer.current =
                matrix(gate_rows(name + "taps." + std::to_string(plan_.n_older_taps) + ".weight"),
                       Range::both_signs);
            if (l + 1 < plan_.n_layers) {
                layer.residual = matrix(
                    padded_dense(name + "residual.weight", c_.residual_size, c_.residual_size),
                    Range::both_signs);
                layer.residual_bias = floats(weight(name + "residual.bias"), plan_.residual);
            }
            layer.skip = matrix(skip_rows(name + "skip.weight", c_.residual_size, plan_.residual),
                                Range::both_signs);
        }
        plan_.layers = plan_.all_layers.data();
    }

    void older_taps() {
        plan_.all_taps.resize(std::size_t(plan_.n_layers) * plan_.n_older_taps);
        for (int l = 0; l < plan_.n_layers; ++l) {
            Matrix* taps = plan_.all_taps.data() + std::size_t(l) * plan_.n_older_taps;
            for (int tap = 0; tap < plan_.n_older_taps; ++tap)
                taps[tap] = matrix(gate_rows("layers." + std::to_string(l) + ".taps." +
                                             std::to_string(tap) + ".weight"),
                                   Range::both_signs);
            plan_.all_layers[l].taps = taps;
        }
    }

    // Packs rows [tile × lanes] by columns in groups that one instruction multiplies.
    template <class T>
    void interleave(T* to, const Dense& dense, int group,
                    const std::function<T(int, float)>& quantised) const {
        const int tiles = dense.rows / lanes_;
        for (int first = 0; first < tiles; first += kTilesInBlock) {
            const int n = std::min(kTilesInBlock, tiles - first);
            for (int k = 0; k < dense.columns; k += group)
                for (int tile = first; tile < first + n; ++tile)
                    for (int lane = 0; lane < lanes_; ++lane)
                        for (int j = 0; j < group; ++j) {
                            const int row = tile * lanes_ + lane;
                            *to++ = quantised(row, dense.row(row)[k + j]);
                        }
        }
    }

    // `range`: of the activations that it meets.
    Matrix matrix(const Dense& dense, Range range) {
        const int n = dense.rows * dense.columns;
        Matrix m{};
        m.tiles = dense.rows / lanes_;
        m.columns = dense.columns;
        if (precision_ == Precision::float32) {
            float* weights = stream_.take<float>(n);
            m.bytes = n * sizeof(float);
            if (weights)
                interleave<float>(weights, dense, 1, [](int, float value) { return value; });
            m.weights = weights;
            return m;
        }
        float* scales = arena_.take<float>(dense.rows);
        m.scales = scales;
        if (precision_ == Precision::int16)
            pack_int16(m, dense, scales);
        else
            pack_int8(m, dense, scales, zero_of(range));
        return m;
    }

    void pack_int16(Matrix& m, const Dense& dense, float* scales) {
        const std::size_t n = std::size_t(dense.rows) * dense.columns;
        auto* weights = stream_.take<std::int16_t>(n);
        m.bytes = n * sizeof(std::int16_t);
        m.weights = weights;
        if (!weights) return;
        for (int i = 0; i < dense.rows; ++i) {
            double most = 0, sum = 0;
            for (int k = 0; k < dense.columns; ++k) {
                most = std::max(most, double(std::fabs(dense.row(i)[k])));
                sum += std::fabs(dense.row(i)[k]);
            }
            // As fine as 16 bits allow, and so that no sum of products can exceed 32 bits;
            // rounding adds half a step to each weight at most.
            const double room = kInt32Max / kInt16Max - dense.columns;
            const double up = most > 0 ? std::min(32767 / most, room / sum) : 0.0;
            scales[i] = up > 0 ? float(1 / up) : 0.0f;
        }
        interleave<std::int16_t>(weights, dense, 2, [&](int row, float value) {
            return std::int16_t(scales[row] > 0 ? std::lround(double(value) / scales[row]) : 0);
        });
    }

    void pack_int8(Matrix& m, const Dense& dense, float* scales, int zero) {
        const std::size_t n = std::size_t(dense.rows) * dense.columns;
        auto* offsets = arena_.take<std::int32_t>(dense.rows);
        auto* weights = stream_.take<std::int8_t>(n);
        m.bytes = n;
        m.weights = weights;
        m.offsets = offsets;
        if (!weights) return;
        for (int i = 0; i < dense.rows; ++i) {
            float most = 0;
            for (int k = 0; k < dense.columns; ++k)
                most = std::max(most, std::fabs(dense.row(i)[k]));
            scales[i] = most / kInt8Max;
        }
        const auto quantised = [&](int row, float value) {
            return std::int8_t(scales[row] > 0 ? std::lround(value / scales[row]) : 0);
        };
        for (int i = 0; i < dense.rows; ++i) {
            int sum = 0;
            for (int k = 0; k < dense.columns; ++k) sum += quantised(i, dense.row(i)[k]);
            offsets[i] = -zero * sum;
        }
        interleave<std::int8_t>(weights, dense, 4, quantised);
    }

    // Where a stream's state holds what.
    void state() {
        Arena a(nullptr);
        const auto take = [&](std::size_t bytes) {
            const std::size_t at = a.used();
            a.take<unsigned char>(bytes);
            return at;
        };
        plan_.x = take(plan_.residual * sizeof(float));
        plan_.z = take(2 * plan_.residual * activation_size());
        plan_.skip_sum = take(plan_.skip * sizeof(float));
        plan_.head = take(plan_.skip * sizeof(float));
        plan_.head_activations = take(plan_.skip * activation_size());
        plan_.logits = take(plan_.parameters * sizeof(float));
        plan_.history = take(std::max(1, c_.input_taps) * sizeof(float));
        for (Layer& layer : plan_.all_layers)
            layer.gates = take(std::size_t(layer.block) * 2 * plan_.residual * sizeof(float));
        for (Layer& layer : plan_.all_layers) {
            layer.input_scales = take(layer.ring * sizeof(float));
            layer.inputs = take(layer.ring * plan_.activation_bytes);
        }
        plan_.conditions =
            take(std::size_t(plan_.condition_ring) * plan_.condition_rows * sizeof(float));
        plan_.state_bytes = a.used();
    }

    const Model& model_;
    const Config& c_;
    Precision precision_;
    int lanes_;
    OwningPlan& plan_;
    Arena& stream_;
    Arena& arena_;
};

}  // namespace

std::unique_ptr<OwningPlan> make_plan(const Model& model, Precision precision, int lanes) {
    auto plan = std::make_unique<OwningPlan>();
    Arena stream_size(nullptr), arena_size(nullptr);
    Packer(model, precision, lanes, *plan, stream_size, arena_size).pack();
    plan->arena = aligned_zeros(stream_size.used() + arena_size.used());
    Arena stream(plan->arena.get()), arena(plan->arena.get() + stream_size.used());
    Packer(model, precision, lanes, *plan, stream, arena).pack();
    return plan;
}

}  // namespace timbrel
