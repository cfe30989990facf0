// A model's weights → one arena, quantised, in the order in which sampling reads them.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "engine.hpp"

namespace timbrel {
namespace {

constexpr int kInt8Max = 127;
constexpr int kInt16WeightMax = 32767;
constexpr double kInt32Max = 2147483647.0;

constexpr std::size_t kPage = 4096;

// Of the search for a good place: so many are tried, loaded from so often.
constexpr int kPlaces = 12, kTimings = 4, kPasses = 8;
constexpr double kAlike = 1.02;

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
    // `stream` takes what sampling reads again and again, `tiles` the same for kernels that load
    // whole tiles, `arena` all else.
    Packer(const Model& model, Precision precision, const Kernels& kernels, OwningPlan& plan,
           Arena& stream, Arena& tiles, Arena& arena)
        : model_(model),
          c_(model.config),
          precision_(precision),
          kernels_(kernels),
          lanes_(kernels.lanes),
          registers_(kernels.registers),
          plan_(plan),
          stream_(stream),
          tiles_(tiles),
          arena_(arena) {}

    // What each sample reads lies together, in the order of reading and without gaps: each would
    // cost more than a hundred cycles until the processor loads ahead again. The older taps, read
    // less often, come after it.
    void pack() {
        sizes();
        const unsigned char* stretch = stream_.take<unsigned char>(0);
        layers();
        plan_.hidden =
            matrix(skip_rows("hidden.weight", c_.skip_size, plan_.skip), Range::positive);
        plan_.last = matrix(last_rows(), Range::positive);
        plan_.stretch = stretch;
        plan_.stretch_bytes = stream_.used();
        older_taps();
        if (plan_.tiled) by_tiles();
        condition();
        constants();
        first_tables();
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
        const bool by_tiles = precision_ == Precision::int8 || precision_ == Precision::bfloat16;
        // Whole rows of bytes, and tiles in pairs.
        plan_.tiled = by_tiles && kernels_.has_tiles && plan_.residual % kTileRow == 0 &&
                      plan_.skip % kTileRow == 0 && plan_.parameters % (2 * lanes_) == 0;
    }

    std::size_t activation_size() const {
        const std::size_t sizes[] = {sizeof(float), sizeof(std::int16_t), sizeof(std::uint8_t),
                                     sizeof(std::uint16_t)};
        return sizes[int(precision_)];
    }

    // A first layer's products of each tap with each level, after those with nothing.
    void first_tables() {
        if (!plan_.all_layers[0].looked_up) return;
        const int rows = 2 * plan_.residual, n_levels = c_.n_parameters;
        const auto input = weight("input.weight");
        float* to = arena_.take<float>(std::size_t(c_.kernel_size) * (n_levels + 1) * rows);
        plan_.first_tables = to;
        for (int tap = 0; to && tap < c_.kernel_size; ++tap) {
            const Dense dense = gate_rows(tap_name(0, tap));
            to += rows;
            for (int level = 0; level < n_levels; ++level)
                for (int i = 0; i < rows; ++i) {
                    double sum = 0;
                    for (int k = 0; k < c_.residual_size; ++k)
                        sum += double(dense.row(i)[k]) * input[level * c_.residual_size + k];
                    *to++ = float(sum);
                }
        }
    }

    float* floats(std::span<const float> from, int n) { return copied(arena_, from, n); }

