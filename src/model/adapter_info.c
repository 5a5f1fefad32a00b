// adapter_info.c - what there is to say about an adapter file, without its model
//
// Sizes are those of the stored pairs; whether they fit a model is known only when they are opened
// with it (adapter.c).
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "model/adapter_impl.h"
#include "model/model_file_impl.h"

// Over the A tensors, of which every change has one.
struct ranks {
    int64_t least, most;
    int n_changes, n_layers;
    double n_values;
};

static bool ends_with(struct ley_string text, const char *end) {
    size_t n = strlen(end);
    return text.n >= n && memcmp(text.text + text.n - n, end, n) == 0;
}

// "blk.3.attn_q.weight.lora_a" -> 3; -1 where it has no such beginning.
static int layer_of(struct ley_string name) {
    int layer = 0, digits = 0;
    if (name.n < 5 || memcmp(name.text, "blk.", 4) != 0) {
        return -1;
    }
    for (size_t i = 4; i < name.n && name.text[i] >= '0' && name.text[i] <= '9' && digits < 6;
         i++) {
        layer = 10 * layer + (name.text[i] - '0');
        digits++;
    }
    return digits ? layer : -1;
}

static struct ranks count(const struct ley_gguf *gguf) {
    struct ranks r = {.least = INT64_MAX};
    for (uint64_t i = 0; i < gguf->n_tensors; i++) {
        const struct ley_gguf_tensor *t = &gguf->tensor[i];
        r.n_values += (double)t->dim[0] * (double)t->dim[1];
        if (ends_with(t->name, ".lora_a")) {
            int layer = layer_of(t->name);
            r.least = t->dim[1] < r.least ? t->dim[1] : r.least;
            r.most = t->dim[1] > r.most ? t->dim[1] : r.most;
            r.n_layers = layer >= r.n_layers ? layer + 1 : r.n_layers;
            r.n_changes++;
        }
    }
    return r;
}

// Which matrices of layer 0 it changes: "attn_q", ...
static void add_matrices(struct cJSON *root, const struct ley_gguf *gguf) {
    static const char begin[] = "blk.0.", end[] = ".weight.lora_a";
    const size_t n_begin = sizeof begin - 1, n_end = sizeof end - 1;
    struct cJSON *list = cJSON_AddArrayToObject(root, "matrices");
    for (uint64_t i = 0; i < gguf->n_tensors; i++) {
        struct ley_string name = gguf->tensor[i].name;
        char matrix[64];
        if (name.n > n_begin + n_end && name.n < sizeof matrix && ends_with(name, end) &&
            memcmp(name.text, begin, n_begin) == 0) {
            snprintf(matrix, sizeof matrix, "%.*s", (int)(name.n - n_begin - n_end),
                     name.text + n_begin);
            cJSON_AddItemToArray(list, cJSON_CreateString(matrix));
        }
    }
}

static void add_changes(struct cJSON *root, const struct ley_gguf *gguf) {
    struct ranks r = count(gguf);
    cJSON_AddNumberToObject(root, "changes", r.n_changes);
    cJSON_AddNumberToObject(root, "layers", r.n_layers);
    add_matrices(root, gguf);
    if (r.n_changes > 0) {
        cJSON_AddNumberToObject(root, "least_rank", (double)r.least);
        cJSON_AddNumberToObject(root, "most_rank", (double)r.most);
        double alpha = ley_gguf_number(gguf, "adapter.lora.alpha", (double)r.most);
        cJSON_AddNumberToObject(root, "alpha", isfinite(alpha) ? alpha : 0);
        cJSON_AddStringToObject(root, "type", gguf->tensor[0].type->name);
    }
    cJSON_AddNumberToObject(root, "parameters", r.n_values);
}

static struct cJSON *describe(const struct ley_gguf *gguf, const char *path, double n_bytes) {
    struct cJSON *root = cJSON_CreateObject();
    struct ley_string hardware = ley_gguf_string(gguf, "leyden.hardware");
    bool has_scalers = scaler_keys_exist(gguf);
    cJSON_AddStringToObject(root, "kind", "adapter");
    model_info_add_text(root, "for_model", ley_gguf_string(gguf, "general.base_model.0.name"));
    model_info_add_text(root, "architecture", ley_gguf_string(gguf, "general.architecture"));
    cJSON_AddStringToObject(root, "path", path);
    cJSON_AddNumberToObject(root, "file_bytes", n_bytes);
    add_changes(root, gguf);
    model_info_add_text(root, "scalers",
                        has_scalers ? ley_gguf_string(gguf, "leyden.scaler.origin")
                                    : (struct ley_string){"none", 4});
    if (hardware.n > 0) {
        model_info_add_text(root, "hardware", hardware);
    }
    return root;
}

enum ley_status ley_adapter_json(struct cJSON **json, const char *path) {
    struct ley_map map;
    struct ley_gguf gguf = {0};
    *json = NULL;
    LEY_TRY(ley_map_open(&map, path));
    enum ley_status status = ley_gguf_read(&gguf, map.bytes, map.n_bytes, path);
    if (status == LEY_OK && adapter_is_one(&gguf)) {
        *json = describe(&gguf, path, (double)map.n_bytes);
        status = *json ? LEY_OK : ley_fail_memory("JSON", 1, 1);
    } else if (status == LEY_OK) {
        status = ley_fail(LEY_E_FORMAT, "%s is no adapter (general.type, adapter.type)", path);
    }
    ley_gguf_destroy(&gguf);
    ley_map_close(&map);
    return status;
}
