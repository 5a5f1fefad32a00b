// net_layer.c - one decoder layer of whole sequences, forward and back
//
// Forward, the same calls as layer.c makes:
//     h = norm(x), qkv = rotary(QKV(h)), middle = x + Out(attention(qkv))
//     g = norm(middle), y = middle + Down(activation(Up(g)))
// Back, the lines in reverse: a gradient by the output of a line becomes one by its input, and what
// flows past it in the residual stream stays in dx all the way.
#include <string.h>

#include "model/net_impl.h"
#include "model/state.h"
#include "nn/activation.h"
#include "nn/norm.h"

enum { ROWS_WORTH_THREADS = 16 };

// Rows of q, k, v of layer l.
static struct ley_observation observe(const struct ley_net *net, int l) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_net_activations *a = &net->a;
    int64_t Q = ley_width_q(config), K = ley_width_k(config);
    return (struct ley_observation){
        .layer = l,
        .n_batch = a->n_batch,
        .n_tokens = a->n_tokens,
        .n_query_heads = config->n_heads,
        .n_kv_heads = config->n_kv_heads,
        .head_dim = config->head_dim,
        .q = a->qkv,
        .k = a->qkv + Q,
        .v = a->qkv + Q + K,
        .stride = Q + 2 * K,
        .out = a->attended,
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

enum ley_status ley_net_attention_forward(struct ley_net *net, int l, const float *x) {
    const struct ley_model *model = net->model;
    const struct ley_layer *weights = &model->layer[l];
    const struct ley_net_activations *a = &net->a;
    int64_t n_rows = a->n_batch * a->n_tokens;
    ley_norm_forward(a->h, x, model, &weights->attention_norm, n_rows);
    ley_linear_forward(a->qkv, weights->qkv, a->h, n_rows);
    rotate(a->qkv, net, false);
    const struct ley_observation seen = observe(net, l);
    LEY_TRY(net->attention.forward(net->attention.context, a->attended, &seen));
    ley_linear_forward(a->dh, weights->attention_out, a->attended, n_rows);
    return LEY_OK;
}

void ley_net_feed_forward(float *y, struct ley_net *net, int l, const float *x) {
    const struct ley_model *model = net->model;
    const struct ley_layer *weights = &model->layer[l];
    const struct ley_net_activations *a = &net->a;
    int64_t n_rows = a->n_batch * a->n_tokens, n = n_rows * model->config.d_model;
    memcpy(a->middle, x, (size_t)n * sizeof *x);
    ley_add(a->middle, a->dh, n);
    ley_norm_forward(a->g, a->middle, model, &weights->ffn_norm, n_rows);
    ley_linear_forward(a->ffn_in, weights->ffn_in, a->g, n_rows);
    ley_activation_forward(a->active, a->ffn_in, &model->config, n_rows);
    ley_linear_forward(a->dh, weights->ffn_out, a->active, n_rows);
    memcpy(y, a->middle, (size_t)n * sizeof *y);
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

// How a weight learns: not at all, itself, or by a low-rank change.
enum learning { FROZEN, TRAINS, CHANGES };

static enum learning learning_of(const struct ley_net *net, const struct ley_parameter *tensor) {
    bool is_changed =
        tensor->weight < LEY_N_WEIGHTS && (net->lora.spec.weights >> tensor->weight & 1) != 0;
    return tensor->trains ? TRAINS : is_changed ? CHANGES : FROZEN;
}

// Gradients of n neighbours of a stack that learn alike; dy is that of their columns.
static enum ley_status weights_backward(struct ley_net *net,
                                        const struct ley_parameter *const *tensor, int n,
                                        const float *dy, int64_t dy_stride, const float *x,
                                        int64_t n_rows) {
    enum learning learning = learning_of(net, tensor[0]);
    int64_t n_out = 0, n_in = tensor[0]->n_columns;
    for (int i = 0; i < n; i++) {
        n_out += tensor[i]->n_rows;
    }
    if (learning == FROZEN) {
        return LEY_OK;
    }
    float *dw =
        learning == TRAINS ? net->parameters.gradient + tensor[0]->offset : net->lora.scratch;
    if (learning == CHANGES) {
        memset(dw, 0, (size_t)(n_out * n_in) * sizeof *dw);
    }
    LEY_TRY(ley_linear_backward_weights(dw, net->model->engine, dy, dy_stride, x, n_rows,
                                        (int)n_out, (int)n_in));
    for (int i = 0; learning == CHANGES && i < n; i++) {
        ley_lora_backward(net, tensor[i]->weight, tensor[i]->layer, dw);
        dw += tensor[i]->n_rows * n_in;
    }
    return LEY_OK;
}

// Weights that stand side by side and learn alike are one product: x is packed once.
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
        enum learning learning = learning_of(net, tensor[from]);
        for (; i < stack->n && learning_of(net, tensor[i]) == learning; i++) {
            n += tensor[i]->n_rows;
        }
        LEY_TRY(weights_backward(net, tensor + from, i - from, dy + first, n_out, x, n_rows));
        first += n;
    }
    ley_linear_forward(dx, stack->back, dy, n_rows);
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

// a.ffn_in <- its gradient, from that by a.active
static void activation_backward(const struct ley_net *net, int64_t n_rows) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_net_activations *a = &net->a;
    switch (config->activation) {
    case LEY_GELU_TANH:
        ley_gelu_tanh_backward(a->ffn_in, a->dactive, a->ffn_in, n_rows * config->d_ff);
        break;
    case LEY_GELU_ERF:
        ley_gelu_erf_backward(a->ffn_in, a->dactive, a->ffn_in, n_rows * config->d_ff);
        break;
    case LEY_SWIGLU:
        ley_swiglu_backward(a->ffn_in, a->dactive, a->ffn_in, n_rows, config->d_ff);
        break;
    }
}

