// extract.h - what the matrices of a model's layers have learned, alone: as an adapter of the model
// it was before, or as that model with these matrices.
//
// What embeddings and norms have learned stays behind: adapters have no place for it, and it is
// the taste of the text more than what helps elsewhere (docs/ADAPTATION.md).
#pragma once
#include "core/progress.h"
#include "model/block.h"
#include "model/model_file.h"

#ifdef __cplusplus
extern "C" {
#endif

// What an extraction found.
struct ley_extraction {
    int n_changes;      // matrices of layers that differ
    double kept;        // share of the squares of their changes that the adapter holds, 0..1
    double left_behind; // length of all other changes over the length of those weights
};

// Writes an adapter of rank `rank` (1..4096), numbers of `type`: the best approximation of what
// `trained` is more than `base`, with the scalers and hardware of `trained`. Both files must be
// models of one shape (LEY_E_ARGUMENT). Of LEY_BLOCK_Q8_0, rank and widths must be multiples of 32.
// Progress counts matrices. All or nothing.
LEY_MUST_CHECK enum ley_status ley_adapter_extract(struct ley_extraction *done, const char *path,
                                                   const struct ley_model_file *base,
                                                   const struct ley_model_file *trained, int rank,
                                                   const struct ley_block_type *type,
                                                   struct ley_progress progress);

// A model made of two: the matrices of layers of `trained`, all else of `base`.
struct ley_graft {
    struct ley_weight_source base, trained;
    struct ley_model_config config;
};

// Borrows both files, which must be models of one shape (LEY_E_ARGUMENT).
LEY_MUST_CHECK enum ley_status ley_graft_set(struct ley_graft *graft,
                                             const struct ley_model_file *base,
                                             const struct ley_model_file *trained);

// Its weights, for ley_model_file_update; valid as long as graft and files are.
struct ley_weight_source ley_graft_source(struct ley_graft *graft);

#ifdef __cplusplus
}
#endif
