#include "stack.hpp"

#include <stdexcept>

#include "processor/amx.hpp"

namespace timbrel::training {

#if TIMBREL_AMX
std::unique_ptr<Pass> make_amx_pass(const Sizes&);
#endif

bool available() { return has_amx(); }

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
