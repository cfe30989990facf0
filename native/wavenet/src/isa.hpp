// Which kernels this build holds and this processor runs.
#pragma once

#include <string>
#include <vector>

#include "plan.hpp"

namespace timbrel {

// The best last.
std::vector<const Kernels*> available_kernels();

const Kernels* find_kernels(const std::string& name);

}  // namespace timbrel
