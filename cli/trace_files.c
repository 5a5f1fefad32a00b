// trace_files.c - a window into chosen heads while a model runs
#include "trace_files.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace_summary.h"

// Owns all arrays; layers that were not chosen cost one zeroed struct.
struct trace_files {
    const struct language *language;
    const char *hw; // as it was named
    struct ley_outdir *outdir;
    int n_layers;
    struct ley_attention_trace *layer; // [n_layers]; all NULL inside where not chosen
    float **input;                     // [n_layers] rows of q, k, v (tokens, Q + 2 K); or NULL
    struct ley_observer observer;      // fills them
    int n_heads;
    int *head; // [n_heads] chosen query heads
};

// Parses "1,2,7" into list[most]; numbers below `end`.
static enum ley_status parse_list(int *list, int *n, const char *text, int end, const char *what) {
    *n = 0;
    for (const char *at = text;; at++) {
        // Stops at the first thing that is no number in range, so a list of at most `end` entries
        // fits.
        char *stop;
        long value = strtol(at, &stop, 10);
        if (stop == at || value < 0 || value >= end || *n == end ||
            (*stop != ',' && *stop != '\0')) {
            return ley_fail(LEY_E_ARGUMENT, "--trace-%s is '%s', must be numbers below %d, as 0,3",
                            what, text, end);
        }
        list[(*n)++] = (int)value;
        at = stop;
        if (!*at) {
            return LEY_OK;
        }
    }
}

// S and phi are (H, T, T), A and its codes (H, N, T, D): T is the most tokens the run can have. On
// failure what was made stays in *trace, for trace_files_destroy.
static enum ley_status create_layer(struct ley_attention_trace *trace,
                                    const struct language *language, int64_t n_tokens) {
    const struct ley_model_config *config = ley_model_config(language->model);
    const struct ley_converter_spec *converter = &language->hardware.converter;
    size_t n_heads = (size_t)config->n_heads, T = (size_t)n_tokens;
    size_t n_tiles = (size_t)ley_attention_n_tiles(&language->hardware, n_tokens);
    size_t n_values = n_heads * T * (size_t)config->head_dim;
    trace->n_tokens = n_tokens;
    // Zeroed: what is gated is never written and stays 0.
    trace->s = ley_alloc(n_heads * T * T, sizeof(double));
    trace->phi = ley_alloc(n_heads * T * T, sizeof(double));
    trace->a = ley_alloc(n_tiles * n_values, sizeof(double));
    trace->q_code = converter->q_levels ? ley_alloc(n_values, sizeof(int32_t)) : NULL;
    trace->out_code =
        converter->output_levels ? ley_alloc(n_tiles * n_values, sizeof(int32_t)) : NULL;
    bool is_ready = trace->s && trace->phi && trace->a && (trace->q_code || !converter->q_levels) &&
                    (trace->out_code || !converter->output_levels);
    return is_ready ? LEY_OK : ley_fail_memory("the trace of a layer", n_heads * T, T * 16);
}

// A row of q, k and v of one token.
static size_t input_bytes(const struct ley_model_config *config) {
    return (size_t)((config->n_heads + 2 * config->n_kv_heads) * config->head_dim) * sizeof(float);
}

// Copies the rows of a traced layer, each as q, k, v side by side.
static void see_layer(void *context, const struct ley_observation *seen) {
    const struct trace_files *trace = context;
    float *to = trace->input[seen->layer];
    size_t n_q = (size_t)(seen->n_query_heads * seen->head_dim);
    size_t n_k = (size_t)(seen->n_kv_heads * seen->head_dim);
    if (!to) {
        return;
    }
    to += (size_t)seen->first_token * (n_q + 2 * n_k);
    for (int64_t t = 0; t < seen->n_tokens; t++, to += n_q + 2 * n_k) {
        memcpy(to, seen->q + t * seen->stride, n_q * sizeof *to);
        memcpy(to + n_q, seen->k + t * seen->stride, n_k * sizeof *to);
        memcpy(to + n_q + n_k, seen->v + t * seen->stride, n_k * sizeof *to);
    }
}

