// score_avx512.c - scores, pulses and weights with AVX-512
//
// The same operations on each lane as element.c, kept in registers from sums to bytes. Four vectors
// of 16 columns are treated together where there are as many: their weights are packed by pairs,
// which interleaves blocks of four columns, and put in order at the end.
#include <immintrin.h>

#include "kernel/element_impl.h"

enum { N_VECTORS = 4 };

// Tallies of one row, by lanes.
struct lanes {
    __m512i n_zero, n_full, s_sum, phi_sum;
};

// s of vector y of a row: the constant, then the terms in turn.
static inline __attribute__((always_inline)) __m512
sum_terms(const struct ley_score *k, const float *coefficient, const int32_t *x, float row_sum) {
    __m512 s = _mm512_mul_ps(_mm512_loadu_ps(coefficient), _mm512_set1_ps(row_sum));
    for (int j = 0; j < k->n_terms; j++) {
        coefficient += k->coefficient_term;
        __m512 value = _mm512_cvtepi32_ps(_mm512_loadu_si512(x + j * k->x_term));
        s = _mm512_fmadd_ps(_mm512_loadu_ps(coefficient), value, s);
    }
    return s;
}

static inline __m512i weight_of(__m512 phi, const float *coefficient, __m512 scale) {
    __m512 k = _mm512_mul_ps(_mm512_loadu_ps(coefficient), scale);
    return _mm512_cvtps_epi32(_mm512_mul_ps(phi, k)); // rounds half to even
}

static inline void add_to(int32_t *sum, __m512i value) {
    _mm512_storeu_si512(sum, _mm512_add_epi32(_mm512_loadu_si512(sum), value));
}

static inline __attribute__((always_inline)) void count(struct lanes *lanes, __m512 s, __m512 phi) {
    const __m512i one = _mm512_set1_epi32(1);
    __mmask16 is_zero = _mm512_cmp_ps_mask(s, _mm512_setzero_ps(), _CMP_LE_OQ);
    __mmask16 is_full = _mm512_cmp_ps_mask(s, _mm512_set1_ps(1), _CMP_GE_OQ);
    lanes->n_zero = _mm512_mask_add_epi32(lanes->n_zero, is_zero, lanes->n_zero, one);
    lanes->n_full = _mm512_mask_add_epi32(lanes->n_full, is_full, lanes->n_full, one);
    __m512i s_units = _mm512_cvtps_epi32(_mm512_mul_ps(s, _mm512_set1_ps(0x1p14f)));
    __m512i phi_units = _mm512_cvtps_epi32(_mm512_mul_ps(phi, _mm512_set1_ps(0x1p16f)));
    lanes->s_sum = _mm512_add_epi32(lanes->s_sum, s_units);
    lanes->phi_sum = _mm512_add_epi32(lanes->phi_sum, phi_units);
}

// Low and high bytes of V vectors of weights, in the order of columns.
static inline __attribute__((always_inline)) void put_bytes(uint8_t *low, uint8_t *high,
                                                            const __m512i *weight, const int V) {
    if (V == 1) {
        _mm_storeu_si128((__m128i *)low, _mm512_cvtepi32_epi8(weight[0]));
        _mm_storeu_si128((__m128i *)high, _mm512_cvtepi32_epi8(_mm512_srli_epi32(weight[0], 8)));
        return;
    }
    const __m512i byte = _mm512_set1_epi16(0xff);
    // Packing works in 128-bit parts: part p of the result holds columns 4 p .. 4 p + 3 of each of
    // the four vectors.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i a = _mm512_packus_epi32(weight[0], weight[1]);
    __m512i b = _mm512_packus_epi32(weight[2], weight[3]);
    __m512i lows = _mm512_packus_epi16(_mm512_and_si512(a, byte), _mm512_and_si512(b, byte));
    __m512i highs = _mm512_packus_epi16(_mm512_srli_epi16(a, 8), _mm512_srli_epi16(b, 8));
    _mm512_storeu_si512(low, _mm512_permutexvar_epi32(order, lows));
    _mm512_storeu_si512(high, _mm512_permutexvar_epi32(order, highs));
}

// V vectors of row r at column c. V and counts are constants where this is expanded.
static inline __attribute__((always_inline)) __m512i block(const struct ley_score *k,
                                                           struct lanes *lanes, int r, int c,
                                                           const int V, const bool counts) {
    const int64_t n = k->n_columns, at = r * n + c;
    const float *coefficient = k->coefficient + r * k->coefficient_row + c;
    const __m512 scale = _mm512_set1_ps(k->weight_scale);
    __m512 phi[N_VECTORS];
    __m512i constant = _mm512_setzero_si512();
    for (int y = 0; y < V; y++) {
        __m512 s = sum_terms(k, coefficient + 16 * y, k->x + at + 16 * y, k->row_sum[r]);
        // In this order zero stands for everything that is not above it, as in element.c.
        __m512 low = _mm512_max_ps(s, _mm512_setzero_ps());
        phi[y] = _mm512_min_ps(low, _mm512_set1_ps(1));
        _mm512_storeu_ps(k->s + at + 16 * y, s);
        _mm512_storeu_ps(k->phi + at + 16 * y, phi[y]);
        __m512i weight = weight_of(phi[y], coefficient + 16 * y, scale);
        constant = _mm512_add_epi32(constant, weight);
        if (counts) {
            count(lanes, s, phi[y]);
            add_to(k->column_weight + c + 16 * y, weight);
        }
    }
    for (int j = 0; j < k->n_terms; j++) {
        __m512i weight[N_VECTORS];
        coefficient += k->coefficient_term;
        for (int y = 0; y < V; y++) {
            weight[y] = weight_of(phi[y], coefficient + 16 * y, scale);
            if (counts) {
                add_to(k->column_weight + (j + 1) * n + c + 16 * y, weight[y]);
            }
        }
        uint8_t *low = k->plane + ((int64_t)j * k->n_rows + r) * 2 * n + c;
        put_bytes(low, low + n, weight, V);
    }
    return constant;
}

static inline __attribute__((always_inline)) void row(const struct ley_score *k, int r,
                                                      const bool counts) {
    const __m512i zero = _mm512_setzero_si512();
    struct lanes lanes = {zero, zero, zero, zero};
    __m512i constant = zero;
    int c = 0;
    for (; c + 64 <= k->n_columns; c += 64) {
        constant = _mm512_add_epi32(constant, block(k, &lanes, r, c, 4, counts));
    }
    for (; c < k->n_columns; c += 16) {
        constant = _mm512_add_epi32(constant, block(k, &lanes, r, c, 1, counts));
    }
    k->constant_weight[r] += _mm512_reduce_add_epi32(constant);
    if (counts) {
        k->tally->n_zero += _mm512_reduce_add_epi32(lanes.n_zero);
        k->tally->n_full += _mm512_reduce_add_epi32(lanes.n_full);
        k->tally->s_sum += _mm512_reduce_add_epi32(lanes.s_sum);
        k->tally->phi_sum += _mm512_reduce_add_epi32(lanes.phi_sum);
    }
}

void ley_score_fast_avx512(const struct ley_score *score) {
    for (int r = 0; r < score->n_rows; r++) {
        if (score->column_weight) {
            row(score, r, true);
        } else {
            row(score, r, false);
        }
    }
}
