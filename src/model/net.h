// net.h - a model that learns: parameters in float32, the packed model made of them, and the pass
// that finds how a loss changes with each parameter.
//
//     create; loop: gradient (any number of batches, summed); optimiser changes the values; pack
//
// What layers compute on the way forward is kept for the way back where memory allows; else only
// their inputs are, and a layer is computed again before its gradients are. Attention is digital
// softmax until set otherwise. Everything is summed in an order that does not depend on the number
// of threads.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "model/parameters.h"
#include "nn/engine.h"
#include "nn/loss.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_model;
struct ley_net;
struct ley_observation; // model/state.h

// How attention is done in a net: of whole sequences from their first token. `seen` describes the
// rows of q, k and v of one layer, after rotation, and `out` (B, T, Hq * D) as state.h says.
struct ley_attention_pass {
    // Writes seen->out, which is the same pointer as `out`.
    enum ley_status (*forward)(void *context, float *out, const struct ley_observation *seen);
    // Writes the gradients by q, k and v, laid out like these, from dout, that by out. `seen` is as
    // `forward` left it, but the context may have run other rows since. May add to the gradients of
    // parameters of its own.
    enum ley_status (*backward)(void *context, float *dq, float *dk, float *dv, const float *dout,
                                const struct ley_observation *seen);
    void *context; // borrowed
};

// Who shows a net what to say, of the batch that is being learned: logits (n_rows, V) of rows
// first_row and on, b * T + t; and the hidden states (B * T, C) after a layer, its residual stream.
// NULL: does not show them.
struct ley_teacher {
    void (*logits)(void *context, float *logits, int64_t first_row, int64_t n_rows);
    const float *(*hidden)(void *context, int layer);
    void *context;
};

struct ley_batch {
    const int32_t *tokens, *targets; // (B, T); a negative target: the row is left out
    int64_t n_batch, n_tokens;       // B, T
    // Of the mean over rows that count; all zero: cross entropy alone.
    struct ley_loss_weights weights;
    double hidden_weight;              // of what is missed of the teacher's hidden states (M28)
    const struct ley_teacher *teacher; // needed when it or weights.divergence is not 0; else NULL
    // Rows that the mean is over when several batches make one step; 0: those of this batch.
    int64_t n_counted;
};

// Sums over rows that count, without weights.
struct ley_batch_loss {
    double nll, divergence; // nats
    double hidden; // share of the power of hidden states that is missed, the same for each row
    int64_t n_rows;
};

// Reads a model as ley_parameters_create does and packs it in the given format.
LEY_MUST_CHECK enum ley_status ley_net_create(struct ley_net **net,
                                              const struct ley_model_config *config,
                                              const struct ley_weight_source *source,
                                              enum ley_nn_dtype dtype,
                                              const struct ley_parameter *extra, int n_extra);

// NULL is accepted. Sessions of its model must be gone.
void ley_net_destroy(struct ley_net *net);

// The parameters, whose values, gradients and flags may be changed; ley_net_pack makes changed
// values take effect.
struct ley_parameters *ley_net_parameters(struct ley_net *net);

// The packed model: sessions may run on it between passes, with its own choice of attention. Its
// window is that of the net's softmax attention.
struct ley_model *ley_net_model(struct ley_net *net);

// Packs the values anew.
LEY_MUST_CHECK enum ley_status ley_net_pack(struct ley_net *net);

// The same where only tensors that train have changed since: after the step of an optimiser.
void ley_net_pack_trained(struct ley_net *net);

// Whether layers are computed again on the way back: values are the same bits, only memory and time
// differ. AUTO: when keeping them would take more than a quarter of the machine's memory.
enum ley_recompute { LEY_RECOMPUTE_AUTO, LEY_RECOMPUTE_ALWAYS, LEY_RECOMPUTE_NEVER };

// From the next batch on; AUTO until set.
void ley_net_set_recompute(struct ley_net *net, enum ley_recompute recompute);

// Takes another attention, whose struct is copied; NULL: softmax.
void ley_net_set_attention(struct ley_net *net, const struct ley_attention_pass *attention);

// The loss of a batch. LEY_E_ARGUMENT: tokens, targets or lengths that do not fit the model.
LEY_MUST_CHECK enum ley_status ley_net_loss(struct ley_batch_loss *loss, struct ley_net *net,
                                            const struct ley_batch *batch);

// The same, and adds the gradient of the weighted mean to the gradients of all that trains. Memory
// is taken only when a batch is larger than ever before.
LEY_MUST_CHECK enum ley_status ley_net_gradient(struct ley_batch_loss *loss, struct ley_net *net,
                                                const struct ley_batch *batch);

// Bytes of activations and scratch that the batches so far needed.
size_t ley_net_activation_bytes(const struct ley_net *net);

#ifdef __cplusplus
}
#endif
