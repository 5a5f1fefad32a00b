// net_lora.h - low-rank changes of matrices: W_eff = W + (alpha / rank) B A (MODEL.md, M26).
//
//     lora_tensors, net_create with them, net_set_lora; then as any other net
//
// The matrices themselves stay as they are; A (rank, inputs) and B (outputs, rank) train. At the
// start B is zero, so the model is what it was. What a net packs, and so what it runs, is W_eff.
#pragma once
#include "model/net.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_lora_spec {
    int rank;         // 1..
    double alpha;     // the change is scaled by alpha / rank
    uint32_t weights; // bit w is set: enum ley_weight w has a change, in every layer
    uint64_t seed;    // of A
};

// Bits of ley_lora_spec.weights from a list of names: "q,k,v,o,gate,up,down", or "attn" for the
// first four, "ffn" for the rest, "all". A gate is passed over in models that have none.
LEY_MUST_CHECK enum ley_status ley_lora_weights(uint32_t *weights, const char *list,
                                                const struct ley_model_config *config);

// Extra tensors that a spec takes: two a matrix.
int ley_lora_tensor_count(const struct ley_model_config *config, const struct ley_lora_spec *spec);

// Fills that many extra tensors for ley_net_create: "LORA_A.ATTN_Q.3", "LORA_B.ATTN_Q.3". They
// train and do not decay.
void ley_lora_tensors(struct ley_parameter *extra, const struct ley_model_config *config,
                      const struct ley_lora_spec *spec);

// Starts the changes of a net that has these tensors (contract): A random, uniform up to 1 /
// sqrt(inputs), B zero; the matrices stop training.
LEY_MUST_CHECK enum ley_status ley_net_set_lora(struct ley_net *net,
                                                const struct ley_lora_spec *spec);

// The spec of a net; rank 0: none.
const struct ley_lora_spec *ley_net_lora(const struct ley_net *net);

// The weights as the net packs them; `net` is borrowed and must outlive the source.
struct ley_weight_source ley_net_weights(struct ley_net *net);

// One change, as anybody may hold it.
struct ley_lora {
    const float *a, *b; // (rank, n_columns), (n_rows, rank); NULL: none
    int64_t n_rows, n_columns;
    int rank;
    float scale; // alpha / rank
};

// rows (n_rows, lora->n_columns) += scale B A, of rows first_row and on.
void ley_lora_add(float *rows, const struct ley_lora *lora, int64_t first_row, int64_t n_rows);

// The change of a weight of a net.
struct ley_lora ley_net_lora_of(const struct ley_net *net, enum ley_weight weight, int layer);

#ifdef __cplusplus
}
#endif
