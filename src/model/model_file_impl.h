// model_file_impl.h - an open model file as its two formats fill it. Private to this folder.
#pragma once
#include "core/map.h"
#include "model/block.h"
#include "model/gguf.h"
#include "model/hf_vocab.h"
#include "model/model_file.h"
#include "model/scaler_keys_impl.h"

struct ley_adapter;

// Where a weight lies: a matrix in the file, rows one after another, of which a part is wanted.
struct ley_stored {
    const uint8_t *data; // NULL: the model has no such weight
    const struct ley_block_type *type;
    int64_t n_columns;  // of the stored matrix: weights from one stored row to the next
    int64_t first;      // first stored row wanted; first stored column when transposed
    bool is_transposed; // stored (inputs, outputs), as Conv1D of gpt2 does
};

struct ley_model_file {
    // as it was given, for messages
    char path[1024];
    // of the file, checked
    struct ley_model_config config;
    struct ley_stored *stored; // [layer * LEY_N_WEIGHTS + weight]
    struct ley_map *map;       // [n_maps] files behind the weights
    int n_maps;
    bool is_gguf;
    struct ley_gguf gguf;          // is_gguf
    struct ley_string *strings[2]; // tokens and merges of a GGUF vocabulary, once asked for
    // NULL where the vocabulary gives none, or was not asked for
    int8_t *token_type;
    float *token_score;
    struct ley_hf_vocab *hf_vocab; // of a folder, once asked for
    float *rope_factors;           // of a folder with rope scaling; ley_free
    // of the scalers, "none" where there are none
    char origin[32];
    // What takes the place of the file's own; source.has NULL, keys.set.n_layers 0: nothing does.
    // Borrowed, from `adapter` or from others.
    struct {
        struct ley_weight_source source;
        struct scaler_keys keys;
    } update;
    struct ley_adapter *adapter; // NULL: none
};

// The place of one weight.
struct ley_stored *ley_stored_at(struct ley_model_file *file, enum ley_weight weight, int layer);

// Makes room for the places of all layers; the file must hold tensors enough for them, so that a
// false number of layers cannot ask for much memory.
LEY_MUST_CHECK enum ley_status ley_stored_create(struct ley_model_file *file, size_t n_tensors);

// Fails when a weight that this model needs has no place (LEY_E_FORMAT, naming it).
LEY_MUST_CHECK enum ley_status ley_stored_check(struct ley_model_file *file);

// gguf_model.c: fills config, stored from file->gguf (read already).
LEY_MUST_CHECK enum ley_status ley_gguf_model_open(struct ley_model_file *file);
LEY_MUST_CHECK enum ley_status ley_gguf_model_vocab(struct ley_model_file *file,
                                                    struct ley_vocab *vocab);

// hf_model.c: fills config, maps, stored from the folder file->path.
LEY_MUST_CHECK enum ley_status ley_hf_model_open(struct ley_model_file *file);

// model_info.c: adds a text of a file, which has no terminator; without memory it is left out.
void model_info_add_text(struct cJSON *object, const char *key, struct ley_string text);
