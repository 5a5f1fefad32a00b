// tokenizer.h - text to token ids and back.
//
// Two kinds (enum ley_vocab_kind): byte-level BPE, which cuts text by a regular expression and
// joins bytes by ranked merges, and SentencePiece-style BPE, which joins characters of the whole
// text by the scores of tokens. Any bytes may be encoded, also zero bytes and such that are no
// UTF-8; the tokens decode to the same bytes, with two exceptions that lie in the vocabulary: bytes
// it has no token for (counted in n_lost), and U+2581 in SentencePiece text, which stands for a
// space there.
//
// A tokenizer is read only once made: threads may share it. Encoding n bytes takes O(n log n) time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "model/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_tokenizer;

enum ley_encode_flags {
    LEY_ADD_SPECIAL = 1,   // put bos and eos around the text where the vocabulary asks for it
    LEY_PARSE_SPECIAL = 2, // control tokens written in the text become these tokens; user-defined
                           // tokens always do
};

struct ley_tokens {
    int32_t *id; // [n]
    size_t n;
    size_t n_lost; // bytes of the text that the vocabulary cannot express
};

// Makes a tokenizer; everything it needs of `vocab` is copied. Fails when the vocabulary
// contradicts itself (a merge of tokens that do not exist).
LEY_MUST_CHECK enum ley_status ley_tokenizer_create(struct ley_tokenizer **out,
                                                    const struct ley_vocab *vocab);

// NULL is accepted.
void ley_tokenizer_destroy(struct ley_tokenizer *tokenizer);

// tokens <- ids of text[n_bytes]; `flags` is an or of enum ley_encode_flags. Free the result with
// ley_tokens_destroy.
LEY_MUST_CHECK enum ley_status ley_tokenizer_encode(struct ley_tokens *tokens,
                                                    const struct ley_tokenizer *tokenizer,
                                                    const char *text, size_t n_bytes,
                                                    unsigned flags);

// Frees the ids; a zeroed struct is accepted.
void ley_tokens_destroy(struct ley_tokens *tokens);

// The bytes that token `id` stands for, valid as long as the tokenizer; they may be part of a
// character (core/utf8.h holds such parts back). Control tokens give their name. Ids outside the
// vocabulary give no bytes.
struct ley_string ley_tokenizer_bytes(const struct ley_tokenizer *tokenizer, int32_t id);

// Text of id[n] in a new block (ley_free it) with a zero byte after its end: the inverse of encode,
// so a space that encoding put before the text is taken away. Control tokens are left out unless
// `with_control`.
LEY_MUST_CHECK enum ley_status ley_tokenizer_decode(char **text, size_t *n_bytes,
                                                    const struct ley_tokenizer *tokenizer,
                                                    const int32_t *id, size_t n, bool with_control);

// out (zero-terminated, cut to n_out) <- token `id` as one line to show: control characters and
// bytes that are no UTF-8 as \n, \t, \xNN.
void ley_tokenizer_print(char *out, size_t n_out, const struct ley_tokenizer *tokenizer,
                         int32_t id);

// Id of the token whose stored text is `text` ("<|im_end|>"), or -1.
int32_t ley_tokenizer_find(const struct ley_tokenizer *tokenizer, const char *text);

// Type of token `id`; unused outside the vocabulary.
enum ley_token_type ley_tokenizer_type(const struct ley_tokenizer *tokenizer, int32_t id);

// Number of tokens.
int32_t ley_tokenizer_count(const struct ley_tokenizer *tokenizer);

// Token that begins a text, or -1.
int32_t ley_tokenizer_bos(const struct ley_tokenizer *tokenizer);

// Token that ends a text, or -1.
int32_t ley_tokenizer_eos(const struct ley_tokenizer *tokenizer);

// True for tokens that end a model's answer: eos, and control tokens that the known chat formats
// and model makers end with (<|im_end|>, <|endoftext|>, <|eot_id|>, ...).
bool ley_tokenizer_is_end(const struct ley_tokenizer *tokenizer, int32_t id);

#ifdef __cplusplus
}
#endif
