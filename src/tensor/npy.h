// npy.h - NumPy's .npy files, format versions 1.0 to 3.0.
#pragma once
#include <stdio.h>

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

// Reads little-endian float32, float64 or int32 arrays of up to LEY_MAX_DIMS dimensions, C or
// Fortran order (stored here in C order). Fails with LEY_E_IO or LEY_E_FORMAT; the message names
// the file. Memory used: the file's size twice at most. The caller destroys `tensor`.
LEY_MUST_CHECK enum ley_status ley_npy_load(struct ley_tensor *tensor, const char *path);

// Same, from bytes in memory; `name` is used in messages.
LEY_MUST_CHECK enum ley_status ley_npy_read(struct ley_tensor *tensor, const char *bytes,
                                            size_t n_bytes, const char *name);

// Writes `tensor` as version 1.0 to an open file. Failures show in ferror and fclose.
void ley_npy_write(FILE *file, const struct ley_tensor *tensor);

#ifdef __cplusplus
}
#endif
