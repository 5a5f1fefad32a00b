// norm.c - LayerNorm and RMSNorm
//
// Sums run over eight interleaved partial sums, added in order at the end: wide enough for vector
// instructions and the same on every machine. Threads share rows.
#include "nn/norm.h"

#include <math.h>
#include <stdbool.h>

#include "core/variants.h"

// COLUMNS: of one task on the way back, a cache line of floats.
enum { LANES = 8, ROWS_WORTH_THREADS = 16, COLUMNS = 16 };

// sum of (x[i] - centre)^power, power 1 or 2
LEY_LEAF double sum_powers_leaf(const float *x, int n, double centre, int power) {
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

LEY_VARIANTS(double, sum_powers, (const float *x, int n, double centre, int power),
             (x, n, centre, power))

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

// dx += factor (g - mean of g - normal * mean of (g normal)), g = dy * scale, normal = (x - mean)
// factor. The root mean square takes no mean off, so the mean of g has no part there.
LEY_LEAF void backward_row_leaf(const struct ley_norm_backward *pass, int64_t r, int n,
                                bool takes_mean) {
    const float *dy = pass->dy + r * n, *x = pass->x + r * n;
    double mean = pass->statistics[2 * r], factor = pass->statistics[2 * r + 1];
    double lane[LANES] = {0}, lane_normal[LANES] = {0}, sum = 0, sum_normal = 0;
    for (int i = 0; i < n; i++) {
        double g = (double)dy[i] * pass->scale[i];
        lane[i % LANES] += g;
        lane_normal[i % LANES] += g * (x[i] - mean) * factor;
    }
    for (int j = 0; j < LANES; j++) {
        sum += lane[j];
        sum_normal += lane_normal[j];
    }
    double mean_g = takes_mean ? sum / n : 0, mean_normal = sum_normal / n;
    float *dx = pass->dx + r * n;
    for (int i = 0; i < n; i++) {
        double g = (double)dy[i] * pass->scale[i], normal = (x[i] - mean) * factor;
        dx[i] += (float)(factor * (g - mean_g - normal * mean_normal));
    }
}

LEY_VARIANTS(void, backward_row,
             (const struct ley_norm_backward *pass, int64_t r, int n, bool takes_mean),
             (pass, r, n, takes_mean))

// dscale += sum over rows of dy normal, dbias += sum of dy, for n <= COLUMNS columns from `first`.
static void backward_columns(const struct ley_norm_backward *pass, int64_t n_rows, int width,
                             int first, int n) {
    double scale[COLUMNS] = {0}, bias[COLUMNS] = {0};
    for (int64_t r = 0; r < n_rows; r++) {
        const float *dy = pass->dy + r * width + first, *x = pass->x + r * width + first;
        double mean = pass->statistics[2 * r], factor = pass->statistics[2 * r + 1];
        for (int i = 0; i < n; i++) {
            scale[i] += dy[i] * (x[i] - mean) * factor;
            bias[i] += (double)dy[i];
        }
    }
    for (int i = 0; i < n; i++) {
        if (pass->dscale) {
            pass->dscale[first + i] += (float)scale[i];
        }
        if (pass->dbias) {
            pass->dbias[first + i] += (float)bias[i];
        }
    }
}

// Rows first, each one thread's; then columns, each one thread's: no sum is shared.
static void backward(const struct ley_norm_backward *pass, int64_t n_rows, int n, double eps,
                     bool takes_mean) {
#pragma omp parallel for schedule(static) if (n_rows >= ROWS_WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        const float *x = pass->x + r * n;
        double mean = takes_mean ? sum_powers(x, n, 0, 1) / n : 0;
        pass->statistics[2 * r] = mean;
        pass->statistics[2 * r + 1] = 1 / sqrt(sum_powers(x, n, mean, 2) / n + eps);
        backward_row(pass, r, n, takes_mean);
    }
    if (!pass->dscale && !pass->dbias) {
        return;
    }
#pragma omp parallel for schedule(static) if (n_rows >= ROWS_WORTH_THREADS)
    for (int first = 0; first < n; first += COLUMNS) {
        backward_columns(pass, n_rows, n, first, n - first < COLUMNS ? n - first : COLUMNS);
    }
}

void ley_layer_norm_backward(const struct ley_norm_backward *pass, int64_t n_rows, int n,
                             double eps) {
    backward(pass, n_rows, n, eps, true);
}

// A root mean square is a deviation around zero.
void ley_rms_norm_backward(const struct ley_norm_backward *pass, int64_t n_rows, int n,
                           double eps) {
    backward(pass, n_rows, n, eps, false);
}
