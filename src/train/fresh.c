// fresh.c - normal numbers by Box and Muller, from two uniform ones a place
#include "train/fresh.h"

#include <math.h>
#include <string.h>

#include "core/random.h"

// Stream of random numbers of a weight and layer.
static const uint64_t STREAM = 0x6873657266000000u;

static bool is_bias(const char *name) {
    return strstr(name, "BIAS") != NULL;
}

// As the family has them; biases of llama are absent.
static bool has(void *context, enum ley_weight weight, int layer) {
    const struct ley_fresh *fresh = context;
    const char *name = ley_weight_info(&fresh->config, weight).name;
    bool is_gpt2 = fresh->config.family == LEY_FAMILY_GPT2;
    (void)layer;
    switch (weight) {
    case LEY_WEIGHT_ROPE_FACTORS:
        return false;
    case LEY_WEIGHT_OUTPUT:
        return !fresh->is_tied;
    case LEY_WEIGHT_POSITION_EMBEDDING:
        return is_gpt2;
    case LEY_WEIGHT_FFN_GATE:
        return fresh->config.activation == LEY_SWIGLU;
    default:
        return is_gpt2 || !is_bias(name);
    }
}

static double normal(uint64_t seed, uint64_t stream, uint64_t index) {
    const double two_pi = 6.28318530717958647692;
    double u = 1 - ley_random_uniform(seed, stream, 2 * index); // (0, 1]
    return sqrt(-2 * log(u)) * cos(two_pi * ley_random_uniform(seed, stream, 2 * index + 1));
}

static enum ley_status read_rows(void *context, float *out, enum ley_weight weight, int layer,
                                 int64_t first_row, int64_t n_rows) {
    const struct ley_fresh *fresh = context;
    const struct ley_weight_info info = ley_weight_info(&fresh->config, weight);
    bool is_last = weight == LEY_WEIGHT_ATTN_OUT || weight == LEY_WEIGHT_FFN_DOWN;
    double deviation = 0.02 / (is_last ? sqrt(2.0 * fresh->config.n_layers) : 1);
    uint64_t stream = STREAM + (uint64_t)layer * LEY_N_WEIGHTS + weight;
    int64_t first = first_row * info.n_columns;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n_rows * info.n_columns; i++) {
        double x = info.is_matrix ? deviation * normal(fresh->seed, stream, (uint64_t)(first + i))
                                  : (is_bias(info.name) ? 0 : 1);
        out[i] = (float)x;
    }
    return LEY_OK;
}

struct ley_weight_source ley_fresh_source(struct ley_fresh *fresh) {
    return (struct ley_weight_source){fresh, has, read_rows};
}
