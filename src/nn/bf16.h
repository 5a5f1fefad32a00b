// bf16.h - the upper half of a float32: 8 bits of exponent, 8 of significand.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// out[i] = in[i] rounded to nearest, ties to even; NaN stays NaN.
void ley_bf16_from_float(uint16_t *out, const float *in, size_t n);

// out[i] = in[i], exact.
void ley_bf16_to_float(float *out, const uint16_t *in, size_t n);

#ifdef __cplusplus
}
#endif
