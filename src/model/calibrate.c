// calibrate.c - placing the signals of every head in the ranges of the chip
//
// Why a search: mean and spread alone leave half of all scores above zero, where softmax lets few
// tokens through. With q' = aq q + bq and u = ak k + shift the score is, up to the slope of the
// cell, aq ak q.k + bq ak sum(k) + shift sum(q'): a negative shift lowers all scores, the spread of
// q sets how far they range, its middle how much the key alone counts. The three are tried on the
// real signal path, quantisers and cell law included, for one key-value head and its query heads at
// a time. Cost: N_SHARED + N_QUERY runs of the attention of one group over the text.
#include "model/calibrate.h"

#include <math.h>
#include <string.h>

#include "attention/normalise.h"
#include "core/memory.h"
#include "model/state.h"

// Grids: what heads of SmolLM2-135M chose from a finer search over six of its layers. Spreads are
// standard deviations: of u in units of V_ref, of pulses in units of the longest one.
static const double key_spread[] = {0.5, 0.67}, key_shift[] = {0, -0.11, -0.22};
static const double query_spread[] = {0.25, 0.4, 0.6};
// With centred keys pulses that say nothing cost nothing but range.
static const double query_middle[2][3] = {{0.1, 0.2, 0.3}, {0, 0.1, 0.2}};
static const double value_spread = 0.5; // two standard deviations reach the ends of the range
// M29: how far above V_ref values lie, in units of it, so that each pulse adds to all components;
// and how many times 1 the denominator of a usual token gets.
static const double normalised_shift = 0.25, normalised_spread = 0.45, usual_sum = 8;

enum { N_SHIFTS = 3, N_SHARED = 2 * N_SHIFTS, N_MIDDLES = 3, N_QUERY = 3 * N_MIDDLES };

// One key-value head and the query heads that read it.
struct group {
    struct ley_attention *attention; // (G query heads, 1 key-value head)
    int64_t n_tokens;
    int n_queries, head_dim;
    bool has_centred_keys, normalises_outputs;
    double *q, *k, *v, *want, *got; // (G, T, D), (1, T, D), (1, T, D), (G, T, D), (G, T, D)
    double *unexplained;            // [G] of the last run
    struct ley_scaler *line;        // [G] from the last run: want ~ a got + b
    double *best_unexplained;       // [G] of the best choice so far, with its line and q scaler
    struct ley_scaler *best_line, *best_query;
    double *size, *best_size; // [G] of M29, with the lines
};

struct calibration {
    const struct ley_hardware *hardware;
    struct ley_scaler_set *set;
    struct ley_calibration_report report;
    const struct ley_progress *progress;
    enum ley_status status;
    char text[1024]; // of the failure, which may have happened on another thread
};

// Of the values of one head over all tokens, components together: a scaler has one a and one b.
struct moments {
    double mean, deviation;
};

// Two passes, the deviations from the known mean: no cancellation. n >= 1; divides by n, not n - 1.
static struct moments moments_of(const double *x, int64_t n) {
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
    }
    double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        square += (x[i] - mean) * (x[i] - mean);
    }
    return (struct moments){mean, sqrt(square / (double)n)};
}

// M20, S5.2 at convergence: the scaler whose output has this mean and standard deviation.
static struct ley_scaler match(const double *x, int64_t n, double mean, double deviation) {
    struct moments m = moments_of(x, n);
    // A signal that never changes keeps its size: any a would do, and only the mean can be matched.
    double a = m.deviation > 0 ? deviation / m.deviation : 1;
    return (struct ley_scaler){.a = a, .b = mean - a * m.mean};
}

