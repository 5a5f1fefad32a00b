// layer.c - one decoder layer over the new tokens of a session
//
// Rows are (b, t) with heads side by side. A sequence from the start goes through the sequence form
// of attention and is then written to the cache or the banks; a single token goes to the cache or
// the banks first and reads them.
#include <string.h>

#include "attention/centre.h"
#include "attention/normalise.h"
#include "event/ledger.h"
#include "model/branches_impl.h"
#include "nn/activation.h"
#include "nn/norm.h"

// Below this, handing rows to threads costs more than turning them.
enum { ROWS_WORTH_THREADS = 16 };

// gpt2 has layer norms with a bias, llama root mean squares without.
void ley_norm_forward(float *y, const float *x, const struct ley_model *model,
                      const struct ley_norm *norm, int64_t n_rows) {
    const struct ley_model_config *config = &model->config;
    if (config->family == LEY_FAMILY_GPT2) {
        ley_layer_norm(y, x, norm->scale, norm->bias, n_rows, config->d_model, config->norm_eps);
    } else {
        ley_rms_norm(y, x, norm->scale, n_rows, config->d_model, config->norm_eps);
    }
}

void ley_activation_forward(float *y, const float *x, const struct ley_model_config *config,
                            int64_t n_rows) {
    switch (config->activation) {
    case LEY_GELU_TANH:
        ley_gelu_tanh(y, x, n_rows * config->d_ff);
        break;
    case LEY_GELU_ERF:
        ley_gelu_erf(y, x, n_rows * config->d_ff);
        break;
    case LEY_SWIGLU:
        ley_swiglu(y, x, n_rows, config->d_ff);
        break;
    }
}

// The new tokens of one layer.
struct span {
    struct ley_session *session;
    const struct ley_layer *weights;
    // the session's cache or banks for this layer
    struct ley_layer_state *state;
    int64_t n_tokens, first; // T, index of the first
    // Q, K, and the distance of rows: Q + 2 K
    int width_q, width_k, stride;
    const struct ley_feed *feed;
    int layer;
};

// Turns queries and keys, which stand side by side, by the angles of their positions.
static void rotate(const struct span *span) {
    const struct ley_model *model = span->session->model;
    const struct ley_model_config *config = &model->config;
    const struct ley_activations *a = &span->session->a;
    if (!model->rotary) {
        return;
    }
    int64_t n_rows = span->session->n_batch * span->n_tokens;
#pragma omp parallel for schedule(static) if (n_rows >= ROWS_WORTH_THREADS)
    for (int64_t r = 0; r < n_rows; r++) {
        ley_rotary_forward(a->qkv + r * span->stride, model->rotary,
                           a->turn + r % span->n_tokens * config->rope_dim,
                           config->n_heads + config->n_kv_heads, config->head_dim);
    }
}

// Copies the new keys and values of sequence b to its cache; of more than it holds, the last.
static void store(const struct span *span, int64_t b) {
    const struct ley_session *session = span->session;
    int64_t ring = session->ring, n = span->n_tokens;
    size_t n_bytes = (size_t)span->width_k * sizeof(float);
    // More tokens than the ring holds would overwrite one another: only the last are copied.
    for (int64_t t = n > ring ? n - ring : 0; t < n; t++) {
        const float *row = session->a.qkv + (b * n + t) * span->stride + span->width_q;
        int64_t place = (b * ring + (span->first + t) % ring) * span->width_k;
        memcpy(span->state->k + place, row, n_bytes);
        memcpy(span->state->v + place, row + span->width_k, n_bytes);
    }
}

// M19, digital side: softmax over what is seen. Several tokens read the rows just computed, a
// single one the cache, which then holds it too.
static void attend_digital(const struct span *span) {
    const struct ley_session *session = span->session;
    struct ley_softmax_shape shape = ley_model_softmax(session->model);
    shape.q_stride = span->stride;
    int64_t n = span->n_tokens;
    for (int64_t b = 0; b < session->n_batch; b++) {
        const float *qkv = session->a.qkv + b * n * span->stride;
        const float *k = qkv + span->width_q;
        struct ley_kv_rows rows = {k, k + span->width_k, span->stride, n};
        // Stored first, in both cases: a single token reads itself from the cache.
        store(span, b);
        if (n == 1) {
            int64_t place = b * session->ring * span->width_k;
            rows = (struct ley_kv_rows){span->state->k + place, span->state->v + place,
                                        span->width_k, session->ring};
        }
        ley_softmax_forward(session->a.attended + b * n * span->width_q, &shape, qkv, &rows,
                            span->first, n, &session->scratch);
    }
}

