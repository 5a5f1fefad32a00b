// net_layer.c - one decoder layer of whole sequences, forward and back
//
// Forward, the same calls as layer.c makes:
//     h = norm(x), qkv = rotary(QKV(h)), middle = x + Out(attention(qkv))
//     g = norm(middle), y = middle + Down(activation(Up(g)))
// Back, the lines in reverse: a gradient by the output of a line becomes one by its input, and what
// flows past it in the residual stream stays in dx all the way.
#include <string.h>

#include "attention/centre.h"
#include "attention/normalise.h"
#include "model/net_impl.h"
#include "model/state.h"
#include "nn/activation.h"
#include "nn/norm.h"

enum { ROWS_WORTH_THREADS = 16 };

// Rows of q, k, v of layer l.
static struct ley_observation observe(const struct ley_net *net, int l) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_net_activations *a = &net->a;
    const struct ley_net_inside *in = ley_net_inside(net, l);
    int64_t Q = ley_width_q(config), K = ley_width_k(config);
    return (struct ley_observation){
        .layer = l,
        .n_batch = a->n_batch,
        .n_tokens = a->n_tokens,
        .n_query_heads = config->n_heads,
        .n_kv_heads = config->n_kv_heads,
        .head_dim = config->head_dim,
        .q = in->qkv,
        .k = in->qkv + Q,
        .v = in->qkv + Q + K,
        .stride = Q + 2 * K,
        .out = in->attended,
    };
}

// M19, digital side, sequence by sequence.
static enum ley_status softmax_forward(void *context, float *out,
                                       const struct ley_observation *seen) {
    const struct ley_net *net = context;
    const struct ley_softmax_shape shape = {seen->n_query_heads, seen->n_kv_heads, seen->head_dim,
                                            net->model->window, seen->stride};
    const struct ley_softmax_scratch scratch = {net->a.scores,
                                                ley_softmax_scratch_size(&shape, seen->n_tokens)};
    int64_t T = seen->n_tokens, Q = (int64_t)seen->n_query_heads * seen->head_dim;
    for (int64_t b = 0; b < seen->n_batch; b++) {
        int64_t first = b * T * seen->stride;
        const struct ley_kv_rows rows = {seen->k + first, seen->v + first, seen->stride, T};
        ley_softmax_forward(out + b * T * Q, &shape, seen->q + first, &rows, 0, T, &scratch);
    }
    return LEY_OK;
}

static enum ley_status softmax_backward(void *context, float *dq, float *dk, float *dv,
                                        const float *dout, const struct ley_observation *seen) {
    const struct ley_net *net = context;
    const struct ley_softmax_shape shape = {seen->n_query_heads, seen->n_kv_heads, seen->head_dim,
                                            net->model->window, seen->stride};
    int64_t T = seen->n_tokens, Q = (int64_t)seen->n_query_heads * seen->head_dim;
    for (int64_t b = 0; b < seen->n_batch; b++) {
        int64_t first = b * T * seen->stride;
        const struct ley_softmax_backward pass = {
            .q = seen->q + first,
            .k = seen->k + first,
            .v = seen->v + first,
            .out = seen->out + b * T * Q,
            .dout = dout + b * T * Q,
            .dq = dq + first,
            .dk = dk + first,
            .dv = dv + first,
            .stride = seen->stride,
            .scratch = net->a.scores,
        };
        ley_softmax_backward(&shape, &pass, T);
    }
    return LEY_OK;
}

const struct ley_attention_pass ley_net_softmax = {
    .forward = softmax_forward,
    .backward = softmax_backward,
};

// Queries and keys stand side by side and turn together; back by the opposite angles.
static void rotate(float *qkv, const struct ley_net *net, bool is_backward) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_net_activations *a = &net->a;
    int64_t n_rows = a->n_batch * a->n_tokens;
    int64_t stride = ley_width_q(config) + 2 * ley_width_k(config);
    int n_heads = config->n_heads + config->n_kv_heads;
    if (!net->model->rotary) {
        return;
    }
#pragma omp parallel for schedule(static) if (n_rows >= ROWS_WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        const float *turn = a->turn + r % a->n_tokens * config->rope_dim;
        float *row = qkv + r * stride;
        if (is_backward) {
            ley_rotary_backward(row, net->model->rotary, turn, n_heads, config->head_dim);
        } else {
            ley_rotary_forward(row, net->model->rotary, turn, n_heads, config->head_dim);
        }
    }
}

// M25, M29: forward and back are the same.
static void centre(float *qkv, const struct ley_net *net, int l) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_attention *attention = net->model->layer[l].attention;
    int Q = ley_width_q(config), K = ley_width_k(config);
    int64_t n_rows = net->a.n_batch * net->a.n_tokens;
    if (attention && attention->centres_keys) {
        ley_centre_heads(qkv + Q, Q + 2 * K, n_rows, config->n_kv_heads, config->head_dim);
    }
    if (attention && attention->normalises_outputs) {
        ley_centre_heads(qkv + Q + K, Q + 2 * K, n_rows, config->n_kv_heads, config->head_dim);
    }
}