// Least squares want ~ a got + b; returns the share of variance that the line leaves. A head whose
// output does not follow (a <= 0) gets a constant.
static double fit_line(struct ley_scaler *line, const double *want, const double *got, int64_t n) {
    struct moments w = moments_of(want, n), g = moments_of(got, n);
    double cross = 0;
    for (int64_t i = 0; i < n; i++) {
        cross += (want[i] - w.mean) * (got[i] - g.mean);
    }
    // The correlation. Constant signals make 0 / 0 here, which the test below takes as no relation.
    double r = cross / ((double)n * w.deviation * g.deviation);
    if (!(r > 0)) { // also when nothing varies
        *line = (struct ley_scaler){0, w.mean};
        return 1;
    }
    line->a = r * w.deviation / g.deviation;
    line->b = w.mean - line->a * g.mean;
    return 1 - r * r;
}

// M29: got (n_tokens, D) becomes the normalised output for a slope that brings the denominator of a
// usual token to usual_sum; size: least squares want ~ size got. Returns the share of variance that
// is left. A head that does not follow gets size 1.
static double fit_size(struct ley_scaler *line, double *size, const double *want, double *got,
                       int64_t n_tokens, int head_dim) {
    int64_t n = n_tokens * head_dim;
    double open = 0, cross = 0, square = 0, missed = 0;
    for (int64_t t = 0; t < n_tokens; t++) {
        double mean = moments_of(got + t * head_dim, head_dim).mean;
        open += mean > 0 ? mean : 0;
    }
    *line = (struct ley_scaler){open > 0 ? usual_sum * (double)n_tokens / open : 1, 0};
    for (int64_t t = 0; t < n_tokens; t++) {
        double *x = got + t * head_dim;
        struct moments m = moments_of(x, head_dim);
        double common = m.mean > 0 ? line->a * m.mean : 0, spread = line->a * m.deviation;
        double divisor = sqrt(1 + common * common + LEY_NORM_VARIANCE_SHARE * spread * spread);
        for (int d = 0; d < head_dim; d++) {
            x[d] = line->a * (x[d] - m.mean) / divisor;
            cross += want[t * head_dim + d] * x[d];
            square += x[d] * x[d];
        }
    }
    *size = cross > 1e-6 * square ? cross / square : 1;
    for (int64_t i = 0; i < n; i++) {
        double difference = want[i] - *size * got[i];
        missed += difference * difference;
    }
    double variance = pow(moments_of(want, n).deviation, 2);
    return variance > 0 ? missed / ((double)n * variance) : 1;
}

// Runs the group with the scalers that its attention holds now and fits every head's line.
static enum ley_status try_scalers(struct group *group) {
    // S5.2: what is fitted here is what the digital output scaler can mend for free; only the rest
    // counts.
    int64_t n = group->n_tokens * group->head_dim;
    // a = 1, b = 0: fit_line wants what the arrays give, before any output scaler.
    for (int g = 0; g < group->n_queries; g++) {
        group->attention->scaler[LEY_SIGNAL_OUTPUT][g] = (struct ley_scaler){1, 0};
    }
    const struct ley_attention_call call = {
        .q = ley_heads_packed(group->q, group->n_queries, group->n_tokens, group->head_dim),
        .k = ley_heads_packed(group->k, 1, group->n_tokens, group->head_dim),
        .v = ley_heads_packed(group->v, 1, group->n_tokens, group->head_dim),
        .out = ley_heads_packed_out(group->got, group->n_queries, group->n_tokens, group->head_dim),
        .n_batch = 1,
        .n_tokens = group->n_tokens,
    };
    LEY_TRY(ley_attention_forward(group->attention, &call));
    for (int g = 0; g < group->n_queries; g++) {
        double *want = group->want + g * n, *got = group->got + g * n;
        group->unexplained[g] = group->normalises_outputs
                                    ? fit_size(&group->line[g], &group->size[g], want, got,
                                               group->n_tokens, group->head_dim)
                                    : fit_line(&group->line[g], want, got, n);
    }
    return LEY_OK;
}

// choice 0 .. N_QUERY - 1 counts middles fastest. Pulses are in units of the longest pulse.
static void set_query(struct group *group, int g, int choice) {
    int64_t n = group->n_tokens * group->head_dim;
    group->attention->scaler[LEY_SIGNAL_Q][g] =
        match(group->q + g * n, n, query_middle[group->has_centred_keys][choice % N_MIDDLES],
              query_spread[choice / N_MIDDLES]);
}

