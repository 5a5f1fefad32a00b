// net_analog.c - the chip as the attention of a net: places of heads, and scalers as parameters
//
// The attentions belong to the net's model, so what has been learned is at once what a session
// runs.
#include "model/net_analog.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "attention/backward.h"
#include "core/assert.h"
#include "core/memory.h"
#include "model/net_impl.h"
#include "model/state.h"

// "SCALER_Q_A.0"; which: 0 slopes, 1 offsets.
static void scaler_name(char name[LEY_PARAMETER_NAME], int signal, int which, int layer) {
    char upper[16] = "";
    const char *plain = ley_signal_name((enum ley_signal)signal);
    for (size_t i = 0; plain[i] && i + 1 < sizeof upper; i++) {
        upper[i] = (char)toupper((unsigned char)plain[i]);
    }
    snprintf(name, LEY_PARAMETER_NAME, "SCALER_%s_%c.%d", upper, which ? 'B' : 'A', layer);
}

void ley_scaler_parameters(struct ley_parameter *extra, const struct ley_model_config *config) {
    const struct ley_attention_shape shape = {config->n_heads, config->n_kv_heads,
                                              config->head_dim};
    for (int i = 0; i < config->n_layers * LEY_SCALER_TENSORS; i++) {
        int layer = i / LEY_SCALER_TENSORS, signal = i / 2 % LEY_N_SIGNALS;
        extra[i] = (struct ley_parameter){
            .layer = layer,
            .n_rows = 1,
            .n_columns = ley_attention_n_heads(&shape, (enum ley_signal)signal),
            .decays = true,
            .trains = true,
        };
        scaler_name(extra[i].name, signal, i % 2, layer);
    }
}

// Slopes or offsets of a signal, in a block of the parameters.
static float *scalers_in(float *block, const struct ley_net *net, int signal, int which,
                         int layer) {
    char name[LEY_PARAMETER_NAME];
    scaler_name(name, signal, which, layer);
    const struct ley_parameter *tensor = ley_parameters_named(&net->parameters, name);
    LEY_ASSERT(tensor);
    return block + tensor->offset;
}

// From the tensors to the model, or back and then, rounded, to the model.
static void move_scalers(struct ley_net *net, bool from_model) {
    float *value = net->parameters.value;
    for (int l = 0; l < net->parameters.config.n_layers; l++) {
        struct ley_attention *attention = net->model->layer[l].attention;
        for (int s = 0; s < LEY_N_SIGNALS; s++) {
            float *a = scalers_in(value, net, s, 0, l), *b = scalers_in(value, net, s, 1, l);
            int n = ley_attention_n_heads(&attention->shape, (enum ley_signal)s);
            for (int h = 0; h < n; h++) {
                struct ley_scaler *scaler = &attention->scaler[s][h];
                a[h] = from_model ? (float)scaler->a : a[h];
                b[h] = from_model ? (float)scaler->b : b[h];
                *scaler = (struct ley_scaler){(double)a[h], (double)b[h]};
            }
        }
    }
}

void ley_net_follow_law(struct ley_net *net, bool follows_law) {
    for (int l = 0; l < net->parameters.config.n_layers; l++) {
        if (net->model->layer[l].attention) {
            net->model->layer[l].attention->follows_law = follows_law;
        }
    }
}

void ley_net_take_scalers(struct ley_net *net) {
    move_scalers(net, true);
}

void ley_net_give_scalers(struct ley_net *net) {
    if (net->model->layer[0].attention) {
        move_scalers(net, false);
    }
}

void ley_net_scalers(struct ley_scaler_set *set, const struct ley_net *net) {
    LEY_ASSERT(set->n_layers == net->parameters.config.n_layers);
    set->centres_keys = net->model->layer[0].attention->centres_keys;
    set->normalises_outputs = net->model->layer[0].attention->normalises_outputs;
    for (int l = 0; l < set->n_layers; l++) {
        const struct ley_attention *attention = net->model->layer[l].attention;
        LEY_ASSERT(memcmp(&set->shape, &attention->shape, sizeof set->shape) == 0);
        for (int s = 0; s < LEY_N_SIGNALS; s++) {
            size_t n = (size_t)ley_attention_n_heads(&set->shape, (enum ley_signal)s);
            memcpy(ley_scaler_set_at(set, (enum ley_signal)s, l), attention->scaler[s],
                   n * sizeof(struct ley_scaler));
        }
        size_t n_sizes = (size_t)set->shape.n_query_heads;
        memcpy(set->output_size + (size_t)l * n_sizes, attention->output_size,
               n_sizes * sizeof(double));
    }
}

