// hf_vocab.h - the vocabulary of a Hugging Face folder.
//
// Known are tokenizer.json with a BPE model (byte-level with the pre-tokenizers of GPT-2, SmolLM
// and Llama-3, or SentencePiece-style as of Llama-2), and vocab.json with merges.txt, also under
// OpenAI's names encoder.json and vocab.bpe. What the start and the end of a text are comes from
// tokenizer_config.json, config.json and generation_config.json where these are present.
//
// Not followed: lstrip, rstrip and single_word of added tokens; and a Metaspace pre-tokenizer's
// rules to put no space before a text that begins with one, or only before the first stretch.
#pragma once
#include "core/status.h"
#include "model/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

// A vocabulary and the memory behind it.
struct ley_hf_vocab;

// The texts of a folder's files; n = 0: absent.
struct ley_hf_files {
    struct ley_string tokenizer;         // tokenizer.json
    struct ley_string vocab, merges;     // vocab.json, merges.txt; used without tokenizer.json
    struct ley_string tokenizer_config;  // tokenizer_config.json
    struct ley_string config;            // config.json
    struct ley_string generation_config; // generation_config.json
    struct ley_string chat_template;     // chat_template.jinja
};

// Reads the vocabulary of folder `path`, or of that file, a tokenizer.json under any name. Fails
// with LEY_E_IO when there is none, with LEY_E_FORMAT when it is damaged or of a kind that Leyden
// does not know.
LEY_MUST_CHECK enum ley_status ley_hf_vocab_load(struct ley_hf_vocab **out, const char *path);

// Same, from texts in memory, which are not needed afterwards.
LEY_MUST_CHECK enum ley_status ley_hf_vocab_read(struct ley_hf_vocab **out,
                                                 const struct ley_hf_files *files);

// NULL is accepted.
void ley_hf_vocab_destroy(struct ley_hf_vocab *hf);

// The vocabulary; valid until the destruction.
const struct ley_vocab *ley_hf_vocab_get(const struct ley_hf_vocab *hf);

// Writes a byte-level BPE vocabulary with GPT-2's pre-tokenizer as a tokenizer.json, all or
// nothing. Control and user-defined tokens become added tokens. Ids with an empty text are left
// out.
LEY_MUST_CHECK enum ley_status ley_hf_vocab_write(const char *path, const struct ley_vocab *vocab);

#ifdef __cplusplus
}
#endif
