// convert_gguf.c - a model as a GGUF file
//
// Steps: (1) metadata: copied from a GGUF file, or written from the configuration and the
// vocabulary; (2) a list of the tensors to come, by the table of names; (3) the writer asks for one
// after another.
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "model/convert_impl.h"
#include "model/gguf_names_impl.h"
#include "model/gguf_write.h"
#include "model/model_file_impl.h"

// One tensor to come: a weight, or q, k and v of gpt2 one after another.
struct item {
    enum ley_weight weight[3];
    int n_weights, layer;
    char name[GGUF_NAME_BYTES];
};

// The writer's list of tensors and beside it where each comes from: same index, same length.
struct plan {
    struct convert_input input;
    struct item *item;              // [n] beside
    struct ley_gguf_tensor *tensor; // [n]
    size_t n;
};

// ---- metadata

// Keys are not zero-terminated: compare by length.
static bool has_prefix(const struct ley_gguf_pair *pair, const char *prefix) {
    size_t n = strlen(prefix);
    return pair->key.n >= n && memcmp(pair->key.text, prefix, n) == 0;
}

// The whole key, not a prefix.
static bool is_key(const struct ley_gguf_pair *pair, const char *key) {
    return pair->key.n == strlen(key) && has_prefix(pair, key);
}

// What is true of the new file too: not what speaks of its own bytes or is written from the config.
static bool is_copied(const struct ley_gguf_pair *pair) {
    static const char *const own[] = {"general.architecture", "general.alignment",
                                      "general.file_type", "general.quantization_version",
                                      GGUF_KEY_ACTIVATION};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (is_key(pair, own[i])) {
            return false;
        }
    }
    return has_prefix(pair, "general.") || has_prefix(pair, "tokenizer.") ||
           has_prefix(pair, "leyden.");
}

// Borrows a zero-terminated text.
static struct ley_string string_of(const char *text) {
    return (struct ley_string){text, strlen(text)};
}

// A size under "<architecture>.<key>", as a 32-bit number: config checks keep it in range.
static void add_size(struct ley_gguf_builder *builder, const char *architecture, const char *key,
                     int value) {
    char name[128];
    snprintf(name, sizeof name, "%s.%s", architecture, key);
    ley_gguf_add_u32(builder, name, (uint32_t)value);
}

// Keys by the names that gguf_model.c reads back. Head widths are written only where they are not
// model width / heads, since older readers know no such keys.
static void add_config(struct ley_gguf_builder *builder, const struct ley_model_config *c) {
    bool is_gpt2 = c->family == LEY_FAMILY_GPT2;
    const char *arch = is_gpt2 ? "gpt2" : "llama";
    ley_gguf_add_string(builder, "general.architecture", string_of(arch));
    add_size(builder, arch, "block_count", c->n_layers);
    add_size(builder, arch, "context_length", c->n_context);
    add_size(builder, arch, "embedding_length", c->d_model);
    add_size(builder, arch, "feed_forward_length", c->d_ff);
    add_size(builder, arch, "attention.head_count", c->n_heads);
    add_size(builder, arch, "attention.head_count_kv", c->n_kv_heads);
    add_size(builder, arch, "vocab_size", c->n_vocab);
    if (c->head_dim * c->n_heads != c->d_model) {
        add_size(builder, arch, "attention.key_length", c->head_dim);
        add_size(builder, arch, "attention.value_length", c->head_dim);
    }
    if (is_gpt2) {
        ley_gguf_add_f32(builder, "gpt2.attention.layer_norm_epsilon", (float)c->norm_eps);
        if (c->activation == LEY_GELU_ERF) {
            ley_gguf_add_string(builder, GGUF_KEY_ACTIVATION, string_of("gelu_erf"));
        }
    } else {
        ley_gguf_add_f32(builder, "llama.attention.layer_norm_rms_epsilon", (float)c->norm_eps);
        add_size(builder, arch, "rope.dimension_count", c->rope_dim);
        ley_gguf_add_f32(builder, "llama.rope.freq_base", (float)c->rope_base);
    }
}

// An id that the model lacks (-1) is left out: the keys are unsigned.
static void add_id(struct ley_gguf_builder *builder, const char *key, int32_t id) {
    if (id >= 0) {
        ley_gguf_add_u32(builder, key, (uint32_t)id);
    }
}

// One type for each token; a vocabulary without types has only normal ones.
static enum ley_status add_token_types(struct ley_gguf_builder *builder,
                                       const struct ley_vocab *vocab) {
    size_t n = (size_t)vocab->n_tokens;
    int32_t *types = ley_alloc(n, sizeof *types);
    if (!types) {
        return ley_fail_memory("types of tokens", n, sizeof *types);
    }
    for (size_t i = 0; i < n; i++) {
        types[i] = vocab->type ? vocab->type[i] : LEY_TOKEN_NORMAL;
    }
    ley_gguf_add_i32_array(builder, "tokenizer.ggml.token_type", types, n);
    ley_free(types);
    return LEY_OK;
}

