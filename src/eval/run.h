// run.h - items put to a model: many in one pass, what they share computed once.
#pragma once
#include <stdbool.h>

#include "eval/encode.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_ledger;
struct ley_progress; // attention/attention.h
struct ley_session;

// What a model gives the ending of one pair, or a whole text.
struct ley_answer {
    double log_prob;  // nats, of all scored tokens
    int64_t n_tokens; // scored
    bool is_greedy;   // each of them was the likeliest
};

struct ley_answers {
    int64_t n_items;
    bool *is_done;             // [n_items]
    int64_t *first;            // [n_items + 1] an item's answers: [first[i], first[i + 1])
    struct ley_answer *answer; // one for each pair of each item
};

// Room for the answers of all items; none is done.
LEY_MUST_CHECK enum ley_status ley_answers_create(struct ley_answers *answers,
                                                  const struct ley_items *items);

// A zeroed struct is accepted.
void ley_answers_destroy(struct ley_answers *answers);

// How to put items to a model; all of it is borrowed.
struct ley_evaluation {
    const struct ley_items *items;
    enum ley_task_kind kind;
    struct ley_encoder encoder;
    struct ley_session *session;    // of one sequence; used as ley_session_branches does
    int64_t n_rows;                 // tokens fed in one pass, more or less (1024)
    struct ley_ledger *ledger;      // [n_layers] added to; NULL: events are not counted
    struct ley_ledger *head_ledger; // of heads, as in ley_feed; NULL: not kept apart
    // Called for every item that is answered, and after every pass, with the tokens it fed; false
    // stops. NULL: nobody asks.
    void (*done)(void *context, int64_t item);
    bool (*report)(void *context, int64_t n_fed);
    void *context;
    const struct ley_progress *progress; // called after every layer; NULL: none
};

// Answers the items that are not done, in their order. Items of one pass are done together: after
// a failure or a stop (LEY_E_INTERRUPTED) the answers of those that are done stand. Answers do not
// depend on what else is in a pass (float32).
LEY_MUST_CHECK enum ley_status ley_evaluate(struct ley_answers *answers,
                                            const struct ley_evaluation *evaluation);

#ifdef __cplusplus
}
#endif
