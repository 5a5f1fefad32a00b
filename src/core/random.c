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
