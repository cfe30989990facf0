// The Python module timbrel._wavenet; src/timbrel/vocoder/engine.py is the only one to import it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "timbrel/wavenet.hpp"

namespace nb = nanobind;
using namespace timbrel;
using namespace nb::literals;

namespace {

using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Floats2 = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Floats3 = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
T one_of(const std::string& word, const char* what, std::initializer_list<const char*> known) {
    int index = 0;
    for (const char* name : known) {
        if (word == name) return T(index);
        ++index;
    }
    throw nb::value_error((std::string(what) + " '" + word + "' is not known").c_str());
}

Config config_from(const nb::dict& values) {
    Config c;
    for (const auto& [key_handle, value] : values) {
        const auto key = nb::cast<std::string>(key_handle);
        if (key == "dilations")
            c.dilations = nb::cast<std::vector<int>>(value);
        else if (key == "kernel_size")
            c.kernel_size = nb::cast<int>(value);
        else if (key == "residual_size")
            c.residual_size = nb::cast<int>(value);
        else if (key == "skip_size")
            c.skip_size = nb::cast<int>(value);
        else if (key == "n_parameters")
            c.n_parameters = nb::cast<int>(value);
        else if (key == "n_mels")
            c.n_mels = nb::cast<int>(value);
        else if (key == "hop_length")
            c.hop_length = nb::cast<int>(value);
        else if (key == "n_around")
            c.n_around = nb::cast<int>(value);
        else if (key == "input_taps")
            c.input_taps = nb::cast<int>(value);
        else if (key == "sigmoid_first")
            c.sigmoid_first = nb::cast<bool>(value);
        else if (key == "layer_condition")
            c.layer_condition = nb::cast<bool>(value);
        else if (key == "output_condition")
            c.output_condition = nb::cast<bool>(value);
        else if (key == "skip_start")
            c.skip_start = nb::cast<bool>(value);
        else if (key == "output")
            c.output = one_of<Output>(nb::cast<std::string>(value), "the output",
                                      {"categorical", "gaussian", "mixture-of-logistics"});
        else
            throw nb::value_error(("the configuration has an unknown key '" + key + "'").c_str());
    }
    return c;
}

Precision precision_of(const std::string& word) {
    return one_of<Precision>(word, "the precision", {"float32", "int16", "int8", "bfloat16"});
}

std::unique_ptr<Engine> make_engine(const nb::dict& config, const nb::dict& weights,
                                    const std::string& precision, const std::string& isa) {
    Model model([&] {
        try {
            return config_from(config);
        } catch (const nb::cast_error&) {
            throw nb::value_error("a value of the configuration has the wrong type");
        }
    }());
    for (const auto& [name, values] : weights) {
        const auto array = nb::cast<Floats>(values);
        model.set(nb::cast<std::string>(name), {array.data(), array.size()});
    }
    if (const std::string problem = model.problem(); !problem.empty())
        throw nb::value_error(problem.c_str());
    bool found = false;
    for (const std::string& known : instruction_sets()) found = found || known == isa;
    if (!found)
        throw nb::value_error(("this processor has no instruction set '" + isa + "'").c_str());
    const Precision chosen = precision_of(precision);
    if (!has_precision(isa, chosen))
        throw nb::value_error(("the instruction set '" + isa + "' has no " + precision).c_str());
    return std::make_unique<Engine>(model, chosen, isa);
}

// Hands an array to NumPy, which frees it.
nb::ndarray<nb::numpy, float> as_numpy(std::unique_ptr<float[]> values,
                                       std::initializer_list<std::size_t> shape) {
    float* data = values.release();
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<float*>(p); });
    return {data, shape, owner};
}

// A session that checks what it is asked for.
class CheckedSession {
  public:
    CheckedSession(const Engine& engine, const Numbers& streams, std::uint64_t seed,
                   float temperature, int threads)
        : config_(engine.config()),
          session_(engine, {streams.data(), streams.size()}, seed, temperature, threads) {}

    void feed(const Floats3& mel) {
        if (mel.shape(0) != session_.n_streams() || mel.shape(2) != std::size_t(config_.n_mels))
            throw nb::value_error("the conditioning is not of shape (streams, frames, n_mels)");
        session_.feed({mel.data(), mel.size()}, mel.shape(1));
    }

    nb::ndarray<nb::numpy, float> sample(std::size_t n) {
        check(n);
        auto audio = std::make_unique<float[]>(session_.n_streams() * n);
        Request request;
        request.n_samples = n;
        request.audio = audio.get();
        run(request);
        return as_numpy(std::move(audio), {session_.n_streams(), n});
    }

    nb::ndarray<nb::numpy, float> force(const Floats2& samples) {
        const std::size_t n = samples.shape(1), n_parameters = config_.n_parameters;
        check(n);
        if (samples.shape(0) != session_.n_streams())
            throw nb::value_error("there must be a row of samples for each stream");
        const bool levels = config_.output == Output::categorical;
        for (std::size_t i = 0; i < samples.size(); ++i) {
            const float sample = samples.data()[i];
            if (levels ? !(sample >= 0 && sample < float(n_parameters))
                       : !(sample >= -1 && sample <= 1))
                throw nb::value_error(levels ? "a sample is not one of the levels"
                                             : "a sample lies outside -1 to 1");
        }
        auto parameters = std::make_unique<float[]>(samples.size() * n_parameters);
        Request request;
        request.n_samples = n;
        request.forced = samples.data();
        request.parameters = parameters.get();
        run(request);
        return as_numpy(std::move(parameters), {session_.n_streams(), n, n_parameters});
    }

    std::size_t ready() const { return session_.ready(); }
    std::uint64_t position() const { return session_.position(); }

  private:
    void check(std::size_t n) const {
        if (n > session_.ready())
            throw nb::value_error("more samples are asked for than the conditioning is enough for");
    }

    void run(const Request& request) {
        const nb::gil_scoped_release released;
        session_.sample(request);
    }

    Config config_;
    Session session_;
};

}  // namespace

NB_MODULE(_wavenet, m) {
    m.doc() = "The native WaveNet engine.";
    m.def("instruction_sets", &instruction_sets, "Those this processor has, the best one last.");
    m.def(
        "has_precision",
        [](const std::string& isa, const std::string& precision) {
            return has_precision(isa, precision_of(precision));
        },
        "isa"_a, "precision"_a, "Whether an instruction set has products of a precision.");
    nb::class_<Engine>(m, "Engine")
        .def(nb::new_(&make_engine), "config"_a, "weights"_a, "precision"_a, "isa"_a)
        .def_prop_ro("bytes_a_stream", &Engine::bytes_a_stream)
        .def_prop_ro("bytes_a_sample", &Engine::bytes_a_sample)
        .def("stream_weights", &Engine::stream_weights, "n_samples"_a,
             nb::call_guard<nb::gil_scoped_release>());
    nb::class_<CheckedSession>(m, "Session")
        .def(nb::init<const Engine&, const Numbers&, std::uint64_t, float, int>(), "engine"_a,
             "streams"_a, "seed"_a, "temperature"_a, "threads"_a, nb::keep_alive<1, 2>())
        .def(
            "copy", [](const CheckedSession& session) { return CheckedSession(session); },
            nb::keep_alive<0, 1>())
        .def("feed", &CheckedSession::feed, "mel"_a)
        .def("sample", &CheckedSession::sample, "n_samples"_a)
        .def("force", &CheckedSession::force, "samples"_a)
        .def_prop_ro("ready", &CheckedSession::ready)
        .def_prop_ro("position", &CheckedSession::position);
}
