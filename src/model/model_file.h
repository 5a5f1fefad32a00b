// model_file.h - a pretrained model on disk: a GGUF file, or a Hugging Face folder.
//
// Opening maps the weights and checks everything: the architecture (gpt2 or llama), sizes, and that
// every tensor the model needs is there in the right shape. Weights are then read in the canonical
// form of weight.def, whatever the file holds.
#pragma once
#include <stdbool.h>

#include "attention/scaler_set.h"
#include "model/config.h"
#include "model/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_model_file;
struct cJSON;

// Path of a model: a name without '.' and '/' ("small") is first looked for among the models that
// come with Leyden (models/leyden-NAME.gguf of its data); anything else is a path and taken as it
// is.
LEY_MUST_CHECK enum ley_status ley_model_path(char *path, size_t n_path, const char *name);

// Opens a .gguf file, or a folder with config.json and model.safetensors (or its index of shards).
// `path` may be a name as of ley_model_path, here and below.
LEY_MUST_CHECK enum ley_status ley_model_file_open(struct ley_model_file **file, const char *path);

// Opens a file or folder, or a tokenizer.json under any name that ends in .json, for its vocabulary
// alone: the model in it may be absent or of another kind. Of the functions below only
// ley_model_file_vocab and ley_model_file_close may be called.
LEY_MUST_CHECK enum ley_status ley_model_file_open_vocab(struct ley_model_file **file,
                                                         const char *path);

// NULL is accepted.
void ley_model_file_close(struct ley_model_file *file);

// The model's shape, already checked.
const struct ley_model_config *ley_model_file_config(const struct ley_model_file *file);

// Its weights; valid while the file is open.
struct ley_weight_source ley_model_file_source(const struct ley_model_file *file);

// Its vocabulary; the pointers inside are valid while the file is open. LEY_E_FORMAT when there is
// none or it is of a kind that is not known.
LEY_MUST_CHECK enum ley_status ley_model_file_vocab(struct ley_model_file *file,
                                                    struct ley_vocab *vocab);

// The analog scalers stored under leyden.scaler.*; *has_scalers false and nothing created when
// there are none. The caller destroys the set.
LEY_MUST_CHECK enum ley_status ley_model_file_scalers(const struct ley_model_file *file,
                                                      struct ley_scaler_set *set,
                                                      bool *has_scalers);

// Applies an adapter (adapter.h): from now on weights, scalers and hardware are those of the
// adapted model. Once, before weights are read. LEY_E_FORMAT when it was made for another model.
LEY_MUST_CHECK enum ley_status ley_model_file_apply(struct ley_model_file *file, const char *path);

// What takes the place of what a file holds. Borrowed: must live as long as the file is used.
struct ley_model_update {
    struct ley_weight_source weights;     // of the same shapes; `has` NULL: those of the file
    const struct ley_scaler_set *scalers; // NULL: those of the file
    struct ley_string hardware;           // YAML, with scalers
    const char *origin;                   // "adapted", "matched"; with scalers
};

// Replaces weights and scalers, for a conversion of what was learned. Not after an adapter
// (contract).
void ley_model_file_update(struct ley_model_file *file, const struct ley_model_update *update);

// Makes a file that is on no disk, from a checked configuration and weights; it has no vocabulary.
LEY_MUST_CHECK enum ley_status ley_model_file_make(struct ley_model_file **file,
                                                   const struct ley_model_config *config,
                                                   const struct ley_model_update *update);

// "calibrated", "matched", "adapted", or "none". Valid while the file is open.
const char *ley_model_file_scaler_origin(const struct ley_model_file *file);

// The hardware stored under leyden.hardware (YAML of a whole ley_hardware); n = 0: none.
struct ley_string ley_model_file_hardware(const struct ley_model_file *file);

// Writes a GGUF copy of a GGUF model with these scalers, hardware (YAML) and origin in place of any
// it had; tensors are copied as they are. All or nothing.
LEY_MUST_CHECK enum ley_status ley_model_file_save_scalers(const char *path,
                                                           const struct ley_model_file *file,
                                                           const struct ley_scaler_set *set,
                                                           const char *hardware,
                                                           const char *origin);

// Everything a person asks of a model file, as a JSON object; the caller deletes it. NULL when out
// of memory. `with_tensors` adds a list of all weights. Opens the vocabulary, if there is one.
struct cJSON *ley_model_file_json(struct ley_model_file *file, bool with_tensors);

#ifdef __cplusplus
}
#endif
