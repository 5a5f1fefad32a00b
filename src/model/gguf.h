// gguf.h - the GGUF container (versions 2 and 3): metadata and tensors, read in place.
//
// Everything is checked when the file is opened: counts and lengths against the file's size before
// anything is allocated, types, alignment, offsets, overlaps, names given twice. Strings and tensor
// data point into the bytes and live as long as they.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "model/block.h"
#include "model/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

// Numbers of the format, in its order.
enum ley_gguf_type {
    LEY_GGUF_U8,
    LEY_GGUF_I8,
    LEY_GGUF_U16,
    LEY_GGUF_I16,
    LEY_GGUF_U32,
    LEY_GGUF_I32,
    LEY_GGUF_F32,
    LEY_GGUF_BOOL,
    LEY_GGUF_STRING,
    LEY_GGUF_ARRAY,
    LEY_GGUF_U64,
    LEY_GGUF_I64,
    LEY_GGUF_F64,
    LEY_GGUF_N_TYPES
};

struct ley_gguf_pair {
    struct ley_string key;
    enum ley_gguf_type type; // of the value; of the elements when is_array
    bool is_array;
    uint64_t n_items;     // 1 unless is_array
    const uint8_t *value; // items one after another, as in the file
    size_t n_bytes;       // of the value
};

struct ley_gguf_tensor {
    struct ley_string name;
    const struct ley_block_type *type;
    int n_dims;
    int64_t dim[4]; // dim[0] is contiguous: columns; unused ones are 1
    // in the file; where the writer fills it, NULL
    const uint8_t *data;
    size_t n_bytes;
};

struct ley_gguf {
    // 2 or 3
    uint32_t version;
    uint64_t n_pairs, n_tensors;
    struct ley_gguf_pair *pair;     // [n_pairs] sorted by key
    struct ley_gguf_tensor *tensor; // [n_tensors] sorted by name
};

// Reads a container from bytes (borrowed); `name` is used in messages. LEY_E_FORMAT and where.
LEY_MUST_CHECK enum ley_status ley_gguf_read(struct ley_gguf *gguf, const uint8_t *bytes,
                                             size_t n_bytes, const char *name);

// Frees the tables; a zeroed struct is accepted.
void ley_gguf_destroy(struct ley_gguf *gguf);

// The pair or tensor of this name, or NULL.
const struct ley_gguf_pair *ley_gguf_find(const struct ley_gguf *gguf, const char *key);
const struct ley_gguf_tensor *ley_gguf_find_tensor(const struct ley_gguf *gguf, const char *name);

// The value of a number (integer, float or bool), or `otherwise` when the key is absent or no
// number.
double ley_gguf_number(const struct ley_gguf *gguf, const char *key, double otherwise);

// The value of a string; n = 0 when the key is absent or no string.
struct ley_string ley_gguf_string(const struct ley_gguf *gguf, const char *key);

// Item i of an array of numbers, or a single number.
double ley_gguf_item(const struct ley_gguf_pair *pair, uint64_t i);

// All strings of an array of strings in a new block (ley_free it); their bytes stay in the file.
LEY_MUST_CHECK enum ley_status ley_gguf_strings(struct ley_string **strings,
                                                const struct ley_gguf_pair *pair);

#ifdef __cplusplus
}
#endif
