// convert_folder.c - a model as a Hugging Face folder
//
// Steps: (1) config.json from the configuration; (2) the header of model.safetensors, by the table
// of names; (3) the tensors in the same order. Conv1D matrices of gpt2 are stored (inputs, outputs)
// with q, k and v side by side: their rows are read in canonical form first and then turned.
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "model/convert_impl.h"
#include "model/hf_names_impl.h"

// One tensor to come: a row of the table of names, and those of its other thirds behind it.
struct item {
    const struct hf_name *row;
    const struct ley_block_type *type;
    // 3 for q, k, v in one tensor, else 1; the layer counts from 0
    int n_thirds, layer;
    // as in the file: (outputs, inputs), or turned for Conv1D; a vector is (1, length)
    int64_t dim[2];
    size_t n_bytes;
};

// What will be written, in the order of the file. Made before the first byte is.
struct plan {
    struct convert_input input;
    struct item *item; // [n]
    size_t n;
    bool has_attention_bias, has_output;
};

// Asks about layer 0: all layers of these families have the same set of weights.
static bool has_weight(const struct plan *plan, enum ley_weight weight) {
    return plan->input.source.has(plan->input.source.context, weight, 0);
}

// ---- what a folder can say

// The common divisor of all rotary frequencies: 1 when there are none, 0 when they differ.
static enum ley_status rope_factor(double *factor, const struct plan *plan) {
    *factor = 1;
    if (!has_weight(plan, LEY_WEIGHT_ROPE_FACTORS)) {
        return LEY_OK;
    }
    int n = plan->input.config->rope_dim / 2;
    float *factors = ley_alloc((size_t)n, sizeof *factors);
    if (!factors) {
        return ley_fail_memory("rotary factors", (size_t)n, sizeof *factors);
    }
    enum ley_status status = plan->input.source.read(plan->input.source.context, factors,
                                                     LEY_WEIGHT_ROPE_FACTORS, 0, 0, 1);
    *factor = (double)factors[0];
    for (int i = 1; i < n; i++) {
        *factor = factors[i] == factors[0] ? *factor : 0;
    }
    ley_free(factors);
    return status;
}

// What config.json has no words for is refused here rather than lost. On success *factor is what
// rope_scaling must say.
static enum ley_status check(double *factor, const struct plan *plan) {
    const struct ley_model_config *c = plan->input.config;
    bool is_gpt2 = c->family == LEY_FAMILY_GPT2;
    LEY_TRY(rope_factor(factor, plan));
    // The first reason that holds, or none.
    const char *what =
        is_gpt2 && (c->n_kv_heads != c->n_heads || c->n_heads * c->head_dim != c->d_model)
            ? "heads of another width or number than gpt2's"
        : !is_gpt2 && c->rope_dim != c->head_dim ? "heads that rotate in part"
        : !is_gpt2 && *factor == 0               ? "rotary factors that differ"
        : !is_gpt2 && (has_weight(plan, LEY_WEIGHT_FFN_UP_BIAS) ||
                       has_weight(plan, LEY_WEIGHT_FFN_DOWN_BIAS))
            ? "biases of the feed-forward layer"
            : NULL;
    return what ? ley_fail(LEY_E_ARGUMENT, "a Hugging Face folder cannot hold %s; convert to GGUF",
                           what)
                : LEY_OK;
}

// ---- config.json

// A float32 number as people write it: 1e-05, not 9.99999974737875e-06.
static double shortest(double x) {
    char text[32];
    snprintf(text, sizeof text, "%.7g", x);
    double rounded = strtod(text, NULL);
    return (float)rounded == (float)x ? rounded : x;
}

// The keys that hf_config.c reads back for gpt2.
static void add_gpt2(struct cJSON *root, const struct ley_model_config *c) {
    cJSON_AddNumberToObject(root, "n_layer", c->n_layers);
    cJSON_AddNumberToObject(root, "n_embd", c->d_model);
    cJSON_AddNumberToObject(root, "n_head", c->n_heads);
    cJSON_AddNumberToObject(root, "n_inner", c->d_ff);
    cJSON_AddNumberToObject(root, "n_positions", c->n_context);
    cJSON_AddStringToObject(root, "activation_function",
                            c->activation == LEY_GELU_ERF ? "gelu" : "gelu_new");
    cJSON_AddNumberToObject(root, "layer_norm_epsilon", shortest(c->norm_eps));
}