// Ledgers of the heads of a layer, where they are kept apart.
static struct ley_ledger *head_ledger(const struct span *span) {
    const struct ley_model_config *config = &span->session->model->config;
    struct ley_ledger *all = span->feed->head_ledger;
    return all ? all + (int64_t)span->layer * (config->n_kv_heads + config->n_heads) : NULL;
}

// Digital work on each of n heads, whose ledgers begin at `first`.
static void count_operations(const struct span *span, int first, int n, int64_t per_head) {
    int64_t n_rows = span->session->n_batch * span->n_tokens;
    if (span->feed->ledger) {
        span->feed->ledger[span->layer].scaler_operations += (uint64_t)(n_rows * n * per_head);
    }
    struct ley_ledger *heads = head_ledger(span);
    for (int h = 0; heads && h < n; h++) {
        heads[first + h].scaler_operations += (uint64_t)(n_rows * per_head);
    }
}

// M25, M29: subtracting a mean takes two additions a component.
static void centre(const struct span *span, bool is_key) {
    const struct ley_session *session = span->session;
    const struct ley_model_config *config = &session->model->config;
    float *heads = session->a.qkv + span->width_q + (is_key ? 0 : span->width_k);
    ley_centre_heads(heads, span->stride, session->n_batch * span->n_tokens, config->n_kv_heads,
                     config->head_dim);
    count_operations(span, 0, config->n_kv_heads, 2 * (int64_t)config->head_dim);
}

// What is digital before the arrays.
static void prepare(const struct span *span) {
    const struct ley_attention *attention = span->weights->attention;
    if (attention->centres_keys) {
        centre(span, true);
    }
    if (attention->normalises_outputs) {
        centre(span, false);
    }
}

// M29: a component is added to the mean, loses it, is squared, added up and scaled; a head takes a
// root and divides once.
static void normalise(const struct span *span) {
    const struct ley_session *session = span->session;
    const struct ley_model_config *config = &session->model->config;
    const struct ley_attention *attention = span->weights->attention;
    if (attention->normalises_outputs) {
        ley_normalise_forward(session->a.attended, NULL, attention->output_size,
                              session->n_batch * span->n_tokens, config->n_heads, config->head_dim);
        count_operations(span, config->n_kv_heads, config->n_heads,
                         5 * (int64_t)config->head_dim + 2);
    }
}

// Time of a token: they come once a period.
static double time_s(const struct span *span, int64_t token) {
    return (double)token * span->weights->attention->hardware.time.token_period_s;
}

// M19. The banks read and write the rows of the projections in place.
static enum ley_status attend_analog(const struct span *span) {
    const struct ley_session *session = span->session;
    const struct ley_feed *feed = span->feed;
    const float *q = session->a.qkv, *k = q + span->width_q, *v = k + span->width_k;
    int64_t n = span->n_tokens, row = span->stride, batch = n * row, width_q = span->width_q;
    int64_t head_dim = session->model->config.head_dim;
    struct ley_attention_call call = {
        .q = {.f32 = q, .batch = batch, .head = head_dim, .token = row},
        .k = {.f32 = k, .batch = batch, .head = head_dim, .token = row},
        .v = {.f32 = v, .batch = batch, .head = head_dim, .token = row},
        .out = {.f32 = session->a.attended,
                .batch = n * width_q,
                .head = head_dim,
                .token = width_q},
        .n_batch = session->n_batch,
        .n_tokens = n,
        .trace = feed->trace ? &feed->trace[span->layer] : NULL,
        .ledger = feed->ledger ? &feed->ledger[span->layer] : NULL,
        .head_ledger = head_ledger(span),
        .work = session->work,
    };
    if (n == 1) {
        ley_stream_step(span->state->stream, &call, time_s(span, span->first));
        return LEY_OK;
    }
    LEY_TRY(ley_attention_forward(span->weights->attention, &call));
    // The banks have to hold the sequence for the tokens to come; its events are counted already.
    ley_stream_load(span->state->stream, &call);
    return LEY_OK;
}