    template <class T>
    static T* copied(Arena& arena, std::span<const T> from, std::size_t n) {
        T* to = arena.take<T>(n);
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
        plan_.condition = packed(arena_, all, {}, kTilesInBlock);
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

    static std::string tap_name(int l, int tap) {
        return "layers." + std::to_string(l) + ".taps." + std::to_string(tap) + ".weight";
    }

    Dense padded_dense(const std::string& name, int rows, int columns) const {
        Dense dense(padded(rows), padded(columns));
        dense.place(weight(name), rows, columns, 0, 0);
        return dense;
    }

    // Levels' probabilities do not change with what all rows have in common, and without it the
    // integers are finer.
    Dense last_rows() const {
        Dense dense = padded_dense("last.weight", c_.n_parameters, c_.skip_size);
        if (c_.output != Output::categorical || precision_ != Precision::int8) return dense;
        for (int k = 0; k < c_.skip_size; ++k) {
            double sum = 0;
            for (int i = 0; i < c_.n_parameters; ++i) sum += dense.row(i)[k];
            for (int i = 0; i < c_.n_parameters; ++i)
                dense.row(i)[k] -= float(sum / c_.n_parameters);
        }
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
        // All layers' skip products are one sum.
        std::vector<Dense> skips;
        for (int l = 0; l < plan_.n_layers; ++l)
            skips.push_back(skip_rows("layers." + std::to_string(l) + ".skip.weight",
                                      c_.residual_size, plan_.residual));
        const std::vector<float> scales = row_scales(skips);
        for (int l = 0; l < plan_.n_layers; ++l) {
            const std::string name = "layers." + std::to_string(l) + ".";
            Layer& layer = plan_.all_layers[l];
            if (l > 0) skip_part(l - 1, 0, skips, scales);
            layer.dilation = c_.dilations[l];
            layer.block = std::gcd(layer.dilation, kMaxBlock);
            layer.ring = std::max(1, plan_.n_older_taps) * layer.dilation;
            // With levels as inputs there are only so many products.
            layer.looked_up = l == 0 && c_.input_taps == 0 && !c_.skip_start;
            if (!layer.looked_up) layer.current = gate_matrix(tap_name(l, plan_.n_older_taps));
            if (l > 0) skip_part(l - 1, 1, skips, scales);
            if (l + 1 < plan_.n_layers) {
                const Dense residual =
                    padded_dense(name + "residual.weight", c_.residual_size, c_.residual_size);
                layer.residual = matrix(residual, Range::both_signs, kTilesInBlock, kRests + 1);
                layer.residual_bias = floats(weight(name + "residual.bias"), plan_.residual);
            }
        }
        for (int part = 0; part < 2; ++part) skip_part(plan_.n_layers - 1, part, skips, scales);
        skip_sums(skips, scales);
        plan_.layers = plan_.all_layers.data();
    }

    // A layer's skip product is done in two parts.
    void skip_part(int l, int part, std::span<const Dense> skips, std::span<const float> scales) {
        Layer& layer = plan_.all_layers[l];
        const int block = kTilesInBlock * lanes_, blocks = (plan_.skip + block - 1) / block;
        const int half = blocks / 2 * block;
        const int from = part ? half : 0, rows = part ? plan_.skip - half : half;
        Dense some(rows, plan_.residual);
        for (int i = 0; i < rows; ++i)
            std::copy_n(skips[l].row(from + i), plan_.residual, some.row(i));
        layer.skip[part] = packed(stream_, some, scales.subspan(from), kTilesInBlock);
    }

    float gate_steps() const {
        return precision_ == Precision::int8 ? float(kBytesMost - zero_of(Range::both_signs))
                                             : float(kInt16Max);
    }

    void skip_sums(std::span<const Dense> skips, std::span<const float> scales) {
        std::vector<std::int32_t> offsets(plan_.skip);
        if (precision_ == Precision::int8)
            for (const Dense& skip : skips) {
                const auto more = zero_offsets(skip, scales);
                for (int i = 0; i < plan_.skip; ++i) offsets[i] += more[i];
            }
        plan_.skip_offsets = copied<std::int32_t>(arena_, offsets, plan_.skip);
        std::vector<float> of_steps(scales.begin(), scales.end());
        for (float& scale : of_steps) scale /= gate_steps();
        plan_.skip_scales = floats(of_steps, plan_.skip);
    }

    void older_taps() {
        plan_.all_taps.resize(std::size_t(plan_.n_layers) * plan_.n_older_taps);
        for (int l = 0; l < plan_.n_layers; ++l) {
            Matrix* taps = plan_.all_taps.data() + std::size_t(l) * plan_.n_older_taps;
            // The samples of a block are operands that share the weights' loads.
            const int operands = std::min(plan_.all_layers[l].block, operands_at_once(registers_));
            const int in_block = plan_.tiled ? kTilesInBlock : tiles_at_once(registers_, operands);
            for (int tap = 0; tap < plan_.n_older_taps; ++tap)
                if (!plan_.all_layers[l].looked_up)
                    taps[tap] = gate_matrix(tap_name(l, tap), in_block);
            plan_.all_layers[l].taps = taps;
        }
    }

    // Loads of tiles that lie one behind the other, in the order of reading, are faster by a third.
    void by_tiles() {
        if (c_.skip_start) by_tiles(plan_.skip_start_matrix);
        for (Layer& layer : plan_.all_layers) {
            if (!layer.looked_up) by_tiles(layer.current);
            if (layer.residual.tiles) by_tiles(layer.residual);
        }
        plan_.skips_by_tiles = tiles_.take<unsigned char>(0);
        for (int part = 0; part < 2; ++part) {
            std::vector<const Matrix*> skips;
            for (const Layer& layer : plan_.all_layers) skips.push_back(&layer.skip[part]);
            side_by_side<kSkipTiles>(skips);
        }
        by_tiles(plan_.hidden);
        by_tiles(plan_.last);
        for (Matrix& tap : plan_.all_taps)
            if (tap.tiles) by_tiles(tap);
    }

    void by_tiles(Matrix& m) {
        const Matrix* const alone[] = {&m};
        m.by_tiles = side_by_side<2>(alone);
    }

    // So many tiles of rows, column after column and matrix after matrix, and then the next ones.
    template <int kTiles>
    const unsigned char* side_by_side(std::span<const Matrix* const> matrices) {
        std::size_t bytes = 0;
        for (const Matrix* m : matrices) bytes += m->bytes;
        unsigned char* const packed = tiles_.take<unsigned char>(bytes);
        unsigned char* to = packed;
        for (int tile = 0; packed && tile < matrices[0]->tiles; tile += kTiles)
            for (const Matrix* m : matrices) {
                const std::size_t rows = m->bytes / m->tiles / kTileRow;
                for (std::size_t row = 0; row < rows; row += kTileRows)
                    for (int i = 0; i < kTiles; ++i, to += kTileBytes)
                        copy_tile(*m, tile + i, row, to);
            }
        return packed;
    }

    // A tile's rows from the `first` one on.
    static void copy_tile(const Matrix& m, int tile, std::size_t first, unsigned char* to) {
        const int in_block = tile % m.tiles_in_block, block = tile - in_block;
        const int side_by_side = std::min(m.tiles_in_block, m.tiles - block);
        const auto* from = static_cast<const unsigned char*>(m.weights) +
                           m.bytes / m.tiles * block + (first * side_by_side + in_block) * kTileRow;
        for (int row = 0; row < kTileRows; ++row)
            std::memcpy(to + row * kTileRow, from + std::size_t(row) * side_by_side * kTileRow,
                        kTileRow);
    }

    // Packs rows [tile × lanes] by columns in groups that one instruction multiplies.
    template <class T>
    const T* interleaved(Arena& arena, const Dense& dense, int group, int in_block,
                         const std::function<T(int, float)>& quantised) {
        T* const packed = arena.take<T>(std::size_t(dense.rows) * dense.columns);
        if (!packed) return nullptr;
        T* to = packed;
        const int tiles = dense.rows / lanes_;
        for (int first = 0; first < tiles; first += in_block) {
            const int n = std::min(in_block, tiles - first);
            for (int k = 0; k < dense.columns; k += group)
                for (int tile = first; tile < first + n; ++tile)
                    for (int lane = 0; lane < lanes_; ++lane)
                        for (int j = 0; j < group; ++j) {
                            const int row = tile * lanes_ + lane;
                            *to++ = quantised(row, dense.row(row)[k + j]);
                        }
        }
        return packed;
    }

    // One scale a row, common to matrices that are `parts` of one: as fine as the weights' integers
    // allow and so that no sum of products, times `factor`, can exceed 32 bits.
    std::vector<float> row_scales(std::span<const Dense> parts, int factor = 1) const {
        const bool bytes = precision_ == Precision::int8;
        const int weight_most = bytes ? kInt8Max : kInt16WeightMax;
        std::vector<float> scales(parts[0].rows);
        for (int i = 0; i < parts[0].rows; ++i) {
            double most = 0, sum = 0;
            int columns = 0;
            for (const Dense& part : parts) {
                columns += part.columns;
                for (int k = 0; k < part.columns; ++k) {
                    most = std::max(most, double(std::fabs(part.row(i)[k])));
                    sum += std::fabs(part.row(i)[k]);
                }
            }
            if (most == 0) continue;
            // Rounding adds half a step to each weight at most.
            const int most_kept = bytes ? kBytesMost * factor : kInt16Max;
            const double room = kInt32Max / most_kept - columns;
            scales[i] = float(1 / std::min(weight_most / most, room / sum));
        }
        return scales;
    }

    // `range`: of the activations that it meets, where what undoes their zero is not elsewhere.
    Matrix matrix(const Dense& dense, Range range, int in_block = kTilesInBlock, int factor = 1) {
        if (!is_scaled()) return packed(stream_, dense, {}, in_block);
        const std::vector<float> scales = row_scales({&dense, 1}, factor);
        const std::int32_t* offsets = nullptr;
        if (precision_ == Precision::int8 && range == Range::both_signs)
            offsets = copied<std::int32_t>(stream_, zero_offsets(dense, scales), dense.rows);
        Matrix m = packed(stream_, dense, scales, in_block);
        m.scales = copied<float>(stream_, scales, dense.rows);
        m.offsets = offsets;
        return m;
    }

    Matrix gate_matrix(const std::string& name, int in_block = kTilesInBlock) {
        const Dense dense = gate_rows(name);
        Matrix m = matrix(dense, Range::both_signs, in_block);
        if (precision_ != Precision::int8 || !plan_.tiled) return m;
        const std::vector<float> scales = row_scales({&dense, 1});
        m.turn_unit = std::max(*std::max_element(scales.begin(), scales.end()), 1e-30f);
        std::int64_t most = 1;
        for (int i = 0; i < dense.rows; ++i) {
            std::int64_t sum = 0;
            for (int k = 0; k < dense.columns; ++k)
                sum += std::abs(rounded(dense.row(i)[k], scales[i]));
            most = std::max(most, sum * (kBytesMost - zero_of(Range::both_signs)));
        }
        // The rows of two tiles of tanh's take turns, and of two of sigmoid's, which are halved.
        std::vector<std::uint16_t> shares(dense.rows);
        for (int i = 0; i < dense.rows; ++i) {
            const int tile = i / lanes_, half = tile % 2;
            const int place = (tile / 4 * 4 + half * 2) * lanes_ + i % lanes_ * 2 + tile / 2 % 2;
            shares[place] = half_bits(scales[i] / m.turn_unit * (half ? 0.5f : 1.0f));
        }
        m.turn_shares = copied<std::uint16_t>(arena_, shares, dense.rows);
        while (most >> m.turn_shift > 32767) ++m.turn_shift;
        m.turn_unit *= float(1 << m.turn_shift);
        return m;
    }

    // The nearest float of 16 bits of a number of 0 to 1.
    static std::uint16_t half_bits(float value) {
        int exponent = -13;
        if (value > 0) std::frexp(value, &exponent);
        exponent = std::max(exponent, -13);
        return std::uint16_t(std::lround(std::ldexp(value, 11 - exponent)) +
                             ((exponent + 13) << 10));
    }

    bool is_scaled() const {
        return precision_ == Precision::int16 || precision_ == Precision::int8;
    }

    // The nearest bfloat16, of two as near the even one.
    static std::uint16_t halved(float value) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        return std::uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }

