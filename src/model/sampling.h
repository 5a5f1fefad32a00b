// sampling.h - the next token from a model's logits.
//
// Steps, in the order users of llama.cpp know: keep the top_k largest logits; of these keep the
// smallest set whose probability (at temperature 1) reaches top_p; divide by the temperature; draw.
// The draw at a position depends on (seed, stream, position) only, never on earlier draws.
#pragma once
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_sampling {
    double temperature; // 0: always the largest logit
    int top_k;          // 0: all
    double top_p;       // 1: all
    uint64_t seed;
    uint64_t stream; // which of several sequences drawn with one seed
};

struct ley_sampler;

// Makes a sampler for `n_vocab` logits; checks the ranges (temperature >= 0, top_k >= 0,
// 0 < top_p <= 1).
LEY_MUST_CHECK enum ley_status
ley_sampler_create(struct ley_sampler **out, const struct ley_sampling *sampling, int32_t n_vocab);

// NULL is accepted.
void ley_sampler_destroy(struct ley_sampler *sampler);

// The token for `position` from logits[n_vocab]. Of equal logits the lower id comes first. NaN
// counts as never; -1 when no logit is a number above -infinity.
int32_t ley_sampler_pick(struct ley_sampler *sampler, const float *logits, uint64_t position);

#ifdef __cplusplus
}
#endif