// y = middle + Down(activation(Up(norm(middle))))
static enum ley_status feed_forward_backward(struct ley_net *net, int l) {
    const struct ley_net_activations *a = &net->a;
    int64_t n_rows = a->n_batch * a->n_tokens;
    bool has_gate = net->parameters.config.activation == LEY_SWIGLU;
    const struct ley_stack down = {
        net->back[l].ffn_out, {LEY_WEIGHT_FFN_DOWN}, {LEY_WEIGHT_FFN_DOWN_BIAS}, 1, l};
    const struct ley_stack gated = {net->back[l].ffn_in,
                                    {LEY_WEIGHT_FFN_GATE, LEY_WEIGHT_FFN_UP},
                                    {LEY_N_WEIGHTS, LEY_WEIGHT_FFN_UP_BIAS},
                                    2,
                                    l};
    const struct ley_stack up = {
        net->back[l].ffn_in, {LEY_WEIGHT_FFN_UP}, {LEY_WEIGHT_FFN_UP_BIAS}, 1, l};
    LEY_TRY(ley_stack_backward(a->dactive, net, &down, a->dx, a->active, n_rows));
    activation_backward(net, n_rows);
    LEY_TRY(ley_stack_backward(a->dh, net, has_gate ? &gated : &up, a->ffn_in, a->g, n_rows));
    ley_net_norm_backward(a->dx, net, &net->model->layer[l].ffn_norm, LEY_WEIGHT_FFN_NORM, l, a->dh,
                          a->middle, n_rows);
    return LEY_OK;
}

// middle = x + Out(attention(rotary(QKV(norm(x)))))
enum ley_status ley_net_attention_backward(struct ley_net *net, int l, const float *x) {
    const struct ley_model_config *config = &net->parameters.config;
    const struct ley_net_activations *a = &net->a;
    int64_t n_rows = a->n_batch * a->n_tokens, Q = ley_width_q(config), K = ley_width_k(config);
    const struct ley_stack out = {
        net->back[l].attention_out, {LEY_WEIGHT_ATTN_OUT}, {LEY_WEIGHT_ATTN_OUT_BIAS}, 1, l};
    const struct ley_stack qkv = {
        net->back[l].qkv,
        {LEY_WEIGHT_ATTN_Q, LEY_WEIGHT_ATTN_K, LEY_WEIGHT_ATTN_V},
        {LEY_WEIGHT_ATTN_Q_BIAS, LEY_WEIGHT_ATTN_K_BIAS, LEY_WEIGHT_ATTN_V_BIAS},
        3,
        l};
    LEY_TRY(ley_stack_backward(a->dattended, net, &out, a->dx, a->attended, n_rows));
    const struct ley_observation seen = observe(net, l);
    LEY_TRY(net->attention.backward(net->attention.context, a->dqkv, a->dqkv + Q, a->dqkv + Q + K,
                                    a->dattended, &seen));
    rotate(a->dqkv, net, true);
    LEY_TRY(ley_stack_backward(a->dh, net, &qkv, a->dqkv, a->h, n_rows));
    ley_net_norm_backward(a->dx, net, &net->model->layer[l].attention_norm, LEY_WEIGHT_ATTN_NORM, l,
                          a->dh, x, n_rows);
    return LEY_OK;
}

// Last line first.
enum ley_status ley_net_layer_backward(struct ley_net *net, int l, const float *x) {
    LEY_TRY(feed_forward_backward(net, l));
    return ley_net_attention_backward(net, l, x);
}
