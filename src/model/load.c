// load.c - weights from a source into packed layers, a few rows at a time
//
// The only float32 copy is one buffer of about 4 MB, so the peak is the packed model plus that.
// q, k and v are rows of one matrix, as are gate and up: fewer, larger products. What a model has
// already is filled anew, so that loading again takes other weights of the same shape.
#include "core/memory.h"
#include "model/model_impl.h"

enum { PIECE_VALUES = 1 << 20 };

// One load; `piece` is where rows are decoded before they are packed.
struct loader {
    struct ley_model *model;
    const struct ley_weight_source *source;
    float *piece;
    size_t n_piece; // values
};

// The source decides what the model has; the configuration only says what it needs.
static bool has(const struct loader *loader, enum ley_weight weight, int layer) {
    return loader->source->has(loader->source->context, weight, layer);
}

// A missing weight is an error with its name, not a matrix of zeros.
static enum ley_status require(const struct loader *loader, enum ley_weight weight, int layer) {
    if (has(loader, weight, layer)) {
        return LEY_OK;
    }
    struct ley_weight_info info = ley_weight_info(&loader->model->config, weight);
    return info.is_per_layer
               ? ley_fail(LEY_E_FORMAT, "the model has no %s in layer %d", info.name, layer)
               : ley_fail(LEY_E_FORMAT, "the model has no %s", info.name);
}

// Where the rows of a weight go: a layer (from row `first` on) or an embedding.
struct target {
    struct ley_linear *linear;
    struct ley_embedding *embedding;
    int64_t first;
};

// Row by row into the target, as many at a time as the buffer holds; n_piece is at least one row.
static enum ley_status load_rows(struct loader *loader, const struct target *target,
                                 enum ley_weight weight, int layer) {
    struct ley_weight_info info = ley_weight_info(&loader->model->config, weight);
    LEY_TRY(require(loader, weight, layer));
    int64_t most = (int64_t)loader->n_piece / info.n_columns;
    for (int64_t row = 0; row < info.n_rows; row += most) {
        int64_t n = info.n_rows - row < most ? info.n_rows - row : most;
        LEY_TRY(
            loader->source->read(loader->source->context, loader->piece, weight, layer, row, n));
        if (target->linear) {
            ley_linear_load(target->linear, loader->piece, target->first + row, n);
        } else {
            ley_embedding_load(target->embedding, loader->piece, target->first + row, n);
        }
    }
    return LEY_OK;
}

// Bias of the rows of a layer from `first` on; zero when the source has none.
static enum ley_status load_bias(struct loader *loader, struct ley_linear *linear,
                                 enum ley_weight weight, int layer, int64_t first) {
    if (!has(loader, weight, layer)) {
        return LEY_OK;
    }
    int64_t n = ley_weight_info(&loader->model->config, weight).n_columns;
    LEY_TRY(loader->source->read(loader->source->context, loader->piece, weight, layer, 0, 1));
    ley_linear_load_bias(linear, loader->piece, first, n);
    return LEY_OK;
}

// *out is owned by the model as soon as it is made, so a failing read frees nothing here.
static enum ley_status load_vector(float **out, struct loader *loader, enum ley_weight weight,
                                   int layer) {
    size_t n = (size_t)ley_weight_info(&loader->model->config, weight).n_columns;
    LEY_TRY(require(loader, weight, layer));
    *out = *out ? *out : ley_alloc(n, sizeof **out);
    if (!*out) {
        return ley_fail_memory("weights of a norm", n, sizeof **out);
    }
    return loader->source->read(loader->source->context, *out, weight, layer, 0, 1);
}

// A norm: `weight` is its scale, and the next row of weight.def its bias.
static enum ley_status load_norm(struct ley_norm *norm, struct loader *loader,
                                 enum ley_weight weight, int layer) {
    LEY_TRY(load_vector(&norm->scale, loader, weight, layer));
    enum ley_weight bias = (enum ley_weight)(weight + 1);
    return has(loader, bias, layer) ? load_vector(&norm->bias, loader, bias, layer) : LEY_OK;
}

// One matrix of a layer made of several weights, one above the other.
// LEY_N_WEIGHTS as a bias: there is none
struct part {
    enum ley_weight weight, bias;
};

// The matrices are stacked along the outputs. One bias among the parts gives the whole a bias, zero
// in the other parts.
static enum ley_status load_linear(struct ley_linear **linear, struct loader *loader, int layer,
                                   const struct part *part, int n_parts) {
    const struct ley_model_config *config = &loader->model->config;
    int64_t n_in = ley_weight_info(config, part[0].weight).n_columns, n_out = 0;
    bool has_bias = false;
    for (int i = 0; i < n_parts; i++) {
        n_out += ley_weight_info(config, part[i].weight).n_rows;
        has_bias = has_bias || (part[i].bias != LEY_N_WEIGHTS && has(loader, part[i].bias, layer));
    }
    if (!*linear) {
        LEY_TRY(ley_linear_create(linear, loader->model->engine, (int)n_in, (int)n_out, has_bias));
    }
    struct target target = {.linear = *linear};
    for (int i = 0; i < n_parts; i++) {
        LEY_TRY(load_rows(loader, &target, part[i].weight, layer));
        if (has_bias && part[i].bias != LEY_N_WEIGHTS) {
            LEY_TRY(load_bias(loader, *linear, part[i].bias, layer, target.first));
        }
        target.first += ley_weight_info(config, part[i].weight).n_rows;
    }
    return LEY_OK;
}

