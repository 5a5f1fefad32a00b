// metric.h - what the answers to a task's items add up to.
#pragma once
#include "eval/run.h"

#ifdef __cplusplus
extern "C" {
#endif

// A metric of a task, with its standard error as lm-evaluation-harness takes it: of a mean, from
// the deviation of a sample; of a perplexity, from 100 samples drawn again.
struct ley_metric {
    const char *name; // "acc", "acc_norm", "perplexity", "word_perplexity", ...
    double value, stderr_;
    bool higher_is_better;
};

enum { LEY_MOST_METRICS = 6 };

// Metrics of a task over the items that are done; returns how many. None done: 0.
int ley_metrics(struct ley_metric metric[LEY_MOST_METRICS], const struct ley_task *task,
                const struct ley_items *items, const struct ley_answers *answers, uint64_t seed);

// The pair with the highest log probability, or, by_length, with the highest for each of its
// characters; the first of equals.
int ley_answer_choice(const struct ley_item *item, const struct ley_answer *answer, bool by_length);

#ifdef __cplusplus
}
#endif
