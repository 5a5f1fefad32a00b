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

// Makes *array hold n_wanted elements, of which n are in use; it doubles.
static enum ley_status grow(void **array, int64_t *room, int64_t n, int64_t n_wanted, size_t size) {
    if (n_wanted <= *room) {
        return LEY_OK;
    }
    size_t wanted = 2 * (size_t)n_wanted + 256;
    void *larger = ley_alloc(wanted, size);
    if (!larger) {
        return ley_fail_memory("a batch", wanted, size);
    }
    if (n > 0) {
        memcpy(larger, *array, (size_t)n * size);
    }
    ley_free(*array);
    *array = larger;
    *room = (int64_t)wanted;
    return LEY_OK;
}

// Adds a branch of n tokens; returns the row of the first by *row.
static enum ley_status add_branch(struct ley_batch *batch, int64_t parent, const int32_t *token,
                                  int64_t n, int64_t *row) {
    void *tokens = batch->token, *branches = batch->branch;
    enum ley_status status = grow(&tokens, &batch->tokens_room, batch->n_tokens,
                                  batch->n_tokens + n, sizeof *batch->token);
    batch->token = tokens;
    LEY_TRY(status);
    status = grow(&branches, &batch->branches_room, batch->n_branches, batch->n_branches + 1,
                  sizeof *batch->branch);
    batch->branch = branches;
    LEY_TRY(status);
    memcpy(batch->token + batch->n_tokens, token, (size_t)n * sizeof *token);
    batch->branch[batch->n_branches++] = (struct ley_branch){parent, n};
    *row = batch->n_tokens;
    batch->n_tokens += n;
    return LEY_OK;
}

static enum ley_status add_score(struct ley_batch *batch, int64_t row, int32_t token,
                                 int64_t owner) {
    void *scores = batch->score, *owners = batch->owner;
    enum ley_status status = grow(&scores, &batch->scores_room, batch->n_scores,
                                  batch->n_scores + 1, sizeof *batch->score);
    batch->score = scores;
    LEY_TRY(status);
    status = grow(&owners, &batch->owners_room, batch->n_scores, batch->n_scores + 1,
                  sizeof *batch->owner);
    batch->owner = owners;
    LEY_TRY(status);
    batch->owner[batch->n_scores] = owner;
    batch->score[batch->n_scores++] = (struct ley_token_score){.row = row, .token = token};
    return LEY_OK;
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
static enum ley_status score_shared(struct ley_batch *batch, const struct ley_case *item,
                                    int64_t row, int64_t n_shared, int64_t first) {
    for (int64_t t = 0; t < n_shared; t++) {
        for (int64_t i = 0; i < item->n; i++) {
            const struct ley_sequence *sequence = &item->sequence[i];
            if (t + 1 >= sequence->first && t + 1 < sequence->n) {
                LEY_TRY(add_score(batch, row + t, sequence->token[t + 1], first + sequence->pair));
            }
        }
    }
    return LEY_OK;
}

// What a sequence has of its own.
static enum ley_status add_own(struct ley_batch *batch, const struct ley_sequence *sequence,
                               int64_t parent, int64_t n_shared, int64_t owner) {
    int64_t row, n = sequence->n - 1 - n_shared;
    if (n == 0) {
        return LEY_OK;
    }
    LEY_TRY(add_branch(batch, parent, sequence->token + n_shared, n, &row));
    for (int64_t t = n_shared; t < sequence->n - 1; t++) {
        if (t + 1 >= sequence->first) {
            LEY_TRY(add_score(batch, row + t - n_shared, sequence->token[t + 1], owner));
        }
    }
    return LEY_OK;
}

enum ley_status ley_batch_add(struct ley_batch *batch, const struct ley_case *item, int64_t first) {
    int64_t n_shared = shared(item), parent = -1, row;
    if (n_shared > 0) {
        parent = batch->n_branches;
        LEY_TRY(add_branch(batch, -1, item->sequence[0].token, n_shared, &row));
        LEY_TRY(score_shared(batch, item, row, n_shared, first));
    }
    for (int64_t i = 0; i < item->n; i++) {
        const struct ley_sequence *sequence = &item->sequence[i];
        LEY_TRY(add_own(batch, sequence, parent, n_shared, first + sequence->pair));
    }
    return LEY_OK;
}