// Likewise for llama; a common divisor of the frequencies is rope_scaling of kind linear.
static void add_llama(struct cJSON *root, const struct plan *plan, double factor) {
    const struct ley_model_config *c = plan->input.config;
    cJSON_AddNumberToObject(root, "num_hidden_layers", c->n_layers);
    cJSON_AddNumberToObject(root, "hidden_size", c->d_model);
    cJSON_AddNumberToObject(root, "num_attention_heads", c->n_heads);
    cJSON_AddNumberToObject(root, "num_key_value_heads", c->n_kv_heads);
    cJSON_AddNumberToObject(root, "head_dim", c->head_dim);
    cJSON_AddNumberToObject(root, "intermediate_size", c->d_ff);
    cJSON_AddNumberToObject(root, "max_position_embeddings", c->n_context);
    cJSON_AddStringToObject(root, "hidden_act", "silu");
    cJSON_AddNumberToObject(root, "rms_norm_eps", shortest(c->norm_eps));
    cJSON_AddNumberToObject(root, "rope_theta", shortest(c->rope_base));
    cJSON_AddBoolToObject(root, "attention_bias", plan->has_attention_bias);
    cJSON_AddBoolToObject(root, "mlp_bias", false);
    if (factor != 1) {
        struct cJSON *scaling = cJSON_AddObjectToObject(root, "rope_scaling");
        cJSON_AddStringToObject(scaling, "rope_type", "linear");
        cJSON_AddNumberToObject(scaling, "factor", factor);
    }
}

// torch_dtype is what most tensors have; vectors may be wider (convert_type).
static enum ley_status write_config(FILE *out, const struct plan *plan,
                                    const struct ley_block_type *type, double factor) {
    const struct ley_model_config *c = plan->input.config;
    bool is_gpt2 = c->family == LEY_FAMILY_GPT2;
    struct cJSON *root = cJSON_CreateObject();
    const char *architecture = is_gpt2 ? "GPT2LMHeadModel" : "LlamaForCausalLM";
    // An array of one name, as transformers writes it.
    cJSON_AddItemToObject(root, "architectures", cJSON_CreateStringArray(&architecture, 1));
    cJSON_AddStringToObject(root, "model_type", is_gpt2 ? "gpt2" : "llama");
    if (is_gpt2) {
        add_gpt2(root, c);
    } else {
        add_llama(root, plan, factor);
    }
    cJSON_AddNumberToObject(root, "vocab_size", c->n_vocab);
    cJSON_AddBoolToObject(root, "tie_word_embeddings", !plan->has_output);
    cJSON_AddStringToObject(root, "torch_dtype",
                            type->id == LEY_BLOCK_F32   ? "float32"
                            : type->id == LEY_BLOCK_F16 ? "float16"
                                                        : "bfloat16");
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text) {
        return ley_fail_memory("config.json", 1, 1);
    }
    fprintf(out, "%s\n", text);
    free(text);
    return LEY_OK;
}

// ---- tensors

// Conv1D of gpt2: stored (inputs, outputs).
static bool is_transposed(const struct item *item) {
    return item->row->form == HF_TRANSPOSED || item->row->form == HF_THIRD_OF_TRANSPOSED;
}

// The row of thirds stands for its first; all three are one tensor, three times as long.
static void add_item(struct plan *plan, const struct hf_name *row, int layer,
                     const struct ley_block_type *type) {
    struct ley_weight_info info = ley_weight_info(plan->input.config, row->weight);
    bool is_third = row->form == HF_THIRD_OF_VECTOR || row->form == HF_THIRD_OF_TRANSPOSED;
    struct item *item = &plan->item[plan->n++];
    *item = (struct item){.row = row, .layer = layer, .n_thirds = is_third ? 3 : 1};
    item->type = convert_type(&plan->input, row->weight, type);
    if (is_transposed(item)) {
        item->dim[0] = info.n_columns;
        item->dim[1] = info.n_rows * item->n_thirds;
    } else { // a vector: 1 by its length
        item->dim[0] = info.n_rows;
        item->dim[1] = info.n_columns * item->n_thirds;
    }
    item->n_bytes = (size_t)(item->dim[0] * item->dim[1]) * (size_t)item->type->n_bytes;
}

