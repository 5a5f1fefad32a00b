// net_pack.c - from the parameters of a net to its packed matrices, as the model has them and
// turned
//
// The effective value of a matrix is made once and packed twice. After a step of an optimiser only
// what may have changed is packed.
#include <string.h>

#include "model/net_impl.h"

static struct ley_stack output_stack(const struct ley_net *net) {
    bool is_tied = !ley_parameters_find(&net->parameters, LEY_WEIGHT_OUTPUT, 0);
    return (struct ley_stack){
        .forward = net->model->output,
        .back = net->output_back,
        .weight = {is_tied ? LEY_WEIGHT_TOKEN_EMBEDDING : LEY_WEIGHT_OUTPUT},
        .bias = {LEY_N_WEIGHTS},
        .n = 1,
        .kind = LEY_STACK_OUTPUT,
    };
}

static struct ley_stack qkv_stack(const struct ley_layer *layer, const struct ley_net_layer *back) {
    return (struct ley_stack){
        .forward = layer->qkv,
        .back = back->qkv,
        .weight = {LEY_WEIGHT_ATTN_Q, LEY_WEIGHT_ATTN_K, LEY_WEIGHT_ATTN_V},
        .bias = {LEY_WEIGHT_ATTN_Q_BIAS, LEY_WEIGHT_ATTN_K_BIAS, LEY_WEIGHT_ATTN_V_BIAS},
        .n = 3,
    };
}

static struct ley_stack ffn_in_stack(const struct ley_layer *layer,
                                     const struct ley_net_layer *back, bool has_gate) {
    struct ley_stack stack = {
        .forward = layer->ffn_in,
        .back = back->ffn_in,
        .weight = {LEY_WEIGHT_FFN_UP},
        .bias = {LEY_WEIGHT_FFN_UP_BIAS},
        .n = 1,
    };
    if (has_gate) {
        stack.n = 2;
        stack.weight[0] = LEY_WEIGHT_FFN_GATE;
        stack.weight[1] = LEY_WEIGHT_FFN_UP;
        stack.bias[0] = LEY_N_WEIGHTS;
        stack.bias[1] = LEY_WEIGHT_FFN_UP_BIAS;
    }
    return stack;
}

// A matrix alone.
static struct ley_stack one_stack(struct ley_linear *forward, struct ley_linear *back,
                                  enum ley_weight weight, enum ley_weight bias) {
    return (struct ley_stack){
        .forward = forward, .back = back, .weight = {weight}, .bias = {bias}, .n = 1};
}

struct ley_stack ley_net_stack(const struct ley_net *net, enum ley_net_stack kind, int l) {
    const struct ley_layer *layer = &net->model->layer[l];
    const struct ley_net_layer *back = &net->back[l];
    struct ley_stack stack = {.n = 0};
    switch (kind) {
    case LEY_STACK_QKV:
        stack = qkv_stack(layer, back);
        break;
    case LEY_STACK_ATTENTION_OUT:
        stack = one_stack(layer->attention_out, back->attention_out, LEY_WEIGHT_ATTN_OUT,
                          LEY_WEIGHT_ATTN_OUT_BIAS);
        break;
    case LEY_STACK_FFN_IN:
        stack = ffn_in_stack(layer, back, net->parameters.config.activation == LEY_SWIGLU);
        break;
    case LEY_STACK_FFN_OUT:
        stack =
            one_stack(layer->ffn_out, back->ffn_out, LEY_WEIGHT_FFN_DOWN, LEY_WEIGHT_FFN_DOWN_BIAS);
        break;
    case LEY_STACK_OUTPUT:
    case LEY_N_STACKS:
        return output_stack(net);
    }
    stack.kind = kind;
    stack.layer = l;
    return stack;
}

// One packing: everything, or what trains.
struct pack {
    struct ley_net *net;
    bool is_all;
};

// The tensor of a weight when it is due, else NULL.
static const struct ley_parameter *due(const struct pack *pack, enum ley_weight weight, int layer) {
    const struct ley_parameter *tensor =
        weight == LEY_N_WEIGHTS ? NULL : ley_parameters_find(&pack->net->parameters, weight, layer);
    bool is_due = tensor && (pack->is_all || tensor->trains ||
                             ley_net_change_trains(pack->net, weight, layer));
    return is_due ? tensor : NULL;
}

static const float *value_of(const struct pack *pack, const struct ley_parameter *tensor) {
    return pack->net->parameters.value + tensor->offset;
}

static void pack_stack(const struct pack *pack, enum ley_net_stack kind, int layer) {
    struct ley_net *net = pack->net;
    const struct ley_stack stack = ley_net_stack(net, kind, layer);
    int64_t first = 0;
    for (int i = 0; i < stack.n; i++) {
        int64_t n = ley_weight_info(&net->parameters.config, stack.weight[i]).n_rows;
        const struct ley_parameter *matrix = due(pack, stack.weight[i], layer);
        const struct ley_parameter *bias = due(pack, stack.bias[i], layer);
        if (matrix) {
            const float *rows = ley_net_effective(net, matrix);
            ley_linear_load(stack.forward, rows, first, n);
            ley_linear_load_columns(stack.back, rows, first, n);
        }
        if (bias) {
            ley_linear_load_bias(stack.forward, value_of(pack, bias), first, n);
        }
        first += n;
    }
    ley_low_rank_pack(net, &stack);
}

// The bias of a norm is the next row of weight.def.
static void pack_norm(const struct pack *pack, const struct ley_norm *norm, enum ley_weight weight,
                      int layer) {
    const struct ley_parameter *scale = due(pack, weight, layer);
    const struct ley_parameter *bias = due(pack, (enum ley_weight)(weight + 1), layer);
    size_t n_bytes = (size_t)pack->net->parameters.config.d_model * sizeof(float);
    if (scale) {
        memcpy(norm->scale, value_of(pack, scale), n_bytes);
    }
    if (bias && norm->bias) {
        memcpy(norm->bias, value_of(pack, bias), n_bytes);
    }
}

// Embeddings that stand beside the matrices.
static void pack_table(const struct pack *pack, struct ley_embedding *table,
                       enum ley_weight weight) {
    const struct ley_parameter *tensor = table ? due(pack, weight, 0) : NULL;
    if (tensor) {
        ley_embedding_load(table, value_of(pack, tensor), 0, tensor->n_rows);
    }
}

static void run(const struct pack *pack) {
    struct ley_net *net = pack->net;
    struct ley_model *model = net->model;
    pack_table(pack, model->tokens, LEY_WEIGHT_TOKEN_EMBEDDING);
    pack_table(pack, model->positions, LEY_WEIGHT_POSITION_EMBEDDING);
    for (int l = 0; l < model->config.n_layers; l++) {
        pack_norm(pack, &model->layer[l].attention_norm, LEY_WEIGHT_ATTN_NORM, l);
        pack_norm(pack, &model->layer[l].ffn_norm, LEY_WEIGHT_FFN_NORM, l);
        for (int kind = 0; kind < LEY_STACK_OUTPUT; kind++) {
            pack_stack(pack, (enum ley_net_stack)kind, l);
        }
    }
    pack_norm(pack, &model->final_norm, LEY_WEIGHT_FINAL_NORM, 0);
    pack_stack(pack, LEY_STACK_OUTPUT, 0);
    ley_net_give_scalers(net);
}

enum ley_status ley_net_pack(struct ley_net *net) {
    run(&(struct pack){net, true});
    return LEY_OK;
}

void ley_net_pack_trained(struct ley_net *net) {
    run(&(struct pack){net, false});
}
