#include "engine.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "isa.hpp"
#include "workers.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace timbrel {
namespace {

// Numbers too small to matter would cost hundreds of cycles each.
class FlushDenormals {
  public:
#if defined(__x86_64__)
    FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(before_); }

  private:
    unsigned before_;
#elif defined(__aarch64__)
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" : : "r"(before_ | (1ull << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(before_)); }

  private:
    std::uint64_t before_;
#endif
};

}  // namespace

struct Engine::Impl {
    std::unique_ptr<OwningPlan> plan;
    const Kernels* kernels;
    Config config;
    Precision precision;
};

Engine::Engine(const Model& model, Precision precision, const std::string& isa)
    : impl_(std::make_unique<Impl>()) {
    impl_->kernels = find_kernels(isa);
    assert(impl_->kernels);
    impl_->config = model.config;
    impl_->precision = precision;
    impl_->plan = make_plan(model, precision, *impl_->kernels);
}

Engine::~Engine() = default;

const Config& Engine::config() const { return impl_->config; }

std::size_t Engine::bytes_a_stream() const {
    return impl_->plan->state_bytes + impl_->plan->row_bytes + impl_->plan->bytes_behind;
}

double Engine::bytes_a_sample() const {
    const Plan& p = *impl_->plan;
    double bytes = double(p.stretch_bytes);
    for (int l = 0; l < p.n_layers; ++l)
        for (int tap = 0; tap < p.n_older_taps; ++tap)
            bytes += double(p.layers[l].taps[tap].bytes) / p.layers[l].block;
    return bytes;
}

std::uint64_t Engine::stream_weights(std::size_t n_samples) const {
    return impl_->kernels->stream_weights(*impl_->plan, n_samples);
}

struct Session::Impl {
    const Engine* engine;
    const Plan* plan;
    void (*run)(Group&, const Strip&);
    std::vector<std::uint64_t> streams;
    std::uint64_t seed;
    float temperature;
    std::uint64_t position = 0;
    std::uint64_t mel_start = 0, mel_stop = 0;
    Aligned states;                        // of all streams, one after the other
    Aligned rows;                          // of all groups
    std::vector<std::vector<float>> mels;  // of each stream: frames × padded size
    std::vector<Group> groups;
    std::vector<std::vector<std::int32_t>> slots;  // of each group
    Workers workers;
    Request request;

    Impl(const Engine& engine, std::span<const std::uint64_t> streams, std::uint64_t seed,
         float temperature, int threads)
        : engine(&engine),
          plan(engine.impl_->plan.get()),
          run(engine.impl_->kernels->sample[int(engine.impl_->precision)]),
          streams(streams.begin(), streams.end()),
          seed(seed),
          temperature(temperature),
          mels(streams.size()),
          workers(std::min<int>(threads, int(streams.size()))) {
        states = aligned_zeros(streams.size() * plan->state_bytes);
        rows = aligned_zeros(rows_from(streams.size()));
        start();
        make_groups();
    }

    // How far the rows reach that come before those of a group which begins with this stream.
    std::size_t rows_from(std::size_t stream) const {
        return stream * (plan->row_bytes + plan->bytes_behind);
    }

    unsigned char* state(std::size_t stream) { return states.get() + stream * plan->state_bytes; }

    // Before the first sample, silence was.
    void start() {
        const Config& c = engine->config();
        for (std::size_t s = 0; s < streams.size(); ++s) {
            auto* history = reinterpret_cast<float*>(state(s) + plan->history);
            const bool levels = c.output == Output::categorical;
            if (levels && c.input_taps == 0) history[0] = float(plan->silence_level);
            for (int i = 0; levels && i < c.input_taps; ++i)
                history[i] = plan->input_values[plan->silence_level];
        }
    }

