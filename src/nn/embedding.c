// embedding.c - rows in float32 or bf16
#include "nn/embedding.h"

#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "nn/bf16.h"

enum { COLUMNS = 64 }; // of one task on the way back

struct ley_embedding {
    // rows, and values of a row
    int64_t n_rows;
    size_t n;
    enum ley_nn_dtype dtype;
    void *table; // (n_rows, n)
};

// Bytes of one value as stored.
static size_t value_bytes(enum ley_nn_dtype dtype) {
    return dtype == LEY_NN_BF16 ? sizeof(uint16_t) : sizeof(float);
}

enum ley_status ley_embedding_create(struct ley_embedding **embedding, int64_t n_rows, int n,
                                     enum ley_nn_dtype dtype) {
    LEY_ASSERT(dtype != LEY_NN_AUTO && n_rows >= 1 && n >= 1);
    struct ley_embedding *made = ley_alloc(1, sizeof *made);
    size_t row_bytes = (size_t)n * value_bytes(dtype);
    void *table = ley_alloc((size_t)n_rows, row_bytes);
    *embedding = NULL;
    if (!made || !table) {
        ley_free(made);
        ley_free(table);
        return ley_fail_memory("embedding", (size_t)n_rows, row_bytes);
    }
    *made = (struct ley_embedding){n_rows, (size_t)n, dtype, table};
    *embedding = made;
    return LEY_OK;
}

void ley_embedding_destroy(struct ley_embedding *embedding) {
    if (embedding) {
        ley_free(embedding->table);
        ley_free(embedding);
    }
}

// In the model's precision from here on; reading back gives the rounded values.
void ley_embedding_load(struct ley_embedding *embedding, const float *rows, int64_t first_row,
                        int64_t n_rows) {
    LEY_ASSERT(first_row >= 0 && n_rows >= 0 && first_row + n_rows <= embedding->n_rows);
    size_t place = (size_t)first_row * embedding->n, n = (size_t)n_rows * embedding->n;
    if (embedding->dtype == LEY_NN_BF16) {
        ley_bf16_from_float((uint16_t *)embedding->table + place, rows, n);
    } else {
        memcpy((float *)embedding->table + place, rows, n * sizeof *rows);
    }
}

// bf16 rows are widened, exactly.
void ley_embedding_read(float *out, const struct ley_embedding *embedding, int64_t row) {
    LEY_ASSERT(row >= 0 && row < embedding->n_rows);
    size_t place = (size_t)row * embedding->n;
    if (embedding->dtype == LEY_NN_BF16) {
        ley_bf16_to_float(out, (const uint16_t *)embedding->table + place, embedding->n);
    } else {
        memcpy(out, (const float *)embedding->table + place, embedding->n * sizeof *out);
    }
}

// Threads share columns, so that each sum over equal rows is one thread's.
void ley_embedding_backward(float *dtable, const float *dx, const int32_t *row, int64_t n_rows,
                            int n) {
#pragma omp parallel for schedule(static)
    for (int first = 0; first < n; first += COLUMNS) {
        int last = first + COLUMNS < n ? first + COLUMNS : n;
        for (int64_t r = 0; r < n_rows; r++) {
            float *to = dtable + (int64_t)row[r] * n;
            for (int i = first; i < last; i++) {
                to[i] += dx[r * n + i];
            }
        }
    }
}

size_t ley_embedding_bytes(const struct ley_embedding *embedding) {
    return (size_t)embedding->n_rows * embedding->n * value_bytes(embedding->dtype);
}