// From a folder's tokenizer; a GGUF file's own tokenizer keys are copied instead.
static enum ley_status add_vocab(struct ley_gguf_builder *builder, const struct ley_vocab *vocab) {
    bool is_spm = vocab->kind == LEY_VOCAB_SPM_BPE;
    size_t n = (size_t)vocab->n_tokens;
    ley_gguf_add_string(builder, "tokenizer.ggml.model", string_of(is_spm ? "llama" : "gpt2"));
    ley_gguf_add_string(builder, "tokenizer.ggml.pre",
                        string_of(is_spm ? "default" : gguf_pre_name(vocab->pre)));
    ley_gguf_add_strings(builder, "tokenizer.ggml.tokens", vocab->token, n);
    LEY_TRY(add_token_types(builder, vocab));
    if (vocab->score) {
        ley_gguf_add_f32_array(builder, "tokenizer.ggml.scores", vocab->score, n);
    }
    if (vocab->n_merges > 0) {
        ley_gguf_add_strings(builder, "tokenizer.ggml.merges", vocab->merge,
                             (size_t)vocab->n_merges);
    }
    add_id(builder, "tokenizer.ggml.bos_token_id", vocab->bos);
    add_id(builder, "tokenizer.ggml.eos_token_id", vocab->eos);
    add_id(builder, "tokenizer.ggml.unknown_token_id", vocab->unknown);
    ley_gguf_add_bool(builder, "tokenizer.ggml.add_bos_token", vocab->adds_bos);
    ley_gguf_add_bool(builder, "tokenizer.ggml.add_eos_token", vocab->adds_eos);
    ley_gguf_add_bool(builder, "tokenizer.ggml.add_space_prefix", vocab->adds_space_prefix);
    ley_gguf_add_bool(builder, GGUF_KEY_IGNORES_MERGES, vocab->ignores_merges);
    if (vocab->chat_template.n > 0) {
        ley_gguf_add_string(builder, "tokenizer.chat_template", vocab->chat_template);
    }
    return LEY_OK;
}

// The number that names the main format of a file's matrices.
static uint32_t file_type(const struct ley_block_type *type) {
    return type->id == LEY_BLOCK_Q8_0 ? 7 : type->id == LEY_BLOCK_BF16 ? 32 : type->id;
}

// The order of pairs has no meaning for readers. Keys that are written must not be copied too
// (is_copied): a key given twice is refused on reading.
static enum ley_status add_metadata(struct ley_gguf_builder *builder,
                                    const struct ley_model_file *file,
                                    const struct ley_block_type *type,
                                    const struct ley_vocab *vocab) {
    bool has_new_scalers = file->update.keys.set.n_layers > 0;
    add_config(builder, &file->config);
    ley_gguf_add_u32(builder, "general.file_type", file_type(type));
    ley_gguf_add_u32(builder, "general.quantization_version", 2);
    // (1) the configuration, (2) what describes this very file, (3) what the input says beyond both
    for (uint64_t i = 0; i < file->gguf.n_pairs; i++) {
        const struct ley_gguf_pair *pair = &file->gguf.pair[i];
        if (is_copied(pair) && !(has_new_scalers && scaler_keys_own(pair))) {
            ley_gguf_add_pair(builder, pair);
        }
    }
    if (has_new_scalers) {
        LEY_TRY(scaler_keys_add(builder, &file->update.keys));
    }
    // A GGUF file's own name and tokenizer were copied above; a folder's are written here.
    if (!file->is_gguf && file->config.name[0]) {
        ley_gguf_add_string(builder, "general.name", string_of(file->config.name));
    }
    return !file->is_gguf && vocab ? add_vocab(builder, vocab) : LEY_OK;
}

// ---- tensors

// gpt2 keeps q, k and v together when they are equally large.
static bool is_fused(const struct ley_model_config *config, enum ley_weight weight) {
    bool is_qkv = weight == LEY_WEIGHT_ATTN_Q || weight == LEY_WEIGHT_ATTN_K ||
                  weight == LEY_WEIGHT_ATTN_V || weight == LEY_WEIGHT_ATTN_Q_BIAS ||
                  weight == LEY_WEIGHT_ATTN_K_BIAS || weight == LEY_WEIGHT_ATTN_V_BIAS;
    return is_qkv && config->family == LEY_FAMILY_GPT2 && config->n_heads == config->n_kv_heads;
}

// The weights of a fused row follow its first one in the table, as parts 1, 2, 3.
static void add_item(struct plan *plan, const struct gguf_name *row, int layer,
                     const struct ley_block_type *type) {
    struct item *item = &plan->item[plan->n];
    struct ley_gguf_tensor *tensor = &plan->tensor[plan->n++];
    struct ley_weight_info info = ley_weight_info(plan->input.config, row->weight);
    item->n_weights = row->part ? 3 : 1;
    item->layer = layer;
    for (int i = 0; i < item->n_weights; i++) {
        item->weight[i] = row[i].weight;
    }
    gguf_name_format(item->name, row, layer);
    bool is_vector = info.n_rows == 1;
    tensor->name = string_of(item->name);
    // Vectors and position embeddings may be wider than what was asked for.
    tensor->type = convert_type(&plan->input, row->weight, type);
    tensor->n_dims = is_vector ? 1 : 2;
    tensor->dim[0] = info.n_columns * (is_vector ? item->n_weights : 1);
    tensor->dim[1] = info.n_rows * (is_vector ? 1 : item->n_weights);
    tensor->n_bytes = (size_t)(tensor->dim[0] * tensor->dim[1] / tensor->type->n_weights) *
                      (size_t)tensor->type->n_bytes;
}

