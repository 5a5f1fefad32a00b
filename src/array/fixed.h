// fixed.h - a chip in integers: what makes fast simulation exact (M21).
//
// Stored levels and pulse widths are few and evenly spaced, so the current of a cell can be written
//     i(level, age) = a_0(age) + sum over terms j of a_j(age) * lookup[j][level]             [A]
// with small integers lookup[j][level]: for a polynomial law on levels that are odd multiples m of
// one half-step, the terms are m, (m^2 - 1) / 8 and (m^3 - m) / 24 - k m; for any other law one
// term for each level (1 at that level, 0 elsewhere). Sums over cells are then sums of integers;
// ages enter only through a_j, once for each column.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "array/hardware.h"
#include "kernel/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LEY_MAX_TERMS = LEY_LEVELS,
    LEY_BLOCK_ROWS = 16,          // queries that are computed together, at most
    LEY_MAX_FIXED_COLUMNS = 1024, // of a tile
};

// Resolved once for each layer; plain to read.
struct ley_fixed {
    const struct ley_hardware *hardware; // borrowed
    const struct ley_cell *cell;         // borrowed
    int head_dim;
    int n_terms, most_lookup;
    int8_t lookup[LEY_MAX_TERMS][LEY_LEVELS];
    double u_v[LEY_LEVELS]; // stored levels
    // kernel.h: weights of V are in units of weight_a, outputs in A_sat
    float weight_scale, total_scale, half;
    double weight_a;
    int full_code;
    // Coefficients for whole periods of age, youngest last, zeros on both sides (out of the
    // window): see ley_fixed_row. magnitude: |i| by terms; NULL when has_powers.
    // slope: of the surrogate cell that gradients see (M22), A/V; one term.
    int64_t refresh_tokens;     // from one rewrite of a column to the next (M35); 0: never
    double sense_a[LEY_LEVELS]; // |current| of each level just before it is rewritten
    int64_t n_lags, table_term; // lags that a query sees; floats from one term to the next
    float *coefficient, *magnitude, *slope;
    // Sign of the current at each level when just written, and the first lag, if below n_lags, at
    // which the current of some level has changed sign.
    int8_t sign[LEY_LEVELS];
    int64_t flip_lag;
    // |i| has the sign of m throughout: sums of powers give the charge through K (kernel.h)
    bool has_powers;
    double factor[4];
};

// Whether the hardware has integers: q and k, v of 2..16 levels, tiles of at most
// LEY_MAX_FIXED_COLUMNS columns.
bool ley_fixed_fits(const struct ley_hardware *hardware);

// Resolves a chip that fits (LEY_E_ARGUMENT when not, or when sums could leave 32 bits).
// `hardware` and `cell` are borrowed and must outlive it.
LEY_MUST_CHECK enum ley_status ley_fixed_create(struct ley_fixed **fixed,
                                                const struct ley_hardware *hardware,
                                                const struct ley_cell *cell, int head_dim);

// NULL is accepted.
void ley_fixed_destroy(struct ley_fixed *fixed);

// Coefficients that the query `age` tokens after token s finds for columns of tokens s, s + 1, ...:
// coefficient[j] of column c at result + j * table_term + c, of the query after it one less.
// `table` is coefficient or magnitude; -LEY_MAX_FIXED_COLUMNS < age < n_lags + that + 16
// (contract).
const float *ley_fixed_row(const struct ley_fixed *fixed, const float *table, int64_t age);

// Coefficients of one column of any age [s]: out[0], out[stride], ... (1 + n_terms of them);
// magnitude likewise unless NULL.
void ley_fixed_column(const struct ley_fixed *fixed, float *out, float *magnitude, int64_t stride,
                      double age_s);

// What is left of the powers of m, i = 0..3, in a cell's current after age_s (ley_powers).
void ley_fixed_powers(double power[4], const struct ley_fixed *fixed, double age_s);

#ifdef __cplusplus
}
#endif