    static std::int32_t rounded(float value, float scale) {
        return scale > 0 ? std::int32_t(std::lround(double(value) / scale)) : 0;
    }

    Matrix packed(Arena& arena, const Dense& dense, std::span<const float> scales, int in_block) {
        const int n = dense.rows * dense.columns;
        Matrix m{};
        m.tiles = dense.rows / lanes_;
        m.tiles_in_block = in_block;
        m.columns = dense.columns;
        m.bytes = n * activation_size();
        if (precision_ == Precision::float32)
            m.weights = interleaved<float>(arena, dense, 1, in_block,
                                           [](int, float value) { return value; });
        else if (precision_ == Precision::bfloat16)
            m.weights = interleaved<std::uint16_t>(arena, dense, 2, in_block,
                                                   [](int, float value) { return halved(value); });
        else if (precision_ == Precision::int16)
            m.weights = interleaved<std::int16_t>(
                arena, dense, 2, in_block,
                [&](int row, float value) { return std::int16_t(rounded(value, scales[row])); });
        else
            m.weights = interleaved<std::int8_t>(
                arena, dense, 4, in_block,
                [&](int row, float value) { return std::int8_t(rounded(value, scales[row])); });
        return m;
    }

    // What undoes the zero of activations that have signs.
    static std::vector<std::int32_t> zero_offsets(const Dense& dense,
                                                  std::span<const float> scales) {
        std::vector<std::int32_t> offsets(dense.rows);
        for (int i = 0; i < dense.rows; ++i)
            for (int k = 0; k < dense.columns; ++k)
                offsets[i] -= zero_of(Range::both_signs) * rounded(dense.row(i)[k], scales[i]);
        return offsets;
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
        plan_.skip_start_sum = take(plan_.skip * sizeof(float));
        plan_.head = take(plan_.skip * sizeof(float));
        plan_.logits = take(plan_.parameters * sizeof(float));
        plan_.history = take(std::max(1, c_.input_taps) * sizeof(float));
        for (Layer& layer : plan_.all_layers)
            layer.gates = take(std::size_t(kMaxBlock) * 2 * plan_.residual *
                               (plan_.tiled ? sizeof(std::uint16_t) : sizeof(float)));
        for (Layer& layer : plan_.all_layers) {
            layer.input_scales = take(layer.ring * sizeof(float));
            if (layer.looked_up) layer.inputs = take(layer.ring * sizeof(std::int32_t));
        }
        plan_.conditions =
            take(std::size_t(plan_.condition_ring) * plan_.condition_rows * sizeof(float));
        rows();
        // A distance of streams at which what they hold of one kind does not meet in the cache.
        plan_.state_bytes = (a.used() + kPage - 1) / kPage * kPage + kPage / 8 + kAlign;
    }

