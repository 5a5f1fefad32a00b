// vocab.h - what a tokenizer is made of, wherever it was read from; plain data.
//
// The contract between file formats (gguf metadata, tokenizer.json, vocab.json + merges.txt), which
// fill it, and the tokenizer, which copies what it needs.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ley_vocab_kind {
    LEY_VOCAB_BYTE_BPE, // GPT-2 style: bytes mapped to printable characters, ranked merges
    LEY_VOCAB_SPM_BPE,  // Llama-2 style: scores decide merges, unknown bytes as <0xNN>
};

enum ley_pre_tokenizer { // how byte-level BPE cuts text before merging
    LEY_PRE_GPT2,        // GPT-2's own regular expression
    LEY_PRE_SMOLLM,      // digits one by one, then GPT-2's
    LEY_PRE_LLAMA3,      // Llama-3's regular expression
    LEY_PRE_NONE,        // no cut: the whole text is one piece
};

enum ley_token_type { // as in GGUF (tokenizer.ggml.token_type)
    LEY_TOKEN_NORMAL = 1,
    LEY_TOKEN_UNKNOWN = 2,
    LEY_TOKEN_CONTROL = 3, // special: matched in text only when asked for, not printed
    LEY_TOKEN_USER_DEFINED = 4,
    LEY_TOKEN_UNUSED = 5,
    LEY_TOKEN_BYTE = 6,
};

struct ley_string {
    const char *text; // not zero-terminated
    size_t n;
};

struct ley_vocab {
    enum ley_vocab_kind kind;
    enum ley_pre_tokenizer pre;
    int32_t n_tokens;
    const struct ley_string *token; // [n_tokens] as stored (byte-level tokens in printable form)
    const int8_t *type;             // [n_tokens] enum ley_token_type; NULL: all normal
    const float *score;             // [n_tokens] LEY_VOCAB_SPM_BPE; otherwise NULL
    int32_t n_merges;
    const struct ley_string *merge;  // [n_merges] "left right", best first; with LEY_VOCAB_SPM_BPE
                                     // optional, and then they decide instead of the scores
    int32_t bos, eos, unknown;       // ids, -1: none
    bool adds_bos, adds_eos;         // by default, around an encoded text
    bool adds_space_prefix;          // LEY_VOCAB_SPM_BPE: a space before the text
    bool ignores_merges;             // a piece that is a token is taken whole (Llama-3)
    struct ley_string chat_template; // n = 0: none
};

#ifdef __cplusplus
}
#endif
