// activation.c - element by element; threads share the elements
//
// Accuracy against double: relative error below 1e-6 (float32 exponential of exp_impl.h).
#include "nn/activation.h"

#include <math.h>

#include "core/variants.h"
#include "nn/exp_impl.h"

// WORTH_THREADS: values below which waking threads costs more than it gains; PIECE: of one task.
enum { WORTH_THREADS = 1 << 14, PIECE = 1 << 12 };

// For large negative x the exponential stops at e^88 (exp_impl.h): the quotient is tiny, never NaN.
LEY_LEAF void gelu_tanh_leaf(float *restrict y, const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float u = 1.5957691f * (x[i] + 0.044715f * x[i] * x[i] * x[i]); // 2 sqrt(2/pi) (...)
        y[i] = x[i] / (1.0f + ley_exp(-u)); // (1 + tanh(u/2)) / 2, without cancellation
    }
}
LEY_VARIANTS(void, gelu_tanh, (float *y, const float *x, int64_t n), (y, x, n))

void ley_gelu_tanh(float *y, const float *x, int64_t n) {
#pragma omp parallel for schedule(static) if (n >= WORTH_THREADS)
    for (int64_t i = 0; i < n; i += PIECE) {
        gelu_tanh(y + i, x + i, n - i < PIECE ? n - i : PIECE);
    }
}

// erfc keeps its relative accuracy for negative x, where 1 + erf would cancel.
void ley_gelu_erf(float *y, const float *x, int64_t n) {
#pragma omp parallel for schedule(static) if (n >= WORTH_THREADS)
    for (int64_t i = 0; i < n; i++) {
        y[i] = 0.5f * x[i] * erfcf(-0.70710678f * x[i]); // 1 + erf(z) = erfc(-z)
    }
}

// Rows of x hold the gates first, then the values they let through.
LEY_LEAF void swiglu_leaf(float *restrict y, const float *restrict gate, const float *restrict up,
                          int n) {
    for (int i = 0; i < n; i++) {
        y[i] = gate[i] / (1.0f + ley_exp(-gate[i])) * up[i];
    }
}
LEY_VARIANTS(void, swiglu, (float *y, const float *gate, const float *up, int n), (y, gate, up, n))

void ley_swiglu(float *y, const float *x, int64_t n_rows, int n) {
#pragma omp parallel for schedule(static) if (n_rows * n >= WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        swiglu(y + r * n, x + 2 * r * n, x + 2 * r * n + n, n);
    }
}

// The residual stream: y is read and written, so x must not overlap it.
void ley_add(float *y, const float *x, int64_t n) {
#pragma omp parallel for schedule(static) if (n >= WORTH_THREADS)
    for (int64_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

// y = x s(u), s the logistic function, u = c (x + a x^3): y' = s + x s (1 - s) c (1 + 3 a x^2).
LEY_LEAF void gelu_tanh_backward_leaf(float *restrict dx, const float *restrict dy,
                                      const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float square = x[i] * x[i];
        float u = 1.5957691f * (x[i] + 0.044715f * square * x[i]); // 2 sqrt(2/pi) (...)
        float s = 1.0f / (1.0f + ley_exp(-u));
        float slope = 1.5957691f * (1.0f + 0.134145f * square); // u'
        dx[i] = dy[i] * (s + x[i] * s * (1.0f - s) * slope);
    }
}
LEY_VARIANTS(void, gelu_tanh_backward, (float *dx, const float *dy, const float *x, int64_t n),
             (dx, dy, x, n))

void ley_gelu_tanh_backward(float *dx, const float *dy, const float *x, int64_t n) {
#pragma omp parallel for schedule(static) if (n >= WORTH_THREADS)
    for (int64_t i = 0; i < n; i += PIECE) {
        gelu_tanh_backward(dx + i, dy + i, x + i, n - i < PIECE ? n - i : PIECE);
    }
}

// y = x P(x), P the normal distribution: y' = P(x) + x p(x), p its density.
void ley_gelu_erf_backward(float *dx, const float *dy, const float *x, int64_t n) {
#pragma omp parallel for schedule(static) if (n >= WORTH_THREADS)
    for (int64_t i = 0; i < n; i++) {
        float density = 0.39894228f * ley_exp(-0.5f * x[i] * x[i]); // 1 / sqrt(2 pi)
        dx[i] = dy[i] * (0.5f * erfcf(-0.70710678f * x[i]) + x[i] * density);
    }
}

// y = g s(g) u: by u it is g s; by g, since s' = s (1 - s), it is u s (1 + g (1 - s)).
LEY_LEAF void swiglu_backward_leaf(float *restrict dx, const float *restrict dy,
                                   const float *restrict x, int n) {
    const float *gate = x, *up = x + n;
    float *restrict dgate = dx, *restrict dup = dx + n;
    for (int i = 0; i < n; i++) {
        float g = gate[i], u = up[i], s = 1.0f / (1.0f + ley_exp(-g));
        dgate[i] = dy[i] * u * s * (1.0f + g * (1.0f - s));
        dup[i] = dy[i] * g * s;
    }
}
LEY_VARIANTS(void, swiglu_backward, (float *dx, const float *dy, const float *x, int n),
             (dx, dy, x, n))

void ley_swiglu_backward(float *dx, const float *dy, const float *x, int64_t n_rows, int n) {
#pragma omp parallel for schedule(static) if (n_rows * n >= WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        swiglu_backward(dx + 2 * r * n, dy + r * n, x + 2 * r * n, n);
    }
}
