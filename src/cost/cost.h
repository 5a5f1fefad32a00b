// cost.h - everything that a chip costs for a model, as figures that explain themselves.
//
// Energy from events (counted, or expected of random codes), latency from the phases, area from
// the parts of a bank, retention and refresh, the digital rest of a token, and rivals. Nothing is
// simulated here: the ledger and the descriptions of chip, technology and model are enough.
#pragma once
#include "cost/activity.h"
#include "cost/device.h"
#include "cost/energy.h"
#include "cost/figure.h"
#include "cost/technology.h"

#ifdef __cplusplus
extern "C" {
#endif

// A model as far as its cost goes. d_model 0: attention alone is known, and counted.
struct ley_cost_shape {
    int n_layers, n_heads, n_kv_heads, head_dim;
    int d_model, d_ff, n_vocab;
    int mlp_matrices; // of d_model by d_ff: 2, or 3 with a gate
};

// A shape by name (gpt2, gpt2-xl, smollm2-135m) or as L,H,Hkv,D[,d_model,d_ff,vocab[,matrices]].
// LEY_E_ARGUMENT and what is known.
LEY_MUST_CHECK enum ley_status ley_cost_shape_parse(struct ley_cost_shape *shape, const char *text);

// Checks that sizes are positive and heads divide.
LEY_MUST_CHECK enum ley_status ley_cost_shape_check(const struct ley_cost_shape *shape);

// What a machine here took for the attention of one layer and token; joules 0: not readable.
struct ley_cost_measured {
    double attention_s, attention_j;
    const char *source;
};

struct ley_cost_input {
    const struct ley_hardware *hardware;
    const struct ley_cell *cell;
    const struct ley_technology_file *technology;
    struct ley_cost_shape shape;
    const struct ley_activity *events; // of one query head and token; NULL: ley_activity_uniform
    const char *events_source;         // where they are from; NULL with events NULL
    double refresh_tokens;             // R of the policy "every R tokens"
    const struct ley_device_file *devices;
    int n_devices;
    const struct ley_cost_measured *cpu; // NULL: none
};

// Computes all figures. Fails for memory only; descriptions are checked before (contract).
LEY_MUST_CHECK enum ley_status ley_cost_create(struct ley_figures **figures,
                                               const struct ley_cost_input *input);

#ifdef __cplusplus
}
#endif
