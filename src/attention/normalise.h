// normalise.h - outputs of heads over what their scores sum up to, digital, behind the output
// scaler (MODEL.md, M29).
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Share of the variance in the divisor. A head that reads one value has a variance of about twice
// the square of the common part; so it counts half of that, and bounds outputs at twice their size.
#define LEY_NORM_VARIANCE_SHARE 0.25

// What the way back needs of a row's head: the common part of its components, not below 0, and what
// they were divided by.
struct ley_norm_sums {
    float open, divisor;
};

// For every row and head of y (n_rows, n_heads, head_dim), in place, with m the mean of its
// components and V their variance:
//     z = size (y - m) / sqrt(1 + max(m, 0)^2 + V / 4)
// size[n_heads] > 0. sums (n_rows, n_heads) receives what ley_normalise_backward needs; NULL:
// nobody goes back.
void ley_normalise_forward(float *y, struct ley_norm_sums *sums, const double *size, int64_t n_rows,
                           int n_heads, int head_dim);

// dy, in place, from dz, for the z and sums of the forward pass.
void ley_normalise_backward(float *dz, const float *z, const struct ley_norm_sums *sums,
                            const double *size, int64_t n_rows, int n_heads, int head_dim);

#ifdef __cplusplus
}
#endif
