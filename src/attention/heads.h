// heads.h - where the values of heads lie: arrays of float32 or double with any strides.
//
// Token t of head h of sequence b is head_dim neighbouring values at
// base + b * batch + h * head + t * token. A model's projections (rows of tokens, heads side by
// side, float32) and packed arrays (B, H, T, D) in double are both read and written in place.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Values to read; exactly one of f64 and f32 is set. Strides count elements.
struct ley_heads {
    const double *f64;
    const float *f32;
    int64_t batch, head, token;
};

// Values to write, likewise.
struct ley_heads_out {
    double *f64;
    float *f32;
    int64_t batch, head, token;
};

// A packed array (B, n_heads, n_tokens, head_dim) of doubles.
struct ley_heads ley_heads_packed(const double *x, int n_heads, int64_t n_tokens, int head_dim);

// The same to write to.
struct ley_heads_out ley_heads_packed_out(double *x, int n_heads, int64_t n_tokens, int head_dim);

// row[head_dim] receives one token of one head. Exact: every float is a double.
void ley_heads_get(double *row, const struct ley_heads *heads, int64_t b, int64_t h, int64_t t,
                   int head_dim);

// Stores row[head_dim] as one token of one head; float32 heads receive it rounded.
void ley_heads_put(const struct ley_heads_out *heads, int64_t b, int64_t h, int64_t t,
                   const double *row, int head_dim);

#ifdef __cplusplus
}
#endif
