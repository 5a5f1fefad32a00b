// tokenizer.c - the part of encoding and decoding that all vocabularies share
//
// Encoding: (1) special tokens are found in the text, (2) the stretches between them go to the
// kind's own code, (3) bos and eos are put around. Decoding is a lookup: what each token stands for
// is computed once. Memory is about twice the texts of the vocabulary, plus 16 bytes for each place
// in the table of pairs, which is at most half full.
#include "model/tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "core/utf8.h"
#include "model/tokenizer_impl.h"

// Control tokens that end an answer.
static const char *const end_names[] = {"<|im_end|>",      "<|endoftext|>", "<|eot_id|>",
                                        "<|end_of_text|>", "<|eom_id|>",    "<|end|>",
                                        "<|end_story|>",   "<end_of_turn>", "</s>"};

// ---- making

// What the rest of the code relies on without looking again.
static enum ley_status check(const struct ley_vocab *vocab) {
    const int32_t id[] = {vocab->bos, vocab->eos, vocab->unknown};
    if (vocab->n_tokens < 1) {
        return ley_fail(LEY_E_FORMAT, "the vocabulary holds no tokens");
    }
    for (size_t i = 0; i < sizeof id / sizeof id[0]; i++) {
        if (id[i] < -1 || id[i] >= vocab->n_tokens) {
            return ley_fail(LEY_E_FORMAT, "special token %d is not one of the %d tokens", id[i],
                            vocab->n_tokens);
        }
    }
    return LEY_OK;
}

// Decodes token `id` to the end of the pool; returns the bytes used.
static size_t decode_token(struct ley_tokenizer *tokenizer, int32_t id, char *out) {
    struct ley_string token = tokenizer->token[id];
    int8_t type = tokenizer->type[id];
    // Names stand for themselves; everything else is in the alphabet of its kind.
    size_t n = token.n;
    if (type == LEY_TOKEN_CONTROL || type == LEY_TOKEN_UNKNOWN || type == LEY_TOKEN_USER_DEFINED) {
        memcpy(out, token.text, token.n);
    } else if (tokenizer->kind == LEY_VOCAB_BYTE_BPE) {
        n = byte_bpe_decode(out, token);
    } else {
        n = spm_decode(out, token, type);
    }
    tokenizer->bytes[id] = (struct ley_string){out, n};
    return n;
}

// Copies token texts and types, and decodes them.
static enum ley_status copy_tokens(struct ley_tokenizer *tokenizer, const struct ley_vocab *vocab) {
    size_t n = (size_t)vocab->n_tokens, n_text = 0;
    for (size_t i = 0; i < n; i++) {
        n_text += vocab->token[i].n;
    }
    tokenizer->token = ley_alloc(n, sizeof *tokenizer->token);
    tokenizer->bytes = ley_alloc(n, sizeof *tokenizer->bytes);
    tokenizer->type = ley_alloc(n, sizeof *tokenizer->type);
    // Each text stands there twice: as stored, then as what it stands for, which is never longer.
    tokenizer->pool = ley_alloc(2, n_text);
    if (!tokenizer->token || !tokenizer->bytes || !tokenizer->type || !tokenizer->pool) {
        return ley_fail_memory("tokens", n, 2 * sizeof *tokenizer->token);
    }
    // text and decoded text in turn, so one walk fills the pool
    char *at = tokenizer->pool;
    for (size_t i = 0; i < n; i++) {
        struct ley_string text = vocab->token[i];
        memcpy(at, text.n > 0 ? text.text : "", text.n);
        tokenizer->token[i] = (struct ley_string){at, text.n};
        tokenizer->type[i] = vocab->type ? vocab->type[i] : LEY_TOKEN_NORMAL;
        tokenizer->longest_token =
            text.n > tokenizer->longest_token ? text.n : tokenizer->longest_token;
        at += text.n;
        at += decode_token(tokenizer, (int32_t)i, at);
    }
    tokenizer->n_tokens = tokenizer->n_symbols = vocab->n_tokens;
    return LEY_OK;
}

