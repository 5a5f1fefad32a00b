// generate.h - greedy continuation, and comparison of logits, for tests of models.
#pragma once
#include "model/state.h"

// Feeds the n_prompt first tokens, then appends the most likely token until n_total.
void generate_greedy(int32_t *tokens, int64_t n_prompt, int64_t n_total,
                     const struct ley_model *model);

// Largest |got - want| of n values.
double largest_logit_error(const float *got, const double *want, int64_t n);

// Whole numbers of an .npy file; ley_free them.
int32_t *load_tokens(int64_t *count, const char *folder, const char *name);
