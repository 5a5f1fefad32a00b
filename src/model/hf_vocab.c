// hf_vocab.c - tokenizer.json, or vocab.json with merges.txt, to a struct ley_vocab
//
// Steps: (1) tokens into their places, (2) merges, (3) for SentencePiece vocabularies a score per
// token from the rank of its merge, for readers that know scores only, (4) what starts and ends a
// text, (5) the chat template. No text grows on the way, so one pool as large as the files holds
// them all; tables are sized by counted entries, never by a number in a file.
#include "model/hf_vocab.h"

#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "core/file.h"
#include "core/memory.h"
#include "model/hf_json_impl.h"
#include "model/string_map_impl.h"

enum { MAX_HOLES = 4096 }; // ids without a token
static const size_t max_file_bytes = (size_t)1 << 26;

// vocab is what the caller sees; its lists are those that follow, their texts lie in the pool.
struct ley_hf_vocab {
    struct ley_vocab vocab;
    struct ley_string *token, *merge;
    int8_t *type;
    float *score;
    char *pool;
    size_t n_pool, capacity;
    struct string_map map;
};

// Copies text to the pool.
static struct ley_string keep(struct ley_hf_vocab *hf, const char *text, size_t n) {
    LEY_ASSERT(n <= hf->capacity - hf->n_pool);
    struct ley_string kept = {hf->pool + hf->n_pool, n};
    memcpy(hf->pool + hf->n_pool, text, n);
    hf->n_pool += n;
    return kept;
}

// Id of a token, or -1.
static int32_t find(const struct ley_hf_vocab *hf, const char *text) {
    return string_map_find(&hf->map, (struct ley_string){text, strlen(text)});
}

// ---- tokens

// Largest id of an object {token: id} and the list of added tokens; checks every id.
static enum ley_status count_tokens(int32_t *n_tokens, const struct cJSON *tokens,
                                    const struct cJSON *added) {
    const struct cJSON *item;
    int64_t n = 0, largest = -1;
    cJSON_ArrayForEach(item, tokens) {
        int32_t id = hf_json_id(item);
        if (id < 0) {
            return ley_fail(LEY_E_FORMAT, "the vocabulary gives token '%.60s' no id", item->string);
        }
        largest = id > largest ? id : largest;
        n++;
    }
    cJSON_ArrayForEach(item, added) {
        int32_t id = hf_json_id(hf_json_get(item, "id"));
        if (id < 0 || !cJSON_IsString(hf_json_get(item, "content"))) {
            return ley_fail(LEY_E_FORMAT, "an added token lacks its id or content");
        }
        largest = id > largest ? id : largest;
        n++;
    }
    // The tables are as long as the largest id: without this bound one number could ask for 2^31
    // rows.
    if (n == 0 || largest >= n + MAX_HOLES) {
        return ley_fail(LEY_E_FORMAT, "the vocabulary has %lld tokens, but the largest id is %lld",
                        (long long)n, (long long)largest);
    }
    *n_tokens = (int32_t)largest + 1;
    return LEY_OK;
}

// "<0x0A>" and the like.
// sscanf reads two digits and then the bracket; the length keeps shorter and longer ones out.
static bool is_byte_token(const char *text) {
    unsigned value;
    char end;
    return strlen(text) == 6 && sscanf(text, "<0x%2X%c", &value, &end) == 2 && end == '>';
}

// Fills the places; an added token may repeat one of the vocabulary and then decides its type.
static enum ley_status add_tokens(struct ley_hf_vocab *hf, const struct cJSON *tokens,
                                  const struct cJSON *added) {
    const struct cJSON *item;
    cJSON_ArrayForEach(item, tokens) {
        if (hf->token[item->valueint].n > 0) {
            return ley_fail(LEY_E_FORMAT, "two tokens have the id %d", item->valueint);
        }
        bool is_byte = hf->vocab.kind == LEY_VOCAB_SPM_BPE && is_byte_token(item->string);
        hf->token[item->valueint] = keep(hf, item->string, strlen(item->string));
        hf->type[item->valueint] = is_byte ? LEY_TOKEN_BYTE : LEY_TOKEN_NORMAL;
    }
    // Later ones win; the map, made afterwards, finds the first id of equal texts.
    cJSON_ArrayForEach(item, added) {
        int32_t id = hf_json_id(hf_json_get(item, "id"));
        const char *content = hf_json_text(item, "content");
        hf->token[id] = keep(hf, content, strlen(content));
        hf->type[id] =
            hf_json_flag(item, "special", false) ? LEY_TOKEN_CONTROL : LEY_TOKEN_USER_DEFINED;
    }
    return LEY_OK;
}

