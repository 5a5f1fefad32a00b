// embedding.h - a table of rows, one for each token or position.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "nn/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_embedding;

// Makes a table of zeros in the given format (not LEY_NN_AUTO).
LEY_MUST_CHECK enum ley_status ley_embedding_create(struct ley_embedding **embedding,
                                                    int64_t n_rows, int n, enum ley_nn_dtype dtype);

// NULL is accepted.
void ley_embedding_destroy(struct ley_embedding *embedding);

// Stores rows first_row .. first_row + n_rows - 1 (n values each), rounded to the format.
void ley_embedding_load(struct ley_embedding *embedding, const float *rows, int64_t first_row,
                        int64_t n_rows);

// out[n] receives a row.
void ley_embedding_read(float *out, const struct ley_embedding *embedding, int64_t row);

// dtable[row[r]] += dx[r] for r = 0 .. n_rows - 1 in this order, rows of n values: the gradient of
// a float32 table that the same rows were read from. The result does not depend on threads.
void ley_embedding_backward(float *dtable, const float *dx, const int32_t *row, int64_t n_rows,
                            int n);

// Bytes of the table.
size_t ley_embedding_bytes(const struct ley_embedding *embedding);

#ifdef __cplusplus
}
#endif
