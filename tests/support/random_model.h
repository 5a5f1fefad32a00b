// random_model.h - small models whose weights are a formula, the same here and in
// tools/make_model_goldens.py.
#pragma once
#include "model/config.h"

// A tiny model of a family: 2 layers, 4 heads of 8, vocabulary 61, context 96; llama: 2 key-value
// heads, rotary halves, swiglu; gpt2: learned positions, gelu by tanh.
struct ley_model_config random_config(enum ley_family family);

// Weights of `config` (which must outlive the source): uniform numbers from a hash of name, layer
// and place. The output matrix is tied for gpt2 only; a llama with LEY_ROPE_PAIRS has the rows of
// q and k in the order that makes it the same function as with LEY_ROPE_HALVES.
struct ley_weight_source random_source(struct ley_model_config *config);
