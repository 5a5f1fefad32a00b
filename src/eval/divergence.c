// divergence.c - two models on the same tokens
//
// Logits are made for 64 rows at a time, twice V floats each; outputs of heads of the digital model
// are kept for a window, (layers, T, Q), until the other one has given its own.
#include "eval/divergence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "model/model.h"
#include "model/state.h"
#include "nn/loss.h"

enum { ROWS = 64 };

enum ley_status ley_divergence_create(struct ley_divergence *divergence,
                                      const struct ley_model *model) {
    const struct ley_model_config *config = ley_model_config(model);
    *divergence = (struct ley_divergence){.n_layers = config->n_layers, .n_heads = config->n_heads};
    size_t n = (size_t)(config->n_layers * config->n_heads);
    divergence->head = ley_alloc(n, sizeof *divergence->head);
    return divergence->head ? LEY_OK : ley_fail_memory("heads", n, sizeof *divergence->head);
}

void ley_divergence_destroy(struct ley_divergence *divergence) {
    ley_free(divergence->kl);
    ley_free(divergence->head);
    *divergence = (struct ley_divergence){0};
}

// One window.
struct window {
    struct ley_divergence *divergence;
    int64_t n;                                             // predictions
    float *out;                                            // (layers, n, Q) of the digital model
    float *p, *q;                                          // (ROWS, V) logits
    double *row_kl, *row_nll, *row_reference, *row_square; // [ROWS]
    bool *row_same;
};

static size_t width_of(const struct ley_observation *o) {
    return (size_t)(o->n_query_heads * o->head_dim);
}

static void keep(void *context, const struct ley_observation *o) {
    struct window *window = context;
    size_t n = (size_t)o->n_tokens * width_of(o);
    memcpy(window->out + (size_t)o->layer * n, o->out, n * sizeof(float));
}

// Threads share heads, never sums.
static void compare(void *context, const struct ley_observation *o) {
    struct window *window = context;
    struct ley_divergence *divergence = window->divergence;
    size_t width = width_of(o), n = (size_t)o->n_tokens * width;
    const float *reference = window->out + (size_t)o->layer * n;
#pragma omp parallel for schedule(static)
    for (int h = 0; h < o->n_query_heads; h++) {
        struct ley_divergence_head *head = &divergence->head[o->layer * divergence->n_heads + h];
        for (int64_t t = 0; t < o->n_tokens; t++) {
            size_t at = (size_t)t * width + (size_t)(h * o->head_dim);
            for (int d = 0; d < o->head_dim; d++) {
                double r = (double)reference[at + (size_t)d], y = (double)o->out[at + (size_t)d];
                head->rr += r * r;
                head->yy += y * y;
                head->ry += r * y;
            }
        }
    }
}

static int32_t best_of(const float *x, int n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return best;
}

// Row i of the logits at hand, whose next token is `token`.
static void compare_row(struct window *window, int64_t i, int32_t token, int n_vocab) {
    const float *x = window->p + i * n_vocab, *y = window->q + i * n_vocab;
    double p_sum = ley_log_sum_exp(x, n_vocab), q_sum = ley_log_sum_exp(y, n_vocab), kl = 0;
    for (int v = 0; v < n_vocab; v++) {
        double log_p = (double)x[v] - p_sum;
        kl += exp(log_p) * (log_p - ((double)y[v] - q_sum));
    }
    double p = (double)x[token] - p_sum, q = (double)y[token] - q_sum;
    window->row_kl[i] = kl > 0 ? kl : 0; // rounding may leave it below
    window->row_nll[i] = -q;
    window->row_reference[i] = -p;
    window->row_square[i] = (exp(p) - exp(q)) * (exp(p) - exp(q));
    window->row_same[i] = best_of(x, n_vocab) == best_of(y, n_vocab);
}

// Adds row i of the logits at hand, predicted from n_before tokens.
static void add_row(struct window *window, int64_t i, int64_t n_before) {
    struct ley_divergence *divergence = window->divergence;
    int place = 0;
    for (; n_before > 1 && place < LEY_DIVERGENCE_PLACES - 1; n_before /= 2) {
        place++;
    }
    struct ley_divergence_place *at = &divergence->place[place];
    at->n++;
    at->n_same += window->row_same[i];
    at->kl += window->row_kl[i];
    at->nll += window->row_nll[i];
    at->nll_reference += window->row_reference[i];
    divergence->probability_square += window->row_square[i];
    divergence->kl[divergence->n++] = window->row_kl[i];
}

static enum ley_status reserve(struct ley_divergence *divergence, int64_t n) {
    if (divergence->n + n <= divergence->room) {
        return LEY_OK;
    }
    int64_t room = 2 * (divergence->n + n);
    double *larger = ley_alloc((size_t)room, sizeof *larger);
    if (!larger) {
        return ley_fail_memory("divergences", (size_t)room, sizeof *larger);
    }
    if (divergence->n > 0) {
        memcpy(larger, divergence->kl, (size_t)divergence->n * sizeof *larger);
    }
    ley_free(divergence->kl);
    divergence->kl = larger;
    divergence->room = room;
    return LEY_OK;
}

