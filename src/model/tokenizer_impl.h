// tokenizer_impl.h - what the two kinds of tokenizer share.
#pragma once
#include "core/memory.h"
#include "model/merge_impl.h"
#include "model/pre_tokenizer_impl.h"
#include "model/special_impl.h"
#include "model/string_map_impl.h"
#include "model/tokenizer.h"

struct ley_tokenizer {
    enum ley_vocab_kind kind;
    int32_t n_tokens, bos, eos, unknown;
    // settled at creation: what vocabulary and kind say together
    bool adds_bos, adds_eos, adds_space_prefix, ignores_merges;
    struct ley_string *token; // [n_symbols] as stored: n_tokens tokens, then characters that only
    int32_t n_symbols;        // occur inside tokens (SentencePiece)
    struct ley_string *bytes; // [n_tokens] what each token stands for
    char *pool;               // holds all these texts
    int8_t *type;             // [n_tokens]
    struct string_map map;    // of token[]
    // what may be joined, and in which order
    struct pair_table pairs;
    struct pair_table adjacent; // characters that are neighbours inside some token (SentencePiece)
    struct specials specials;
    struct pre_tokenizer *pre;
    int32_t byte_id[256]; // token of one byte, -1: none
    int32_t space;        // symbol of U+2581
    // bytes, as stored; bounds the pieces that may be looked up whole
    size_t longest_token;
};

// State of one encoding.
struct encoder {
    const struct ley_tokenizer *tokenizer;
    struct merger merger;
    struct ley_tokens *tokens;
    // ids that tokens->id has room for
    size_t capacity;
    char *printable; // workspace of a piece in printable form
};

// Makes room for n more ids.
LEY_MUST_CHECK enum ley_status encoder_reserve(struct encoder *encoder, size_t n);

// Appends an id; room was reserved.
void encoder_push(struct encoder *encoder, int32_t id);

// ---- byte-level BPE (byte_bpe.c)

// Fills byte_id and pairs from the merges.
LEY_MUST_CHECK enum ley_status byte_bpe_build(struct ley_tokenizer *tokenizer,
                                              const struct ley_vocab *vocab);

// Appends the ids of a text without special tokens.
LEY_MUST_CHECK enum ley_status byte_bpe_encode(struct encoder *encoder, struct ley_string text);

// Byte that a code point stands for, -1: none.
int byte_bpe_byte_of(uint32_t point);

// out[token.n] <- the bytes of a token in printable form; returns their number.
size_t byte_bpe_decode(char *out, struct ley_string token);

// Adds merge number `rank` ("left right") of any vocabulary to the pairs.
LEY_MUST_CHECK enum ley_status byte_bpe_add_merge(struct ley_tokenizer *tokenizer,
                                                  struct ley_string merge, int32_t rank);

// ---- SentencePiece-style BPE (spm.c)

// Fills byte_id, space and pairs from the scores, or from merges where there are any.
LEY_MUST_CHECK enum ley_status spm_build(struct ley_tokenizer *tokenizer,
                                         const struct ley_vocab *vocab);

// Appends the ids of a text without special tokens, as if a space stood before it when the
// vocabulary asks for that.
LEY_MUST_CHECK enum ley_status spm_encode(struct encoder *encoder, struct ley_string text);

// out[token.n] <- the bytes of a token; returns their number.
size_t spm_decode(char *out, struct ley_string token, int8_t type);
