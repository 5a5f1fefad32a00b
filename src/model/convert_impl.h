// convert_impl.h - what both conversions share. Private to this folder.
#pragma once
#include "model/convert.h"

// Where weights are read from and in which order of rotating pairs they are wanted.
struct convert_input {
    // of the input, borrowed
    const struct ley_model_config *config;
    struct ley_weight_source source;
    // of the output; equal to the input's where nothing has to move
    enum ley_rope_layout layout;
};

// The input of a conversion to files that rotate pairs as `layout` says (llama only).
struct convert_input convert_input(const struct ley_model_file *file, enum ley_rope_layout layout);

// Reorders rows (n_rows, n_columns) of whole heads of a weight, in place, where the order changes;
// `head` is room for head_dim rows.
void convert_rows(float *rows, float *head, int64_t n_rows, int64_t n_columns,
                  const struct convert_input *input, enum ley_weight weight);

// The format of a weight in a file whose matrices are of `type`.
const struct ley_block_type *convert_type(const struct convert_input *input, enum ley_weight weight,
                                          const struct ley_block_type *type);

// Encodes one whole weight into `blocks`, which has room for it, reading some million values at a
// time.
LEY_MUST_CHECK enum ley_status convert_weight(uint8_t *blocks, const struct ley_block_type *type,
                                              const struct convert_input *input,
                                              enum ley_weight weight, int layer);
