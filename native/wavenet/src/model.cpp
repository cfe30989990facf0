#include <cmath>
#include "plan.hpp"

#include "timbrel/wavenet.hpp"

namespace timbrel {
namespace {

constexpr int kMaxWidth = 1024;  // sums of 8-bit products of wide activations fit into 32 bits
constexpr int kMaxParameters = 4096;
constexpr int kMaxHop = 65536;
constexpr int kMaxReach = 1 << 20;

using Sizes = std::map<std::string, std::size_t>;

Sizes expected(const Config& c) {
    const std::size_t r = c.residual_size, s = c.skip_size, m = c.n_mels, n = c.n_parameters;
    Sizes sizes{{"skip.bias", s},   {"hidden.weight", s * s},
                {"hidden.bias", s}, {"last.weight", n * s},
                {"last.bias", n},   {"interpolation", std::size_t(c.n_around) * c.hop_length}};
    if (c.input_taps == 0) {
        sizes["input.weight"] = n * r;
    } else {
        sizes["input.weight"] = r * c.input_taps;
        sizes["input.bias"] = r;
        if (c.output == Output::categorical) sizes["input.values"] = n;
    }
    if (c.output == Output::categorical) sizes["decode"] = n;
    if (c.output_condition) sizes["hidden.condition.weight"] = s * m;
    if (c.skip_start) sizes["skip_start.weight"] = s * r;
    for (std::size_t i = 0; i < c.dilations.size(); ++i) {
        const std::string layer = "layers." + std::to_string(i) + ".";
        for (int tap = 0; tap < c.kernel_size; ++tap)
            sizes[layer + "taps." + std::to_string(tap) + ".weight"] = 2 * r * r;
        if (c.layer_condition) sizes[layer + "condition.weight"] = 2 * r * m;
        sizes[layer + "condition.bias"] = 2 * r;
        sizes[layer + "skip.weight"] = s * r;
        if (i + 1 < c.dilations.size()) {
            sizes[layer + "residual.weight"] = r * r;
            sizes[layer + "residual.bias"] = r;
        }
    }
    return sizes;
}

std::string range_problem(const char* name, long value, long low, long high) {
    if (value >= low && value <= high) return {};
    return std::string(name) + " is " + std::to_string(value) + "; it must lie between " +
           std::to_string(low) + " and " + std::to_string(high);
}

std::string size_problem(const Config& c) {
    const struct {
        const char* name;
        long value, low, high;
    } ranges[] = {
        {"the number of layers", long(c.dilations.size()), 1, 1000},
        {"kernel_size", c.kernel_size, 1, 16},
        {"residual_size", c.residual_size, 1, kMaxWidth},
        {"skip_size", c.skip_size, 1, kMaxWidth},
        {"n_parameters", c.n_parameters, 1, kMaxParameters},
        {"n_mels", c.n_mels, 1, kMaxWidth},
        {"hop_length", c.hop_length, 1, kMaxHop},
        {"n_around", c.n_around, 1, kMaxAround},
        {"input_taps", c.input_taps, 0, 64},
    };
    for (const auto& range : ranges)
        if (auto found = range_problem(range.name, range.value, range.low, range.high);
            !found.empty())
            return found;
    for (const int dilation : c.dilations)
        if (auto found = range_problem("a dilation", dilation, 1, kMaxReach); !found.empty())
            return found;
    if (c.output != Output::categorical && c.input_taps == 0)
        return "a continuous output needs input_taps of at least 1";
    if (c.output == Output::gaussian && c.n_parameters != 2)
        return "a Gaussian output has 2 parameters, not " + std::to_string(c.n_parameters);
    if (c.output == Output::logistics && c.n_parameters % 3 != 0)
        return "a mixture of logistics has 3 parameters a component, not " +
               std::to_string(c.n_parameters) + " in all";
    return {};
}

}  // namespace

void Model::set(std::string_view name, std::span<const float> values) {
    weights_.insert_or_assign(std::string(name), std::vector<float>(values.begin(), values.end()));
}

std::span<const float> Model::weight(const std::string& name) const {
    const auto found = weights_.find(name);
    if (found == weights_.end()) return {};
    return found->second;
}

std::string Model::problem() const {
    if (auto found = size_problem(config); !found.empty()) return found;
    const Sizes sizes = expected(config);
    for (const auto& [name, values] : weights_)
        if (!sizes.contains(name)) return "the weight '" + name + "' does not belong to it";
    for (const auto& [name, size] : sizes) {
        const auto found = weights_.find(name);
        if (found == weights_.end()) return "the weight '" + name + "' is missing";
        if (found->second.size() != size)
            return "the weight '" + name + "' holds " + std::to_string(found->second.size()) +
                   " numbers, not " + std::to_string(size);
        for (const float value : found->second)
            if (!std::isfinite(value))
                return "the weight '" + name + "' holds a value that is not finite";
    }
    return {};
}

}  // namespace timbrel
