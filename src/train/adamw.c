// adamw.c - one pass over values, gradients and moments, which is all the time it takes
#include "train/adamw.h"

#include <math.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "core/variants.h"

// PIECE: values that one task sums or steps; with LANES it fixes the order of summation.
enum { PIECE = 1 << 16, LANES = 8 };

enum ley_status ley_adamw_create(struct ley_adamw *adamw, const struct ley_parameters *parameters,
                                 const struct ley_adamw_constants *constants) {
    *adamw = (struct ley_adamw){.constants = *constants, .n_values = parameters->n_values};
    int first = 0;
    while (first < parameters->n_tensors && !parameters->tensor[first].trains) {
        first++;
    }
    adamw->begin =
        first < parameters->n_tensors ? parameters->tensor[first].offset : parameters->n_values;
    size_t n = (size_t)(parameters->n_values - adamw->begin);
    adamw->first = ley_alloc(n, sizeof *adamw->first);
    adamw->second = ley_alloc(n, sizeof *adamw->second);
    if (!adamw->first || !adamw->second) {
        ley_adamw_destroy(adamw);
        return ley_fail_memory("moments", 2 * n, sizeof *adamw->first);
    }
    return LEY_OK;
}

void ley_adamw_destroy(struct ley_adamw *adamw) {
    ley_free(adamw->first);
    ley_free(adamw->second);
    ley_free(adamw->average);
    *adamw = (struct ley_adamw){0};
}

enum ley_status ley_adamw_keep_average(struct ley_adamw *adamw,
                                       const struct ley_parameters *parameters, double decay) {
    LEY_ASSERT(decay >= 0 && decay < 1 && !adamw->average);
    size_t n = (size_t)(adamw->n_values - adamw->begin);
    adamw->decay = decay;
    adamw->average = ley_alloc(n, sizeof *adamw->average);
    if (!adamw->average) {
        return ley_fail_memory("a mean of weights", n, sizeof *adamw->average);
    }
    memcpy(adamw->average, parameters->value + adamw->begin, n * sizeof *adamw->average);
    return LEY_OK;
}

void ley_adamw_swap_average(struct ley_adamw *adamw, struct ley_parameters *parameters) {
    LEY_ASSERT(adamw->average && adamw->n_values == parameters->n_values);
    for (int t = 0; t < parameters->n_tensors; t++) {
        const struct ley_parameter *tensor = &parameters->tensor[t];
        float *value = parameters->value + tensor->offset;
        float *average = adamw->average + tensor->offset - adamw->begin;
        int64_t n = tensor->trains ? tensor->n_rows * tensor->n_columns : 0;
        for (int64_t i = 0; i < n; i++) {
            float kept = value[i];
            value[i] = average[i];
            average[i] = kept;
        }
    }
}

// Factors of one step, the same for all values of a tensor.
struct step {
    float beta1, beta2, keep; // keep: 1 - rate * decay
    float rate;               // over the correction of the first moment
    float root;               // 1 / square root of the correction of the second
    float epsilon, scale;
    float share; // of its distance to the values that their mean moves
};

// Straight-line code on four streams: bound by memory.
LEY_LEAF void step_values_leaf(float *restrict value, float *restrict first, float *restrict second,
                               const float *restrict gradient, int64_t n, const struct step *s) {
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * s->scale;
        float m = s->beta1 * first[i] + (1 - s->beta1) * g;
        float v = s->beta2 * second[i] + (1 - s->beta2) * g * g;
        first[i] = m;
        second[i] = v;
        value[i] = value[i] * s->keep - s->rate * m / (sqrtf(v) * s->root + s->epsilon);
    }
}

LEY_VARIANTS(void, step_values,
             (float *value, float *first, float *second, const float *gradient, int64_t n,
              const struct step *s),
             (value, first, second, gradient, n, s))

// The same of the logarithm of a value, whose gradient is that by the value times the value; so
// few that they are stepped one by one.
static void step_relative(float *value, float *first, float *second, const float *gradient,
                          int64_t n, const struct step *s) {
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * s->scale * value[i];
        float m = s->beta1 * first[i] + (1 - s->beta1) * g;
        float v = s->beta2 * second[i] + (1 - s->beta2) * g * g;
        float share = s->rate * m / (sqrtf(v) * s->root + s->epsilon);
        first[i] = m;
        second[i] = v;
        // At most a half, so that no value changes its sign.
        share = share < 0.5f ? share : 0.5f;
        share = share > -0.5f ? share : -0.5f;
        value[i] = value[i] * s->keep - value[i] * share;
    }
}

