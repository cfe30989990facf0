// The Python module timbrel._training; src/timbrel/engine/layers.py is the only one to import it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "stack.hpp"

namespace nb = nanobind;
using namespace timbrel::training;
using namespace nb::literals;

namespace {

template <class Float>
using Array = nb::ndarray<Float, nb::c_contig, nb::device::cpu>;

// A pass that checks the shapes of what it is given.
class CheckedPass {
  public:
    explicit CheckedPass(const Sizes& sizes) : s_(sizes), pass_(make_pass(sizes)) {}

    void forward(const Array<const float>& x, const Array<const float>& condition,
                 const std::vector<Array<const float>>& weights, const Array<Half>& outputs,
                 int threads) {
        check(x, condition, outputs);
        if (reinterpret_cast<std::uintptr_t>(outputs.data()) % 64)
            throw nb::value_error("the outputs do not begin on a cache line's boundary");
        const auto parameters = taken<const float>(weights);
        const nb::gil_scoped_release released;
        pass_->forward(x.data(), condition.data(), parameters, outputs.data(), threads);
    }

    void backward(const Array<const Half>& outputs, const Array<const Half>& gradient,
                  const Array<float>& x, const Array<float>& condition,
                  const std::vector<Array<float>>& gradients, int threads) {
        check(x, condition, outputs);
        check(x, condition, gradient);
        const auto parameters = taken<float>(gradients);
        const nb::gil_scoped_release released;
        pass_->backward(outputs.data(), gradient.data(), x.data(), condition.data(), parameters,
                        threads);
    }

  private:
    template <class X, class Outputs>
    void check(const X& x, const X& condition, const Outputs& outputs) const {
        const std::size_t batch = s_.batch, gates = 2 * s_.residual;
        require(x, batch * s_.time() * s_.residual);
        require(condition, batch * (s_.frames + Sizes::kAround - 1) * s_.layers() * gates);
        require(outputs, batch * (s_.time() - s_.first) * s_.skip);
    }

    template <class Float>
    Parameters<Float> taken(const std::vector<Array<Float>>& arrays) const {
        const std::size_t layers = s_.layers(), C = s_.residual;
        if (arrays.size() != 7) throw nb::value_error("there must be seven arrays of parameters");
        require(arrays[0], std::size_t(Sizes::kAround) * s_.hop);
        require(arrays[1], layers * 2 * C * C);
        require(arrays[2], layers * 2 * C * C);
        require(arrays[3], (layers - 1) * C * C);
        require(arrays[4], (layers - 1) * C);
        require(arrays[5], layers * s_.skip * C);
        require(arrays[6], s_.skip);
        return {arrays[0].data(), arrays[1].data(), arrays[2].data(), arrays[3].data(),
                arrays[4].data(), arrays[5].data(), arrays[6].data()};
    }

    template <class A>
    static void require(const A& array, std::size_t size) {
        if (array.size() != size) throw nb::value_error("an array has not the size it should");
    }

    const Sizes s_;
    std::unique_ptr<Pass> pass_;
};

}  // namespace

NB_MODULE(_training, m) {
    m.doc() = "The layers of a WaveNet in training.";
    m.def("available", &available, "Whether this processor has what the passes need.");
    nb::class_<CheckedPass>(m, "Pass")
        .def(
            "__init__",
            [](CheckedPass* self, int batch, int frames, int hop, int residual, int skip,
               std::vector<int> dilations, int first) {
                new (self)
                    CheckedPass({batch, frames, hop, residual, skip, std::move(dilations), first});
            },
            "batch"_a, "frames"_a, "hop"_a, "residual"_a, "skip"_a, "dilations"_a, "first"_a)
        .def("forward", &CheckedPass::forward, "x"_a, "condition"_a, "weights"_a, "outputs"_a,
             "threads"_a)
        .def("backward", &CheckedPass::backward, "outputs"_a, "gradient"_a, "x"_a, "condition"_a,
             "gradients"_a, "threads"_a);
}
