// Kernels for processors with AVX-512 (F, BW, DQ, VL) and VNNI.
#include <immintrin.h>

#include "../plan.hpp"

namespace timbrel {
namespace {

#include "vector512.inl"

#include "../kernels.inl"

}  // namespace

extern const Kernels kAvx512Kernels = make_kernels("avx512");

}  // namespace timbrel