// Tables first, then texts and types, then the map that finds ids by text.
static enum ley_status read_tokens(struct ley_hf_vocab *hf, const struct cJSON *tokens,
                                   const struct cJSON *added) {
    if (!cJSON_IsObject(tokens)) {
        return ley_fail(LEY_E_FORMAT, "the vocabulary is not an object of tokens and ids");
    }
    added = cJSON_IsArray(added) ? added : NULL;
    LEY_TRY(count_tokens(&hf->vocab.n_tokens, tokens, added));
    size_t n = (size_t)hf->vocab.n_tokens;
    hf->token = ley_alloc(n, sizeof *hf->token);
    hf->type = ley_alloc(n, sizeof *hf->type);
    hf->score = ley_alloc(n, sizeof *hf->score);
    if (!hf->token || !hf->type || !hf->score) {
        return ley_fail_memory("tokens", n, sizeof *hf->token);
    }
    // Ids that nobody names stay unused, with an empty text.
    memset(hf->type, LEY_TOKEN_UNUSED, n);
    LEY_TRY(add_tokens(hf, tokens, added));
    LEY_TRY(string_map_create(&hf->map, hf->token, n));
    for (int32_t id = 0; id < hf->vocab.n_tokens; id++) {
        // Equal texts: the map keeps the lower id.
        string_map_insert(&hf->map, id);
    }
    hf->vocab.token = hf->token;
    hf->vocab.type = hf->type;
    return LEY_OK;
}

// ---- merges

// A table for `most` merges; n_merges counts those read.
static enum ley_status alloc_merges(struct ley_hf_vocab *hf, size_t most) {
    hf->merge = ley_alloc(most, sizeof *hf->merge);
    hf->vocab.merge = hf->merge;
    return hf->merge ? LEY_OK : ley_fail_memory("merges", most, sizeof *hf->merge);
}

// Merges of tokenizer.json: "left right", or since 2024 ["left", "right"].
static enum ley_status read_merges(struct ley_hf_vocab *hf, const struct cJSON *merges) {
    LEY_TRY(alloc_merges(hf, (size_t)cJSON_GetArraySize(merges)));
    const struct cJSON *item;
    cJSON_ArrayForEach(item, merges) {
        const char *left = cJSON_GetStringValue(cJSON_IsArray(item) ? item->child : item);
        const char *right =
            cJSON_IsArray(item) && item->child ? cJSON_GetStringValue(item->child->next) : "";
        // A space inside the left part would move the border when "left right" is cut at its first
        // space.
        if (!left || !right || (right[0] != '\0' && strchr(left, ' '))) {
            return ley_fail(LEY_E_FORMAT, "merge %d is not a pair of tokens", hf->vocab.n_merges);
        }
        struct ley_string merge = keep(hf, left, strlen(left));
        if (right[0] != '\0') {
            keep(hf, " ", 1);
            merge.n += 1 + keep(hf, right, strlen(right)).n;
        }
        hf->merge[hf->vocab.n_merges++] = merge;
    }
    return LEY_OK;
}

// Merges of merges.txt: one a line, after a line that begins with #version.
static enum ley_status read_merge_lines(struct ley_hf_vocab *hf, struct ley_string text) {
    size_t n_lines = 1;
    for (size_t i = 0; i < text.n; i++) {
        n_lines += text.text[i] == '\n';
    }
    LEY_TRY(alloc_merges(hf, n_lines));
    // A last line without an end counts; empty lines do not.
    for (size_t at = 0, n; at < text.n; at += n + 1) {
        const char *line = text.text + at, *end = memchr(line, '\n', text.n - at);
        n = end ? (size_t)(end - line) : text.n - at;
        size_t n_text = n > 0 && line[n - 1] == '\r' ? n - 1 : n;
        if (n_text > 0 && !(at == 0 && n_text >= 8 && memcmp(line, "#version", 8) == 0)) {
            hf->merge[hf->vocab.n_merges++] = keep(hf, line, n_text);
        }
    }
    return LEY_OK;
}

