// encode.h - items as tokens: what is fed to a model, and which of it is scored.
#pragma once
#include "eval/item.h"
#include "model/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

// Tokens of a sequence, of which those from `first` on are scored, each after all before it.
struct ley_sequence {
    int32_t *token;   // owned
    int64_t n, first; // 1 <= first < n
    int pair;         // of the item
};

// An item's sequences: one for each pair, or one for each window of a text.
struct ley_case {
    struct ley_sequence *sequence; // [n]
    int64_t n;
};

struct ley_encoder {
    const struct ley_tokenizer *tokenizer;
    int64_t max_length; // tokens that a model is fed at once, at most
};

// Tokenises an item as lm-evaluation-harness does for transformers models: white space at the end
// of a context goes to the ending; context and ending are encoded together and cut where the
// encoded context ends; an empty context is the token that begins texts (bos, else eos). What is
// longer than max_length loses its beginning. Texts are cut into windows of max_length that do not
// overlap, the last one filled up with what stands before. LEY_E_FORMAT: an ending longer than
// max_length.
LEY_MUST_CHECK enum ley_status ley_case_create(struct ley_case *out,
                                               const struct ley_encoder *encoder,
                                               const struct ley_item *item,
                                               enum ley_task_kind kind);

// A zeroed struct is accepted.
void ley_case_destroy(struct ley_case *out);

// The windows of a text as items of their own, for the task "text"; at most `limit` (0: all).
LEY_MUST_CHECK enum ley_status ley_items_of_text(struct ley_items *items,
                                                 const struct ley_encoder *encoder,
                                                 struct ley_string text, int64_t limit);

#ifdef __cplusplus
}
#endif
