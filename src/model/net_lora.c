// net_lora.c - low-rank changes in a net: their tensors, and W_eff
#include "model/net_lora.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "core/random.h"
#include "model/net_impl.h"

// Streams of random numbers: one a tensor A.
static const uint64_t STREAM = 0x61726f6c00000000u;

static bool is_changed(const struct ley_lora_spec *spec, enum ley_weight weight) {
    return weight < LEY_N_WEIGHTS && (spec->weights >> weight & 1) != 0;
}

static const struct {
    const char *name;
    enum ley_weight weight;
} matrices[] = {
    {"q", LEY_WEIGHT_ATTN_Q},      {"k", LEY_WEIGHT_ATTN_K},      {"v", LEY_WEIGHT_ATTN_V},
    {"o", LEY_WEIGHT_ATTN_OUT},    {"gate", LEY_WEIGHT_FFN_GATE}, {"up", LEY_WEIGHT_FFN_UP},
    {"down", LEY_WEIGHT_FFN_DOWN},
};
enum { N_MATRICES = sizeof matrices / sizeof matrices[0], N_ATTENTION = 4 };

// Bits of one word of a list, 0 when it is unknown.
static uint32_t bits_of(const char *word, size_t n) {
    uint32_t bits = 0;
    for (int i = 0; i < N_MATRICES; i++) {
        const char *group = i < N_ATTENTION ? "attn" : "ffn";
        bool is_named = (strlen(matrices[i].name) == n && !memcmp(word, matrices[i].name, n)) ||
                        (strlen(group) == n && !memcmp(word, group, n)) ||
                        (n == 3 && !memcmp(word, "all", n));
        bits |= is_named ? 1u << matrices[i].weight : 0;
    }
    return bits;
}

enum ley_status ley_lora_weights(uint32_t *weights, const char *list,
                                 const struct ley_model_config *config) {
    *weights = 0;
    for (const char *word = list;;) {
        size_t n = strcspn(word, ",");
        uint32_t bits = bits_of(word, n);
        if (bits == 0) {
            return ley_fail(LEY_E_ARGUMENT,
                            "unknown matrix '%.*s'; known are q, k, v, o, gate, up, down, attn, "
                            "ffn, all",
                            (int)n, word);
        }
        *weights |= bits;
        if (word[n] == '\0') {
            break;
        }
        word += n + 1;
    }
    if (config->activation != LEY_SWIGLU) {
        *weights &= ~(1u << LEY_WEIGHT_FFN_GATE);
    }
    return LEY_OK;
}

int ley_lora_tensor_count(const struct ley_model_config *config, const struct ley_lora_spec *spec) {
    int n = 0;
    for (int w = 0; w < LEY_N_WEIGHTS; w++) {
        n += is_changed(spec, (enum ley_weight)w);
    }
    return 2 * n * config->n_layers;
}

static void name_tensor(char out[LEY_PARAMETER_NAME], char letter, const char *name, int layer) {
    snprintf(out, LEY_PARAMETER_NAME, "LORA_%c.%s.%d", letter, name, layer);
}

void ley_lora_tensors(struct ley_parameter *extra, const struct ley_model_config *config,
                      const struct ley_lora_spec *spec) {
    for (int l = 0; l < config->n_layers; l++) {
        for (int w = 0; w < LEY_N_WEIGHTS; w++) {
            struct ley_weight_info info = ley_weight_info(config, (enum ley_weight)w);
            if (!is_changed(spec, (enum ley_weight)w)) {
                continue;
            }
            LEY_ASSERT(info.is_per_layer && info.is_matrix && spec->rank > 0);
            extra[0] = (struct ley_parameter){.layer = l, .trains = true};
            extra[1] = extra[0];
            name_tensor(extra[0].name, 'A', info.name, l);
            name_tensor(extra[1].name, 'B', info.name, l);
            extra[0].n_rows = spec->rank;
            extra[0].n_columns = info.n_columns;
            extra[1].n_rows = info.n_rows;
            extra[1].n_columns = spec->rank;
            extra += 2;
        }
    }
}

const struct ley_lora_spec *ley_net_lora(const struct ley_net *net) {
    return &net->lora.spec;
}

static struct ley_parameter *tensor_of(const struct ley_net *net, char letter,
                                       enum ley_weight weight, int layer) {
    char name[LEY_PARAMETER_NAME];
    const struct ley_model_config *config = &net->parameters.config;
    name_tensor(name, letter, ley_weight_info(config, weight).name, layer);
    struct ley_parameter *tensor = ley_parameters_named(&net->parameters, name);
    LEY_ASSERT(tensor);
    return tensor;
}

struct ley_parameter *const *ley_net_change(const struct ley_net *net, enum ley_weight weight,
                                            int layer) {
    return is_changed(&net->lora.spec, weight)
               ? net->lora.change[layer * LEY_N_WEIGHTS + (int)weight]
               : NULL;
}

bool ley_net_change_trains(const struct ley_net *net, enum ley_weight weight, int layer) {
    struct ley_parameter *const *change = ley_net_change(net, weight, layer);
    return change && (change[0]->trains || change[1]->trains);
}

struct ley_lora ley_net_lora_of(const struct ley_net *net, enum ley_weight weight, int layer) {
    const struct ley_lora_spec *spec = &net->lora.spec;
    struct ley_parameter *const *change = ley_net_change(net, weight, layer);
    if (!change) {
        return (struct ley_lora){.a = NULL};
    }
    const struct ley_parameter *a = change[0], *b = change[1];
    return (struct ley_lora){
        .a = net->parameters.value + a->offset,
        .b = net->parameters.value + b->offset,
        .n_rows = b->n_rows,
        .n_columns = a->n_columns,
        .rank = spec->rank,
        .scale = (float)(spec->alpha / spec->rank),
    };
}

