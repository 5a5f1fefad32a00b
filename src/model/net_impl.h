// net_impl.h - the inside of a net, shared by net.c (life), net_layer.c, net_pass.c,
// net_analog.c and net_lora.c (running).
#pragma once
#include "model/model_impl.h"
#include "model/net.h"
#include "model/net_lora.h"
#include "nn/softmax.h"

// Transposed matrices of a layer: dx = dy W.
struct ley_net_layer {
    struct ley_linear *qkv, *attention_out, *ffn_in, *ffn_out;
};

// R = B * T rows (widths as in model_impl.h). All of it is one allocation, `block`.
struct ley_net_activations {
    int64_t n_batch, n_tokens; // of the last reserve
    int n_threads;
    float *block;
    size_t n_block; // floats
    float *x;       // (L + 1, R, C) input of each layer, and output of the last
    float *h;       // (R, C) normalised input of attention
    float *qkv;     // (R, Q + 2 K)
    float *attended;
    float *middle;          // (R, C) residual stream between attention and feed-forward
    float *g;               // (R, C) its normalised copy
    float *ffn_in, *active; // (R, F or 2 F), (R, F)
    float *dx, *dh;         // (R, C)
    float *dqkv, *dattended, *dactive;
    float *turn;             // (T, rope_dim)
    double *statistics;      // (R, 2)
    float *scores;           // scratch of softmax
    float *logits, *teacher; // (n_loss_rows, V)
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
    struct {
        struct ley_lora_spec spec; // rank 0: none
        float *scratch;            // a matrix, or the gradient of a stack
    } lora;
    int64_t n_loss_rows; // whose logits are computed at a time
};

// y = layer l of x over the rows of net->a; what is in between stays in net->a.
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

// Checks a batch and makes room for it.
LEY_MUST_CHECK enum ley_status ley_net_prepare(struct ley_net *net, const struct ley_batch *batch);

// Embeddings of a batch to the front of net->a.x, and the angles of its positions.
void ley_net_embed(struct ley_net *net, const struct ley_batch *batch);

// A stack of weights, as they stand in the block one after another, and their biases.
struct ley_stack {
    const struct ley_linear *back; // dx = dy W
    enum ley_weight weight[3], bias[3];
    int n, layer;
};

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

// dA, dB of a weight that has a change += what follows from the gradient dw of the whole matrix.
void ley_lora_backward(struct ley_net *net, enum ley_weight weight, int layer, const float *dw);

// The whole of a matrix as it is packed: in the block, or made in scratch that the next call takes.
const float *ley_net_effective(struct ley_net *net, const struct ley_parameter *tensor);

// Makes room for B sequences of T tokens and sets the widths of net->a.
LEY_MUST_CHECK enum ley_status ley_net_reserve(struct ley_net *net, int64_t n_batch,
                                               int64_t n_tokens);
