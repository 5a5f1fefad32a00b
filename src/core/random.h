// random.h - random numbers as a pure function of (seed, stream, index).
//
// Nothing is remembered between calls, so a number depends neither on the order of execution nor on
// threads: the same three words give the same number on every machine. The generator is Philox4x32
// with ten rounds (Salmon et al., SC 2011), from Random123.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// out[4] <- 128 random bits. `seed` is the user's, `stream` says what the number is for (a purpose
// or a layer), `index` which one of them.
void ley_random_block(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index);

// A uniform number in [0, 1) with 53 random bits.
double ley_random_uniform(uint64_t seed, uint64_t stream, uint64_t index);

// Where place `index` of 0 .. n - 1 goes in a random order of n >= 1 things: a different place for
// each index. `stream` counts up to 2^64 - 1 and names the order. About the time of eight blocks.
uint64_t ley_random_permute(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n);

#ifdef __cplusplus
}
#endif
