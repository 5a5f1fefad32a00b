// net_impl.h - the inside of a net, shared by net.c (life), net_pack.c, net_memory.c, net_layer.c,
// net_pass.c, net_analog.c, net_lora.c and net_lora_pass.c (running).
#pragma once
#include "attention/normalise.h"
#include "model/model_impl.h"
#include "model/net.h"
#include "model/net_lora.h"
#include "nn/softmax.h"

// Transposed matrices of a layer: dx = dy W.
struct ley_net_layer {
    struct ley_linear *qkv, *attention_out, *ffn_in, *ffn_out;
};

// What a layer computes on its way.
struct ley_net_inside {
    float *h;                   // (R, C) normalised input of attention
    float *qkv;                 // (R, Q + 2 K)
    float *attended;            // (R, Q)
    struct ley_norm_sums *sums; // (R, Hq) of normalised outputs (M29)
    float *middle;              // (R, C) residual stream between attention and feed-forward
    float *g;                   // (R, C) its normalised copy
    float *ffn_in;              // (R, F or 2 F)
    float *active;              // (R, F)
};

// R = B * T rows (widths as in model_impl.h). All of it is one allocation, `block`.
struct ley_net_activations {
    int64_t n_batch, n_tokens; // of the last reserve
    int n_threads;
    bool keeps; // every layer has an inside of its own; else they share the first
    float *block;
    size_t n_block;                // floats
    float *x;                      // (L + 1, R, C) input of each layer, and output of the last
    struct ley_net_inside *inside; // [L]
    float *h;                      // (R, C) normalised input of the output matrix
    float *dx, *dh;                // (R, C)
    float *dqkv, *dattended, *dactive;
    float *low, *dlow;       // (R, widest stack of changes) x A^T and dy B
    float *rows;             // dy of a stack, then its x, in the format of the engine
    int64_t n_dy_rows;       // floats of the first
    float *turn;             // (T, rope_dim)
    double *statistics;      // (R, 2)
    float *scores;           // scratch of softmax
    float *logits, *teacher; // (n_loss_rows, V)
    double *hidden;          // [L][2][C] and [L]: sums of net_hidden.c
};

// Matrices of a layer that are computed as one, and the output matrix.
enum ley_net_stack {
    LEY_STACK_QKV,
    LEY_STACK_ATTENTION_OUT,
    LEY_STACK_FFN_IN,
    LEY_STACK_FFN_OUT,
    LEY_STACK_OUTPUT,
    LEY_N_STACKS,
};

// The low-rank changes of a stack: n of its weights have one.
struct ley_low_rank {
    int n;
    struct ley_linear *down; // x -> s x A^T, changes side by side: n * rank outputs
    struct ley_linear *up;   // dy of the whole stack -> s dy B, likewise
};

struct ley_net {
    struct ley_parameters parameters;
    struct ley_model *model;
    struct ley_net_layer *back; // [n_layers]
    struct ley_linear *output_back;
    struct ley_attention_pass attention;
    struct ley_net_activations a;
    // analog attention (net_analog.c); NULL: never set
    struct ley_attention_work *work;
    struct ley_scaler *scaler_gradient; // [signal][Hq] of one layer
    enum ley_recompute recompute;
    struct {
        struct ley_lora_spec spec; // rank 0: none
        // [L][LEY_N_WEIGHTS] A and B; [L][LEY_N_STACKS]
        struct ley_parameter *(*change)[2];
        struct ley_low_rank *stack;
        float *scratch; // a matrix as it is packed; A and B of a stack, or the gradient of its A
    } lora;
    int64_t n_loss_rows; // whose logits are computed at a time
};

// y = layer l of x over the rows of net->a; what is in between stays in its inside.
LEY_MUST_CHECK enum ley_status ley_net_layer_forward(float *y, struct ley_net *net, int l,
                                                     const float *x);

// After ley_net_layer_forward of the same input: net->a.dx, the gradient by the output, becomes
// that by the input x; gradients of weights are added to.
LEY_MUST_CHECK enum ley_status ley_net_layer_backward(struct ley_net *net, int l, const float *x);

// The two halves of a layer: net->a.dh <- what attention adds to x; then y = layer l of x, given
// that.
LEY_MUST_CHECK enum ley_status ley_net_attention_forward(struct ley_net *net, int l,
                                                         const float *x);
