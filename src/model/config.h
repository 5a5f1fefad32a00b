// config.h - the shape of a decoder-only language model, and where its weights come from.
//
// The contract between file formats (gguf, safetensors), which implement struct ley_weight_source,
// and the model, which reads from it.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// What the simulator knows: a file of another family or activation is refused.
enum ley_family { LEY_FAMILY_GPT2, LEY_FAMILY_LLAMA };
enum ley_activation { LEY_GELU_TANH, LEY_GELU_ERF, LEY_SWIGLU };

// Which pairs of a head's values rotate together: (i, i + n/2) in Hugging Face files, (2i, 2i + 1)
// in GGUF files of the llama architecture.
enum ley_rope_layout { LEY_ROPE_HALVES, LEY_ROPE_PAIRS };

struct ley_model_config {
    enum ley_family family;
    enum ley_activation activation;
    enum ley_rope_layout rope_layout;
    char name[64]; // of the model, for people; may be empty
    // n_heads is a multiple of n_kv_heads; d_ff and n_vocab are rows of matrices, n_context tokens
    int n_layers, d_model, n_heads, n_kv_heads, head_dim, d_ff, n_vocab, n_context;
    int rope_dim;     // values of a head that rotate, from its start
    double rope_base; // 10000 for Llama 2
    // added to the variance or the mean square, not to its root
    double norm_eps;
};

enum ley_weight {
#define LEY_WEIGHT(name, per_layer, rows, columns, meaning) LEY_WEIGHT_##name,
#include "model/weight.def"
#undef LEY_WEIGHT
    LEY_N_WEIGHTS
};

// Name, place and size of a kind of weight in a model of this shape.
struct ley_weight_info {
    const char *name; // "ATTN_Q"
    bool is_per_layer;
    int64_t n_rows, n_columns;
    bool is_matrix; // or a vector, which has one row
};
struct ley_weight_info ley_weight_info(const struct ley_model_config *config,
                                       enum ley_weight weight);

// Something that can hand out the weights of one model.
struct ley_weight_source {
    // handed back to both functions; what it is only the source knows
    void *context;
    // True when the weight exists. `layer` is 0 for weights that are not per layer.
    bool (*has)(void *context, enum ley_weight weight, int layer);
    // Writes rows first_row .. first_row + n_rows - 1 as float32 (n_rows * n_columns values), so
    // that a caller can convert a large matrix piece by piece.
    enum ley_status (*read)(void *context, float *out, enum ley_weight weight, int layer,
                            int64_t first_row, int64_t n_rows);
};

// Checks that sizes are positive, within bounds (vocabulary below 2^24, widths below 2^20, layers
// below 2^12) and consistent (heads divide, rope fits). LEY_E_FORMAT and what is wrong.
LEY_MUST_CHECK enum ley_status ley_model_config_check(const struct ley_model_config *config);

// Reads a Hugging Face config.json; *is_tied: the model has no output matrix of its own.
LEY_MUST_CHECK enum ley_status ley_model_config_load(struct ley_model_config *config, bool *is_tied,
                                                     const char *path);

#ifdef __cplusplus
}
#endif