// Both sessions have run the window.
static void compare_logits(struct window *window, struct ley_session *reference,
                           struct ley_session *session, const int32_t *token, int n_vocab) {
    for (int64_t r = 0; r < window->n; r += ROWS) {
        int64_t n = window->n - r < ROWS ? window->n - r : ROWS;
        ley_session_logits(window->p, reference, r, n);
        ley_session_logits(window->q, session, r, n);
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++) {
            compare_row(window, i, token[r + i + 1], n_vocab);
        }
        for (int64_t i = 0; i < n; i++) {
            add_row(window, i, r + i + 1);
        }
    }
}

static enum ley_status run(struct window *window, struct ley_session *reference,
                           struct ley_session *session, const int32_t *token,
                           const struct ley_progress *progress) {
    const struct ley_observer keeps = {keep, window}, compares = {compare, window};
    struct ley_feed feed = {.logits = LEY_LOGITS_NONE, .observer = &keeps, .progress = progress};
    const struct ley_model_config *config = ley_model_config(ley_session_model(session));
    LEY_ASSERT(window->divergence->n_layers == config->n_layers &&
               window->divergence->n_heads == config->n_heads);
    ley_session_reset(reference);
    ley_session_reset(session);
    LEY_TRY(ley_session_feed(NULL, reference, token, window->n, &feed));
    feed.observer = &compares;
    LEY_TRY(ley_session_feed(NULL, session, token, window->n, &feed));
    compare_logits(window, reference, session, token, config->n_vocab);
    return LEY_OK;
}

enum ley_status ley_divergence_add(struct ley_divergence *divergence, struct ley_session *reference,
                                   struct ley_session *session, const int32_t *token, int64_t n,
                                   const struct ley_progress *progress) {
    const struct ley_model_config *config = ley_model_config(ley_session_model(reference));
    size_t n_vocab = (size_t)config->n_vocab;
    size_t n_out = (size_t)(config->n_layers * config->n_heads * config->head_dim);
    LEY_ASSERT(n >= 2);
    LEY_TRY(reserve(divergence, n - 1));
    struct window window = {
        .divergence = divergence,
        .n = n - 1,
        .out = ley_alloc((size_t)(n - 1) * n_out, sizeof(float)),
        .p = ley_alloc(ROWS * n_vocab, sizeof(float)),
        .q = ley_alloc(ROWS * n_vocab, sizeof(float)),
        .row_kl = ley_alloc(4 * ROWS, sizeof(double)),
        .row_same = ley_alloc(ROWS, sizeof(bool)),
    };
    enum ley_status status =
        ley_fail_memory("a comparison", (size_t)(n - 1) * n_out, sizeof(float));
    if (window.out && window.p && window.q && window.row_kl && window.row_same) {
        window.row_nll = window.row_kl + ROWS;
        window.row_reference = window.row_nll + ROWS;
        window.row_square = window.row_reference + ROWS;
        status = run(&window, reference, session, token, progress);
    }
    ley_free(window.out);
    ley_free(window.p);
    ley_free(window.q);
    ley_free(window.row_kl);
    ley_free(window.row_same);
    return status;
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Of sorted numbers, with straight lines between them.
static double quantile(const double *x, int64_t n, double share) {
    double at = share * (double)(n - 1);
    int64_t i = (int64_t)at, next = i + 1 < n ? i + 1 : i;
    return x[i] + (at - (double)i) * (x[next] - x[i]);
}

struct ley_divergence_sum ley_divergence_sum(struct ley_divergence *divergence) {
    struct ley_divergence_sum sum = {0};
    double n = (double)divergence->n, square = 0;
    LEY_ASSERT(divergence->n >= 1);
    for (int i = 0; i < LEY_DIVERGENCE_PLACES; i++) {
        const struct ley_divergence_place *place = &divergence->place[i];
        sum.mean += place->kl / n;
        sum.same_top += (double)place->n_same / n;
        sum.nll += place->nll / n;
        sum.nll_reference += place->nll_reference / n;
    }
    for (int64_t i = 0; i < divergence->n; i++) {
        square += (divergence->kl[i] - sum.mean) * (divergence->kl[i] - sum.mean);
    }
    qsort(divergence->kl, (size_t)divergence->n, sizeof(double), compare_numbers);
    sum.mean_stderr = n > 1 ? sqrt(square / (n - 1) / n) : NAN;
    sum.median = quantile(divergence->kl, divergence->n, 0.5);
    sum.q999 = quantile(divergence->kl, divergence->n, 0.999);
    sum.most = divergence->kl[divergence->n - 1];
    sum.rms_probability = sqrt(divergence->probability_square / n);
    return sum;
}

double ley_divergence_error(const struct ley_divergence_head *head) {
    return sqrt(fmax(head->yy - 2 * head->ry + head->rr, 0) / head->rr);
}

double ley_divergence_correlation(const struct ley_divergence_head *head) {
    return head->ry / sqrt(head->rr * head->yy);
}
