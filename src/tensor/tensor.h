// tensor.h - an owned array with a type and a shape; no mathematics.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ley_dtype { LEY_F32, LEY_F64, LEY_I32 };
enum { LEY_MAX_DIMS = 8 };

// Row-major (C order): the last index runs fastest. `data` is 64-byte aligned.
struct ley_tensor {
    enum ley_dtype dtype;
    int n_dims;
    int64_t shape[LEY_MAX_DIMS];
    void *data;
};

// Bytes of one element.
size_t ley_dtype_bytes(enum ley_dtype dtype);

// Makes a zeroed tensor; dimensions must be >= 0. On failure `tensor->data` is NULL.
LEY_MUST_CHECK enum ley_status ley_tensor_create(struct ley_tensor *tensor, enum ley_dtype dtype,
                                                 int n_dims, const int64_t *shape);

// Frees the data; a zeroed or destroyed tensor is accepted.
void ley_tensor_destroy(struct ley_tensor *tensor);

// Number of elements (1 for zero dimensions).
int64_t ley_tensor_count(const struct ley_tensor *tensor);

// Element i in row-major order, as a double (exact for all types).
double ley_tensor_get(const struct ley_tensor *tensor, int64_t i);

// Stores x as element i, rounded to the element type.
void ley_tensor_put(struct ley_tensor *tensor, int64_t i, double x);

// Fails with LEY_E_FORMAT at the first NaN or infinity, naming its index; `name` says of what.
LEY_MUST_CHECK enum ley_status ley_tensor_check_finite(const struct ley_tensor *tensor,
                                                       const char *name);

// Writes "(2, 12, 64)" into `out`.
void ley_tensor_format_shape(char *out, size_t n_out, const struct ley_tensor *tensor);

#ifdef __cplusplus
}
#endif
