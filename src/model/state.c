// state.c - life and memory of a session
#include "model/state.h"

#include <omp.h>

#include "core/assert.h"
#include "core/memory.h"
#include "model/state_impl.h"

// Banks for an analog layer, a ring of keys and values for a digital one.
static enum ley_status create_layer(struct ley_layer_state *layer,
                                    const struct ley_session *session,
                                    const struct ley_layer *weights) {
    if (weights->attention) {
        return ley_stream_create(&layer->stream, weights->attention, session->n_batch);
    }
    size_t width = (size_t)ley_width_k(&session->model->config);
    size_t n = (size_t)(session->n_batch * session->ring);
    layer->k = ley_alloc(n, width * sizeof(float));
    layer->v = ley_alloc(n, width * sizeof(float));
    return layer->k && layer->v ? LEY_OK : ley_fail_memory("cache", 2 * n, width * sizeof(float));
}

// After this a step of one token needs no allocation.
static enum ley_status fill(struct ley_session *session) {
    size_t n_layers = (size_t)session->model->config.n_layers;
    session->layer = ley_alloc(n_layers, sizeof *session->layer);
    session->step_token = ley_alloc((size_t)session->n_batch, sizeof *session->step_token);
    if (!session->layer || !session->step_token) {
        return ley_fail_memory("session", n_layers, sizeof *session->layer);
    }
    LEY_TRY(ley_attention_work_create(&session->work));
    for (size_t l = 0; l < n_layers; l++) {
        LEY_TRY(create_layer(&session->layer[l], session, &session->model->layer[l]));
    }
    return ley_session_reserve(session, 1);
}

// A window bounds the ring of the digital cache; analog layers have rings of their own (M15).
enum ley_status ley_session_create(struct ley_session **session, const struct ley_model *model,
                                   int64_t n_batch, int64_t max_tokens) {
    LEY_ASSERT(n_batch >= 1 && max_tokens >= 1);
    struct ley_session *made = ley_alloc(1, sizeof *made);
    *session = NULL;
    if (!made) {
        return ley_fail_memory("session", 1, sizeof *made);
    }
    made->model = model;
    made->n_batch = n_batch;
    made->max_tokens = max_tokens;
    // A window shorter than the session makes the ring; else the cache is as long as the session.
    made->ring = model->window > 0 && model->window < max_tokens ? model->window : max_tokens;
    enum ley_status status = fill(made);
    if (status != LEY_OK) {
        ley_session_destroy(made);
        return status;
    }
    *session = made;
    return LEY_OK;
}

// Zeroes the struct, so that a released one can be released or reserved again.
static void release(struct ley_activations *a) {
    ley_free(a->x);
    ley_free(a->h);
    ley_free(a->qkv);
    ley_free(a->attended);
    ley_free(a->ffn_in);
    ley_free(a->ffn_out);
    ley_free(a->turn);
    *a = (struct ley_activations){0};
}

void ley_session_destroy(struct ley_session *session) {
    if (!session) {
        return;
    }
    // A layer has either a cache or banks; the other is NULL.
    for (int l = 0; session->layer && l < session->model->config.n_layers; l++) {
        ley_free(session->layer[l].k);
        ley_free(session->layer[l].v);
        ley_stream_destroy(session->layer[l].stream);
    }
    release(&session->a);
    ley_free(session->layer);
    ley_attention_work_destroy(session->work);
    ley_free(session->scratch.piece);
    ley_free(session->step_token);
    ley_free(session->loss_logits);
    ley_free(session);
}

// A digital cache needs no clearing: rows not yet written are never read (n_tokens = 0).
void ley_session_reset(struct ley_session *session) {
    session->n_tokens = 0;
    for (int l = 0; l < session->model->config.n_layers; l++) {
        if (session->layer[l].stream) {
            ley_stream_reset(session->layer[l].stream);
        }
    }
}

const struct ley_model *ley_session_model(const struct ley_session *session) {
    return session->model;
}

int64_t ley_session_n_tokens(const struct ley_session *session) {
    return session->n_tokens;
}

// Scratch of the digital attention for queries that see up to n_keys tokens.
static enum ley_status reserve_scratch(struct ley_session *session, int64_t n_keys) {
    const struct ley_softmax_shape shape = ley_model_softmax(session->model);
    struct ley_softmax_scratch *scratch = &session->scratch;
    // One piece for each thread; the number of threads may have changed since the last feed.
    int64_t wanted = ley_softmax_scratch_size(&shape, n_keys);
    int n_threads = omp_get_max_threads();
    if (wanted <= scratch->n && n_threads <= session->n_threads) {
        return LEY_OK;
    }
    ley_free(scratch->piece);
    // One block for all threads: piece i begins at i * n.
    scratch->piece = ley_alloc((size_t)(wanted * n_threads), sizeof(float));
    scratch->n = scratch->piece ? wanted : 0;
    session->n_threads = scratch->piece ? n_threads : 0;
    return scratch->piece ? LEY_OK
                          : ley_fail_memory("scores", (size_t)(wanted * n_threads), sizeof(float));
}

// a->n_rows and a->n_tokens are set. Rotary buffers have no length in gpt2. False: out of memory,
// with some of them made.
static bool allocate(struct ley_activations *a, const struct ley_model *model) {
    const struct ley_model_config *config = &model->config;
    size_t n = (size_t)a->n_rows, C = (size_t)config->d_model, F = (size_t)config->d_ff;
    size_t Q = (size_t)ley_width_q(config), K = (size_t)ley_width_k(config);
    size_t n_ffn_in = config->activation == LEY_SWIGLU ? 2 * F : F;
    size_t n_turn = model->rotary ? (size_t)(a->n_tokens * config->rope_dim) : 0;
    a->x = ley_alloc(n * C, sizeof(float));
    a->h = ley_alloc(n * C, sizeof(float));
    a->qkv = ley_alloc(n * (Q + 2 * K), sizeof(float));
    a->attended = ley_alloc(n * Q, sizeof(float));
    a->ffn_in = ley_alloc(n * n_ffn_in, sizeof(float));
    a->ffn_out = ley_alloc(n * F, sizeof(float));
    a->turn = ley_alloc(n_turn, sizeof(float));
    return a->x && a->h && a->qkv && a->attended && a->ffn_in && a->ffn_out && a->turn;
}

// Activations hold no state between feeds, so growing throws the old ones away.
enum ley_status ley_session_reserve(struct ley_session *session, int64_t n_tokens) {
    struct ley_activations *a = &session->a;
    if (!session->model->layer[0].attention) {
        // A window is cut by ring, a cache without one by what the sequence will hold.
        int64_t n_keys = session->n_tokens + n_tokens;
        LEY_TRY(reserve_scratch(session, n_keys > session->ring ? n_keys : session->ring));
    }
    if (n_tokens <= a->n_tokens) {
        return LEY_OK;
    }
    release(a);
    a->n_rows = session->n_batch * n_tokens;
    a->n_tokens = n_tokens;
    if (!allocate(a, session->model)) {
        int64_t n_rows = a->n_rows;
        release(a);
        return ley_fail_memory("activations", (size_t)n_rows,
                               (size_t)session->model->config.d_model * sizeof(float));
    }
    return LEY_OK;
}
