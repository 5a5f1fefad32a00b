// adapter.c - adapter files read: checked against a model, changes decoded, rows put in its order
//
// Everything is decoded when the file is opened: some ten million values at most for models of the
// size that is adapted here. Sizes come from the model, so a file cannot ask for memory.
#include "model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "model/adapter_impl.h"
#include "model/convert_impl.h"
#include "model/gguf_names_impl.h"

// Rows of the table of names with part 0: q, k and v apart, in gpt2 too.
bool adapter_name(char out[ADAPTER_NAME_BYTES], enum ley_weight weight, int layer, char letter) {
    for (int i = 0; i < gguf_n_names; i++) {
        char name[GGUF_NAME_BYTES];
        if (gguf_names[i].weight == weight && gguf_names[i].part == 0) {
            gguf_name_format(name, &gguf_names[i], layer);
            snprintf(out, ADAPTER_NAME_BYTES, "%s.lora_%c", name, letter);
            return true;
        }
    }
    return false;
}

// The pair of tensors of a weight; NULL where the file has none.
struct change {
    const struct ley_gguf_tensor *a, *b;
};

static struct change find_change(const struct ley_adapter *adapter, int weight, int layer) {
    struct change change = {NULL, NULL};
    char name[ADAPTER_NAME_BYTES];
    struct ley_weight_info info = ley_weight_info(&adapter->config, (enum ley_weight)weight);
    if (info.is_per_layer && info.is_matrix &&
        adapter_name(name, (enum ley_weight)weight, layer, 'a')) {
        change.a = ley_gguf_find_tensor(&adapter->gguf, name);
        adapter_name(name, (enum ley_weight)weight, layer, 'b');
        change.b = ley_gguf_find_tensor(&adapter->gguf, name);
    }
    return change;
}

// A (rank, inputs), B (outputs, rank), whole blocks in a row.
static enum ley_status check_change(const struct ley_adapter *adapter, const struct change *change,
                                    int weight, int layer, const char *path) {
    struct ley_weight_info info = ley_weight_info(&adapter->config, (enum ley_weight)weight);
    if (!change->a || !change->b) {
        return ley_fail(LEY_E_FORMAT, "%s has one of lora_a and lora_b only for %s of layer %d",
                        path, info.name, layer);
    }
    const struct ley_gguf_tensor *a = change->a, *b = change->b;
    if (a->n_dims != 2 || b->n_dims != 2 || a->dim[0] != info.n_columns ||
        b->dim[1] != info.n_rows || a->dim[1] != b->dim[0] || a->dim[1] < 1 || a->dim[1] > 4096) {
        return ley_fail(LEY_E_FORMAT,
                        "%s was made for another model: its change of %s in layer %d is %lld x "
                        "%lld of rank %lld, the matrix %lld x %lld",
                        path, info.name, layer, (long long)b->dim[1], (long long)a->dim[0],
                        (long long)a->dim[1], (long long)info.n_rows, (long long)info.n_columns);
    }
    if (a->dim[0] % a->type->n_weights != 0 || b->dim[0] % b->type->n_weights != 0) {
        return ley_fail(LEY_E_FORMAT, "%s: a row of layer %d is no whole number of blocks", path,
                        layer);
    }
    return LEY_OK;
}

// Sizes of all changes, and that nothing else is there.
static enum ley_status check_tensors(struct ley_adapter *adapter, size_t *n_values,
                                     const char *path) {
    const struct ley_model_config *config = &adapter->config;
    for (int i = 0; i < config->n_layers * LEY_N_WEIGHTS; i++) {
        int weight = i % LEY_N_WEIGHTS, layer = i / LEY_N_WEIGHTS;
        const struct change change = find_change(adapter, weight, layer);
        if (change.a || change.b) {
            LEY_TRY(check_change(adapter, &change, weight, layer, path));
            *n_values += (size_t)(change.a->dim[0] * change.a->dim[1]);
            *n_values += (size_t)(change.b->dim[0] * change.b->dim[1]);
            adapter->n_changes++;
        }
    }
    if (adapter->gguf.n_tensors != 2 * (uint64_t)adapter->n_changes) {
        return ley_fail(LEY_E_FORMAT,
                        "%s was made for another model: of its %llu tensors %d have a place in "
                        "these %d layers",
                        path, (unsigned long long)adapter->gguf.n_tensors, 2 * adapter->n_changes,
                        config->n_layers);
    }
    return LEY_OK;
}

