// fixed_run_impl.h - codes of a whole sequence in tiles, and how blocks of queries find them;
// shared by the passes over a sequence, forward (fixed_sequence.c) and back (fixed_backward.c).
#pragma once
#include "attention/fixed_impl.h"

// A call and the codes of its tokens.
struct ley_fixed_run {
    const struct ley_attention *attention;
    const struct ley_attention_call *call;
    int64_t n_pairs, n_heads, n_group; // banks, query heads, of one bank
    int64_t n_tokens, n_laps;
    int64_t first, n_blocks;      // first query; blocks of them, from multiples of LEY_BLOCK_ROWS
    int n_tiles, depth;           // of the ring; codes of a row of q or k
    struct ley_code_tiles *tiles; // [n_pairs]
    uint8_t *q, *k;               // (n_heads, T, depth), (n_pairs, T, depth)
    float *q_sum;                 // (n_heads, T)
};

// Sizes of a call; no memory yet.
struct ley_fixed_run ley_fixed_run_of(const struct ley_attention *attention,
                                      const struct ley_attention_call *call);

// Lays out codes and tiles at *at of a block (NULL: only measures); run->tiles has room already.
void ley_fixed_run_place(struct ley_fixed_run *run, void *block, size_t *at);

// Codes of token t of one bank, into its tile; v is room for `depth` codes.
void ley_fixed_run_store(const struct ley_fixed_run *run, int64_t pair, int64_t t, uint8_t *v);

// Codes of all queries of one head.
void ley_fixed_run_queries(const struct ley_fixed_run *run, int64_t head);

// Block i of the queries: they begin at t, n_rows of them.
struct ley_fixed_block {
    int64_t t;
    int n_rows;
};
struct ley_fixed_block ley_fixed_run_block(const struct ley_fixed_run *run, int64_t i);

// Part of a tile that one lap of the ring has written.
struct ley_fixed_part {
    int64_t stored; // tile of struct ley_code_tiles
    int64_t first;  // token of column 0
    int n_tokens;   // columns
};

// The part of tile n that a lap has written, if some of n_rows queries t, t + 1, ... see any of it.
bool ley_fixed_run_part(struct ley_fixed_part *part, const struct ley_fixed_run *run, int n,
                        int64_t lap, int64_t t, int n_rows);

// The first lap that query t or later ones can see.
int64_t ley_fixed_run_lap(const struct ley_fixed_run *run, int64_t t);

// Room for coefficients of tiles with padding: (LEY_BLOCK_ROWS, 1 + terms, columns), and of ages.
struct ley_fixed_masks {
    float *coefficient, *magnitude, *slope; // slope: (LEY_BLOCK_ROWS, columns)
    int64_t *lag;                           // (columns)
};

// Lays them out.
void ley_fixed_masks_place(struct ley_fixed_masks *masks, const struct ley_fixed_run *run,
                           void *block, size_t *at);

// Fills the coefficients of a read of a part by queries t, t + 1, ...
void ley_fixed_run_coefficients(struct ley_fixed_read *read, const struct ley_fixed_masks *masks,
                                const struct ley_fixed_run *run, const struct ley_fixed_part *part,
                                int64_t t);

// Slopes of the surrogate cell for the same columns: of row r at result + r * *row.
const float *ley_fixed_run_slopes(int64_t *row, const struct ley_fixed_masks *masks,
                                  const struct ley_fixed_run *run,
                                  const struct ley_fixed_part *part, int64_t t, int n_rows);

// Memory of a call, kept from call to call when the caller wants it: it only grows.
struct ley_attention_work {
    char *block;
    size_t n_bytes;
    struct ley_code_tiles *tiles; // [n_tiles], one for each bank
    struct worker *worker;        // [n_workers], of the forward pass
    int64_t n_tiles;
    int n_workers;
};
