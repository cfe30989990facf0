// What a layer does besides its products, of the arithmetic in products.inl.
#pragma once

#include "products.inl"

// A stream's row of those that lie from `offset` on, as the plan counts it.
template <class P>
inline typename P::Activation* row_of(const Group& g, std::size_t offset, int index,
                                      std::size_t bytes, int s) {
    return at<typename P::Activation>(g.rows,
                                      offset * g.n + (std::size_t(index) * g.n + s) * bytes);
}

// A stream's sums of all layers' skip products.
template <class P>
inline typename P::Number* skip_sums(const Group& g, int s) {
    return at<typename P::Number>(
        g.rows,
        (g.plan->skip_sums * g.n + s * std::size_t(g.plan->skip) * sizeof(typename P::Number)));
}

// Rounds floats to activations with a scale of their own; gives the number that undoes it. Those of
// a positive range are rectified before.
template <class P, Range kRange>
inline float quantise(typename P::Activation* to, const float* from, int n) {
    float scale = 1.0f;
    F up = splat(1.0f);
    if constexpr (P::kScaled) {
        constexpr float most_kept = P::most(kRange);
        F most{};
        for (int i = 0; i < n; i += kLanes) {
            const F v = load(from + i);
            most = max(most, kRange == Range::positive ? v : absolute(v));
        }
        // Silence has a scale, too, and no inverse that overflows.
        const float peak = max(largest(most), splat(1e-30f))[0];
        up = splat(most_kept / peak);
        scale = peak * (1.0f / most_kept);
    }
    const auto keep = [&]<int many>(int i, Numbers<many>) {
        F v[many];
        TIMBREL_UNROLL
        for (int j = 0; j < many; ++j) {
            v[j] = load(from + i + j * kLanes);
            if constexpr (kRange == Range::positive) v[j] = max(v[j], F{});
            if constexpr (P::kScaled) v[j] *= up;
        }
        P::template keep<kRange>(to + i, v);
        return i + many * kLanes;
    };
    int i = 0;
    while (i + 4 * kLanes <= n) i = keep(i, Numbers<4>());
    while (i < n) i = keep(i, Numbers<1>());
    return scale;
}

// A frame's conditioning of a stream: all layers' rows.
template <class Frame>
inline Frame* frame_of(const Plan& p, unsigned char* state, int slot) {
    return reinterpret_cast<Frame*>(at<float>(state, p.conditions) +
                                    std::size_t(slot) * p.condition_rows);
}

// Conditioning of the next frames.
template <class P>
inline void condition_frames(Group& g) {
    using Frame = typename P::Frame;
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
            o.results[i] = frame_of<float>(p, g.states[s], int(frame % p.condition_ring));
            o.starts[i] = p.condition_bias;
        }
        add_product<Float32>(p.condition, o);
        for (int i = 0; sizeof(Frame) < sizeof(float) && i < n; ++i) {
            int row = 0;
            if constexpr (kInTurns<P>) {
                row = p.n_layers * 2 * p.residual;
                P::keep_gates(reinterpret_cast<typename P::Gate*>(o.results[i]), o.results[i], row);
            }
            for (; row < p.condition_rows; row += kLanes)
                store(reinterpret_cast<Frame*>(o.results[i]) + row,
                      clamp(load(o.results[i] + row), -kMostHalf, kMostHalf));
        }
    }
    g.conditioned = stop;
}

// The conditioning of n samples, for some of the rows; each frame is loaded once for all of them.
template <int n, class Frame, class To>
inline void mix_frames(const Frame* const* frames, const float* const* weights, int n_frames,
                       int n_rows, To* to) {
    for (int i = 0; i < n_rows; i += kLanes) {
        F sums[n] = {};
        for (int j = 0; j < n_frames; ++j) {
            const F row = load(frames[j] + i);
            TIMBREL_UNROLL
            for (int k = 0; k < n; ++k) sums[k] = fma(row, splat(weights[j][k]), sums[k]);
        }
        TIMBREL_UNROLL
        for (int k = 0; k < n; ++k) keep<Frame>(to + k * n_rows + i, sums[k]);
    }
}

// to[i] = the conditioning of the samples from `position` on, for some of the rows.
template <class Frame, class To>
inline void interpolate(const Plan& p, unsigned char* state, std::uint64_t position, int n_samples,
                        int row, int n_rows, To* to) {
    const std::uint64_t frame = position / p.hop;
    const int phase = int(position - frame * p.hop);
    const Frame* frames[kMaxAround];
    const float* weights[kMaxAround];
    // Kernels reach the outer frames at few samples.
    int n_frames = 0, slot = int(frame % p.condition_ring);
    for (int j = 0; j < p.n_around; ++j) {
        const float* of_frame = p.interpolation + j * p.hop + phase;
        bool counts = false;
        for (int i = 0; i < n_samples; ++i) counts |= of_frame[i] != 0;
        frames[n_frames] = frame_of<Frame>(p, state, slot) + row;
        weights[n_frames] = of_frame;
        n_frames += counts;
        slot = slot + 1 == p.condition_ring ? 0 : slot + 1;
    }
    int left = n_samples;
    const auto mix = [&]<int n>(Numbers<n>) {
        for (; left >= n; left -= n, to += n * n_rows) {
            mix_frames<n>(frames, weights, n_frames, n_rows, to);
            for (int j = 0; j < n_frames; ++j) weights[j] += n;
        }
    };
    mix(Numbers<8>());
    mix(Numbers<4>());
    mix(Numbers<2>());
    mix(Numbers<1>());
}

