// kernel.h - the inner loops of analog attention, one table of functions for each instruction set.
//
// Everything the arrays multiply is a small integer, so sums of products are exact and do not
// depend on their order; what happens to one value between the sums is float32, operation by
// operation, with every fused multiply-add written out. All tables therefore give the same bits.
// The scalar table is the specification. No function here knows physics: meanings of the numbers
// are their callers' (array/fixed_tile.h). None allocates; all arrays are the caller's.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ley_isa { LEY_ISA_SCALAR, LEY_ISA_AVX2, LEY_ISA_AVX512, LEY_ISA_AMX };
enum { LEY_N_ISAS = 4 };

enum {
    LEY_LEVELS = 16, // entries of a lookup: one for each 4-bit code
    LEY_LANES = 16,  // columns come in multiples of this
};

// Products of bytes: for rows r and columns i,
//     c[r][i] (+)= sum over terms j and depths k of a[j][r][k] * lookup[j][code[k][i]]
// Codes lie in groups of four depths: code[k / 4][i][k % 4].
struct ley_dot {
    int n_rows, n_columns, n_groups, n_terms; // depth is 4 * n_groups
    int most_a, most_lookup;                  // bounds of a and of |lookup|
    const uint8_t *a;                         // a + j * a_term + r * a_row
    int64_t a_row, a_term;
    const uint8_t *code;                // (n_groups, n_columns, 4), values 0..15
    const int8_t (*lookup)[LEY_LEVELS]; // [n_terms]
    int32_t *c;                         // c + r * c_row
    int64_t c_row;
    bool adds;    // to what is in c
    int8_t *work; // n_terms * 4 * n_groups * n_columns bytes; only AMX uses it
};

// Sums to pulses to weights, for rows r and columns c, with coefficients k[j] (see below):
//     s = k[0] * row_sum[r], then s = fma(k[j + 1], x[j], s) for each term in turn
//     phi = s clipped to 0..1
//     weight[j] = rint(phi * (k[j] * weight_scale)), j = 0 for the constant term, below 2^22
// Weights of terms go to planes of bytes, low byte in row 2 r, high byte in row 2 r + 1; that of
// the constant is summed over columns only.
struct ley_score {
    int n_rows, n_columns, n_terms;
    const int32_t *x; // x + j * x_term + r * n_columns
    int64_t x_term;
    const float *row_sum;     // [n_rows]
    const float *coefficient; // k[j] of row r: coefficient + j * coefficient_term + r * ..._row
    int64_t coefficient_term, coefficient_row;
    float weight_scale;
    float *s, *phi;           // (n_rows, n_columns)
    uint8_t *plane;           // (n_terms, 2 n_rows, n_columns)
    int32_t *constant_weight; // [n_rows], added to
    // Counting, when column_weight is not NULL: sums of weights over rows, added to; and tallies.
    int32_t *column_weight; // (1 + n_terms, n_columns)
    struct ley_score_tally *tally;
};

// Sums over all lanes that ley_score saw; s and phi in units of 2^-14 and 2^-16.
struct ley_score_tally {
    int64_t n_zero, n_full; // s <= 0, s >= 1
    int64_t s_sum, phi_sum;
};

// As ley_score, for s with the coefficients of magnitudes: sum over lanes of
// fma(m[j + 1], x[j], ...) from m[0] * row_sum, each lane rounded to 2^-14. (Its first four lines
// of arguments.)
struct ley_magnitude {
    int n_rows, n_columns, n_terms;
    const int32_t *x;
    int64_t x_term;
    const float *row_sum;
    const float *coefficient;
    int64_t coefficient_term, coefficient_row;
};

// Sums to counts, for rows r and columns d: total = low + 256 * high + constant[r],
//     x = total * scale; y = x clipped to -1..1
//     code = rint(y * half), but +-full_code where |x| >= 1; when half is 0 there are no codes
// and sum[r][d] += code, or y when there are none.
struct ley_count {
    int n_rows, n_columns;
    int64_t row;              // elements from one row to the next in all arrays
    const int32_t *plane_sum; // (2 n_rows, row): low in row 2 r, high in row 2 r + 1
    const int32_t *constant;  // [n_rows]
    float scale, half;
    int full_code;
    float *x;                      // (n_rows, row)
    int32_t *code;                 // (n_rows, row)
    float *sum;                    // (n_rows, row), added to; whole numbers when there are codes
    struct ley_count_tally *tally; // NULL: not counted
};

