// centre.c - heads without their common part
#include "attention/centre.h"

enum { ROWS_WORTH_THREADS = 64 };

// M25. Summed in order: one result on all machines.
static void centre(float *x, int n) {
    float sum = 0;
    for (int d = 0; d < n; d++) {
        sum += x[d];
    }
    float mean = sum / (float)n;
    for (int d = 0; d < n; d++) {
        x[d] -= mean;
    }
}

void ley_centre_heads(float *x, int64_t stride, int64_t n_rows, int n_heads, int head_dim) {
#pragma omp parallel for schedule(static) if (n_rows >= ROWS_WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        for (int h = 0; h < n_heads; h++) {
            centre(x + r * stride + h * head_dim, head_dim);
        }
    }
}
