// The packed weights behind a Plan.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "plan.hpp"
#include "timbrel/wavenet.hpp"

namespace timbrel {

struct AlignedDelete {
    void operator()(unsigned char* p) const { ::operator delete[](p, std::align_val_t(kAlign)); }
};
using Aligned = std::unique_ptr<unsigned char[], AlignedDelete>;

// Zeros.
inline Aligned aligned_zeros(std::size_t bytes) {
    auto* p = new (std::align_val_t(kAlign)) unsigned char[bytes];
    for (std::size_t i = 0; i < bytes; ++i) p[i] = 0;
    return Aligned(p);
}

inline int padded(int n) { return (n + kPad - 1) / kPad * kPad; }

// A plan and what its pointers point to.
struct OwningPlan : Plan {
    std::vector<Layer> all_layers;
    std::vector<Matrix> all_taps;
    Aligned arena;
};

std::unique_ptr<OwningPlan> make_plan(const Model& model, Precision precision, int lanes);

}  // namespace timbrel
