#include "isa.hpp"

#include "processor/amx.hpp"
#include "timbrel/wavenet.hpp"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace timbrel {

extern const Kernels kPortableKernels;
#if defined(__x86_64__) || defined(_M_X64)
extern const Kernels kAvx2Kernels, kAvxVnniKernels, kAvx512Kernels;
#if TIMBREL_AMX
extern const Kernels kAmxKernels;
#endif
#elif defined(__aarch64__)
extern const Kernels kNeonKernels, kNeonDotKernels;
#elif defined(__wasm__)
extern const Kernels kWasmKernels;
#endif

#if defined(__x86_64__) || defined(_M_X64)
namespace {

// cpuid's leaf 7, subleaf 1, which the compilers' builtins do not know everywhere.
bool has_avx_vnni() {
    unsigned a = 7, b = 0, c = 1, d = 0;
    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (a >> 4) & 1;
}

}  // namespace
#endif

std::vector<const Kernels*> available_kernels() {
    std::vector<const Kernels*> found{&kPortableKernels};
#if defined(__x86_64__) || defined(_M_X64)
    // The builtins also ask whether the operating system keeps the wide registers.
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        found.push_back(&kAvx2Kernels);
        if (has_avx_vnni()) found.push_back(&kAvxVnniKernels);
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni"))
        found.push_back(&kAvx512Kernels);
#if TIMBREL_AMX
    if (has_amx()) found.push_back(&kAmxKernels);
#endif
#elif defined(__aarch64__)
    found.push_back(&kNeonKernels);
#if defined(__linux__)
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) found.push_back(&kNeonDotKernels);
#elif defined(__APPLE__)
    found.push_back(&kNeonDotKernels);  // all of Apple's 64-bit processors since 2018
#endif
#elif defined(__wasm__)
    found.push_back(&kWasmKernels);
#endif
    return found;
}

const Kernels* find_kernels(const std::string& name) {
    for (const Kernels* kernels : available_kernels())
        if (name == kernels->name) return kernels;
    return nullptr;
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const Kernels* kernels : available_kernels()) names.emplace_back(kernels->name);
    return names;
}

bool has_precision(const std::string& isa, Precision precision) {
    const Kernels* kernels = find_kernels(isa);
    return kernels && kernels->sample[int(precision)];
}

}  // namespace timbrel
