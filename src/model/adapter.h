// adapter.h - what a model has learned beside its weights, in a small file of its own.
//
// A GGUF file by the common conventions: general.type "adapter", adapter.type "lora",
// adapter.lora.alpha, and for each changed matrix a pair of tensors, its name with ".lora_a"
// (rank, inputs) and ".lora_b" (outputs, rank): W_eff = W + (alpha / rank) B A. Rows of q and k
// stand in the order of GGUF models. Scalers and the hardware they are for stand under the same
// leyden.* keys as in a model; either part may be absent.
#pragma once
#include "model/block.h"
#include "model/net.h"
#include "model/net_lora.h"

struct cJSON;

#ifdef __cplusplus
extern "C" {
#endif

struct ley_adapter;

// Opens an adapter for a model, whose shape (copied) and weights (borrowed) are given. LEY_E_FORMAT
// when it is none, or was made for another model.
LEY_MUST_CHECK enum ley_status ley_adapter_open(struct ley_adapter **adapter, const char *path,
                                                const struct ley_model_config *config,
                                                const struct ley_weight_source *base);

// NULL is accepted.
void ley_adapter_close(struct ley_adapter *adapter);

// Everything a person asks of an adapter file, whatever its model, as a JSON object; the caller
// deletes it. LEY_E_FORMAT when it is none.
LEY_MUST_CHECK enum ley_status ley_adapter_json(struct cJSON **json, const char *path);

// Matrices that it changes.
int ley_adapter_n_changes(const struct ley_adapter *adapter);

// The change of a weight; `a` is NULL where there is none. Valid while the adapter is open.
struct ley_lora ley_adapter_lora(const struct ley_adapter *adapter, enum ley_weight weight,
                                 int layer);

// The weights with their changes; valid while the adapter is open.
struct ley_weight_source ley_adapter_source(struct ley_adapter *adapter);

// What is written besides the changes of a net.
struct ley_adapter_facts {
    const char *hardware, *origin; // YAML; "adapted", "matched". Of a net on a chip, else unused
    const struct ley_block_type *type; // F32, F16 or BF16
};

// Writes the changes of a net and, when its model is on a chip, the scalers. All or nothing.
LEY_MUST_CHECK enum ley_status ley_adapter_save(const char *path, struct ley_net *net,
                                                const struct ley_adapter_facts *facts);

// Starts a net, whose changes are still as ley_net_set_lora left them, from an adapter: what it
// changes, the net must change with no lower rank (LEY_E_ARGUMENT); the effective weights become
// the adapter's. Scalers are not taken.
LEY_MUST_CHECK enum ley_status ley_adapter_give(struct ley_net *net,
                                                const struct ley_adapter *adapter);

#ifdef __cplusplus
}
#endif
