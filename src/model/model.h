// model.h - a decoder-only language model ready to run: packed weights, and how attention is done.
//
//     x = embedding[token] (+ position)
//     each layer: x += Out(attention(rotary(QKV(norm(x))))); x += Down(activation(Up(norm(x))))
//     logits = Output(norm(x))
//
// gpt2: LayerNorm, learned positions, biases. llama: RMSNorm, rotary positions, grouped queries.
// What a conversation has said so far lives in a session (state.h), never here.
#pragma once
#include <stddef.h>

#include "array/hardware.h"
#include "model/config.h"
#include "nn/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_attention;
struct ley_model;

// Reads and packs all weights, matrices in pieces, so that memory stays near the size of the packed
// weights (a tied output matrix is kept once). `config` is checked and copied; `source` is used
// during the call only. Biases that the source lacks are zero; a missing weight is LEY_E_FORMAT.
// Attention starts digital, without window.
LEY_MUST_CHECK enum ley_status ley_model_create(struct ley_model **model,
                                                const struct ley_model_config *config,
                                                const struct ley_weight_source *source,
                                                enum ley_nn_dtype dtype);

// NULL is accepted. Its sessions must be gone.
void ley_model_destroy(struct ley_model *model);

// Attention by softmax over the last `window` tokens (0: over all), in float32. Drops the analog
// attention and its scalers. The model must have no session (contract), here and below.
void ley_model_set_digital(struct ley_model *model, int window);

// Analog attention: every layer gets its own struct ley_attention on this hardware (copied), with
// initial scalers. On failure the model is as it was.
LEY_MUST_CHECK enum ley_status ley_model_set_analog(struct ley_model *model,
                                                    const struct ley_hardware *hardware);

// The analog attention of a layer, whose scalers may be changed; NULL when attention is digital.
struct ley_attention *ley_model_attention(struct ley_model *model, int layer);

// The shape of the model.
const struct ley_model_config *ley_model_config(const struct ley_model *model);

// Number format of the weights: f32 or bf16.
enum ley_nn_dtype ley_model_dtype(const struct ley_model *model);

// Bytes of all weights as packed.
size_t ley_model_bytes(const struct ley_model *model);

#ifdef __cplusplus
}
#endif