// Heads are chosen when writing only: the attention traces a layer whole.
static enum ley_status choose(struct trace_files *trace, const struct trace_options *options,
                              int64_t n_tokens) {
    const struct ley_model_config *config = ley_model_config(trace->language->model);
    int n = 0;
    if (options->heads) {
        LEY_TRY(parse_list(trace->head, &trace->n_heads, options->heads, config->n_heads, "heads"));
    } else {
        for (; trace->n_heads < config->n_heads; trace->n_heads++) {
            trace->head[trace->n_heads] = trace->n_heads;
        }
    }
    int *layers = ley_alloc((size_t)config->n_layers, sizeof *layers);
    if (!layers) {
        return ley_fail_memory("the trace", (size_t)config->n_layers, sizeof *layers);
    }
    enum ley_status status =
        // Layer 0 where none is named: one layer is enough to look at.
        parse_list(layers, &n, options->layers ? options->layers : "0", config->n_layers, "layers");
    for (int i = 0; status == LEY_OK && i < n; i++) {
        // A layer named twice is made once.
        if (!trace->layer[layers[i]].s) {
            status = create_layer(&trace->layer[layers[i]], trace->language, n_tokens);
            trace->input[layers[i]] = ley_alloc((size_t)n_tokens, input_bytes(config));
        }
        if (status == LEY_OK && !trace->input[layers[i]]) {
            status = ley_fail_memory("the trace", (size_t)n_tokens, input_bytes(config));
        }
    }
    ley_free(layers);
    return status;
}

// Made before the run, so that a folder that cannot be written costs no computing.
enum ley_status trace_files_create(struct trace_files **trace, const struct trace_options *options,
                                   const struct language *language, int64_t n_tokens) {
    *trace = NULL;
    if (!options->folder) {
        return LEY_OK;
    }
    if (language->is_digital) {
        return ley_fail(LEY_E_ARGUMENT, "--trace shows the chip; digital attention has none");
    }
    const struct ley_model_config *config = ley_model_config(language->model);
    struct trace_files *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("the trace", 1, sizeof *made);
    }
    *trace = made; // the caller destroys it, also after a failure
    made->language = language;
    made->hw = options->hw;
    made->n_layers = config->n_layers;
    made->layer = ley_alloc((size_t)config->n_layers, sizeof *made->layer);
    made->head = ley_alloc((size_t)config->n_heads, sizeof *made->head);
    made->input = ley_alloc((size_t)config->n_layers, sizeof *made->input);
    made->observer = (struct ley_observer){see_layer, made};
    if (!made->layer || !made->head || !made->input) {
        return ley_fail_memory("the trace", (size_t)config->n_layers, sizeof *made->layer);
    }
    LEY_TRY(choose(made, options, n_tokens));
    return ley_outdir_create(&made->outdir, options->folder);
}

// Indexed by layer, like the ledgers of a feed.
const struct ley_attention_trace *trace_files_arrays(const struct trace_files *trace) {
    return trace ? trace->layer : NULL;
}

const struct ley_observer *trace_files_observer(const struct trace_files *trace) {
    return trace ? &trace->observer : NULL;
}

// One array to write: blocks of `n_rows` rows of `width` values, laid out for the trace's tokens.
struct part {
    const char *name;
    enum ley_dtype dtype;
    const void *data;
    bool is_by_tile;       // (heads, tiles, T, width), else (heads, T, width)
    int64_t n_blocks;      // per head: tiles, or 1
    int64_t width, stride; // values of a row that are written, values from row to row
};

// Arrays were laid out for T tokens; what is written are the first n_tokens of each block.
static enum ley_status write_part(const struct trace_files *trace, int layer,
                                  const struct part *part, int64_t n_tokens) {
    struct ley_tensor tensor;
    char name[64];
    FILE *file;
    int64_t T = trace->layer[layer].n_tokens;
    int64_t shape[] = {trace->n_heads, part->n_blocks, n_tokens, part->width};
    size_t size = ley_dtype_bytes(part->dtype);
    // Copies (chosen heads, blocks, n_tokens, width) out of (all heads, blocks, T, stride).
    LEY_TRY(ley_tensor_create(&tensor, part->dtype, 4, shape));
    char *to = tensor.data;
    for (int h = 0; h < trace->n_heads; h++) {
        for (int64_t row = 0; row < part->n_blocks * n_tokens; row++) {
            // Blocks of a head follow one another; rows of a block are T apart from the next
            // block's.
            int64_t block = trace->head[h] * part->n_blocks + row / n_tokens;
            int64_t from = (block * T + row % n_tokens) * part->stride;
            memcpy(to, (const char *)part->data + (size_t)from * size, (size_t)part->width * size);
            to += (size_t)part->width * size;
        }
    }
    if (!part->is_by_tile) { // (heads, 1, T, width) as (heads, T, width)
        tensor.n_dims = 3;
        tensor.shape[1] = n_tokens;
        tensor.shape[2] = part->width;
    }
    snprintf(name, sizeof name, "layer%02d_%s.npy", layer, part->name);
    enum ley_status status = ley_outdir_open(&file, trace->outdir, name);
    if (status == LEY_OK) {
        ley_npy_write(file, &tensor);
        status = ley_outdir_close(trace->outdir, file);
    }
    ley_tensor_destroy(&tensor);
    return status;
}

