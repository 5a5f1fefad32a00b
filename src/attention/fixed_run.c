// fixed_run.c - codes of a whole sequence in tiles, and how blocks of queries find them
#include "attention/fixed_run_impl.h"

#include <string.h>

#include "core/memory.h"

struct ley_fixed_run ley_fixed_run_of(const struct ley_attention *attention,
                                      const struct ley_attention_call *call) {
    const struct ley_attention_shape *shape = &attention->shape;
    int64_t ring = ley_hardware_ring(&attention->hardware);
    return (struct ley_fixed_run){
        .attention = attention,
        .call = call,
        .n_pairs = call->n_batch * shape->n_kv_heads,
        .n_heads = call->n_batch * shape->n_query_heads,
        .n_group = shape->n_query_heads / shape->n_kv_heads,
        .n_tokens = call->n_tokens,
        .first = call->first,
        .n_blocks =
            (call->n_tokens + LEY_BLOCK_ROWS - 1) / LEY_BLOCK_ROWS - call->first / LEY_BLOCK_ROWS,
        .n_laps = (call->n_tokens + ring - 1) / ring,
        .n_tiles = ley_attention_n_tiles(&attention->hardware, call->n_tokens),
        .depth = (shape->head_dim + 7) / 8 * 8,
    };
}

void ley_fixed_run_place(struct ley_fixed_run *run, void *block, size_t *at) {
    size_t rows = (size_t)(run->n_heads * run->n_tokens);
    size_t k_rows = (size_t)(run->n_pairs * run->n_tokens), depth = (size_t)run->depth;
    run->q = ley_cut(block, at, rows * depth);
    run->k = ley_cut(block, at, k_rows * depth);
    run->q_sum = ley_cut(block, at, rows * sizeof(float));
    for (int64_t pair = 0; pair < run->n_pairs; pair++) {
        *at += ley_code_tiles_place(&run->tiles[pair], run->attention->fixed,
                                    run->n_laps * run->n_tiles, block ? (char *)block + *at : NULL);
    }
}

void ley_fixed_run_store(const struct ley_fixed_run *run, int64_t pair, int64_t t, uint8_t *v) {
    const struct ley_attention *attention = run->attention;
    int64_t ring = ley_hardware_ring(&attention->hardware);
    int64_t n_kv = attention->shape.n_kv_heads;
    int n_columns = attention->hardware.array.n_columns;
    uint8_t *k = run->k + (pair * run->n_tokens + t) * run->depth;
    struct ley_fixed_row row = {LEY_SIGNAL_K, pair / n_kv, pair % n_kv, t, t};
    ley_fixed_encode(k, run->depth, attention, &run->call->k, &row, run->call->trace);
    row.signal = LEY_SIGNAL_V;
    ley_fixed_encode(v, run->depth, attention, &run->call->v, &row, run->call->trace);
    int64_t tile = t / ring * run->n_tiles + t % ring / n_columns;
    ley_code_tiles_write(&run->tiles[pair], tile, (int)(t % ring % n_columns), k, v);
}

void ley_fixed_run_queries(const struct ley_fixed_run *run, int64_t head) {
    const struct ley_attention *attention = run->attention;
    int64_t n_q = attention->shape.n_query_heads;
    for (int64_t t = run->first; t < run->n_tokens; t++) {
        uint8_t *q = run->q + (head * run->n_tokens + t) * run->depth;
        const struct ley_fixed_row row = {LEY_SIGNAL_Q, head / n_q, head % n_q, t - run->first, t};
        ley_fixed_encode(q, run->depth, attention, &run->call->q, &row, run->call->trace);
        run->q_sum[head * run->n_tokens + t] = ley_fixed_pulse_sum(q, run->depth);
    }
}

// A later start moves no boundary between blocks: what is counted by blocks (M21) stays the same.
struct ley_fixed_block ley_fixed_run_block(const struct ley_fixed_run *run, int64_t i) {
    int64_t begin = (run->first / LEY_BLOCK_ROWS + i) * LEY_BLOCK_ROWS;
    int64_t t = begin > run->first ? begin : run->first, end = begin + LEY_BLOCK_ROWS;
    return (struct ley_fixed_block){t, (int)((end < run->n_tokens ? end : run->n_tokens) - t)};
}

// M15: a query sees the tokens that are less than the window old.
static int64_t oldest(const struct ley_fixed_run *run, int64_t t) {
    int64_t window = run->attention->hardware.array.window;
    return t - window + 1 > 0 ? t - window + 1 : 0;
}

