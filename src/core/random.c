// random.c - Philox4x32-10 behind three 64-bit words
#include "core/random.h"

#include <Random123/philox.h>

// A counter-based generator: block i of stream s needs no state and no order of calls.
void ley_random_block(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index) {
    philox4x32_ctr_t counter = {
        {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)}};
    philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    philox4x32_ctr_t block = philox4x32(counter, key);
    for (int i = 0; i < 4; i++) {
        out[i] = block.v[i];
    }
}

// The upper 53 of 64 bits, exactly scaled.
double ley_random_uniform(uint64_t seed, uint64_t stream, uint64_t index) {
    uint32_t block[4];
    // 53 bits, the most a double keeps: 0 .. 1 - 2^-53, every value equally likely.
    ley_random_block(block, seed, stream, index);
    uint64_t bits = (uint64_t)block[0] << 32 | block[1];
    return (double)(bits >> 11) * 0x1p-53;
}

// Four rounds of a Feistel network permute the numbers below 4^half_bits >= n; what falls outside
// 0 .. n - 1 goes through again. That ends, at the latest where it began, and since the network is
// one to one, so is the walk; fewer than four passes are to be expected.
uint64_t ley_random_permute(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n) {
    unsigned half_bits = 1;
    while (half_bits < 32 && n > (uint64_t)1 << (2 * half_bits)) {
        half_bits++;
    }
    uint64_t mask = ((uint64_t)1 << half_bits) - 1;
    do {
        for (uint64_t round = 0; round < 4; round++) {
            uint32_t block[4];
            uint64_t left = index >> half_bits, right = index & mask;
            ley_random_block(block, seed, stream, round << 32 | right);
            index = right << half_bits | (left ^ (block[0] & mask));
        }
    } while (index >= n);
    return index;
}
