// adapter_impl.h - the inside of an adapter, shared by adapter.c (reading), adapter_write.c
// and adapter_extract.c. Private to this folder.
#pragma once
#include "core/map.h"
#include "model/adapter.h"
#include "model/scaler_keys_impl.h"

struct ley_adapter {
    struct ley_model_config config;
    struct ley_weight_source base;
    struct ley_map map;
    struct ley_gguf gguf;
    struct ley_lora *lora; // [layer * LEY_N_WEIGHTS + weight], in the order of the model's rows
    float *values;         // of all of them
    int n_changes;
    struct scaler_keys keys; // set.n_layers 0: none
    char origin[32];
};

// The tensors of a change: "blk.3.attn_q.weight.lora_a".
enum { ADAPTER_NAME_BYTES = 80 };

// Name of a tensor, letter 'a' or 'b'; false where such a weight has no place in an adapter.
bool adapter_name(char out[ADAPTER_NAME_BYTES], enum ley_weight weight, int layer, char letter);

// True when the file says that it is an adapter of low-rank changes.
bool adapter_is_one(const struct ley_gguf *gguf);

// What a file will hold, whoever has it.
struct adapter_content {
    const struct ley_model_config *config;
    // The change of a weight (a NULL: none), rows in the order of `config`.
    struct ley_lora (*lora_of)(const void *context, enum ley_weight weight, int layer);
    const void *context;
    double alpha;
    const struct scaler_keys *keys; // set.n_layers 0: none
    const struct ley_block_type *type;
};

// Writes it. LEY_E_ARGUMENT when a row is no whole number of blocks. All or nothing.
LEY_MUST_CHECK enum ley_status adapter_write(const char *path,
                                             const struct adapter_content *content);

// What the adapter keeps under leyden.* keys, borrowed from it.
void adapter_keys(struct scaler_keys *keys, const struct ley_adapter *adapter);