// The earlier a token is made, the better its score; tokens that no merge makes come last.
static enum ley_status derive_scores(struct ley_hf_vocab *hf) {
    for (int32_t id = 0; id < hf->vocab.n_tokens; id++) {
        hf->score[id] = (float)-hf->vocab.n_merges - 1;
    }
    // From the last to the first, so that of two merges that make one token the earlier one counts.
    for (int32_t i = hf->vocab.n_merges - 1; i >= 0; i--) {
        struct ley_string merge = hf->merge[i];
        const char *space = memchr(merge.text, ' ', merge.n);
        char *joined = ley_alloc(merge.n + 1, 1);
        if (!joined) {
            return ley_fail_memory("merge", merge.n, 1);
        }
        size_t n_left = space ? (size_t)(space - merge.text) : merge.n;
        memcpy(joined, merge.text, n_left);
        if (space) {
            memcpy(joined + n_left, space + 1, merge.n - n_left - 1);
        }
        int32_t id = find(hf, joined);
        ley_free(joined);
        if (id >= 0) {
            hf->score[id] = (float)-i;
        }
    }
    hf->vocab.score = hf->score;
    return LEY_OK;
}

// ---- starts and ends of texts, chat template

// Id of a special token named in tokenizer_config.json, as text or as {"content": text}.
static int32_t named_token(const struct ley_hf_vocab *hf, const struct cJSON *config,
                           const char *key) {
    const char *text = hf_json_text(config, key);
    text = text[0] != '\0' ? text : hf_json_text(hf_json_get(config, key), "content");
    return text[0] != '\0' ? find(hf, text) : -1;
}

// Id in config.json, a number or a list of which the first counts.
static int32_t numbered_token(const struct ley_hf_vocab *hf, const struct cJSON *config,
                              const char *key) {
    const struct cJSON *item = hf_json_get(config, key);
    int32_t id = hf_json_id(cJSON_IsArray(item) ? item->child : item);
    return id < hf->vocab.n_tokens ? id : -1;
}

// bos and eos are control tokens, whatever the file calls them.
static void mark_control(struct ley_hf_vocab *hf, int32_t id) {
    if (id >= 0 && hf->type[id] != LEY_TOKEN_UNKNOWN) {
        hf->type[id] = LEY_TOKEN_CONTROL;
    }
}

// One of the configuration files. Of two files the first that names a token counts.
static enum ley_status read_ends(struct ley_hf_vocab *hf, struct ley_string text,
                                 const char *name) {
    struct cJSON *config;
    if (text.n == 0) {
        return LEY_OK;
    }
    LEY_TRY(hf_json_parse(&config, text, name));
    struct ley_vocab *vocab = &hf->vocab;
    const char *const keys[2][2] = {{"bos_token", "bos_token_id"}, {"eos_token", "eos_token_id"}};
    int32_t *const ids[] = {&vocab->bos, &vocab->eos};
    for (int i = 0; i < 2; i++) {
        // A name in the file wins over a number in it.
        int32_t named = *ids[i] < 0 ? named_token(hf, config, keys[i][0]) : *ids[i];
        *ids[i] = named < 0 ? numbered_token(hf, config, keys[i][1]) : named;
    }
    vocab->adds_bos = hf_json_flag(config, "add_bos_token", vocab->adds_bos);
    vocab->adds_eos = hf_json_flag(config, "add_eos_token", vocab->adds_eos);
    const struct cJSON *chat = hf_json_get(config, "chat_template"), *item;
    cJSON_ArrayForEach(item, chat) { // several named ones
        if (strcmp(hf_json_text(item, "name"), "default") == 0) {
            chat = hf_json_get(item, "template");
            break;
        }
    }
    if (cJSON_IsString(chat) && vocab->chat_template.n == 0) {
        vocab->chat_template = keep(hf, chat->valuestring, strlen(chat->valuestring));
    }
    cJSON_Delete(config);
    return LEY_OK;
}

// TemplateProcessing decides what is put around a text, if it is there.
static void read_post_processor(struct ley_hf_vocab *hf, const struct cJSON *processor) {
    const struct cJSON *part;
    for (int i = 0; (part = hf_json_part(processor, "processors", i)) != NULL; i++) {
        const struct cJSON *first = hf_json_get(part, "single"), *last;
        if (strcmp(hf_json_text(part, "type"), "TemplateProcessing") != 0 ||
            !cJSON_IsArray(first) || !first->child) {
            continue;
        }
        first = first->child;
        last = first->prev; // cJSON keeps the last item before the first
        int32_t bos = find(hf, hf_json_text(hf_json_get(first, "SpecialToken"), "id"));
        int32_t eos = find(hf, hf_json_text(hf_json_get(last, "SpecialToken"), "id"));
        hf->vocab.adds_bos = bos >= 0;
        hf->vocab.adds_eos = eos >= 0 && first != last;
        hf->vocab.bos = bos >= 0 ? bos : hf->vocab.bos;
        hf->vocab.eos = hf->vocab.adds_eos ? eos : hf->vocab.eos;
    }
}

