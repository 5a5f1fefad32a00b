// hf_names_impl.h - what Hugging Face files call weights, for reading and for writing. Private to this
// folder.
#pragma once
#include <stdbool.h>

#include "model/config.h"

enum { HF_NAME_BYTES = 256 };

// How a weight lies in its tensor: a vector, a matrix (outputs, inputs), a matrix (inputs, outputs),
// or the third 0, 1 or 2 of one.
enum hf_form { HF_VECTOR, HF_MATRIX, HF_TRANSPOSED, HF_THIRD_OF_VECTOR, HF_THIRD_OF_TRANSPOSED };

struct hf_name {
    enum ley_weight weight;
    const char *name; // after "transformer." or "model.", and "h.0." or "layers.0."
    enum hf_form form;
    int third;
};

struct hf_names {
    const struct hf_name *row;
    int n;
};

// All weights of a family but the output matrix; thirds of one tensor follow one another.
// has_attention_bias counts for llama.
struct hf_names hf_names(enum ley_family family, bool has_attention_bias);

extern const struct hf_name hf_output_name;

// "transformer." or "model."; files without it are found too.
const char *hf_name_prefix(enum ley_family family);

// The full name of a row's tensor in one layer.
void hf_name_format(char out[HF_NAME_BYTES], const struct ley_model_config *config,
                    const struct hf_name *row, int layer);
