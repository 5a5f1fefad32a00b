// fuzz_tokenizer_json.c - any bytes as tokenizer.json, and what it makes of them as text
//
// The first zero byte of the input ends tokenizer.json and begins tokenizer_config.json; a second
// one begins merges.txt, and then the first part is vocab.json.
#include <stdlib.h>
#include <string.h>

#include "leyden.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

// Cuts the part before the next zero byte off text[*n].
static struct ley_string cut(const char **text, size_t *n) {
    const char *end = *n > 0 ? memchr(*text, '\0', *n) : NULL;
    struct ley_string part = {*text, end ? (size_t)(end - *text) : *n};
    *text += end ? part.n + 1 : part.n;
    *n -= end ? part.n + 1 : part.n;
    return part;
}

static void use(const struct ley_tokenizer *tokenizer, const char *text, size_t n) {
    struct ley_tokens tokens;
    char *back;
    size_t n_back;
    if (ley_tokenizer_encode(&tokens, tokenizer, text, n, LEY_ADD_SPECIAL | LEY_PARSE_SPECIAL) !=
        LEY_OK) {
        return;
    }
    if (ley_tokenizer_decode(&back, &n_back, tokenizer, tokens.id, tokens.n, true) == LEY_OK) {
        ley_free(back);
    }
    ley_tokens_destroy(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct ley_hf_vocab *hf;
    struct ley_tokenizer *tokenizer;
    struct ley_chat *chat;
    const char *text = (const char *)data;
    size_t n_rest = n;
    struct ley_hf_files files = {.tokenizer = cut(&text, &n_rest)};
    files.tokenizer_config = cut(&text, &n_rest);
    files.merges = cut(&text, &n_rest);
    if (files.merges.n > 0) {
        files.vocab = files.tokenizer;
        files.tokenizer.n = 0;
    }
    if (ley_hf_vocab_read(&hf, &files) != LEY_OK) {
        return 0;
    }
    const struct ley_vocab *vocab = ley_hf_vocab_get(hf);
    struct ley_string none = {NULL, 0};
    if (ley_chat_create(&chat, vocab->chat_template, none, none) == LEY_OK) {
        ley_chat_destroy(chat);
    }
    if (ley_tokenizer_create(&tokenizer, vocab) == LEY_OK) {
        use(tokenizer, (const char *)data, n);
        ley_tokenizer_destroy(tokenizer);
    }
    ley_hf_vocab_destroy(hf);
    return 0;
}
