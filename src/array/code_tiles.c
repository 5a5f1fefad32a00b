// code_tiles.c - codes in the order of the kernels
#include "array/code_tiles.h"

#include <string.h>

#include "array/retention.h"
#include "core/memory.h"

static int round_up(int n, int unit) {
    return (n + unit - 1) / unit * unit;
}

// Bytes of one tile of K and of V.
static int64_t k_bytes(const struct ley_code_tiles *tiles) {
    return 4 * (int64_t)tiles->n_groups * tiles->n_columns;
}
static int64_t v_bytes(const struct ley_code_tiles *tiles) {
    return (int64_t)tiles->n_columns * tiles->n_rows;
}

// What stale memory holds has no effect: a column without a token gets no pulse.
size_t ley_code_tiles_place(struct ley_code_tiles *tiles, const struct ley_fixed *fixed,
                            int64_t n_tiles, void *block) {
    *tiles = (struct ley_code_tiles){
        .fixed = fixed,
        .n_tiles = n_tiles,
        .n_columns = round_up(fixed->hardware->array.n_columns, LEY_LANES),
        .n_groups = round_up(fixed->head_dim, 8) / 4,
        .n_rows = round_up(fixed->head_dim, LEY_LANES),
    };
    size_t n_columns = (size_t)n_tiles * (size_t)tiles->n_columns, at = 0;
    size_t n_terms = 1 + (size_t)fixed->n_terms;
    tiles->k = ley_cut(block, &at, (size_t)n_tiles * (size_t)k_bytes(tiles));
    tiles->v = ley_cut(block, &at, (size_t)n_tiles * (size_t)v_bytes(tiles));
    tiles->histogram = ley_cut(block, &at, n_columns * LEY_LEVELS * sizeof *tiles->histogram);
    tiles->net = ley_cut(block, &at, n_columns * n_terms * sizeof *tiles->net);
    tiles->size = ley_cut(block, &at, n_columns * n_terms * sizeof *tiles->size);
    return at;
}

// Place of a column's first four codes of K; the next four are 4 n_columns bytes on.
static uint8_t *k_place(const struct ley_code_tiles *tiles, int64_t tile, int column) {
    return tiles->k + tile * k_bytes(tiles) + 4 * (int64_t)column;
}

// Sign of the current of a level that many periods after its writing.
static int sign_at(const struct ley_fixed *fixed, int level, int64_t lag) {
    if (lag < fixed->flip_lag) {
        return fixed->sign[level];
    }
    int64_t last = lag < fixed->n_lags ? lag : fixed->n_lags - 1;
    double age_s =
        (double)ley_refresh_age(fixed->refresh_tokens, last) * fixed->hardware->time.token_period_s;
    struct ley_decay decay = ley_cell_decay(fixed->cell, age_s);
    return ley_cell_current(fixed->cell, fixed->u_v[level] * decay.u_scale) < 0 ? -1 : 1;
}

int32_t ley_code_tiles_size(const struct ley_code_tiles *tiles, int64_t tile, int column, int j,
                            int64_t lag) {
    const struct ley_fixed *fixed = tiles->fixed;
    const uint16_t *n = tiles->histogram + (tile * tiles->n_columns + column) * LEY_LEVELS;
    int32_t sum = 0;
    for (int k = 0; k < fixed->hardware->converter.kv_levels; k++) {
        sum += n[k] * sign_at(fixed, k, lag) * (j < 0 ? 1 : fixed->lookup[j][k]);
    }
    return sum;
}

// Sums of a column that outputs and charges are counted from.
static void sum_column(struct ley_code_tiles *tiles, int64_t tile, int column,
                       const uint8_t *v_code) {
    const struct ley_fixed *fixed = tiles->fixed;
    int n_levels = fixed->hardware->converter.kv_levels;
    uint16_t *n = tiles->histogram + (tile * tiles->n_columns + column) * LEY_LEVELS;
    memset(n, 0, LEY_LEVELS * sizeof *n);
    for (int d = 0; d < fixed->head_dim; d++) {
        n[v_code[d]]++;
    }
    for (int j = -1; j < fixed->n_terms; j++) {
        int32_t net = 0, size = 0;
        for (int k = 0; k < n_levels; k++) {
            int32_t value = n[k] * (j < 0 ? 1 : fixed->lookup[j][k]);
            net += value;
            size += value * fixed->sign[k];
        }
        int64_t at = (tile * (1 + fixed->n_terms) + j + 1) * tiles->n_columns + column;
        tiles->net[at] = net;
        tiles->size[at] = size;
    }
}

void ley_code_tiles_write(struct ley_code_tiles *tiles, int64_t tile, int column,
                          const uint8_t *k_code, const uint8_t *v_code) {
    int head_dim = tiles->fixed->head_dim, d = 0;
    uint8_t *k = k_place(tiles, tile, column);
    uint8_t *v =
        tiles->v + tile * v_bytes(tiles) + ((int64_t)(column / 4) * tiles->n_rows) * 4 + column % 4;
    for (; d + 4 <= head_dim; d += 4) {
        memcpy(k + (int64_t)d * tiles->n_columns, k_code + d, 4);
    }
    memcpy(k + (int64_t)d * tiles->n_columns, k_code + d, (size_t)(head_dim - d));
    for (d = 0; d < head_dim; d++) {
        v[4 * (int64_t)d] = v_code[d];
    }
    sum_column(tiles, tile, column, v_code);
}

const uint16_t *ley_code_tiles_levels(const struct ley_code_tiles *tiles, int64_t tile,
                                      int column) {
    return tiles->histogram + (tile * tiles->n_columns + column) * LEY_LEVELS;
}

void ley_code_tiles_read_k(uint8_t *k_code, const struct ley_code_tiles *tiles, int64_t tile,
                           int column) {
    const uint8_t *k = k_place(tiles, tile, column);
    for (int group = 0; group < tiles->n_groups; group++) {
        memcpy(k_code + 4 * (int64_t)group, k + 4 * (int64_t)group * tiles->n_columns, 4);
    }
}
