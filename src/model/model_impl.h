// model_impl.h - the parts of a model, shared by the files that load and run it.
#pragma once
#include "attention/attention.h"
#include "model/model.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/rotary.h"
#include "nn/softmax.h"

struct ley_norm {
    float *scale, *bias; // (C); bias NULL: none
};

// C model width, Q query heads * D, K key-value heads * D, F feed-forward width.
struct ley_layer {
    struct ley_norm attention_norm, ffn_norm;
    struct ley_linear *qkv;           // C -> Q + K + K: queries, keys, values side by side
    struct ley_linear *attention_out; // Q -> C
    struct ley_linear *ffn_in;        // C -> F, or F + F: gate and up side by side (swiglu)
    struct ley_linear *ffn_out;       // F -> C
    struct ley_attention *attention;  // NULL: digital
};

struct ley_model {
    struct ley_model_config config;
    // made first and freed last: the layers hold its kernels
    struct ley_engine *engine;
    struct ley_embedding *tokens;    // (V, C); NULL: tied, rows are read from `output`
    struct ley_embedding *positions; // (T, C), float32; NULL: rotary
    struct ley_rotary *rotary;       // NULL: learned positions
    struct ley_layer *layer;         // [n_layers]
    struct ley_norm final_norm;
    // always there; serves as the embedding too when tied
    struct ley_linear *output; // C -> V
    int window;                // of digital attention; 0: all
};

// Widths named as above.
static inline int ley_width_q(const struct ley_model_config *config) {
    return config->n_heads * config->head_dim;
}
static inline int ley_width_k(const struct ley_model_config *config) {
    return config->n_kv_heads * config->head_dim;
}

// Shape of its digital attention; the stride of queries is the caller's. M19: scale 1 / sqrt(d) and
// mask are the business of ley_softmax_forward.
struct ley_softmax_shape ley_model_softmax(const struct ley_model *model);

// y = norm(x) over n_rows rows, of the kind the model's family uses.
void ley_norm_forward(float *y, const float *x, const struct ley_model *model,
                      const struct ley_norm *norm, int64_t n_rows);

// y (n_rows, F) = activation(x), x (n_rows, F or 2 F).
void ley_activation_forward(float *y, const float *x, const struct ley_model_config *config,
                            int64_t n_rows);

// x[C] <- the embedding of a token, plus that of its position where positions are learned;
// scratch[C].
void ley_model_embed(float *x, float *scratch, const struct ley_model *model, int32_t token,
                     int64_t position);

// Fills a model whose config and engine are set (load.c); again, with other weights of the same
// shapes.
LEY_MUST_CHECK enum ley_status ley_model_load(struct ley_model *model,
                                              const struct ley_weight_source *source);
