// attention.c - set-up of a layer: checks, cell, scalers
#include "attention/attention.h"

#include "array/fixed.h"
#include "array/retention.h"
#include "core/assert.h"
#include "core/memory.h"

// ORDER ley_signal: what is stored has one scaler per bank, what drives or leaves it one per query.
int ley_attention_n_heads(const struct ley_attention_shape *shape, enum ley_signal signal) {
    bool is_stored = signal == LEY_SIGNAL_K || signal == LEY_SIGNAL_V;
    return is_stored ? shape->n_kv_heads : shape->n_query_heads;
}

// Tiles behind the last token written so far stay dark; traces leave them out.
int ley_attention_n_tiles(const struct ley_hardware *hardware, int64_t n_tokens) {
    int64_t ring = ley_hardware_ring(hardware), n_columns = hardware->array.n_columns;
    int64_t n_used = n_tokens < ring ? n_tokens : ring;
    return (int)((n_used + n_columns - 1) / n_columns);
}

// S4.1: every head starts from the published values.
static enum ley_status create_scalers(struct ley_attention *attention) {
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        int n = ley_attention_n_heads(&attention->shape, (enum ley_signal)signal);
        struct ley_scaler *scaler = ley_alloc((size_t)n, sizeof *scaler);
        attention->scaler[signal] = scaler;
        if (!scaler) {
            return ley_fail_memory("scalers", (size_t)n, sizeof *scaler);
        }
        // a = 1, and b = V_ref for what is stored: M18.
        for (int h = 0; h < n; h++) {
            scaler[h] =
                ley_scaler_initial((enum ley_signal)signal, attention->hardware.cell.v_ref_v);
        }
    }
    attention->output_size = ley_alloc((size_t)attention->shape.n_query_heads, sizeof(double));
    return attention->output_size
               ? LEY_OK
               : ley_fail_memory("sizes of outputs", (size_t)attention->shape.n_query_heads,
                                 sizeof(double));
}

// The check comes before the cell: a hardware that contradicts itself has no cell to resolve.
enum ley_status ley_attention_create(struct ley_attention **attention,
                                     const struct ley_hardware *hardware,
                                     const struct ley_attention_shape *shape) {
    LEY_ASSERT(shape->n_kv_heads >= 1 && shape->head_dim >= 1 && shape->n_query_heads >= 1 &&
               shape->n_query_heads % shape->n_kv_heads == 0);
    *attention = NULL;
    LEY_TRY(ley_hardware_check(hardware, shape->n_query_heads / shape->n_kv_heads));
    struct ley_attention *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("attention", 1, sizeof *made);
    }
    made->hardware = *hardware;
    made->shape = *shape;
    enum ley_status status = ley_hardware_create_cell(&made->cell, hardware);
    if (status == LEY_OK) {
        status = ley_refresh_period(&made->refresh_tokens, &made->hardware, made->cell);
    }
    if (status == LEY_OK) {
        status = create_scalers(made);
    }
    if (status == LEY_OK && ley_hardware_is_fixed(hardware)) {
        made->kernels = ley_kernels_select();
        status = ley_fixed_create(&made->fixed, &made->hardware, made->cell, shape->head_dim);
    }
    if (status != LEY_OK) {
        ley_attention_destroy(made);
        return status;
    }
    *attention = made;
    return LEY_OK;
}

// Also of an attention that was made in part: it was zeroed.
void ley_attention_destroy(struct ley_attention *attention) {
    if (!attention) {
        return;
    }
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        ley_free(attention->scaler[signal]);
    }
    ley_free(attention->output_size);
    ley_fixed_destroy(attention->fixed);
    ley_cell_destroy(attention->cell);
    ley_free(attention);
}
