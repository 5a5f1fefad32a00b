// fresh.h - the weights of a model before it has learned anything.
#pragma once
#include "model/config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_fresh {
    struct ley_model_config config;
    uint64_t seed;
    bool is_tied; // no output matrix of its own
};

// Matrices normal with deviation 0.02, those that write to the residual stream (attention output,
// ffn down) with 0.02 / sqrt(2 layers), as GPT-2; norms 1, biases 0. Each number is a function of
// seed and place. `fresh` is borrowed.
struct ley_weight_source ley_fresh_source(struct ley_fresh *fresh);

#ifdef __cplusplus
}
#endif