// ORDER of the files as trace_files.h lists them.
static enum ley_status write_layer(const struct trace_files *trace, int layer, int64_t n_tokens) {
    const struct ley_attention_trace *t = &trace->layer[layer];
    int64_t D = ley_model_config(trace->language->model)->head_dim;
    int64_t n_tiles = ley_attention_n_tiles(&trace->language->hardware, t->n_tokens);
    // name, type, data, blocks a head, values written of a row, values from row to row
    const struct part parts[] = {
        {"S", LEY_F64, t->s, false, 1, n_tokens, t->n_tokens},
        {"phi", LEY_F64, t->phi, false, 1, n_tokens, t->n_tokens},
        {"A", LEY_F64, t->a, true, n_tiles, D, D},
        {"q_code", LEY_I32, t->q_code, false, 1, D, D},
        {"out_code", LEY_I32, t->out_code, true, n_tiles, D, D},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].data) {
            LEY_TRY(write_part(trace, layer, &parts[i], n_tokens));
        }
    }
    return LEY_OK;
}

// The summary of one layer, added to `list`.
static enum ley_status summarise(struct cJSON *list, const struct trace_files *trace, int layer,
                                 int64_t n_tokens) {
    const struct ley_attention *attention = ley_model_attention(trace->language->model, layer);
    const struct ley_attention_shape *shape = &attention->shape;
    const float *rows = trace->input[layer];
    int64_t D = shape->head_dim, n_q = shape->n_query_heads * D, n_k = shape->n_kv_heads * D;
    struct ley_heads heads = {.f32 = rows, .head = D, .token = n_q + 2 * n_k};
    struct trace_layer traced = {.attention = attention,
                                 .trace = &trace->layer[layer],
                                 .q = heads,
                                 .k = heads,
                                 .v = heads,
                                 .n_tokens = n_tokens};
    struct cJSON *summary;
    traced.k.f32 = rows + n_q;
    traced.v.f32 = rows + n_q + n_k;
    LEY_TRY(trace_summary(&summary, &traced));
    cJSON_AddItemToArray(list, summary);
    cJSON_AddNumberToObject(summary, "layer", layer);
    return LEY_OK;
}

// Prints trace.json into the folder; `root` is what it says.
static enum ley_status write_text(const struct trace_files *trace, const struct cJSON *root) {
    FILE *file;
    char *text = cJSON_Print(root);
    if (!text) {
        return ley_fail_memory("trace.json", 1, 1);
    }
    enum ley_status status = ley_outdir_open(&file, trace->outdir, "trace.json");
    if (status == LEY_OK) {
        fprintf(file, "%s\n", text);
        status = ley_outdir_close(trace->outdir, file);
    }
    free(text);
    return status;
}

static enum ley_status write_summary(const struct trace_files *trace, int64_t n_tokens,
                                     const struct invocation *invocation) {
    const struct language *language = trace->language;
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, invocation);
    language_add_name(root, language);
    language_add_shape(root, language);
    cJSON_AddStringToObject(root, "scalers", language->scaler_origin);
    cJSON_AddStringToObject(root, "hw", trace->hw);
    cJSON_AddNumberToObject(root, "tokens", (double)n_tokens);
    struct cJSON *list = cJSON_AddArrayToObject(root, "trace");
    enum ley_status status = LEY_OK;
    for (int layer = 0; status == LEY_OK && layer < trace->n_layers; layer++) {
        if (trace->layer[layer].s) {
            status = summarise(list, trace, layer, n_tokens);
        }
    }
    cJSON_AddItemToObject(root, "hardware",
                          ley_params_json(ley_hardware_params(), &language->hardware));
    if (status == LEY_OK) {
        status = write_text(trace, root);
    }
    cJSON_Delete(root);
    return status;
}

// Layers that were chosen are those with arrays. One commit for all files.
enum ley_status trace_files_write(const struct trace_files *trace, int64_t n_tokens,
                                  const struct invocation *invocation) {
    if (!trace) {
        return LEY_OK;
    }
    LEY_TRY(write_summary(trace, n_tokens, invocation));
    for (int layer = 0; layer < trace->n_layers; layer++) {
        if (trace->layer[layer].s) {
            LEY_TRY(write_layer(trace, layer, n_tokens));
        }
    }
    return ley_outdir_commit(trace->outdir);
}

// What was not committed is removed by ley_outdir_destroy.
void trace_files_destroy(struct trace_files *trace) {
    if (!trace) {
        return;
    }
    for (int layer = 0; trace->layer && layer < trace->n_layers; layer++) {
        struct ley_attention_trace *t = &trace->layer[layer];
        void *all[] = {t->s, t->phi, t->a, t->q_code, t->out_code};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
            ley_free(all[i]);
        }
    }
    for (int layer = 0; trace->input && layer < trace->n_layers; layer++) {
        ley_free(trace->input[layer]);
    }
    ley_free(trace->input);
    ley_free(trace->layer);
    ley_free(trace->head);
    ley_outdir_destroy(trace->outdir);
    ley_free(trace);
}
