// safetensors.h - the container of Hugging Face weights: a JSON header and tensors, read in place.
//
// Everything is checked when it is read: the header's length against the file, its nesting and its
// size as a tree, ranges against the data, sizes against shapes, overlaps, names given twice.
// Tensor data point into the bytes and live as long as they; names live as long as the struct.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "model/block.h"
#include "model/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEY_SAFETENSORS_MAX_DIMS = 8 };

struct ley_safetensor {
    const char *name;
    const char *dtype;                     // as the file spells it, "BF16"
    const struct ley_block_type *type;     // F32, F16 or BF16; NULL: not a weight format known here
    int n_dims;                            // 0: a single value
    int64_t dim[LEY_SAFETENSORS_MAX_DIMS]; // the last one is contiguous; unused ones are 1
    const uint8_t *data;
    size_t n_bytes;
};

struct ley_safetensors {
    size_t n_tensors;
    struct ley_safetensor *tensor; // [n_tensors] sorted by name
    struct cJSON *header;          // owns the names
};

// Reads a container from bytes (borrowed); `name` is used in messages. LEY_E_FORMAT and what is
// wrong.
LEY_MUST_CHECK enum ley_status ley_safetensors_read(struct ley_safetensors *safetensors,
                                                    const uint8_t *bytes, size_t n_bytes,
                                                    const char *name);

// Frees the tables; a zeroed struct is accepted.
void ley_safetensors_destroy(struct ley_safetensors *safetensors);

// The tensor of this name, or NULL.
const struct ley_safetensor *ley_safetensors_find(const struct ley_safetensors *safetensors,
                                                  const char *name);

// Which file of a sharded model holds which tensor (model.safetensors.index.json).
struct ley_shard_entry {
    const char *tensor;
    const char *file_name; // in the folder of the index
    int file;              // index into ley_shard_index.file_name
};

struct ley_shard_index {
    int n_files;
    const char **file_name; // [n_files] sorted
    size_t n_entries;
    struct ley_shard_entry *entry; // [n_entries] sorted by tensor
    struct cJSON *root;            // owns the names
};

// Reads an index. LEY_E_FORMAT when it is no index, names a tensor twice, more than 4096 files, or
// a file that is no plain name in the folder.
LEY_MUST_CHECK enum ley_status ley_shard_index_read(struct ley_shard_index *index,
                                                    struct ley_string text, const char *name);

// Frees the tables; a zeroed struct is accepted.
void ley_shard_index_destroy(struct ley_shard_index *index);

// The file (0 .. n_files - 1) that should hold a tensor, or -1.
int ley_shard_index_find(const struct ley_shard_index *index, const char *tensor);

#ifdef __cplusplus
}
#endif
