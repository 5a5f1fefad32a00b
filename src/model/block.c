// block.c - decoding and encoding the blocks of GGUF tensors
//
// Layouts (little endian; d, m are half-precision scale and offset, q are packed integers):
//     Q4_0  d, 16 bytes: weight i in the low, i + 16 in the high half-byte;  d (q - 8)
//     Q4_1  d, m, 16 bytes likewise;                                         d q + m
//     Q5_0  d, 32 high bits, 16 bytes;                                       d (q - 16)
//     Q5_1  d, m, 32 high bits, 16 bytes;                                    d q + m
//     Q8_0  d, 32 signed bytes;                                              d q
//     Q4_K, Q5_K  d, m, eight 6-bit scales and offsets for 32 weights each;  d s q - m o
//     Q6_K  low and high bits, sixteen signed scales for 16 weights each, d; d s (q - 32)
#include "model/block.h"

#include <math.h>
#include <string.h>

#include "core/assert.h"
#include "nn/bf16.h"

// Every half is exactly a float: the exponent is rebiased (15 -> 127) and the fraction moved up by
// 13 bits; only subnormals need arithmetic, because floats of that size are normal.
float ley_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31;
    uint32_t fraction = half & 1023, bits;
    if (exponent == 0) { // zero and subnormals: fraction * 2^-24, exact
        float x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    bits = sign | (exponent == 31 ? 255u << 23 : (exponent + 112) << 23) | fraction << 13;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// The inverse, to the nearest half, ties to even (the default rounding mode is assumed). All NaNs
// become the one quiet NaN 0x7e00: payloads do not survive the 10 bits.
uint16_t ley_half_from_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    float size = fabsf(x);
    if (isnan(x)) {
        return sign | 0x7e00;
    }
    // 65504 is the largest half; 65520 lies midway to the next step and, being a tie, goes up.
    if (size >= 65520) { // rounds to infinity
        return sign | 0x7c00;
    }
    if (size < 0x1p-14f) { // subnormal: in units of 2^-24, half to even
        return (uint16_t)(sign | (uint16_t)rintf(size * 0x1p24f));
    }
    // Normal range: rebias first, then add half a unit less one plus the last kept bit.
    bits = (bits & 0x7fffffff) - (112u << 23);
    bits += 0xfff + (bits >> 13 & 1); // half to even; may carry into the exponent, rightly
    return (uint16_t)(sign | bits >> 13);
}

// A scale or offset of a block: two bytes, low one first, at any address.
static float half_at(const uint8_t *bytes) {
    return ley_half_to_float((uint16_t)(bytes[0] | bytes[1] << 8));
}

// Plain floats: all at once, because a call for each would cost more than the work.
static void decode_plain(float *out, uint32_t id, const uint8_t *bytes, int64_t n) {
    if (id == LEY_BLOCK_F32) {
        memcpy(out, bytes, (size_t)n * sizeof *out);
    } else if (id == LEY_BLOCK_F16) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = half_at(bytes + 2 * i);
        }
    } else { // BF16 is the upper half of a float
        for (int64_t i = 0; i < n; i++) {
            uint32_t bits = (uint32_t)bytes[2 * i] << 16 | (uint32_t)bytes[2 * i + 1] << 24;
            memcpy(&out[i], &bits, sizeof bits);
        }
    }
}

// 34 bytes: d, then 32 signed bytes in order.
static void decode_q8_0(float *out, const uint8_t *block) {
    float d = half_at(block);
    for (int i = 0; i < 32; i++) {
        out[i] = d * (float)(int8_t)block[2 + i];
    }
}

// 18 bytes: d, then 16 bytes of two weights each, which lie 16 apart; stored 0..15 stands for
// -8..7.
static void decode_q4_0(float *out, const uint8_t *block) {
    float d = half_at(block);
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)((block[2 + i] & 15) - 8);
        out[i + 16] = d * (float)((block[2 + i] >> 4) - 8);
    }
}

