// Kernels that any processor of the target runs: on x86-64, with SSE2.
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "../plan.hpp"

namespace timbrel {
namespace {

#ifdef __SSE2__
#define TIMBREL_DOT_I16(sum, a, w) (sum + (I)_mm_madd_epi16((__m128i)a, (__m128i)w))
#endif
#include "vector128.inl"

#include "../kernels.inl"

}  // namespace

extern const Kernels kPortableKernels = make_kernels("portable");

}  // namespace timbrel
