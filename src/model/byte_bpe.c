// byte_bpe.c - GPT-2's byte-level BPE: bytes as printable characters, ranked merges
//
// Files write each byte as one character: the printable ones of Latin-1 as themselves, the 68
// others as U+0100, U+0101, ... in their order. Merging works on ids, so texts are never rewritten;
// only the vocabulary is read in this alphabet. Bytes without a token are skipped before merging,
// as the reference does, and counted.
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "model/tokenizer_impl.h"

// Bytes that stand for themselves: no controls, spaces, U+00A0 or soft hyphen.
static bool is_printable(uint32_t byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad && byte <= 0xff);
}

// Code point that stands for a byte.
static uint32_t point_of(uint32_t byte) {
    if (is_printable(byte)) {
        return byte;
    }
    // The others in their order: 0..32 are U+0100..U+0120, 127..160 are U+0121..U+0142, 173 is
    // U+0143.
    return byte <= ' ' ? 0x100 + byte : byte <= 0xa0 ? 0x121 + byte - 0x7f : 0x143;
}

int byte_bpe_byte_of(uint32_t point) {
    if (point < 0x100) {
        return is_printable(point) ? (int)point : -1;
    }
    uint32_t i = point - 0x100;
    return i <= ' ' ? (int)i : i < 0x43 ? (int)(i - 0x21 + 0x7f) : i == 0x43 ? 0xad : -1;
}

// A token that holds other characters (added by hand) stands for its own text.
size_t byte_bpe_decode(char *out, struct ley_string token) {
    size_t n = 0;
    for (size_t at = 0, length; at < token.n; at += length) {
        length = ley_utf8_length(token.text + at, token.n - at);
        int byte = length > 0 ? byte_bpe_byte_of(ley_utf8_decode(token.text + at, length)) : -1;
        if (byte < 0) {
            memcpy(out, token.text, token.n);
            return token.n;
        }
        out[n++] = (char)byte;
    }
    return n;
}

// The first space separates: tokens in this alphabet hold none.
enum ley_status byte_bpe_add_merge(struct ley_tokenizer *tokenizer, struct ley_string merge,
                                   int32_t rank) {
    const char *space = merge.n > 0 ? memchr(merge.text, ' ', merge.n) : NULL;
    // Longer than two of the longest tokens cannot be a pair; this also bounds the copy below.
    if (!space || merge.n >= 2 * tokenizer->longest_token + 2) {
        return ley_fail(LEY_E_FORMAT, "merge %d is not two tokens with a space between", rank);
    }
    struct ley_string left = {merge.text, (size_t)(space - merge.text)};
    struct ley_string right = {space + 1, merge.n - left.n - 1};
    int32_t left_id = string_map_find(&tokenizer->map, left);
    int32_t right_id = string_map_find(&tokenizer->map, right);
    // The merged token is not in the file as an id: it is found as the text without the space.
    char *joined = ley_alloc(merge.n, 1);
    if (!joined) {
        return ley_fail_memory("merge", merge.n, 1);
    }
    memcpy(joined, left.text, left.n);
    memcpy(joined + left.n, right.text, right.n);
    int32_t merged = string_map_find(&tokenizer->map, (struct ley_string){joined, merge.n - 1});
    ley_free(joined);
    if (left_id < 0 || right_id < 0 || merged < 0) {
        return ley_fail(LEY_E_FORMAT, "merge %d, '%.*s': %s is not a token", rank,
                        (int)(merge.n < 100 ? merge.n : 100), merge.text,
                        left_id < 0    ? "the left part"
                        : right_id < 0 ? "the right part"
                                       : "the whole");
    }
    pair_table_insert(&tokenizer->pairs, left_id, right_id, (uint32_t)rank, merged);
    return LEY_OK;
}

// Single bytes are looked up once; afterwards encoding never sees the alphabet again.
enum ley_status byte_bpe_build(struct ley_tokenizer *tokenizer, const struct ley_vocab *vocab) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[4];
        size_t n = ley_utf8_encode(text, point_of(byte));
        // -1 where the vocabulary has no token for a byte: such bytes are lost and counted.
        tokenizer->byte_id[byte] = string_map_find(&tokenizer->map, (struct ley_string){text, n});
    }
    LEY_TRY(pair_table_create(&tokenizer->pairs, (size_t)vocab->n_merges));
    for (int32_t i = 0; i < vocab->n_merges; i++) {
        LEY_TRY(byte_bpe_add_merge(tokenizer, vocab->merge[i], i));
    }
    return pre_tokenizer_create(&tokenizer->pre, vocab->pre);
}

// The token that is this piece as a whole, or -1. A token has at most one character per byte.
static int32_t find_whole(const struct encoder *encoder, struct ley_string piece) {
    size_t n = 0;
    if (piece.n > encoder->tokenizer->longest_token) {
        return -1;
    }
    for (size_t i = 0; i < piece.n; i++) {
        n += ley_utf8_encode(encoder->printable + n, point_of((unsigned char)piece.text[i]));
    }
    return string_map_find(&encoder->tokenizer->map, (struct ley_string){encoder->printable, n});
}

// One symbol per byte that has a token, then merging.
static enum ley_status encode_piece(struct encoder *encoder, struct ley_string piece) {
    const struct ley_tokenizer *tokenizer = encoder->tokenizer;
    LEY_TRY(encoder_reserve(encoder, piece.n));
    int32_t whole = tokenizer->ignores_merges ? find_whole(encoder, piece) : -1;
    if (whole >= 0) {
        encoder_push(encoder, whole);
        return LEY_OK;
    }
    LEY_TRY(merger_reserve(&encoder->merger, piece.n));
    struct symbol *symbol = encoder->merger.symbol;
    // n counts symbols kept, so a lost byte leaves no hole in the list.
    size_t n = 0;
    for (size_t i = 0; i < piece.n; i++) {
        int32_t id = tokenizer->byte_id[(unsigned char)piece.text[i]];
        symbol[n] = (struct symbol){.id = id, .start = (int32_t)i};
        n += id >= 0;
        encoder->tokens->n_lost += id < 0;
    }
    if (n > 0) {
        merger_run(&encoder->merger, &tokenizer->pairs, n);
        for (int32_t i = 0; i >= 0; i = symbol[i].next) {
            encoder_push(encoder, symbol[i].id);
        }
    }
    return LEY_OK;
}

// Nothing is merged across the pieces of the pre-tokenizer.
enum ley_status byte_bpe_encode(struct encoder *encoder, struct ley_string text) {
    struct piece_walk walk;
    enum ley_status status = piece_walk_create(&walk, encoder->tokenizer->pre, text.text, text.n);
    while (status == LEY_OK && (status = piece_walk_next(&walk)) == LEY_OK && walk.piece.n > 0) {
        status = encode_piece(encoder, walk.piece);
    }
    piece_walk_destroy(&walk);
    return status;
}
