// special_impl.h - tokens that are looked for in the text itself, before anything is cut.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "model/vocab.h"

struct special {
    // borrowed from the tokenizer's tokens
    struct ley_string text;
    int32_t id;
    bool is_control; // looked for only when the caller asks for special tokens
};

struct specials {
    struct special *sorted; // by text
    int32_t n;
    bool starts[256]; // some special token starts with this byte
};

// Collects control, unknown and user-defined tokens; their texts are borrowed.
LEY_MUST_CHECK enum ley_status specials_create(struct specials *specials,
                                               const struct ley_string *token, const int8_t *type,
                                               int32_t n_tokens);

// Frees what it owns; a zeroed struct is accepted.
void specials_destroy(struct specials *specials);

// The leftmost token in text[from..n), of those the longest; NULL when there is none. *at is where
// it starts, n when there is none. Control tokens count only with `parse_control`.
const struct special *specials_find(size_t *at, const struct specials *specials,
                                    struct ley_string text, size_t from, bool parse_control);
