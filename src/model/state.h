// state.h - sessions: what B sequences of tokens have left in the caches or banks of a model.
//
// All sequences of a session grow together. The first tokens of an empty session are computed in
// parallel, later ones token by token; in float32 both give the same bits, digital and analog.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_attention_trace; // attention/attention.h
struct ley_ledger;
struct ley_model;
struct ley_progress; // core/progress.h
struct ley_session;

// Which logits a feed computes, and how many rows of V values that makes.
enum ley_logits {
    LEY_LOGITS_LAST, // of the last new token: (B, V)
    LEY_LOGITS_ALL,  // of all new tokens: (B, T, V)
    LEY_LOGITS_NONE,
};

// What one layer's attention took and gave for new tokens of all sequences. Row r = b * T + t;
// heads side by side in a row; q and k after rotation, all before the scalers.
struct ley_observation {
    int layer;
    int64_t n_batch, n_tokens, first_token; // B, T, index of the first new token
    int n_query_heads, n_kv_heads, head_dim;
    const float *q, *k, *v; // row r at q + r * stride
    // floats from one row to the next: Q + 2 K
    int64_t stride;
    const float *out; // (B, T, Hq * D), before the output projection
};

// Called after the attention of every layer; must not call the session.
struct ley_observer {
    void (*see)(void *context, const struct ley_observation *observation);
    void *context;
};

// How to feed; all zero is a good default.
struct ley_feed {
    enum ley_logits logits;
    struct ley_ledger *ledger;               // [n_layers] added to; NULL: events are not counted
    const struct ley_attention_trace *trace; // [n_layers] with room for all tokens; NULL: none
    const struct ley_observer *observer;     // NULL: none
    const struct ley_progress *progress;     // called after every layer; NULL: none
    struct ley_ledger *head_ledger;          // [n_layers * (Hkv + Hq)], see ley_attention_call
    // (n_layers, B * T, C) <- the residual stream after each layer, of tokens that are fed in
    // parallel; NULL: none
    float *hidden;
};

// Starts B = n_batch empty sequences on `model`, which is borrowed and must keep its attention as
// it is (its scalers may change before a reset). max_tokens sizes the digital cache and limits the
// length there; a window or the rings of banks make their own size and no limit. One session of a
// model may run at a time.
LEY_MUST_CHECK enum ley_status ley_session_create(struct ley_session **session,
                                                  const struct ley_model *model, int64_t n_batch,
                                                  int64_t max_tokens);

// NULL is accepted.
void ley_session_destroy(struct ley_session *session);

// Forgets all tokens and sets the time of the banks back to zero.
void ley_session_reset(struct ley_session *session);

// The model it runs on.
const struct ley_model *ley_session_model(const struct ley_session *session);

// Tokens of each sequence so far.
int64_t ley_session_n_tokens(const struct ley_session *session);

// Makes room for feeds of up to n_tokens new tokens of each sequence, which then take no memory of
// their own (a prompt is not slowed by it). Feeds make room by themselves too.
LEY_MUST_CHECK enum ley_status ley_session_reserve(struct ley_session *session, int64_t n_tokens);

// Runs T = n_tokens >= 1 new tokens (B, T) and writes the logits asked for; `feed` may be NULL.
// Leyden's dense layers, caches and banks allocate only when B * T is larger than ever before (a
// chip without integers, M21, takes scratch memory for each analog prompt). LEY_E_ARGUMENT before
// anything has changed: a token outside the vocabulary, a position past the context of learned
// positions, a full cache. After any other failure the session must be reset.
LEY_MUST_CHECK enum ley_status ley_session_feed(float *logits, struct ley_session *session,
                                                const int32_t *tokens, int64_t n_tokens,
                                                const struct ley_feed *feed);

// One of several sequences that are run together, at its end or where another one ends.
struct ley_branch {
    int64_t parent; // an earlier branch, whose last token the first one follows; -1: none
    int64_t n_tokens;
};

// Resets the session, which has one sequence (contract), and runs all tokens of n branches in one
// pass: `tokens` are those of branch 0, then of branch 1, and so on. Every branch gets the same
// bits (in float32) as its tokens behind those of its ancestors in a session of their own; tokens
// of an ancestor are computed and counted once. Row r of ley_session_logits is the r-th token. The
// session is left empty. feed->logits and trace are not used; an observer sees all rows as tokens
// of one sequence.
LEY_MUST_CHECK enum ley_status ley_session_branches(struct ley_session *session,
                                                    const int32_t *tokens,
                                                    const struct ley_branch *branch, int64_t n,
                                                    const struct ley_feed *feed);

// What a model gives a token after the token of a row.
struct ley_token_score {
    int64_t row;
    int32_t token;
    bool is_best;    // no other token has a higher logit, nor an equal one a lower id
    double log_prob; // nats
};

// Fills is_best and log_prob of n scores by rows of the last feed that ran in parallel. Scores that
// share a row should follow one another: its logits are then computed once.
LEY_MUST_CHECK enum ley_status ley_session_score(struct ley_token_score *score, int64_t n,
                                                 struct ley_session *session);

// Logits (n_rows, V) of rows first_row and on of the last feed, if it took all its T tokens in
// parallel: row b * T + t. For callers that cannot hold the logits of all rows at once.
void ley_session_logits(float *logits, struct ley_session *session, int64_t first_row,
                        int64_t n_rows);

// Resets the session, runs `tokens` (B, T) in parallel and compares with `targets` (B, T), where a
// negative target is left out: *mean is the mean negative log-likelihood, nll (B, T) each one's (0
// where left out; may be NULL). Logits are made for 64 rows at a time; feed->logits is ignored.
LEY_MUST_CHECK enum ley_status ley_session_loss(double *mean, double *nll,
                                                struct ley_session *session, const int32_t *tokens,
                                                const int32_t *targets, int64_t n_tokens,
                                                const struct ley_feed *feed);

#ifdef __cplusplus
}
#endif