// In the order of their authority.
static enum ley_status read_configs(struct ley_hf_vocab *hf, const struct ley_hf_files *files) {
    if (files->chat_template.n > 0) {
        hf->vocab.chat_template = keep(hf, files->chat_template.text, files->chat_template.n);
    }
    LEY_TRY(read_ends(hf, files->tokenizer_config, "tokenizer_config.json"));
    LEY_TRY(read_ends(hf, files->generation_config, "generation_config.json"));
    return read_ends(hf, files->config, "config.json");
}

// ---- files

// The model of tokenizer.json with the components around it.
static enum ley_status read_model(struct ley_hf_vocab *hf, const struct cJSON *root) {
    const struct cJSON *model = hf_json_get(root, "model");
    const char *type = hf_json_text(model, "type");
    struct hf_recipe recipe;
    // Other types (WordPiece, Unigram) join by other rules; old files name none and are BPE.
    if (!cJSON_IsObject(model) || (type[0] != '\0' && strcmp(type, "BPE") != 0)) {
        return ley_fail(LEY_E_FORMAT, "tokenizer.json: the model is of type '%.40s'; BPE is known",
                        type);
    }
    if (hf_json_text(model, "continuing_subword_prefix")[0] != '\0' ||
        hf_json_text(model, "end_of_word_suffix")[0] != '\0') {
        return ley_fail(LEY_E_FORMAT, "tokenizer.json: marks inside or after words are not known");
    }
    LEY_TRY(hf_json_recipe(&recipe, root));
    hf->vocab.kind = recipe.kind;
    hf->vocab.pre = recipe.pre;
    hf->vocab.adds_space_prefix = recipe.adds_space_prefix;
    hf->vocab.ignores_merges = hf_json_flag(model, "ignore_merges", false);
    LEY_TRY(read_tokens(hf, hf_json_get(model, "vocab"), hf_json_get(root, "added_tokens")));
    LEY_TRY(read_merges(hf, hf_json_get(model, "merges")));
    hf->vocab.unknown = find(hf, hf_json_text(model, "unk_token"));
    if (hf->vocab.unknown >= 0 && recipe.kind == LEY_VOCAB_SPM_BPE) {
        hf->type[hf->vocab.unknown] = LEY_TOKEN_UNKNOWN;
    }
    return recipe.kind == LEY_VOCAB_SPM_BPE ? derive_scores(hf) : LEY_OK;
}

// The post-processor comes last: it is what the reference really does.
// A text ends, and begins, with the token of GPT-2 where no file says otherwise.
static void end_as_gpt2(struct ley_hf_vocab *hf) {
    int32_t end = find(hf, "<|endoftext|>");
    if (end >= 0 && hf->vocab.kind == LEY_VOCAB_BYTE_BPE) {
        hf->vocab.bos = hf->vocab.bos < 0 ? end : hf->vocab.bos;
        hf->vocab.eos = hf->vocab.eos < 0 ? end : hf->vocab.eos;
    }
}

static enum ley_status read_tokenizer_json(struct ley_hf_vocab *hf,
                                           const struct ley_hf_files *files) {
    struct cJSON *root;
    LEY_TRY(hf_json_parse(&root, files->tokenizer, "tokenizer.json"));
    enum ley_status status = read_model(hf, root);
    if (status == LEY_OK) {
        status = read_configs(hf, files);
    }
    if (status == LEY_OK) {
        read_post_processor(hf, hf_json_get(root, "post_processor"));
    }
    if (status == LEY_OK && hf->vocab.bos < 0 && hf->vocab.eos < 0) {
        end_as_gpt2(hf);
    }
    cJSON_Delete(root);
    return status;
}

// GPT-2's own form, which knows one special token.
static enum ley_status read_vocab_json(struct ley_hf_vocab *hf, const struct ley_hf_files *files) {
    struct cJSON *root;
    LEY_TRY(hf_json_parse(&root, files->vocab, "vocab.json"));
    hf->vocab.kind = LEY_VOCAB_BYTE_BPE;
    hf->vocab.pre = LEY_PRE_GPT2;
    enum ley_status status = read_tokens(hf, root, NULL);
    cJSON_Delete(root);
    LEY_TRY(status);
    LEY_TRY(read_merge_lines(hf, files->merges));
    LEY_TRY(read_configs(hf, files));
    mark_control(hf, find(hf, "<|endoftext|>")); // the only special token
    end_as_gpt2(hf);
    return LEY_OK;
}

