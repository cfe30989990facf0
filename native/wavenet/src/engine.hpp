// The packed weights behind a Plan.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "plan.hpp"
#include "timbrel/wavenet.hpp"

namespace timbrel {

constexpr std::size_t kHugePage = 2 << 20;

struct AlignedDelete {
    std::size_t mapped;  // bytes; 0 where the memory comes from `new`
    void operator()(unsigned char* p) const {
#if defined(__linux__)
        if (mapped) {
            munmap(p, mapped);
            return;
        }
#endif
        ::operator delete[](p, std::align_val_t(kAlign));
    }
};
using Aligned = std::unique_ptr<unsigned char[], AlignedDelete>;

// Zeros. Much memory comes in huge pages where the system has them: weights of the size of the
// second-level cache collide there in small pages, which lie anywhere, and a third of the speed is
// lost. What `new` gives may be pages that were used before, and these stay small.
inline Aligned aligned_zeros(std::size_t bytes) {
#if defined(__linux__)
    if (bytes >= kHugePage / 4) {
        const std::size_t size = (bytes + kHugePage - 1) / kHugePage * kHugePage;
        void* found = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (found != MAP_FAILED) {
            auto* begin = static_cast<unsigned char*>(found);
            const auto before = -reinterpret_cast<std::uintptr_t>(begin) % kHugePage;
            auto* p = begin + before;
            if (before) munmap(begin, before);
            if (before < kHugePage) munmap(p + size, kHugePage - before);
            madvise(p, size, MADV_HUGEPAGE);  // a wish: all works without
            std::memset(p, 0, size);          // pages are given now, not while sampling
            return Aligned(p, {size});
        }
    }
#endif
    auto* p = new (std::align_val_t(kAlign)) unsigned char[bytes];
    std::memset(p, 0, bytes);
    return Aligned(p, {0});
}

inline int padded(int n) { return (n + kPad - 1) / kPad * kPad; }

// A plan and what its pointers point to.
struct OwningPlan : Plan {
    std::vector<Layer> all_layers;
    std::vector<Matrix> all_taps;
    Aligned weights, tiles, arena;
};

std::unique_ptr<OwningPlan> make_plan(const Model& model, Precision precision,
                                      const Kernels& kernels);

}  // namespace timbrel
