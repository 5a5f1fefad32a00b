// element.c - the kernels that treat one value after another; see element_impl.h
//
// Plain loops over arrays that do not overlap: they are the specification, and what the compiler
// makes of them with wider registers computes the same operations on each lane.
#include <math.h>
#include <string.h>

#include "kernel/element_impl.h"

#define KERNEL(name) LEY_JOIN(ley_##name, LEY_KERNEL_ISA)

// s of one row with a number of terms that is constant where this is expanded.
static inline __attribute__((always_inline)) void
sum_terms_of(float *restrict s, const struct ley_magnitude *m, int r, const int n_terms) {
    const float *restrict k = m->coefficient + r * m->coefficient_row;
    const int32_t *restrict x = m->x + (int64_t)r * m->n_columns;
    int64_t k_term = m->coefficient_term, x_term = m->x_term;
    float row_sum = m->row_sum[r];
    for (int c = 0; c < m->n_columns; c++) {
        float sum = k[c] * row_sum;
        for (int j = 0; j < n_terms; j++) {
            sum = fmaf(k[c + (j + 1) * k_term], (float)x[c + j * x_term], sum);
        }
        s[c] = sum;
    }
}

// s of one row: the constant, then the terms in turn. Cells with a polynomial law have one term or
// three; their sums stay in registers.
static void sum_terms(float *restrict s, const struct ley_magnitude *m, int r) {
    if (m->n_terms == 3) {
        sum_terms_of(s, m, r, 3);
        return;
    }
    if (m->n_terms == 1) {
        sum_terms_of(s, m, r, 1);
        return;
    }
    sum_terms_of(s, m, r, 0);
    for (int j = 0; j < m->n_terms; j++) {
        const float *restrict k =
            m->coefficient + r * m->coefficient_row + (j + 1) * m->coefficient_term;
        const int32_t *restrict x = m->x + j * m->x_term + (int64_t)r * m->n_columns;
        for (int c = 0; c < m->n_columns; c++) {
            s[c] = fmaf(k[c], (float)x[c], s[c]);
        }
    }
}

// rint(x) for |x| < 2^22: at 1.5 * 2^23 neighbouring floats are 1 apart, so the sum is rounded to a
// whole number, half to even, and its low bits are that number.
static inline int32_t whole(float x) {
    const float shift = 0x1.8p23f;
    const int32_t shift_bits = 0x4b400000;
    float sum = x + shift;
    int32_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return bits - shift_bits;
}

// phi = s clipped to 0..1
static void clip(float *restrict phi, const float *restrict s, int n) {
    for (int c = 0; c < n; c++) {
        float low = s[c] > 0 ? s[c] : 0;
        phi[c] = low < 1 ? low : 1;
    }
}

static void tally_row(struct ley_score_tally *tally, const float *restrict s,
                      const float *restrict phi, int n) {
    int32_t n_zero = 0, n_full = 0, s_sum = 0, phi_sum = 0;
    for (int c = 0; c < n; c++) {
        n_zero += s[c] <= 0;
        n_full += s[c] >= 1;
        s_sum += (int32_t)rintf(s[c] * 0x1p14f);
        phi_sum += whole(phi[c] * 0x1p16f);
    }
    tally->n_zero += n_zero;
    tally->n_full += n_full;
    tally->s_sum += s_sum;
    tally->phi_sum += phi_sum;
}

// Weights of one term, as two bytes each.
static void split_weights(uint8_t *restrict low, uint8_t *restrict high, const float *restrict phi,
                          const float *restrict k, float scale, int n) {
    for (int c = 0; c < n; c++) {
        int32_t weight = whole(phi[c] * (k[c] * scale));
        low[c] = (uint8_t)weight;
        high[c] = (uint8_t)((uint32_t)weight >> 8);
    }
}

// The same with their sums over rows.
static void split_and_sum(uint8_t *restrict low, uint8_t *restrict high, int32_t *restrict sum,
                          const float *restrict phi, const float *restrict k, float scale, int n) {
    for (int c = 0; c < n; c++) {
        int32_t weight = whole(phi[c] * (k[c] * scale));
        low[c] = (uint8_t)weight;
        high[c] = (uint8_t)((uint32_t)weight >> 8);
        sum[c] += weight;
    }
}

// The constant's weights: only their sums are needed.
static int32_t sum_constant(int32_t *restrict column, const float *restrict phi,
                            const float *restrict k, float scale, int n) {
    int32_t sum = 0;
    if (!column) {
        for (int c = 0; c < n; c++) {
            sum += whole(phi[c] * (k[c] * scale));
        }
        return sum;
    }
    for (int c = 0; c < n; c++) {
        int32_t weight = whole(phi[c] * (k[c] * scale));
        sum += weight;
        column[c] += weight;
    }
    return sum;
}

