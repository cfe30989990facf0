// The engine by itself: what Python's tests cannot see, and all of it under the sanitizers.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "timbrel/wavenet.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define TIMBREL_COUNTS_ALLOCATIONS 0  // the sanitizer brings an allocator of its own
#elif defined(_WIN32)
#define TIMBREL_COUNTS_ALLOCATIONS 0  // no aligned_alloc
#else
#define TIMBREL_COUNTS_ALLOCATIONS 1
#endif

namespace {
std::atomic<long> allocations{0};
}

#if TIMBREL_COUNTS_ALLOCATIONS
void* operator new(std::size_t size) {
    ++allocations;
    if (void* p = std::malloc(size)) return p;
    std::abort();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    ++allocations;
    const auto to = std::size_t(alignment);
    if (void* p = std::aligned_alloc(to, (size + to - 1) / to * to)) return p;
    std::abort();
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new[](std::size_t size, std::align_val_t a) { return operator new(size, a); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
#endif

namespace {

using namespace timbrel;

int failures = 0;

void check(bool holds, const std::string& what) {
    if (holds) return;
    std::printf("FAILED: %s\n", what.c_str());
    ++failures;
}

// Numbers in [-1, 1), the same everywhere.
class Numbers {
  public:
    float next() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return float(std::int32_t(state_ >> 32)) * 0x1p-31f;
    }
    std::vector<float> several(std::size_t n, float scale) {
        std::vector<float> values(n);
        for (float& value : values) value = scale * next();
        return values;
    }

  private:
    std::uint64_t state_ = 42;
};

Config small_config() {
    Config c;
    c.dilations = {1, 2, 4, 8, 16, 3};
    c.kernel_size = 3;
    c.residual_size = 20;
    c.skip_size = 36;
    c.n_mels = 7;
    c.hop_length = 20;  // not whole blocks
    return c;
}

// Whole tiles of matrices, where there are such: of two steps of 8-bit weights, in uneven blocks.
Config tiled_config() {
    Config c = small_config();
    c.residual_size = 128;
    c.skip_size = 192;
    c.kernel_size = 2;
    return c;
}

Model random_model(const Config& c, float gain = 1.0f) {
    Model model(c);
    Numbers numbers;
    const std::size_t r = c.residual_size, s = c.skip_size, m = c.n_mels, n = c.n_parameters;
    const auto set = [&](const std::string& name, std::size_t size, std::size_t inputs) {
        model.set(name, numbers.several(size, gain / std::sqrt(float(inputs))));
    };
    if (c.input_taps) {
        set("input.weight", r * c.input_taps, c.input_taps);
        set("input.bias", r, r);
        if (c.output == Output::categorical) set("input.values", n, 1);
    } else {
        set("input.weight", n * r, 1);
    }
    set("skip.bias", s, s);
    set("hidden.weight", s * s, s);
    set("hidden.bias", s, s);
    set("last.weight", n * s, s);
    set("last.bias", n, s);
    set("interpolation", std::size_t(c.n_around) * c.hop_length, c.n_around);
    if (c.output == Output::categorical) model.set("decode", numbers.several(n, 1));
    if (c.output_condition) set("hidden.condition.weight", s * m, m);
    if (c.skip_start) set("skip_start.weight", s * r, r);
    for (std::size_t i = 0; i < c.dilations.size(); ++i) {
        const std::string layer = "layers." + std::to_string(i) + ".";
        for (int k = 0; k < c.kernel_size; ++k)
            set(layer + "taps." + std::to_string(k) + ".weight", 2 * r * r, r);
        if (c.layer_condition) set(layer + "condition.weight", 2 * r * m, m);
        set(layer + "condition.bias", 2 * r, r);
        set(layer + "skip.weight", s * r, r);
        if (i + 1 < c.dilations.size()) {
            set(layer + "residual.weight", r * r, r);
            set(layer + "residual.bias", r, r);
        }
    }
    return model;
}

std::vector<std::uint64_t> numbered(std::size_t n) {
    std::vector<std::uint64_t> streams(n);
    for (std::size_t i = 0; i < n; ++i) streams[i] = i;
    return streams;
}

std::vector<float> mel_of(const Config& c, std::size_t streams, std::size_t frames) {
    return Numbers().several(streams * frames * c.n_mels, 1.0f);
}

Request drawing(std::vector<float>& audio, std::size_t n) {
    Request request;
    request.n_samples = n;
    request.audio = audio.data();
    return request;
}

// Calls work(name, isa, precision) for each instruction set and precision.
template <class Work>
void everywhere(const Work& work) {
    const char* const words[] = {" float32", " int16", " int8", " bfloat16"};
    for (const std::string& isa : instruction_sets())
        for (const Precision precision :
             {Precision::float32, Precision::int16, Precision::int8, Precision::bfloat16})
            if (has_precision(isa, precision)) work(isa + words[int(precision)], isa, precision);
}

void cuts_threads_and_neighbours_change_nothing(const Config& c) {
    const Model model = random_model(c);
    check(model.problem().empty(), "the model is sound: " + model.problem());
    constexpr std::size_t frames = 9, streams = 11;
    const auto mel = mel_of(c, streams, frames);
    everywhere([&](const std::string& name, const std::string& isa, Precision precision) {
        const Engine engine(model, precision, isa);
        Session whole(engine, numbered(streams), 5, 1.0f, 1);
        whole.feed(mel, frames);
        const std::size_t n = whole.ready();
        check(n == (frames - 3) * c.hop_length, name + ": frames are enough for their samples");
        std::vector<float> expected(streams * n);
        whole.sample(drawing(expected, n));

        Session cut(engine, numbered(streams), 5, 1.0f, 3);
        cut.feed(mel, frames);
        bool same = true;
        for (std::size_t done = 0, piece = 1; done < n; done += piece, piece = piece * 2 + 1) {
            piece = std::min(piece, n - done);
            std::vector<float> part(streams * piece);
            cut.sample(drawing(part, piece));
            for (std::size_t s = 0; s < streams; ++s)
                for (std::size_t i = 0; i < piece; ++i)
                    same = same && part[s * piece + i] == expected[s * n + done + i];
        }
        check(same, name + ": cuts and threads change nothing");

        const std::uint64_t tenth[] = {10};
        Session alone(engine, tenth, 5, 1.0f, 1);
        alone.feed({mel.data() + 10 * frames * c.n_mels, frames * c.n_mels}, frames);
        std::vector<float> found(n);
        alone.sample(drawing(found, n));
        check(std::equal(found.begin(), found.end(), expected.begin() + 10 * std::ptrdiff_t(n)),
              name + ": neighbours change nothing");
    });
}

void instruction_sets_agree(const Config& c) {
    constexpr std::size_t streams = 9;
    const Model model = random_model(c);
    const auto mel = mel_of(c, streams, 8);
    std::vector<float> forced(streams * 5 * 20);
    Numbers numbers;
    for (float& level : forced) level = std::floor(128 + 127 * numbers.next());
    std::vector<float> portable[3];
    everywhere([&](const std::string& name, const std::string& isa, Precision precision) {
        const Engine engine(model, precision, isa);
        Session session(engine, numbered(streams), 0, 1.0f, 1);
        session.feed(mel, 8);
        std::vector<float> logits(forced.size() * 256);
        Request request;
        request.n_samples = 5 * 20;
        request.forced = forced.data();
        request.parameters = logits.data();
        session.sample(request);
        // What the portable kernels do not have compares with their single precision.
        const bool has_same = precision != Precision::bfloat16;
        std::vector<float>& first = portable[has_same ? int(precision) : 0];
        if (first.empty()) first = logits;
        // Integers' products are the same, but what is rounded to them may fall to either side.
        const float tolerances[] = {1e-4f, 1e-2f, 0.2f, 0.1f};
        float most = 0, size = 0;
        for (std::size_t i = 0; i < first.size(); ++i) {
            most = std::max(most, std::fabs(first[i] - logits[i]));
            size = std::max(size, std::fabs(first[i]));
        }
        check(most < tolerances[int(precision)] && size > 0.2f,
              name + ": differs from portable by " + std::to_string(most));
    });
}

void nothing_is_allocated_while_sampling() {
    const Config c = small_config();
    const Model model = random_model(c);
    const Engine engine(model, Precision::int8, instruction_sets().back());
    for (const int threads : {1, 2}) {
        Session session(engine, numbered(9), 0, 1.0f, threads);
        session.feed(mel_of(c, 9, 50), 50);
        std::vector<float> audio(9 * 800);
        const Request request = drawing(audio, 800);
        const long before = allocations;
        session.sample(request);
        const long counted = allocations - before;
        check(counted == 0, "nothing is allocated while sampling");
    }
    const long before = allocations;
    void* volatile counted_one = ::operator new(10);
    ::operator delete(counted_one);
    const long counted = allocations - before;
    check(counted == TIMBREL_COUNTS_ALLOCATIONS, "allocations are counted");
}

void other_outputs_and_inputs_run() {
    for (const Output output : {Output::categorical, Output::gaussian, Output::logistics})
        for (const int taps : {1, 3}) {
            Config c = small_config();
            c.output = output;
            const int n_parameters[] = {100, 2, 9};
            c.n_parameters = n_parameters[int(output)];
            c.input_taps = c.n_around = taps;
            c.output_condition = c.skip_start = c.sigmoid_first = true;
            c.layer_condition = taps == 1;
            const Model model = random_model(c);
            check(model.problem().empty(), "the model is sound: " + model.problem());
            everywhere([&](const std::string& name, const std::string& isa, Precision precision) {
                const Engine engine(model, precision, isa);
                Session session(engine, numbered(3), 0, 1.0f, 1);
                session.feed(mel_of(c, 3, 6), 6);
                std::vector<float> audio(3 * session.ready());
                session.sample(drawing(audio, session.ready()));
                bool sound = true, moves = false;
                for (const float value : audio) {
                    sound = sound && value >= -1 && value <= 1;
                    moves = moves || value != audio[0];
                }
                check(sound && moves, name + ": amplitudes lie within -1 and 1");
            });
        }
}

// Logits so far apart that sums overflow where they are not taken care of.
void extreme_weights_give_levels() {
    const Config c = small_config();
    const Model model = random_model(c, 1e4f);
    everywhere([&](const std::string& name, const std::string& isa, Precision precision) {
        const Engine engine(model, precision, isa);
        Session session(engine, numbered(2), 0, 1.0f, 1);
        session.feed(mel_of(c, 2, 8), 8);
        std::vector<float> audio(2 * session.ready());
        session.sample(drawing(audio, session.ready()));
        bool sound = true;
        for (const float value : audio) sound = sound && value >= -1 && value <= 1;
        check(sound, name + ": extreme weights give levels");
    });
}

void unsound_models_are_named() {
    Config c = small_config();
    c.n_parameters = 0;
    check(!Model(c).problem().empty(), "sizes are checked");
    Model model = random_model(small_config());
    const std::string name = "layers.0.skip.weight";
    model.set(name, std::vector<float>(3));
    check(model.problem().find(name) != std::string::npos, "weights are checked");
    model.set(name, random_model(small_config()).weight(name));
    check(model.problem().empty(), "and may be replaced");
    model.set("layers.9.skip.weight", std::vector<float>(3));
    check(!model.problem().empty(), "superfluous weights are named");
}

}  // namespace

int main() {
    for (const std::string& isa : instruction_sets()) std::printf("%s ", isa.c_str());
    std::printf("\n");
    for (const Config& c : {small_config(), tiled_config()}) {
        cuts_threads_and_neighbours_change_nothing(c);
        instruction_sets_agree(c);
    }
    nothing_is_allocated_while_sampling();
    other_outputs_and_inputs_run();
    extreme_weights_give_levels();
    unsound_models_are_named();
    if (failures)
        std::printf("%d failed\n", failures);
    else
        std::printf("all passed\n");
    return failures != 0;
}