// Visits the characters of all tokens that are no tokens themselves: counts them (an upper bound:
// repeated ones count again), and with `adds` makes them symbols.
static size_t visit_characters(struct ley_tokenizer *tokenizer, bool adds) {
    size_t n = 0;
    for (int32_t id = 0; id < tokenizer->n_tokens; id++) {
        struct ley_string token = tokenizer->token[id];
        for (size_t at = 0, length; at < token.n; at += length) {
            // A byte that starts no character is a character of its own here, as in encoding.
            length = ley_utf8_length(token.text + at, token.n - at);
            length += length == 0;
            struct ley_string character = {token.text + at, length};
            if (string_map_find(&tokenizer->map, character) < 0) {
                n++;
                if (adds) {
                    tokenizer->token[tokenizer->n_symbols] = character;
                    string_map_insert(&tokenizer->map, tokenizer->n_symbols++);
                }
            }
        }
    }
    return n;
}

// From token texts to ids, with room for more symbols.
static enum ley_status map_tokens(struct ley_tokenizer *tokenizer, size_t n_extra) {
    LEY_TRY(string_map_create(&tokenizer->map, tokenizer->token,
                              (size_t)tokenizer->n_tokens + n_extra));
    for (int32_t id = 0; id < tokenizer->n_tokens; id++) {
        string_map_insert(&tokenizer->map, id);
    }
    return LEY_OK;
}

// Makes symbols of characters that only occur inside tokens; rebuilds the map with room for them.
static enum ley_status add_characters(struct ley_tokenizer *tokenizer) {
    size_t n_extra = visit_characters(tokenizer, false);
    if (n_extra == 0) {
        return LEY_OK;
    }
    struct ley_string *larger =
        ley_alloc((size_t)tokenizer->n_tokens + n_extra, sizeof *tokenizer->token);
    if (!larger) {
        return ley_fail_memory("tokens", n_extra, sizeof *larger);
    }
    // The map borrows the list, so list and map are renewed together.
    memcpy(larger, tokenizer->token, (size_t)tokenizer->n_tokens * sizeof *larger);
    ley_free(tokenizer->token);
    tokenizer->token = larger;
    string_map_destroy(&tokenizer->map);
    LEY_TRY(map_tokens(tokenizer, n_extra));
    visit_characters(tokenizer, true);
    return LEY_OK;
}

// The order matters: kinds look tokens up in the map, and characters come after all tokens.
static enum ley_status build(struct ley_tokenizer *tokenizer, const struct ley_vocab *vocab) {
    // (1) what the file says, (2) texts, (3) ids by text, (4) special tokens, (5) the kind's own
    // tables
    LEY_TRY(check(vocab));
    LEY_TRY(copy_tokens(tokenizer, vocab));
    LEY_TRY(map_tokens(tokenizer, 0));
    LEY_TRY(specials_create(&tokenizer->specials, tokenizer->token, tokenizer->type,
                            tokenizer->n_tokens));
    if (vocab->kind == LEY_VOCAB_BYTE_BPE) {
        return byte_bpe_build(tokenizer, vocab);
    }
    LEY_TRY(add_characters(tokenizer));
    return spm_build(tokenizer, vocab);
}

// All fallible work is here; a failure leaves nothing behind.
enum ley_status ley_tokenizer_create(struct ley_tokenizer **out, const struct ley_vocab *vocab) {
    struct ley_tokenizer *tokenizer = ley_alloc(1, sizeof *tokenizer);
    *out = NULL;
    if (!tokenizer) {
        return ley_fail_memory("tokenizer", 1, sizeof *tokenizer);
    }
    tokenizer->kind = vocab->kind;
    tokenizer->bos = vocab->bos;
    tokenizer->eos = vocab->eos;
    tokenizer->unknown = vocab->unknown;
    // A flag without its token is no flag.
    tokenizer->adds_bos = vocab->adds_bos && vocab->bos >= 0;
    tokenizer->adds_eos = vocab->adds_eos && vocab->eos >= 0;
    tokenizer->adds_space_prefix = vocab->adds_space_prefix && vocab->kind == LEY_VOCAB_SPM_BPE;
    tokenizer->ignores_merges = vocab->ignores_merges;
    enum ley_status status = build(tokenizer, vocab);
    if (status != LEY_OK) {
        ley_tokenizer_destroy(tokenizer);
        return status;
    }
    *out = tokenizer;
    return LEY_OK;
}

void ley_tokenizer_destroy(struct ley_tokenizer *tokenizer) {
    if (!tokenizer) {
        return;
    }
    pre_tokenizer_destroy(tokenizer->pre);
    specials_destroy(&tokenizer->specials);
    pair_table_destroy(&tokenizer->pairs);
    pair_table_destroy(&tokenizer->adjacent);
    string_map_destroy(&tokenizer->map);
    ley_free(tokenizer->token);
    ley_free(tokenizer->bytes);
    ley_free(tokenizer->type);
    ley_free(tokenizer->pool);
    ley_free(tokenizer);
}

