// oracle_gpt.h - the authors' small GPT (a folder of .npy weights) in float64, plainly.
//
// The dense layers of Leyden are float32; this one is for traces whose references are float64. Its
// attention is Leyden's.
#pragma once
#include "support/support.h"

enum { ORACLE_GPT_ARRAYS = 16, ORACLE_GPT_LAYERS = 2 };

struct oracle_gpt {
    struct ley_model_config config;
    // [array][layer], in the order of the names in oracle_gpt.c; those without a layer at 0
    double *weight[ORACLE_GPT_ARRAYS][ORACLE_GPT_LAYERS];
};

// Loads transformer.*.npy; sizes as in every gpt case: width 64, 2 heads, vocabulary 96.
void oracle_gpt_load(struct oracle_gpt *gpt, const char *folder);

void oracle_gpt_free(struct oracle_gpt *gpt);

// The same weights for ley_model_create; borrows `gpt`.
struct ley_weight_source oracle_gpt_source(struct oracle_gpt *gpt);

// Mean loss of a batch with these attentions [layer]; `seen` receives the distributions of all
// signals.
double oracle_gpt_run(struct ley_scaler_set *seen, const struct oracle_gpt *gpt,
                      struct ley_attention *const *attention, const struct ley_match_batch *batch);