// Rows of B from the order of GGUF files to that of the model.
static enum ley_status reorder_rows(float *b, const struct ley_adapter *adapter, int weight,
                                    int64_t n_rows, int64_t rank) {
    struct ley_model_config stored = adapter->config;
    stored.rope_layout = LEY_ROPE_PAIRS;
    const struct convert_input input = {.config = &stored, .layout = adapter->config.rope_layout};
    size_t n = (size_t)(stored.head_dim * rank);
    float *head = ley_alloc(n, sizeof *head);
    if (!head) {
        return ley_fail_memory("rows of an adapter", n, sizeof *head);
    }
    convert_rows(b, head, n_rows, rank, &input, (enum ley_weight)weight);
    ley_free(head);
    return LEY_OK;
}

// Decodes one change into `values`; returns how many it took by *n.
static enum ley_status decode_change(struct ley_adapter *adapter, float *values, size_t *n,
                                     int weight, int layer) {
    const struct change change = find_change(adapter, weight, layer);
    *n = 0;
    if (!change.a) {
        return LEY_OK;
    }
    const struct ley_gguf_tensor *a = change.a, *b = change.b;
    int64_t n_a = a->dim[0] * a->dim[1], n_b = b->dim[0] * b->dim[1];
    ley_blocks_decode(values, a->type, a->data, n_a / a->type->n_weights);
    ley_blocks_decode(values + n_a, b->type, b->data, n_b / b->type->n_weights);
    double rank = (double)a->dim[1];
    adapter->lora[layer * LEY_N_WEIGHTS + weight] = (struct ley_lora){
        .a = values,
        .b = values + n_a,
        .n_rows = b->dim[1],
        .n_columns = a->dim[0],
        .rank = (int)a->dim[1],
        .scale = (float)(ley_gguf_number(&adapter->gguf, "adapter.lora.alpha", rank) / rank),
    };
    *n = (size_t)(n_a + n_b);
    if (!isfinite(adapter->lora[layer * LEY_N_WEIGHTS + weight].scale)) {
        return ley_fail(LEY_E_FORMAT, "adapter.lora.alpha is no finite number");
    }
    return reorder_rows(values + n_a, adapter, weight, b->dim[1], b->dim[0]);
}

static enum ley_status read_changes(struct ley_adapter *adapter, const char *path) {
    size_t n_places = (size_t)adapter->config.n_layers * LEY_N_WEIGHTS, n_values = 0, n;
    LEY_TRY(check_tensors(adapter, &n_values, path));
    adapter->lora = ley_alloc(n_places, sizeof *adapter->lora);
    adapter->values = ley_alloc(n_values, sizeof *adapter->values);
    if (!adapter->lora || !adapter->values) {
        return ley_fail_memory("an adapter", n_values, sizeof *adapter->values);
    }
    float *next = adapter->values;
    for (size_t i = 0; i < n_places; i++) {
        LEY_TRY(
            decode_change(adapter, next, &n, (int)(i % LEY_N_WEIGHTS), (int)(i / LEY_N_WEIGHTS)));
        next += n;
    }
    return LEY_OK;
}

static bool is_text(const struct ley_gguf *gguf, const char *key, const char *want) {
    struct ley_string got = ley_gguf_string(gguf, key);
    return got.n == strlen(want) && memcmp(got.text, want, got.n) == 0;
}

bool adapter_is_one(const struct ley_gguf *gguf) {
    return is_text(gguf, "general.type", "adapter") && is_text(gguf, "adapter.type", "lora");
}

// What says that this is an adapter for this kind of model.
static enum ley_status check_kind(const struct ley_adapter *adapter, const char *path) {
    const struct ley_gguf *gguf = &adapter->gguf;
    const char *family = adapter->config.family == LEY_FAMILY_GPT2 ? "gpt2" : "llama";
    if (!adapter_is_one(gguf)) {
        return ley_fail(LEY_E_FORMAT, "%s is no adapter (general.type, adapter.type)", path);
    }
    if (!is_text(gguf, "general.architecture", family)) {
        struct ley_string got = ley_gguf_string(gguf, "general.architecture");
        return ley_fail(LEY_E_FORMAT,
                        "%s was made for another model: its architecture is '%.*s', "
                        "the model's %s",
                        path, (int)got.n, got.text, family);
    }
    return LEY_OK;
}

// Scalers, if any; their number says whether they are for this model.
static enum ley_status read_keys(struct ley_adapter *adapter, const char *path) {
    if (!scaler_keys_exist(&adapter->gguf)) {
        return LEY_OK;
    }
    LEY_TRY(scaler_keys_read(&adapter->keys.set, &adapter->gguf, &adapter->config, path));
    struct ley_string origin = ley_gguf_string(&adapter->gguf, "leyden.scaler.origin");
    snprintf(adapter->origin, sizeof adapter->origin, "%.*s", (int)(origin.n < 31 ? origin.n : 31),
             origin.n ? origin.text : "");
    adapter->keys.origin = (struct ley_string){adapter->origin, strlen(adapter->origin)};
    adapter->keys.hardware = ley_gguf_string(&adapter->gguf, "leyden.hardware");
    return LEY_OK;
}

