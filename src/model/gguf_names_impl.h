// gguf_names_impl.h - what GGUF files call things, for reading and for writing. Private to this folder.
#pragma once
#include <stdbool.h>

#include "model/config.h"
#include "model/vocab.h"

enum { GGUF_NAME_BYTES = 64 };

// Private keys for what the public ones cannot say.
#define GGUF_KEY_ACTIVATION "leyden.activation"                    // "gelu_erf"; absent: tanh form
#define GGUF_KEY_IGNORES_MERGES "leyden.tokenizer.ignores_merges" // absent: as in Llama-3

// The tensor of a weight. Where gpt2 keeps q, k and v in one matrix, `part` counts them: 1, 2, 3;
// otherwise it is 0.
struct gguf_name {
    enum ley_weight weight;
    const char *name; // with %d for the layer
    int part;
};
extern const struct gguf_name gguf_names[];
extern const int gguf_n_names;

// The name of a row's tensor in one layer.
void gguf_name_format(char out[GGUF_NAME_BYTES], const struct gguf_name *row, int layer);

// True when a row has this name in one of n_layers layers.
bool gguf_name_is_known(struct ley_string name, int n_layers);

// The pre-tokenizer that a converter calls `name`; false when unknown.
bool gguf_pre_find(enum ley_pre_tokenizer *pre, const char *name);

// The usual name of a pre-tokenizer.
const char *gguf_pre_name(enum ley_pre_tokenizer pre);
