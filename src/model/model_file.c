// model_file.c - one view of a model on disk, whatever its format
//
// At opening every weight gets its place in the mapped bytes (struct ley_stored); reading is then
// the same for all formats: decode rows, or gather columns where the matrix is stored transposed.
#include "model/model_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/assert.h"
#include "core/datadir.h"
#include "core/memory.h"
#include "model/adapter_impl.h"
#include "model/gguf_write.h"
#include "model/hf_json_impl.h"
#include "model/model_file_impl.h"

// Weights that are not per layer lie in layer 0.
struct ley_stored *ley_stored_at(struct ley_model_file *file, enum ley_weight weight, int layer) {
    return &file->stored[(size_t)layer * LEY_N_WEIGHTS + weight];
}

// n_layers comes from the file; the tensors it really holds bound what is allocated for it.
enum ley_status ley_stored_create(struct ley_model_file *file, size_t n_tensors) {
    enum { LEAST_A_LAYER = 8, SPARE = 8 }; // spare: of few layers the missing tensor is named later
    if ((size_t)file->config.n_layers > n_tensors / LEAST_A_LAYER + SPARE) {
        return ley_fail(LEY_E_FORMAT, "the model announces %d layers, the files hold %zu tensors",
                        file->config.n_layers, n_tensors);
    }
    size_t n = (size_t)file->config.n_layers * LEY_N_WEIGHTS;
    file->stored = ley_alloc(n, sizeof *file->stored);
    return file->stored ? LEY_OK : ley_fail_memory(file->path, n, sizeof *file->stored);
}

// gpt2 has norms with biases and learned positions, llama a gate; a bias that is absent is zero.
static bool is_needed(const struct ley_model_config *config, enum ley_weight weight) {
    bool is_gpt2 = config->family == LEY_FAMILY_GPT2;
    switch (weight) {
    case LEY_WEIGHT_POSITION_EMBEDDING:
    case LEY_WEIGHT_ATTN_NORM_BIAS:
    case LEY_WEIGHT_FFN_NORM_BIAS:
    case LEY_WEIGHT_FINAL_NORM_BIAS:
        return is_gpt2;
    case LEY_WEIGHT_FFN_GATE:
        return !is_gpt2;
    case LEY_WEIGHT_ROPE_FACTORS:
    case LEY_WEIGHT_OUTPUT:
    case LEY_WEIGHT_ATTN_Q_BIAS:
    case LEY_WEIGHT_ATTN_K_BIAS:
    case LEY_WEIGHT_ATTN_V_BIAS:
    case LEY_WEIGHT_ATTN_OUT_BIAS:
    case LEY_WEIGHT_FFN_UP_BIAS:
    case LEY_WEIGHT_FFN_DOWN_BIAS:
        return false;
    default:
        return true;
    }
}

// For a place that is not needed but missing, see is_needed; readers ask has_weight first.
// Biases may be absent, but not here and there: every layer has the same set, and q, k and v agree.
static enum ley_status check_biases(struct ley_model_file *file) {
    const bool has_q = ley_stored_at(file, LEY_WEIGHT_ATTN_Q_BIAS, 0)->data != NULL;
    for (int layer = 0; layer < file->config.n_layers; layer++) {
        for (int weight = 0; weight < LEY_N_WEIGHTS; weight++) {
            struct ley_weight_info info = ley_weight_info(&file->config, (enum ley_weight)weight);
            bool has = ley_stored_at(file, (enum ley_weight)weight, layer)->data != NULL;
            bool has_first = ley_stored_at(file, (enum ley_weight)weight, 0)->data != NULL;
            bool is_kv = weight == LEY_WEIGHT_ATTN_K_BIAS || weight == LEY_WEIGHT_ATTN_V_BIAS;
            if (info.is_per_layer && (has != has_first || (is_kv && has != has_q))) {
                return ley_fail(LEY_E_FORMAT, "%s has %s in some layers or parts only (layer %d)",
                                file->path, info.name, layer);
            }
        }
    }
    return LEY_OK;
}