// Sums over all lanes that ley_count saw; y_sum of |y| in units of 2^-16.
struct ley_count_tally {
    int64_t n_full; // |x| >= 1
    int64_t y_sum, ticks;
};

// Values to codes: y = a * x + b in double, clipped to 0..high, code = rint(y / step).
struct ley_encode {
    int n;
    const double *f64; // x; or, when this is NULL,
    const float *f32;
    double a, b, high, step;
    uint8_t *code;
};

// Running sums of powers with sign, for n lanes d and i = 0..3:
//     sum[i][d] = sum[i][d] * keep[i] + p_i(in[d]) - gone[i] * p_i(out[d])
// where p_i(c) = sign(m) * m^i, m = 2 c - top; `out` may be NULL; and weighted[d] receives the sum
// over i of factor[i] * sum[i][d].
struct ley_powers {
    int n; // multiple of 8
    int top;
    double *sum; // (4, n)
    double keep[4], gone[4], factor[4];
    const uint8_t *in, *out;
    double *weighted; // [n]
};

// sum over d of code[d] * weight[d]: eight partial sums, d mod 8, added in pairs.
struct ley_weigh_pulses {
    int n; // multiple of 8
    const uint8_t *code;
    const double *weight;
};

// c[r][i] = fma(a[r][k], b[k][i], c[r][i]) for k = 0, 1, .. in turn.
struct ley_product {
    int n_rows, n_columns, depth; // n_columns: multiple of LEY_LANES
    const float *a;               // a + r * a_row + k * a_depth
    int64_t a_row, a_depth;
    const float *b; // b + k * b_row
    int64_t b_row;
    float *c; // c + r * c_row
    int64_t c_row;
};

// Gradients of a block of queries (rows) and columns of a tile, width values a row (M22), slopes g
// (rows `slope_row` apart). Pairs r, c through which nothing comes, s < 0, or s = 0 and g = 0, are
// left out; the others, in turn:
//     p = sum over d of dout[r][d] w[c][d]: LEY_LANES partial sums by fma, added in halves
//     e = ((p * g) * scale) * g where s <= 1, else 0;  f = phi * g
//     dq[r] = fma(e, u[c], dq[r]);  du[c] = fma(e, q[r], du[c]);  dw[c] = fma(f, dout[r], dw[c])
struct ley_pair_gradient {
    int n_rows, n_columns, width; // multiples of LEY_LANES: n_columns, width
    const float *s, *phi;         // (rows, columns)
    const float *slope;
    int64_t slope_row;
    float scale;
    const float *q, *dout; // (rows, width)
    const float *u, *w;    // (columns, width)
    float *dq, *du, *dw;   // (rows, width), (columns, width) twice; columns never in a pair unused
};

// out[c][r] = in[r][c]: a matrix turned.
struct ley_turn {
    int n_rows, n_columns; // of `in`
    const float *in;       // in + r * in_row
    int64_t in_row;
    float *out; // out + c * out_row
    int64_t out_row;
};

// One row of kernels.def is one slot.
struct ley_kernels {
    enum ley_isa isa;
#define LEY_KERNEL(name, result, argument) result (*name)(argument);
#include "kernel/kernels.def"
#undef LEY_KERNEL
};

// The table of an instruction set; NULL when this machine (CPU or operating system) has it not.
// Static storage.
const struct ley_kernels *ley_kernels_get(enum ley_isa isa);

// The best table of this machine, not above `cap`.
const struct ley_kernels *ley_kernels_best(enum ley_isa cap);

// The best table not above what the environment variable LEYDEN_ISA names, if it names one.
const struct ley_kernels *ley_kernels_select(void);

// "scalar", "avx2", "avx512", "amx".
const char *ley_isa_name(enum ley_isa isa);

// Finds a name; false when there is none such.
bool ley_isa_find(enum ley_isa *isa, const char *name);

#ifdef __cplusplus
}
#endif