void KERNEL(score)(const struct ley_score *score) {
    int n = score->n_columns;
    const struct ley_magnitude terms = {
        score->n_rows,          n,
        score->n_terms,         score->x,
        score->x_term,          score->row_sum,
        score->coefficient,     score->coefficient_term,
        score->coefficient_row,
    };
    for (int r = 0; r < score->n_rows; r++) {
        float *s = score->s + (int64_t)r * n, *phi = score->phi + (int64_t)r * n;
        const float *k = score->coefficient + r * score->coefficient_row;
        sum_terms(s, &terms, r);
        clip(phi, s, n);
        if (score->tally) {
            tally_row(score->tally, s, phi, n);
        }
        score->constant_weight[r] +=
            sum_constant(score->column_weight, phi, k, score->weight_scale, n);
        for (int j = 0; j < score->n_terms; j++) {
            uint8_t *low = score->plane + ((int64_t)j * score->n_rows + r) * 2 * n;
            k += score->coefficient_term;
            if (score->column_weight) {
                split_and_sum(low, low + n, score->column_weight + (j + 1) * n, phi, k,
                              score->weight_scale, n);
            } else {
                split_weights(low, low + n, phi, k, score->weight_scale, n);
            }
        }
    }
}

int64_t KERNEL(magnitude)(const struct ley_magnitude *magnitude) {
    enum { PIECE = 1024 };
    float s[PIECE];
    int64_t sum = 0;
    for (int r = 0; r < magnitude->n_rows; r++) {
        int32_t row = 0;
        sum_terms(s, magnitude, r);
        for (int c = 0; c < magnitude->n_columns; c++) {
            row += (int32_t)rintf(s[c] * 0x1p14f);
        }
        sum += row;
    }
    return sum;
}

// One value from the two planes.
static inline float join(int32_t low, int32_t high, int32_t constant, float scale) {
    return (float)(low + 256 * high + constant) * scale;
}

// Codes of row r; whole numbers up to 2^24 are exact in float32.
static void round_row(const struct ley_count *count, int r) {
    const int32_t *restrict low = count->plane_sum + 2 * r * count->row;
    const int32_t *restrict high = low + count->row;
    float *restrict x = count->x + r * count->row, *restrict sum = count->sum + r * count->row;
    int32_t *restrict code = count->code + r * count->row, constant = count->constant[r];
    float scale = count->scale, half = count->half, full = (float)count->full_code;
    int n = count->n_columns;
    for (int d = 0; d < n; d++) {
        float one = join(low[d], high[d], constant, scale), size = fabsf(one);
        float steps = size < 1 ? rintf(size * half) : full;
        float value = copysignf(steps, one);
        x[d] = one;
        code[d] = (int32_t)value;
        sum[d] += value;
    }
}

// Without counters: the clipped value itself.
static void clip_row(const struct ley_count *count, int r) {
    const int32_t *restrict low = count->plane_sum + 2 * r * count->row;
    const int32_t *restrict high = low + count->row;
    float *restrict x = count->x + r * count->row, *restrict sum = count->sum + r * count->row;
    int32_t *restrict code = count->code + r * count->row, constant = count->constant[r];
    float scale = count->scale;
    int n = count->n_columns;
    for (int d = 0; d < n; d++) {
        float one = join(low[d], high[d], constant, scale);
        float above = one > -1 ? one : -1;
        x[d] = one;
        code[d] = 0;
        sum[d] += above < 1 ? above : 1;
    }
}

static void tally_counts(struct ley_count_tally *tally, const float *restrict x,
                         const int32_t *restrict code, int n) {
    int32_t n_full = 0, y_sum = 0, ticks = 0;
    for (int d = 0; d < n; d++) {
        float size = fabsf(x[d]), y = size < 1 ? size : 1;
        n_full += size >= 1;
        y_sum += whole(y * 0x1p16f);
        ticks += code[d] < 0 ? -code[d] : code[d];
    }
    tally->n_full += n_full;
    tally->y_sum += y_sum;
    tally->ticks += ticks;
}

void KERNEL(count)(const struct ley_count *count) {
    for (int r = 0; r < count->n_rows; r++) {
        if (count->half > 0) {
            round_row(count, r);
        } else {
            clip_row(count, r);
        }
        if (count->tally) {
            int64_t at = r * count->row;
            tally_counts(count->tally, count->x + at, count->code + at, count->n_columns);
        }
    }
}

// Codes of n values as 32-bit integers, which the compiler narrows in a loop of their own.
static inline int32_t code_of(double x, const struct ley_encode *e) {
    double y = e->a * x + e->b;
    double low = y < 0 ? 0 : y;
    return (int32_t)rint((low > e->high ? e->high : low) / e->step);
}

void KERNEL(encode)(const struct ley_encode *encode) {
    enum { PIECE = 128 };
    const struct ley_encode e = *encode;
    int32_t wide[PIECE];
    for (int first = 0; first < e.n; first += PIECE) {
        int n = e.n - first < PIECE ? e.n - first : PIECE;
        for (int i = 0; i < n && e.f64; i++) {
            wide[i] = code_of(e.f64[first + i], &e);
        }
        for (int i = 0; !e.f64 && i < n; i++) {
            wide[i] = code_of((double)e.f32[first + i], &e);
        }
        for (int i = 0; i < n; i++) {
            e.code[first + i] = (uint8_t)wide[i];
        }
    }
}

