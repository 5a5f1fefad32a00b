// gguf_model.c - the gpt2 and llama architectures as GGUF files name them
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "model/gguf_names_impl.h"
#include "model/model_file_impl.h"

// A size from "<architecture>.<key>"; absent: `otherwise` (0 then fails the check of the config).
static int size_of(const struct ley_model_file *file, const char *architecture, const char *key,
                   double otherwise) {
    char name[128];
    snprintf(name, sizeof name, "%s.%s", architecture, key);
    double x = ley_gguf_number(&file->gguf, name, otherwise);
    // -1 for what is no whole number of an int's range, which ley_model_config_check then refuses.
    return x >= 0 && x <= INT_MAX && x == floor(x) ? (int)x : -1;
}

// Likewise for any number; the caller checks its range.
static double number_of(const struct ley_model_file *file, const char *architecture,
                        const char *key, double otherwise) {
    char name[128];
    snprintf(name, sizeof name, "%s.%s", architecture, key);
    return ley_gguf_number(&file->gguf, name, otherwise);
}

// Cuts at n_out - 1 bytes and terminates. An absent key (n = 0) gives "".
static void copy_name(char *out, size_t n_out, struct ley_string text) {
    size_t n = text.n < n_out - 1 ? text.n : n_out - 1;
    if (n > 0) {
        memcpy(out, text.text, n);
    }
    out[n] = '\0';
}

// The family fixes what GGUF does not spell out: activation, order of rotating pairs.
static enum ley_status find_family(struct ley_model_config *config, char architecture[64],
                                   const struct ley_model_file *file) {
    // (1) the architecture, as the file names it
    copy_name(architecture, 64, ley_gguf_string(&file->gguf, "general.architecture"));
    if (strcmp(architecture, "gpt2") == 0) {
        config->family = LEY_FAMILY_GPT2;
        // Private key: GGUF has no word for the exact form.
        struct ley_string own = ley_gguf_string(&file->gguf, GGUF_KEY_ACTIVATION);
        config->activation =
            own.n == 8 && memcmp(own.text, "gelu_erf", 8) == 0 ? LEY_GELU_ERF : LEY_GELU_TANH;
    } else if (strcmp(architecture, "llama") == 0) {
        config->family = LEY_FAMILY_LLAMA;
        config->activation = LEY_SWIGLU;
        config->rope_layout = LEY_ROPE_PAIRS;
    } else {
        return ley_fail(LEY_E_FORMAT, "%s: architecture '%s' is not supported; gpt2 and llama are",
                        file->path, architecture);
    }
    return LEY_OK;
}

// Absent sizes become 0 and wrong ones -1; one check at the end refuses both with their names.
static enum ley_status read_config(struct ley_model_file *file) {
    struct ley_model_config *c = &file->config;
    char arch[64];
    LEY_TRY(find_family(c, arch, file));
    copy_name(c->name, sizeof c->name, ley_gguf_string(&file->gguf, "general.name"));
    // (2) sizes, each with its default
    c->n_layers = size_of(file, arch, "block_count", 0);
    c->d_model = size_of(file, arch, "embedding_length", 0);
    c->n_heads = size_of(file, arch, "attention.head_count", 0);
    c->n_kv_heads = size_of(file, arch, "attention.head_count_kv", c->n_heads);
    // Without the key, heads share the width; the division is guarded because nothing is checked
    // yet.
    c->head_dim = size_of(file, arch, "attention.key_length",
                          c->n_heads > 0 ? floor((double)c->d_model / c->n_heads) : 0);
    c->d_ff = size_of(file, arch, "feed_forward_length", 0);
    c->n_context = size_of(file, arch, "context_length", 0);
    // The vocabulary's size by the matrix that has a row for each token, not by a key.
    const struct ley_gguf_tensor *embedding =
        ley_gguf_find_tensor(&file->gguf, "token_embd.weight");
    c->n_vocab = embedding && embedding->dim[1] <= INT_MAX ? (int)embedding->dim[1] : 0;
    // The two families name the same number differently.
    c->norm_eps = number_of(file, arch,
                            c->family == LEY_FAMILY_GPT2 ? "attention.layer_norm_epsilon"
                                                         : "attention.layer_norm_rms_epsilon",
                            1e-5);
    if (c->family == LEY_FAMILY_LLAMA) {
        c->rope_dim = size_of(file, arch, "rope.dimension_count", c->head_dim);
        c->rope_base = number_of(file, arch, "rope.freq_base", 10000);
    }
    // (3) what the simulator has no code for
    if (size_of(file, arch, "attention.value_length", c->head_dim) != c->head_dim ||
        number_of(file, arch, "expert_count", 0) != 0) {
        return ley_fail(LEY_E_FORMAT,
                        "%s: values of another width than keys, or experts, are not "
                        "supported",
                        file->path);
    }
    enum ley_status status = ley_model_config_check(c);
    return status == LEY_OK ? LEY_OK : ley_fail_within(status, file->path);
}