// Rows of tokens, heads side by side, `row` floats from token to token.
static struct ley_heads heads_of(const float *x, const struct ley_observation *seen, int64_t row) {
    return (struct ley_heads){
        .f32 = x, .batch = seen->n_tokens * row, .head = seen->head_dim, .token = row};
}

static struct ley_heads_out heads_to(float *x, const struct ley_observation *seen, int64_t row) {
    return (struct ley_heads_out){
        .f32 = x, .batch = seen->n_tokens * row, .head = seen->head_dim, .token = row};
}

static struct ley_attention_call call_of(const struct ley_net *net,
                                         const struct ley_observation *seen) {
    return (struct ley_attention_call){
        .q = heads_of(seen->q, seen, seen->stride),
        .k = heads_of(seen->k, seen, seen->stride),
        .v = heads_of(seen->v, seen, seen->stride),
        .n_batch = seen->n_batch,
        .n_tokens = seen->n_tokens,
        .work = net->work,
    };
}

static enum ley_status analog_forward(void *context, float *out,
                                      const struct ley_observation *seen) {
    const struct ley_net *net = context;
    struct ley_attention_call call = call_of(net, seen);
    call.out = heads_to(out, seen, (int64_t)seen->n_query_heads * seen->head_dim);
    return ley_attention_forward(net->model->layer[seen->layer].attention, &call);
}

// Gradients of scalers come in double, a fresh sum each time, and are added in float32.
static void add_scaler_gradients(const struct ley_net *net, int layer,
                                 const struct ley_attention *attention) {
    for (int s = 0; s < LEY_N_SIGNALS; s++) {
        float *a = scalers_in(net->parameters.gradient, net, s, 0, layer);
        float *b = scalers_in(net->parameters.gradient, net, s, 1, layer);
        const struct ley_scaler *gradient =
            net->scaler_gradient + s * attention->shape.n_query_heads;
        for (int h = 0; h < ley_attention_n_heads(&attention->shape, (enum ley_signal)s); h++) {
            a[h] += (float)gradient[h].a;
            b[h] += (float)gradient[h].b;
        }
    }
}

static enum ley_status analog_backward(void *context, float *dq, float *dk, float *dv,
                                       const float *dout, const struct ley_observation *seen) {
    struct ley_net *net = context;
    const struct ley_attention *attention = net->model->layer[seen->layer].attention;
    const struct ley_attention_call call = call_of(net, seen);
    int64_t n_heads = seen->n_query_heads;
    struct ley_attention_gradient gradient = {
        .dout = heads_of(dout, seen, n_heads * seen->head_dim),
        .dq = heads_to(dq, seen, seen->stride),
        .dk = heads_to(dk, seen, seen->stride),
        .dv = heads_to(dv, seen, seen->stride),
    };
    for (int s = 0; s < LEY_N_SIGNALS; s++) {
        gradient.dscaler[s] = net->scaler_gradient + s * n_heads;
    }
    for (int64_t i = 0; i < LEY_N_SIGNALS * n_heads; i++) {
        net->scaler_gradient[i] = (struct ley_scaler){0, 0};
    }
    LEY_TRY(ley_attention_backward_fast(&gradient, attention, &call));
    add_scaler_gradients(net, seen->layer, attention);
    return LEY_OK;
}

// Everything that may fail comes before anything changes.
enum ley_status ley_net_set_analog(struct ley_net *net, const struct ley_hardware *hardware) {
    const struct ley_attention_pass pass = {analog_forward, analog_backward, net};
    size_t n = LEY_N_SIGNALS * (size_t)net->parameters.config.n_heads;
    if (!net->work) {
        LEY_TRY(ley_attention_work_create(&net->work));
    }
    struct ley_scaler *gradient =
        net->scaler_gradient ? net->scaler_gradient : ley_alloc(n, sizeof *gradient);
    if (!gradient) {
        return ley_fail_memory("gradients of scalers", n, sizeof *gradient);
    }
    enum ley_status status = ley_model_set_analog(net->model, hardware);
    if (status != LEY_OK) {
        if (!net->scaler_gradient) {
            ley_free(gradient);
        }
        return status;
    }
    net->scaler_gradient = gradient;
    ley_net_set_attention(net, &pass);
    ley_net_take_scalers(net);
    return LEY_OK;
}