// choice 0 .. N_SHARED - 1 counts shifts fastest. Voltages are absolute: V_ref is u = 0 (M1).
static void set_key(struct group *group, int choice) {
    double v_ref_v = group->attention->hardware.cell.v_ref_v;
    group->attention->scaler[LEY_SIGNAL_K][0] = match(group->k, group->n_tokens * group->head_dim,
                                                      v_ref_v * (1 + key_shift[choice % N_SHIFTS]),
                                                      v_ref_v * key_spread[choice / N_SHIFTS]);
}

// The shared choice with the least unexplained variance, summed over the heads of the group.
static enum ley_status search_key(struct group *group) {
    // Sums over the heads of the group: they share the keys, so they have to agree.
    int best = 0;
    double least = INFINITY;
    for (int choice = 0; choice < N_SHARED; choice++) {
        double sum = 0;
        set_key(group, choice);
        LEY_TRY(try_scalers(group));
        for (int g = 0; g < group->n_queries; g++) {
            sum += group->unexplained[g];
        }
        if (sum < least) {
            least = sum;
            best = choice;
        }
    }
    set_key(group, best);
    return LEY_OK;
}

// Every query head's own best choice, with its line and unexplained share.
static enum ley_status search_query(struct group *group) {
    struct ley_scaler *scaler = group->attention->scaler[LEY_SIGNAL_Q];
    double *least = group->best_unexplained;
    struct ley_scaler *line = group->best_line, *best = group->best_query;
    for (int g = 0; g < group->n_queries; g++) {
        least[g] = INFINITY;
    }
    for (int choice = 0; choice < N_QUERY; choice++) {
        for (int g = 0; g < group->n_queries; g++) {
            set_query(group, g, choice);
        }
        LEY_TRY(try_scalers(group));
        for (int g = 0; g < group->n_queries; g++) {
            if (group->unexplained[g] < least[g]) {
                least[g] = group->unexplained[g];
                line[g] = group->line[g];
                group->best_size[g] = group->size[g];
                best[g] = scaler[g];
            }
        }
    }
    // From here on the attention holds the best scalers of q; search_key left those of k.
    memcpy(scaler, best, (size_t)group->n_queries * sizeof *scaler);
    return LEY_OK;
}

// Accepts a group that create_group left half made: it was zeroed first, and destroy takes NULL.
static void destroy_group(struct group *group) {
    ley_attention_destroy(group->attention);
    ley_free(group->q);
    ley_free(group->line);
}

// Copies one key-value head and its query heads out of what the model's layer showed.
static void copy_heads(struct group *group, const struct ley_observation *seen, int h) {
    int64_t T = group->n_tokens, D = group->head_dim;
    int64_t out_stride = (int64_t)seen->n_query_heads * D;
    for (int64_t t = 0; t < T; t++) {
        for (int64_t d = 0; d < D; d++) {
            // Query head h * G + g reads key-value head h.
            for (int64_t g = 0; g < group->n_queries; g++) {
                int64_t head = h * group->n_queries + g;
                group->q[(g * T + t) * D + d] = seen->q[t * seen->stride + head * D + d];
                group->want[(g * T + t) * D + d] = seen->out[t * out_stride + head * D + d];
            }
            group->k[t * D + d] = seen->k[t * seen->stride + h * D + d];
            group->v[t * D + d] = seen->v[t * seen->stride + h * D + d];
        }
    }
}