// Linear scaling of positions is a common divisor of all rotary frequencies; others need a table.
static enum ley_status check_rope_scaling(const struct ley_model_file *file) {
    // The factor counts only where a type is named, as converters write 1 beside "none".
    struct ley_string type = ley_gguf_string(&file->gguf, "llama.rope.scaling.type");
    double factor = ley_gguf_number(&file->gguf, "llama.rope.scaling.factor", 1);
    bool is_none = type.n == 0 || (type.n == 4 && memcmp(type.text, "none", 4) == 0);
    if (!is_none && factor != 1) {
        return ley_fail(LEY_E_FORMAT,
                        "%s: rope scaling '%.*s' by %g is not supported in GGUF files", file->path,
                        (int)type.n, type.text, factor);
    }
    return LEY_OK;
}

// In the order rows x columns of weight.def; GGUF counts dimensions from the fastest.
static enum ley_status fail_shape(const struct ley_model_file *file,
                                  const struct ley_gguf_tensor *tensor, int64_t n_rows,
                                  int64_t n_columns) {
    return ley_fail(LEY_E_FORMAT, "%s: tensor %.*s is %lld x %lld, must be %lld x %lld", file->path,
                    (int)tensor->name.n, tensor->name.text, (long long)tensor->dim[1],
                    (long long)tensor->dim[0], (long long)n_rows, (long long)n_columns);
}

// Notes the place of one weight if its tensor exists. `part` 1..3: a third of rows (matrix) or of
// the row (bias) that holds q, k and v; these are equal in gpt2.
static enum ley_status place(struct ley_model_file *file, enum ley_weight weight, int layer,
                             const char *name, int part) {
    struct ley_weight_info info = ley_weight_info(&file->config, weight);
    const struct ley_gguf_tensor *tensor = ley_gguf_find_tensor(&file->gguf, name);
    if (!tensor) {
        return LEY_OK;
    }
    // Matrices are split by rows, vectors along their only row.
    bool is_row_part = part && info.n_rows == 1;
    int64_t n_rows = part && !is_row_part ? 3 * info.n_rows : info.n_rows;
    int64_t n_columns = is_row_part ? 3 * info.n_columns : info.n_columns;
    if (tensor->dim[0] != n_columns || tensor->dim[1] != n_rows ||
        tensor->dim[2] * tensor->dim[3] != 1) {
        return fail_shape(file, tensor, n_rows, n_columns);
    }
    if (is_row_part && tensor->type->n_weights != 1) {
        return ley_fail(LEY_E_FORMAT, "%s: the bias %s is quantised", file->path, name);
    }
    // Later rows of the table win; no converter writes both forms of a weight.
    *ley_stored_at(file, weight, layer) = (struct ley_stored){
        .data = tensor->data,
        .type = tensor->type,
        .n_columns = info.n_columns,
        .first = part ? (part - 1) * info.n_rows : 0,
    };
    return LEY_OK;
}

// A tensor with no place would be a part of the model that is left out silently.
static enum ley_status check_names(const struct ley_model_file *file) {
    for (uint64_t t = 0; t < file->gguf.n_tensors; t++) {
        const struct ley_string *tensor = &file->gguf.tensor[t].name;
        if (!gguf_name_is_known(*tensor, file->config.n_layers)) {
            return ley_fail(LEY_E_FORMAT,
                            "%s: tensor %.*s is no part of a gpt2 or llama model with "
                            "%d layers",
                            file->path, (int)tensor->n, tensor->text, file->config.n_layers);
        }
    }
    return LEY_OK;
}