// Parts of q, k and v that the model has: 0 to 3.
static int count_parts(const struct ley_weight_source *source, int first, int layer) {
    int n = 0;
    for (int i = 0; i < 3; i++) {
        n += source->has(source->context, gguf_names[first + i].weight, layer);
    }
    return n;
}

// Only weights that the model has; of fused rows only the first (add_item takes the others with
// it).
static enum ley_status make_plan(struct plan *plan, const struct ley_block_type *type) {
    const struct ley_model_config *config = plan->input.config;
    const struct ley_weight_source *source = &plan->input.source;
    size_t n_room = (size_t)gguf_n_names * (size_t)config->n_layers;
    plan->item = ley_alloc(n_room, sizeof *plan->item);
    plan->tensor = ley_alloc(n_room, sizeof *plan->tensor);
    if (!plan->item || !plan->tensor) {
        return ley_fail_memory("list of tensors", n_room, sizeof *plan->item);
    }
    for (int i = 0; i < gguf_n_names; i++) {
        const struct gguf_name *row = &gguf_names[i];
        // One tensor for q, k and v where it can be, three otherwise.
        bool is_wanted = is_fused(config, row->weight) ? row->part == 1 : row->part == 0;
        int n_layers = ley_weight_info(config, row->weight).is_per_layer ? config->n_layers : 1;
        for (int layer = 0; is_wanted && layer < n_layers; layer++) {
            int n_parts = row->part == 1 ? count_parts(source, i, layer) : 0;
            if (n_parts != 0 && n_parts != 3) {
                return ley_fail(LEY_E_FORMAT,
                                "layer %d has some of q, k and v but not all: they "
                                "cannot be fused as gpt2 files need",
                                layer);
            }
            if (n_parts == 3 ||
                (row->part != 1 && source->has(source->context, row->weight, layer))) {
                add_item(plan, row, layer, type);
            }
        }
    }
    return LEY_OK;
}

// Called by the writer for one tensor at a time. Its place in the list says which weights; parts
// lie one after another because rows are what is stacked.
static enum ley_status fill(void *context, uint8_t *bytes, const struct ley_gguf_tensor *tensor) {
    const struct plan *plan = context;
    const struct item *item = &plan->item[tensor - plan->tensor];
    for (int i = 0; i < item->n_weights; i++) {
        uint8_t *part = bytes + (size_t)i * (tensor->n_bytes / (size_t)item->n_weights);
        LEY_TRY(convert_weight(part, tensor->type, &plan->input, item->weight[i], item->layer));
    }
    return LEY_OK;
}

// n_kept_wider: matrices whose rows are no whole number of blocks, see convert_type.
static void report(struct ley_conversion *done, const struct plan *plan,
                   const struct ley_block_type *type, bool has_vocab) {
    *done = (struct ley_conversion){.n_tensors = (int)plan->n, .has_vocab = has_vocab};
    for (size_t i = 0; i < plan->n; i++) {
        const struct ley_gguf_tensor *tensor = &plan->tensor[i];
        done->n_bytes += tensor->n_bytes;
        done->n_kept_wider += tensor->type->id == LEY_BLOCK_F16 && type->id != LEY_BLOCK_F16;
    }
}

// Weights are read in pairs, as llama.cpp rotates them, whatever the input has.
enum ley_status ley_model_convert_gguf(struct ley_conversion *done, const char *path,
                                       const struct ley_model_file *file,
                                       const struct ley_block_type *type,
                                       const struct ley_vocab *vocab) {
    struct plan plan = {.input = convert_input(file, LEY_ROPE_PAIRS)};
    const struct ley_gguf_content content = {fill, &plan};
    struct ley_gguf_builder *builder;
    LEY_TRY(ley_gguf_builder_create(&builder));
    enum ley_status status = add_metadata(builder, file, type, vocab);
    if (status == LEY_OK) {
        status = make_plan(&plan, type);
    }
    if (status == LEY_OK) {
        // The result is described even if writing failed: callers ignore it then.
        status = ley_gguf_write(path, builder, plan.tensor, plan.n, &content);
        bool has_vocab = file->is_gguf ? ley_gguf_find(&file->gguf, "tokenizer.ggml.tokens") != NULL
                                       : vocab != NULL;
        report(done, &plan, type, has_vocab);
    }
    ley_free(plan.item);
    ley_free(plan.tensor);
    ley_gguf_builder_destroy(builder);
    return status;
}