void ley_lora_add(float *rows, const struct ley_lora *lora, int64_t first_row, int64_t n_rows) {
    LEY_ASSERT(first_row >= 0 && first_row + n_rows <= lora->n_rows);
    ley_add_product(rows, lora->b + first_row * lora->rank, lora->a, lora->scale, n_rows,
                    lora->n_columns, lora->rank);
}

static bool has(void *context, enum ley_weight weight, int layer) {
    const struct ley_net *net = context;
    return ley_parameters_find(&net->parameters, weight, layer) != NULL;
}

static enum ley_status read_rows(void *context, float *out, enum ley_weight weight, int layer,
                                 int64_t first_row, int64_t n_rows) {
    const struct ley_net *net = context;
    const struct ley_weight_source base = ley_parameters_source(&net->parameters);
    const struct ley_lora lora = ley_net_lora_of(net, weight, layer);
    LEY_TRY(base.read(base.context, out, weight, layer, first_row, n_rows));
    if (lora.a) {
        ley_lora_add(out, &lora, first_row, n_rows);
    }
    return LEY_OK;
}

struct ley_weight_source ley_net_weights(struct ley_net *net) {
    return (struct ley_weight_source){net, has, read_rows};
}

const float *ley_net_effective(struct ley_net *net, const struct ley_parameter *tensor) {
    const struct ley_lora lora = ley_net_lora_of(net, tensor->weight, tensor->layer);
    const float *value = net->parameters.value + tensor->offset;
    if (!lora.a) {
        return value;
    }
    memcpy(net->lora.scratch, value, (size_t)(lora.n_rows * lora.n_columns) * sizeof *value);
    ley_lora_add(net->lora.scratch, &lora, 0, lora.n_rows);
    return net->lora.scratch;
}

// Values of one A; its B is zero already, or becomes so.
static void start_change(struct ley_net *net, enum ley_weight weight, int layer) {
    struct ley_parameter *const *change = ley_net_change(net, weight, layer);
    const struct ley_parameter *a = change[0], *b = change[1];
    float *value = net->parameters.value + a->offset;
    uint64_t stream = STREAM + (uint64_t)layer * LEY_N_WEIGHTS + weight;
    double most = 1 / sqrt((double)a->n_columns);
    LEY_ASSERT(a->n_rows == net->lora.spec.rank);
    for (int64_t i = 0; i < a->n_rows * a->n_columns; i++) {
        double x = ley_random_uniform(net->lora.spec.seed, stream, (uint64_t)i);
        value[i] = (float)((2 * x - 1) * most);
    }
    memset(net->parameters.value + b->offset, 0,
           (size_t)(b->n_rows * b->n_columns) * sizeof *value);
}

// Scratch holds a whole matrix as it is packed; all A of a stack; or one B, padded to its stack.
static size_t scratch_values(const struct ley_model_config *config, int rank) {
    size_t C = (size_t)config->d_model, F = (size_t)config->d_ff, Q = (size_t)ley_width_q(config);
    size_t K = (size_t)ley_width_k(config), R = (size_t)rank;
    size_t widest = F > Q ? F : Q;
    widest = widest > C ? widest : C;
    widest = widest > K ? widest : K;
    size_t matrix = C * widest, parts = 3 * R * widest;
    return matrix > parts ? matrix : parts;
}

// Where A and B of every change are.
static enum ley_status find_changes(struct ley_net *net, const struct ley_lora_spec *spec) {
    size_t n_layers = (size_t)net->parameters.config.n_layers, n = n_layers * LEY_N_WEIGHTS;
    if (!net->lora.change) {
        net->lora.change = ley_alloc(n, sizeof *net->lora.change);
    }
    if (!net->lora.change) {
        return ley_fail_memory("table of changes", n, sizeof *net->lora.change);
    }
    for (size_t i = 0; i < n; i++) {
        enum ley_weight weight = (enum ley_weight)(i % LEY_N_WEIGHTS);
        for (int j = 0; j < 2 && is_changed(spec, weight); j++) {
            net->lora.change[i][j] = tensor_of(net, "AB"[j], weight, (int)(i / LEY_N_WEIGHTS));
        }
    }
    return LEY_OK;
}

enum ley_status ley_net_set_lora(struct ley_net *net, const struct ley_lora_spec *spec) {
    size_t n = scratch_values(&net->parameters.config, spec->rank);
    LEY_ASSERT(spec->rank > 0 && spec->weights != 0);
    ley_free(net->lora.scratch);
    net->lora.scratch = ley_alloc(n, sizeof(float));
    if (!net->lora.scratch) {
        return ley_fail_memory("gradients of matrices", n, sizeof(float));
    }
    LEY_TRY(find_changes(net, spec));
    net->lora.spec = *spec;
    LEY_TRY(ley_low_rank_create(net));
    for (int l = 0; l < net->parameters.config.n_layers; l++) {
        for (int w = 0; w < LEY_N_WEIGHTS; w++) {
            if (is_changed(spec, (enum ley_weight)w)) {
                ley_parameters_find(&net->parameters, (enum ley_weight)w, l)->trains = false;
                start_change(net, (enum ley_weight)w, l);
            }
        }
    }
    return LEY_OK;
}

void ley_net_clear_lora(struct ley_net *net) {
    ley_low_rank_destroy(net);
    ley_free(net->lora.change);
    ley_free(net->lora.scratch);
}
