// tensor.c - owned arrays
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>

#include "core/assert.h"
#include "core/memory.h"

// float32 and int32 have four.
size_t ley_dtype_bytes(enum ley_dtype dtype) {
    return dtype == LEY_F64 ? 8 : 4;
}

// The count is checked for overflow here, once; ley_tensor_count may then just multiply.
enum ley_status ley_tensor_create(struct ley_tensor *tensor, enum ley_dtype dtype, int n_dims,
                                  const int64_t *shape) {
    LEY_ASSERT(n_dims >= 0 && n_dims <= LEY_MAX_DIMS);
    *tensor = (struct ley_tensor){.dtype = dtype, .n_dims = n_dims};
    // Also when a later dimension is 0: the product of those before it must fit all the same.
    size_t count = 1;
    for (int i = 0; i < n_dims; i++) {
        LEY_ASSERT(shape[i] >= 0);
        tensor->shape[i] = shape[i];
        if (__builtin_mul_overflow(count, (size_t)shape[i], &count)) {
            return ley_fail(LEY_E_SHAPE, "an array has more elements than memory has addresses");
        }
    }
    tensor->data = ley_alloc(count, ley_dtype_bytes(dtype));
    return tensor->data ? LEY_OK : ley_fail_memory("array", count, ley_dtype_bytes(dtype));
}

// The shape stays: a destroyed tensor can still be described in a message.
void ley_tensor_destroy(struct ley_tensor *tensor) {
    ley_free(tensor->data);
    tensor->data = NULL;
}

int64_t ley_tensor_count(const struct ley_tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->n_dims; i++) {
        count *= tensor->shape[i];
    }
    return count;
}

// Integers become doubles exactly: int32 has fewer bits than a double's significand.
double ley_tensor_get(const struct ley_tensor *tensor, int64_t i) {
    switch (tensor->dtype) {
    case LEY_F32:
        return ((const float *)tensor->data)[i];
    case LEY_F64:
        return ((const double *)tensor->data)[i];
    default:
        return ((const int32_t *)tensor->data)[i];
    }
}

// int32 truncates towards zero: codes are whole numbers already.
void ley_tensor_put(struct ley_tensor *tensor, int64_t i, double x) {
    switch (tensor->dtype) {
    case LEY_F32:
        ((float *)tensor->data)[i] = (float)x;
        break;
    case LEY_F64:
        ((double *)tensor->data)[i] = x;
        break;
    case LEY_I32:
        ((int32_t *)tensor->data)[i] = (int32_t)x;
        break;
    }
}

// The chip has no code for NaN: it would become some voltage.
enum ley_status ley_tensor_check_finite(const struct ley_tensor *tensor, const char *name) {
    for (int64_t i = 0, n = ley_tensor_count(tensor); i < n; i++) {
        double x = ley_tensor_get(tensor, i);
        if (!isfinite(x)) {
            return ley_fail(LEY_E_FORMAT,
                            "%s holds %s at element %lld; only finite numbers can be "
                            "applied to the chip",
                            name, isnan(x) ? "NaN" : "infinity", (long long)i);
        }
    }
    return LEY_OK;
}

// As Python prints a tuple, (3,) with its comma; cut where the room ends.
void ley_tensor_format_shape(char *out, size_t n_out, const struct ley_tensor *tensor) {
    size_t n = (size_t)snprintf(out, n_out, "(");
    for (int i = 0; i < tensor->n_dims && n < n_out; i++) {
        n += (size_t)snprintf(out + n, n_out - n, "%s%lld", i ? ", " : "",
                              (long long)tensor->shape[i]);
    }
    if (n < n_out) {
        snprintf(out + n, n_out - n, tensor->n_dims == 1 ? ",)" : ")");
    }
}
