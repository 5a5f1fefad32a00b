// amx_emulated.c - dot_amx.c on tiles made of memory: its logic on machines without AMX
//
// The tile intrinsics of the compiler are replaced by functions that do to arrays what the
// instructions do to tiles; the source under test is included unchanged.
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernel/kernel.h"

void ley_dot_amx_emulated(const struct ley_dot *dot);

static _Thread_local struct {
    int n_rows[8], n_bytes[8];
    uint8_t byte[8][16][64];
} tiles;

static void emulated_loadconfig(const void *config) {
    const uint8_t *bytes = config;
    for (int i = 0; i < 8; i++) {
        uint16_t n_bytes;
        memcpy(&n_bytes, bytes + 16 + 2 * i, 2);
        tiles.n_bytes[i] = n_bytes;
        tiles.n_rows[i] = bytes[48 + i];
    }
}

static void emulated_release(void) {
    memset(&tiles, 0, sizeof tiles);
}

static void emulated_zero(int tile) {
    memset(tiles.byte[tile], 0, sizeof tiles.byte[tile]);
}

static void emulated_load(int tile, const void *from, size_t stride) {
    for (int r = 0; r < tiles.n_rows[tile]; r++) {
        memcpy(tiles.byte[tile][r], (const uint8_t *)from + (size_t)r * stride,
               (size_t)tiles.n_bytes[tile]);
    }
}

static void emulated_store(int tile, void *to, size_t stride) {
    for (int r = 0; r < tiles.n_rows[tile]; r++) {
        memcpy((uint8_t *)to + (size_t)r * stride, tiles.byte[tile][r],
               (size_t)tiles.n_bytes[tile]);
    }
}

// c += a (unsigned bytes) times b (signed bytes), four products a lane.
static void emulated_dpbusd(int c, int a, int b) {
    for (int r = 0; r < tiles.n_rows[c]; r++) {
        for (int i = 0; i < tiles.n_bytes[c] / 4; i++) {
            int32_t sum;
            memcpy(&sum, &tiles.byte[c][r][4 * i], 4);
            for (int k = 0; k < tiles.n_bytes[a]; k++) {
                sum += tiles.byte[a][r][k] * (int8_t)tiles.byte[b][k / 4][4 * i + k % 4];
            }
            memcpy(&tiles.byte[c][r][4 * i], &sum, 4);
        }
    }
}

#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbusd
#undef _tile_zero
#define _tile_loadconfig emulated_loadconfig
#define _tile_release    emulated_release
#define _tile_loadd      emulated_load
#define _tile_stored     emulated_store
#define _tile_dpbusd     emulated_dpbusd
#define _tile_zero       emulated_zero
#define ley_dot_amx      ley_dot_amx_emulated
#include "kernel/dot_amx.c"
