// model_info.c - what there is to say about a model file
//
// Counts are of the weights as the model uses them, by the places noted at opening; a tied output
// counts once. Bytes are those of the stored form.
#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf_names_impl.h"
#include "model/model_file_impl.h"

enum { MAX_TYPES = 16 };

// One number format and how much of the file it takes.
struct share {
    const struct ley_block_type *type;
    int n_tensors;
    double n_bytes;
};

// Sums over all weights; doubles, because JSON numbers are.
struct totals {
    double n_parameters, n_bytes;
    struct share share[MAX_TYPES];
    int n_types;
};

// Calls for every weight that the model has.
static void walk(struct ley_model_file *file,
                 void (*visit)(void *context, const struct ley_weight_info *info, int layer,
                               const struct ley_stored *stored),
                 void *context) {
    for (int weight = 0; weight < LEY_N_WEIGHTS; weight++) {
        struct ley_weight_info info = ley_weight_info(&file->config, (enum ley_weight)weight);
        int n_layers = info.is_per_layer ? file->config.n_layers : 1;
        for (int layer = 0; layer < n_layers; layer++) {
            const struct ley_stored *stored = ley_stored_at(file, (enum ley_weight)weight, layer);
            if (stored->data) {
                visit(context, &info, layer, stored);
            }
        }
    }
}

// Blocks are spread evenly: a part of a fused tensor counts as its part.
static double bytes_of(const struct ley_weight_info *info, const struct ley_stored *stored) {
    return (double)info->n_rows * (double)info->n_columns * stored->type->n_bytes /
           stored->type->n_weights;
}

// A visitor: adds one weight to the sums and to the share of its format.
static void add_total(void *context, const struct ley_weight_info *info, int layer,
                      const struct ley_stored *stored) {
    (void)layer;
    // One entry for each format met, in the order of meeting; sorted later.
    struct totals *totals = context;
    int i = 0;
    while (i < totals->n_types && totals->share[i].type != stored->type) {
        i++;
    }
    if (i == MAX_TYPES) {
        return; // there are fewer formats
    }
    totals->n_types += i == totals->n_types;
    totals->share[i].type = stored->type;
    totals->share[i].n_tensors++;
    totals->share[i].n_bytes += bytes_of(info, stored);
    totals->n_bytes += bytes_of(info, stored);
    totals->n_parameters += (double)info->n_rows * (double)info->n_columns;
}

// A visitor: one row of the list; names in lower case, as weight.def spells them otherwise.
static void add_tensor(void *context, const struct ley_weight_info *info, int layer,
                       const struct ley_stored *stored) {
    struct cJSON *row = cJSON_CreateObject();
    char name[64];
    size_t i = 0;
    // tolower byte by byte: names are ASCII.
    for (; info->name[i] && i < sizeof name - 1; i++) {
        name[i] = (char)tolower((unsigned char)info->name[i]);
    }
    name[i] = '\0';
    cJSON_AddStringToObject(row, "weight", name);
    if (info->is_per_layer) {
        cJSON_AddNumberToObject(row, "layer", layer);
    }
    cJSON_AddNumberToObject(row, "rows", (double)info->n_rows);
    cJSON_AddNumberToObject(row, "columns", (double)info->n_columns);
    cJSON_AddStringToObject(row, "type", stored->type->name);
    cJSON_AddNumberToObject(row, "bytes", bytes_of(info, stored));
    cJSON_AddItemToArray(context, row);
}

// Largest first.
static int compare_shares(const void *a, const void *b) {
    double x = ((const struct share *)a)->n_bytes, y = ((const struct share *)b)->n_bytes;
    return (x < y) - (x > y);
}

// Shares add up to 1 over the formats.
static void add_types(struct cJSON *root, struct totals *totals) {
    struct cJSON *list = cJSON_AddArrayToObject(root, "types");
    qsort(totals->share, (size_t)totals->n_types, sizeof totals->share[0], compare_shares);
    for (int i = 0; i < totals->n_types; i++) {
        const struct share *share = &totals->share[i];
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "type", share->type->name);
        cJSON_AddNumberToObject(row, "tensors", share->n_tensors);
        cJSON_AddNumberToObject(row, "bytes", share->n_bytes);
        cJSON_AddNumberToObject(row, "share", share->n_bytes / totals->n_bytes);
        cJSON_AddItemToArray(list, row);
    }
}

// Sizes as doubles, because JSON numbers are; zero is a value here, not an absence.
static void add_shape(struct cJSON *root, const struct ley_model_config *c) {
    static const char *const activations[] = {
        [LEY_GELU_TANH] = "gelu (tanh form)", [LEY_GELU_ERF] = "gelu", [LEY_SWIGLU] = "swiglu"};
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"layers", c->n_layers},     {"width", c->d_model},       {"heads", c->n_heads},
        {"kv_heads", c->n_kv_heads}, {"head_width", c->head_dim}, {"ff_width", c->d_ff},
        {"vocabulary", c->n_vocab},  {"context", c->n_context},   {"norm_eps", c->norm_eps}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        cJSON_AddNumberToObject(root, numbers[i].key, numbers[i].value);
    }
    cJSON_AddStringToObject(root, "activation", activations[c->activation]);
}

// Only where positions are turned.
static void add_rope(struct cJSON *root, struct ley_model_file *file) {
    const struct ley_model_config *c = &file->config;
    if (c->family != LEY_FAMILY_LLAMA) {
        return;
    }
    struct cJSON *rope = cJSON_AddObjectToObject(root, "rope");
    cJSON_AddNumberToObject(rope, "base", c->rope_base);
    cJSON_AddNumberToObject(rope, "width", c->rope_dim);
    cJSON_AddStringToObject(rope, "layout", c->rope_layout == LEY_ROPE_PAIRS ? "pairs" : "halves");
    cJSON_AddBoolToObject(rope, "has_factors",
                          ley_stored_at(file, LEY_WEIGHT_ROPE_FACTORS, 0)->data != NULL);
}