// Rows 2 and 3 of a fused tensor are skipped: add_item reads them behind row 1. The room is an
// upper bound, one row more for the output matrix.
static enum ley_status make_plan(struct plan *plan, const struct ley_block_type *type) {
    // Shape in the file first, then bytes.
    const struct ley_model_config *config = plan->input.config;
    plan->has_output = has_weight(plan, LEY_WEIGHT_OUTPUT);
    plan->has_attention_bias = has_weight(plan, LEY_WEIGHT_ATTN_Q_BIAS);
    if (plan->has_attention_bias != has_weight(plan, LEY_WEIGHT_ATTN_OUT_BIAS)) {
        return ley_fail(LEY_E_FORMAT,
                        "biases of q, k, v without one of the output (or the other way "
                        "round) cannot be said in a Hugging Face folder");
    }
    struct hf_names names = hf_names(config->family, plan->has_attention_bias);
    size_t n_room = (size_t)(names.n + 1) * (size_t)config->n_layers;
    plan->item = ley_alloc(n_room, sizeof *plan->item);
    if (!plan->item) {
        return ley_fail_memory("list of tensors", n_room, sizeof *plan->item);
    }
    for (int i = 0; i < names.n; i++) {
        const struct hf_name *row = &names.row[i];
        int n_layers = ley_weight_info(config, row->weight).is_per_layer ? config->n_layers : 1;
        for (int layer = 0; row->third == 0 && layer < n_layers; layer++) {
            add_item(plan, row, layer, type);
        }
    }
    if (plan->has_output) {
        add_item(plan, &hf_output_name, 0, type);
    }
    return LEY_OK;
}

// One entry of the header. Offsets count from the first byte after the header.
static void add_header(struct cJSON *header, const struct item *item, size_t offset,
                       const struct ley_model_config *config) {
    char name[HF_NAME_BYTES];
    bool is_vector = item->row->form == HF_VECTOR || item->row->form == HF_THIRD_OF_VECTOR;
    const double dim[2] = {(double)item->dim[0], (double)item->dim[1]};
    const double range[2] = {(double)offset, (double)(offset + item->n_bytes)};
    hf_name_format(name, config, item->row, item->layer);
    struct cJSON *entry = cJSON_AddObjectToObject(header, name);
    cJSON_AddStringToObject(entry, "dtype", item->type->name);
    cJSON_AddItemToObject(entry, "shape",
                          cJSON_CreateDoubleArray(is_vector ? dim + 1 : dim, is_vector ? 1 : 2));
    cJSON_AddItemToObject(entry, "data_offsets", cJSON_CreateDoubleArray(range, 2));
}

// The length of the header in 8 bytes, then the header, padded so that data are aligned.
static enum ley_status write_header(FILE *out, const struct plan *plan) {
    // safetensors stores vectors with one dimension.
    struct cJSON *header = cJSON_CreateObject();
    struct cJSON *metadata = cJSON_AddObjectToObject(header, "__metadata__");
    cJSON_AddStringToObject(metadata, "format", "pt");
    size_t offset = 0;
    for (size_t i = 0; i < plan->n; i++) {
        add_header(header, &plan->item[i], offset, plan->input.config);
        offset += plan->item[i].n_bytes;
    }
    char *text = cJSON_PrintUnformatted(header);
    cJSON_Delete(header);
    if (!text) {
        return ley_fail_memory("header of model.safetensors", plan->n, 1);
    }
    // The padding is spaces, which JSON ignores; readers map the data as aligned numbers.
    size_t n = strlen(text), n_padded = (n + 7) / 8 * 8;
    // 8 bytes, little endian.
    for (int i = 0; i < 8; i++) {
        putc((int)(n_padded >> (8 * i) & 255), out);
    }
    fprintf(out, "%s%*s", text, (int)(n_padded - n), "");
    free(text);
    return LEY_OK;
}

// bytes <- the (n, m) matrix `from`, turned and encoded; `row` is room for n values.
static void encode_turned(uint8_t *bytes, float *row, const float *from, int64_t n, int64_t m,
                          const struct ley_block_type *type) {
    for (int64_t c = 0; c < m; c++) {
        for (int64_t r = 0; r < n; r++) {
            row[r] = from[r * m + c];
        }
        ley_blocks_encode(bytes + c * n * type->n_bytes, type, row, n);
    }
}

// All thirds of an item in canonical order; a bias that the model lacks is zero.
static enum ley_status read_item(uint8_t *bytes, const struct item *item,
                                 const struct ley_block_type *type, const struct plan *plan) {
    // ley_alloc zeroed `bytes`, so a third that is skipped is a bias of zeros.
    size_t n_third = (size_t)(item->dim[0] * item->dim[1] / item->n_thirds) * (size_t)type->n_bytes;
    for (int i = 0; i < item->n_thirds; i++) {
        enum ley_weight weight = item->row[i].weight;
        if (plan->input.source.has(plan->input.source.context, weight, item->layer)) {
            LEY_TRY(convert_weight(bytes + (size_t)i * n_third, type, &plan->input, weight,
                                   item->layer));
        }
    }
    return LEY_OK;
}

