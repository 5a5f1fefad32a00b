// sampled.h - data that a model makes itself: text that it samples, kept in a file.
//
// Sequences begin with the token that begins (or else ends) a text and go on by sampling. Each is a
// function of model, seed and number, so that a file which was left unfinished goes on.
#pragma once
#include "attention/attention.h"
#include "model/model.h"
#include "train/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_sampled_options {
    int64_t n_tokens;     // wanted; rounded up to whole sequences
    int64_t n_context;    // tokens of a sequence
    int64_t n_batch;      // sequences sampled side by side
    double temperature;   // 1: as the model would have it
    uint64_t seed, model; // model: a fingerprint of its weights
};

// A fingerprint of weights: of the first rows of each.
LEY_MUST_CHECK enum ley_status ley_weights_fingerprint(uint64_t *fingerprint,
                                                       const struct ley_model_config *config,
                                                       const struct ley_weight_source *source);

// Tokens sampled by `model`, which has no session (contract), taken from the file at `path` as far
// as that was made by the same model with the same options but n_tokens, and added there after each
// group of sequences. progress counts tokens and may be NULL. LEY_E_INTERRUPTED: what is done
// stays.
LEY_MUST_CHECK enum ley_status ley_dataset_sample(struct ley_dataset *dataset, const char *path,
                                                  const struct ley_model *model,
                                                  const struct ley_tokenizer *tokenizer,
                                                  const struct ley_sampled_options *options,
                                                  const struct ley_progress *progress);

#ifdef __cplusplus
}
#endif
