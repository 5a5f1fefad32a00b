// code_tiles.h - stored codes of one key-value head, laid out for the kernels.
//
// One byte a cell: the level it was charged to. A tile holds up to n_columns tokens; its codes lie
// as the kernels read them (kernel.h: groups of four depths), K with the head's width as depth, V
// with the tokens as depth. Padding has code 0 and is given no pulse.
#pragma once
#include <stddef.h>
#include <stddef.h>
#include <stdint.h>

#include "array/fixed.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_code_tiles {
    const struct ley_fixed *fixed; // borrowed
    int64_t n_tiles;
    int n_columns;        // of a tile, in multiples of LEY_LANES
    int n_groups, n_rows; // of K: groups of depth; of V: width in multiples of LEY_LANES
    uint8_t *k, *v;       // (n_tiles, n_groups, n_columns, 4), (n_tiles, n_columns / 4, n_rows, 4)
    // Cells of V of each column by level, and what the currents of a column add up to in terms of
    // the lookups, for net current and for its size: (n_tiles, 1 + n_terms, n_columns)
    uint16_t *histogram; // (n_tiles, n_columns, LEY_LEVELS)
    int32_t *net, *size;
};

// Lays out empty tiles in a block of memory of any content, borrowed, 64-byte aligned; with NULL it
// only measures. Returns the bytes needed. `fixed` must outlive the tiles.
size_t ley_code_tiles_place(struct ley_code_tiles *tiles, const struct ley_fixed *fixed,
                            int64_t n_tiles, void *block);

// Stores a token (head_dim codes of k and of v) in a column, replacing what was there.
void ley_code_tiles_write(struct ley_code_tiles *tiles, int64_t tile, int column,
                          const uint8_t *k_code, const uint8_t *v_code);

// k_code[4 * n_groups] receives the codes of K of a column, padding included.
void ley_code_tiles_read_k(uint8_t *k_code, const struct ley_code_tiles *tiles, int64_t tile,
                           int column);

// Cells of V of a column by level: [LEY_LEVELS].
const uint16_t *ley_code_tiles_levels(const struct ley_code_tiles *tiles, int64_t tile, int column);

// Sum over the cells of a column of V of sign(level, lag) * lookup[j][level]; j = -1: of the sign.
int32_t ley_code_tiles_size(const struct ley_code_tiles *tiles, int64_t tile, int column, int j,
                            int64_t lag);

#ifdef __cplusplus
}
#endif
