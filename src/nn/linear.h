// linear.h - y = x W^T + b on packed weights.
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

// Stores bias[n] for outputs first .. first + n - 1; the layer must have been made with a bias.
void ley_linear_load_bias(struct ley_linear *linear, const float *bias, int64_t first, int64_t n);

// row[n_in] receives the weights of one output as they are stored: how a tied output matrix serves
// as the embedding.
void ley_linear_read(float *row, const struct ley_linear *linear, int64_t output);

// y (n_rows, n_out) <- x (n_rows, n_in); y and x must not overlap. Leyden allocates nothing here
// (oneDNN keeps a few hundred bytes of argument tables while it runs).
void ley_linear_forward(float *y, const struct ley_linear *linear, const float *x, int64_t n_rows);

// Bytes of weights and bias.
size_t ley_linear_bytes(const struct ley_linear *linear);

#ifdef __cplusplus
}
#endif
