// bf16.c - rounding by integer arithmetic on the bits
#include "nn/bf16.h"

#include <string.h>

#include "core/variants.h"

// WORTH_THREADS: values below which waking threads costs more than it gains; PIECE: of one task.
enum { WORTH_THREADS = 1 << 15, PIECE = 1 << 13 };

// Adds half a unit less one plus the last kept bit, then cuts: ties go to even, and a carry may
// rightly reach the exponent or make infinity.
LEY_LEAF void from_float_leaf(uint16_t *restrict out, const float *restrict in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], sizeof bits);
        uint32_t is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
        uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16; // half to even
        // A NaN could be rounded to infinity: it is cut instead, and one bit makes sure it stays a
        // NaN.
        out[i] = (uint16_t)(is_nan ? (bits >> 16) | 0x40u : rounded);
    }
}
LEY_VARIANTS(void, from_float, (uint16_t * out, const float *in, size_t n), (out, in, n))

void ley_bf16_from_float(uint16_t *out, const float *in, size_t n) {
    // Short rows come from within threads, where even a region of one thread costs a team.
    if (n < WORTH_THREADS) {
        from_float(out, in, n);
        return;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i += PIECE) {
        from_float(out + i, in + i, n - i < PIECE ? n - i : PIECE);
    }
}

// A bf16 is the upper half of a float32, so nothing has to be computed.
void ley_bf16_to_float(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)in[i] << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}
