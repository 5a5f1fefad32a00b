// hf_model.c - a Hugging Face folder (config.json and safetensors) as an open model file
//
// Steps: (1) config.json, checked before anything is sized by it, (2) the shards are mapped and
// their tables read, (3) a table of names gives every weight its place, (4) rope scaling becomes
// divisors of the rotary frequencies. The tables of the containers are not needed afterwards.
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "model/hf_config_impl.h"
#include "model/hf_names_impl.h"
#include "model/model_file_impl.h"
#include "model/safetensors.h"

// Far above real ones; they bound what a folder can make us read.
enum { MAX_CONFIG_BYTES = 1 << 20, MAX_INDEX_BYTES = 1 << 26 };

// What is needed while opening only; what stays is in `file`.
struct opening {
    struct ley_model_file *file;
    struct hf_config config;
    struct ley_shard_index index;  // n_files = 0: a single file
    struct ley_safetensors *shard; // [file->n_maps]
    size_t n_tensors;              // of all shards
};

// ---- files of the folder

// The folder and one plain name.
static enum ley_status path_of(char path[2048], const struct opening *opening, const char *name) {
    int n = snprintf(path, 2048, "%s/%s", opening->file->path, name);
    return n > 0 && n < 2048 ? LEY_OK : ley_fail(LEY_E_ARGUMENT, "the folder's name is too long");
}

// The configuration was checked by hf_config_read; the file gets a copy without a name.
static enum ley_status read_config(struct opening *opening) {
    char path[2048], *text;
    size_t n;
    LEY_TRY(path_of(path, opening, "config.json"));
    LEY_TRY(ley_file_read(&text, &n, path, MAX_CONFIG_BYTES));
    enum ley_status status = hf_config_read(&opening->config, (struct ley_string){text, n});
    ley_free(text);
    opening->file->config = opening->config.model;
    return status;
}

// People know a model by its folder.
static void name_model(struct ley_model_file *file) {
    size_t end = strlen(file->path);
    while (end > 1 && file->path[end - 1] == '/') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && file->path[begin - 1] != '/') {
        begin--;
    }
    snprintf(file->config.name, sizeof file->config.name, "%.*s", (int)(end - begin),
             file->path + begin);
    snprintf(file->origin, sizeof file->origin, "none");
}

// A single file wins over an index that may lie beside it.
static enum ley_status read_index(struct opening *opening) {
    static const char name[] = "model.safetensors.index.json";
    char path[2048], single[2048], *text;
    size_t n;
    LEY_TRY(path_of(single, opening, "model.safetensors"));
    LEY_TRY(path_of(path, opening, name));
    if (ley_file_exists(single)) {
        return LEY_OK;
    }
    if (!ley_file_exists(path)) {
        return ley_fail(LEY_E_IO,
                        "no model.safetensors, nor %s (weights in other formats, such as "
                        "pytorch_model.bin, are not read)",
                        name);
    }
    LEY_TRY(ley_file_read(&text, &n, path, MAX_INDEX_BYTES));
    enum ley_status status =
        ley_shard_index_read(&opening->index, (struct ley_string){text, n}, name);
    ley_free(text);
    return status;
}

// n_maps counts as maps are made, so that closing unmaps exactly these.
static enum ley_status open_shards(struct opening *opening) {
    struct ley_model_file *file = opening->file;
    int n = opening->index.n_files > 0 ? opening->index.n_files : 1;
    file->map = ley_alloc((size_t)n, sizeof *file->map);
    opening->shard = ley_alloc((size_t)n, sizeof *opening->shard);
    if (!file->map || !opening->shard) {
        return ley_fail_memory("shards", (size_t)n, sizeof *opening->shard);
    }
    for (int i = 0; i < n; i++) {
        const char *name =
            opening->index.n_files > 0 ? opening->index.file_name[i] : "model.safetensors";
        char path[2048];
        LEY_TRY(path_of(path, opening, name));
        LEY_TRY(ley_map_open(&file->map[i], path));
        file->n_maps = i + 1;
        LEY_TRY(ley_safetensors_read(&opening->shard[i], file->map[i].bytes, file->map[i].n_bytes,
                                     name));
        opening->n_tensors += opening->shard[i].n_tensors;
    }
    return LEY_OK;
}

