// Whether the matrix tiles of AMX can be used here.
#pragma once

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TIMBREL_AMX 1
#endif

namespace timbrel {

#if TIMBREL_AMX

// The processor has them, for 8-bit integers and bfloat16, with the parts of AVX-512 that the code
// around them needs; and Linux keeps them for this process, which has to ask for it.
inline bool has_amx() {
    static const bool found = [] {
        __builtin_cpu_init();
        if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
            !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl") ||
            !__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512vbmi"))
            return false;
        unsigned a = 0, b = 0, c = 0, d = 0;
        if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
        const bool tiles = (d >> 24) & 1, bytes = (d >> 25) & 1, halves = (d >> 22) & 1;
        const bool half_vectors = (d >> 23) & 1;
        if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return false;
        const bool conversions = (a >> 5) & 1;
        constexpr int kRequestPermission = 0x1023, kTileData = 18;
        return tiles && bytes && halves && half_vectors && conversions &&
               syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    }();
    return found;
}

#else

inline bool has_amx() { return false; }

#endif

}  // namespace timbrel