// sign(m) m^i of one code, i = 0..3
static void signed_powers(double p[4], int code, int top) {
    double m = 2 * code - top, size = fabs(m), sign = m < 0 ? -1 : 1;
    p[0] = sign;
    p[1] = size;
    p[2] = sign * (m * m);
    p[3] = size * (m * m);
}

void KERNEL(powers)(const struct ley_powers *powers) {
    int n = powers->n, top = powers->top;
    double *restrict s0 = powers->sum, *restrict s1 = s0 + n, *restrict s2 = s1 + n,
                     *restrict s3 = s2 + n, *restrict weighted = powers->weighted;
    const double *keep = powers->keep, *factor = powers->factor;
    const double k0 = keep[0], k1 = keep[1], k2 = keep[2], k3 = keep[3];
    const double f0 = factor[0], f1 = factor[1], f2 = factor[2], f3 = factor[3];
    for (int d = 0; d < n; d++) {
        double in[4];
        signed_powers(in, powers->in[d], top);
        s0[d] = s0[d] * k0 + in[0];
        s1[d] = s1[d] * k1 + in[1];
        s2[d] = s2[d] * k2 + in[2];
        s3[d] = s3[d] * k3 + in[3];
    }
    if (powers->out) {
        const double g0 = powers->gone[0], g1 = powers->gone[1], g2 = powers->gone[2],
                     g3 = powers->gone[3];
        for (int d = 0; d < n; d++) {
            double out[4];
            signed_powers(out, powers->out[d], top);
            s0[d] -= g0 * out[0];
            s1[d] -= g1 * out[1];
            s2[d] -= g2 * out[2];
            s3[d] -= g3 * out[3];
        }
    }
    for (int d = 0; d < n; d++) {
        weighted[d] = ((f0 * s0[d] + f1 * s1[d]) + f2 * s2[d]) + f3 * s3[d];
    }
}

double KERNEL(weigh_pulses)(const struct ley_weigh_pulses *weigh) {
    double part[8] = {0};
    for (int d = 0; d < weigh->n; d += 8) {
        for (int l = 0; l < 8; l++) {
            part[l] += (double)weigh->code[d + l] * weigh->weight[d + l];
        }
    }
    return ((part[0] + part[4]) + (part[1] + part[5])) +
           ((part[2] + part[6]) + (part[3] + part[7]));
}

// Lanes apart, then halves onto halves.
static inline float dot_lanes(const float *restrict a, const float *restrict b, int n) {
    float part[LEY_LANES] = {0};
    for (int d = 0; d < n; d += LEY_LANES) {
        for (int l = 0; l < LEY_LANES; l++) {
            part[l] = fmaf(a[d + l], b[d + l], part[l]);
        }
    }
    for (int half = LEY_LANES / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) {
            part[l] += part[l + half];
        }
    }
    return part[0];
}

static inline void add_scaled(float *restrict sum, float factor, const float *restrict x, int n) {
    for (int d = 0; d < n; d++) {
        sum[d] = fmaf(factor, x[d], sum[d]);
    }
}

static inline void add_pair(const struct ley_pair_gradient *g, int r, int c, float slope) {
    int64_t row = (int64_t)r * g->width, column = (int64_t)c * g->width;
    int64_t at = (int64_t)r * g->n_columns + c;
    if (g->s[at] <= 1) {
        float by_s = dot_lanes(g->dout + row, g->w + column, g->width) * slope * g->scale * slope;
        add_scaled(g->dq + row, by_s, g->u + column, g->width);
        add_scaled(g->du + column, by_s, g->q + row, g->width);
    }
    add_scaled(g->dw + column, g->phi[at] * slope, g->dout + row, g->width);
}

void KERNEL(pair_gradient)(const struct ley_pair_gradient *gradient) {
    for (int r = 0; r < gradient->n_rows; r++) {
        const float *s = gradient->s + (int64_t)r * gradient->n_columns;
        const float *slope = gradient->slope + r * gradient->slope_row;
        for (int c = 0; c < gradient->n_columns; c++) {
            if (s[c] > 0 || (s[c] == 0 && slope[c] != 0)) {
                add_pair(gradient, r, c, slope[c]);
            }
        }
    }
}

// Squares of a cache line a side, so that both sides stay in the cache.
void KERNEL(turn)(const struct ley_turn *turn) {
    enum { SIDE = 16 };
    for (int r = 0; r < turn->n_rows; r += SIDE) {
        int last = r + SIDE < turn->n_rows ? r + SIDE : turn->n_rows;
        for (int c = 0; c < turn->n_columns; c++) {
            float *restrict out = turn->out + c * turn->out_row;
            for (int i = r; i < last; i++) {
                out[i] = turn->in[i * turn->in_row + c];
            }
        }
    }
}
