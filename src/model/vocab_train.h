// vocab_train.h - a byte-level BPE vocabulary is learned from a text.
//
// Sennrich et al., "Neural machine translation of rare words with subword units" (2016), on bytes
// as GPT-2: documents are cut by GPT-2's expression, and within the pieces the commonest pair of
// neighbouring symbols becomes a token, again and again. Of pairs that are equally common the one
// whose left symbol has the least id is taken, then the one whose right symbol has: a function of
// the text alone, and the rule of Hugging Face's tokenizers.
//
// Ids: 0 is <|endoftext|>, 1 to 256 are the bytes in the order of the characters that stand for
// them, then come the merged tokens, the commonest first.
#pragma once
#include "attention/attention.h"
#include "model/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEY_LEAST_VOCAB = 257 }; // bytes and the end of a text

struct ley_vocab_options {
    int32_t n_tokens;  // LEY_LEAST_VOCAB to 2^20; fewer come out when the text has no more pairs
    int64_t min_count; // pairs that occur less often stay apart; 1 or more
    const struct ley_progress *counting, *merging; // bytes; tokens; NULL: silent
};

// What came of it.
struct ley_vocab_report {
    int64_t n_bytes;  // of the text
    int64_t n_pieces; // that it was cut into
    int64_t n_words;  // different ones
    int64_t n_tokens; // of the text, by the vocabulary
};

struct ley_new_vocab;

// Learns a vocabulary from document[n], which are not needed afterwards. LEY_E_ARGUMENT: options
// out of range. LEY_E_INTERRUPTED: a progress said so.
LEY_MUST_CHECK enum ley_status ley_vocab_train(struct ley_new_vocab **out,
                                               struct ley_vocab_report *report,
                                               const struct ley_string *document, size_t n,
                                               const struct ley_vocab_options *options);

// The vocabulary; valid until the destruction.
const struct ley_vocab *ley_new_vocab_get(const struct ley_new_vocab *made);

// NULL is accepted.
void ley_new_vocab_destroy(struct ley_new_vocab *made);

#ifdef __cplusplus
}
#endif
