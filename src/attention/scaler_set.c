// scaler_set.c - scalers of a whole model
#include "attention/scaler_set.h"

#include <string.h>

#include "core/assert.h"
#include "core/memory.h"

// One block for each signal: layers of one signal lie one after another.
enum ley_status ley_scaler_set_create(struct ley_scaler_set *set, int n_layers,
                                      const struct ley_attention_shape *shape) {
    *set = (struct ley_scaler_set){.n_layers = n_layers, .shape = *shape};
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        size_t n = (size_t)n_layers * (size_t)ley_attention_n_heads(shape, (enum ley_signal)signal);
        set->scaler[signal] = ley_alloc(n, sizeof(struct ley_scaler));
        if (!set->scaler[signal]) {
            ley_scaler_set_destroy(set);
            return ley_fail_memory("scalers", n, sizeof(struct ley_scaler));
        }
    }
    size_t n_sizes = (size_t)n_layers * (size_t)shape->n_query_heads;
    set->output_size = ley_alloc(n_sizes, sizeof(double));
    if (!set->output_size) {
        ley_scaler_set_destroy(set);
        return ley_fail_memory("sizes of outputs", n_sizes, sizeof(double));
    }
    return LEY_OK;
}

// The shape stays, the pairs go.
void ley_scaler_set_destroy(struct ley_scaler_set *set) {
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        ley_free(set->scaler[signal]);
        set->scaler[signal] = NULL;
    }
    ley_free(set->output_size);
    set->output_size = NULL;
}

void ley_scaler_set_copy(struct ley_scaler_set *to, const struct ley_scaler_set *from) {
    LEY_ASSERT(to->n_layers == from->n_layers &&
               memcmp(&to->shape, &from->shape, sizeof to->shape) == 0);
    size_t n_layers = (size_t)from->n_layers;
    to->centres_keys = from->centres_keys;
    to->normalises_outputs = from->normalises_outputs;
    memcpy(to->output_size, from->output_size,
           n_layers * (size_t)from->shape.n_query_heads * sizeof(double));
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        size_t n = n_layers * (size_t)ley_attention_n_heads(&from->shape, (enum ley_signal)i);
        memcpy(to->scaler[i], from->scaler[i], n * sizeof(struct ley_scaler));
    }
}

// Pairs of a layer are contiguous: layer * heads.
struct ley_scaler *ley_scaler_set_at(const struct ley_scaler_set *set, enum ley_signal signal,
                                     int layer) {
    LEY_ASSERT(layer >= 0 && layer < set->n_layers);
    return set->scaler[signal] + (size_t)layer * (size_t)ley_attention_n_heads(&set->shape, signal);
}

// Shapes are compared as bytes: ley_attention_shape has no padding.
void ley_scaler_set_apply(const struct ley_scaler_set *set, struct ley_attention *attention,
                          int layer) {
    LEY_ASSERT(memcmp(&set->shape, &attention->shape, sizeof set->shape) == 0);
    size_t n_query_heads = (size_t)set->shape.n_query_heads;
    attention->centres_keys = set->centres_keys;
    attention->normalises_outputs = set->normalises_outputs;
    memcpy(attention->output_size, set->output_size + (size_t)layer * n_query_heads,
           n_query_heads * sizeof(double));
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        enum ley_signal signal = (enum ley_signal)i;
        size_t n = (size_t)ley_attention_n_heads(&set->shape, signal);
        memcpy(attention->scaler[signal], ley_scaler_set_at(set, signal, layer),
               n * sizeof(struct ley_scaler));
    }
}
