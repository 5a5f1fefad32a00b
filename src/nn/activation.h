// activation.h - the nonlinearities of feed-forward layers, and sums.
//
// x_backward(dx, dy, x): from the gradient of a loss by the outputs, dy, to that by the inputs.
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

// dx[i] = dy[i] gelu'(x[i]) of ley_gelu_tanh; dx may be x or dy.
void ley_gelu_tanh_backward(float *dx, const float *dy, const float *x, int64_t n);

// The same of ley_gelu_erf.
void ley_gelu_erf_backward(float *dx, const float *dy, const float *x, int64_t n);

// Of ley_swiglu: dx (n_rows, 2, n) gets the gradients of gates and ups; it may be x. dy (n_rows,
// n).
void ley_swiglu_backward(float *dx, const float *dy, const float *x, int64_t n_rows, int n);

#ifdef __cplusplus
}
#endif
