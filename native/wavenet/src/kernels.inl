// The kernels, written once for all instruction sets, of the steps in steps.inl.
#include "steps.inl"

// ---- The network ----------------------------------------------------------------------------

// All layers for one sample of all streams; their skip sums are left in the states.
//
// Each step of a layer waits for the one before, but nothing waits for its skip product: it is
// done in two parts, while the next layer's input and its gates are on their way.
template <class P>
inline void layers(Group& g) {
    if constexpr (Tiles<P>::kThere)
        if (is_tiled<P>(g)) return typename Tiles<P>::Layers(g).run();
    const Plan& p = *g.plan;
    Operands<P> inputs, gated, skip[2];
    inputs.n = gated.n = skip[0].n = skip[1].n = g.n;
    inputs.rests = gated.rests = g.n * p.residual;
    const int half = p.layers[0].skip[0].tiles * kLanes, of_frame = left_of_frame(g);
    for (int s = 0; s < g.n; ++s) {
        gated.scales[s] = 1.0f / (P::most(Range::both_signs) * (P::kHasRests ? kRests : 1));
        gated.starts[s] = gated.results[s] = at<float>(g.states[s], p.x);
        skip[0].sums[s] = skip_sums<P>(g, s);
        skip[1].sums[s] = skip[0].sums[s] + half;
        __builtin_memcpy(skip[0].sums[s], p.skip_offsets, p.skip * sizeof(std::int32_t));
    }
    for (int l = 0; l < p.n_layers; ++l) {
        const Layer& layer = p.layers[l];
        // Layers begin their blocks at different samples: were it the same, that sample's weights
        // would not fit into the second-level cache, and the next would miss them.
        const int slot = g.slots[l], row = int((g.position + l) % kMaxBlock);
        condition_gates<P, typename P::Gate>(g, l, of_frame, row);
        add_older_taps<P>(g, layer, slot, of_frame, row);
        g.slots[l] = slot + 1 == layer.ring ? 0 : slot + 1;
        const bool last = l + 1 == p.n_layers;
        for (int s = 0; s < g.n; ++s) {
            float* x = at<float>(g.states[s], p.x);
            inputs.gates[s] = gates_of<typename P::Gate>(g, layer, s, row);
            inputs.gated[s] = row_of<P>(g, p.z, l % 2 * 2, p.activation_bytes, s);
            gated.activations[s] = inputs.gated[s];
            if (layer.looked_up) {
                look_up_gates<P>(p, g.states[s], slot, inputs.gates[s], inputs.gated[s],
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
            for (int s = 0; s < g.n; ++s) {
                start.starts[s] = p.skip_bias;
                start.results[s] = at<float>(g.states[s], p.skip_start_sum);
            }
            add_product<P>(p.skip_start_matrix, start);
        }
        const Matrix* before = l > 0 ? p.layers[l - 1].skip : nullptr;
        if (before) add_product<P, Finish::sum>(before[0], skip[0]);
        if (!layer.looked_up) add_product<P, Finish::gate>(layer.current, inputs);
        if (before) add_product<P, Finish::sum>(before[1], skip[1]);
        if (!last) add_product<P, Finish::fine>(layer.residual, gated);
        for (int s = 0; s < g.n; ++s)
            skip[0].activations[s] = skip[1].activations[s] = gated.activations[s];
    }
    for (int i = 0; i < 2; ++i)
        add_product<P, Finish::sum>(p.layers[p.n_layers - 1].skip[i], skip[i]);
}

// Skip sums → parameters of the distribution.
template <class P>
inline void output(Group& g) {
    using Activation = typename P::Activation;
    const Plan& p = *g.plan;
    Operands<P> o;
    o.n = g.n;
    o.tile_sums = tile_sums<P>(g);
    for (int s = 0; s < g.n; ++s) {
        unsigned char* state = g.states[s];
        float *skip = at<float>(state, p.skip_start_sum), *head = at<float>(state, p.head);
        auto* activations = row_of<P>(g, p.head_activations, 0, p.skip * sizeof(Activation), s);
        const float* before = p.skip_start ? skip : p.skip_bias;
        const auto* sums = skip_sums<P>(g, s);
        for (int i = 0; i < p.skip; i += kLanes) {
            const F sum = P::total(load(sums + i)), start = load(before + i);
            if constexpr (P::kScaled)
                store(skip + i, fma(sum, load(p.skip_scales + i), start));
            else
                store(skip + i, start + sum);
        }
        o.scales[s] = quantise<P, Range::positive>(activations, skip, p.skip);
        o.activations[s] = activations;
        if (p.output_condition) {
            interpolate<typename P::Frame>(p, state, g.position, 1, p.n_layers * 2 * p.residual,
                                           p.skip, head);
            add_vector(head, p.hidden_bias, p.skip);
            o.starts[s] = head;
        } else {
            o.starts[s] = p.hidden_bias;
        }
        o.results[s] = head;
    }
    add_product<P>(p.hidden, o);
    for (int s = 0; s < g.n; ++s) {
        unsigned char* state = g.states[s];
        float* head = at<float>(state, p.head);
        auto* activations = row_of<P>(g, p.head_activations, 0, p.skip * sizeof(Activation), s);
        o.scales[s] = quantise<P, Range::positive>(activations, head, p.skip);
        o.starts[s] = p.last_bias;
        o.results[s] = at<float>(state, p.logits);
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

// Logits → weights of the levels, in their place, and their sums in columns of every sixteenth:
// these need no shuffles.
inline void weigh_levels(float* logits, int n, int padded, float temperature, float* columns) {
    F most = load(logits);
    // Padding must not win, nor add to the sum.
    for (int i = n; i < padded; ++i) logits[i] = -3e38f;
    for (int i = kLanes; i < padded; i += kLanes) most = max(most, load(logits + i));
    const F peak = largest(most), steps = splat(1.44269504f / temperature);
    F sums[kPad / kLanes] = {};
    for (int i = 0; i < padded; i += kPad) {
        TIMBREL_UNROLL
        for (int j = 0; j < kPad / kLanes; ++j) {
            float* place = logits + i + j * kLanes;
            const F e = power_of_two((load(place) - peak) * steps);
            store(place, e);
            sums[j] += e;
        }
    }
    for (int j = 0; j < kPad / kLanes; ++j) store(columns + j * kLanes, sums[j]);
}

// A level, by inverting the cumulative sum of the weights, which runs through one column after the
// other. Without branches, which nothing would foresee.
inline int draw_level(const float* weights, const float* columns, int n, int padded, double u) {
    float below[kPad], total = 0;
    for (int i = 0; i < kPad; ++i) {
        below[i] = total;
        total += columns[i];
    }
    const float target = float(u) * total;
    int column = 0;
    for (int i = 1; i < kPad; ++i) column += below[i] <= target;
    float cumulative = below[column];
    int level = column;
    for (int i = column; i < padded - kPad; i += kPad) {
        cumulative += weights[i];
        level += cumulative <= target ? kPad : 0;
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

// Takes or draws the samples, gives their amplitudes, and remembers them as the next ones' inputs.
inline void finish_samples(Group& g, const Strip& strip, std::size_t i) {
    const Plan& p = *g.plan;
    alignas(kAlign) float columns[kMaxLockstep][kPad];
    for (int s = 0; s < g.n; ++s) {
        float* logits = at<float>(g.states[s], p.logits);
        if (strip.parameters[s])
            __builtin_memcpy(strip.parameters[s] + i * p.n_parameters, logits,
                             p.n_parameters * sizeof(float));
        if (p.output == 0 && !strip.forced[s])
            weigh_levels(logits, p.n_parameters, p.parameters, g.temperature, columns[s]);
    }
    for (int s = 0; s < g.n; ++s) {
        const float* logits = at<float>(g.states[s], p.logits);
        float* history = at<float>(g.states[s], p.history);
        float sample;
        if (strip.forced[s]) {
            sample = strip.forced[s][i];
        } else {
            const double u = uniform(g.seed, g.streams[s], g.position);
            if (p.output == 0)
                sample = float(draw_level(logits, columns[s], p.n_parameters, p.parameters, u));
            else if (p.output == 1)
                sample = draw_normal(logits, u, g.temperature);
            else
                sample = draw_logistic(logits, p.n_parameters / 3, u, g.temperature);
        }
        if (strip.audio[s]) strip.audio[s][i] = p.output == 0 ? p.decode[int(sample)] : sample;
        for (int j = 0; j + 1 < p.input_taps; ++j) history[j] = history[j + 1];
        const bool by_value = p.input_taps > 0 && p.output == 0;
        history[p.input_taps ? p.input_taps - 1 : 0] =
            by_value ? p.input_values[int(sample)] : sample;
    }
}

template <class P>
void sample(Group& g, const Strip& strip) {
    const Plan& p = *g.plan;
    [[maybe_unused]] const typename Tiles<P>::Session session(g.n);
    for (std::size_t i = 0; i < strip.n_samples; ++i) {
        if (g.position % p.hop == 0)
            while (g.conditioned < g.position / p.hop + p.n_around) condition_frames<P>(g);
        for (int s = 0; s < g.n; ++s) start_sample(p, g.states[s]);
        layers<P>(g);
        output<P>(g);
        finish_samples(g, strip, i);
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
            false,
            {sample<Float32>, sample<Int16>, sample<Int8>, nullptr},
            stream_weights,
            load_all};
}