// Branches need no cache and no banks: their keys and values are among the rows.
static enum ley_status attend_branches(const struct span *span) {
    const struct ley_activations *a = &span->session->a;
    const struct ley_branches_call call = {
        .model = span->session->model,
        .attention = span->weights->attention,
        .qkv = a->qkv,
        .out = a->attended,
        .stride = span->stride,
        .width_q = span->width_q,
        .width_k = span->width_k,
        .ledger = span->feed->ledger ? &span->feed->ledger[span->layer] : NULL,
        .head_ledger = head_ledger(span),
    };
    return ley_branches_attend(span->session->branches, &call);
}

// After attention, before the output projection: q and k are rotated, as the arrays see them.
static void observe(const struct span *span) {
    const struct ley_observer *observer = span->feed->observer;
    const struct ley_session *session = span->session;
    const struct ley_model_config *config = &session->model->config;
    if (observer) {
        const float *q = session->a.qkv;
        const struct ley_observation observation = {
            .layer = span->layer,
            .n_batch = session->n_batch,
            .n_tokens = span->n_tokens,
            .first_token = span->first,
            .n_query_heads = config->n_heads,
            .n_kv_heads = config->n_kv_heads,
            .head_dim = config->head_dim,
            .q = q,
            .k = q + span->width_q,
            .v = q + span->width_q + span->width_k,
            .stride = span->stride,
            .out = session->a.attended,
        };
        observer->see(observer->context, &observation);
    }
}

// x += down(activation(up(norm(x)))), through a.h, a.ffn_in, a.ffn_out.
static void feed_forward(const struct span *span, int64_t n_rows) {
    const struct ley_model *model = span->session->model;
    const struct ley_activations *a = &span->session->a;
    ley_norm_forward(a->h, a->x, model, &span->weights->ffn_norm, n_rows);
    ley_linear_forward(a->ffn_in, span->weights->ffn_in, a->h, n_rows);
    ley_activation_forward(a->ffn_out, a->ffn_in, &model->config, n_rows);
    ley_linear_forward(a->h, span->weights->ffn_out, a->ffn_out, n_rows);
    ley_add(a->x, a->h, n_rows * model->config.d_model);
}

// x += out(attention(norm(x))), then x += ffn(norm(x)): both families norm before, not after.
enum ley_status ley_layer_forward(struct ley_session *session, int l, int64_t n_tokens,
                                  const struct ley_feed *feed) {
    const struct ley_model *model = session->model;
    const struct ley_activations *a = &session->a;
    int width_q = ley_width_q(&model->config), width_k = ley_width_k(&model->config);
    int64_t n_rows = session->n_batch * n_tokens;
    const struct span span = {
        .session = session,
        .weights = &model->layer[l],
        .state = &session->layer[l],
        .n_tokens = n_tokens,
        .first = session->n_tokens,
        .width_q = width_q,
        .width_k = width_k,
        .stride = width_q + 2 * width_k,
        .feed = feed,
        .layer = l,
    };
    ley_norm_forward(a->h, a->x, model, &span.weights->attention_norm, n_rows);
    ley_linear_forward(a->qkv, span.weights->qkv, a->h, n_rows);
    rotate(&span);
    if (span.weights->attention) {
        prepare(&span);
    }
    if (session->branches) {
        LEY_TRY(attend_branches(&span));
    } else if (span.weights->attention) {
        LEY_TRY(attend_analog(&span));
    } else {
        attend_digital(&span);
    }
    if (span.weights->attention) {
        normalise(&span);
    }
    observe(&span);
    ley_linear_forward(a->h, span.weights->attention_out, a->attended, n_rows);
    ley_add(a->x, a->h, n_rows * model->config.d_model);
    feed_forward(&span, n_rows);
    return LEY_OK;
}