LEY_LEAF void move_average_leaf(float *restrict average, const float *restrict value, int64_t n,
                                float share) {
    for (int64_t i = 0; i < n; i++) {
        average[i] += share * (value[i] - average[i]);
    }
}
LEY_VARIANTS(void, move_average, (float *average, const float *value, int64_t n, float share),
             (average, value, n, share))

static void step_tensor(struct ley_adamw *adamw, struct ley_parameters *parameters,
                        const struct ley_parameter *tensor, const struct step *step) {
    int64_t n = tensor->n_rows * tensor->n_columns;
    LEY_ASSERT(tensor->offset >= adamw->begin);
#pragma omp parallel for schedule(static) if (n > PIECE)
    for (int64_t i = 0; i < n; i += PIECE) {
        int64_t at = tensor->offset + i, n_piece = n - i < PIECE ? n - i : PIECE;
        int64_t moment = at - adamw->begin;
        (tensor->is_relative ? step_relative : step_values)(
            parameters->value + at, adamw->first + moment, adamw->second + moment,
            parameters->gradient + at, n_piece, step);
        if (adamw->average) {
            move_average(adamw->average + moment, parameters->value + at, n_piece, step->share);
        }
    }
}

// Corrections are taken in double: beta2^n is close to 1 at first.
void ley_adamw_step(struct ley_adamw *adamw, struct ley_parameters *parameters, double rate,
                    double scale) {
    LEY_ASSERT(adamw->n_values == parameters->n_values);
    const struct ley_adamw_constants *c = &adamw->constants;
    double n_steps = (double)++adamw->n_steps;
    // Early values are soon forgotten: a mean over a tenth of all steps at most.
    double decay = fmin(adamw->decay, (1 + n_steps) / (10 + n_steps));
    struct step step = {
        .beta1 = (float)c->beta1,
        .beta2 = (float)c->beta2,
        .root = (float)(1 / sqrt(1 - pow(c->beta2, n_steps))),
        .epsilon = (float)c->epsilon,
        .scale = (float)scale,
        .share = (float)(1 - decay),
    };
    for (int t = 0; t < parameters->n_tensors; t++) {
        const struct ley_parameter *tensor = &parameters->tensor[t];
        double own = rate * (tensor->rate > 0 ? tensor->rate : 1);
        step.rate = (float)(own / (1 - pow(c->beta1, n_steps)));
        step.keep = (float)(tensor->decays ? 1 - own * c->weight_decay : 1);
        if (tensor->trains) {
            step_tensor(adamw, parameters, tensor, &step);
        }
    }
}

// Sum of squares of one piece.
static double sum_squares(const float *x, int64_t n) {
    double lane[LANES] = {0}, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        lane[i % LANES] += (double)x[i] * (double)x[i];
    }
    for (int j = 0; j < LANES; j++) {
        sum += lane[j];
    }
    return sum;
}

// Pieces of a tensor are summed side by side, BATCH at a time, and added up in their order.
static double sum_tensor(const float *x, int64_t n) {
    enum { BATCH = 64 };
    double sum = 0, part[BATCH];
    for (int64_t i = 0; i < n; i += (int64_t)BATCH * PIECE) {
        int64_t left = (n - i + PIECE - 1) / PIECE, n_parts = left < BATCH ? left : BATCH;
#pragma omp parallel for schedule(static) if (n_parts > 1)
        for (int64_t p = 0; p < n_parts; p++) {
            int64_t at = i + p * PIECE;
            part[p] = sum_squares(x + at, n - at < PIECE ? n - at : PIECE);
        }
        for (int64_t p = 0; p < n_parts; p++) {
            sum += part[p];
        }
    }
    return sum;
}

double ley_gradient_norm(const struct ley_parameters *parameters) {
    double sum = 0;
    for (int t = 0; t < parameters->n_tensors; t++) {
        const struct ley_parameter *tensor = &parameters->tensor[t];
        if (tensor->trains) {
            sum += sum_tensor(parameters->gradient + tensor->offset,
                              tensor->n_rows * tensor->n_columns);
        }
    }
    return sqrt(sum);
}

double ley_clip_scale(double norm, double most) {
    double scale = most / (norm + 1e-6);
    return scale < 1 ? scale : 1;
}

// What does not train gets no gradient: it is zero from the start, or was left by a time when it
// did and nobody reads it.
void ley_gradient_clear(struct ley_parameters *parameters) {
    for (int t = 0; t < parameters->n_tensors; t++) {
        const struct ley_parameter *tensor = &parameters->tensor[t];
        if (tensor->trains) {
            memset(parameters->gradient + tensor->offset, 0,
                   (size_t)(tensor->n_rows * tensor->n_columns) * sizeof *parameters->gradient);
        }
    }
}