enum ley_status ley_stored_check(struct ley_model_file *file) {
    for (int weight = 0; weight < LEY_N_WEIGHTS; weight++) {
        struct ley_weight_info info = ley_weight_info(&file->config, (enum ley_weight)weight);
        int n_layers = info.is_per_layer ? file->config.n_layers : 1;
        for (int layer = 0; layer < n_layers; layer++) {
            if (is_needed(&file->config, (enum ley_weight)weight) &&
                !ley_stored_at(file, (enum ley_weight)weight, layer)->data) {
                return ley_fail(LEY_E_FORMAT, "%s lacks the tensor for %s of layer %d", file->path,
                                info.name, layer);
            }
        }
    }
    return check_biases(file);
}

// Maps a GGUF file and reads its tables.
static enum ley_status map_gguf(struct ley_model_file *file) {
    file->is_gguf = true;
    file->map = ley_alloc(1, sizeof *file->map);
    if (!file->map) {
        return ley_fail_memory(file->path, 1, sizeof *file->map);
    }
    file->n_maps = 1;
    LEY_TRY(ley_map_open(file->map, file->path));
    return ley_gguf_read(&file->gguf, file->map->bytes, file->map->n_bytes, file->path);
}

enum ley_status ley_model_path(char *path, size_t n_path, const char *name) {
    char file[64];
    bool is_name = strpbrk(name, "./") == NULL &&
                   (size_t)snprintf(file, sizeof file, "models/leyden-%s.gguf", name) < sizeof file;
    if (is_name && ley_data_path(path, n_path, file) == LEY_OK) {
        return LEY_OK;
    }
    return (size_t)snprintf(path, n_path, "%s", name) < n_path
               ? LEY_OK
               : ley_fail(LEY_E_ARGUMENT, "the name of the model is too long");
}

// A zeroed file with its path; the kind of thing on disk decides the format, not its name.
static enum ley_status create(struct ley_model_file **file, bool *is_folder, const char *name) {
    struct stat info;
    char path[sizeof(*file)->path];
    *file = NULL;
    LEY_TRY(ley_model_path(path, sizeof path, name));
    if (stat(path, &info) != 0) {
        return ley_fail(LEY_E_IO, "cannot open model %s: no such file or folder", path);
    }
    *is_folder = S_ISDIR(info.st_mode);
    *file = ley_alloc(1, sizeof **file);
    if (!*file) {
        return ley_fail_memory(path, 1, sizeof **file);
    }
    snprintf((*file)->path, sizeof(*file)->path, "%s", path);
    return LEY_OK;
}

// What was mapped when it fails is unmapped by the caller's ley_model_file_close.
static enum ley_status open_model(struct ley_model_file *file, bool is_folder) {
    if (is_folder) {
        LEY_TRY(ley_hf_model_open(file));
    } else {
        LEY_TRY(map_gguf(file));
        LEY_TRY(ley_gguf_model_open(file));
    }
    return ley_stored_check(file);
}

// *file is set only when everything has been found and checked.
enum ley_status ley_model_file_open(struct ley_model_file **file, const char *path) {
    struct ley_model_file *made;
    bool is_folder = false;
    *file = NULL;
    LEY_TRY(create(&made, &is_folder, path));
    enum ley_status status = open_model(made, is_folder);
    // Closing takes care of whatever the failed opening had made.
    if (status != LEY_OK) {
        ley_model_file_close(made);
        return status;
    }
    *file = made;
    return LEY_OK;
}

// No configuration, no places: `stored` stays NULL, and only the vocabulary may be asked for.
enum ley_status ley_model_file_open_vocab(struct ley_model_file **file, const char *path) {
    struct ley_model_file *made;
    bool is_folder = false;
    *file = NULL;
    LEY_TRY(create(&made, &is_folder, path));
    enum ley_status status = is_folder || hf_is_json_path(path) ? LEY_OK : map_gguf(made);
    if (status != LEY_OK) {
        ley_model_file_close(made);
        return status;
    }
    *file = made;
    return LEY_OK;
}

// Closes a file in any state of opening.
void ley_model_file_close(struct ley_model_file *file) {
    if (!file) {
        return;
    }
    ley_adapter_close(file->adapter);
    ley_gguf_destroy(&file->gguf);
    for (int i = 0; i < file->n_maps; i++) {
        ley_map_close(&file->map[i]);
    }
    ley_free(file->map);
    ley_free(file->stored);
    ley_free(file->strings[0]);
    ley_free(file->strings[1]);
    ley_free(file->token_type);
    ley_free(file->token_score);
    ley_hf_vocab_destroy(file->hf_vocab);
    ley_free(file->rope_factors);
    ley_free(file);
}

