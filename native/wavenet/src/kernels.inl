// The kernels, written once for all instruction sets, of the arithmetic in products.inl.
#include "products.inl"

// ---- The network ----------------------------------------------------------------------------

// A stream's row of those that lie from `offset` on, as the plan counts it.
template <class P>
inline typename P::Activation* row_of(const Group& g, std::size_t offset, int index,
                                      std::size_t bytes, int s) {
    return at<typename P::Activation>(g.rows,
                                      offset * g.n + (std::size_t(index) * g.n + s) * bytes);
}

// Rounds floats to activations with a scale of their own; gives the number that undoes it.
template <class P, Range kRange>
inline float quantise(typename P::Activation* to, const float* from, int n) {
    float scale = 1.0f;
    F up = splat(1.0f);
    if constexpr (P::kScaled) {
        constexpr float most_kept = P::most(kRange);
        F most = absolute(load(from));
        for (int i = kLanes; i < n; i += kLanes) most = max(most, absolute(load(from + i)));
        // Silence has a scale, too, and no inverse that overflows.
        const F peak = max(largest(most), splat(1e-30f));
        up = splat(most_kept) / peak;
        scale = peak[0] * (1.0f / most_kept);
    }
    const auto keep = [&]<int many>(int i, Numbers<many>) {
        F v[many];
        TIMBREL_UNROLL
        for (int j = 0; j < many; ++j) {
            v[j] = load(from + i + j * kLanes);
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

// Conditioning of the next frames: all layers' rows of each.
inline void condition_frames(Group& g) {
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
            o.results[i] =
                at<float>(g.states[s], p.conditions) + frame % p.condition_ring * p.condition_rows;
            __builtin_memcpy(o.results[i], p.condition_bias, p.condition_rows * sizeof(float));
        }
        add_product<Float32>(p.condition, o);
    }
    g.conditioned = stop;
}

// The conditioning of n samples, for some of the rows; each frame is loaded once for all of them.
template <int n>
inline void mix_frames(const Plan& p, const float* const* frames, const float* weights, int n_rows,
                       float* to) {
    for (int i = 0; i < n_rows; i += kLanes) {
        F sums[n] = {};
        for (int j = 0; j < p.n_around; ++j) {
            const F row = load(frames[j] + i);
            TIMBREL_UNROLL
            for (int k = 0; k < n; ++k) sums[k] = fma(row, splat(weights[j * p.hop + k]), sums[k]);
        }
        TIMBREL_UNROLL
        for (int k = 0; k < n; ++k) store(to + k * n_rows + i, sums[k]);
    }
}

// to[i] = the conditioning of the samples from `position` on, for some of the rows.
inline void interpolate(const Plan& p, unsigned char* state, std::uint64_t position, int n_samples,
                        int row, int n_rows, float* to) {
    const std::uint64_t frame = position / p.hop;
    const int phase = int(position - frame * p.hop);
    const float* frames[kMaxAround];
    for (int j = 0; j < p.n_around; ++j)
        frames[j] = at<float>(state, p.conditions) +
                    (frame + j) % p.condition_ring * p.condition_rows + row;
    int i = 0;
    for (; i + 8 <= n_samples; i += 8)
        mix_frames<8>(p, frames, p.interpolation + phase + i, n_rows, to + i * n_rows);
    for (; i + 4 <= n_samples; i += 4)
        mix_frames<4>(p, frames, p.interpolation + phase + i, n_rows, to + i * n_rows);
    for (; i + 2 <= n_samples; i += 2)
        mix_frames<2>(p, frames, p.interpolation + phase + i, n_rows, to + i * n_rows);
    for (; i < n_samples; ++i)
        mix_frames<1>(p, frames, p.interpolation + phase + i, n_rows, to + i * n_rows);
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

// The conditioning of a layer's gates, and the products of its older taps, for the samples that
// begin now. Rows are worked off ahead up to the next multiple of what is worked off together, or
// to the end of the frame, whose successor may not be there yet.
template <class P>
inline void prepare_gates(Group& g, const Layer& layer, int index, int row) {
    const Plan& p = *g.plan;
    const int rows = 2 * p.residual, of_frame = p.hop - int(g.position % p.hop);
    const auto up_to = [&](int multiple) {
        const int left = multiple - row % multiple;
        return left < of_frame ? left : of_frame;
    };
    const bool anew = of_frame == p.hop;
    const int conditioned = anew || row == 0 ? up_to(kMaxBlock) : 0;
    const int tapped =
        !layer.looked_up && (anew || row % layer.block == 0) ? up_to(layer.block) : 0;
    for (int s = 0; conditioned && s < g.n; ++s) {
        float* gates = at<float>(g.states[s], layer.gates) + row * rows;
        if (p.layer_condition)
            interpolate(p, g.states[s], g.position, conditioned, index * rows, rows, gates);
        else
            for (int i = 0; i < conditioned; ++i)
                __builtin_memcpy(gates + i * rows, p.condition_bias + index * rows,
                                 rows * sizeof(float));
    }
    for (int tap = 0; tapped && tap < p.n_older_taps; ++tap) {
        // The ring holds whole dilations and these whole blocks, so a block never wraps around.
        const int slot = older_slot(layer, g.slots[index], tap);
        // The samples of all streams' blocks share a load of the weights.
        Operands<P> o;
        o.tiled = is_tiled<P>(g);
        o.n = 0;
        const int most = (o.tiled ? Tiles<P>::kMost : kMaxBlock) * g.n;
        for (int i = 0; i < tapped; ++i) {
            for (int s = 0; s < g.n; ++s, ++o.n) {
                o.activations[o.n] = row_of<P>(g, layer.inputs, slot + i, p.activation_bytes, s);
                o.scales[o.n] = at<float>(g.states[s], layer.input_scales)[slot + i];
                o.results[o.n] = at<float>(g.states[s], layer.gates) + (row + i) * rows;
            }
            if (i + 1 < tapped && o.n < most) continue;
            add_product<P>(layer.taps[tap], o);
            o.n = 0;
        }
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
template <class P>
inline void look_up_gates(const Plan& p, unsigned char* state, int slot, const float* before,
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
    for (int i = 0; i < p.residual; i += kLanes) {
        F a = load(before + 2 * i), b = load(before + 2 * i + kLanes);
        for (int tap = 0; tap < n_taps; ++tap) {
            a += load(products[tap] + 2 * i);
            b += load(products[tap] + 2 * i + kLanes);
        }
        keep_gated<P, 1>(to + i, rests, {a, b});
    }
}

// All layers for one sample of all streams; their skip sums are left in the states.
//
// Each step of a layer waits for the one before, but nothing waits for its skip product: it is
// done in two parts, while the next layer's input and its gates are on their way.
template <class P>
inline void layers(Group& g) {
    const Plan& p = *g.plan;
    Operands<P> inputs, gated, skip[2];
    inputs.n = gated.n = skip[0].n = skip[1].n = g.n;
    const bool tiled = inputs.tiled = gated.tiled = is_tiled<P>(g);
    inputs.rests = gated.rests = g.n * p.residual;
    const int half = p.layers[0].skip[0].tiles * kLanes;
    for (int s = 0; s < g.n; ++s) {
        gated.scales[s] = 1.0f / (P::most(Range::both_signs) * (P::kHasRests ? kRests : 1));
        gated.results[s] = at<float>(g.states[s], p.x);
        skip[0].sums[s] = at<typename P::Number>(g.states[s], p.skip_sum);
        skip[1].sums[s] = skip[0].sums[s] + half;
    }
    for (int l = 0; l < p.n_layers; ++l) {
        const Layer& layer = p.layers[l];
        // Layers begin their blocks at different samples: were it the same, that sample's weights
        // would not fit into the second-level cache, and the next would miss them.
        const int slot = g.slots[l], row = int((g.position + l) % kMaxBlock);
        prepare_gates<P>(g, layer, l, row);
        g.slots[l] = slot + 1 == layer.ring ? 0 : slot + 1;
        const bool last = l + 1 == p.n_layers;
        for (int s = 0; s < g.n; ++s) {
            float* x = at<float>(g.states[s], p.x);
            inputs.results[s] = at<float>(g.states[s], layer.gates) + row * 2 * p.residual;
            inputs.gated[s] = row_of<P>(g, p.z, l % p.z_layers * 2, p.activation_bytes, s);
            gated.activations[s] = inputs.gated[s];
            if (layer.looked_up) {
                look_up_gates<P>(p, g.states[s], slot, inputs.results[s], inputs.gated[s],
                                 inputs.rests);
            } else {
                auto* input = row_of<P>(g, layer.inputs, slot, p.activation_bytes, s);
                inputs.scales[s] = quantise<P, Range::both_signs>(input, x, p.residual);
                at<float>(g.states[s], layer.input_scales)[slot] = inputs.scales[s];
                inputs.activations[s] = input;
            }
            if (!last) add_vector(x, layer.residual_bias, p.residual);
        }
        if (l == 0 && p.skip_start) {
            Operands<P> start = inputs;
            for (int s = 0; s < g.n; ++s)
                start.results[s] = at<float>(g.states[s], p.skip_start_sum);
            add_product<P>(p.skip_start_matrix, start);
        }
        // By tiles, all layers' skip products come last: their sums need not be stored in between.
        const Matrix* before = l > 0 && !tiled ? p.layers[l - 1].skip : nullptr;
        if (before) add_product<P, Finish::sum>(before[0], skip[0]);
        if (!layer.looked_up) add_product<P, Finish::gate>(layer.current, inputs);
        if (before) add_product<P, Finish::sum>(before[1], skip[1]);
        if (!last) add_product<P, Finish::fine>(layer.residual, gated);
        for (int s = 0; s < g.n; ++s)
            skip[0].activations[s] = skip[1].activations[s] = gated.activations[s];
    }
    if constexpr (Tiles<P>::kThere)
        if (tiled) return Tiles<P>::add_skips(g);
    for (int i = 0; i < 2; ++i)
        add_product<P, Finish::sum>(p.layers[p.n_layers - 1].skip[i], skip[i]);
}

inline void rectify(float* v, int n) {
    for (int i = 0; i < n; i += kLanes) store(v + i, max(load(v + i), F{}));
}

// Skip sums → parameters of the distribution.
template <class P>
inline void output(Group& g) {
    using Activation = typename P::Activation;
    const Plan& p = *g.plan;
    Operands<P> o;
    o.n = g.n;
    o.tiled = is_tiled<P>(g);
    for (int s = 0; s < g.n; ++s) {
        unsigned char* state = g.states[s];
        float *skip = at<float>(state, p.skip_start_sum), *head = at<float>(state, p.head);
        auto* activations = row_of<P>(g, p.head_activations, 0, p.skip * sizeof(Activation), s);
        const auto* sums = at<typename P::Number>(state, p.skip_sum);
        for (int i = 0; i < p.skip; i += kLanes) {
            const F sum = P::total(load(sums + i)), start = load(skip + i);
            if constexpr (P::kScaled)
                store(skip + i, max(fma(sum, load(p.skip_scales + i), start), F{}));
            else
                store(skip + i, max(start + sum, F{}));
        }
        o.scales[s] = quantise<P, Range::positive>(activations, skip, p.skip);
        o.activations[s] = activations;
        if (p.output_condition) {
            interpolate(p, state, g.position, 1, p.n_layers * 2 * p.residual, p.skip, head);
            add_vector(head, p.hidden_bias, p.skip);
        } else {
            __builtin_memcpy(head, p.hidden_bias, p.skip * sizeof(float));
        }
        o.results[s] = head;
    }
    add_product<P>(p.hidden, o);
    for (int s = 0; s < g.n; ++s) {
        unsigned char* state = g.states[s];
        float* head = at<float>(state, p.head);
        auto* activations = row_of<P>(g, p.head_activations, 0, p.skip * sizeof(Activation), s);
        rectify(head, p.skip);
        o.scales[s] = quantise<P, Range::positive>(activations, head, p.skip);
        o.results[s] = at<float>(state, p.logits);
        __builtin_memcpy(o.results[s], p.last_bias, p.parameters * sizeof(float));
    }
    add_product<P>(p.last, o);
}

// ---- Drawing samples ------------------------------------------------------------------------

// A number in [0, 1) that depends on nothing but its place (Philox 4×32-10, Salmon et al. 2011).
inline double uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t sample) {
    std::uint32_t c[4] = {std::uint32_t(sample), std::uint32_t(sample >> 32), std::uint32_t(stream),
                          std::uint32_t(stream >> 32)};
    std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t(0xD2511F53u) * c[0];
        const std::uint64_t b = std::uint64_t(0xCD9E8D57u) * c[2];
        const std::uint32_t next[4] = {std::uint32_t(b >> 32) ^ c[1] ^ k0, std::uint32_t(b),
                                       std::uint32_t(a >> 32) ^ c[3] ^ k1, std::uint32_t(a)};
        for (int i = 0; i < 4; ++i) c[i] = next[i];
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return double((std::uint64_t(c[0]) << 21) ^ (c[1] >> 11)) * 0x1p-53;
}

// A level, by inverting the distribution's cumulative sum. It runs through the levels in columns of
// every sixteenth, whose sums need no shuffles.
inline int draw_level(float* logits, int n, int padded, double u, float temperature) {
    F most = load(logits);
    // Padding must not win, nor add to the sum.
    for (int i = n; i < padded; ++i) logits[i] = -3e38f;
    for (int i = kLanes; i < padded; i += kLanes) most = max(most, load(logits + i));
    const F peak = largest(most), inverse = splat(1.0f / temperature);
    F sums[kPad / kLanes] = {};
    for (int i = 0; i < padded; i += kPad) {
        TIMBREL_UNROLL
        for (int j = 0; j < kPad / kLanes; ++j) {
            float* place = logits + i + j * kLanes;
            const F e = exponential((load(place) - peak) * inverse);
            store(place, e);
            sums[j] += e;
        }
    }
    alignas(kAlign) float below[kPad];
    float total = 0;
    for (int j = 0; j < kPad / kLanes; ++j) store(below + j * kLanes, sums[j]);
    for (int i = 0; i < kPad; ++i) {
        const float column = below[i];
        below[i] = total;
        total += column;
    }
    const float target = float(u) * total;
    int column = 0;
    for (int i = 1; i < kPad; ++i) column += below[i] <= target;
    float cumulative = below[column];
    int level = column;
    for (; level + kPad < padded; level += kPad) {
        cumulative += logits[level];
        if (cumulative > target) break;
    }
    return level < n ? level : n - 1;
}

// The quantile function of the standard normal distribution to 1e-9 (Acklam).
inline double normal_quantile(double u) {
    constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                            1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
    constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                            6.680131188771972e+01, -1.328068155288572e+01};
    constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                            -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
    constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                            3.754408661907416e+00};
    u = u < 5e-7 ? 5e-7 : u > 1 - 5e-7 ? 1 - 5e-7 : u;
    const auto tail = [&](double p) {
        const double q = __builtin_sqrt(-2 * __builtin_log(p));
        return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
               ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    };
    if (u < 0.02425) return tail(u);
    if (u > 1 - 0.02425) return -tail(1 - u);
    const double q = u - 0.5, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

constexpr float kMinLogScale = -9.0f;

inline float scale_of(float log_scale) {
    return __builtin_expf(log_scale < kMinLogScale ? kMinLogScale : log_scale);
}

inline float bounded(float v) { return v < -1 ? -1 : v > 1 ? 1 : v; }

inline float draw_normal(const float* parameters, double u, float temperature) {
    const double deviate = normal_quantile(u);
    return bounded(parameters[0] + temperature * scale_of(parameters[1]) * float(deviate));
}

inline float draw_logistic(const float* parameters, int n, double u, float temperature) {
    double most = parameters[0], total = 0;
    for (int i = 1; i < n; ++i) most = parameters[i] > most ? parameters[i] : most;
    for (int i = 0; i < n; ++i) total += __builtin_exp(parameters[i] - most);
    const double target = u * total;
    double below = 0, width = 0;
    int which = 0;
    for (;; ++which) {
        width = __builtin_exp(parameters[which] - most);
        if (which == n - 1 || below + width > target) break;
        below += width;
    }
    // What is left of the draw within the component is uniform again.
    double rest = (target - below) / width;
    rest = rest < 1e-5 ? 1e-5 : rest > 1 - 1e-5 ? 1 - 1e-5 : rest;
    const float logistic = float(__builtin_log(rest / (1 - rest)));
    return bounded(parameters[n + which] +
                   temperature * scale_of(parameters[2 * n + which]) * logistic);
}

// Takes or draws the sample, gives its amplitude, and remembers it as the next one's input.
inline void finish_sample(Group& g, const Strip& strip, int s, std::size_t i) {
    const Plan& p = *g.plan;
    float* logits = at<float>(g.states[s], p.logits);
    float* history = at<float>(g.states[s], p.history);
    if (strip.parameters[s])
        __builtin_memcpy(strip.parameters[s] + i * p.n_parameters, logits,
                         p.n_parameters * sizeof(float));
    float sample;
    if (strip.forced[s]) {
        sample = strip.forced[s][i];
    } else {
        const double u = uniform(g.seed, g.streams[s], g.position);
        if (p.output == 0)
            sample = float(draw_level(logits, p.n_parameters, p.parameters, u, g.temperature));
        else if (p.output == 1)
            sample = draw_normal(logits, u, g.temperature);
        else
            sample = draw_logistic(logits, p.n_parameters / 3, u, g.temperature);
    }
    if (strip.audio[s]) strip.audio[s][i] = p.output == 0 ? p.decode[int(sample)] : sample;
    for (int j = 0; j + 1 < p.input_taps; ++j) history[j] = history[j + 1];
    const bool by_value = p.input_taps > 0 && p.output == 0;
    history[p.input_taps ? p.input_taps - 1 : 0] = by_value ? p.input_values[int(sample)] : sample;
}

template <class P>
void sample(Group& g, const Strip& strip) {
    const Plan& p = *g.plan;
    [[maybe_unused]] const typename Tiles<P>::Session session(g.n);
    for (std::size_t i = 0; i < strip.n_samples; ++i) {
        if (g.position % p.hop == 0)
            while (g.conditioned < g.position / p.hop + p.n_around) condition_frames(g);
        for (int s = 0; s < g.n; ++s) {
            start_sample(p, g.states[s]);
            __builtin_memcpy(at<float>(g.states[s], p.skip_start_sum), p.skip_bias,
                             p.skip * sizeof(float));
            __builtin_memcpy(at<std::int32_t>(g.states[s], p.skip_sum), p.skip_offsets,
                             p.skip * sizeof(std::int32_t));
        }
        layers<P>(g);
        output<P>(g);
        for (int s = 0; s < g.n; ++s) finish_sample(g, strip, s, i);
        ++g.position;
    }
}

// ---- The floor ------------------------------------------------------------------------------

inline I loaded(const unsigned char* p, std::size_t bytes, I sum) {
    I sums[8] = {};
    std::size_t i = 0;
    for (; i + sizeof sums <= bytes; i += sizeof sums) {
        TIMBREL_UNROLL
        for (int j = 0; j < 8; ++j) sums[j] ^= load_bits(p + i + j * sizeof(I));
    }
    for (; i + sizeof(I) <= bytes; i += sizeof(I)) sum ^= load_bits(p + i);
    TIMBREL_UNROLL
    for (int j = 0; j < 8; ++j) sum ^= sums[j];
    return sum;
}

inline I loaded(const Matrix& m, I sum) {
    return loaded(static_cast<const unsigned char*>(m.weights), m.bytes, sum);
}

inline std::uint64_t lanes_of(I sum) {
    std::uint64_t all = 0;
    for (int i = 0; i < kLanes; ++i) all = all * 31 + std::uint32_t(sum[i]);
    return all;
}

std::uint64_t load_all(const unsigned char* p, std::size_t bytes) {
    return lanes_of(loaded(p, bytes, I{}));
}

std::uint64_t stream_weights(const Plan& p, std::size_t n_samples) {
    I sum{};
    for (std::size_t t = 0; t < n_samples; ++t) {
        for (int l = 0; l < p.n_layers; ++l) {
            if ((t + l) % p.layers[l].block) continue;
            for (int tap = 0; tap < p.n_older_taps; ++tap) sum = loaded(p.layers[l].taps[tap], sum);
        }
        sum = loaded(p.stretch, p.stretch_bytes, sum);
        // As many samples as there are must be as many passes.
        asm volatile("" ::: "memory");
        sum += 1;
    }
    return lanes_of(sum);
}

constexpr Kernels make_kernels(const char* name) {
    return {name,
            kLanes,
            kRegisters,
            0,
            {sample<Float32>, sample<Int16>, sample<Int8>, nullptr},
            stream_weights,
            load_all};
}
