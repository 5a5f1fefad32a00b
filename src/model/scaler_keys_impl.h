// scaler_keys_impl.h - scalers and the hardware they were made for, as keys of GGUF files: of
// models and of adapters. Private to this folder.
#pragma once
#include <stdbool.h>

#include "attention/scaler_set.h"
#include "model/config.h"
#include "model/gguf_write.h"

// Scalers, the hardware they are for (YAML), how they came to be ("calibrated").
struct scaler_keys {
    struct ley_scaler_set set;
    struct ley_string hardware, origin;
};

// True when the file holds scalers.
bool scaler_keys_exist(const struct ley_gguf *gguf);

// Creates `set` from the file, which is known to hold scalers; `path` is for messages.
LEY_MUST_CHECK enum ley_status scaler_keys_read(struct ley_scaler_set *set,
                                                const struct ley_gguf *gguf,
                                                const struct ley_model_config *config,
                                                const char *path);

// True for the pairs that scaler_keys_add writes.
bool scaler_keys_own(const struct ley_gguf_pair *pair);

// Adds all of them.
LEY_MUST_CHECK enum ley_status scaler_keys_add(struct ley_gguf_builder *builder,
                                               const struct scaler_keys *keys);
