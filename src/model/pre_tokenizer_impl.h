// pre_tokenizer_impl.h - cuts text into the pieces within which byte-level BPE merges.
#pragma once
#include <stddef.h>

#include "core/status.h"
#include "model/vocab.h"

struct pre_tokenizer;

// Compiles the expression of `kind`.
LEY_MUST_CHECK enum ley_status pre_tokenizer_create(struct pre_tokenizer **out,
                                                    enum ley_pre_tokenizer kind);

// NULL is accepted.
void pre_tokenizer_destroy(struct pre_tokenizer *pre);

// The regular expression that Hugging Face files hold for `kind`, or NULL.
const char *pre_tokenizer_source(enum ley_pre_tokenizer kind);

// A walk over the pieces of one text; together they are the text, byte for byte.
struct piece_walk {
    const struct pre_tokenizer *pre;
    const char *text;
    size_t n, at;
    size_t valid_end;        // text[at..valid_end) is valid UTF-8
    void *match_data;        // PCRE2's
    struct ley_string piece; // the current one
};

// Starts a walk; `text` is borrowed. End it with piece_walk_destroy, also after a failure.
LEY_MUST_CHECK enum ley_status piece_walk_create(struct piece_walk *walk,
                                                 const struct pre_tokenizer *pre, const char *text,
                                                 size_t n);

// Moves to the next piece; at the end of the text walk->piece.n is 0.
LEY_MUST_CHECK enum ley_status piece_walk_next(struct piece_walk *walk);

// Frees what the walk holds.
void piece_walk_destroy(struct piece_walk *walk);
