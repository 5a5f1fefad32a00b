// config.c - shapes of weights, and checks of a model's sizes
#include "model/config.h"

// The capital letters are the short names of weight.def.
struct ley_weight_info ley_weight_info(const struct ley_model_config *config,
                                       enum ley_weight weight) {
    // Names as in weight.def, which is expanded below: V C T model, Q K projections, F
    // feed-forward, R pairs that rotate.
    const int64_t V = config->n_vocab, C = config->d_model, T = config->n_context;
    const int64_t Q = (int64_t)config->n_heads * config->head_dim;
    const int64_t K = (int64_t)config->n_kv_heads * config->head_dim;
    const int64_t F = config->d_ff, R = config->rope_dim / 2;
    const struct ley_weight_info info[] = {
#define LEY_WEIGHT(name, per_layer, rows, columns, meaning)                                        \
    {#name, per_layer, rows, columns, (#rows)[0] != '1'},
#include "model/weight.def"
#undef LEY_WEIGHT
    };
    return info[weight];
}

// Upper bounds are far above any real model and keep every product of sizes within 63 bits.
static enum ley_status check_size(const char *what, int value, int most) {
    if (value < 1 || value > most) {
        return ley_fail(LEY_E_FORMAT, "%s is %d, must be 1..%d", what, value, most);
    }
    return LEY_OK;
}

// All that later code divides by, allocates from or shifts is checked here once, whatever the file.
enum ley_status ley_model_config_check(const struct ley_model_config *config) {
    LEY_TRY(check_size("number of layers", config->n_layers, 1 << 12));
    LEY_TRY(check_size("model width", config->d_model, 1 << 20));
    LEY_TRY(check_size("number of heads", config->n_heads, 1 << 12));
    LEY_TRY(check_size("number of key-value heads", config->n_kv_heads, 1 << 12));
    LEY_TRY(check_size("head width", config->head_dim, 1 << 16));
    LEY_TRY(check_size("feed-forward width", config->d_ff, 1 << 20));
    LEY_TRY(check_size("vocabulary", config->n_vocab, 1 << 24));
    LEY_TRY(check_size("context length", config->n_context, 1 << 28));
    if (config->n_heads % config->n_kv_heads != 0) {
        return ley_fail(LEY_E_FORMAT, "%d heads cannot share %d key-value heads", config->n_heads,
                        config->n_kv_heads);
    }
    bool rotates = config->family == LEY_FAMILY_LLAMA;
    if (rotates && (config->rope_dim < 2 || config->rope_dim % 2 != 0 ||
                    config->rope_dim > config->head_dim || !(config->rope_base > 1))) {
        return ley_fail(LEY_E_FORMAT, "rotary width %d (base %g) does not fit heads of width %d",
                        config->rope_dim, config->rope_base, config->head_dim);
    }
    if (!(config->norm_eps > 0 && config->norm_eps < 1)) {
        return ley_fail(LEY_E_FORMAT, "the epsilon of the norms is %g, must be 0..1",
                        config->norm_eps);
    }
    return LEY_OK;
}