// Two blocks, one of doubles and one of scalers, are cut into all arrays of the group, in the order
// below; `q` and `line` own them. On failure the caller destroys what there is.
static enum ley_status create_group(struct group *group, const struct ley_hardware *hardware,
                                    const struct ley_observation *seen, int h) {
    int G = seen->n_query_heads / seen->n_kv_heads, D = seen->head_dim;
    size_t n = (size_t)seen->n_tokens * (size_t)D, n_groups = (size_t)G;
    *group = (struct group){.n_tokens = seen->n_tokens, .n_queries = G, .head_dim = D};
    LEY_TRY(
        ley_attention_create(&group->attention, hardware, &(struct ley_attention_shape){G, 1, D}));
    group->q = ley_alloc((3 * n_groups + 2) * n + 4 * n_groups, sizeof(double));
    group->line = ley_alloc(3 * n_groups, sizeof *group->line);
    if (!group->q || !group->line) {
        return ley_fail_memory("calibration", (3 * n_groups + 2) * n, sizeof(double));
    }
    group->want = group->q + n_groups * n;
    group->got = group->want + n_groups * n;
    group->k = group->got + n_groups * n;
    group->v = group->k + n;
    group->unexplained = group->v + n;
    group->best_unexplained = group->unexplained + n_groups;
    group->size = group->best_unexplained + n_groups;
    group->best_size = group->size + n_groups;
    group->best_line = group->line + n_groups;
    group->best_query = group->best_line + n_groups;
    copy_heads(group, seen, h);
    return LEY_OK;
}

// M25, M29, on doubles of one head.
static void centre(double *x, int64_t n_tokens, int head_dim) {
    for (int64_t t = 0; t < n_tokens; t++) {
        double *row = x + t * head_dim, sum = 0;
        for (int d = 0; d < head_dim; d++) {
            sum += row[d];
        }
        for (int d = 0; d < head_dim; d++) {
            row[d] -= sum / head_dim;
        }
    }
}

// v first, since it has a fixed target. Then k with q in the middle of its grid, then q with the
// best k: a search by coordinates, N_SHARED + N_QUERY runs instead of their product.
static enum ley_status search(struct group *group) {
    int64_t n = group->n_tokens * group->head_dim;
    double v_ref_v = group->attention->hardware.cell.v_ref_v;
    group->attention->scaler[LEY_SIGNAL_V][0] =
        group->normalises_outputs
            ? match(group->v, n, v_ref_v * (1 + normalised_shift), v_ref_v * normalised_spread)
            : match(group->v, n, v_ref_v, v_ref_v * value_spread);
    for (int g = 0; g < group->n_queries; g++) {
        set_query(group, g, N_QUERY / 2);
    }
    LEY_TRY(search_key(group));
    return search_query(group);
}

// Calibrates key-value head h of the layer seen, into the set; unexplained[query head] receives
// what its line leaves.
static enum ley_status calibrate_head(struct calibration *calibration, double *unexplained,
                                      const struct ley_observation *seen, int h) {
    struct group group;
    const struct ley_scaler_set *set = calibration->set;
    enum ley_status status = create_group(&group, calibration->hardware, seen, h);
    if (status == LEY_OK && set->centres_keys) {
        centre(group.k, group.n_tokens, group.head_dim);
        group.has_centred_keys = true;
    }
    if (status == LEY_OK && set->normalises_outputs) {
        centre(group.v, group.n_tokens, group.head_dim);
        group.normalises_outputs = true;
    }
    if (status == LEY_OK) {
        status = search(&group);
    }
    // Scalers of q and output per query head, of k and v once for the group (M18).
    for (int g = 0; status == LEY_OK && g < group.n_queries; g++) {
        int head = h * group.n_queries + g;
        ley_scaler_set_at(set, LEY_SIGNAL_Q, seen->layer)[head] =
            group.attention->scaler[LEY_SIGNAL_Q][g];
        ley_scaler_set_at(set, LEY_SIGNAL_OUTPUT, seen->layer)[head] = group.best_line[g];
        set->output_size[seen->layer * seen->n_query_heads + head] = group.best_size[g];
        unexplained[head] = group.best_unexplained[g];
    }
    if (status == LEY_OK) {
        ley_scaler_set_at(set, LEY_SIGNAL_K, seen->layer)[h] =
            group.attention->scaler[LEY_SIGNAL_K][0];
        ley_scaler_set_at(set, LEY_SIGNAL_V, seen->layer)[h] =
            group.attention->scaler[LEY_SIGNAL_V][0];
    }
    destroy_group(&group);
    return status;
}

