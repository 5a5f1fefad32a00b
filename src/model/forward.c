// forward.c - new tokens through all layers of a session, to logits or a loss
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "model/branches_impl.h"
#include "nn/activation.h"
#include "nn/loss.h"

// How far a feed is, in layers, for its progress report.
struct pace {
    int64_t n_done, n_total;
};

// Tied weights have no embedding of their own: a row of the output matrix is unpacked instead.
// Learned positions are added, rotary ones turn q and k later.
void ley_model_embed(float *x, float *scratch, const struct ley_model *model, int32_t token,
                     int64_t position) {
    if (model->tokens) {
        ley_embedding_read(x, model->tokens, token);
    } else {
        ley_linear_read(x, model->output, token);
    }
    if (model->positions) {
        ley_embedding_read(scratch, model->positions, position);
        ley_add(x, scratch, model->config.d_model);
    }
}

// Index of the t-th new token of a sequence; of branches, where its own sequence stands.
static int64_t position_of(const struct ley_session *session, int64_t t) {
    return session->branches ? session->branches->position[t] : session->n_tokens + t;
}

// x (B * T, C) <- embeddings; the angles of the positions go to a.turn.
static void embed(struct ley_session *session, const int32_t *tokens, int64_t n_tokens) {
    const struct ley_model *model = session->model;
    const struct ley_activations *a = &session->a;
    int64_t C = model->config.d_model;
    for (int64_t r = 0; r < session->n_batch * n_tokens; r++) {
        ley_model_embed(a->x + r * C, a->h, model, tokens[r], position_of(session, r % n_tokens));
    }
    for (int64_t t = 0; model->rotary && t < n_tokens; t++) {
        ley_rotary_turn(a->turn + t * model->config.rope_dim, model->rotary,
                        position_of(session, t));
    }
}

// Runs T new tokens of each sequence at once; their residual streams remain in a.x.
static enum ley_status run(struct ley_session *session, const int32_t *tokens, int64_t n_tokens,
                           const struct ley_feed *feed, struct pace *pace) {
    const struct ley_progress *progress = feed->progress;
    int64_t n = session->n_batch * n_tokens * session->model->config.d_model;
    embed(session, tokens, n_tokens);
    for (int l = 0; l < session->model->config.n_layers; l++) {
        LEY_TRY(ley_layer_forward(session, l, n_tokens, feed));
        if (feed->hidden) {
            memcpy(feed->hidden + l * n, session->a.x, (size_t)n * sizeof *feed->hidden);
        }
        pace->n_done++;
        if (progress && !progress->report(progress->context, pace->n_done, pace->n_total)) {
            return ley_fail(LEY_E_INTERRUPTED, "stopped on request");
        }
    }
    // Only after all layers: they take this as the position of the first new token.
    session->n_tokens += n_tokens;
    return LEY_OK;
}

// logits (n, V) of the first n rows of a.h, residual rows that were gathered there so that one
// matrix product serves them all.
static void write_gathered(float *logits, struct ley_session *session, int64_t n) {
    const struct ley_model *model = session->model;
    const struct ley_activations *a = &session->a;
    ley_norm_forward(a->h, a->h, model, &model->final_norm, n);
    ley_linear_forward(logits, model->output, a->h, n);
}

// logits (n, V) of residual rows r, r + step, ... of a.x
static void write_logits(float *logits, struct ley_session *session, int64_t r, int64_t step,
                         int64_t n) {
    const struct ley_activations *a = &session->a;
    int64_t C = session->model->config.d_model;
    for (int64_t i = 0; i < n; i++) {
        memmove(a->h + i * C, a->x + (r + i * step) * C, (size_t)C * sizeof(float));
    }
    write_gathered(logits, session, n);
}

// Rows of the residual stream stay where they are: any of them can be asked for, in any order.
void ley_session_logits(float *logits, struct ley_session *session, int64_t first_row,
                        int64_t n_rows) {
    LEY_ASSERT(first_row >= 0 && n_rows >= 1 && first_row + n_rows <= session->a.n_rows);
    write_logits(logits, session, first_row, 1, n_rows);
}

// All T tokens at once, then the logits asked for.
static enum ley_status feed_parallel(float *logits, struct ley_session *session,
                                     const int32_t *tokens, int64_t n_tokens,
                                     const struct ley_feed *feed) {
    struct pace pace = {0, session->model->config.n_layers};
    LEY_TRY(run(session, tokens, n_tokens, feed, &pace));
    if (feed->logits == LEY_LOGITS_LAST) {
        write_logits(logits, session, n_tokens - 1, n_tokens, session->n_batch);
    } else if (feed->logits == LEY_LOGITS_ALL) {
        write_logits(logits, session, 0, 1, session->n_batch * n_tokens);
    }
    return LEY_OK;
}

