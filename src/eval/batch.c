// batch.c - sequences of an item as a tree: what they share, then what they do not
#include "eval/batch_impl.h"

#include <string.h>

#include "core/memory.h"

void ley_batch_destroy(struct ley_batch *batch) {
    ley_free(batch->token);
    ley_free(batch->branch);
    ley_free(batch->score);
    ley_free(batch->owner);
    *batch = (struct ley_batch){0};
}

void ley_batch_clear(struct ley_batch *batch) {
    batch->n_tokens = batch->n_branches = batch->n_scores = 0;
}

// Room for as many more of each; all grow together, and double.
static enum ley_status reserve(struct ley_batch *batch, int64_t n_tokens, int64_t n_branches,
                               int64_t n_scores) {
    struct ley_batch larger = *batch;
    if (batch->n_tokens + n_tokens <= batch->tokens_room &&
        batch->n_branches + n_branches <= batch->branches_room &&
        batch->n_scores + n_scores <= batch->scores_room) {
        return LEY_OK;
    }
    larger.tokens_room = 2 * (batch->n_tokens + n_tokens);
    larger.branches_room = 2 * (batch->n_branches + n_branches);
    larger.scores_room = 2 * (batch->n_scores + n_scores);
    larger.token = ley_alloc((size_t)larger.tokens_room, sizeof *larger.token);
    larger.branch = ley_alloc((size_t)larger.branches_room, sizeof *larger.branch);
    larger.score = ley_alloc((size_t)larger.scores_room, sizeof *larger.score);
    larger.owner = ley_alloc((size_t)larger.scores_room, sizeof *larger.owner);
    if (!larger.token || !larger.branch || !larger.score || !larger.owner) {
        ley_batch_destroy(&larger);
        return ley_fail_memory("a batch", (size_t)larger.tokens_room, sizeof *larger.token);
    }
    if (batch->token) {
        memcpy(larger.token, batch->token, (size_t)batch->n_tokens * sizeof *larger.token);
        memcpy(larger.branch, batch->branch, (size_t)batch->n_branches * sizeof *larger.branch);
        memcpy(larger.score, batch->score, (size_t)batch->n_scores * sizeof *larger.score);
        memcpy(larger.owner, batch->owner, (size_t)batch->n_scores * sizeof *larger.owner);
    }
    ley_batch_destroy(batch);
    *batch = larger;
    return LEY_OK;
}

// Adds a branch of n tokens; returns the row of the first. Here and below there is room.
static int64_t add_branch(struct ley_batch *batch, int64_t parent, const int32_t *token,
                          int64_t n) {
    int64_t row = batch->n_tokens;
    memcpy(batch->token + row, token, (size_t)n * sizeof *token);
    batch->branch[batch->n_branches++] = (struct ley_branch){parent, n};
    batch->n_tokens += n;
    return row;
}

static void add_score(struct ley_batch *batch, int64_t row, int32_t token, int64_t owner) {
    batch->owner[batch->n_scores] = owner;
    batch->score[batch->n_scores++] = (struct ley_token_score){.row = row, .token = token};
}

// Tokens that all sequences are fed first: the last of each is not fed.
static int64_t shared(const struct ley_case *item) {
    const struct ley_sequence *first = &item->sequence[0];
    int64_t n = first->n - 1;
    for (int64_t i = 1; i < item->n; i++) {
        const struct ley_sequence *other = &item->sequence[i];
        int64_t t = 0;
        while (t < n && t < other->n - 1 && other->token[t] == first->token[t]) {
            t++;
        }
        n = t;
    }
    return n;
}

// Position by position, so that the scores of one row follow one another.
static void score_shared(struct ley_batch *batch, const struct ley_case *item, int64_t row,
                         int64_t n_shared, int64_t first) {
    for (int64_t t = 0; t < n_shared; t++) {
        for (int64_t i = 0; i < item->n; i++) {
            const struct ley_sequence *sequence = &item->sequence[i];
            if (t + 1 >= sequence->first) {
                add_score(batch, row + t, sequence->token[t + 1], first + sequence->pair);
            }
        }
    }
}

// What a sequence has of its own.
static void add_own(struct ley_batch *batch, const struct ley_sequence *sequence, int64_t parent,
                    int64_t n_shared, int64_t owner) {
    int64_t n = sequence->n - 1 - n_shared;
    if (n == 0) {
        return;
    }
    int64_t row = add_branch(batch, parent, sequence->token + n_shared, n);
    for (int64_t t = n_shared; t < sequence->n - 1; t++) {
        if (t + 1 >= sequence->first) {
            add_score(batch, row + t - n_shared, sequence->token[t + 1], owner);
        }
    }
}

enum ley_status ley_batch_add(struct ley_batch *batch, const struct ley_case *item, int64_t first) {
    int64_t n_shared = shared(item), parent = -1, n_tokens = 0, n_scores = 0;
    for (int64_t i = 0; i < item->n; i++) {
        n_tokens += item->sequence[i].n;
        n_scores += item->sequence[i].n - item->sequence[i].first;
    }
    LEY_TRY(reserve(batch, n_tokens, item->n + 1, n_scores));
    if (n_shared > 0) {
        parent = batch->n_branches;
        int64_t row = add_branch(batch, -1, item->sequence[0].token, n_shared);
        score_shared(batch, item, row, n_shared, first);
    }
    for (int64_t i = 0; i < item->n; i++) {
        const struct ley_sequence *sequence = &item->sequence[i];
        add_own(batch, sequence, parent, n_shared, first + sequence->pair);
    }
    return LEY_OK;
}