// Sums now; the caller divides by layers and heads once all layers have been seen.
static void add_to_report(struct ley_calibration_report *report, const double *unexplained,
                          int n_heads, int layer) {
    for (int head = 0; head < n_heads; head++) {
        report->unexplained += unexplained[head];
        if (unexplained[head] > report->worst_unexplained) {
            report->worst_unexplained = unexplained[head];
            report->worst_layer = layer;
            report->worst_head = head;
        }
    }
}

// Called by the model after each layer's attention: heads are independent, threads share them.
static void see_layer(void *context, const struct ley_observation *seen) {
    struct calibration *calibration = context;
    double *unexplained = ley_alloc((size_t)seen->n_query_heads, sizeof *unexplained);
    // An observer returns nothing, so a failure is kept here and run_text reports it afterwards.
    if (!unexplained && calibration->status == LEY_OK) {
        calibration->status = LEY_E_MEMORY;
        strcpy(calibration->text, "out of memory while calibrating");
    }
    if (calibration->status != LEY_OK) {
        ley_free(unexplained);
        return;
    }
// Each key-value head writes its own entries of the set and of `unexplained`; only failure is
// shared.
#pragma omp parallel for schedule(dynamic)
    for (int h = 0; h < seen->n_kv_heads; h++) {
        enum ley_status status = calibrate_head(calibration, unexplained, seen, h);
        if (status != LEY_OK) {
#pragma omp critical(ley_calibration)
            {
                calibration->status = status;
                strncpy(calibration->text, ley_error_text(), sizeof calibration->text - 1);
            }
        }
    }
    add_to_report(&calibration->report, unexplained, seen->n_query_heads, seen->layer);
    ley_free(unexplained);
}

// One digital run over the text; see_layer does the work as the layers go by. The error text is per
// thread, so that of a failed worker is raised again on this one.
static enum ley_status run_text(struct calibration *calibration, const struct ley_model *model,
                                const int32_t *tokens, int64_t n_tokens) {
    struct ley_session *session;
    struct ley_observer observer = {see_layer, calibration};
    struct ley_feed feed = {
        .logits = LEY_LOGITS_NONE, .observer = &observer, .progress = calibration->progress};
    LEY_TRY(ley_session_create(&session, model, 1, n_tokens));
    enum ley_status status = ley_session_feed(NULL, session, tokens, n_tokens, &feed);
    ley_session_destroy(session);
    if (status == LEY_OK && calibration->status != LEY_OK) {
        status = ley_fail(calibration->status, "%s", calibration->text);
    }
    return status;
}

// Order: the chip must be sound before the set exists, and the set before the text runs. The
// report's sum becomes a mean over all heads of all layers.
enum ley_status ley_model_calibrate(struct ley_scaler_set *set,
                                    struct ley_calibration_report *report,
                                    const struct ley_model *model,
                                    const struct ley_hardware *hardware,
                                    const struct ley_calibration_options *options) {
    const struct ley_model_config *config = ley_model_config(model);
    struct ley_attention_shape shape = {config->n_heads, config->n_kv_heads, config->head_dim};
    LEY_TRY(ley_hardware_check(hardware, config->n_heads / config->n_kv_heads));
    LEY_TRY(ley_scaler_set_create(set, config->n_layers, &shape));
    set->centres_keys = options->centres_keys;
    set->normalises_outputs = options->normalises_outputs;
    struct calibration calibration = {
        .hardware = hardware, .set = set, .progress = options->progress};
    enum ley_status status = run_text(&calibration, model, options->tokens, options->n_tokens);
    if (status != LEY_OK) {
        ley_scaler_set_destroy(set);
        return status;
    }
    *report = calibration.report;
    report->unexplained /= (double)config->n_layers * config->n_heads;
    return LEY_OK;
}