// Texts in the pool are copies, so the files may go afterwards.
enum ley_status ley_hf_vocab_read(struct ley_hf_vocab **out, const struct ley_hf_files *files) {
    *out = NULL;
    struct ley_hf_vocab *hf = ley_alloc(1, sizeof *hf);
    // Text in JSON is never shorter than what it stands for, so the sum of the files is room
    // enough.
    size_t capacity = files->tokenizer.n + files->vocab.n + files->merges.n +
                      files->tokenizer_config.n + files->config.n + files->generation_config.n +
                      files->chat_template.n;
    char *pool = ley_alloc(capacity, 1);
    if (!hf || !pool) {
        ley_free(hf);
        ley_free(pool);
        return ley_fail_memory("vocabulary", capacity, 1);
    }
    hf->pool = pool;
    hf->capacity = capacity;
    hf->vocab.bos = hf->vocab.eos = hf->vocab.unknown = -1;
    enum ley_status status =
        files->tokenizer.n > 0 ? read_tokenizer_json(hf, files) : read_vocab_json(hf, files);
    if (status != LEY_OK) {
        ley_hf_vocab_destroy(hf);
        return status;
    }
    // Last, when both are known from whichever file.
    mark_control(hf, hf->vocab.bos);
    mark_control(hf, hf->vocab.eos);
    *out = hf;
    return LEY_OK;
}

// A half-read vocabulary is accepted: what was not made is NULL.
void ley_hf_vocab_destroy(struct ley_hf_vocab *hf) {
    if (hf) {
        string_map_destroy(&hf->map);
        ley_free(hf->token);
        ley_free(hf->merge);
        ley_free(hf->type);
        ley_free(hf->score);
        ley_free(hf->pool);
        ley_free(hf);
    }
}

const struct ley_vocab *ley_hf_vocab_get(const struct ley_hf_vocab *hf) {
    return &hf->vocab;
}

// ---- folders

// Reads folder/name; an absent file is n = 0.
static enum ley_status read_optional(struct ley_string *text, const char *folder,
                                     const char *name) {
    char path[4096], *bytes;
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    // A file that was read already under another name is not read again.
    if (text->n > 0 || n < 0 || (size_t)n >= sizeof path || !ley_file_exists(path)) {
        return LEY_OK;
    }
    size_t n_bytes;
    LEY_TRY(ley_file_read(&bytes, &n_bytes, path, max_file_bytes));
    ley_free((void *)text->text); // an empty file read before
    *text = (struct ley_string){bytes, n_bytes};
    return LEY_OK;
}

// One file alone, or the files of a folder, where a tokenizer.json makes vocab.json and merges.txt
// superfluous.
static enum ley_status load_files(struct ley_hf_files *files, const char *folder) {
    if (hf_is_json_path(folder)) {
        char *bytes;
        size_t n_bytes;
        LEY_TRY(ley_file_read(&bytes, &n_bytes, folder, max_file_bytes));
        files->tokenizer = (struct ley_string){bytes, n_bytes};
        return LEY_OK;
    }
    LEY_TRY(read_optional(&files->tokenizer, folder, "tokenizer.json"));
    if (files->tokenizer.n == 0) {
        LEY_TRY(read_optional(&files->vocab, folder, "vocab.json"));
        LEY_TRY(read_optional(&files->vocab, folder, "encoder.json"));
        LEY_TRY(read_optional(&files->merges, folder, "merges.txt"));
        LEY_TRY(read_optional(&files->merges, folder, "vocab.bpe"));
        if (files->vocab.n == 0 || files->merges.n == 0) {
            return ley_fail(LEY_E_IO, "no tokenizer.json, nor vocab.json with merges.txt, nor "
                                      "encoder.json with vocab.bpe");
        }
    }
    LEY_TRY(read_optional(&files->tokenizer_config, folder, "tokenizer_config.json"));
    LEY_TRY(read_optional(&files->config, folder, "config.json"));
    LEY_TRY(read_optional(&files->generation_config, folder, "generation_config.json"));
    return read_optional(&files->chat_template, folder, "chat_template.jinja");
}

// Files are read whole, copied from and freed: nothing stays mapped.
enum ley_status ley_hf_vocab_load(struct ley_hf_vocab **out, const char *path) {
    struct ley_hf_files files = {.tokenizer = {NULL, 0}};
    *out = NULL;
    enum ley_status status = load_files(&files, path);
    if (status == LEY_OK) {
        status = ley_hf_vocab_read(out, &files);
    }
    // Texts were copied by ley_hf_vocab_read, so the files go in any case.
    const struct ley_string *text[] = {&files.tokenizer,    &files.vocab,
                                       &files.merges,       &files.tokenizer_config,
                                       &files.config,       &files.generation_config,
                                       &files.chat_template};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        ley_free((void *)text[i]->text);
    }
    return status == LEY_OK ? LEY_OK : ley_fail_within(status, path);
}