void ley_net_feed_forward(float *y, struct ley_net *net, int l, const float *x);

// After ley_net_attention_forward of the same x: net->a.dx, the gradient by what attention added,
// grows by that by x through it; gradients of weights are added to.
LEY_MUST_CHECK enum ley_status ley_net_attention_backward(struct ley_net *net, int l,
                                                          const float *x);

// Checks a batch and makes room for it, as ley_net_reserve.
LEY_MUST_CHECK enum ley_status ley_net_prepare(struct ley_net *net, const struct ley_batch *batch,
                                               bool is_backward);

// Embeddings of a batch to the front of net->a.x, and the angles of its positions.
void ley_net_embed(struct ley_net *net, const struct ley_batch *batch);

// After a forward pass: the share of the power of the teacher's hidden states that those of the net
// miss, mean over their components and layers (M28).
double ley_net_hidden_missed(const struct ley_net *net, const struct ley_teacher *teacher);

// After that: adds to net->a.dx, the gradient by the output of layer l, what this share times
// `weight` has by it.
void ley_net_hidden_backward(struct ley_net *net, const struct ley_teacher *teacher, int l,
                             double weight);

// What layer l computes on its way, of the batch that runs.
static inline struct ley_net_inside *ley_net_inside(const struct ley_net *net, int l) {
    return &net->a.inside[net->a.keeps ? l : 0];
}

// A stack of weights, as they stand in the block one after another, and their biases
// (LEY_N_WEIGHTS: there is none).
struct ley_stack {
    struct ley_linear *forward, *back; // y = x W^T, dx = dy W
    enum ley_weight weight[3], bias[3];
    int n, layer;
    enum ley_net_stack kind;
};

// The stack of this kind of a layer (0 for the output matrix, which is the embedding when tied).
struct ley_stack ley_net_stack(const struct ley_net *net, enum ley_net_stack kind, int layer);

// dx (R, n_in) = dy W; weights and biases that train get their gradients from dy (R, n_out) and x.
LEY_MUST_CHECK enum ley_status ley_stack_backward(float *dx, struct ley_net *net,
                                                  const struct ley_stack *stack, const float *dy,
                                                  const float *x, int64_t n_rows);

// dx += the gradient through a norm, from dy by its output; x (R, C) was its input. `weight` is its
// scale, in `layer`.
void ley_net_norm_backward(float *dx, struct ley_net *net, const struct ley_norm *norm,
                           enum ley_weight weight, int layer, const float *dy, const float *x,
                           int64_t n_rows);

// Softmax attention; the context is the net.
extern const struct ley_attention_pass ley_net_softmax;

// Scalers of the model <- tensors, when attention is analog.
void ley_net_give_scalers(struct ley_net *net);

// A and B of a weight that has a change, else NULL.
struct ley_parameter *const *ley_net_change(const struct ley_net *net, enum ley_weight weight,
                                            int layer);

// Whether a change learns: A and B train together.
bool ley_net_change_trains(const struct ley_net *net, enum ley_weight weight, int layer);

// Frees all that is held for changes.
void ley_net_clear_lora(struct ley_net *net);

// The low-rank layers of all stacks, when a spec is set.
LEY_MUST_CHECK enum ley_status ley_low_rank_create(struct ley_net *net);
void ley_low_rank_destroy(struct ley_net *net);

// Packs s A and s B of a stack.
void ley_low_rank_pack(struct ley_net *net, const struct ley_stack *stack);

// dA, dB of the changes of a stack += what follows from dy (R, n_out) and x (R, n_in).
LEY_MUST_CHECK enum ley_status ley_low_rank_backward(struct ley_net *net,
                                                     const struct ley_stack *stack,
                                                     const struct ley_rows *dy, const float *x,
                                                     int64_t n_rows);

// Outputs of all changes of the widest stack; 0: none.
int64_t ley_low_rank_width(const struct ley_net *net);

// The whole of a matrix as it is packed: in the block, or made in scratch that the next call takes.
const float *ley_net_effective(struct ley_net *net, const struct ley_parameter *tensor);

// Makes room for B sequences of T tokens and sets the widths of net->a; with is_backward for the
// insides of all layers, if that is wanted.
LEY_MUST_CHECK enum ley_status ley_net_reserve(struct ley_net *net, int64_t n_batch,
                                               int64_t n_tokens, bool is_backward);
