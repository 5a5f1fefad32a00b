// dot_avx512.c - products of bytes with AVX-512 VNNI
//
// Blocks of up to 4 rows by 4 vectors of 16 columns stay in registers over all terms and depths.
// One vector holds four depths of 16 columns; a shuffle turns codes into values (the lookup has 16
// entries, one for each code), and one instruction adds four products a lane. The shuffle is shared
// by the rows of a block and runs beside the products, so tables of values are never stored.
#include <immintrin.h>

#include "kernel/element_impl.h"

enum { N_ROWS = 4, N_VECTORS = 4 };

static inline __m512i load_lookup(const int8_t *lookup) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)lookup));
}

// Four bytes of a row, in every lane.
static inline __m512i load_row(const uint8_t *a) {
    int32_t four;
    __builtin_memcpy(&four, a, sizeof four);
    return _mm512_set1_epi32(four);
}

// R rows by V vectors at row r, column i. R and V are constants where this is expanded.
static inline __attribute__((always_inline)) void block(const struct ley_dot *dot, int r, int i,
                                                        const int R, const int V) {
    __m512i sum[N_ROWS][N_VECTORS];
    int32_t *c = dot->c + r * dot->c_row + i;
    for (int x = 0; x < R; x++) {
        for (int y = 0; y < V; y++) {
            sum[x][y] = dot->adds ? _mm512_loadu_si512(c + x * dot->c_row + 16 * y)
                                  : _mm512_setzero_si512();
        }
    }
    for (int j = 0; j < dot->n_terms; j++) {
        const __m512i lookup = load_lookup(dot->lookup[j]);
        const uint8_t *a = dot->a + j * dot->a_term + r * dot->a_row;
        const uint8_t *code = dot->code + 4 * i;
        for (int k = 0; k < dot->n_groups; k++) {
            __m512i value[N_VECTORS];
            for (int y = 0; y < V; y++) {
                value[y] = _mm512_shuffle_epi8(lookup, _mm512_loadu_si512(code + 64 * y));
            }
            for (int x = 0; x < R; x++) {
                __m512i four = load_row(a + x * dot->a_row + 4 * k);
                for (int y = 0; y < V; y++) {
                    sum[x][y] = _mm512_dpbusd_epi32(sum[x][y], four, value[y]);
                }
            }
            code += 4 * dot->n_columns;
        }
    }
    for (int x = 0; x < R; x++) {
        for (int y = 0; y < V; y++) {
            _mm512_storeu_si512(c + x * dot->c_row + 16 * y, sum[x][y]);
        }
    }
}

// All columns of R rows.
static inline __attribute__((always_inline)) void rows(const struct ley_dot *dot, int r,
                                                       const int R) {
    int i = 0;
    for (; i + 64 <= dot->n_columns; i += 64) {
        block(dot, r, i, R, 4);
    }
    for (; i < dot->n_columns; i += 16) {
        block(dot, r, i, R, 1);
    }
}

void ley_dot_avx512(const struct ley_dot *dot) {
    int r = 0;
    for (; r + 4 <= dot->n_rows; r += 4) {
        rows(dot, r, 4);
    }
    for (; r + 2 <= dot->n_rows; r += 2) {
        rows(dot, r, 2);
    }
    if (r < dot->n_rows) {
        rows(dot, r, 1);
    }
}