// Where an older tap finds its input, for the sample whose own goes to `slot`.
inline int older_slot(const Layer& layer, int slot, int tap) {
    slot += tap * layer.dilation;
    return slot < layer.ring ? slot : slot - layer.ring;
}

// Whether a group's products are computed by whole tiles.
template <class P>
inline bool is_tiled(const Group& g) {
    if constexpr (Tiles<P>::kThere)
        return g.plan->tiled && g.n >= Tiles<P>::kLeast;
    else
        return false;
}

// Where the tiles' sums of products go, which are worked off before the next ones.
template <class P>
inline unsigned char* tile_sums(const Group& g) {
    return is_tiled<P>(g) ? g.rows + g.plan->tile_sums * g.n : nullptr;
}

// The samples from this one to the end of its frame.
inline int left_of_frame(const Group& g) { return g.plan->hop - int(g.position % g.plan->hop); }

// How many samples are worked off now, of `multiple` that are worked off together: up to the end of
// the frame, whose successor may not be there yet. `row` counts samples.
inline int begun(const Group& g, int of_frame, int row, int multiple) {
    const int left = multiple - row % multiple;
    if (of_frame < g.plan->hop && row % multiple) return 0;
    return left < of_frame ? left : of_frame;
}

// Where a sample's gates of a layer begin: their conditioning, which products are added to.
template <class Gate>
inline Gate* gates_of(const Group& g, const Layer& layer, int s, int row) {
    return at<Gate>(g.states[s], layer.gates) + row * 2 * g.plan->residual;
}

// The conditioning of a layer's gates for the samples that begin now.
template <class P, class Gate>
inline void condition_gates(Group& g, int index, int of_frame, int row) {
    const Plan& p = *g.plan;
    const int rows = 2 * p.residual, n = begun(g, of_frame, row, kMaxBlock);
    for (int s = 0; n && s < g.n; ++s) {
        Gate* gates = gates_of<Gate>(g, p.layers[index], s, row);
        if (p.layer_condition) {
            interpolate<typename P::GateFrame>(p, g.states[s], g.position, n, index * rows, rows,
                                               gates);
            continue;
        }
        const float* bias = p.condition_bias + index * rows;
        if constexpr (kInTurns<P>) {
            for (int i = 0; i < n; ++i) P::keep_gates(gates + i * rows, bias, rows);
        } else {
            for (int i = 0; i < n * rows; i += kLanes)
                keep<typename P::Frame>(gates + i, load(bias + i % rows));
        }
    }
}

// Adds the products of a layer's older taps, for the samples that begin now.
template <class P>
inline void add_older_taps(Group& g, const Layer& layer, int slot, int of_frame, int row) {
    const Plan& p = *g.plan;
    const int n = layer.looked_up ? 0 : begun(g, of_frame, row, layer.block);
    for (int tap = 0; n && tap < p.n_older_taps; ++tap) {
        // The ring holds whole dilations and these whole blocks, so a block never wraps around.
        const int older = older_slot(layer, slot, tap);
        // The samples of all streams' blocks share a load of the weights.
        Operands<P> o;
        o.n = 0;
        for (int i = 0; i < n; ++i)
            for (int s = 0; s < g.n; ++s, ++o.n) {
                o.activations[o.n] = row_of<P>(g, layer.inputs, older + i, p.activation_bytes, s);
                o.scales[o.n] = at<float>(g.states[s], layer.input_scales)[older + i];
                o.gates[o.n] = gates_of<typename P::Gate>(g, layer, s, row + i);
            }
        add_product<P, Finish::taps>(layer.taps[tap], o);
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

// The first layer's gates where its inputs are levels: their products are looked up.
template <class P, class Gate>
inline void look_up_gates(const Plan& p, unsigned char* state, int slot, const Gate* before,
                          typename P::Activation* to, int rests) {
    const Layer& layer = p.layers[0];
    const int rows = 2 * p.residual, n_taps = p.n_older_taps + 1;
    const float* products[kMaxTaps];
    const auto product = [&](int tap, int level) {
        return p.first_tables + (tap * (p.n_parameters + 1) + level) * rows;
    };
    // Counted from 1: before the first sample there is none, and 0 has a row of zeros.
    auto* levels = at<std::int32_t>(state, layer.inputs);
    for (int tap = 0; tap < p.n_older_taps; ++tap)
        products[tap] = product(tap, levels[older_slot(layer, slot, tap)]);
    levels[slot] = 1 + int(*at<float>(state, p.history));
    products[p.n_older_taps] = product(p.n_older_taps, levels[slot]);
    constexpr int tiles = kFewestTiles<P, Finish::gate>;
    for (int i = 0; i < 2 * p.residual; i += tiles * kLanes) {
        F values[tiles];
        TIMBREL_UNROLL
        for (int j = 0; j < tiles; ++j) {
            const int row = i + j * kLanes;
            if constexpr (kInTurns<P>)
                values[j] = F{};
            else
                values[j] = load(before + row);
            for (int tap = 0; tap < n_taps; ++tap) values[j] += load(products[tap] + row);
        }
        if constexpr (kInTurns<P>)
            P::keep_looked_up(to + i / 2, rests, before + i, values);
        else
            keep_gated<P, tiles / 2>(to + i / 2, rests, values);
    }
}
