// block.h - the number formats of GGUF tensors: blocks of quantised weights and plain floats.
//
// A row of a tensor is a sequence of blocks; a block holds a fixed number of weights with its own
// scale (and offset). Decoding is float32 arithmetic in the order of the format's reference.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A format: its number in GGUF files, name, and size.
struct ley_block_type {
    uint32_t id;
    const char *name;   // "Q4_1"
    int n_weights;      // of a block
    int n_bytes;        // of a block
    void (*decode)(float *out, const uint8_t *block); // one block; NULL: plain floats
};

// The format with this number, or NULL when it is not known here. Static storage.
const struct ley_block_type *ley_block_type(uint32_t id);

// The format of this name, or NULL.
const struct ley_block_type *ley_block_type_named(const char *name);

enum { // numbers in GGUF files of the formats that are also written
    LEY_BLOCK_F32 = 0,
    LEY_BLOCK_F16 = 1,
    LEY_BLOCK_Q8_0 = 8,
    LEY_BLOCK_BF16 = 30,
};

// out[n_blocks * n_weights] <- n_blocks blocks.
void ley_blocks_decode(float *out, const struct ley_block_type *type, const uint8_t *blocks,
                       int64_t n_blocks);

// blocks <- in[n_blocks * n_weights], for F32, F16 and BF16 (nearest, ties to even) and Q8_0
// (scale = largest magnitude / 127, values to the nearest, halves away from zero). Other formats
// are a broken contract.
void ley_blocks_encode(uint8_t *blocks, const struct ley_block_type *type, const float *in,
                       int64_t n_blocks);

// IEEE half precision.
float ley_half_to_float(uint16_t half);
uint16_t ley_half_from_float(float x);

#ifdef __cplusplus
}
#endif
