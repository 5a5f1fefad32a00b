// convert.h - a model written anew: as a GGUF file, or as a Hugging Face folder.
//
// Weights are read in their canonical form and encoded again, so every format that can be read can be
// converted. Vectors, positions and rotary factors stay float32; rows of q and k are reordered where
// the two formats rotate other pairs.
#pragma once
#include "model/block.h"
#include "model/model_file.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a conversion did, for people.
struct ley_conversion {
    int n_tensors;
    int n_kept_wider;      // matrices whose rows are no whole number of blocks: written as F16
    uint64_t n_bytes;      // of tensor data
    bool has_vocab;        // the file holds a tokenizer
};

// Writes a GGUF file with matrices of `type` (F32, F16, BF16 or Q8_0). Metadata of a GGUF model
// (names, tokenizer, leyden.*) are copied as they are. Of a folder the tokenizer is written from
// `vocab`, or left out when that is NULL. All or nothing.
LEY_MUST_CHECK enum ley_status ley_model_convert_gguf(struct ley_conversion *done, const char *path,
                                                      const struct ley_model_file *file,
                                                      const struct ley_block_type *type,
                                                      const struct ley_vocab *vocab);

// Writes config.json and model.safetensors with matrices of `type` (F32, F16 or BF16) into folder
// `path`, which is made if needed. The tokenizer, scalers and hardware are not written. All or nothing.
LEY_MUST_CHECK enum ley_status ley_model_convert_folder(struct ley_conversion *done,
                                                        const char *path,
                                                        const struct ley_model_file *file,
                                                        const struct ley_block_type *type);

#ifdef __cplusplus
}
#endif