    // Where a group's rows hold what.
    void rows() {
        Arena a(nullptr);
        const std::size_t of_layer = plan_.activation_bytes,
                          of_head = plan_.skip * activation_size();
        const auto take = [&](std::size_t bytes) {
            const std::size_t at = a.used();
            a.take<unsigned char>(bytes);
            return at;
        };
        plan_.head_activations = take(of_head);
        plan_.z = take(2 * (plan_.tiled ? plan_.n_layers : 2) * of_layer);
        plan_.skip_sums = take(plan_.skip * sizeof(float));
        if (plan_.tiled) {
            const int gates = 2 * plan_.residual;
            plan_.tile_sums = take(std::max({gates, plan_.skip, plan_.parameters}) * sizeof(float));
            plan_.tap_sums = take(std::max(2, plan_.n_older_taps) * gates * sizeof(float));
        }
        for (Layer& layer : plan_.all_layers)
            if (!layer.looked_up) layer.inputs = take(layer.ring * of_layer);
        plan_.row_bytes = a.used();
        a.take<unsigned char>(kRowsBehind * std::max(2 * of_layer, of_head));
        plan_.bytes_behind = a.used() - plan_.row_bytes;
    }

    const Model& model_;
    const Config& c_;
    Precision precision_;
    const Kernels& kernels_;
    int lanes_, registers_;
    OwningPlan& plan_;
    Arena& stream_;
    Arena& tiles_;
    Arena& arena_;
};

// Zeros, for weights that are to stay in the second-level cache: which pages the system gives
// decides how many of them meet in one set of it. In a virtual machine, where the pages of a huge
// page may lie anywhere, this makes a fifth of the speed. So some places are tried.
Aligned good_place(std::size_t bytes, const Kernels& kernels) {
    Aligned best = aligned_zeros(bytes);
#ifndef __wasm__
    if (bytes > kHugePage) return best;  // larger than such a cache
    using Seconds = std::chrono::duration<double>;
    const auto time = [&](const Aligned& place) {
        Seconds shortest = Seconds::max();
        for (int i = 0; i < kTimings; ++i) {
            const auto start = std::chrono::steady_clock::now();
            for (int j = 0; j < kPasses; ++j) kernels.load(place.get(), bytes);
            shortest = std::min<Seconds>(shortest, std::chrono::steady_clock::now() - start);
        }
        return shortest;
    };
    Seconds best_time = time(best);
    std::vector<Aligned> others;  // kept until the end: each place is to be another
    for (int i = 1; i < kPlaces; ++i) {
        others.push_back(aligned_zeros(bytes));
        const Seconds its_time = time(others.back());
        const bool as_good = std::max(its_time, best_time) < kAlike * std::min(its_time, best_time);
        if (its_time < best_time) {
            best_time = its_time;
            std::swap(best, others.back());
        }
        if (as_good) break;  // places differ by more where they matter
    }
#else
    (void)kernels;
#endif
    return best;
}

}  // namespace

std::unique_ptr<OwningPlan> make_plan(const Model& model, Precision precision,
                                      const Kernels& kernels) {
    auto plan = std::make_unique<OwningPlan>();
    Arena stream_size(nullptr), tiles_size(nullptr), arena_size(nullptr);
    Packer(model, precision, kernels, *plan, stream_size, tiles_size, arena_size).pack();
    plan->weights = good_place(stream_size.used(), kernels);
    plan->tiles = good_place(tiles_size.used(), kernels);
    plan->arena = aligned_zeros(arena_size.used());
    Arena stream(plan->weights.get()), tiles(plan->tiles.get()), arena(plan->arena.get());
    Packer(model, precision, kernels, *plan, stream, tiles, arena).pack();
    return plan;
}

}  // namespace timbrel
