// linear.h - y = x W^T + b on packed weights, and the way back.
//
// Back: dx = dy W is a second layer, of n_out inputs and n_in outputs, whose weights are loaded by
// columns; dW and db are added to plain float32 arrays, which an optimiser owns.
//
// A row of y depends on its row of x only: to the bit, whatever else is computed with it and on
// however many threads (engine.c says how that was found and kept; with AMX not verified).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_engine;
struct ley_linear;

// Makes a layer of zeros. `engine` is borrowed and must outlive it.
LEY_MUST_CHECK enum ley_status ley_linear_create(struct ley_linear **linear,
                                                 struct ley_engine *engine, int n_in, int n_out,
                                                 bool has_bias);

// NULL is accepted.
void ley_linear_destroy(struct ley_linear *linear);

// Stores rows (n_rows, n_in) of W, the weights of outputs first_row .. first_row + n_rows - 1,
// rounded to the engine's format. Nothing else is kept: a large matrix can come in pieces.
void ley_linear_load(struct ley_linear *linear, const float *rows, int64_t first_row,
                     int64_t n_rows);

// The same by columns: columns (n_columns, n_out) are the weights of inputs first_column and on.
// Rows (n_rows, n_in) of a matrix, given as columns, load its transpose.
void ley_linear_load_columns(struct ley_linear *linear, const float *columns, int64_t first_column,
                             int64_t n_columns);

// Stores bias[n] for outputs first .. first + n - 1; the layer must have been made with a bias.
void ley_linear_load_bias(struct ley_linear *linear, const float *bias, int64_t first, int64_t n);

// row[n_in] receives the weights of one output as they are stored: how a tied output matrix serves
// as the embedding.
void ley_linear_read(float *row, const struct ley_linear *linear, int64_t output);

// Rows of n values in the format that an engine multiplies, converted once for several products.
struct ley_rows {
    const float *x;       // as they were given
    const uint16_t *bf16; // NULL: the engine takes x
    int n;
};

// Floats of room that n values need beside themselves; 0 where nothing is converted.
int64_t ley_rows_room(const struct ley_engine *engine, int64_t n);

// Converts x (n_rows, n) into `room`; both are borrowed as long as the result is used.
struct ley_rows ley_rows_make(const struct ley_engine *engine, const float *x, int64_t n_rows,
                              int n, float *room);

// As ley_linear_forward, from n_rows rows of n_in values: the same bits.
void ley_linear_forward_rows(float *y, const struct ley_linear *linear, const struct ley_rows *rows,
                             int64_t n_rows);

// y (n_rows, n_out) <- x (n_rows, n_in); y and x must not overlap. Leyden allocates nothing here
// (oneDNN keeps a few hundred bytes of argument tables while it runs).
void ley_linear_forward(float *y, const struct ley_linear *linear, const float *x, int64_t n_rows);

// dw (n_out, n_in) += dy^T x: the gradient of the weights, from dy (n_rows, n_out), whose rows are
// dy_stride floats apart, and x (n_rows, n_in), both rounded to the engine's format. The order of
// summation depends on n_rows only. Kernels are made at the first call with a shape and a number of
// rows, which may fail; later calls find them.
LEY_MUST_CHECK enum ley_status ley_linear_backward_weights(float *dw, struct ley_engine *engine,
                                                           const float *dy, int64_t dy_stride,
                                                           const float *x, int64_t n_rows,
                                                           int n_out, int n_in);

// c (m, n) += a^T b: a (n_rows, m) has rows a_stride floats apart and is rounded to the engine's
// format; b is columns first_column .. first_column + n - 1 of rows. For few rows of c; otherwise
// as ley_linear_backward_weights.
LEY_MUST_CHECK enum ley_status ley_outer_product(float *c, struct ley_engine *engine,
                                                 const float *a, int64_t a_stride,
                                                 const struct ley_rows *rows, int64_t first_column,
                                                 int64_t n_rows, int m, int n);

// c (n_rows, n_columns) += scale a b, a (n_rows, depth), b (depth, n_columns), in float32: chains
// of fused multiply-adds over the depth, the same bits on every instruction set and in any pieces
// of rows.
void ley_add_product(float *c, const float *a, const float *b, float scale, int64_t n_rows,
                     int64_t n_columns, int depth);

// db[n_out] += sum over rows of dy, in row order, in double.
void ley_linear_backward_bias(float *db, const float *dy, int64_t dy_stride, int64_t n_rows,
                              int n_out);

// Bytes of weights and bias.
size_t ley_linear_bytes(const struct ley_linear *linear);

#ifdef __cplusplus
}
#endif
