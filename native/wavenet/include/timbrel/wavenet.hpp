// A WaveNet that samples audio on a CPU: any configuration, several precisions and instruction
// sets.
//
// Model (configuration and weights in single precision) → Engine (weights packed for one precision
// and one instruction set, shared by all threads) → Session (the state of some streams).
//
// Nothing here throws or needs more than the standard library; what can be wrong with a model is
// found by Model::problem() before an engine is made of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace timbrel {

enum class Precision { float32, int16, int8, bfloat16 };
enum class Output { categorical, gaussian, logistics };

struct Config {
    std::vector<int> dilations;  // one a layer
    int kernel_size = 2;
    int residual_size = 64;
    int skip_size = 256;
    int n_parameters = 256;  // of the distribution: levels, 2, or 3 a component
    Output output = Output::categorical;
    int n_mels = 80;  // size of a frame of conditioning
    int hop_length = 128;
    int n_around = 4;    // frames that a sample's conditioning mixes
    int input_taps = 0;  // causal input convolution of so many samples; 0: an embedding of levels
    bool sigmoid_first = false;     // which half of a gate's rows comes first
    bool layer_condition = true;    // conditioning enters every layer
    bool output_condition = false;  // conditioning enters the hidden layer of the output
    bool skip_start = false;        // the input feeds the skip sum, too
};

// Weights by name, row-major (outputs × inputs):
//   input.weight      levels × residual, or residual × taps with the newest sample last
//   (input.bias) input.values      the number that stands for each level, where samples are
//   convolved layers.I.taps.K   2·residual × residual, the oldest tap first
//   layers.I.condition.{weight,bias}, layers.I.residual.{weight,bias} (not of the last layer),
//   layers.I.skip.weight, skip.bias (the sum of all layers'), skip_start.weight
//   hidden.{weight,bias}, hidden.condition.weight, last.{weight,bias}
//   interpolation     around × hop; decode: the amplitude of each level
class Model {
  public:
    explicit Model(Config config) : config(std::move(config)) {}

    void set(std::string_view name, std::span<const float> values);

    // What is wrong, in words: a size that is not possible, a weight that is missing, superfluous,
    // of another size or not finite. Empty where all is well.
    std::string problem() const;

    std::span<const float> weight(const std::string& name) const;

    Config config;

  private:
    std::map<std::string, std::vector<float>, std::less<>> weights_;
};

// Names of the instruction sets that this build holds and this processor has, the best one last.
std::vector<std::string> instruction_sets();

// Whether one of them has products of a precision: bfloat16 is for AMX alone.
bool has_precision(const std::string& isa, Precision precision);

class Engine {
  public:
    // `isa` must be one of instruction_sets() that has the precision, and the model without
    // problem().
    Engine(const Model& model, Precision precision, const std::string& isa);
    ~Engine();

    const Config& config() const;
    std::size_t bytes_a_stream() const;
    // Bytes of weights that each sample loads, once the older taps are worked off in blocks.
    double bytes_a_sample() const;
    // Loads these bytes, in the engine's order and nothing else, for so many samples.
    // Gives a number that depends on all of them.
    std::uint64_t stream_weights(std::size_t n_samples) const;

  private:
    friend class Session;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// What samples are drawn by, or what they are. All arrays hold streams × samples.
struct Request {
    std::size_t n_samples = 0;
    float* audio = nullptr;         // amplitudes; not needed where samples are forced
    const float* forced = nullptr;  // the samples to take: levels or amplitudes
    float* parameters = nullptr;    // of the distributions: streams × samples × n_parameters
};

// Some streams that advance together. Copying a session keeps its state.
class Session {
  public:
    // `threads` share the streams among them. The engine must live longer.
    Session(const Engine& engine, std::span<const std::uint64_t> streams, std::uint64_t seed,
            float temperature, int threads);
    Session(const Session& other);
    Session& operator=(const Session&) = delete;
    ~Session();

    // Appends frames of conditioning: streams × frames × n_mels. The first frame of all lies one
    // before the first sample's where a sample mixes several.
    void feed(std::span<const float> mel, std::size_t n_frames);

    // Samples that what was fed is enough for.
    std::size_t ready() const;

    // Samples; the request must not ask for more than ready(). Nothing is allocated.
    void sample(const Request& request);

    std::size_t n_streams() const;
    std::uint64_t position() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace timbrel
