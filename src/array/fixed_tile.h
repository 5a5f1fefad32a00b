// fixed_tile.h - a block of queries through one tile, in integers (M21): M10 to M15 on codes.
//
// The same path as tile.h, for up to LEY_BLOCK_ROWS queries at once and on stored codes. Sums are
// exact; only the steps on single values (kernel.h) round, always in the same way. Results do not
// depend on how queries are grouped into blocks, nor on how a tile's tokens are split into reads.
#pragma once
#include "array/code_tiles.h"

struct ley_ledger;

#ifdef __cplusplus
extern "C" {
#endif

// What one thread works with, for blocks of queries of one chip.
struct ley_fixed_work {
    int32_t *x, *sum, *constant, *code, *column_weight;
    float *s, *phi, *a, *total; // total: (LEY_BLOCK_ROWS, n_rows) sums over tiles, in codes
    uint8_t *plane;
    int8_t *bytes;
};

// What was counted in integers; adds up in any order.
struct ley_fixed_tally {
    struct ley_score_tally score;
    struct ley_count_tally count;
    int64_t k_size, v_net, v_size; // charge: see ley_fixed_tally_add
    int64_t n_lanes;               // scores computed, padding and gated columns included
};

// Queries of one block at one tile.
struct ley_fixed_read {
    int n_rows;             // of queries, 1..LEY_BLOCK_ROWS
    const uint8_t *pulse;   // (n_rows, 4 * n_groups) codes of q, padded with 0
    const float *pulse_sum; // [n_rows] sum of the codes of a row
    // coefficients of column c for row r: coefficient + j * term + r * row + c; 0 where gated
    const float *coefficient, *magnitude;
    int64_t term, row;
    // age of each column for row 0 in whole periods; NULL where no current turns its sign
    const int64_t *lag;
};

// Lays the arrays out for tiles of this shape, as ley_code_tiles_place does.
size_t ley_fixed_work_place(struct ley_fixed_work *work, const struct ley_code_tiles *tiles,
                            void *block);

// Starts a block of queries: sums over tiles are 0.
void ley_fixed_begin(struct ley_fixed_work *work, const struct ley_code_tiles *tiles, int n_rows);

// Starts a tile.
void ley_fixed_tile_begin(struct ley_fixed_work *work, const struct ley_code_tiles *tiles,
                          int n_rows);

// Reads stored tile `tile` (M10 to M12) and adds to the bit lines of V; a chip's tile may be stored
// in several, by laps of the ring. work->s and phi then hold the scores. tally may be NULL.
void ley_fixed_tile_read(struct ley_fixed_work *work, const struct ley_kernels *kernels,
                         const struct ley_code_tiles *tiles, int64_t tile,
                         const struct ley_fixed_read *read, struct ley_fixed_tally *tally);

// Converts the bit lines of V (M13, M14) and adds to the sums over tiles (M15). work->a and code
// then hold the tile's outputs.
void ley_fixed_tile_end(struct ley_fixed_work *work, const struct ley_kernels *kernels,
                        const struct ley_code_tiles *tiles, int n_rows,
                        struct ley_fixed_tally *tally);

// Row r's sum over tiles in units of A_sat: out[head_dim].
void ley_fixed_total(double *out, const struct ley_fixed_work *work,
                     const struct ley_code_tiles *tiles, int r);

// total += part
void ley_fixed_tally_add(struct ley_fixed_tally *total, const struct ley_fixed_tally *part);

// Adds the amounts and the counts of conversions to a ledger; n_live of the scores were not gated.
void ley_fixed_tally_post(struct ley_ledger *ledger, const struct ley_fixed_tally *tally,
                          const struct ley_fixed *fixed, int64_t n_live);

#ifdef __cplusplus
}
#endif