// ---- places of weights

// Through the index where there is one: a tensor in another shard than it says is not found.
static const struct ley_safetensor *find_named(const struct opening *opening, const char *name) {
    int shard = opening->index.n_files > 0 ? ley_shard_index_find(&opening->index, name) : 0;
    return shard >= 0 ? ley_safetensors_find(&opening->shard[shard], name) : NULL;
}

// The tensor of a row, with the prefix of the family or without; `name` receives the longer one.
static const struct ley_safetensor *find_tensor(char name[HF_NAME_BYTES],
                                                const struct opening *opening,
                                                const struct hf_name *row, int layer) {
    const char *prefix = hf_name_prefix(opening->config.model.family);
    hf_name_format(name, &opening->config.model, row, layer);
    size_t n_prefix = strncmp(name, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 0;
    const struct ley_safetensor *tensor = find_named(opening, name);
    return tensor || n_prefix == 0 ? tensor : find_named(opening, name + n_prefix);
}

// "[2, 3]"
static void print_shape(char text[128], int n_dims, const int64_t *dim) {
    int n = snprintf(text, 128, "[");
    for (int i = 0; i < n_dims && n < 100; i++) {
        n += snprintf(text + n, 128 - (size_t)n, "%s%lld", i ? ", " : "", (long long)dim[i]);
    }
    snprintf(text + n, 128 - (size_t)n, "]");
}

// Shapes must be what config.json makes of them: nothing is broadcast or cut.
static enum ley_status check_tensor(const struct ley_safetensor *tensor, int n_dims,
                                    const int64_t *dim) {
    if (tensor->n_dims != n_dims || tensor->dim[0] != dim[0] ||
        (n_dims > 1 && tensor->dim[1] != dim[1])) {
        char got[128], wanted[128];
        print_shape(got, tensor->n_dims, tensor->dim);
        print_shape(wanted, n_dims, dim);
        return ley_fail(LEY_E_FORMAT, "tensor %s has shape %s, config.json wants %s", tensor->name,
                        got, wanted);
    }
    if (!tensor->type) {
        return ley_fail(LEY_E_FORMAT, "tensor %s holds %.20s; F32, F16 and BF16 are known",
                        tensor->name, tensor->dtype);
    }
    return LEY_OK;
}

// Notes the place of one weight in its tensor.
static enum ley_status place(struct opening *opening, const struct hf_name *row, int layer,
                             const struct ley_safetensor *tensor) {
    struct ley_weight_info info = ley_weight_info(&opening->config.model, row->weight);
    int64_t rows = info.n_rows, columns = info.n_columns;
    struct ley_stored stored = {tensor->data, tensor->type, columns, 0, false};
    int64_t dim[2] = {rows, columns};
    switch (row->form) {
    case HF_VECTOR:
        dim[0] = columns;
        break;
    case HF_THIRD_OF_VECTOR: // three rows of a matrix
        dim[0] = 3 * columns;
        stored.first = row->third;
        break;
    case HF_MATRIX:
        break;
    case HF_TRANSPOSED:
    // Conv1D: rows are inputs, so thirds of the outputs are ranges of columns.
    case HF_THIRD_OF_TRANSPOSED:
        dim[0] = columns;
        dim[1] = row->form == HF_TRANSPOSED ? rows : 3 * rows;
        stored.n_columns = dim[1];
        stored.first = row->third * rows;
        stored.is_transposed = true;
        break;
    }
    LEY_TRY(check_tensor(tensor, row->form == HF_VECTOR || row->form == HF_THIRD_OF_VECTOR ? 1 : 2,
                         dim));
    *ley_stored_at(opening->file, row->weight, layer) = stored;
    return LEY_OK;
}

// In a folder every row of the table is needed: a bias that is absent is refused, not zero.
static enum ley_status place_row(struct opening *opening, const struct hf_name *row, int layer) {
    char name[HF_NAME_BYTES];
    const struct ley_safetensor *tensor = find_tensor(name, opening, row, layer);
    if (!tensor && row->weight == LEY_WEIGHT_TOKEN_EMBEDDING && opening->config.tie == HF_TIED) {
        tensor = find_named(opening, hf_output_name.name); // tied, and stored under its other name
    }
    if (!tensor) {
        return ley_fail(LEY_E_FORMAT, "tensor %s is missing", name);
    }
    return place(opening, row, layer, tensor);
}

// Each row once, or once a layer.
static enum ley_status place_rows(struct opening *opening, const struct hf_name *row, int n) {
    for (int i = 0; i < n; i++) {
        bool is_per_layer = ley_weight_info(&opening->config.model, row[i].weight).is_per_layer;
        int n_layers = is_per_layer ? opening->config.model.n_layers : 1;
        for (int layer = 0; layer < n_layers; layer++) {
            LEY_TRY(place_row(opening, &row[i], layer));
        }
    }
    return LEY_OK;
}

// The output matrix, unless it is the token embedding.
static enum ley_status place_output(struct opening *opening) {
    bool is_there = find_named(opening, hf_output_name.name) != NULL;
    bool is_tied =
        opening->config.tie == HF_TIED || (opening->config.tie == HF_TIE_UNSAID && !is_there);
    return is_tied ? LEY_OK : place_row(opening, &hf_output_name, 0);
}

// Divisors as a weight of their own, like GGUF's rope_freqs: the model knows no kinds of scaling.
static enum ley_status place_rope_factors(struct opening *opening) {
    struct ley_model_file *file = opening->file;
    if (opening->config.scaling.kind == HF_ROPE_PLAIN) {
        return LEY_OK;
    }
    size_t n = (size_t)opening->config.model.rope_dim / 2;
    file->rope_factors = ley_alloc(n, sizeof *file->rope_factors);
    if (!file->rope_factors) {
        return ley_fail_memory("rotary factors", n, sizeof *file->rope_factors);
    }
    hf_config_rope_factors(file->rope_factors, &opening->config);
    *ley_stored_at(file, LEY_WEIGHT_ROPE_FACTORS, 0) = (struct ley_stored){
        (const uint8_t *)file->rope_factors, ley_block_type(LEY_BLOCK_F32), (int64_t)n, 0, false};
    return LEY_OK;
}

// The places come last: they are sized by the layers, which the tensors have to account for.
static enum ley_status place_all(struct opening *opening) {
    LEY_TRY(ley_stored_create(opening->file, opening->n_tensors));
    struct hf_names names =
        hf_names(opening->config.model.family, opening->config.has_attention_bias);
    LEY_TRY(place_rows(opening, names.row, names.n));
    LEY_TRY(place_output(opening));
    return place_rope_factors(opening);
}

// config.json first: everything later is checked against it.
static enum ley_status open_all(struct opening *opening) {
    LEY_TRY(read_config(opening));
    name_model(opening->file);
    LEY_TRY(read_index(opening));
    LEY_TRY(open_shards(opening));
    return place_all(opening);
}

// The tables of the shards go; their bytes stay mapped, and the places point there.
enum ley_status ley_hf_model_open(struct ley_model_file *file) {
    struct opening opening = {.file = file};
    enum ley_status status = open_all(&opening);
    for (int i = 0; opening.shard && i < file->n_maps; i++) {
        ley_safetensors_destroy(&opening.shard[i]);
    }
    ley_free(opening.shard);
    ley_shard_index_destroy(&opening.index);
    return status == LEY_OK ? LEY_OK : ley_fail_within(status, file->path);
}
