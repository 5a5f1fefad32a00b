// net.c - life and memory of a net
#include "model/net.h"

#include <omp.h>

#include "core/assert.h"
#include "core/memory.h"
#include "model/net_impl.h"

// Logits of a block of rows take at most LOGITS floats, within these bounds of rows: a gradient of
// the output matrix is read and written once a block.
enum { LOGITS = 1 << 25, FEWEST_ROWS = 64, MOST_ROWS = 1024 };

// Every matrix turned: an input of the layer is an output here.
static enum ley_status create_back(struct ley_linear **back, const struct ley_net *net, int n_in,
                                   int n_out) {
    return ley_linear_create(back, net->model->engine, n_out, n_in, false);
}

static enum ley_status create_layer(struct ley_net_layer *back, const struct ley_net *net) {
    const struct ley_model_config *config = &net->parameters.config;
    int C = config->d_model, Q = ley_width_q(config), K = ley_width_k(config), F = config->d_ff;
    LEY_TRY(create_back(&back->qkv, net, C, Q + 2 * K));
    LEY_TRY(create_back(&back->attention_out, net, Q, C));
    LEY_TRY(create_back(&back->ffn_in, net, C, config->activation == LEY_SWIGLU ? 2 * F : F));
    return create_back(&back->ffn_out, net, F, C);
}

// The model reads its weights from the block, as it would from a file.
static enum ley_status fill(struct ley_net *net, enum ley_nn_dtype dtype) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_weight_source values = ley_parameters_source(&net->parameters);
    size_t n_layers = (size_t)config->n_layers;
    LEY_TRY(ley_model_create(&net->model, config, &values, dtype));
    net->back = ley_alloc(n_layers, sizeof *net->back);
    if (!net->back) {
        return ley_fail_memory("layers", n_layers, sizeof *net->back);
    }
    for (size_t l = 0; l < n_layers; l++) {
        LEY_TRY(create_layer(&net->back[l], net));
    }
    LEY_TRY(create_back(&net->output_back, net, config->d_model, config->n_vocab));
    return ley_net_pack(net);
}

// Blocks of rows are powers of two, so that a batch makes few shapes of products.
static int64_t loss_rows(int n_vocab) {
    int64_t n = FEWEST_ROWS;
    while (n < MOST_ROWS && 2 * n * n_vocab <= LOGITS) {
        n *= 2;
    }
    return n;
}

// A net that fails is destroyed whole: every destroy accepts what was not made.
enum ley_status ley_net_create(struct ley_net **net, const struct ley_model_config *config,
                               const struct ley_weight_source *source, enum ley_nn_dtype dtype,
                               const struct ley_parameter *extra, int n_extra) {
    struct ley_net *made = ley_alloc(1, sizeof *made);
    *net = NULL;
    if (!made) {
        return ley_fail_memory("net", 1, sizeof *made);
    }
    enum ley_status status =
        ley_parameters_create(&made->parameters, config, source, extra, n_extra);
    if (status == LEY_OK) {
        status = fill(made, dtype);
    }
    if (status != LEY_OK) {
        ley_net_destroy(made);
        return status;
    }
    made->n_loss_rows = loss_rows(config->n_vocab);
    ley_net_set_attention(made, NULL);
    *net = made;
    return LEY_OK;
}

// Layers before the model, whose engine they borrow.
void ley_net_destroy(struct ley_net *net) {
    if (!net) {
        return;
    }
    for (int l = 0; net->back && l < net->parameters.config.n_layers; l++) {
        ley_linear_destroy(net->back[l].qkv);
        ley_linear_destroy(net->back[l].attention_out);
        ley_linear_destroy(net->back[l].ffn_in);
        ley_linear_destroy(net->back[l].ffn_out);
    }
    ley_linear_destroy(net->output_back);
    ley_model_destroy(net->model);
    ley_parameters_destroy(&net->parameters);
    ley_free(net->lora.scratch);
    ley_free(net->back);
    ley_free(net->a.block);
    ley_free(net->scaler_gradient);
    ley_attention_work_destroy(net->work);
    ley_free(net);
}

struct ley_parameters *ley_net_parameters(struct ley_net *net) {
    return &net->parameters;
}

struct ley_model *ley_net_model(struct ley_net *net) {
    return net->model;
}

void ley_net_set_attention(struct ley_net *net, const struct ley_attention_pass *attention) {
    net->attention = attention ? *attention : ley_net_softmax;
    net->attention.context = attention ? attention->context : net;
}

// Columns first .. of a turned matrix <- the rows of a weight. Returns the next free column.
static int64_t turn(struct ley_linear *back, struct ley_net *net, enum ley_weight weight, int layer,
                    int64_t first) {
    const struct ley_parameter *tensor = ley_parameters_find(&net->parameters, weight, layer);
    LEY_ASSERT(tensor);
    ley_linear_load_columns(back, ley_net_effective(net, tensor), first, tensor->n_rows);
    return first + tensor->n_rows;
}

