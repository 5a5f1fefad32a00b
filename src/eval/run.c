// run.c - passes of items through a model
#include "eval/run.h"

#include <math.h>
#include <stdio.h>

#include "attention/attention.h"
#include "core/memory.h"
#include "eval/batch_impl.h"

enum ley_status ley_answers_create(struct ley_answers *answers, const struct ley_items *items) {
    size_t n = (size_t)items->n;
    *answers = (struct ley_answers){.n_items = items->n};
    answers->is_done = ley_alloc(n, sizeof *answers->is_done);
    answers->first = ley_alloc(n + 1, sizeof *answers->first);
    for (size_t i = 0; answers->first && i < n; i++) {
        answers->first[i + 1] = answers->first[i] + items->item[i].n_pairs;
    }
    size_t n_answers = answers->first ? (size_t)answers->first[n] : 0;
    answers->answer = ley_alloc(n_answers, sizeof *answers->answer);
    if (!answers->is_done || !answers->first || !answers->answer) {
        ley_answers_destroy(answers);
        return ley_fail_memory("answers", n_answers, sizeof *answers->answer);
    }
    return LEY_OK;
}

void ley_answers_destroy(struct ley_answers *answers) {
    ley_free(answers->is_done);
    ley_free(answers->first);
    ley_free(answers->answer);
    *answers = (struct ley_answers){0};
}

// What goes on from pass to pass: the item that is being put, and how much of it.
struct runner {
    struct ley_answers *answers;
    const struct ley_evaluation *evaluation;
    struct ley_batch batch;
    struct ley_case item; // n = 0: none
    int64_t index, n_put; // of the item; of its sequences
};

// Runs the batch and adds its scores to the answers.
static enum ley_status run_batch(struct runner *runner) {
    const struct ley_evaluation *e = runner->evaluation;
    const struct ley_batch *batch = &runner->batch;
    const struct ley_feed feed = {
        .ledger = e->ledger, .progress = e->progress, .head_ledger = e->head_ledger};
    LEY_TRY(
        ley_session_branches(e->session, batch->token, batch->branch, batch->n_branches, &feed));
    LEY_TRY(ley_session_score(batch->score, batch->n_scores, e->session));
    for (int64_t i = 0; i < batch->n_scores; i++) {
        const struct ley_token_score *score = &batch->score[i];
        struct ley_answer *answer = &runner->answers->answer[batch->owner[i]];
        answer->is_greedy = score->is_best && (answer->is_greedy || answer->n_tokens == 0);
        answer->log_prob += score->log_prob;
        answer->n_tokens++;
    }
    return LEY_OK;
}

// Tokenises the item at `index` and empties its answers.
static enum ley_status begin_item(struct runner *runner) {
    const struct ley_evaluation *e = runner->evaluation;
    struct ley_answers *answers = runner->answers;
    char where[32];
    for (int64_t i = answers->first[runner->index]; i < answers->first[runner->index + 1]; i++) {
        answers->answer[i] = (struct ley_answer){0};
    }
    runner->n_put = 0;
    enum ley_status status =
        ley_case_create(&runner->item, &e->encoder, &e->items->item[runner->index], e->kind);
    snprintf(where, sizeof where, "item %lld", (long long)runner->index);
    return status == LEY_OK ? status : ley_fail_within(status, where);
}

// Adds items until the pass is full. A choice's sequences share rows and stay together; windows of
// a text may be spread over passes.
static enum ley_status fill_batch(struct runner *runner) {
    const struct ley_answers *answers = runner->answers;
    ley_batch_clear(&runner->batch);
    while (runner->index < answers->n_items &&
           runner->batch.n_tokens < runner->evaluation->n_rows) {
        if (answers->is_done[runner->index]) {
            runner->index++;
            continue;
        }
        if (runner->item.n == 0) {
            LEY_TRY(begin_item(runner));
        }
        bool is_whole = runner->evaluation->kind != LEY_TASK_ROLLING;
        const struct ley_case part = {runner->item.sequence + runner->n_put,
                                      is_whole ? runner->item.n : 1};
        LEY_TRY(ley_batch_add(&runner->batch, &part, answers->first[runner->index]));
        runner->n_put += part.n;
        if (runner->n_put == runner->item.n) {
            ley_case_destroy(&runner->item);
            runner->index++;
        }
    }
    return LEY_OK;
}

// The items from `begin` on that have all their scores now.
static enum ley_status finish_items(struct runner *runner, int64_t begin) {
    const struct ley_evaluation *e = runner->evaluation;
    struct ley_answers *answers = runner->answers;
    for (int64_t i = begin; i < runner->index; i++) {
        for (int64_t a = answers->first[i]; a < answers->first[i + 1]; a++) {
            if (!isfinite(answers->answer[a].log_prob)) {
                return ley_fail(LEY_E_RESULT, "item %lld: the model gives no usable logits",
                                (long long)i);
            }
        }
        if (!answers->is_done[i] && e->done) {
            answers->is_done[i] = true;
            e->done(e->context, i);
        }
        answers->is_done[i] = true;
    }
    return LEY_OK;
}

static enum ley_status run_all(struct runner *runner) {
    const struct ley_evaluation *e = runner->evaluation;
    while (runner->index < runner->answers->n_items) {
        int64_t begin = runner->index;
        LEY_TRY(fill_batch(runner));
        if (runner->batch.n_branches > 0) {
            LEY_TRY(run_batch(runner));
        }
        LEY_TRY(finish_items(runner, begin));
        if (e->report && !e->report(e->context, runner->batch.n_tokens)) {
            return ley_fail(LEY_E_INTERRUPTED, "stopped on request");
        }
    }
    return LEY_OK;
}

enum ley_status ley_evaluate(struct ley_answers *answers, const struct ley_evaluation *evaluation) {
    struct runner runner = {.answers = answers, .evaluation = evaluation};
    enum ley_status status = run_all(&runner);
    ley_case_destroy(&runner.item);
    ley_batch_destroy(&runner.batch);
    return status;
}
