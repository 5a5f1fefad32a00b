// centre.h - keys without their common part, done digitally before the scalers (MODEL.md, M25).
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Takes from every key its mean over its components: k (n_rows, n_heads, head_dim), rows `stride`
// floats apart. Linear and its own transpose: gradients go back through the same call.
void ley_centre_keys(float *k, int64_t stride, int64_t n_rows, int n_heads, int head_dim);

#ifdef __cplusplus
}
#endif
