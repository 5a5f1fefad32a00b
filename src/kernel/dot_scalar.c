// dot_scalar.c - products of bytes and of floats, one after another: what the others are checked
// against
#include <math.h>

#include "kernel/element_impl.h"

// Integers: no order of summation is better or worse than another.
void ley_dot_scalar(const struct ley_dot *dot) {
    int64_t n_columns = dot->n_columns;
    for (int r = 0; r < dot->n_rows; r++) {
        int32_t *c = dot->c + r * dot->c_row;
        for (int64_t i = 0; i < n_columns; i++) {
            int32_t sum = dot->adds ? c[i] : 0;
            for (int j = 0; j < dot->n_terms; j++) {
                const uint8_t *a = dot->a + j * dot->a_term + r * dot->a_row;
                for (int k = 0; k < 4 * dot->n_groups; k++) {
                    uint8_t code = dot->code[(k / 4 * n_columns + i) * 4 + k % 4];
                    sum += (int32_t)a[k] * dot->lookup[j][code];
                }
            }
            c[i] = sum;
        }
    }
}

// Here the order is part of the result: k ascends.
void ley_product_scalar(const struct ley_product *product) {
    for (int r = 0; r < product->n_rows; r++) {
        float *c = product->c + r * product->c_row;
        for (int k = 0; k < product->depth; k++) {
            float a = product->a[r * product->a_row + k * product->a_depth];
            const float *b = product->b + k * product->b_row;
            for (int i = 0; i < product->n_columns; i++) {
                c[i] = fmaf(a, b[i], c[i]);
            }
        }
    }
}
