// centre.h - keys, or values, without their common part, digital, before the scalers (MODEL.md,
// M25, M29).
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Takes from every head its mean over its components: x (n_rows, n_heads, head_dim), rows `stride`
// floats apart. Linear and its own transpose: gradients go back through the same call.
void ley_centre_heads(float *x, int64_t stride, int64_t n_rows, int n_heads, int head_dim);

#ifdef __cplusplus
}
#endif
