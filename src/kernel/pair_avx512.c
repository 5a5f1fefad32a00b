// pair_avx512.c - gradients of open pairs with AVX-512; as in element.c, with masks for what is
// open
#include <immintrin.h>

#include "kernel/element_impl.h"

// Halves onto halves.
static inline float sum_lanes(__m512 x) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float dot_lanes(const float *a, const float *b, int n) {
    __m512 part = _mm512_setzero_ps();
    for (int d = 0; d < n; d += LEY_LANES) {
        part = _mm512_fmadd_ps(_mm512_loadu_ps(a + d), _mm512_loadu_ps(b + d), part);
    }
    return sum_lanes(part);
}

static inline void add_scaled(float *sum, float factor, const float *x, int n) {
    __m512 all = _mm512_set1_ps(factor);
    for (int d = 0; d < n; d += LEY_LANES) {
        _mm512_storeu_ps(sum + d,
                         _mm512_fmadd_ps(all, _mm512_loadu_ps(x + d), _mm512_loadu_ps(sum + d)));
    }
}

// Widths are mostly 64: a constant where this is expanded.
static inline __attribute__((always_inline)) void add_pair(const struct ley_pair_gradient *g, int r,
                                                           int c, float slope, const int width) {
    int64_t row = (int64_t)r * width, column = (int64_t)c * width;
    int64_t at = (int64_t)r * g->n_columns + c;
    if (g->s[at] <= 1) {
        float by_s = dot_lanes(g->dout + row, g->w + column, width) * slope * g->scale * slope;
        add_scaled(g->dq + row, by_s, g->u + column, width);
        add_scaled(g->du + column, by_s, g->q + row, width);
    }
    add_scaled(g->dw + column, g->phi[at] * slope, g->dout + row, width);
}

static inline __attribute__((always_inline)) void add_row(const struct ley_pair_gradient *g, int r,
                                                          const int width) {
    const float *s = g->s + (int64_t)r * g->n_columns, *slope = g->slope + r * g->slope_row;
    const __m512 zero = _mm512_setzero_ps();
    for (int first = 0; first < g->n_columns; first += LEY_LANES) {
        __m512 x = _mm512_loadu_ps(s + first), g_x = _mm512_loadu_ps(slope + first);
        __mmask16 edge = _mm512_cmp_ps_mask(x, zero, _CMP_EQ_OQ);
        uint32_t open = _mm512_cmp_ps_mask(x, zero, _CMP_GT_OQ) |
                        _mm512_mask_cmp_ps_mask(edge, g_x, zero, _CMP_NEQ_UQ);
        for (; open; open &= open - 1) {
            int c = first + __builtin_ctz(open);
            add_pair(g, r, c, slope[c], width);
        }
    }
}

void ley_pair_gradient_fast_avx512(const struct ley_pair_gradient *gradient) {
    for (int r = 0; r < gradient->n_rows; r++) {
        if (gradient->width == 64) {
            add_row(gradient, r, 64);
        } else {
            add_row(gradient, r, gradient->width);
        }
    }
}
