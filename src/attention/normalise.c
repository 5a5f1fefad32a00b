// normalise.c - a head's output over what its scores sum up to
//
// Values come centred and are stored around a voltage above V_ref, so what all components of an
// output have in common is the sum of the pulses, times the mean current of a cell: the denominator
// that softmax has, without a column of its own. It is known to a step of the counter only, so
// where little is open the variance, a quarter of it, keeps the quotient in bounds.
#include "attention/normalise.h"

#include <math.h>

enum { ROWS_WORTH_THREADS = 64 };

static const float VARIANCE_SHARE = (float)LEY_NORM_VARIANCE_SHARE;

// Summed in order: one result on all machines.
static float mean_of(const float *x, int n) {
    float sum = 0;
    for (int d = 0; d < n; d++) {
        sum += x[d];
    }
    return sum / (float)n;
}

static float mean_of_products(const float *x, const float *y, int n) {
    float sum = 0;
    for (int d = 0; d < n; d++) {
        sum += x[d] * y[d];
    }
    return sum / (float)n;
}

static struct ley_norm_sums forward(float *y, float size, int n) {
    float mean = mean_of(y, n), open = mean > 0 ? mean : 0;
    for (int d = 0; d < n; d++) {
        y[d] -= mean;
    }
    float divisor = sqrtf(1 + open * open + VARIANCE_SHARE * mean_of_products(y, y, n));
    for (int d = 0; d < n; d++) {
        y[d] *= size / divisor;
    }
    return (struct ley_norm_sums){open, divisor};
}

void ley_normalise_forward(float *y, struct ley_norm_sums *sums, const double *size, int64_t n_rows,
                           int n_heads, int head_dim) {
#pragma omp parallel for schedule(static) if (n_rows >= ROWS_WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        for (int h = 0; h < n_heads; h++) {
            int64_t at = r * n_heads + h;
            struct ley_norm_sums of_head = forward(y + at * head_dim, (float)size[h], head_dim);
            if (sums) {
                sums[at] = of_head;
            }
        }
    }
}

// With x = y - m, D the divisor, P the mean of dz z: dL/dy = size / D (dz - mean of dz)
// - P / D^2 (x / 4 + max(m, 0)), and x = z D / size.
static void backward(float *dz, const float *z, struct ley_norm_sums sums, float size, int n) {
    float mean = mean_of(dz, n), product = mean_of_products(dz, z, n);
    float factor = size / sums.divisor, share = product / (sums.divisor * sums.divisor);
    for (int d = 0; d < n; d++) {
        dz[d] = factor * (dz[d] - mean) - share * (VARIANCE_SHARE * z[d] / factor + sums.open);
    }
}

void ley_normalise_backward(float *dz, const float *z, const struct ley_norm_sums *sums,
                            const double *size, int64_t n_rows, int n_heads, int head_dim) {
#pragma omp parallel for schedule(static) if (n_rows >= ROWS_WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        for (int h = 0; h < n_heads; h++) {
            int64_t at = r * n_heads + h;
            backward(dz + at * head_dim, z + at * head_dim, sums[at], (float)size[h], head_dim);
        }
    }
}