const struct ley_model_config *ley_model_file_config(const struct ley_model_file *file) {
    return &file->config;
}

// ---- weights

// Also false for a weight that its family does not know.
static bool has_weight(void *context, enum ley_weight weight, int layer) {
    return ley_stored_at(context, weight, layer)->data != NULL;
}

// One weight of a stored row, for matrices that are stored transposed.
static enum ley_status gather(float *out, const struct ley_stored *stored, int64_t n_columns,
                              int64_t first_row, int64_t n_rows) {
    const struct ley_block_type *type = stored->type;
    int64_t n_blocks = stored->n_columns / type->n_weights;
    float *row = ley_alloc((size_t)stored->n_columns, sizeof *row);
    if (!row) {
        return ley_fail_memory("a row of weights", (size_t)stored->n_columns, sizeof *row);
    }
    for (int64_t c = 0; c < n_columns; c++) { // stored row c holds input c of all outputs
        ley_blocks_decode(row, type, stored->data + c * n_blocks * type->n_bytes, n_blocks);
        for (int64_t r = 0; r < n_rows; r++) {
            // Only the columns of the outputs asked for leave the row that was decoded.
            out[r * n_columns + c] = row[stored->first + first_row + r];
        }
    }
    ley_free(row);
    return LEY_OK;
}

// Rows first_row .. of the canonical matrix, as float32. Reading a weight that has_weight denies is
// a broken contract: `stored` is empty then.
static enum ley_status read_weight(void *context, float *out, enum ley_weight weight, int layer,
                                   int64_t first_row, int64_t n_rows) {
    struct ley_model_file *file = context;
    const struct ley_stored *stored = ley_stored_at(file, weight, layer);
    struct ley_weight_info info = ley_weight_info(&file->config, weight);
    if (stored->is_transposed) {
        return gather(out, stored, info.n_columns, first_row, n_rows);
    }
    // Rows are whole blocks, so a range of rows is a range of bytes.
    int64_t n_blocks = info.n_columns / stored->type->n_weights;
    if (info.n_columns % stored->type->n_weights != 0) { // a part of one stored row: q of q, k, v
        return ley_fail(LEY_E_FORMAT, "%s: %s is quantised across its parts", file->path,
                        info.name);
    }
    ley_blocks_decode(out, stored->type,
                      stored->data + (stored->first + first_row) * n_blocks * stored->type->n_bytes,
                      n_rows * n_blocks);
    return LEY_OK;
}

// The source points at the file, which must outlive it.
struct ley_weight_source ley_model_file_source(const struct ley_model_file *file) {
    if (file->update.source.has) {
        return file->update.source;
    }
    return (struct ley_weight_source){(void *)(uintptr_t)file, has_weight, read_weight};
}

// ---- vocabulary

// Both formats fill the same struct; what differs is who owns its lists.
enum ley_status ley_model_file_vocab(struct ley_model_file *file, struct ley_vocab *vocab) {
    if (file->is_gguf) {
        LEY_TRY(ley_gguf_model_vocab(file, vocab));
    } else {
        // Read once and kept: texts of `vocab` live as long as the file.
        if (!file->hf_vocab) {
            LEY_TRY(ley_hf_vocab_load(&file->hf_vocab, file->path));
        }
        *vocab = *ley_hf_vocab_get(file->hf_vocab);
    }
    // a file that was opened for its vocabulary alone has no weights to compare with
    if (file->stored && vocab->n_tokens > file->config.n_vocab) {
        return ley_fail(LEY_E_FORMAT,
                        "%s: the tokenizer has %d tokens, but the embedding has %d rows",
                        file->path, vocab->n_tokens, file->config.n_vocab);
    }
    return LEY_OK;
}

// ---- what Leyden keeps in a model file

// *has_scalers = false is no error: most files hold none.
enum ley_status ley_model_file_scalers(const struct ley_model_file *file,
                                       struct ley_scaler_set *set, bool *has_scalers) {
    const struct ley_scaler_set *from = &file->update.keys.set;
    *has_scalers = from->n_layers > 0;
    if (*has_scalers) {
        LEY_TRY(ley_scaler_set_create(set, from->n_layers, &from->shape));
        ley_scaler_set_copy(set, from);
        return LEY_OK;
    }
    *has_scalers = scaler_keys_exist(&file->gguf);
    return *has_scalers ? scaler_keys_read(set, &file->gguf, &file->config, file->path) : LEY_OK;
}

