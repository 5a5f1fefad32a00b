// activation.h - the nonlinearities of feed-forward layers, and sums.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// y[i] = gelu(x[i]) by the tanh formula: x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3))).
void ley_gelu_tanh(float *y, const float *x, int64_t n);

// y[i] = gelu(x[i]), exact: x (1 + erf(x / sqrt 2)) / 2.
void ley_gelu_erf(float *y, const float *x, int64_t n);

// Rows of `x` hold a gate and an up part, n values each: y[r][i] = silu(gate) * up, with
// silu(g) = g / (1 + exp(-g)). y (n_rows, n), x (n_rows, 2, n).
void ley_swiglu(float *y, const float *x, int64_t n_rows, int n);

// y[i] += x[i].
void ley_add(float *y, const float *x, int64_t n);

// log(sum over i of exp(x[i])), without overflow; the sum is taken in double.
double ley_log_sum_exp(const float *x, int n);

#ifdef __cplusplus
}
#endif