// Token by token, through cache or banks.
static enum ley_status feed_steps(float *logits, struct ley_session *session, const int32_t *tokens,
                                  int64_t n_tokens, const struct ley_feed *feed) {
    struct pace pace = {0, session->model->config.n_layers * n_tokens};
    int64_t V = session->model->config.n_vocab;
    for (int64_t t = 0; t < n_tokens; t++) {
        // Rows (B, T) are gathered per step: token t of every sequence.
        for (int64_t b = 0; b < session->n_batch; b++) {
            session->step_token[b] = tokens[b * n_tokens + t];
        }
        LEY_TRY(run(session, session->step_token, 1, feed, &pace));
        if (feed->logits == LEY_LOGITS_LAST && t == n_tokens - 1) {
            write_logits(logits, session, 0, 1, session->n_batch);
        }
        for (int64_t b = 0; feed->logits == LEY_LOGITS_ALL && b < session->n_batch; b++) {
            write_logits(logits + (b * n_tokens + t) * V, session, b, 1, 1);
        }
    }
    return LEY_OK;
}

static enum ley_status check_tokens(const struct ley_model *model, const int32_t *tokens,
                                    int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= model->config.n_vocab) {
            return ley_fail(LEY_E_ARGUMENT, "token %d is not in the vocabulary 0..%d",
                            (int)tokens[i], model->config.n_vocab - 1);
        }
    }
    return LEY_OK;
}

static enum ley_status check_length(const struct ley_model *model, int64_t n_tokens) {
    if (model->positions && n_tokens > model->config.n_context) {
        return ley_fail(LEY_E_ARGUMENT,
                        "%lld tokens are more than the %d positions this model has learned",
                        (long long)n_tokens, model->config.n_context);
    }
    return LEY_OK;
}

// Checked before anything runs: a failing feed then leaves the session as it was.
static enum ley_status check(const struct ley_session *session, const int32_t *tokens,
                             int64_t n_tokens) {
    const struct ley_model *model = session->model;
    int64_t n_after = session->n_tokens + n_tokens;
    LEY_TRY(check_length(model, n_after));
    // Banks and windows forget; a cache without window must hold everything.
    bool is_bounded =
        !model->layer[0].attention && (model->window == 0 || model->window > session->max_tokens);
    if (is_bounded && n_after > session->max_tokens) {
        return ley_fail(LEY_E_ARGUMENT, "%lld tokens do not fit in a cache of %lld; use a window",
                        (long long)n_after, (long long)session->max_tokens);
    }
    return check_tokens(model, tokens, session->n_batch * n_tokens);
}

// Two ways to one result (DESIGN.md): an empty session takes all tokens in parallel and fills its
// caches or banks on the way, one that holds tokens already goes on token by token.
enum ley_status ley_session_feed(float *logits, struct ley_session *session, const int32_t *tokens,
                                 int64_t n_tokens, const struct ley_feed *feed) {
    static const struct ley_feed plain = {0};
    LEY_ASSERT(n_tokens >= 1);
    feed = feed ? feed : &plain;
    LEY_TRY(check(session, tokens, n_tokens));
    // Parallel needs an empty past (or a single token): in a longer feed later tokens would have to
    // see caches that earlier ones have yet to fill.
    bool is_sequence = session->n_tokens == 0 || n_tokens == 1;
    LEY_ASSERT(is_sequence || !feed->hidden);
    LEY_TRY(ley_session_reserve(session, is_sequence ? n_tokens : 1));
    return is_sequence ? feed_parallel(logits, session, tokens, n_tokens, feed)
                       : feed_steps(logits, session, tokens, n_tokens, feed);
}

// Rows of branches take their sequence's place: one of its tokens is as long ago as its branch
// says.
enum ley_status ley_session_branches(struct ley_session *session, const int32_t *tokens,
                                     const struct ley_branch *branch, int64_t n,
                                     const struct ley_feed *feed) {
    static const struct ley_feed plain = {0};
    struct pace pace = {0, session->model->config.n_layers};
    int64_t n_rows = 0;
    LEY_ASSERT(session->n_batch == 1 && n >= 1);
    for (int64_t i = 0; i < n; i++) {
        LEY_ASSERT(branch[i].n_tokens >= 1 && branch[i].parent < i);
        n_rows += branch[i].n_tokens;
    }
    ley_session_reset(session);
    LEY_TRY(check_tokens(session->model, tokens, n_rows));
    LEY_TRY(ley_branches_create(&session->branches, session->model, branch, n, n_rows));
    enum ley_status status = check_length(session->model, session->branches->longest);
    if (status == LEY_OK) {
        status = ley_session_reserve(session, n_rows);
    }
    if (status == LEY_OK) {
        status = run(session, tokens, n_rows, feed ? feed : &plain, &pace);
    }
    session->n_tokens = 0; // nothing of it is in caches or banks
    ley_branches_destroy(session->branches);
    session->branches = NULL;
    return status;
}

// nll[i] of n rows of logits; 0 where the target is left out.
static void score_rows(double *nll, const float *logits, const int32_t *targets, int64_t n,
                       int n_vocab) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * n_vocab;
        // log of sum exp in double: a difference of logits in float32 would lose small losses.
        nll[i] = targets[i] < 0 ? 0 : ley_log_sum_exp(row, n_vocab) - (double)row[targets[i]];
    }
}