// Without a gate, `up` begins at its second part: see load_linear.
static enum ley_status load_layer(struct loader *loader, int l) {
    static const struct part qkv[] = {{LEY_WEIGHT_ATTN_Q, LEY_WEIGHT_ATTN_Q_BIAS},
                                      {LEY_WEIGHT_ATTN_K, LEY_WEIGHT_ATTN_K_BIAS},
                                      {LEY_WEIGHT_ATTN_V, LEY_WEIGHT_ATTN_V_BIAS}};
    static const struct part out[] = {{LEY_WEIGHT_ATTN_OUT, LEY_WEIGHT_ATTN_OUT_BIAS}};
    static const struct part up[] = {{LEY_WEIGHT_FFN_GATE, LEY_N_WEIGHTS},
                                     {LEY_WEIGHT_FFN_UP, LEY_WEIGHT_FFN_UP_BIAS}};
    static const struct part down[] = {{LEY_WEIGHT_FFN_DOWN, LEY_WEIGHT_FFN_DOWN_BIAS}};
    struct ley_layer *layer = &loader->model->layer[l];
    int has_gate = loader->model->config.activation == LEY_SWIGLU;
    LEY_TRY(load_norm(&layer->attention_norm, loader, LEY_WEIGHT_ATTN_NORM, l));
    LEY_TRY(load_norm(&layer->ffn_norm, loader, LEY_WEIGHT_FFN_NORM, l));
    LEY_TRY(load_linear(&layer->qkv, loader, l, qkv, 3));
    LEY_TRY(load_linear(&layer->attention_out, loader, l, out, 1));
    LEY_TRY(load_linear(&layer->ffn_in, loader, l, has_gate ? up : up + 1, has_gate ? 2 : 1));
    return load_linear(&layer->ffn_out, loader, l, down, 1);
}

// gpt2 adds a learned vector to each position, llama turns q and k; a model has one or the other.
static enum ley_status load_positions(struct loader *loader) {
    struct ley_model *model = loader->model;
    const struct ley_model_config *config = &model->config;
    if (config->family == LEY_FAMILY_GPT2) {
        if (!model->positions) {
            LEY_TRY(ley_embedding_create(&model->positions, config->n_context, config->d_model,
                                         LEY_NN_F32));
        }
        struct target target = {.embedding = model->positions};
        return load_rows(loader, &target, LEY_WEIGHT_POSITION_EMBEDDING, 0);
    }
    if (model->rotary) {
        return LEY_OK; // frequencies are not learned
    }
    bool has_factors = has(loader, LEY_WEIGHT_ROPE_FACTORS, 0);
    if (has_factors) {
        LEY_TRY(loader->source->read(loader->source->context, loader->piece,
                                     LEY_WEIGHT_ROPE_FACTORS, 0, 0, 1));
    }
    return ley_rotary_create(&model->rotary, config->rope_dim, config->rope_base,
                             config->rope_layout == LEY_ROPE_PAIRS,
                             has_factors ? loader->piece : NULL);
}

// A tied model has one matrix for both ends: the packed one, whose rows can be read back.
static enum ley_status load_all(struct loader *loader) {
    struct ley_model *model = loader->model;
    bool is_tied = !has(loader, LEY_WEIGHT_OUTPUT, 0);
    const struct part output[] = {
        {is_tied ? LEY_WEIGHT_TOKEN_EMBEDDING : LEY_WEIGHT_OUTPUT, LEY_N_WEIGHTS}};
    if (!is_tied && !model->tokens) {
        LEY_TRY(ley_embedding_create(&model->tokens, model->config.n_vocab, model->config.d_model,
                                     ley_engine_dtype(model->engine)));
    }
    if (!is_tied) {
        struct target target = {.embedding = model->tokens};
        LEY_TRY(load_rows(loader, &target, LEY_WEIGHT_TOKEN_EMBEDDING, 0));
    }
    LEY_TRY(load_positions(loader));
    for (int l = 0; l < model->config.n_layers; l++) {
        LEY_TRY(load_layer(loader, l));
    }
    LEY_TRY(load_norm(&model->final_norm, loader, LEY_WEIGHT_FINAL_NORM, 0));
    return load_linear(&model->output, loader, 0, output, 1);
}

// Values of the longest row of any weight.
static size_t longest_row(const struct ley_model_config *config) {
    int64_t longest = 1;
    for (int w = 0; w < LEY_N_WEIGHTS; w++) {
        int64_t n = ley_weight_info(config, (enum ley_weight)w).n_columns;
        longest = n > longest ? n : longest;
    }
    return (size_t)longest;
}

// The buffer takes at least one whole row, however wide the model is.
enum ley_status ley_model_load(struct ley_model *model, const struct ley_weight_source *source) {
    size_t longest = longest_row(&model->config);
    struct loader loader = {model, source, NULL, longest > PIECE_VALUES ? longest : PIECE_VALUES};
    loader.piece = ley_alloc(loader.n_piece, sizeof *loader.piece);
    if (!loader.piece) {
        return ley_fail_memory("buffer for weights", loader.n_piece, sizeof *loader.piece);
    }
    enum ley_status status = load_all(&loader);
    ley_free(loader.piece);
    return status;
}
