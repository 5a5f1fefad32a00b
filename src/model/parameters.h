// parameters.h - the trainable numbers of a model: one block of float32, and what stands where.
//
// Gradients are a second block of the same layout, and so are an optimiser's moments. Within a
// layer matrices come first, in the order of weight.def, then vectors: what is computed as one
// matrix (q, k and v; gate and up) stands in one piece.
#pragma once
#include "model/config.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEY_PARAMETER_NAME = 48 };

// A tensor of the block.
struct ley_parameter {
    char name[LEY_PARAMETER_NAME]; // "ATTN_Q.3": name in weight.def, layer
    enum ley_weight weight;        // LEY_N_WEIGHTS: not a weight of the model, a scaler for example
    int layer;                     // 0 where there is one for the whole model
    int64_t n_rows, n_columns;
    int64_t offset; // of its first value in the block
    bool decays;    // weight decay applies: matrices, by default
    bool trains;    // gets gradients and steps; may be changed at any time
    // Times the rate of the others; 0 counts as 1.
    double rate;
    // Steps are shares of a value, which keeps its sign: slopes, whose sizes differ widely.
    bool is_relative;
};

struct ley_parameters {
    struct ley_model_config config;
    int n_tensors;
    struct ley_parameter *tensor; // [n_tensors] rising offsets without gaps
    int64_t n_values;
    float *value, *gradient; // [n_values]
};

// Reads all weights of a model, gradients are zero; n_extra further tensors (all but the
// offset is used) follow behind as zeros; NULL: none. `source` is used during the call only. Where
// it has a bias for one of q, k, v, the others get one, of zeros.
LEY_MUST_CHECK enum ley_status ley_parameters_create(struct ley_parameters *parameters,
                                                     const struct ley_model_config *config,
                                                     const struct ley_weight_source *source,
                                                     const struct ley_parameter *extra,
                                                     int n_extra);

// Frees the blocks and the table; a zeroed struct is accepted.
void ley_parameters_destroy(struct ley_parameters *parameters);

// The tensor of a weight, or NULL when the model has none.
struct ley_parameter *ley_parameters_find(const struct ley_parameters *parameters,
                                          enum ley_weight weight, int layer);

// The tensor of this name, or NULL.
struct ley_parameter *ley_parameters_named(const struct ley_parameters *parameters,
                                           const char *name);

// The values as a source of weights; `parameters` is borrowed and must outlive it.
struct ley_weight_source ley_parameters_source(const struct ley_parameters *parameters);

#ifdef __cplusplus
}
#endif
