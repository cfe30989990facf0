// Kernels for WebAssembly with SIMD, and with relaxed SIMD where the flags allow it.
#include <wasm_simd128.h>

#include "../plan.hpp"

namespace timbrel {
namespace {

#define TIMBREL_MIN(a, b) ((F)wasm_f32x4_pmin((v128_t)(a), (v128_t)(b)))
#define TIMBREL_MAX(a, b) ((F)wasm_f32x4_pmax((v128_t)(a), (v128_t)(b)))
#define TIMBREL_DOT_I16(sum, a, w) ((sum) + (I)wasm_i32x4_dot_i16x8((v128_t)(a), (v128_t)(w)))
#ifdef __wasm_relaxed_simd__
#define TIMBREL_FMA(a, b, c) ((F)wasm_f32x4_relaxed_madd((v128_t)(a), (v128_t)(b), (v128_t)(c)))
// The second operand must be of seven bits.
#define TIMBREL_DOT_U7(sum, a, w) \
    ((I)wasm_i32x4_relaxed_dot_i8x16_i7x16_add((v128_t)(w), (v128_t)(a), (v128_t)(sum)))
#endif
#include "vector128.inl"

#include "../kernels.inl"

}  // namespace

#ifdef __wasm_relaxed_simd__
extern const Kernels kWasmKernels = make_kernels("wasm-relaxed");
#else
extern const Kernels kWasmKernels = make_kernels("wasm");
#endif

}  // namespace timbrel
