// turn_avx512.c - turning matrices with AVX-512, squares of 16 by 16 in registers
//
// Four rounds: pairs of rows are interleaved by single floats, then by pairs, then quarters of the
// registers change places twice. What does not fill a square is turned as in element.c.
#include <immintrin.h>

#include "kernel/element_impl.h"

// Rounds 1 and 2 on four neighbouring rows: lane group q of result j holds column 4 q + j.
static inline __attribute__((always_inline)) void mix(__m512 row[4]) {
    __m512 a = _mm512_unpacklo_ps(row[0], row[1]), b = _mm512_unpackhi_ps(row[0], row[1]);
    __m512 c = _mm512_unpacklo_ps(row[2], row[3]), d = _mm512_unpackhi_ps(row[2], row[3]);
    row[0] = _mm512_shuffle_ps(a, c, 0x44);
    row[1] = _mm512_shuffle_ps(a, c, 0xee);
    row[2] = _mm512_shuffle_ps(b, d, 0x44);
    row[3] = _mm512_shuffle_ps(b, d, 0xee);
}

// One square.
static inline __attribute__((always_inline)) void square(float *out, int64_t out_row,
                                                         const float *in, int64_t in_row) {
    __m512 row[16];
    for (int i = 0; i < 16; i++) {
        row[i] = _mm512_loadu_ps(in + i * in_row);
    }
    for (int i = 0; i < 16; i += 4) {
        mix(row + i);
    }
    for (int j = 0; j < 4; j++) {
        // rows j, j + 4, j + 8, j + 12: columns j, 4 + j, 8 + j, 12 + j of four rows each
        __m512 a = _mm512_shuffle_f32x4(row[j], row[j + 4], 0x88);
        __m512 b = _mm512_shuffle_f32x4(row[j], row[j + 4], 0xdd);
        __m512 c = _mm512_shuffle_f32x4(row[j + 8], row[j + 12], 0x88);
        __m512 d = _mm512_shuffle_f32x4(row[j + 8], row[j + 12], 0xdd);
        _mm512_storeu_ps(out + j * out_row, _mm512_shuffle_f32x4(a, c, 0x88));
        _mm512_storeu_ps(out + (j + 4) * out_row, _mm512_shuffle_f32x4(b, d, 0x88));
        _mm512_storeu_ps(out + (j + 8) * out_row, _mm512_shuffle_f32x4(a, c, 0xdd));
        _mm512_storeu_ps(out + (j + 12) * out_row, _mm512_shuffle_f32x4(b, d, 0xdd));
    }
}

void ley_turn_fast_avx512(const struct ley_turn *turn) {
    int rows = turn->n_rows / 16 * 16, columns = turn->n_columns / 16 * 16;
    for (int r = 0; r < rows; r += 16) {
        for (int c = 0; c < columns; c += 16) {
            square(turn->out + c * turn->out_row + r, turn->out_row,
                   turn->in + r * turn->in_row + c, turn->in_row);
        }
    }
    struct ley_turn right = *turn, below = *turn;
    right.n_rows = rows;
    right.n_columns -= columns;
    right.in += columns;
    right.out += columns * turn->out_row;
    below.n_rows -= rows;
    below.in += rows * turn->in_row;
    below.out += rows;
    ley_turn_avx512(&right);
    ley_turn_avx512(&below);
}
