// activation.c - element by element; threads share the elements
//
// Accuracy against double: relative error below 1e-6 (float32 exponential of exp_impl.h).
#include "nn/activation.h"

#include <math.h>

#include "nn/exp_impl.h"

// WORTH_THREADS: values below which waking threads costs more than it gains. LANES: independent
// sums, so that the compiler can use one vector; their number fixes the order of summation.
enum { WORTH_THREADS = 1 << 14, LANES = 8 };

// For large negative x the exponential stops at e^88 (exp_impl.h): the quotient is tiny, never NaN.
void ley_gelu_tanh(float *y, const float *x, int64_t n) {
#pragma omp parallel for schedule(static) if (n >= WORTH_THREADS)
    for (int64_t i = 0; i < n; i++) {
        float u = 1.5957691f * (x[i] + 0.044715f * x[i] * x[i] * x[i]); // 2 sqrt(2/pi) (...)
        y[i] = x[i] / (1.0f + ley_exp(-u)); // (1 + tanh(u/2)) / 2, without cancellation
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
void ley_swiglu(float *y, const float *x, int64_t n_rows, int n) {
#pragma omp parallel for schedule(static) if (n_rows * n >= WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        const float *gate = x + 2 * r * n, *up = gate + n;
        for (int i = 0; i < n; i++) {
            y[r * n + i] = gate[i] / (1.0f + ley_exp(-gate[i])) * up[i];
        }
    }
}

// The residual stream: y is read and written, so x must not overlap it.
void ley_add(float *y, const float *x, int64_t n) {
#pragma omp parallel for schedule(static) if (n >= WORTH_THREADS)
    for (int64_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

// The largest term is taken out, so no exponential exceeds 1 and the sum is at least 1. Sums are
// double: thousands of small terms would be lost in float32.
double ley_log_sum_exp(const float *x, int n) {
    float largest = x[0];
    for (int i = 1; i < n; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    double lane[LANES] = {0}, sum = 0;
    int whole = n / LANES * LANES;
    for (int i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            lane[j] += (double)ley_exp(x[i + j] - largest);
        }
    }
    for (int i = whole; i < n; i++) {
        lane[i - whole] += (double)ley_exp(x[i] - largest);
    }
    for (int j = 0; j < LANES; j++) {
        sum += lane[j];
    }
    return (double)largest + log(sum);
}