// What running takes, in bytes: f32 and bf16 weights, and the cache of one token in half precision.
static void add_memory(struct cJSON *root, const struct ley_model_config *c, double n_parameters) {
    cJSON_AddNumberToObject(root, "bytes_as_f32", 4 * n_parameters);
    cJSON_AddNumberToObject(root, "bytes_as_bf16", 2 * n_parameters);
    // Two matrices (K and V), two bytes a value.
    cJSON_AddNumberToObject(root, "kv_bytes_per_token_f16",
                            2.0 * 2 * c->n_layers * c->n_kv_heads * c->head_dim);
}

// cJSON wants a terminator.
void model_info_add_text(struct cJSON *object, const char *key, struct ley_string text) {
    char *copy = malloc(text.n + 1);
    if (copy) {
        if (text.n > 0) {
            memcpy(copy, text.text, text.n);
        }
        copy[text.n] = '\0';
        cJSON_AddStringToObject(object, key, copy);
        free(copy);
    }
}

// null where the model has no such token.
static void add_token(struct cJSON *object, const char *key, const struct ley_vocab *vocab,
                      int32_t id) {
    if (id < 0) {
        cJSON_AddNullToObject(object, key);
        return;
    }
    struct cJSON *token = cJSON_AddObjectToObject(object, key);
    cJSON_AddNumberToObject(token, "id", id);
    model_info_add_text(token, "text", vocab->token[id]);
}

// A vocabulary that cannot be read is reported, not a failure: the rest is still worth seeing.
static void add_vocab(struct cJSON *root, struct ley_model_file *file) {
    struct ley_vocab vocab;
    if (ley_model_file_vocab(file, &vocab) != LEY_OK) {
        cJSON_AddNullToObject(root, "tokenizer");
        cJSON_AddStringToObject(root, "tokenizer_problem", ley_error_text());
        return;
    }
    struct cJSON *t = cJSON_AddObjectToObject(root, "tokenizer");
    bool is_spm = vocab.kind == LEY_VOCAB_SPM_BPE;
    cJSON_AddStringToObject(t, "kind", is_spm ? "SentencePiece BPE" : "byte-level BPE");
    if (!is_spm) {
        cJSON_AddStringToObject(t, "pre", gguf_pre_name(vocab.pre));
    }
    cJSON_AddNumberToObject(t, "tokens", vocab.n_tokens);
    cJSON_AddNumberToObject(t, "merges", vocab.n_merges);
    add_token(t, "bos", &vocab, vocab.bos);
    add_token(t, "eos", &vocab, vocab.eos);
    add_token(t, "unknown", &vocab, vocab.unknown);
    cJSON_AddBoolToObject(t, "adds_bos", vocab.adds_bos);
    cJSON_AddBoolToObject(t, "adds_eos", vocab.adds_eos);
    cJSON_AddBoolToObject(t, "adds_space_prefix", vocab.adds_space_prefix);
    cJSON_AddBoolToObject(t, "has_chat_template", vocab.chat_template.n > 0);
}

// What the file carries for analog attention: scalers and the chip they were made for.
static void add_leyden(struct cJSON *root, const struct ley_model_file *file) {
    struct ley_string hardware = ley_model_file_hardware(file);
    bool has_scalers = scaler_keys_exist(&file->gguf);
    cJSON_AddStringToObject(root, "scalers",
                            has_scalers ? ley_model_file_scaler_origin(file) : "none");
    if (hardware.n > 0) {
        model_info_add_text(root, "hardware", hardware);
    }
}

// All maps together: a sharded model is several files.
static void add_file(struct cJSON *root, const struct ley_model_file *file) {
    double n_bytes = 0;
    char format[64] = "safetensors";
    for (int i = 0; i < file->n_maps; i++) {
        n_bytes += (double)file->map[i].n_bytes;
    }
    if (file->is_gguf) {
        snprintf(format, sizeof format, "GGUF version %u", (unsigned)file->gguf.version);
    }
    cJSON_AddStringToObject(root, "path", file->path);
    cJSON_AddStringToObject(root, "format", format);
    cJSON_AddNumberToObject(root, "file_bytes", n_bytes);
}

// The order of keys is the order in which people read them. NULL only when not even the root could
// be made; what fails later leaves its member out.
struct cJSON *ley_model_file_json(struct ley_model_file *file, bool with_tensors) {
    struct totals totals = {.n_types = 0};
    struct cJSON *root = cJSON_CreateObject();
    if (!root) {
        return NULL;
    }
    walk(file, add_total, &totals);
    cJSON_AddStringToObject(root, "name", file->config.name);
    cJSON_AddStringToObject(root, "architecture",
                            file->config.family == LEY_FAMILY_GPT2 ? "gpt2" : "llama");
    add_file(root, file);
    cJSON_AddNumberToObject(root, "parameters", totals.n_parameters);
    add_types(root, &totals);
    add_shape(root, &file->config);
    add_rope(root, file);
    cJSON_AddBoolToObject(root, "is_tied", !ley_stored_at(file, LEY_WEIGHT_OUTPUT, 0)->data);
    add_memory(root, &file->config, totals.n_parameters);
    add_vocab(root, file);
    add_leyden(root, file);
    if (with_tensors) {
        walk(file, add_tensor, cJSON_AddArrayToObject(root, "tensors"));
    }
    return root;
}
