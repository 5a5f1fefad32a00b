// product_avx2.c - products of floats with AVX2 and FMA
//
// Blocks of up to 3 rows by 4 vectors of 8 columns stay in registers over all depths.
#include <immintrin.h>

#include "kernel/element_impl.h"

enum { N_ROWS = 3, N_VECTORS = 4 };

// R rows by V vectors at row r, column i. R and V are constants where this is expanded.
static inline __attribute__((always_inline)) void block(const struct ley_product *p, int r, int i,
                                                        const int R, const int V) {
    __m256 sum[N_ROWS][N_VECTORS];
    float *c = p->c + r * p->c_row + i;
    const float *a = p->a + r * p->a_row, *b = p->b + i;
    for (int x = 0; x < R; x++) {
        for (int y = 0; y < V; y++) {
            sum[x][y] = _mm256_loadu_ps(c + x * p->c_row + 8 * y);
        }
    }
    for (int k = 0; k < p->depth; k++) {
        __m256 value[N_VECTORS];
        for (int y = 0; y < V; y++) {
            value[y] = _mm256_loadu_ps(b + 8 * y);
        }
        for (int x = 0; x < R; x++) {
            __m256 one = _mm256_set1_ps(a[x * p->a_row]);
            for (int y = 0; y < V; y++) {
                sum[x][y] = _mm256_fmadd_ps(one, value[y], sum[x][y]);
            }
        }
        a += p->a_depth;
        b += p->b_row;
    }
    for (int x = 0; x < R; x++) {
        for (int y = 0; y < V; y++) {
            _mm256_storeu_ps(c + x * p->c_row + 8 * y, sum[x][y]);
        }
    }
}

// All columns of R rows.
static inline __attribute__((always_inline)) void rows(const struct ley_product *p, int r,
                                                       const int R) {
    int i = 0;
    for (; i + 32 <= p->n_columns; i += 32) {
        block(p, r, i, R, 4);
    }
    for (; i < p->n_columns; i += 16) {
        block(p, r, i, R, 2);
    }
}

void ley_product_avx2(const struct ley_product *product) {
    int r = 0;
    for (; r + 3 <= product->n_rows; r += 3) {
        rows(product, r, 3);
    }
    for (; r < product->n_rows; r++) {
        rows(product, r, 1);
    }
}
