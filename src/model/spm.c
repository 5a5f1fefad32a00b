// spm.c - SentencePiece-style BPE: characters of the whole text, joined by the scores of tokens
//
// A pair may be joined when its text is a token; the better the token's score, the earlier. All
// splits of all tokens are put into the pair table once, so encoding works on ids only. Characters
// that occur inside tokens but are no token themselves get symbols after the last token.
// A file that gives merges (tokenizer.json) is followed to the letter: only these pairs are joined.
// Two characters that are neighbours in no token can never be joined across their border. The text
// is cut there first, which changes nothing but keeps the work in short pieces and in the cache.
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
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
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
        int32_t right = left < 0
                            ? -1
                            : string_map_find(&tokenizer->map,
                                              (struct ley_string){token.text + at, token.n - at});
        if (right >= 0) {
            pair_table_insert(&tokenizer->pairs, left, right, rank, id);
        }
    }
}

// At least 1 for a text that is not empty.
static size_t count_characters(struct ley_string token) {
    size_t n = 0;
    for (size_t at = 0; at < token.n; at += step(token.text + at, token.n - at)) {
        n++;
    }
    return n;
}

// Number of ways to cut token `id` between characters.
static size_t count_splits(const struct ley_tokenizer *tokenizer, int32_t id) {
    struct ley_string token = tokenizer->token[id];
    // Names, empty tokens and very long ones have no splits.
    bool is_split = token.n > 0 && token.n <= LONGEST_SPLIT && is_joined(tokenizer->type[id]);
    return is_split ? count_characters(token) - 1 : 0;
}

// All characters of tokens are symbols, so each pair of neighbours has ids. Tokens of every type
// and length count here: a border too few is slow, one too many would be wrong.
static enum ley_status build_adjacent(struct ley_tokenizer *tokenizer) {
    size_t most = 0;
    // An upper bound: a token of n characters has n - 1 pairs of neighbours.
    for (int32_t id = 0; id < tokenizer->n_tokens; id++) {
        most += count_characters(tokenizer->token[id]);
    }
    LEY_TRY(pair_table_create(&tokenizer->adjacent, most));
    for (int32_t id = 0; id < tokenizer->n_tokens; id++) {
        struct ley_string token = tokenizer->token[id];
        int32_t left = -1;
        for (size_t at = 0, length; at < token.n; at += length) {
            length = step(token.text + at, token.n - at);
            int32_t right =
                string_map_find(&tokenizer->map, (struct ley_string){token.text + at, length});
            if (left >= 0) {
                // Rank and result do not matter: only whether the pair is in the table.
                pair_table_insert(&tokenizer->adjacent, left, right, 0, 0);
            }
            left = right;
        }
    }
    return LEY_OK;
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
    LEY_TRY(build_adjacent(tokenizer));
    if (vocab->n_merges > 0) {
        return build_from_merges(tokenizer, vocab);
    }
    if (!vocab->score) {
        return ley_fail(LEY_E_FORMAT, "a SentencePiece vocabulary needs scores or merges");
    }
    return build_from_scores(tokenizer, vocab->score);
}

// ---- encoding

// A walk over the characters of a text.
struct reader {
    const struct ley_tokenizer *tokenizer;
    struct ley_string text;
    size_t at;
    bool owes_space; // the one before the text
};

// The next character as a symbol, a space as U+2581; false at the end.
static bool read_symbol(struct symbol *symbol, struct reader *reader) {
    const struct ley_tokenizer *tokenizer = reader->tokenizer;
    // The space in front has no byte of its own: it starts and ends at 0.
    if (reader->owes_space) {
        reader->owes_space = false;
        *symbol = (struct symbol){.id = tokenizer->space, .start = 0};
        return true;
    }
    if (reader->at == reader->text.n) {
        return false;
    }
    const char *text = reader->text.text + reader->at;
    size_t length = step(text, reader->text.n - reader->at);
    int32_t id = text[0] == ' '
                     ? tokenizer->space
                     : string_map_find(&tokenizer->map, (struct ley_string){text, length});
    // A character whose only token is a name (control, byte) is no symbol: it becomes bytes.
    bool is_name = id >= 0 && id < tokenizer->n_tokens && !is_joined(tokenizer->type[id]);
    *symbol = (struct symbol){.id = is_name ? -1 : id, .start = (int32_t)reader->at};
    reader->at += length;
    return true;
}

// Number of symbols up to the next border that no token crosses; 0 at the end. Looks ahead only.
static size_t piece_length(struct reader reader) {
    struct symbol left, right;
    size_t n = read_symbol(&left, &reader);
    while (n > 0 && read_symbol(&right, &reader) &&
           pair_table_find(&reader.tokenizer->adjacent, left.id, right.id)) {
        left = right;
        n++;
    }
    return n;
}

// Appends byte tokens for the n bytes of text, or the unknown token when one of them is missing.
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

// Appends the ids of the merged symbols, whose text ends at `end`. The bytes of a symbol reach from
// its start to the start of the next one.
static void push_piece(struct encoder *encoder, struct ley_string text, size_t end,
                       bool *after_unknown) {
    const struct symbol *symbol = encoder->merger.symbol;
    for (int32_t i = 0; i >= 0; i = symbol[i].next) {
        // Bytes of this symbol; none for the space that was put before the text.
        size_t from = (size_t)symbol[i].start;
        size_t to = symbol[i].next < 0 ? end : (size_t)symbol[symbol[i].next].start;
        if (symbol[i].id >= 0 && symbol[i].id < encoder->tokenizer->n_tokens) {
            encoder_push(encoder, symbol[i].id);
            *after_unknown = false;
        } else if (to > from) {
            push_bytes(encoder, text.text + from, to - from, after_unknown);
        }
    }
}

// Piece by piece: measure, fill, merge, write out.
enum ley_status spm_encode(struct encoder *encoder, struct ley_string text) {
    const struct ley_tokenizer *tokenizer = encoder->tokenizer;
    bool owes_space = tokenizer->adds_space_prefix && tokenizer->space >= 0;
    struct reader reader = {tokenizer, text, 0, owes_space};
    bool after_unknown = false;
    if (text.n > INT32_MAX / 2) {
        return ley_fail(LEY_E_ARGUMENT, "a text of %zu bytes is too long to tokenize", text.n);
    }
    for (size_t n; (n = piece_length(reader)) > 0;) {
        size_t start = reader.at;
        LEY_TRY(merger_reserve(&encoder->merger, n));
        for (size_t i = 0; i < n; i++) {
            read_symbol(&encoder->merger.symbol[i], &reader);
        }
        LEY_TRY(encoder_reserve(encoder, reader.at - start + 1));
        merger_run(&encoder->merger, &tokenizer->pairs, n);
        push_piece(encoder, text, reader.at, &after_unknown);
    }
    return LEY_OK;
}
