// dot_avx2.c - products of bytes with AVX2
//
// AVX2 multiplies bytes into pairs of 16-bit sums, which saturate: as many are added as are certain
// to fit (the bounds of both factors are known), then widened to 32 bits. Blocks of up to 2 rows by
// 4 vectors of 8 columns stay in registers.
#include <immintrin.h>

#include "kernel/element_impl.h"

enum { N_ROWS = 2, N_VECTORS = 4 };

static inline __m256i load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

// Four bytes of a row, in every lane.
static inline __m256i load_row(const uint8_t *a) {
    int32_t four;
    __builtin_memcpy(&four, a, sizeof four);
    return _mm256_set1_epi32(four);
}

// Groups k .. k + n - 1 of one term, in 16-bit sums, then added to `sum`.
static inline __attribute__((always_inline)) void piece(__m256i sum[N_ROWS][N_VECTORS],
                                                        const struct ley_dot *dot, const uint8_t *a,
                                                        const uint8_t *code, __m256i lookup, int n,
                                                        const int R, const int V) {
    __m256i narrow[N_ROWS][N_VECTORS];
    for (int x = 0; x < R; x++) {
        for (int y = 0; y < V; y++) {
            narrow[x][y] = _mm256_setzero_si256();
        }
    }
    for (int k = 0; k < n; k++) {
        for (int y = 0; y < V; y++) {
            __m256i value = _mm256_shuffle_epi8(lookup, load(code + 32 * y));
            for (int x = 0; x < R; x++) {
                __m256i pair = _mm256_maddubs_epi16(load_row(a + x * dot->a_row + 4 * k), value);
                narrow[x][y] = _mm256_add_epi16(narrow[x][y], pair);
            }
        }
        code += 4 * dot->n_columns;
    }
    for (int x = 0; x < R; x++) {
        for (int y = 0; y < V; y++) {
            __m256i wide = _mm256_madd_epi16(narrow[x][y], _mm256_set1_epi16(1));
            sum[x][y] = _mm256_add_epi32(sum[x][y], wide);
        }
    }
}

// R rows by V vectors at row r, column i. R and V are constants where this is expanded.
static inline __attribute__((always_inline)) void block(const struct ley_dot *dot, int r, int i,
                                                        int n_safe, const int R, const int V) {
    __m256i sum[N_ROWS][N_VECTORS];
    int32_t *c = dot->c + r * dot->c_row + i;
    for (int x = 0; x < R; x++) {
        for (int y = 0; y < V; y++) {
            sum[x][y] = dot->adds ? load(c + x * dot->c_row + 8 * y) : _mm256_setzero_si256();
        }
    }
    for (int j = 0; j < dot->n_terms; j++) {
        const __m256i lookup =
            _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)dot->lookup[j]));
        const uint8_t *a = dot->a + j * dot->a_term + r * dot->a_row;
        for (int k = 0; k < dot->n_groups; k += n_safe) {
            int n = k + n_safe < dot->n_groups ? n_safe : dot->n_groups - k;
            piece(sum, dot, a + 4 * k, dot->code + 4 * ((int64_t)k * dot->n_columns + i), lookup, n,
                  R, V);
        }
    }
    for (int x = 0; x < R; x++) {
        for (int y = 0; y < V; y++) {
            _mm256_storeu_si256((__m256i *)(c + x * dot->c_row + 8 * y), sum[x][y]);
        }
    }
}

// All columns of R rows.
static inline __attribute__((always_inline)) void rows(const struct ley_dot *dot, int r, int n_safe,
                                                       const int R) {
    int i = 0;
    for (; i + 32 <= dot->n_columns; i += 32) {
        block(dot, r, i, n_safe, R, 4);
    }
    for (; i < dot->n_columns; i += 16) {
        block(dot, r, i, n_safe, R, 2);
    }
}

void ley_dot_avx2(const struct ley_dot *dot) {
    // Each 16-bit sum takes two products a group.
    int n_safe = INT16_MAX / (2 * dot->most_a * dot->most_lookup);
    int r = 0;
    for (; r + 2 <= dot->n_rows; r += 2) {
        rows(dot, r, n_safe, 2);
    }
    if (r < dot->n_rows) {
        rows(dot, r, n_safe, 1);
    }
}
