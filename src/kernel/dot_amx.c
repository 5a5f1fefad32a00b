// dot_amx.c - products of bytes with AMX tiles
//
// A tile of 16 rows by 64 depths times one of 64 depths by 16 columns makes 16 x 16 sums. Codes are
// turned into values first (AVX-512 shuffles into `work`), 2 x 2 tiles of sums are kept over all
// terms. Shapes
// that do not fill tiles (a single query, narrow heads) go to AVX-512.
#include <immintrin.h>

#include "kernel/element_impl.h"

// Layout of the tile configuration, palette 1.
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t n_bytes[16]; // of a row
    uint8_t n_rows[16];
};

// Eight tiles of 16 rows of 64 bytes.
static void configure(void) {
    struct tile_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.n_bytes[i] = 64;
        config.n_rows[i] = 16;
    }
    _tile_loadconfig(&config);
}

// Values of all codes under each lookup, one after another.
static void look_up(const struct ley_dot *dot) {
    int64_t n = 4 * (int64_t)dot->n_groups * dot->n_columns;
    for (int j = 0; j < dot->n_terms; j++) {
        const __m512i lookup =
            _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)dot->lookup[j]));
        for (int64_t i = 0; i < n; i += 64) {
            __m512i code = _mm512_loadu_si512(dot->code + i);
            _mm512_storeu_si512(dot->work + j * n + i, _mm512_shuffle_epi8(lookup, code));
        }
    }
}

// 32 rows by 32 columns at row r, column i: sums stay in tiles 0 to 3 over all terms.
static void block_32(const struct ley_dot *dot, int r, int i) {
    size_t c_bytes = (size_t)dot->c_row * 4, b_bytes = (size_t)dot->n_columns * 4;
    int64_t n = 4 * (int64_t)dot->n_groups * dot->n_columns;
    int32_t *c = dot->c + r * dot->c_row + i, *below = c + 16 * dot->c_row;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (dot->adds) {
        _tile_loadd(0, c, c_bytes);
        _tile_loadd(1, c + 16, c_bytes);
        _tile_loadd(2, below, c_bytes);
        _tile_loadd(3, below + 16, c_bytes);
    }
    for (int j = 0; j < dot->n_terms; j++) {
        const uint8_t *a = dot->a + j * dot->a_term + r * dot->a_row;
        for (int k = 0; k < dot->n_groups; k += 16) {
            const int8_t *b = dot->work + j * n + 4 * ((int64_t)k * dot->n_columns + i);
            _tile_loadd(4, a + 4 * k, (size_t)dot->a_row);
            _tile_loadd(5, a + 16 * dot->a_row + 4 * k, (size_t)dot->a_row);
            _tile_loadd(6, b, b_bytes);
            _tile_loadd(7, b + 64, b_bytes);
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
    }
    _tile_stored(0, c, c_bytes);
    _tile_stored(1, c + 16, c_bytes);
    _tile_stored(2, below, c_bytes);
    _tile_stored(3, below + 16, c_bytes);
}

// Likewise 16 rows by 32 columns.
static void block_16(const struct ley_dot *dot, int r, int i) {
    size_t c_bytes = (size_t)dot->c_row * 4, b_bytes = (size_t)dot->n_columns * 4;
    int64_t n = 4 * (int64_t)dot->n_groups * dot->n_columns;
    int32_t *c = dot->c + r * dot->c_row + i;
    _tile_zero(0);
    _tile_zero(1);
    if (dot->adds) {
        _tile_loadd(0, c, c_bytes);
        _tile_loadd(1, c + 16, c_bytes);
    }
    for (int j = 0; j < dot->n_terms; j++) {
        const uint8_t *a = dot->a + j * dot->a_term + r * dot->a_row;
        for (int k = 0; k < dot->n_groups; k += 16) {
            const int8_t *b = dot->work + j * n + 4 * ((int64_t)k * dot->n_columns + i);
            _tile_loadd(4, a + 4 * k, (size_t)dot->a_row);
            _tile_loadd(6, b, b_bytes);
            _tile_loadd(7, b + 64, b_bytes);
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
        }
    }
    _tile_stored(0, c, c_bytes);
    _tile_stored(1, c + 16, c_bytes);
}

void ley_dot_amx(const struct ley_dot *dot) {
    if (dot->n_rows % 16 || dot->n_columns % 32 || dot->n_groups % 16) {
        ley_dot_avx512(dot);
        return;
    }
    look_up(dot);
    configure();
    for (int r = 0; r < dot->n_rows;) {
        int n = dot->n_rows - r >= 32 ? 32 : 16;
        for (int i = 0; i < dot->n_columns; i += 32) {
            if (n == 32) {
                block_32(dot, r, i);
            } else {
                block_16(dot, r, i);
            }
        }
        r += n;
    }
    _tile_release();
}
