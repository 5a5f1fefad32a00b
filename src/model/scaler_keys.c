// scaler_keys.c - scalers and hardware under leyden.* keys
#include "model/scaler_keys_impl.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"

static const char CENTRED[] = "leyden.scaler.k.centred";
static const char SIZE[] = "leyden.scaler.output.size";

// "leyden.scaler.k.a": one array per signal and letter, index layer * heads + head (ORDER of
// ley_scaler_set).
static void scaler_key(char key[64], enum ley_signal signal, char which) {
    snprintf(key, 64, "leyden.scaler.%s.%c", ley_signal_name(signal), which);
}

// The a's or the b's of one signal. 1e30 keeps later products with them finite.
static enum ley_status read_scaler(struct ley_scaler *scaler, uint64_t n,
                                   const struct ley_gguf *gguf, enum ley_signal signal, char which,
                                   const char *path) {
    char key[64];
    scaler_key(key, signal, which);
    const struct ley_gguf_pair *pair = ley_gguf_find(gguf, key);
    if (!pair || !pair->is_array || pair->type != LEY_GGUF_F32 || pair->n_items != n) {
        return ley_fail(LEY_E_FORMAT, "%s: %s is not an array of %llu float32 values", path, key,
                        (unsigned long long)n);
    }
    for (uint64_t i = 0; i < n; i++) {
        double x = ley_gguf_item(pair, i);
        // Also refuses NaN, for which both comparisons are false.
        if (!(x > -1e30 && x < 1e30)) {
            return ley_fail(LEY_E_FORMAT, "%s: %s holds a value that is not finite", path, key);
        }
        // Both letters fill one pair; the array of the other letter comes in its own pass.
        *(which == 'a' ? &scaler[i].a : &scaler[i].b) = x;
    }
    return LEY_OK;
}

// Sizes of M29: whoever has them has normalised outputs.
static enum ley_status read_sizes(struct ley_scaler_set *set, const struct ley_gguf *gguf,
                                  const char *path) {
    uint64_t n = (uint64_t)set->n_layers * (uint64_t)set->shape.n_query_heads;
    const struct ley_gguf_pair *pair = ley_gguf_find(gguf, SIZE);
    if (!pair) {
        return LEY_OK;
    }
    if (!pair->is_array || pair->type != LEY_GGUF_F32 || pair->n_items != n) {
        return ley_fail(LEY_E_FORMAT, "%s: %s is not an array of %llu float32 values", path, SIZE,
                        (unsigned long long)n);
    }
    for (uint64_t i = 0; i < n; i++) {
        set->output_size[i] = ley_gguf_item(pair, i);
        if (!(set->output_size[i] > 0 && set->output_size[i] < 1e30)) {
            return ley_fail(LEY_E_FORMAT, "%s: %s holds a value that is not above 0", path, SIZE);
        }
    }
    set->normalises_outputs = true;
    return LEY_OK;
}

bool scaler_keys_exist(const struct ley_gguf *gguf) {
    return ley_gguf_find(gguf, "leyden.scaler.q.a") != NULL;
}

// On failure `set` is destroyed already.
enum ley_status scaler_keys_read(struct ley_scaler_set *set, const struct ley_gguf *gguf,
                                 const struct ley_model_config *config, const char *path) {
    struct ley_attention_shape shape = {config->n_heads, config->n_kv_heads, config->head_dim};
    LEY_TRY(ley_scaler_set_create(set, config->n_layers, &shape));
    set->centres_keys = ley_gguf_number(gguf, CENTRED, 0) != 0;
    enum ley_status status = LEY_OK;
    // Each signal twice, a and b: i / 2 is the signal, i % 2 the letter.
    for (int i = 0; status == LEY_OK && i < 2 * LEY_N_SIGNALS; i++) {
        enum ley_signal signal = (enum ley_signal)(i / 2);
        int n_heads = ley_attention_n_heads(&shape, signal);
        status = read_scaler(set->scaler[signal], (uint64_t)config->n_layers * (uint64_t)n_heads,
                             gguf, signal, i % 2 ? 'b' : 'a', path);
    }
    if (status == LEY_OK) {
        status = read_sizes(set, gguf, path);
    }
    if (status != LEY_OK) {
        ley_scaler_set_destroy(set);
    }
    return status;
}

// Keys that are written anew; other private ones (see gguf_names_impl.h) describe the model and
// stay.
bool scaler_keys_own(const struct ley_gguf_pair *pair) {
    static const char *const starts[] = {"leyden.scaler.", "leyden.hardware"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        size_t n = strlen(starts[i]);
        if (pair->key.n >= n && memcmp(pair->key.text, starts[i], n) == 0) {
            return true;
        }
    }
    return false;
}

// Adds the a's or the b's of one signal, all layers and heads.
static enum ley_status add_scaler(struct ley_gguf_builder *builder,
                                  const struct ley_scaler_set *set, enum ley_signal signal,
                                  char which) {
    size_t n = (size_t)set->n_layers * (size_t)ley_attention_n_heads(&set->shape, signal);
    float *values = ley_alloc(n, sizeof *values);
    char key[64];
    if (!values) {
        return ley_fail_memory("scalers", n, sizeof *values);
    }
    for (size_t i = 0; i < n; i++) {
        const struct ley_scaler *scaler = &set->scaler[signal][i];
        values[i] = (float)(which == 'a' ? scaler->a : scaler->b);
    }
    scaler_key(key, signal, which);
    ley_gguf_add_f32_array(builder, key, values, n);
    ley_free(values);
    return LEY_OK;
}

static enum ley_status add_sizes(struct ley_gguf_builder *builder,
                                 const struct ley_scaler_set *set) {
    size_t n = (size_t)set->n_layers * (size_t)set->shape.n_query_heads;
    float *values = ley_alloc(n, sizeof *values);
    if (!values) {
        return ley_fail_memory("sizes of outputs", n, sizeof *values);
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = (float)set->output_size[i];
    }
    ley_gguf_add_f32_array(builder, SIZE, values, n);
    ley_free(values);
    return LEY_OK;
}

// What these scalers were found for, and how; then the scalers.
enum ley_status scaler_keys_add(struct ley_gguf_builder *builder, const struct scaler_keys *keys) {
    ley_gguf_add_string(builder, "leyden.hardware", keys->hardware);
    ley_gguf_add_string(builder, "leyden.scaler.origin", keys->origin);
    if (keys->set.centres_keys) {
        ley_gguf_add_bool(builder, CENTRED, true);
    }
    if (keys->set.normalises_outputs) {
        LEY_TRY(add_sizes(builder, &keys->set));
    }
    for (int i = 0; i < 2 * LEY_N_SIGNALS; i++) {
        LEY_TRY(add_scaler(builder, &keys->set, (enum ley_signal)(i / 2), i % 2 ? 'b' : 'a'));
    }
    return LEY_OK;
}