// 20 bytes: d, m, then 16 bytes as in Q4_0; m is the value of a stored 0.
static void decode_q4_1(float *out, const uint8_t *block) {
    float d = half_at(block), m = half_at(block + 2);
    for (int i = 0; i < 16; i++) {
        out[i] = d * (float)(block[4 + i] & 15) + m;
        out[i + 16] = d * (float)(block[4 + i] >> 4) + m;
    }
}

// The i-th of 32 five-bit integers: four bits in halves of 16 bytes, the fifth in a bit field.
static int five_bits(const uint8_t *high, const uint8_t *low, int i) {
    int four = i < 16 ? low[i] & 15 : low[i - 16] >> 4;
    return four | (high[i / 8] >> (i % 8) & 1) << 4;
}

// 22 bytes: d at 0, high bits at 2..5, half-bytes at 6..21; stored 0..31 stands for -16..15.
static void decode_q5_0(float *out, const uint8_t *block) {
    float d = half_at(block);
    for (int i = 0; i < 32; i++) {
        out[i] = d * (float)(five_bits(block + 2, block + 6, i) - 16);
    }
}

// 24 bytes: d at 0, m at 2, high bits at 4..7, half-bytes at 8..23.
static void decode_q5_1(float *out, const uint8_t *block) {
    float d = half_at(block), m = half_at(block + 2);
    for (int i = 0; i < 32; i++) {
        out[i] = d * (float)five_bits(block + 4, block + 8, i) + m;
    }
}

