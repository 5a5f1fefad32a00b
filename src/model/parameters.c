// parameters.c - walks weight.def to lay out, fill and find the tensors of a model
#include "model/parameters.h"

#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"

// Whether the block has this weight: what the source has, and biases beside those it has.
static bool is_wanted(const struct ley_weight_source *source, enum ley_weight weight, int layer) {
    static const enum ley_weight beside[] = {LEY_WEIGHT_ATTN_Q_BIAS, LEY_WEIGHT_ATTN_K_BIAS,
                                             LEY_WEIGHT_ATTN_V_BIAS};
    bool has_bias = false, is_bias = false;
    for (int i = 0; i < 3; i++) {
        has_bias = has_bias || source->has(source->context, beside[i], layer);
        is_bias = is_bias || weight == beside[i];
    }
    return is_bias ? has_bias : source->has(source->context, weight, layer);
}

// Appends a tensor; the table has room.
static struct ley_parameter *append(struct ley_parameters *p, const char *name, int64_t n_rows,
                                    int64_t n_columns) {
    struct ley_parameter *tensor = &p->tensor[p->n_tensors++];
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->weight = LEY_N_WEIGHTS;
    tensor->n_rows = n_rows;
    tensor->n_columns = n_columns;
    tensor->offset = p->n_values;
    p->n_values += n_rows * n_columns;
    return tensor;
}

// The weights of one layer, or those of the whole model, of one kind: matrices or vectors.
static void append_weights(struct ley_parameters *p, const struct ley_weight_source *source,
                           bool is_per_layer, bool is_matrix, int layer) {
    for (int w = 0; w < LEY_N_WEIGHTS; w++) {
        struct ley_weight_info info = ley_weight_info(&p->config, (enum ley_weight)w);
        char name[LEY_PARAMETER_NAME];
        if (info.is_per_layer != is_per_layer || info.is_matrix != is_matrix ||
            !is_wanted(source, (enum ley_weight)w, layer)) {
            continue;
        }
        snprintf(name, sizeof name, is_per_layer ? "%s.%d" : "%s", info.name, layer);
        struct ley_parameter *made = append(p, name, info.n_rows, info.n_columns);
        made->weight = (enum ley_weight)w;
        made->layer = layer;
        made->decays = is_matrix;
        made->trains = w != LEY_WEIGHT_ROPE_FACTORS;
    }
}

// Extra tensors keep what their maker says of them.
static void lay_out(struct ley_parameters *p, const struct ley_weight_source *source,
                    const struct ley_parameter *extra, int n_extra) {
    append_weights(p, source, false, true, 0);
    append_weights(p, source, false, false, 0);
    for (int l = 0; l < p->config.n_layers; l++) {
        append_weights(p, source, true, true, l);
        append_weights(p, source, true, false, l);
    }
    for (int i = 0; i < n_extra; i++) {
        struct ley_parameter *made = append(p, extra[i].name, extra[i].n_rows, extra[i].n_columns);
        made->layer = extra[i].layer;
        made->decays = extra[i].decays;
        made->trains = extra[i].trains;
        made->rate = extra[i].rate;
        made->is_relative = extra[i].is_relative;
    }
}

// A bias that only its neighbours have stays zero.
static enum ley_status fill(struct ley_parameters *p, const struct ley_weight_source *source) {
    for (int i = 0; i < p->n_tensors; i++) {
        const struct ley_parameter *tensor = &p->tensor[i];
        if (tensor->weight != LEY_N_WEIGHTS &&
            source->has(source->context, tensor->weight, tensor->layer)) {
            LEY_TRY(source->read(source->context, p->value + tensor->offset, tensor->weight,
                                 tensor->layer, 0, tensor->n_rows));
        }
    }
    return LEY_OK;
}

// On failure what was made is freed here: the struct is zero again.
enum ley_status ley_parameters_create(struct ley_parameters *parameters,
                                      const struct ley_model_config *config,
                                      const struct ley_weight_source *source,
                                      const struct ley_parameter *extra, int n_extra) {
    *parameters = (struct ley_parameters){0};
    LEY_TRY(ley_model_config_check(config));
    parameters->config = *config;
    size_t most = (size_t)LEY_N_WEIGHTS * (size_t)(config->n_layers + 1) + (size_t)n_extra;
    parameters->tensor = ley_alloc(most, sizeof *parameters->tensor);
    if (!parameters->tensor) {
        return ley_fail_memory("table of parameters", most, sizeof *parameters->tensor);
    }
    lay_out(parameters, source, extra, n_extra);
    size_t n = (size_t)parameters->n_values;
    parameters->value = ley_alloc(n, sizeof(float));
    parameters->gradient = ley_alloc(n, sizeof(float));
    enum ley_status status = parameters->value && parameters->gradient
                                 ? fill(parameters, source)
                                 : ley_fail_memory("parameters", 2 * n, sizeof(float));
    if (status != LEY_OK) {
        ley_parameters_destroy(parameters);
    }
    return status;
}

void ley_parameters_destroy(struct ley_parameters *parameters) {
    ley_free(parameters->tensor);
    ley_free(parameters->value);
    ley_free(parameters->gradient);
    *parameters = (struct ley_parameters){0};
}

// A few hundred tensors: a search costs nothing beside a product.
struct ley_parameter *ley_parameters_find(const struct ley_parameters *parameters,
                                          enum ley_weight weight, int layer) {
    for (int i = 0; i < parameters->n_tensors; i++) {
        struct ley_parameter *tensor = &parameters->tensor[i];
        if (tensor->weight == weight && tensor->layer == layer) {
            return tensor;
        }
    }
    return NULL;
}

struct ley_parameter *ley_parameters_named(const struct ley_parameters *parameters,
                                           const char *name) {
    for (int i = 0; i < parameters->n_tensors; i++) {
        if (strcmp(parameters->tensor[i].name, name) == 0) {
            return &parameters->tensor[i];
        }
    }
    return NULL;
}

static bool has(void *context, enum ley_weight weight, int layer) {
    return ley_parameters_find(context, weight, layer) != NULL;
}

static enum ley_status read_rows(void *context, float *out, enum ley_weight weight, int layer,
                                 int64_t first_row, int64_t n_rows) {
    const struct ley_parameters *p = context;
    const struct ley_parameter *tensor = ley_parameters_find(p, weight, layer);
    LEY_ASSERT(tensor && first_row >= 0 && first_row + n_rows <= tensor->n_rows);
    memcpy(out, p->value + tensor->offset + first_row * tensor->n_columns,
           (size_t)(n_rows * tensor->n_columns) * sizeof *out);
    return LEY_OK;
}

// The functions of a source take a pointer to what they may change; these only read.
struct ley_weight_source ley_parameters_source(const struct ley_parameters *parameters) {
    return (struct ley_weight_source){(void *)(uintptr_t)parameters, has, read_rows};
}
