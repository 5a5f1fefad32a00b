// norm.c - LayerNorm and RMSNorm
//
// Sums run over eight interleaved partial sums, added in order at the end: wide enough for vector
// instructions and the same on every machine. Threads share rows.
#include "nn/norm.h"

#include <math.h>

enum { LANES = 8, ROWS_WORTH_THREADS = 16 };

// sum of (x[i] - centre)^power, power 1 or 2
static double sum_powers(const float *x, int n, double centre, int power) {
    double lane[LANES] = {0}, sum = 0;
    int whole = n / LANES * LANES;
    for (int i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            double difference = x[i + j] - centre;
            lane[j] += power == 1 ? difference : difference * difference;
        }
    }
    for (int i = whole; i < n; i++) {
        double difference = x[i] - centre;
        lane[i - whole] += power == 1 ? difference : difference * difference;
    }
    for (int j = 0; j < LANES; j++) {
        sum += lane[j];
    }
    return sum;
}

// The variance is taken around the mean in a second pass, so nothing cancels.
static void layer_norm_row(float *y, const float *x, const float *scale, const float *bias, int n,
                           double eps) {
    double mean = sum_powers(x, n, 0, 1) / n;
    double factor = 1 / sqrt(sum_powers(x, n, mean, 2) / n + eps);
    for (int i = 0; i < n; i++) {
        double normal = (x[i] - mean) * factor;
        y[i] = (float)normal * scale[i] + (bias ? bias[i] : 0);
    }
}

// No mean is taken off; the product x * factor comes first, as in the reference.
static void rms_norm_row(float *y, const float *x, const float *scale, int n, double eps) {
    float factor = (float)(1 / sqrt(sum_powers(x, n, 0, 2) / n + eps));
    for (int i = 0; i < n; i++) {
        y[i] = x[i] * factor * scale[i];
    }
}

// Each row is one thread's, so the number of threads cannot change a sum.
void ley_layer_norm(float *y, const float *x, const float *scale, const float *bias, int64_t n_rows,
                    int n, double eps) {
#pragma omp parallel for schedule(static) if (n_rows >= ROWS_WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        layer_norm_row(y + r * n, x + r * n, scale, bias, n, eps);
    }
}

void ley_rms_norm(float *y, const float *x, const float *scale, int64_t n_rows, int n, double eps) {
#pragma omp parallel for schedule(static) if (n_rows >= ROWS_WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        rms_norm_row(y + r * n, x + r * n, scale, n, eps);
    }
}