const char *ley_model_file_scaler_origin(const struct ley_model_file *file) {
    return file->update.keys.set.n_layers > 0 ? file->update.keys.origin.text : file->origin;
}

// As YAML text; n = 0 where the file carries none.
struct ley_string ley_model_file_hardware(const struct ley_model_file *file) {
    return file->update.keys.set.n_layers > 0 ? file->update.keys.hardware
                                              : ley_gguf_string(&file->gguf, "leyden.hardware");
}

void ley_model_file_update(struct ley_model_file *file, const struct ley_model_update *update) {
    LEY_ASSERT(!file->adapter);
    file->update.source = update->weights;
    file->update.keys = (struct scaler_keys){.hardware = update->hardware};
    if (update->scalers) {
        file->update.keys.set = *update->scalers;
        file->update.keys.origin = (struct ley_string){update->origin, strlen(update->origin)};
    }
}

// The adapter stays open with the file.
enum ley_status ley_model_file_apply(struct ley_model_file *file, const char *path) {
    LEY_ASSERT(!file->adapter && !file->update.source.has);
    const struct ley_weight_source base = ley_model_file_source(file);
    LEY_TRY(ley_adapter_open(&file->adapter, path, &file->config, &base));
    adapter_keys(&file->update.keys, file->adapter);
    if (ley_adapter_n_changes(file->adapter) > 0) {
        file->update.source = ley_adapter_source(file->adapter);
    }
    return LEY_OK;
}

// A model that is on no disk: a configuration, and what its maker says of its weights.
enum ley_status ley_model_file_make(struct ley_model_file **file,
                                    const struct ley_model_config *config,
                                    const struct ley_model_update *update) {
    LEY_ASSERT(update->weights.has);
    *file = ley_alloc(1, sizeof **file);
    if (!*file) {
        return ley_fail_memory("a model file", 1, sizeof **file);
    }
    (*file)->config = *config;
    snprintf((*file)->path, sizeof(*file)->path, "a new model");
    snprintf((*file)->origin, sizeof(*file)->origin, "none");
    ley_model_file_update(*file, update);
    return LEY_OK;
}

// Everything of the file, with scalers and hardware written anew. Keys of others are kept as they
// are, in the order of the file.
static enum ley_status add_pairs(struct ley_gguf_builder *builder,
                                 const struct ley_model_file *file,
                                 const struct scaler_keys *keys) {
    for (uint64_t i = 0; i < file->gguf.n_pairs; i++) {
        const struct ley_gguf_pair *pair = &file->gguf.pair[i];
        bool is_alignment = pair == ley_gguf_find(&file->gguf, "general.alignment");
        if (!scaler_keys_own(pair) && !is_alignment) { // written with the default alignment
            ley_gguf_add_pair(builder, pair);
        }
    }
    return scaler_keys_add(builder, keys);
}

// Tensors go into the new file by their mapped bytes (content NULL): nothing is decoded.
enum ley_status ley_model_file_save_scalers(const char *path, const struct ley_model_file *file,
                                            const struct ley_scaler_set *set, const char *hardware,
                                            const char *origin) {
    struct ley_gguf_builder *builder;
    if (!file->is_gguf) {
        return ley_fail(LEY_E_ARGUMENT,
                        "%s is a Hugging Face folder; leyden convert makes a GGUF file "
                        "of it, which can hold scalers",
                        file->path);
    }
    if (file->update.source.has) {
        return ley_fail(LEY_E_ARGUMENT,
                        "%s has other weights than its file now: leyden convert --adapter merges "
                        "them first",
                        file->path);
    }
    const struct scaler_keys keys = {*set, {hardware, strlen(hardware)}, {origin, strlen(origin)}};
    LEY_TRY(ley_gguf_builder_create(&builder));
    enum ley_status status = add_pairs(builder, file, &keys);
    if (status == LEY_OK) {
        status =
            ley_gguf_write(path, builder, file->gguf.tensor, (size_t)file->gguf.n_tensors, NULL);
    }
    ley_gguf_builder_destroy(builder);
    return status;
}