// A turned tensor is first read whole as float32, with room for one row of the result behind it.
static enum ley_status fill(uint8_t *bytes, const struct item *item, const struct plan *plan) {
    if (!is_transposed(item)) {
        return read_item(bytes, item, item->type, plan);
    }
    size_t n_values = (size_t)((item->dim[0] + 1) * item->dim[1]);
    float *values = ley_alloc(n_values, sizeof *values);
    if (!values) {
        return ley_fail_memory("a matrix to turn", n_values, sizeof *values);
    }
    enum ley_status status =
        read_item((uint8_t *)values, item, ley_block_type(LEY_BLOCK_F32), plan);
    encode_turned(bytes, values + item->dim[0] * item->dim[1], values, item->dim[1], item->dim[0],
                  item->type);
    ley_free(values);
    return status;
}

// One tensor in memory at a time.
static enum ley_status write_item(FILE *out, const struct item *item, const struct plan *plan) {
    uint8_t *bytes = ley_alloc(item->n_bytes, 1);
    if (!bytes) {
        return ley_fail_memory("a tensor", item->n_bytes, 1);
    }
    enum ley_status status = fill(bytes, item, plan);
    if (status == LEY_OK) {
        fwrite(bytes, 1, item->n_bytes, out);
    }
    ley_free(bytes);
    // (1) all thirds stacked as rows, (2) turned column by column into the file's order
    return status;
}

// Offsets in the header were summed in this order: nothing may be left out or padded between.
static enum ley_status write_tensors(FILE *out, const struct plan *plan) {
    LEY_TRY(write_header(out, plan));
    for (size_t i = 0; i < plan->n && !ferror(out); i++) {
        LEY_TRY(write_item(out, &plan->item[i], plan));
    }
    return LEY_OK;
}

// ---- the folder

// config.json first: without weights it is harmless, weights without it are not usable.
static enum ley_status write_files(struct ley_outdir *outdir, const struct plan *plan,
                                   const struct ley_block_type *type, double factor) {
    FILE *config, *tensors;
    LEY_TRY(ley_outdir_open(&config, outdir, "config.json"));
    // Closed in any case, and a full disk may show only now.
    enum ley_status status = write_config(config, plan, type, factor);
    enum ley_status closed = ley_outdir_close(outdir, config);
    LEY_TRY(status);
    LEY_TRY(closed);
    LEY_TRY(ley_outdir_open(&tensors, outdir, "model.safetensors"));
    status = write_tensors(tensors, plan);
    closed = ley_outdir_close(outdir, tensors);
    LEY_TRY(status);
    LEY_TRY(closed);
    return ley_outdir_commit(outdir);
}

// What a folder cannot hold is refused before the folder is made.
static enum ley_status write_folder(struct ley_conversion *done, const char *path,
                                    struct plan *plan, const struct ley_block_type *type) {
    struct ley_outdir *outdir;
    double factor;
    LEY_TRY(check(&factor, plan));
    LEY_TRY(make_plan(plan, type));
    *done = (struct ley_conversion){.n_tensors = (int)plan->n};
    for (size_t i = 0; i < plan->n; i++) {
        done->n_bytes += plan->item[i].n_bytes;
    }
    // Temporary names until the commit: a failure leaves nothing behind.
    LEY_TRY(ley_outdir_create(&outdir, path));
    enum ley_status status = write_files(outdir, plan, type, factor);
    ley_outdir_destroy(outdir);
    return status;
}

// Weights are read in halves, as Hugging Face stores them, whatever the input has.
enum ley_status ley_model_convert_folder(struct ley_conversion *done, const char *path,
                                         const struct ley_model_file *file,
                                         const struct ley_block_type *type) {
    struct plan plan = {.input = convert_input(file, LEY_ROPE_HALVES)};
    if (type->n_weights != 1) {
        return ley_fail(LEY_E_ARGUMENT, "a Hugging Face folder holds F32, F16 or BF16, not %s",
                        type->name);
    }
    enum ley_status status = write_folder(done, path, &plan, type);
    ley_free(plan.item);
    return status;
}
