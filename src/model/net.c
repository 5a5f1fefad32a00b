// net.c - life of a net
#include "model/net.h"

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
    net->a.inside = ley_alloc(n_layers, sizeof *net->a.inside);
    if (!net->a.inside) {
        return ley_fail_memory("layers", n_layers, sizeof *net->a.inside);
    }
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
    ley_net_clear_lora(net);
    ley_model_destroy(net->model);
    ley_parameters_destroy(&net->parameters);
    ley_free(net->back);
    ley_free(net->a.inside);
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

void ley_net_set_recompute(struct ley_net *net, enum ley_recompute recompute) {
    net->recompute = recompute;
}

void ley_net_set_attention(struct ley_net *net, const struct ley_attention_pass *attention) {
    net->attention = attention ? *attention : ley_net_softmax;
    net->attention.context = attention ? attention->context : net;
}