// Mean over the rows of a.x, LEY_LOSS_ROWS at a time: V floats for every row of a long text would
// be too much memory.
static void score_all(double *mean, double *nll, struct ley_session *session,
                      const int32_t *targets, int64_t n_rows) {
    double part[LEY_LOSS_ROWS], sum = 0;
    int64_t n_scored = 0;
    for (int64_t r = 0; r < n_rows; r += LEY_LOSS_ROWS) {
        int64_t n = n_rows - r < LEY_LOSS_ROWS ? n_rows - r : LEY_LOSS_ROWS;
        write_logits(session->loss_logits, session, r, 1, n);
        score_rows(part, session->loss_logits, targets + r, n, session->model->config.n_vocab);
        for (int64_t i = 0; i < n; i++) {
            sum += part[i];
            n_scored += targets[r + i] >= 0;
        }
        if (nll) {
            memcpy(nll + r, part, (size_t)n * sizeof *nll);
        }
    }
    *mean = n_scored > 0 ? sum / (double)n_scored : 0;
}

static enum ley_status reserve_loss(struct ley_session *session) {
    size_t n_vocab = (size_t)session->model->config.n_vocab;
    if (!session->loss_logits) {
        session->loss_logits = ley_alloc(LEY_LOSS_ROWS * n_vocab, sizeof(float));
    }
    return session->loss_logits ? LEY_OK
                                : ley_fail_memory("logits", LEY_LOSS_ROWS * n_vocab, sizeof(float));
}

// Scores [0, n) of one row.
static void score_row(struct ley_token_score *score, int64_t n, const float *logits, int n_vocab) {
    double log_sum = ley_log_sum_exp(logits, n_vocab);
    int32_t best = 0;
    for (int32_t i = 1; i < n_vocab; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    for (int64_t i = 0; i < n; i++) {
        LEY_ASSERT(score[i].token >= 0 && score[i].token < n_vocab);
        score[i].log_prob = (double)logits[score[i].token] - log_sum;
        score[i].is_best = score[i].token == best;
    }
}

// Gathers up to LEY_LOSS_ROWS rows and notes where the scores of each begin; returns the rows.
static int64_t gather_rows(int64_t first[LEY_LOSS_ROWS + 1], const struct ley_session *session,
                           const struct ley_token_score *score, int64_t n) {
    const struct ley_activations *a = &session->a;
    int64_t C = session->model->config.d_model, n_rows = 0, i = 0;
    for (; i < n; i++) {
        if (n_rows > 0 && score[i].row == score[i - 1].row) {
            continue;
        }
        if (n_rows == LEY_LOSS_ROWS) {
            break;
        }
        LEY_ASSERT(score[i].row >= 0 && score[i].row < a->n_rows);
        memcpy(a->h + n_rows * C, a->x + score[i].row * C, (size_t)C * sizeof(float));
        first[n_rows++] = i;
    }
    first[n_rows] = i;
    return n_rows;
}

enum ley_status ley_session_score(struct ley_token_score *score, int64_t n,
                                  struct ley_session *session) {
    int n_vocab = session->model->config.n_vocab;
    int64_t first[LEY_LOSS_ROWS + 1];
    LEY_TRY(reserve_loss(session));
    while (n > 0) {
        int64_t n_rows = gather_rows(first, session, score, n);
        write_gathered(session->loss_logits, session, n_rows);
#pragma omp parallel for schedule(static)
        for (int64_t r = 0; r < n_rows; r++) {
            score_row(score + first[r], first[r + 1] - first[r], session->loss_logits + r * n_vocab,
                      n_vocab);
        }
        score += first[n_rows];
        n -= first[n_rows];
    }
    return LEY_OK;
}

// Targets below 0 are left out of the mean. The session starts from empty and stays filled.
enum ley_status ley_session_loss(double *mean, double *nll, struct ley_session *session,
                                 const int32_t *tokens, const int32_t *targets, int64_t n_tokens,
                                 const struct ley_feed *feed) {
    struct ley_feed without_logits = feed ? *feed : (struct ley_feed){0};
    size_t n_vocab = (size_t)session->model->config.n_vocab;
    int64_t n_rows = session->n_batch * n_tokens;
    without_logits.logits = LEY_LOGITS_NONE;
    for (int64_t i = 0; i < n_rows; i++) {
        if (targets[i] >= (int64_t)n_vocab) {
            return ley_fail(LEY_E_ARGUMENT, "target %d is not in the vocabulary 0..%d",
                            (int)targets[i], (int)n_vocab - 1);
        }
    }
    LEY_TRY(reserve_loss(session));
    ley_session_reset(session);
    LEY_TRY(ley_session_feed(NULL, session, tokens, n_tokens, &without_logits));
    score_all(mean, nll, session, targets, n_rows);
    return LEY_OK;
}