// Converters of gpt2 write the token embedding a second time as the output matrix.
static void drop_copied_output(struct ley_model_file *file) {
    struct ley_stored *output = ley_stored_at(file, LEY_WEIGHT_OUTPUT, 0);
    const struct ley_stored *embedding = ley_stored_at(file, LEY_WEIGHT_TOKEN_EMBEDDING, 0);
    // Same type and same bytes: only then is it the same matrix.
    if (output->data && embedding->data && output->type == embedding->type) {
        size_t n_blocks = (size_t)(embedding->n_columns / embedding->type->n_weights) *
                          (size_t)file->config.n_vocab;
        if (memcmp(output->data, embedding->data, n_blocks * (size_t)output->type->n_bytes) == 0) {
            output->data = NULL;
        }
    }
}

// Steps: configuration; places of all weights by the table of names; what is left over is an error.
enum ley_status ley_gguf_model_open(struct ley_model_file *file) {
    struct ley_string kind = ley_gguf_string(&file->gguf, "general.type");
    if (kind.n == 7 && memcmp(kind.text, "adapter", 7) == 0) {
        return ley_fail(LEY_E_FORMAT, "%s is an adapter: give it by --adapter, its model by -m",
                        file->path);
    }
    LEY_TRY(read_config(file));
    LEY_TRY(check_rope_scaling(file));
    enum ley_status status = ley_stored_create(file, (size_t)file->gguf.n_tensors);
    if (status != LEY_OK) {
        return ley_fail_within(status, file->path);
    }
    // Each row of the table of names, once or for every layer.
    for (int i = 0; i < gguf_n_names; i++) {
        const struct gguf_name *row = &gguf_names[i];
        bool is_per_layer = ley_weight_info(&file->config, row->weight).is_per_layer;
        for (int layer = 0; layer < (is_per_layer ? file->config.n_layers : 1); layer++) {
            char name[GGUF_NAME_BYTES];
            gguf_name_format(name, row, layer);
            LEY_TRY(place(file, row->weight, layer, name, row->part));
        }
    }
    LEY_TRY(check_names(file));
    drop_copied_output(file);
    struct ley_string origin = ley_gguf_string(&file->gguf, "leyden.scaler.origin");
    copy_name(file->origin, sizeof file->origin,
              origin.n ? origin : (struct ley_string){"none", 4});
    return LEY_OK;
}

// ---- vocabulary

// "llama" is SentencePiece (scores), "gpt2" byte-level BPE (merges); `pre` matters for the latter.
static enum ley_status find_kind(struct ley_vocab *vocab, const struct ley_model_file *file) {
    char model[32], pre[32];
    copy_name(model, sizeof model, ley_gguf_string(&file->gguf, "tokenizer.ggml.model"));
    copy_name(pre, sizeof pre, ley_gguf_string(&file->gguf, "tokenizer.ggml.pre"));
    if (strcmp(model, "llama") == 0) {
        vocab->kind = LEY_VOCAB_SPM_BPE;
        return LEY_OK;
    }
    if (strcmp(model, "gpt2") != 0) {
        return ley_fail(LEY_E_FORMAT,
                        "%s: tokenizer '%s' is not supported; gpt2 (byte-level BPE) and "
                        "llama (SentencePiece) are",
                        file->path, model);
    }
    vocab->kind = LEY_VOCAB_BYTE_BPE;
    if (!gguf_pre_find(&vocab->pre, *pre ? pre : "default")) {
        return ley_fail(LEY_E_FORMAT, "%s: pre-tokenizer '%s' is not known", file->path, pre);
    }
    // Llama-3's pre-tokenizer implies it; a file may say otherwise.
    vocab->ignores_merges =
        ley_gguf_number(&file->gguf, GGUF_KEY_IGNORES_MERGES, vocab->pre == LEY_PRE_LLAMA3) != 0;
    return LEY_OK;
}

// An array that must have `n` items of numbers (or any number of strings: n = 0); NULL when absent.
static enum ley_status find_array(const struct ley_gguf_pair **pair,
                                  const struct ley_model_file *file, const char *key,
                                  bool is_strings, uint64_t n) {
    *pair = ley_gguf_find(&file->gguf, key);
    // Bounds the lists made from it: 2^24 items.
    if (*pair && (!(*pair)->is_array || ((*pair)->type == LEY_GGUF_STRING) != is_strings ||
                  (!is_strings && (*pair)->n_items != n) || (*pair)->n_items > 1 << 24)) {
        return ley_fail(LEY_E_FORMAT, "%s: %s is not an array of the right kind and length",
                        file->path, key);
    }
    return LEY_OK;
}