    // Each thread's streams advance together, in groups of equal size as far as possible.
    void make_groups() {
        const int n = int(streams.size());
        const int n_threads = std::max(1, workers.size());
        const int share = (n + n_threads - 1) / n_threads;
        for (int thread_first = 0; thread_first < n; thread_first += share)
            for (int first = thread_first; first < std::min(n, thread_first + share);
                 first += kMaxLockstep) {
                Group group{};
                group.plan = plan;
                group.n = std::min({kMaxLockstep, n - first, thread_first + share - first});
                group.seed = seed;
                group.temperature = temperature;
                group.rows = rows.get() + rows_from(first);
                for (int s = 0; s < group.n; ++s) {
                    group.states[s] = state(first + s);
                    group.streams[s] = streams[first + s];
                }
                slots.emplace_back(plan->n_layers);
                // Blocks begin at the same slots as the gates' rows do.
                for (int l = 0; l < plan->n_layers; ++l)
                    slots.back()[l] = l % plan->layers[l].block;
                group.slots = slots.back().data();
                groups.push_back(group);
                group_first.push_back(first);
            }
    }

    void run_group(std::size_t index) {
        const FlushDenormals flushed;
        Group& group = groups[index];
        const int first = group_first[index];
        const std::size_t n = request.n_samples;
        Strip strip{};
        strip.n_samples = n;
        for (int s = 0; s < group.n; ++s) {
            const std::size_t at = std::size_t(first + s) * n;
            if (request.audio) strip.audio[s] = request.audio + at;
            if (request.forced) strip.forced[s] = request.forced + at;
            if (request.parameters)
                strip.parameters[s] = request.parameters + at * plan->n_parameters;
            group.mels[s] = mels[first + s].data();
        }
        group.mel_start = mel_start;
        group.mel_stop = mel_stop;
        run(group, strip);
    }

    std::vector<int> group_first;
};

Session::Session(const Engine& engine, std::span<const std::uint64_t> streams, std::uint64_t seed,
                 float temperature, int threads)
    : impl_(std::make_unique<Impl>(engine, streams, seed, temperature, threads)) {}

Session::Session(const Session& other)
    : impl_(std::make_unique<Impl>(*other.impl_->engine, other.impl_->streams, other.impl_->seed,
                                   other.impl_->temperature, other.impl_->workers.size())) {
    const Impl& from = *other.impl_;
    impl_->position = from.position;
    impl_->mel_start = from.mel_start;
    impl_->mel_stop = from.mel_stop;
    impl_->mels = from.mels;
    std::memcpy(impl_->states.get(), from.states.get(),
                from.streams.size() * from.plan->state_bytes);
    std::memcpy(impl_->rows.get(), from.rows.get(), from.rows_from(from.streams.size()));
    for (std::size_t i = 0; i < from.groups.size(); ++i) {
        impl_->groups[i].conditioned = from.groups[i].conditioned;
        impl_->groups[i].position = from.groups[i].position;
        std::copy(from.slots[i].begin(), from.slots[i].end(), impl_->slots[i].begin());
    }
}

Session::~Session() = default;

void Session::feed(std::span<const float> mel, std::size_t n_frames) {
    Impl& i = *impl_;
    const std::size_t size = i.engine->config().n_mels, row = i.plan->mels;
    assert(mel.size() == i.mels.size() * n_frames * size);
    // Frames that every group has turned into conditioning are not needed any more.
    std::uint64_t done = i.mel_stop;
    for (const Group& group : i.groups) done = std::min(done, group.conditioned);
    for (std::size_t s = 0; s < i.mels.size(); ++s) {
        std::vector<float>& mine = i.mels[s];
        mine.erase(mine.begin(), mine.begin() + std::ptrdiff_t((done - i.mel_start) * row));
        const std::size_t before = mine.size();
        mine.resize(before + n_frames * row);
        for (std::size_t frame = 0; frame < n_frames; ++frame)
            std::copy_n(mel.data() + (s * n_frames + frame) * size, size,
                        mine.data() + before + frame * row);
    }
    i.mel_start = done;
    i.mel_stop += n_frames;
}

std::size_t Session::ready() const {
    const Impl& i = *impl_;
    const std::uint64_t around = i.plan->n_around;
    if (i.mel_stop < around) return 0;
    return std::size_t((i.mel_stop - around + 1) * i.plan->hop - i.position);
}

void Session::sample(const Request& request) {
    assert(request.n_samples <= ready());
    impl_->request = request;
    impl_->workers.run(
        impl_->groups.size(),
        [](void* self, std::size_t index) { static_cast<Impl*>(self)->run_group(index); },
        impl_.get());
    impl_->position += request.n_samples;
}

std::size_t Session::n_streams() const { return impl_->streams.size(); }

std::uint64_t Session::position() const { return impl_->position; }

}  // namespace timbrel
