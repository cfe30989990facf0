// What tiles of AMX look like, for the instruction that sets them up.
#pragma once

#include <cstdint>

namespace timbrel {

struct alignas(64) TileConfig {
    std::uint8_t palette = 1, start = 0, reserved[14] = {};
    std::uint16_t columns[16] = {};  // bytes of a row
    std::uint8_t rows[16] = {};

    // GCC's own intrinsic does not say that all of it is read.
    void load() const { asm volatile("ldtilecfg %0" : : "m"(*this)); }
};

}  // namespace timbrel