// Both copies of every matrix: as the model has them, and turned.
enum ley_status ley_net_pack(struct ley_net *net) {
    const struct ley_parameters *p = &net->parameters;
    const struct ley_weight_source values = ley_net_weights(net);
    LEY_TRY(ley_model_load(net->model, &values));
    ley_net_give_scalers(net);
    for (int l = 0; l < p->config.n_layers; l++) {
        struct ley_net_layer *back = &net->back[l];
        int64_t at = turn(back->qkv, net, LEY_WEIGHT_ATTN_Q, l, 0);
        at = turn(back->qkv, net, LEY_WEIGHT_ATTN_K, l, at);
        turn(back->qkv, net, LEY_WEIGHT_ATTN_V, l, at);
        turn(back->attention_out, net, LEY_WEIGHT_ATTN_OUT, l, 0);
        at = p->config.activation == LEY_SWIGLU ? turn(back->ffn_in, net, LEY_WEIGHT_FFN_GATE, l, 0)
                                                : 0;
        turn(back->ffn_in, net, LEY_WEIGHT_FFN_UP, l, at);
        turn(back->ffn_out, net, LEY_WEIGHT_FFN_DOWN, l, 0);
    }
    bool is_tied = !ley_parameters_find(p, LEY_WEIGHT_OUTPUT, 0);
    turn(net->output_back, net, is_tied ? LEY_WEIGHT_TOKEN_EMBEDDING : LEY_WEIGHT_OUTPUT, 0, 0);
    return LEY_OK;
}

// The next n floats of a block.
static float *cut(float *block, size_t *at, int64_t n) {
    return ley_cut(block, at, (size_t)n * sizeof(float));
}

// Scratch of softmax attention, forward and back, which are never in use together.
static int64_t score_floats(const struct ley_net *net, int64_t n_tokens, int n_threads) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_softmax_shape shape = {
        .n_query_heads = config->n_heads,
        .n_kv_heads = config->n_kv_heads,
        .head_dim = config->head_dim,
        .window = net->model->window,
    };
    int64_t forward = n_threads * ley_softmax_scratch_size(&shape, n_tokens);
    int64_t backward = ley_softmax_backward_floats(&shape, n_tokens, n_threads);
    return forward > backward ? forward : backward;
}

// Sets every pointer of `a` from one block; called first without a block, for the size.
static size_t lay_out(struct ley_net_activations *a, const struct ley_net *net, float *block) {
    const struct ley_model_config *config = &net->parameters.config;
    size_t at = 0;
    int64_t R = a->n_batch * a->n_tokens, C = config->d_model, F = config->d_ff;
    int64_t Q = ley_width_q(config), K = ley_width_k(config);
    int64_t n_logits = (R < net->n_loss_rows ? R : net->n_loss_rows) * config->n_vocab;
    a->x = cut(block, &at, (config->n_layers + 1) * R * C);
    a->h = cut(block, &at, R * C);
    a->qkv = cut(block, &at, R * (Q + 2 * K));
    a->attended = cut(block, &at, R * Q);
    a->middle = cut(block, &at, R * C);
    a->g = cut(block, &at, R * C);
    a->ffn_in = cut(block, &at, R * F * (config->activation == LEY_SWIGLU ? 2 : 1));
    a->active = cut(block, &at, R * F);
    a->dx = cut(block, &at, R * C);
    a->dh = cut(block, &at, R * C);
    a->dqkv = cut(block, &at, R * (Q + 2 * K));
    a->dattended = cut(block, &at, R * Q);
    a->dactive = cut(block, &at, R * F);
    a->turn = cut(block, &at, net->model->rotary ? a->n_tokens * config->rope_dim : 0);
    a->statistics = (double *)(void *)cut(block, &at, 2 * 2 * R); // two floats make a double
    a->scores = cut(block, &at, score_floats(net, a->n_tokens, a->n_threads));
    a->logits = cut(block, &at, n_logits);
    a->teacher = cut(block, &at, n_logits);
    return at / sizeof(float);
}

// Activations hold nothing between passes, so growing throws the old ones away.
enum ley_status ley_net_reserve(struct ley_net *net, int64_t n_batch, int64_t n_tokens) {
    struct ley_net_activations *a = &net->a;
    a->n_batch = n_batch;
    a->n_tokens = n_tokens;
    a->n_threads = omp_get_max_threads();
    size_t wanted = lay_out(a, net, NULL);
    if (wanted > a->n_block) {
        ley_free(a->block);
        a->block = ley_alloc(wanted, sizeof *a->block);
        a->n_block = a->block ? wanted : 0;
    }
    if (!a->block) {
        return ley_fail_memory("activations", wanted, sizeof *a->block);
    }
    lay_out(a, net, a->block);
    return LEY_OK;
}

size_t ley_net_activation_bytes(const struct ley_net *net) {
    return net->a.n_block * sizeof *net->a.block;
}
