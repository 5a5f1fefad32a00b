// hf_vocab_write.c - a byte-level BPE vocabulary as a tokenizer.json
//
// Written with cJSON, which reports a lack of memory by NULL and takes NULL for any part; the one
// check is at the end. Texts are not zero-terminated, so each is copied first.
#include <cjson/cJSON.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "model/hf_vocab.h"

struct writer {
    const struct ley_vocab *vocab;
    char *text; // room for the longest text
    bool is_whole;
};

static const char *text_of(struct writer *writer, struct ley_string string) {
    memcpy(writer->text, string.text, string.n);
    writer->text[string.n] = '\0';
    return writer->text;
}

// Adds `part` to `whole`, as a member where it has a name.
static void put(struct writer *writer, cJSON *whole, const char *name, cJSON *part) {
    bool is_in = part && (name ? cJSON_AddItemToObject(whole, name, part)
                               : cJSON_AddItemToArray(whole, part));
    if (!is_in) {
        cJSON_Delete(part);
        writer->is_whole = false;
    }
}

static bool is_added(const struct ley_vocab *vocab, int32_t id) {
    return vocab->type &&
           (vocab->type[id] == LEY_TOKEN_CONTROL || vocab->type[id] == LEY_TOKEN_USER_DEFINED);
}

static cJSON *make_added(struct writer *writer) {
    const struct ley_vocab *vocab = writer->vocab;
    cJSON *list = cJSON_CreateArray();
    for (int32_t id = 0; list && id < vocab->n_tokens; id++) {
        if (is_added(vocab, id)) {
            cJSON *token = cJSON_CreateObject();
            bool is_special = vocab->type[id] == LEY_TOKEN_CONTROL;
            put(writer, token, "id", cJSON_CreateNumber(id));
            put(writer, token, "content", cJSON_CreateString(text_of(writer, vocab->token[id])));
            put(writer, token, "single_word", cJSON_CreateFalse());
            put(writer, token, "lstrip", cJSON_CreateFalse());
            put(writer, token, "rstrip", cJSON_CreateFalse());
            put(writer, token, "normalized", cJSON_CreateFalse());
            put(writer, token, "special", cJSON_CreateBool(is_special));
            put(writer, list, NULL, token);
        }
    }
    return list;
}

// The same for cutting and for putting together again.
static cJSON *make_byte_level(struct writer *writer) {
    cJSON *part = cJSON_CreateObject();
    put(writer, part, "type", cJSON_CreateString("ByteLevel"));
    put(writer, part, "add_prefix_space", cJSON_CreateFalse());
    put(writer, part, "trim_offsets", cJSON_CreateTrue());
    put(writer, part, "use_regex", cJSON_CreateTrue());
    return part;
}

static cJSON *make_model(struct writer *writer) {
    const struct ley_vocab *vocab = writer->vocab;
    cJSON *model = cJSON_CreateObject(), *tokens = cJSON_CreateObject();
    cJSON *merges = cJSON_CreateArray();
    for (int32_t id = 0; tokens && id < vocab->n_tokens; id++) {
        if (vocab->token[id].n > 0) {
            put(writer, tokens, text_of(writer, vocab->token[id]), cJSON_CreateNumber(id));
        }
    }
    for (int32_t i = 0; merges && i < vocab->n_merges; i++) {
        put(writer, merges, NULL, cJSON_CreateString(text_of(writer, vocab->merge[i])));
    }
    put(writer, model, "type", cJSON_CreateString("BPE"));
    put(writer, model, "dropout", cJSON_CreateNull());
    put(writer, model, "unk_token", cJSON_CreateNull());
    put(writer, model, "continuing_subword_prefix", cJSON_CreateNull());
    put(writer, model, "end_of_word_suffix", cJSON_CreateNull());
    put(writer, model, "fuse_unk", cJSON_CreateFalse());
    put(writer, model, "byte_fallback", cJSON_CreateFalse());
    put(writer, model, "ignore_merges", cJSON_CreateBool(vocab->ignores_merges));
    put(writer, model, "vocab", tokens);
    put(writer, model, "merges", merges);
    return model;
}

static cJSON *make(struct writer *writer) {
    cJSON *root = cJSON_CreateObject();
    put(writer, root, "version", cJSON_CreateString("1.0"));
    put(writer, root, "truncation", cJSON_CreateNull());
    put(writer, root, "padding", cJSON_CreateNull());
    put(writer, root, "added_tokens", make_added(writer));
    put(writer, root, "normalizer", cJSON_CreateNull());
    put(writer, root, "pre_tokenizer", make_byte_level(writer));
    put(writer, root, "post_processor", cJSON_CreateNull());
    put(writer, root, "decoder", make_byte_level(writer));
    put(writer, root, "model", make_model(writer));
    return root;
}

static size_t longest_text(const struct ley_vocab *vocab) {
    size_t longest = 0;
    for (int32_t i = 0; i < vocab->n_tokens; i++) {
        longest = vocab->token[i].n > longest ? vocab->token[i].n : longest;
    }
    for (int32_t i = 0; i < vocab->n_merges; i++) {
        longest = vocab->merge[i].n > longest ? vocab->merge[i].n : longest;
    }
    return longest;
}

enum ley_status ley_hf_vocab_write(const char *path, const struct ley_vocab *vocab) {
    struct writer writer = {.vocab = vocab, .is_whole = true};
    if (vocab->kind != LEY_VOCAB_BYTE_BPE || vocab->pre != LEY_PRE_GPT2) {
        return ley_fail(LEY_E_ARGUMENT, "only byte-level BPE with GPT-2's pre-tokenizer can be "
                                        "written as a tokenizer.json");
    }
    size_t n_text = longest_text(vocab) + 1;
    writer.text = ley_alloc(n_text, 1);
    if (!writer.text) {
        return ley_fail_memory("texts of tokens", n_text, 1);
    }
    cJSON *root = make(&writer);
    char *text = root && writer.is_whole ? cJSON_Print(root) : NULL;
    enum ley_status status =
        text ? ley_file_write(path, text, strlen(text)) : ley_fail_memory("tokenizer.json", 1, 1);
    cJSON_free(text);
    cJSON_Delete(root);
    ley_free(writer.text);
    return status;
}
