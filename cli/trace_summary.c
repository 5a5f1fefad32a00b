// trace_summary.c - histograms and errors of a traced layer
//
// Errors are differences to the same q, k and v on another chip, simulated here: one without
// leakage, and one that is ideal in all that the cell and the converters do.
#include "trace_summary.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

enum { N_BINS = 64, N_AGES = 32 };

// ---- histograms

// Values are seen twice: once for their range, once to be counted.
struct histogram {
    double low, high, sum;
    int64_t n, count[N_BINS];
    bool is_counting;
};

static void see(struct histogram *histogram, double x) {
    if (!histogram->is_counting) {
        histogram->low = histogram->n == 0 || x < histogram->low ? x : histogram->low;
        histogram->high = histogram->n == 0 || x > histogram->high ? x : histogram->high;
        histogram->sum += x;
        histogram->n++;
        return;
    }
    double width = (histogram->high - histogram->low) / N_BINS;
    int bin = width > 0 ? (int)((x - histogram->low) / width) : 0;
    histogram->count[bin < N_BINS ? bin : N_BINS - 1]++;
}

static void add_histogram(struct cJSON *root, const char *name, const struct histogram *histogram) {
    struct cJSON *object = cJSON_AddObjectToObject(root, name);
    cJSON_AddNumberToObject(object, "low", histogram->low);
    cJSON_AddNumberToObject(object, "high", histogram->high);
    cJSON_AddNumberToObject(object, "n", (double)histogram->n);
    cJSON_AddNumberToObject(object, "mean",
                            histogram->n ? histogram->sum / (double)histogram->n : 0);
    struct cJSON *counts = cJSON_AddArrayToObject(object, "counts");
    for (int i = 0; i < N_BINS; i++) {
        cJSON_AddItemToArray(counts, cJSON_CreateNumber((double)histogram->count[i]));
    }
}

// Oldest key that the query of token t sees.
static int64_t first_key(const struct trace_layer *layer, int64_t t) {
    int64_t window = layer->attention->hardware.array.window;
    return t >= window ? t - window + 1 : 0;
}

// Pairs of query and key that the window lets through; `x` is s or phi.
static void see_pairs(struct histogram *histogram, const struct trace_layer *layer,
                      const double *x) {
    int64_t T = layer->trace->n_tokens;
    for (int h = 0; h < layer->attention->shape.n_query_heads; h++) {
        for (int64_t t = 0; t < layer->n_tokens; t++) {
            for (int64_t s = first_key(layer, t); s <= t; s++) {
                see(histogram, x[(h * T + t) * T + s]);
            }
        }
    }
}

// Partial outputs of tiles that hold a key by then.
static void see_outputs(struct histogram *histogram, const struct trace_layer *layer) {
    const struct ley_hardware *hardware = &layer->attention->hardware;
    int64_t T = layer->trace->n_tokens, D = layer->attention->shape.head_dim;
    int64_t n_tiles = ley_attention_n_tiles(hardware, T);
    for (int64_t row = 0; row < layer->attention->shape.n_query_heads * n_tiles; row++) {
        int64_t first_token = row % n_tiles * hardware->array.n_columns;
        for (int64_t t = first_token; t < layer->n_tokens; t++) {
            for (int64_t d = 0; d < D; d++) {
                see(histogram, layer->trace->a[(row * T + t) * D + d]);
            }
        }
    }
}

static void add_histograms(struct cJSON *root, const struct trace_layer *layer) {
    struct histogram score = {0}, phi = {0}, output = {0};
    for (int pass = 0; pass < 2; pass++) {
        score.is_counting = phi.is_counting = output.is_counting = pass == 1;
        see_pairs(&score, layer, layer->trace->s);
        see_pairs(&phi, layer, layer->trace->phi);
        see_outputs(&output, layer);
    }
    add_histogram(root, "score", &score);
    add_histogram(root, "phi", &phi);
    add_histogram(root, "output", &output);
}

// ---- errors by age