// ---- encoding

// Grows by half, so appending n ids costs O(n).
enum ley_status encoder_reserve(struct encoder *encoder, size_t n) {
    struct ley_tokens *tokens = encoder->tokens;
    // Written as a difference: tokens->n never exceeds the capacity.
    if (n <= encoder->capacity - tokens->n) {
        return LEY_OK;
    }
    size_t capacity = tokens->n + n + encoder->capacity / 2 + 16;
    int32_t *larger = ley_alloc(capacity, sizeof *larger);
    if (!larger) {
        return ley_fail_memory("token ids", capacity, sizeof *larger);
    }
    if (tokens->n > 0) {
        memcpy(larger, tokens->id, tokens->n * sizeof *larger);
    }
    ley_free(tokens->id);
    tokens->id = larger;
    encoder->capacity = capacity;
    return LEY_OK;
}

void encoder_push(struct encoder *encoder, int32_t id) {
    encoder->tokens->id[encoder->tokens->n++] = id;
}

// Text between special tokens.
static enum ley_status encode_stretch(struct encoder *encoder, struct ley_string text) {
    if (text.n == 0) {
        return LEY_OK;
    }
    return encoder->tokenizer->kind == LEY_VOCAB_BYTE_BPE ? byte_bpe_encode(encoder, text)
                                                          : spm_encode(encoder, text);
}

// Alternates between stretches and special tokens until the text is used up.
static enum ley_status encode_text(struct encoder *encoder, struct ley_string text,
                                   bool parse_control) {
    for (size_t from = 0; from < text.n;) {
        size_t at;
        const struct special *special =
            specials_find(&at, &encoder->tokenizer->specials, text, from, parse_control);
        // Everything up to the special token, or to the end.
        LEY_TRY(encode_stretch(encoder, (struct ley_string){text.text + from, at - from}));
        if (!special) {
            return LEY_OK;
        }
        LEY_TRY(encoder_reserve(encoder, 1));
        encoder_push(encoder, special->id);
        from = at + special->text.n;
    }
    return LEY_OK;
}

// A third of an id per byte is enough room for most texts.
static enum ley_status encode(struct encoder *encoder, struct ley_string text, unsigned flags) {
    const struct ley_tokenizer *tokenizer = encoder->tokenizer;
    encoder->printable = ley_alloc(2, tokenizer->longest_token); // two bytes per byte
    if (!encoder->printable) {
        return ley_fail_memory("encoding", 2, tokenizer->longest_token);
    }
    LEY_TRY(encoder_reserve(encoder, text.n / 3 + 2));
    if (flags & LEY_ADD_SPECIAL && tokenizer->adds_bos) {
        encoder_push(encoder, tokenizer->bos);
    }
    LEY_TRY(encode_text(encoder, text, (flags & LEY_PARSE_SPECIAL) != 0));
    // One more place for eos; an id for each byte is the most that a stretch can need.
    LEY_TRY(encoder_reserve(encoder, 1));
    if (flags & LEY_ADD_SPECIAL && tokenizer->adds_eos) {
        encoder_push(encoder, tokenizer->eos);
    }
    return LEY_OK;
}

// The workspace is made for each call: a tokenizer is shared by threads and stays read only.
enum ley_status ley_tokenizer_encode(struct ley_tokens *tokens,
                                     const struct ley_tokenizer *tokenizer, const char *text,
                                     size_t n_bytes, unsigned flags) {
    *tokens = (struct ley_tokens){.id = NULL};
    struct encoder encoder = {.tokenizer = tokenizer, .tokens = tokens};
    enum ley_status status = encode(&encoder, (struct ley_string){text, n_bytes}, flags);
    merger_destroy(&encoder.merger);
    ley_free(encoder.printable);
    if (status != LEY_OK) {
        ley_tokens_destroy(tokens);
    }
    return status;
}

void ley_tokens_destroy(struct ley_tokens *tokens) {
    ley_free(tokens->id);
    *tokens = (struct ley_tokens){.id = NULL};
}

// ---- decoding

struct ley_string ley_tokenizer_bytes(const struct ley_tokenizer *tokenizer, int32_t id) {
    bool is_known = id >= 0 && id < tokenizer->n_tokens;
    return is_known ? tokenizer->bytes[id] : (struct ley_string){"", 0};
}

