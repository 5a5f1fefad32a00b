// gpt2_oracle.h - the small GPT-2 of the reference vectors gpt/2L_*: 2 layers, 2 heads of 32,
// vocabulary 96, context 128, tied.
#pragma once
#include "model/config.h"

struct gpt2_oracle {
    struct ley_model_config config;
    char folder[1024];
};

// Weights from a folder of .npy files with their names: gpt/2L_weights, or gradients by the same
// names. `oracle` is filled and must outlive the source.
struct ley_weight_source gpt2_oracle_source(struct gpt2_oracle *oracle, const char *folder);

// The file of a weight; of q, k and v the same, one after another in it.
void gpt2_oracle_name(char out[128], enum ley_weight weight, int layer);