// Runs the layer on another chip with the same scalers; s (Hq, T, T) receives its scores.
static enum ley_status run_reference(double *s, const struct trace_layer *layer,
                                     const struct ley_hardware *hardware) {
    struct ley_attention *reference;
    const struct ley_attention_shape *shape = &layer->attention->shape;
    int64_t T = layer->n_tokens, n = shape->n_query_heads * T * shape->head_dim;
    LEY_TRY(ley_attention_create(&reference, hardware, shape));
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        size_t n_heads = (size_t)ley_attention_n_heads(shape, (enum ley_signal)i);
        memcpy(reference->scaler[i], layer->attention->scaler[i],
               n_heads * sizeof *reference->scaler[i]);
    }
    double *out = ley_alloc((size_t)n, sizeof *out);
    enum ley_status status = ley_fail_memory("a reference", (size_t)n, sizeof *out);
    if (out) {
        const struct ley_attention_trace trace = {.n_tokens = T, .s = s};
        const struct ley_attention_call call = {
            .q = layer->q,
            .k = layer->k,
            .v = layer->v,
            .out = ley_heads_packed_out(out, shape->n_query_heads, T, shape->head_dim),
            .n_batch = 1,
            .n_tokens = T,
            .trace = &trace};
        status = ley_attention_forward(reference, &call);
    }
    ley_free(out);
    ley_attention_destroy(reference);
    return status;
}

// Ages 2^i - 1 .. 2^(i + 1) - 2 stand together.
static int age_bin(int64_t age) {
    int bin = 0;
    for (age++; age > 1; age /= 2) {
        bin++;
    }
    return bin;
}

// Sums over pairs of one span of ages.
struct age_sum {
    int64_t n;
    double score, leakage, chip; // squares
};

// `kept` and `ideal` are (Hq, n_tokens, n_tokens), the scores of the two references.
static void sum_ages(struct age_sum sum[N_AGES], const struct trace_layer *layer,
                     const double *kept, const double *ideal) {
    int64_t T = layer->trace->n_tokens, n = layer->n_tokens;
    for (int h = 0; h < layer->attention->shape.n_query_heads; h++) {
        for (int64_t t = 0; t < n; t++) {
            for (int64_t s = first_key(layer, t); s <= t; s++) {
                struct age_sum *at = &sum[age_bin(t - s)];
                double score = layer->trace->s[(h * T + t) * T + s];
                double by_leakage = score - kept[(h * n + t) * n + s];
                double by_chip = score - ideal[(h * n + t) * n + s];
                at->n++;
                at->score += score * score;
                at->leakage += by_leakage * by_leakage;
                at->chip += by_chip * by_chip;
            }
        }
    }
}

static void add_ages(struct cJSON *root, const struct age_sum sum[N_AGES], int64_t n_ages) {
    struct cJSON *list = cJSON_AddArrayToObject(root, "by_age");
    for (int i = 0; i < N_AGES && sum[i].n > 0; i++) {
        int64_t last = ((int64_t)2 << i) - 2;
        double n = (double)sum[i].n;
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "first", (double)(((int64_t)1 << i) - 1));
        cJSON_AddNumberToObject(row, "last", (double)(last < n_ages ? last : n_ages - 1));
        cJSON_AddNumberToObject(row, "n", n);
        cJSON_AddNumberToObject(row, "score_rms", sqrt(sum[i].score / n));
        cJSON_AddNumberToObject(row, "leakage_rms", sqrt(sum[i].leakage / n));
        cJSON_AddNumberToObject(row, "chip_rms", sqrt(sum[i].chip / n));
        cJSON_AddItemToArray(list, row);
    }
}

// The chip without leakage, and the ideal one.
static enum ley_status run_references(double *kept, double *ideal,
                                      const struct trace_layer *layer) {
    struct ley_hardware hardware = layer->attention->hardware;
    hardware.cell.leakage = LEY_LEAK_NONE;
    LEY_TRY(run_reference(kept, layer, &hardware));
    hardware.cell.law = LEY_CELL_LINEAR;
    hardware.converter.q_levels = 0;
    hardware.converter.kv_levels = 0;
    hardware.converter.output_levels = 0;
    hardware.array.arithmetic = LEY_ARITHMETIC_AUTO;
    return run_reference(ideal, layer, &hardware);
}

enum ley_status trace_summary(struct cJSON **json, const struct trace_layer *layer) {
    size_t n = (size_t)layer->n_tokens;
    size_t n_pairs = (size_t)layer->attention->shape.n_query_heads * n * n;
    int64_t window = layer->attention->hardware.array.window;
    struct age_sum sum[N_AGES] = {{0}};
    double *kept = ley_alloc(n_pairs, sizeof *kept), *ideal = ley_alloc(n_pairs, sizeof *ideal);
    enum ley_status status = kept && ideal ? run_references(kept, ideal, layer)
                                           : ley_fail_memory("a trace", n_pairs, sizeof *kept);
    *json = NULL;
    if (status == LEY_OK) {
        *json = cJSON_CreateObject();
        add_histograms(*json, layer);
        sum_ages(sum, layer, kept, ideal);
        add_ages(*json, sum, layer->n_tokens < window ? layer->n_tokens : window);
    }
    ley_free(kept);
    ley_free(ideal);
    return status;
}
