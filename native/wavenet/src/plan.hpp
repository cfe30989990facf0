// What the kernels of an instruction set are given: plain data, no code.
//
// The kernels' translation units are compiled for processors that may not be the one that runs
// them. They must not instantiate inline functions of the standard library, since the linker keeps
// one copy of each for the whole program. So they see this header and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace timbrel {

constexpr int kTilesInBlock = 8;  // most tiles of rows whose weights lie together
constexpr int kMaxBlock = 8;      // samples whose older taps are worked off together
constexpr int kMaxLockstep = 8;   // streams that share a load of the weights
constexpr int kMaxOperands = kMaxBlock * kMaxLockstep;
constexpr int kRowsBehind = 16;      // of any kind: they may be read and are not used
constexpr int kMaxTaps = 16;         // of a layer
constexpr int kMaxAround = 16;       // frames that a sample's conditioning mixes
constexpr int kConditionFrames = 8;  // frames whose conditioning is computed together
constexpr int kAlign = 64;           // bytes; also the unit of sizes below, in elements: 16
constexpr int kPad = 16;
// A processor's matrix tile: rows of so many bytes, of which each holds what one instruction of
// vectors would multiply.
constexpr int kTileRow = 64, kTileRows = 16, kTileBytes = kTileRow * kTileRows;
constexpr int kSkipTiles = 4;  // of rows whose skip products are summed together

// Operands that meet a load of weights, at most; and the tiles whose sums, for so many operands,
// fill half of the registers.
constexpr int operands_at_once(int registers) { return registers / 4; }
constexpr int tiles_at_once(int registers, int operands) {
    const int tiles = registers / 2 / operands;
    return tiles < kTilesInBlock ? tiles : kTilesInBlock;
}

// Integers that activations are rounded to. Eight-bit weights meet activations of seven bits
// without sign: 127 · 127 · 2 fits into 16 bits, so no instruction saturates. What follows a
// rectifier uses all of them; what has a sign has its zero in the middle.
enum class Range { both_signs, positive };
constexpr int kBytesMost = 127;
constexpr int zero_of(Range range) { return range == Range::both_signs ? 64 : 0; }
// What rounding leaves of a gate's product, as integers of the same range, is so much finer: the
// residual stream sums the products of all layers, and 7 bits of them lose the most of all
// roundings.
constexpr int kRestBits = 7, kRests = 1 << kRestBits;
constexpr float kMostHalf = 6e4f;  // nearly the largest float of 16 bits
constexpr int kInt16Max = 2047;    // leaves 20 bits to the weights of a sum

// A packed matrix: tiles of `lanes` rows, `tiles_in_block` of them interleaved, column after
// column.
struct Matrix {
    const void* weights;
    // The same by whole tiles of the processor, where it has them: of two tiles of rows, column
    // after column.
    const unsigned char* by_tiles;
    const float* scales;  // one a row; null in single precision
    // One a row, of 8-bit weights whose activations have signs: undoes these numbers' zero.
    const std::int32_t* offsets;
    // Of gates in floats of 16 bits (isa/half.inl): a sum's 16 bits from `turn_shift` on, times
    // `turn_unit`, times its row's share, which is such a float, are the product.
    const std::uint16_t* turn_shares;
    float turn_unit;
    std::int32_t turn_shift;
    std::int32_t tiles, tiles_in_block;
    std::int32_t columns;  // padded
    std::size_t bytes;
};

struct Layer {
    std::int32_t dilation;
    std::int32_t block;  // samples whose older taps are worked off together
    std::int32_t ring;   // inputs that are remembered
    const Matrix* taps;  // the older ones, the oldest first
    Matrix current, residual;
    Matrix skip[2];  // of the first half of the rows, and of the others
    const float* residual_bias;
    bool looked_up;  // its inputs are levels, and its products with them in the plan's tables
    // Where the group's rows hold the inputs: ring × activation bytes a stream. Levels that are
    // looked up are in the stream's state.
    std::size_t inputs;
    // Where the stream's state holds what:
    std::size_t input_scales;
    std::size_t gates;  // block × gate rows: conditioning and older taps
};

struct Plan {
    std::int32_t n_layers, n_older_taps;
    std::int32_t residual, skip, parameters, mels;  // padded
    std::int32_t n_parameters;                      // as they are
    std::int32_t hop, n_around;
    std::int32_t output;  // of enum Output
    std::int32_t input_taps;
    bool layer_condition, output_condition, skip_start;
    bool tiled;  // its products can be computed by whole tiles
    const Layer* layers;
    Matrix skip_start_matrix, hidden, last;
    // All layers' skip weights by whole tiles: of so many tiles of rows, one layer after the other.
    const unsigned char* skips_by_tiles;
    Matrix condition;  // all layers' and the output's, in single precision
    const float* condition_bias;
    const float *skip_bias, *hidden_bias, *last_bias;
    const float* skip_scales;          // of all layers' skip sums; not for single precision
    const std::int32_t* skip_offsets;  // of all layers together
    const float* input_weights;        // levels × residual, or taps × residual
    const float* input_bias;
    const float* first_tables;  // taps × (1 + levels) × gate rows, of a layer that is looked up
    const float* input_values;
    const float* decode;
    const float* interpolation;  // around × hop
    std::int32_t silence_level;
    std::int32_t condition_rows, condition_ring;
    std::size_t activation_bytes;  // of a layer's input
    // Where a group's rows hold the gates' products, with their rests, of all layers if by tiles,
    // or of two; the sums of all layers' skip products; and the head's activations.
    std::size_t z, skip_sums, head_activations;
    // By tiles: sums of a product, and of a layer's older taps.
    std::size_t tile_sums, tap_sums;
    std::size_t row_bytes;     // a stream's, in all
    std::size_t bytes_behind;  // a group's
    // A stream's state:
    std::size_t x, skip_start_sum, head, logits, history, conditions;
    std::size_t state_bytes;
    const unsigned char* stretch;  // what each sample reads, together
    std::size_t stretch_bytes;
};

// Streams on their way.
struct Group {
    const Plan* plan;
    std::int32_t n;
    unsigned char* states[kMaxLockstep];
    // Rows of activations: of one kind, those of all streams lie side by side.
    unsigned char* rows;
    const float* mels[kMaxLockstep];    // frames × padded mels; row 0 is frame `mel_start`
    std::uint64_t mel_start, mel_stop;  // frames that are there
    std::uint64_t conditioned;          // frames whose conditioning has been computed
    std::uint64_t position;             // samples done
    std::int32_t* slots;                // of each layer's ring: where the next input goes
    std::uint64_t streams[kMaxLockstep];
    std::uint64_t seed;
    float temperature;
};

struct Strip {  // of a request, for one group
    std::size_t n_samples;
    float* audio[kMaxLockstep];
    const float* forced[kMaxLockstep];
    float* parameters[kMaxLockstep];
};

struct Kernels {
    const char* name;
    std::int32_t lanes, registers;
    bool has_tiles;                           // multiplies whole ones
    void (*sample[4])(Group&, const Strip&);  // by precision; null where it has none
    std::uint64_t (*stream_weights)(const Plan&, std::size_t);
    std::uint64_t (*load)(const unsigned char*, std::size_t);
};

}  // namespace timbrel
