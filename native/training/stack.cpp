#include "stack.hpp"

#include <stdexcept>

#if TIMBREL_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace timbrel::training {

#if TIMBREL_AMX

std::unique_ptr<Pass> make_amx_pass(const Sizes&);

namespace {

// Linux keeps the tiles of a process that has asked for it.
bool tiles_permitted() {
    constexpr int kRequestPermission = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_instructions() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    const bool tiles = (d >> 24) & 1, products = (d >> 22) & 1;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return false;
    const bool conversions = (a >> 5) & 1;
    return tiles && products && conversions;
}

}  // namespace

bool available() {
    static const bool found = has_instructions() && tiles_permitted();
    return found;
}

#else

bool available() { return false; }

#endif

std::unique_ptr<Pass> make_pass(const Sizes& sizes) {
    if (!available()) throw std::invalid_argument("this processor has no tiles for bfloat16");
    if (sizes.batch < 1 || sizes.frames < 1 || sizes.dilations.empty() || sizes.first < 0 ||
        sizes.first >= sizes.time())
        throw std::invalid_argument("there is nothing to compute");
    if (sizes.hop % 32 || sizes.residual % 32 || sizes.skip % 32)
        throw std::invalid_argument("hop, residual and skip channels must be multiples of 32");
    for (const int dilation : sizes.dilations)
        if (dilation < 1) throw std::invalid_argument("a dilation must be at least 1");
#if TIMBREL_AMX
    return make_amx_pass(sizes);
#else
    return nullptr;
#endif
}

}  // namespace timbrel::training