static enum ley_status open_adapter(struct ley_adapter *adapter, const char *path) {
    LEY_TRY(ley_map_open(&adapter->map, path));
    LEY_TRY(ley_gguf_read(&adapter->gguf, adapter->map.bytes, adapter->map.n_bytes, path));
    LEY_TRY(check_kind(adapter, path));
    LEY_TRY(read_changes(adapter, path));
    return read_keys(adapter, path);
}

enum ley_status ley_adapter_open(struct ley_adapter **adapter, const char *path,
                                 const struct ley_model_config *config,
                                 const struct ley_weight_source *base) {
    *adapter = NULL;
    struct ley_adapter *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("an adapter", 1, sizeof *made);
    }
    made->config = *config;
    made->base = *base;
    enum ley_status status = open_adapter(made, path);
    if (status != LEY_OK) {
        ley_adapter_close(made);
        return status;
    }
    *adapter = made;
    return LEY_OK;
}

// Also of one that was opened in part.
void ley_adapter_close(struct ley_adapter *adapter) {
    if (adapter) {
        ley_scaler_set_destroy(&adapter->keys.set);
        ley_gguf_destroy(&adapter->gguf);
        ley_map_close(&adapter->map);
        ley_free(adapter->lora);
        ley_free(adapter->values);
        ley_free(adapter);
    }
}

int ley_adapter_n_changes(const struct ley_adapter *adapter) {
    return adapter->n_changes;
}

struct ley_lora ley_adapter_lora(const struct ley_adapter *adapter, enum ley_weight weight,
                                 int layer) {
    LEY_ASSERT(layer >= 0 && layer < adapter->config.n_layers);
    return adapter->lora[layer * LEY_N_WEIGHTS + (int)weight];
}

void adapter_keys(struct scaler_keys *keys, const struct ley_adapter *adapter) {
    *keys = adapter->keys;
}

static bool has(void *context, enum ley_weight weight, int layer) {
    const struct ley_adapter *adapter = context;
    return adapter->base.has(adapter->base.context, weight, layer);
}

static enum ley_status read_rows(void *context, float *out, enum ley_weight weight, int layer,
                                 int64_t first_row, int64_t n_rows) {
    const struct ley_adapter *adapter = context;
    const struct ley_lora lora = ley_adapter_lora(adapter, weight, layer);
    LEY_TRY(adapter->base.read(adapter->base.context, out, weight, layer, first_row, n_rows));
    if (lora.a) {
        ley_lora_add(out, &lora, first_row, n_rows);
    }
    return LEY_OK;
}

struct ley_weight_source ley_adapter_source(struct ley_adapter *adapter) {
    return (struct ley_weight_source){adapter, has, read_rows};
}

// B A stays what it was: columns of B that are new are zero, rows of A that are new stay random.
static void give_change(const struct ley_lora *to, const struct ley_lora *from) {
    float *a = (float *)(uintptr_t)to->a, *b = (float *)(uintptr_t)to->b;
    float factor = from->scale / to->scale;
    memcpy(a, from->a, (size_t)(from->rank * from->n_columns) * sizeof *a);
    for (int64_t r = 0; r < from->n_rows; r++) {
        for (int j = 0; j < from->rank; j++) {
            b[r * to->rank + j] = factor * from->b[r * from->rank + j];
        }
    }
}

// Place by place: where the adapter has a change the net has one, of no lower rank.
enum ley_status ley_adapter_give(struct ley_net *net, const struct ley_adapter *adapter) {
    const struct ley_model_config *config = &adapter->config;
    for (int i = 0; i < config->n_layers * LEY_N_WEIGHTS; i++) {
        enum ley_weight weight = (enum ley_weight)(i % LEY_N_WEIGHTS);
        const struct ley_lora from = adapter->lora[i];
        const struct ley_lora to = ley_net_lora_of(net, weight, i / LEY_N_WEIGHTS);
        if (from.rank > to.rank) {
            return ley_fail(LEY_E_ARGUMENT,
                            "the adapter's change of %s has rank %d, here it is %d: --rank must "
                            "be as large, and --lora must name it",
                            ley_weight_info(config, weight).name, from.rank, to.rank);
        }
        if (from.a) {
            give_change(&to, &from);
        }
    }
    return LEY_OK;
}
