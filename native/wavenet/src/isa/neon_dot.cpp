// The same with the dot-product instructions, which the flags allow.
#include "neon.cpp"
