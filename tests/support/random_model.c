// random_model.c - weights by formula
#include "support/random_model.h"

#include <math.h>
#include <string.h>

#include "support/support.h"

struct ley_model_config random_config(enum ley_family family) {
    bool is_llama = family == LEY_FAMILY_LLAMA;
    return (struct ley_model_config){
        .family = family,
        .activation = is_llama ? LEY_SWIGLU : LEY_GELU_TANH,
        .rope_layout = LEY_ROPE_HALVES,
        .n_layers = 2,
        .d_model = 32,
        .n_heads = 4,
        .n_kv_heads = is_llama ? 2 : 4,
        .head_dim = 8,
        .d_ff = 48,
        .n_vocab = 61,
        .n_context = 96,
        .rope_dim = 8,
        .rope_base = 10000,
        .norm_eps = 1e-5,
    };
}

static bool has(void *context, enum ley_weight weight, int layer) {
    const struct ley_model_config *config = context;
    (void)layer;
    if (config->family == LEY_FAMILY_GPT2) {
        return weight != LEY_WEIGHT_OUTPUT && weight != LEY_WEIGHT_FFN_GATE &&
               weight != LEY_WEIGHT_ROPE_FACTORS;
    }
    const char *name = ley_weight_info(config, weight).name;
    return !strstr(name, "BIAS") && weight != LEY_WEIGHT_POSITION_EMBEDDING &&
           weight != LEY_WEIGHT_ROPE_FACTORS;
}

// FNV-1a of the name, then the layer
static uint64_t seed_of(const char *name, int layer) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++) {
        hash = (hash ^ (uint64_t)(unsigned char)*name) * 0x100000001b3u;
    }
    return hash + (uint64_t)layer;
}

// Row of the matrix with rotary halves that is row r of the one with rotary pairs.
static int64_t halves_row(const struct ley_model_config *config, int64_t r) {
    int64_t head = r / config->head_dim, i = r % config->head_dim;
    return head * config->head_dim + i / 2 + i % 2 * (config->head_dim / 2);
}

static enum ley_status read_rows(void *context, float *out, enum ley_weight weight, int layer,
                                 int64_t first_row, int64_t n_rows) {
    const struct ley_model_config *config = context;
    struct ley_weight_info info = ley_weight_info(config, weight);
    bool is_norm = strstr(info.name, "NORM") && !strstr(info.name, "BIAS");
    double width = strstr(info.name, "EMBEDDING") ? 1
                   : info.n_rows == 1             ? 0.1
                                                  : 2.5 / sqrt((double)info.n_columns);
    bool is_permuted = config->rope_layout == LEY_ROPE_PAIRS &&
                       (weight == LEY_WEIGHT_ATTN_Q || weight == LEY_WEIGHT_ATTN_K);
    for (int64_t r = 0; r < n_rows; r++) {
        int64_t row = is_permuted ? halves_row(config, first_row + r) : first_row + r;
        for (int64_t c = 0; c < info.n_columns; c++) {
            double x = random_between(seed_of(info.name, layer),
                                      (uint64_t)(row * info.n_columns + c), -1, 1);
            out[r * info.n_columns + c] = (float)(is_norm ? 1 + 0.5 * x : width * x);
        }
    }
    return LEY_OK;
}

struct ley_weight_source random_source(struct ley_model_config *config) {
    return (struct ley_weight_source){config, has, read_rows};
}