enum ley_status ley_net_attention_forward(struct ley_net *net, int l, const float *x) {
    const struct ley_model *model = net->model;
    const struct ley_layer *weights = &model->layer[l];
    const struct ley_net_inside *in = ley_net_inside(net, l);
    int64_t n_rows = net->a.n_batch * net->a.n_tokens;
    ley_norm_forward(in->h, x, model, &weights->attention_norm, n_rows);
    ley_linear_forward(in->qkv, weights->qkv, in->h, n_rows);
    rotate(in->qkv, net, false);
    centre(in->qkv, net, l);
    const struct ley_observation seen = observe(net, l);
    LEY_TRY(net->attention.forward(net->attention.context, in->attended, &seen));
    if (weights->attention && weights->attention->normalises_outputs) {
        ley_normalise_forward(in->attended, in->sums, weights->attention->output_size, n_rows,
                              model->config.n_heads, model->config.head_dim);
    }
    ley_linear_forward(net->a.dh, weights->attention_out, in->attended, n_rows);
    return LEY_OK;
}

void ley_net_feed_forward(float *y, struct ley_net *net, int l, const float *x) {
    const struct ley_model *model = net->model;
    const struct ley_layer *weights = &model->layer[l];
    const struct ley_net_activations *a = &net->a;
    const struct ley_net_inside *in = ley_net_inside(net, l);
    int64_t n_rows = a->n_batch * a->n_tokens, n = n_rows * model->config.d_model;
    memcpy(in->middle, x, (size_t)n * sizeof *x);
    ley_add(in->middle, a->dh, n);
    ley_norm_forward(in->g, in->middle, model, &weights->ffn_norm, n_rows);
    ley_linear_forward(in->ffn_in, weights->ffn_in, in->g, n_rows);
    ley_activation_forward(in->active, in->ffn_in, &model->config, n_rows);
    ley_linear_forward(a->dh, weights->ffn_out, in->active, n_rows);
    memcpy(y, in->middle, (size_t)n * sizeof *y);
    ley_add(y, a->dh, n);
}

// `dh` serves as room for what is added to the residual stream.
enum ley_status ley_net_layer_forward(float *y, struct ley_net *net, int l, const float *x) {
    LEY_TRY(ley_net_attention_forward(net, l, x));
    ley_net_feed_forward(y, net, l, x);
    return LEY_OK;
}

// The gradient of a tensor, or NULL: absent, or it does not train.
static float *gradient_of(const struct ley_net *net, enum ley_weight weight, int layer) {
    const struct ley_parameter *tensor =
        weight == LEY_N_WEIGHTS ? NULL : ley_parameters_find(&net->parameters, weight, layer);
    return tensor && tensor->trains ? net->parameters.gradient + tensor->offset : NULL;
}

// Biases of a stack, each over its own columns of dy.
static void bias_backward(const struct ley_net *net, const struct ley_stack *stack, const float *dy,
                          int64_t n_out, int64_t n_rows) {
    for (int i = 0; i < stack->n; i++) {
        const struct ley_parameter *tensor =
            ley_parameters_find(&net->parameters, stack->weight[i], stack->layer);
        float *db = gradient_of(net, stack->bias[i], stack->layer);
        if (db) {
            ley_linear_backward_bias(db, dy, n_out, n_rows, (int)tensor->n_rows);
        }
        dy += tensor->n_rows;
    }
}

// Gradients of n neighbours of a stack that train; dy is that of their columns.
static enum ley_status weights_backward(struct ley_net *net,
                                        const struct ley_parameter *const *tensor, int n,
                                        const float *dy, int64_t dy_stride, const float *x,
                                        int64_t n_rows) {
    int64_t n_out = 0, n_in = tensor[0]->n_columns;
    for (int i = 0; i < n; i++) {
        n_out += tensor[i]->n_rows;
    }
    return ley_linear_backward_weights(net->parameters.gradient + tensor[0]->offset,
                                       net->model->engine, dy, dy_stride, x, n_rows, (int)n_out,
                                       (int)n_in);
}

// Weights that stand side by side and train are one product: x is packed once.
enum ley_status ley_stack_backward(float *dx, struct ley_net *net, const struct ley_stack *stack,
                                   const float *dy, const float *x, int64_t n_rows) {
    const struct ley_parameter *tensor[3];
    int64_t n_out = 0, first = 0;
    for (int i = 0; i < stack->n; i++) {
        tensor[i] = ley_parameters_find(&net->parameters, stack->weight[i], stack->layer);
        n_out += tensor[i]->n_rows;
    }
    bias_backward(net, stack, dy, n_out, n_rows);
    for (int i = 0; i < stack->n;) {
        int from = i;
        int64_t n = 0;
        bool trains = tensor[from]->trains;
        for (; i < stack->n && tensor[i]->trains == trains; i++) {
            n += tensor[i]->n_rows;
        }
        if (trains) {
            LEY_TRY(weights_backward(net, tensor + from, i - from, dy + first, n_out, x, n_rows));
        }
        first += n;
    }
    if (stack->kind == LEY_STACK_OUTPUT) {
        ley_linear_forward(dx, stack->back, dy, n_rows); // many columns, one product
        return LEY_OK;
    }
    const struct ley_rows rows =
        ley_rows_make(net->model->engine, dy, n_rows, (int)n_out, net->a.rows);
    LEY_TRY(ley_low_rank_backward(net, stack, &rows, x, n_rows));
    ley_linear_forward_rows(dx, stack->back, &rows, n_rows);
    return LEY_OK;
}

