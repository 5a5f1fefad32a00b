// dataset.h - a text as tokens, made once and kept in a file, and the windows that are learned.
//
// Documents stand one after another, each with the token that ends a text behind it. A window is T
// tokens and, as targets, the T that follow each of them; windows do not overlap. The last ones are
// for validation. In which order the others come is a function of seed and number: nothing is
// remembered, so a run that goes on takes the same windows as one that never stopped.
#pragma once
#include "core/map.h"
#include "model/tokenizer.h"
#include "train/text.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_dataset {
    const int32_t *token; // [n_tokens]
    int64_t n_tokens;
    uint64_t fingerprint; // of text, vocabulary and options
    struct ley_map map;   // of the cached file; or
    int32_t *made;        // tokens made just now
};

// Tokens of the text at `path` (see text.h). When `cache` names a file made of the same text,
// vocabulary and options, it is mapped; otherwise the text is tokenised and, if `cache` is not
// NULL, written there, all or nothing. `vocab` is what `tokenizer` was made of.
LEY_MUST_CHECK enum ley_status ley_dataset_create(struct ley_dataset *dataset, const char *path,
                                                  const char *cache,
                                                  const struct ley_tokenizer *tokenizer,
                                                  const struct ley_vocab *vocab,
                                                  const struct ley_text_options *options);

// A zeroed struct is accepted.
void ley_dataset_destroy(struct ley_dataset *dataset);

struct ley_windows {
    const int32_t *token; // the dataset's, borrowed
    int64_t n_context;    // T
    int64_t n_train, n_validation;
    uint64_t seed;
};

// Cuts a dataset into windows of n_context tokens, of which a part 0..1, rounded down, is for
// validation. LEY_E_ARGUMENT when fewer than one window is left to train on.
LEY_MUST_CHECK enum ley_status ley_windows_create(struct ley_windows *windows,
                                                  const struct ley_dataset *dataset,
                                                  int64_t n_context, double validation_part,
                                                  uint64_t seed);

// tokens[T], targets[T] <- training window `number` >= 0, counted through all epochs: each epoch
// of n_train windows has an order of its own.
void ley_windows_train(int32_t *tokens, int32_t *targets, const struct ley_windows *windows,
                       int64_t number);

// The same of validation window 0 .. n_validation - 1, as they stand in the text.
void ley_windows_validation(int32_t *tokens, int32_t *targets, const struct ley_windows *windows,
                            int64_t number);

#ifdef __cplusplus
}
#endif
