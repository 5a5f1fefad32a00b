// net_memory.c - activations of a net: what a batch needs, laid out in one block
#include <omp.h>

#include "core/memory.h"
#include "model/net_impl.h"

// With LEY_RECOMPUTE_AUTO the insides of all layers are kept up to this share of physical memory.
static const double MOST_SHARE = 0.25;

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

static void lay_out_inside(struct ley_net_inside *inside, const struct ley_model_config *config,
                           int64_t n_rows, float *block, size_t *at) {
    int64_t C = config->d_model, F = config->d_ff;
    int64_t Q = ley_width_q(config), K = ley_width_k(config);
    inside->h = cut(block, at, n_rows * C);
    inside->qkv = cut(block, at, n_rows * (Q + 2 * K));
    inside->attended = cut(block, at, n_rows * Q);
    inside->sums =
        (struct ley_norm_sums *)(void *)cut(block, at, 2 * n_rows * config->n_heads); // floats
    inside->middle = cut(block, at, n_rows * C);
    inside->g = cut(block, at, n_rows * C);
    inside->ffn_in = cut(block, at, n_rows * F * (config->activation == LEY_SWIGLU ? 2 : 1));
    inside->active = cut(block, at, n_rows * F);
}

// Rows of the widest stack of a layer, on both sides.
static void lay_out_rows(struct ley_net_activations *a, const struct ley_net *net, float *block,
                         size_t *at) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_engine *engine = net->model->engine;
    int64_t R = a->n_batch * a->n_tokens, F = config->d_ff, C = config->d_model;
    int64_t Q = ley_width_q(config), qkv = Q + 2 * (int64_t)ley_width_k(config);
    int64_t ffn = config->activation == LEY_SWIGLU ? 2 * F : F;
    int64_t out = qkv > ffn ? qkv : ffn, in = F > Q ? F : Q;
    a->n_dy_rows = (ley_rows_room(engine, R * (out > C ? out : C)) + 15) / 16 * 16; // whole lines
    a->rows = cut(block, at, a->n_dy_rows + ley_rows_room(engine, R * (in > C ? in : C)));
}

// Sets every pointer of `a` from one block; called first without a block, for the size.
static size_t lay_out(struct ley_net_activations *a, const struct ley_net *net, float *block) {
    const struct ley_model_config *config = &net->parameters.config;
    size_t at = 0;
    int64_t R = a->n_batch * a->n_tokens, C = config->d_model;
    int64_t Q = ley_width_q(config), K = ley_width_k(config);
    int64_t n_logits = (R < net->n_loss_rows ? R : net->n_loss_rows) * config->n_vocab;
    a->x = cut(block, &at, (config->n_layers + 1) * R * C);
    a->h = cut(block, &at, R * C);
    a->dx = cut(block, &at, R * C);
    a->dh = cut(block, &at, R * C);
    a->dqkv = cut(block, &at, R * (Q + 2 * K));
    a->dattended = cut(block, &at, R * Q);
    a->dactive = cut(block, &at, R * config->d_ff);
    a->low = cut(block, &at, R * ley_low_rank_width(net));
    a->dlow = cut(block, &at, R * ley_low_rank_width(net));
    lay_out_rows(a, net, block, &at);
    a->turn = cut(block, &at, net->model->rotary ? a->n_tokens * config->rope_dim : 0);
    a->statistics = (double *)(void *)cut(block, &at, 2 * 2 * R); // two floats make a double
    a->hidden = (double *)(void *)cut(block, &at, 2 * config->n_layers * (2 * C + 1));
    a->scores = cut(block, &at, score_floats(net, a->n_tokens, a->n_threads));
    a->logits = cut(block, &at, n_logits);
    a->teacher = cut(block, &at, n_logits);
    for (int l = 0; l < (a->keeps ? config->n_layers : 1); l++) {
        lay_out_inside(&a->inside[l], config, R, block, &at);
    }
    return at / sizeof(float);
}

// Whether the insides of all layers are kept, for a batch whose sizes `a` has.
static bool keeps(struct ley_net_activations *a, const struct ley_net *net) {
    size_t memory = ley_physical_memory();
    a->keeps = true;
    return net->recompute == LEY_RECOMPUTE_NEVER ||
           (net->recompute == LEY_RECOMPUTE_AUTO &&
            (double)lay_out(a, net, NULL) * sizeof(float) <= MOST_SHARE * (double)memory);
}

// Activations hold nothing between passes, so growing throws the old ones away.
enum ley_status ley_net_reserve(struct ley_net *net, int64_t n_batch, int64_t n_tokens,
                                bool is_backward) {
    struct ley_net_activations *a = &net->a;
    a->n_batch = n_batch;
    a->n_tokens = n_tokens;
    a->n_threads = omp_get_max_threads();
    a->keeps = is_backward && keeps(a, net);
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
