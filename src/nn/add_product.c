// add_product.c - small products of float32 matrices, exact to the order of their terms
#include <string.h>

#include "kernel/kernel.h"
#include "nn/linear.h"

// ROWS: of one task. DEPTH: terms whose factors are scaled at a time.
enum { ROWS = 32, DEPTH = 64 };

// The columns beyond the last whole vector, through padded copies of c and b.
static void add_rest(float *c, const struct ley_product *whole, const float *b, int64_t n_columns,
                     const struct ley_kernels *kernels) {
    float sum[ROWS * LEY_LANES] = {0}, term[DEPTH * LEY_LANES] = {0};
    int64_t first = whole->n_columns;
    size_t n_bytes = (size_t)(n_columns - first) * sizeof *c;
    struct ley_product rest = *whole;
    rest.n_columns = LEY_LANES;
    rest.b = term;
    rest.c = sum;
    rest.b_row = rest.c_row = LEY_LANES;
    for (int r = 0; r < whole->n_rows; r++) {
        memcpy(sum + r * LEY_LANES, c + r * n_columns + first, n_bytes);
    }
    for (int k = 0; k < whole->depth; k++) {
        memcpy(term + k * LEY_LANES, b + k * n_columns + first, n_bytes);
    }
    kernels->product(&rest);
    for (int r = 0; r < whole->n_rows; r++) {
        memcpy(c + r * n_columns + first, sum + r * LEY_LANES, n_bytes);
    }
}

// Up to ROWS rows, all terms.
static void add_rows(float *c, const float *a, const float *b, float scale, int n_rows,
                     int64_t n_columns, int depth, const struct ley_kernels *kernels) {
    float factor[ROWS * DEPTH];
    for (int k = 0; k < depth; k += DEPTH) {
        int n = depth - k < DEPTH ? depth - k : DEPTH;
        for (int r = 0; r < n_rows; r++) {
            for (int j = 0; j < n; j++) {
                factor[r * DEPTH + j] = scale * a[r * depth + k + j];
            }
        }
        const struct ley_product product = {
            .n_rows = n_rows,
            .n_columns = (int)(n_columns / LEY_LANES * LEY_LANES),
            .depth = n,
            .a = factor,
            .a_row = DEPTH,
            .a_depth = 1,
            .b = b + k * n_columns,
            .b_row = n_columns,
            .c = c,
            .c_row = n_columns,
        };
        kernels->product(&product);
        if (product.n_columns < n_columns) {
            add_rest(c, &product, product.b, n_columns, kernels);
        }
    }
}

void ley_add_product(float *c, const float *a, const float *b, float scale, int64_t n_rows,
                     int64_t n_columns, int depth) {
    const struct ley_kernels *kernels = ley_kernels_select();
#pragma omp parallel for schedule(static) if (n_rows > ROWS)
    for (int64_t r = 0; r < n_rows; r += ROWS) {
        int n = n_rows - r < ROWS ? (int)(n_rows - r) : ROWS;
        add_rows(c + r * n_columns, a + r * depth, b, scale, n, n_columns, depth, kernels);
    }
}