// The bias of a norm is the next row of weight.def.
void ley_net_norm_backward(float *dx, struct ley_net *net, const struct ley_norm *norm,
                           enum ley_weight weight, int layer, const float *dy, const float *x,
                           int64_t n_rows) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_norm_backward pass = {
        .dy = dy,
        .x = x,
        .scale = norm->scale,
        .dx = dx,
        .dscale = gradient_of(net, weight, layer),
        .dbias = gradient_of(net, (enum ley_weight)(weight + 1), layer),
        .statistics = net->a.statistics,
    };
    if (config->family == LEY_FAMILY_GPT2) {
        ley_layer_norm_backward(&pass, n_rows, config->d_model, config->norm_eps);
    } else {
        ley_rms_norm_backward(&pass, n_rows, config->d_model, config->norm_eps);
    }
}

// ffn_in <- its gradient, from dactive, that by active
static void activation_backward(const struct ley_net *net, float *ffn_in, int64_t n_rows) {
    const struct ley_model_config *config = &net->parameters.config;
    const float *dactive = net->a.dactive;
    switch (config->activation) {
    case LEY_GELU_TANH:
        ley_gelu_tanh_backward(ffn_in, dactive, ffn_in, n_rows * config->d_ff);
        break;
    case LEY_GELU_ERF:
        ley_gelu_erf_backward(ffn_in, dactive, ffn_in, n_rows * config->d_ff);
        break;
    case LEY_SWIGLU:
        ley_swiglu_backward(ffn_in, dactive, ffn_in, n_rows, config->d_ff);
        break;
    }
}

// y = middle + Down(activation(Up(norm(middle))))
static enum ley_status feed_forward_backward(struct ley_net *net, int l) {
    const struct ley_net_activations *a = &net->a;
    const struct ley_net_inside *in = ley_net_inside(net, l);
    int64_t n_rows = a->n_batch * a->n_tokens;
    const struct ley_stack down = ley_net_stack(net, LEY_STACK_FFN_OUT, l);
    const struct ley_stack up = ley_net_stack(net, LEY_STACK_FFN_IN, l);
    LEY_TRY(ley_stack_backward(a->dactive, net, &down, a->dx, in->active, n_rows));
    activation_backward(net, in->ffn_in, n_rows);
    LEY_TRY(ley_stack_backward(a->dh, net, &up, in->ffn_in, in->g, n_rows));
    ley_net_norm_backward(a->dx, net, &net->model->layer[l].ffn_norm, LEY_WEIGHT_FFN_NORM, l, a->dh,
                          in->middle, n_rows);
    return LEY_OK;
}

// middle = x + Out(attention(rotary(QKV(norm(x)))))
enum ley_status ley_net_attention_backward(struct ley_net *net, int l, const float *x) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_net_activations *a = &net->a;
    const struct ley_net_inside *in = ley_net_inside(net, l);
    int64_t n_rows = a->n_batch * a->n_tokens, Q = ley_width_q(config), K = ley_width_k(config);
    const struct ley_stack out = ley_net_stack(net, LEY_STACK_ATTENTION_OUT, l);
    const struct ley_stack qkv = ley_net_stack(net, LEY_STACK_QKV, l);
    LEY_TRY(ley_stack_backward(a->dattended, net, &out, a->dx, in->attended, n_rows));
    const struct ley_attention *attention = net->model->layer[l].attention;
    if (attention && attention->normalises_outputs) {
        ley_normalise_backward(a->dattended, in->attended, in->sums, attention->output_size, n_rows,
                               config->n_heads, config->head_dim);
    }
    const struct ley_observation seen = observe(net, l);
    LEY_TRY(net->attention.backward(net->attention.context, a->dqkv, a->dqkv + Q, a->dqkv + Q + K,
                                    a->dattended, &seen));
    centre(a->dqkv, net, l);
    rotate(a->dqkv, net, true);
    LEY_TRY(ley_stack_backward(a->dh, net, &qkv, a->dqkv, in->h, n_rows));
    ley_net_norm_backward(a->dx, net, &net->model->layer[l].attention_norm, LEY_WEIGHT_ATTN_NORM, l,
                          a->dh, x, n_rows);
    return LEY_OK;
}

// Last line first.
enum ley_status ley_net_layer_backward(struct ley_net *net, int l, const float *x) {
    LEY_TRY(feed_forward_backward(net, l));
    return ley_net_attention_backward(net, l, x);
}