// Text of id[n] to `out`, or only its length when out is NULL.
static size_t write_text(char *out, const struct ley_tokenizer *tokenizer, const int32_t *id,
                         size_t n, bool with_control) {
    bool at_start = tokenizer->adds_space_prefix;
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        // Ids outside the vocabulary have no bytes and are skipped.
        struct ley_string bytes = ley_tokenizer_bytes(tokenizer, id[i]);
        enum ley_token_type type = ley_tokenizer_type(tokenizer, id[i]);
        bool is_special = type == LEY_TOKEN_CONTROL || type == LEY_TOKEN_USER_DEFINED;
        if (type == LEY_TOKEN_CONTROL && !with_control) {
            bytes.n = 0;
        }
        size_t skip = at_start && !is_special && bytes.n > 0 && bytes.text[0] == ' ';
        // SentencePiece puts a space before a text and after special tokens; reading takes it off
        // again.
        if (out && bytes.n > skip) {
            memcpy(out + total, bytes.text + skip, bytes.n - skip);
        }
        total += bytes.n - skip;
        at_start = is_special && tokenizer->adds_space_prefix;
    }
    return total;
}

// Twice over the ids: to count, then to write.
enum ley_status ley_tokenizer_decode(char **text, size_t *n_bytes,
                                     const struct ley_tokenizer *tokenizer, const int32_t *id,
                                     size_t n, bool with_control) {
    *n_bytes = write_text(NULL, tokenizer, id, n, with_control);
    *text = ley_alloc(*n_bytes + 1, 1);
    if (!*text) {
        return ley_fail_memory("text", *n_bytes, 1);
    }
    write_text(*text, tokenizer, id, n, with_control);
    return LEY_OK;
}

// Five bytes is the longest form with its terminator, so nothing is cut in the middle.
void ley_tokenizer_print(char *out, size_t n_out, const struct ley_tokenizer *tokenizer,
                         int32_t id) {
    struct ley_string bytes = ley_tokenizer_bytes(tokenizer, id);
    size_t used = 0;
    for (size_t at = 0, length; at < bytes.n && used + 5 <= n_out; at += length) {
        unsigned char first = (unsigned char)bytes.text[at];
        length = ley_utf8_length(bytes.text + at, bytes.n - at);
        if (length == 0 || first < ' ' || first == 0x7f) {
            // Control characters, and bytes that are no UTF-8, by their number.
            length = 1;
            const char *form = first == '\n' ? "\\n" : first == '\t' ? "\\t" : "\\x%02X";
            used += (size_t)snprintf(out + used, n_out - used, form, first);
        } else {
            memcpy(out + used, bytes.text + at, length);
            used += length;
        }
    }
    if (n_out > 0) {
        out[used] = '\0';
    }
}

// ---- asking

// Symbols after the tokens are known to the map but are no tokens.
int32_t ley_tokenizer_find(const struct ley_tokenizer *tokenizer, const char *text) {
    int32_t id = string_map_find(&tokenizer->map, (struct ley_string){text, strlen(text)});
    return id < tokenizer->n_tokens ? id : -1;
}

enum ley_token_type ley_tokenizer_type(const struct ley_tokenizer *tokenizer, int32_t id) {
    bool is_known = id >= 0 && id < tokenizer->n_tokens;
    return is_known ? (enum ley_token_type)tokenizer->type[id] : LEY_TOKEN_UNUSED;
}

int32_t ley_tokenizer_count(const struct ley_tokenizer *tokenizer) {
    return tokenizer->n_tokens;
}

int32_t ley_tokenizer_bos(const struct ley_tokenizer *tokenizer) {
    return tokenizer->bos;
}

int32_t ley_tokenizer_eos(const struct ley_tokenizer *tokenizer) {
    return tokenizer->eos;
}

// Chat models often end a turn with another token than the eos of their file.
bool ley_tokenizer_is_end(const struct ley_tokenizer *tokenizer, int32_t id) {
    if (id >= 0 && id == tokenizer->eos) {
        return true;
    }
    // A normal token may spell "</s>" in a text about markup: only control tokens end an answer.
    if (ley_tokenizer_type(tokenizer, id) != LEY_TOKEN_CONTROL) {
        return false;
    }
    struct ley_string name = tokenizer->token[id];
    for (size_t i = 0; i < sizeof end_names / sizeof end_names[0]; i++) {
        if (string_equal(name, (struct ley_string){end_names[i], strlen(end_names[i])})) {
            return true;
        }
    }
    return false;
}
