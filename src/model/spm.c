// spm.c - SentencePiece-style BPE: characters of the whole text, joined by the scores of tokens
//
// A pair may be joined when its text is a token; the better the token's score, the earlier. All
// splits of all tokens are put into the pair table once, so encoding works on ids only. Characters
// that occur inside tokens but are no token themselves get symbols after the last token.
// A file that gives merges (tokenizer.json) is followed to the letter: only these pairs are joined.
// What is no token in the end becomes byte tokens, or the unknown token, once for neighbours.
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "model/tokenizer_impl.h"

static const struct ley_string space_text = {"\xe2\x96\x81", 3}; // U+2581
enum { LONGEST_SPLIT = 512 }; // longer tokens are not split: they are no words

// Types whose texts take part in merging; control and byte tokens are names, not text.
static bool is_joined(int8_t type) {
    return type == LEY_TOKEN_NORMAL || type == LEY_TOKEN_USER_DEFINED || type == LEY_TOKEN_UNUSED;
}

// Bytes of the character at the start of text[n]; a byte that starts none counts as one.
static size_t step(const char *text, size_t n) {
    size_t length = ley_utf8_length(text, n);
    return length > 0 ? length : 1;
}

// Value of a hexadecimal digit, or -1.
static int hex_value(char digit) {
    return digit >= '0' && digit <= '9' ? digit - '0' : digit >= 'A' && digit <= 'F'
           ? digit - 'A' + 10 : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

// Value of a byte token "<0x0A>", or -1.
static int byte_value(struct ley_string token) {
    if (token.n != 6 || memcmp(token.text, "<0x", 3) != 0 || token.text[5] != '>') {
        return -1;
    }
    int high = hex_value(token.text[3]), low = hex_value(token.text[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

// U+2581 is a space wherever it stands.
size_t spm_decode(char *out, struct ley_string token, int8_t type) {
    if (type == LEY_TOKEN_BYTE && byte_value(token) >= 0) {
        out[0] = (char)byte_value(token);
        return 1;
    }
    size_t n = 0;
    for (size_t at = 0; at < token.n;) {
        bool is_space = token.n - at >= space_text.n &&
                        memcmp(token.text + at, space_text.text, space_text.n) == 0;
        out[n++] = is_space ? ' ' : token.text[at];
        at += is_space ? space_text.n : 1;
    }
    return n;
}

// Ranks a score: higher is earlier, and equal scores get equal ranks. The bits of a float order as
// a signed magnitude.
static uint32_t rank_of(float score) {
    uint32_t bits;
    score += 0.0f; // -0 is 0
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? bits : 0x7fffffffu - bits;
}

// Adds all ways to join two symbols to token `id`.
static void add_splits(struct ley_tokenizer *tokenizer, int32_t id, uint32_t rank) {
    struct ley_string token = tokenizer->token[id];
    for (size_t at = step(token.text, token.n); at < token.n;
         at += step(token.text + at, token.n - at)) {
        int32_t left = string_map_find(&tokenizer->map, (struct ley_string){token.text, at});
        int32_t right = left < 0 ? -1 : string_map_find(&tokenizer->map,
            (struct ley_string){token.text + at, token.n - at});
        if (right >= 0) {
            pair_table_insert(&tokenizer->pairs, left, right, rank, id);
        }
    }
}

// Number of ways to cut token `id` between characters.
static size_t count_splits(const struct ley_tokenizer *tokenizer, int32_t id) {
    struct ley_string token = tokenizer->token[id];
    size_t n = 0;
    if (token.n > LONGEST_SPLIT || !is_joined(tokenizer->type[id])) {
        return 0;
    }
    for (size_t at = 0; at < token.n; at += step(token.text + at, token.n - at)) {
        n++;
    }
    return n > 0 ? n - 1 : 0;
}

// Two passes over all tokens: count, then fill, so that the table never grows.
static enum ley_status build_from_scores(struct ley_tokenizer *tokenizer, const float *score) {
    size_t n_splits = 0;
    for (int32_t id = 0; id < tokenizer->n_tokens; id++) {
        n_splits += count_splits(tokenizer, id);
    }
    LEY_TRY(pair_table_create(&tokenizer->pairs, n_splits));
    for (int32_t id = 0; id < tokenizer->n_tokens; id++) {
        if (count_splits(tokenizer, id) > 0) {
            add_splits(tokenizer, id, rank_of(score[id]));
        }
    }
    return LEY_OK;
}

// Merges of a tokenizer.json have the form of byte-level ones; only the alphabet differs.
static enum ley_status build_from_merges(struct ley_tokenizer *tokenizer,
                                         const struct ley_vocab *vocab) {
    LEY_TRY(pair_table_create(&tokenizer->pairs, (size_t)vocab->n_merges));
    for (int32_t i = 0; i < vocab->n_merges; i++) {
        LEY_TRY(byte_bpe_add_merge(tokenizer, vocab->merge[i], i));
    }
    return LEY_OK;
}

// Byte tokens first: they are what everything else falls back to.
enum ley_status spm_build(struct ley_tokenizer *tokenizer, const struct ley_vocab *vocab) {
    memset(tokenizer->byte_id, 0xff, sizeof tokenizer->byte_id); // all -1
    for (int32_t id = 0; id < tokenizer->n_tokens; id++) {
        int value = tokenizer->type[id] == LEY_TOKEN_BYTE ? byte_value(tokenizer->token[id]) : -1;
        if (value >= 0 && tokenizer->byte_id[value] < 0) {
            tokenizer->byte_id[value] = id;
        }
    }
    tokenizer->space = string_map_find(&tokenizer->map, space_text);
    if (vocab->n_merges > 0) {
        return build_from_merges(tokenizer, vocab);
    }
    if (!vocab->score) {
        return ley_fail(LEY_E_FORMAT, "a SentencePiece vocabulary needs scores or merges");
    }
    return build_from_scores(tokenizer, vocab->score);
}

// One symbol per character, a space as U+2581; returns their number.
static size_t fill_symbols(struct encoder *encoder, struct ley_string text) {
    const struct ley_tokenizer *tokenizer = encoder->tokenizer;
    struct symbol *symbol = encoder->merger.symbol;
    size_t n = 0;
    if (tokenizer->adds_space_prefix && tokenizer->space >= 0) {
        symbol[n++] = (struct symbol){.id = tokenizer->space, .start = 0};
    }
    for (size_t at = 0, length; at < text.n; at += length) {
        length = step(text.text + at, text.n - at);
        struct ley_string character = {text.text + at, length};
        int32_t id = text.text[at] == ' ' ? tokenizer->space
                                          : string_map_find(&tokenizer->map, character);
        bool is_name = id >= 0 && id < tokenizer->n_tokens && !is_joined(tokenizer->type[id]);
        symbol[n++] = (struct symbol){.id = is_name ? -1 : id, .start = (int32_t)at};
    }
    return n;
}

// Appends byte tokens for text[from..to), or the unknown token when one of them is missing.
static void push_bytes(struct encoder *encoder, const char *text, size_t n, bool *after_unknown) {
    const struct ley_tokenizer *tokenizer = encoder->tokenizer;
    bool has_all = true;
    for (size_t i = 0; i < n; i++) {
        has_all = has_all && tokenizer->byte_id[(unsigned char)text[i]] >= 0;
    }
    if (!has_all) {
        encoder->tokens->n_lost += n;
        if (tokenizer->unknown >= 0 && !*after_unknown) {
            encoder_push(encoder, tokenizer->unknown);
        }
        *after_unknown = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        encoder_push(encoder, tokenizer->byte_id[(unsigned char)text[i]]);
    }
    *after_unknown = false;
}

// The bytes of a symbol reach from its start to the start of the next one, so symbols that stayed
// unknown find their text again without keeping a length.
enum ley_status spm_encode(struct encoder *encoder, struct ley_string text) {
    const struct ley_tokenizer *tokenizer = encoder->tokenizer;
    LEY_TRY(encoder_reserve(encoder, text.n + 1));
    LEY_TRY(merger_reserve(&encoder->merger, text.n + 1));
    size_t n = text.n > 0 ? fill_symbols(encoder, text) : 0;
    if (n == 0) {
        return LEY_OK;
    }
    merger_run(&encoder->merger, &tokenizer->pairs, n);
    const struct symbol *symbol = encoder->merger.symbol;
    bool after_unknown = false;
    for (int32_t i = 0; i >= 0; i = symbol[i].next) {
        size_t start = (size_t)symbol[i].start;
        size_t end = symbol[i].next < 0 ? text.n : (size_t)symbol[symbol[i].next].start;
        if (symbol[i].id >= 0 && symbol[i].id < tokenizer->n_tokens) {
            encoder_push(encoder, symbol[i].id);
            after_unknown = false;
        } else {
            push_bytes(encoder, text.text + start, end - start, &after_unknown);
        }
    }
    return LEY_OK;
}
