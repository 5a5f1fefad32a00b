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

// What a norm is given on the way back, and where its gradients go. All gradients are added to: dx
// to what flows past the norm in the residual stream, dscale and dbias to those of other rows.
struct ley_norm_backward {
    const float *dy, *x;   // (n_rows, n) gradient of the output; input of the forward pass
    const float *scale;    // (n)
    float *dx;             // (n_rows, n)
    float *dscale, *dbias; // (n) or NULL: not wanted
    double *statistics;    // (n_rows, 2) room for mean and factor of every row
};

// Gradients of ley_layer_norm. Sums over rows run in row order, whatever the number of threads.
void ley_layer_norm_backward(const struct ley_norm_backward *pass, int64_t n_rows, int n,
                             double eps);

// The same of ley_rms_norm; dbias is not used.
void ley_rms_norm_backward(const struct ley_norm_backward *pass, int64_t n_rows, int n, double eps);

#ifdef __cplusplus
}
#endif
