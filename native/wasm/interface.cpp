// The engine's C interface, for WebAssembly. Whoever calls it checks what it is given: pointers are
// valid, arrays as long as they must be, and no more samples are asked for than are ready.
#include <cstdlib>
#include <cstring>
#include <string>

#include "timbrel/wavenet.hpp"

using namespace timbrel;

#define EXPORTED(name) extern "C" __attribute__((export_name(name)))

EXPORTED("allocate") void* allocate(std::size_t bytes) { return std::malloc(bytes); }

EXPORTED("release") void release(void* p) { std::free(p); }

// `sizes` are the fields of Config in their order, but the dilations, which follow.
EXPORTED("model_new")
Model* model_new(const std::int32_t* sizes, const std::int32_t* dilations, std::int32_t n_layers) {
    Config c;
    c.dilations.assign(dilations, dilations + n_layers);
    c.kernel_size = sizes[0];
    c.residual_size = sizes[1];
    c.skip_size = sizes[2];
    c.n_parameters = sizes[3];
    c.output = Output(sizes[4]);
    c.n_mels = sizes[5];
    c.hop_length = sizes[6];
    c.n_around = sizes[7];
    c.input_taps = sizes[8];
    c.sigmoid_first = sizes[9];
    c.layer_condition = sizes[10];
    c.output_condition = sizes[11];
    c.skip_start = sizes[12];
    return new Model(std::move(c));
}

EXPORTED("model_set")
void model_set(Model* model, const char* name, const float* values, std::size_t n) {
    model->set(name, {values, n});
}

// What is wrong with it, as text that lives until the next call; empty where all is well.
EXPORTED("model_problem") const char* model_problem(const Model* model) {
    static std::string problem;
    problem = model->problem();
    return problem.c_str();
}

EXPORTED("model_delete") void model_delete(Model* model) { delete model; }

EXPORTED("engine_new") Engine* engine_new(const Model* model, std::int32_t precision) {
    return new Engine(*model, Precision(precision), instruction_sets().back());
}

EXPORTED("engine_delete") void engine_delete(Engine* engine) { delete engine; }

EXPORTED("session_new")
Session* session_new(const Engine* engine, std::int32_t n_streams, std::uint32_t seed,
                     float temperature) {
    std::vector<std::uint64_t> streams(n_streams);
    for (std::int32_t i = 0; i < n_streams; ++i) streams[i] = i;
    return new Session(*engine, streams, seed, temperature, 1);
}

EXPORTED("session_delete") void session_delete(Session* session) { delete session; }

EXPORTED("session_feed")
void session_feed(Session* session, const float* mel, std::size_t n_values, std::size_t n_frames) {
    session->feed({mel, n_values}, n_frames);
}

EXPORTED("session_ready") std::size_t session_ready(const Session* session) {
    return session->ready();
}

EXPORTED("session_sample") void session_sample(Session* session, std::size_t n, float* audio) {
    Request request;
    request.n_samples = n;
    request.audio = audio;
    session->sample(request);
}

EXPORTED("session_force")
void session_force(Session* session, std::size_t n, const float* samples, float* parameters) {
    Request request;
    request.n_samples = n;
    request.forced = samples;
    request.parameters = parameters;
    session->sample(request);
}
