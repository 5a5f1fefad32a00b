// norm.h - normalisation of rows: LayerNorm (gpt2) and RMSNorm (llama).
//
// Statistics are summed in double in a fixed order; a row depends on itself only.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// y[r][i] = (x[r][i] - mean) / sqrt(variance + eps) * scale[i] + bias[i] over each of n_rows rows
// of n values; the variance is that of the population. bias may be NULL; y may be x.
void ley_layer_norm(float *y, const float *x, const float *scale, const float *bias, int64_t n_rows,
                    int n, double eps);

// y[r][i] = x[r][i] / sqrt(mean of squares + eps) * scale[i]; y may be x.
void ley_rms_norm(float *y, const float *x, const float *scale, int64_t n_rows, int n, double eps);

#ifdef __cplusplus
}
#endif
