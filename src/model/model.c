// model.c - life of a model, and the choice of its attention
#include "model/model.h"

#include "core/assert.h"
#include "core/memory.h"
#include "model/model_impl.h"

struct ley_softmax_shape ley_model_softmax(const struct ley_model *model) {
    return (struct ley_softmax_shape){
        .n_query_heads = model->config.n_heads,
        .n_kv_heads = model->config.n_kv_heads,
        .head_dim = model->config.head_dim,
        .window = model->window,
    };
}

// Weights are read while they are packed; what has been made when it fails belongs to `model`.
static enum ley_status fill(struct ley_model *model, const struct ley_weight_source *source,
                            enum ley_nn_dtype dtype) {
    size_t n_layers = (size_t)model->config.n_layers;
    model->layer = ley_alloc(n_layers, sizeof *model->layer);
    if (!model->layer) {
        return ley_fail_memory("layers", n_layers, sizeof *model->layer);
    }
    LEY_TRY(ley_engine_create(&model->engine, dtype));
    return ley_model_load(model, source);
}

// A model that fails is destroyed whole: `made` was zeroed, and every destroy accepts NULL.
enum ley_status ley_model_create(struct ley_model **model, const struct ley_model_config *config,
                                 const struct ley_weight_source *source, enum ley_nn_dtype dtype) {
    *model = NULL;
    LEY_TRY(ley_model_config_check(config));
    struct ley_model *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("model", 1, sizeof *made);
    }
    made->config = *config;
    enum ley_status status = fill(made, source, dtype);
    if (status != LEY_OK) {
        ley_model_destroy(made);
        return status;
    }
    *model = made;
    return LEY_OK;
}

// Also of a layer that was loaded in part.
static void destroy_layer(struct ley_layer *layer) {
    ley_free(layer->attention_norm.scale);
    ley_free(layer->attention_norm.bias);
    ley_free(layer->ffn_norm.scale);
    ley_free(layer->ffn_norm.bias);
    ley_linear_destroy(layer->qkv);
    ley_linear_destroy(layer->attention_out);
    ley_linear_destroy(layer->ffn_in);
    ley_linear_destroy(layer->ffn_out);
    ley_attention_destroy(layer->attention);
}

// Accepts a model in any state of making. The engine goes last: layers hold its memory objects.
void ley_model_destroy(struct ley_model *model) {
    if (!model) {
        return;
    }
    for (int l = 0; model->layer && l < model->config.n_layers; l++) {
        destroy_layer(&model->layer[l]);
    }
    ley_free(model->layer);
    ley_embedding_destroy(model->tokens);
    ley_embedding_destroy(model->positions);
    ley_rotary_destroy(model->rotary);
    ley_free(model->final_norm.scale);
    ley_free(model->final_norm.bias);
    ley_linear_destroy(model->output);
    ley_engine_destroy(model->engine);
    ley_free(model);
}

// Sessions made before hold the caches of the attention they were made for.
void ley_model_set_digital(struct ley_model *model, int window) {
    LEY_ASSERT(window >= 0);
    model->window = window;
    for (int l = 0; l < model->config.n_layers; l++) {
        ley_attention_destroy(model->layer[l].attention);
        model->layer[l].attention = NULL;
    }
}

// All or nothing: new attentions are made beside the old ones, and then either the old or the new
// ones are dropped. Sessions made before do not fit the new ones.
enum ley_status ley_model_set_analog(struct ley_model *model, const struct ley_hardware *hardware) {
    const struct ley_model_config *config = &model->config;
    const struct ley_attention_shape shape = {config->n_heads, config->n_kv_heads,
                                              config->head_dim};
    size_t n_layers = (size_t)config->n_layers;
    struct ley_attention **made = ley_alloc(n_layers, sizeof(struct ley_attention *));
    if (!made) {
        return ley_fail_memory("layers", n_layers, sizeof(struct ley_attention *));
    }
    enum ley_status status = LEY_OK;
    for (size_t l = 0; status == LEY_OK && l < n_layers; l++) {
        status = ley_attention_create(&made[l], hardware, &shape);
    }
    for (size_t l = 0; l < n_layers; l++) {
        struct ley_attention *dropped = made[l];
        if (status == LEY_OK) {
            dropped = model->layer[l].attention;
            model->layer[l].attention = made[l];
        }
        ley_attention_destroy(dropped);
    }
    ley_free(made);
    return status;
}

struct ley_attention *ley_model_attention(struct ley_model *model, int layer) {
    LEY_ASSERT(layer >= 0 && layer < model->config.n_layers);
    return model->layer[layer].attention;
}

const struct ley_model_config *ley_model_config(const struct ley_model *model) {
    return &model->config;
}

enum ley_nn_dtype ley_model_dtype(const struct ley_model *model) {
    return ley_engine_dtype(model->engine);
}

// What has the size of weights; norms and biases are left out as too small to matter.
size_t ley_model_bytes(const struct ley_model *model) {
    size_t n_bytes = ley_linear_bytes(model->output);
    n_bytes += model->tokens ? ley_embedding_bytes(model->tokens) : 0;
    n_bytes += model->positions ? ley_embedding_bytes(model->positions) : 0;
    for (int l = 0; l < model->config.n_layers; l++) {
        const struct ley_layer *layer = &model->layer[l];
        n_bytes += ley_linear_bytes(layer->qkv) + ley_linear_bytes(layer->attention_out) +
                   ley_linear_bytes(layer->ffn_in) + ley_linear_bytes(layer->ffn_out);
    }
    return n_bytes;
}