// strings[which] is kept by the file (ORDER: 0 tokens, 1 merges), so a second call reuses it.
static enum ley_status read_strings(struct ley_model_file *file, int which, const char *key,
                                    int32_t *n) {
    const struct ley_gguf_pair *pair;
    LEY_TRY(find_array(&pair, file, key, true, 0));
    *n = pair ? (int32_t)pair->n_items : 0;
    if (!pair || file->strings[which]) {
        return LEY_OK;
    }
    return ley_gguf_strings(&file->strings[which], pair);
}

// Types and scores as arrays of the file's own, since those in the file may be unaligned and of
// other widths. Unknown types become 1, a normal token.
static enum ley_status read_token_facts(struct ley_model_file *file, struct ley_vocab *vocab) {
    const struct ley_gguf_pair *type, *score;
    uint64_t n = (uint64_t)vocab->n_tokens;
    LEY_TRY(find_array(&type, file, "tokenizer.ggml.token_type", false, n));
    LEY_TRY(find_array(&score, file, "tokenizer.ggml.scores", false, n));
    if (type && !file->token_type) {
        file->token_type = ley_alloc((size_t)n, 1);
    }
    if (score && !file->token_score) {
        file->token_score = ley_alloc((size_t)n, sizeof(float));
    }
    if ((type && !file->token_type) || (score && !file->token_score)) {
        return ley_fail_memory("the vocabulary", (size_t)n, 5);
    }
    for (uint64_t i = 0; i < n; i++) {
        // Absent types mean that every token is normal.
        double kind = type ? ley_gguf_item(type, i) : 1;
        if (type) {
            file->token_type[i] = (int8_t)(kind >= 1 && kind <= 6 ? kind : 1);
        }
        if (score) {
            file->token_score[i] = (float)ley_gguf_item(score, i);
        }
    }
    vocab->type = file->token_type;
    vocab->score = file->token_score;
    return LEY_OK;
}

// A token id, or -1 when absent or outside the vocabulary.
static int32_t token_id(const struct ley_model_file *file, const char *key, int32_t n_tokens) {
    double id = ley_gguf_number(&file->gguf, key, -1);
    return id >= 0 && id < n_tokens ? (int32_t)id : -1;
}

// Everything in `vocab` is borrowed from the file. Flags that are absent take the defaults of the
// kind: SentencePiece adds bos and a space in front, byte-level BPE neither.
enum ley_status ley_gguf_model_vocab(struct ley_model_file *file, struct ley_vocab *vocab) {
    const struct ley_gguf *gguf = &file->gguf;
    *vocab = (struct ley_vocab){.n_tokens = 0};
    LEY_TRY(find_kind(vocab, file));
    LEY_TRY(read_strings(file, 0, "tokenizer.ggml.tokens", &vocab->n_tokens));
    LEY_TRY(read_strings(file, 1, "tokenizer.ggml.merges", &vocab->n_merges));
    if (vocab->n_tokens == 0) {
        return ley_fail(LEY_E_FORMAT, "%s holds no vocabulary (tokenizer.ggml.tokens)", file->path);
    }
    LEY_TRY(read_token_facts(file, vocab));
    // A score decides each merge, so without scores nothing could be encoded.
    if (vocab->kind == LEY_VOCAB_SPM_BPE && !vocab->score) {
        return ley_fail(LEY_E_FORMAT, "%s: a llama vocabulary needs tokenizer.ggml.scores",
                        file->path);
    }
    vocab->token = file->strings[0];
    vocab->merge = file->strings[1];
    bool is_spm = vocab->kind == LEY_VOCAB_SPM_BPE;
    vocab->bos = token_id(file, "tokenizer.ggml.bos_token_id", vocab->n_tokens);
    vocab->eos = token_id(file, "tokenizer.ggml.eos_token_id", vocab->n_tokens);
    vocab->unknown = token_id(file, "tokenizer.ggml.unknown_token_id", vocab->n_tokens);
    vocab->adds_bos = ley_gguf_number(gguf, "tokenizer.ggml.add_bos_token", is_spm) != 0;
    vocab->adds_eos = ley_gguf_number(gguf, "tokenizer.ggml.add_eos_token", 0) != 0;
    vocab->adds_space_prefix =
        ley_gguf_number(gguf, "tokenizer.ggml.add_space_prefix", is_spm) != 0;
    vocab->chat_template = ley_gguf_string(gguf, "tokenizer.chat_template");
    return LEY_OK;
}