// The j-th 6-bit scale and offset of the twelve bytes of a K block: the first four lie in the low
// six bits of bytes 0..7, the others in half-bytes of 8..11 with their two high bits above the
// first.
static void scale_and_offset(int *scale, int *offset, const uint8_t *packed, int j) {
    if (j < 4) {
        *scale = packed[j] & 63;
        *offset = packed[j + 4] & 63;
    } else {
        *scale = (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
        *offset = packed[j + 4] >> 4 | (packed[j] >> 6) << 4;
    }
}

// 144 bytes: d at 0, m at 2, scales and offsets at 4..15, half-bytes at 16..143. The offset is
// subtracted, unlike that of Q4_1.
static void decode_q4_k(float *out, const uint8_t *block) {
    float d = half_at(block), m = half_at(block + 2);
    const uint8_t *packed = block + 4, *q = block + 16;
    for (int j = 0; j < 8; j++) { // group j: half-byte j % 2 of bytes 32 (j / 2) ..
        int scale, offset;
        scale_and_offset(&scale, &offset, packed, j);
        float d_j = d * (float)scale, m_j = m * (float)offset;
        for (int i = 0; i < 32; i++) {
            out[32 * j + i] = d_j * (float)(q[j / 2 * 32 + i] >> (j % 2 * 4) & 15) - m_j;
        }
    }
}

// 176 bytes: d, m and scales as in Q4_K, fifth bits at 16..47, half-bytes at 48..175.
static void decode_q5_k(float *out, const uint8_t *block) {
    float d = half_at(block), m = half_at(block + 2);
    const uint8_t *packed = block + 4, *high = block + 16, *q = block + 48;
    for (int j = 0; j < 8; j++) { // the fifth bit of group j is bit j of high[i]
        int scale, offset;
        scale_and_offset(&scale, &offset, packed, j);
        float d_j = d * (float)scale, m_j = m * (float)offset;
        for (int i = 0; i < 32; i++) {
            int five = (q[j / 2 * 32 + i] >> (j % 2 * 4) & 15) | (high[i] >> j & 1) << 4;
            out[32 * j + i] = d_j * (float)five - m_j;
        }
    }
}

// 210 bytes: low half-bytes at 0..127, upper two bits at 128..191, scales at 192..207, d last.
static void decode_q6_k(float *out, const uint8_t *block) {
    const uint8_t *low = block, *high = block + 128;
    const int8_t *scale = (const int8_t *)(block + 192);
    float d = half_at(block + 208);
    for (int i = 0; i < 256; i++) { // halves of 128; in each, four rows of 32
        int half = i / 128, row = i % 128 / 32, k = i % 32;
        int four = low[half * 64 + row % 2 * 32 + k] >> (row / 2 * 4) & 15;
        int two = high[half * 32 + k] >> (row * 2) & 3;
        out[i] = d * (float)scale[i / 16] * (float)((four | two << 4) - 32);
    }
}

// Number in the file, name, weights and bytes of a block. The sizes are what readers compute the
// extent of a tensor from, so a wrong one is found as an overlap or a truncation, not as noise.
static const struct ley_block_type types[] = {
    {LEY_BLOCK_F32, "F32", 1, 4, NULL},
    {LEY_BLOCK_F16, "F16", 1, 2, NULL},
    {2, "Q4_0", 32, 18, decode_q4_0},
    {3, "Q4_1", 32, 20, decode_q4_1},
    {6, "Q5_0", 32, 22, decode_q5_0},
    {7, "Q5_1", 32, 24, decode_q5_1},
    {LEY_BLOCK_Q8_0, "Q8_0", 32, 34, decode_q8_0},
    {12, "Q4_K", 256, 144, decode_q4_k},
    {13, "Q5_K", 256, 176, decode_q5_k},
    {14, "Q6_K", 256, 210, decode_q6_k},
    {LEY_BLOCK_BF16, "BF16", 1, 2, NULL},
};

enum { N_TYPES = sizeof types / sizeof types[0] };

// A linear search: it runs once a tensor, never once a block.
const struct ley_block_type *ley_block_type(uint32_t id) {
    for (int i = 0; i < N_TYPES; i++) {
        if (types[i].id == id) {
            return &types[i];
        }
    }
    return NULL;
}

// Exact and in capitals, as the header of a safetensors file writes it.
const struct ley_block_type *ley_block_type_named(const char *name) {
    for (int i = 0; i < N_TYPES; i++) {
        if (strcmp(types[i].name, name) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

// Plain floats count as blocks of one weight and are converted in one loop.
void ley_blocks_decode(float *out, const struct ley_block_type *type, const uint8_t *blocks,
                       int64_t n_blocks) {
    if (!type->decode) {
        decode_plain(out, type->id, blocks, n_blocks);
        return;
    }
    for (int64_t i = 0; i < n_blocks; i++) {
        type->decode(out + i * type->n_weights, blocks + i * type->n_bytes);
    }
}

// The order of bytes in the file, on any machine.
static void put_16(uint8_t *bytes, uint16_t x) {
    bytes[0] = (uint8_t)x;
    bytes[1] = (uint8_t)(x >> 8);
}

// d is rounded to a half for the file, but the integers are made with the unrounded one, as the
// reference does. A block of zeros has d = 0: inverse 0 keeps the division by zero out.
static void encode_q8_0(uint8_t *block, const float *in) {
    float largest = 0;
    for (int i = 0; i < 32; i++) {
        largest = fmaxf(largest, fabsf(in[i]));
    }
    float d = largest / 127, inverse = d > 0 ? 1 / d : 0;
    put_16(block, ley_half_from_float(d));
    for (int i = 0; i < 32; i++) {
        block[2 + i] = (uint8_t)(int8_t)roundf(in[i] * inverse);
    }
}

// One block at a time: writing happens once a conversion.
void ley_blocks_encode(uint8_t *blocks, const struct ley_block_type *type, const float *in,
                       int64_t n_blocks) {
    for (int64_t i = 0; i < n_blocks; i++) {
        uint8_t *block = blocks + i * type->n_bytes;
        uint16_t bits;
        switch (type->id) {
        case LEY_BLOCK_F32:
            memcpy(block, &in[i], sizeof in[i]);
            break;
        case LEY_BLOCK_F16:
            put_16(block, ley_half_from_float(in[i]));
            break;
        case LEY_BLOCK_BF16:
            ley_bf16_from_float(&bits, &in[i], 1);
            put_16(block, bits);
            break;
        default:
            LEY_ASSERT(type->id == LEY_BLOCK_Q8_0);
            encode_q8_0(block, in + i * 32);
        }
    }
}
