// The layers of a WaveNet in training: forward and backward pass in bfloat16 with the matrix tiles
// of AMX. src/timbrel/vocoder/wavenet.py is the reference; a layer of it is
//
//     g = Wprev x[t - dilation] + Wcur x[t] + condition      z = tanh(g, first half) · σ(g, second)
//     skip += Wskip z                                        x += Wres z + bres
//
// and what comes out is max(skip + bskip, 0), where the condition is interpolated from frames by a
// kernel that all channels share. What a layer of a block of samples needs stays in the
// second-level cache: that is what makes it fast.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace timbrel::training {

using Half = std::uint16_t;  // bits of a bfloat16

struct Sizes {
    int batch, frames, hop;
    int residual, skip;          // channels, multiples of 32
    std::vector<int> dilations;  // of the layers
    int first;                   // samples before this one have no outputs: they only warm up

    int time() const { return frames * hop; }
    int layers() const { return int(dilations.size()); }
    // Each frame's condition reaches over so many hops.
    static constexpr int kAround = 4;
};

// Weights and gradients, as PyTorch has them: row-major, out × in, one layer after the other.
template <class Float>
struct Parameters {
    Float* kernel;     // kAround × hop
    Float* previous;   // layers × 2·residual × residual
    Float* current;    // the same
    Float* out;        // layers - 1 × residual × residual
    Float* out_bias;   // layers - 1 × residual
    Float* skip;       // layers × skip × residual
    Float* skip_bias;  // skip
};

// One pass through the layers, with what the way back needs.
class Pass {
  public:
    virtual ~Pass() = default;

    // x: batch × time × residual. condition: batch × (frames + kAround - 1) × layers × 2·residual.
    // outputs: batch × (time - first) × skip, on a cache line's boundary.
    virtual void forward(const float* x, const float* condition, const Parameters<const float>&,
                         Half* outputs, int threads) = 0;

    // Gradients from that of the outputs; all are overwritten. Once for each forward pass.
    virtual void backward(const Half* outputs, const Half* gradient, float* x, float* condition,
                          const Parameters<float>&, int threads) = 0;
};

// Whether this processor, and its operating system, have what the passes need.
bool available();

// Throws std::invalid_argument where the sizes do not fit the tiles.
std::unique_ptr<Pass> make_pass(const Sizes&);

}  // namespace timbrel::training