int64_t ley_fixed_run_lap(const struct ley_fixed_run *run, int64_t t) {
    return oldest(run, t) / ley_hardware_ring(&run->attention->hardware);
}

bool ley_fixed_run_part(struct ley_fixed_part *part, const struct ley_fixed_run *run, int n,
                        int64_t lap, int64_t t, int n_rows) {
    const struct ley_hardware *hardware = &run->attention->hardware;
    int64_t ring = ley_hardware_ring(hardware), width = hardware->array.n_columns;
    int64_t column = n * width, n_tokens = column + width <= ring ? width : ring - column;
    *part = (struct ley_fixed_part){lap * run->n_tiles + n, lap * ring + column, (int)n_tokens};
    return part->first < t + n_rows && part->first + n_tokens > oldest(run, t);
}

void ley_fixed_masks_place(struct ley_fixed_masks *masks, const struct ley_fixed_run *run,
                           void *block, size_t *at) {
    size_t n_columns = (size_t)run->tiles[0].n_columns, n = LEY_BLOCK_ROWS * n_columns;
    size_t n_terms = 1 + (size_t)run->attention->fixed->n_terms;
    masks->coefficient = ley_cut(block, at, n_terms * n * sizeof(float));
    masks->magnitude = ley_cut(block, at, n_terms * n * sizeof(float));
    masks->slope = ley_cut(block, at, n * sizeof(float));
    masks->lag = ley_cut(block, at, n_columns * sizeof(int64_t));
}

// Rows of a table with zeros where columns are padding, n_terms of them a query.
static const float *mask(float *masked, const struct ley_fixed_run *run, const float *table,
                         int64_t n_terms, int64_t age, const struct ley_fixed_part *part,
                         int n_rows) {
    const struct ley_fixed *fixed = run->attention->fixed;
    int64_t n = run->tiles[0].n_columns;
    memset(masked, 0, (size_t)(n_rows * n_terms * n) * sizeof *masked);
    for (int r = 0; r < n_rows; r++) {
        for (int64_t j = 0; j < n_terms; j++) {
            const float *row = ley_fixed_row(fixed, table, age + r) + j * fixed->table_term;
            memcpy(masked + (r * n_terms + j) * n, row, (size_t)part->n_tokens * sizeof *row);
        }
    }
    return masked;
}

void ley_fixed_run_coefficients(struct ley_fixed_read *read, const struct ley_fixed_masks *masks,
                                const struct ley_fixed_run *run, const struct ley_fixed_part *part,
                                int64_t t) {
    const struct ley_fixed *fixed = run->attention->fixed;
    int64_t age = t - part->first, n = run->tiles[0].n_columns, n_terms = 1 + fixed->n_terms;
    read->lag = NULL;
    for (int c = 0; fixed->flip_lag < fixed->n_lags && c < n; c++) {
        read->lag = masks->lag;
        masks->lag[c] = age - t % LEY_BLOCK_ROWS - c; // M21: of the first query of the block
    }
    read->magnitude = NULL;
    if (part->n_tokens == n) {
        read->coefficient = ley_fixed_row(fixed, fixed->coefficient, age);
        if (fixed->magnitude) {
            read->magnitude = ley_fixed_row(fixed, fixed->magnitude, age);
        }
        read->term = fixed->table_term;
        read->row = -1;
        return;
    }
    read->coefficient =
        mask(masks->coefficient, run, fixed->coefficient, n_terms, age, part, read->n_rows);
    if (fixed->magnitude) {
        read->magnitude =
            mask(masks->magnitude, run, fixed->magnitude, n_terms, age, part, read->n_rows);
    }
    read->term = n;
    read->row = n * n_terms;
}

const float *ley_fixed_run_slopes(int64_t *row, const struct ley_fixed_masks *masks,
                                  const struct ley_fixed_run *run,
                                  const struct ley_fixed_part *part, int64_t t, int n_rows) {
    const struct ley_fixed *fixed = run->attention->fixed;
    int64_t age = t - part->first, n = run->tiles[0].n_columns;
    *row = part->n_tokens == n ? -1 : n;
    return part->n_tokens == n ? ley_fixed_row(fixed, fixed->slope, age)
                               : mask(masks->slope, run, fixed->slope, 1, age, part, n_rows);
}
