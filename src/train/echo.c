// echo.c - which targets say something again
#include "train/echo.h"

#include "core/assert.h"
#include "core/memory.h"

enum { NEVER = 0, COMMON = -1 };

enum ley_status ley_echo_create(struct ley_echo *echo, const struct ley_dataset *dataset,
                                int32_t n_vocab, double weight) {
    double most = LEY_ECHO_RARE * (double)dataset->n_tokens;
    *echo = (struct ley_echo){.weight = weight, .n_vocab = n_vocab};
    echo->last_seen = ley_alloc((size_t)n_vocab, sizeof *echo->last_seen);
    if (!echo->last_seen) {
        return ley_fail_memory("counts of tokens", (size_t)n_vocab, sizeof *echo->last_seen);
    }
    for (int64_t i = 0; i < dataset->n_tokens; i++) {
        LEY_ASSERT(dataset->token[i] >= 0 && dataset->token[i] < n_vocab);
        echo->last_seen[dataset->token[i]]++;
    }
    for (int32_t v = 0; v < n_vocab; v++) {
        echo->last_seen[v] = (double)echo->last_seen[v] > most ? COMMON : NEVER;
    }
    return LEY_OK;
}

void ley_echo_destroy(struct ley_echo *echo) {
    ley_free(echo->last_seen);
    ley_free(echo->row);
    *echo = (struct ley_echo){.weight = 1};
}

// Sequences have numbers of their own, so nothing has to be forgotten between them.
static void weigh_sequence(float *row, struct ley_echo *echo, const int32_t *tokens,
                           const int32_t *targets, int64_t n) {
    int64_t number = ++echo->n_sequences;
    for (int64_t t = 0; t < n; t++) {
        LEY_ASSERT(tokens[t] >= 0 && tokens[t] < echo->n_vocab && targets[t] < echo->n_vocab);
        int64_t *seen = &echo->last_seen[tokens[t]];
        *seen = *seen == COMMON ? COMMON : number;
        bool is_echo = targets[t] >= 0 && echo->last_seen[targets[t]] == number;
        row[t] = is_echo ? (float)echo->weight : 1;
    }
}

enum ley_status ley_echo_weigh(const float **weights, struct ley_echo *echo,
                               const struct ley_batch *batch) {
    int64_t T = batch->n_tokens, n = batch->n_batch * T;
    if (n > echo->n_room) {
        ley_free(echo->row);
        echo->row = ley_alloc((size_t)n, sizeof *echo->row);
        echo->n_room = echo->row ? n : 0;
        if (!echo->row) {
            return ley_fail_memory("weights of rows", (size_t)n, sizeof *echo->row);
        }
    }
    for (int64_t b = 0; b < batch->n_batch; b++) {
        weigh_sequence(echo->row + b * T, echo, batch->tokens + b * T, batch->targets + b * T, T);
    }
    *weights = echo->row;
    return LEY_OK;
}
