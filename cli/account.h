// account.h - what the simulator and the chip did during a run, for people and for machines.
#pragma once
#include "language.h"
#include "run_cost.h"

struct account {
    // tokens fed before the first choice, and tokens chosen
    int64_t n_prompt, n_generated;
    double prompt_s, generate_s; // of the simulator
    int64_t n_tokens;            // in the ring at the end; 0: not one sequence but many
    // what the events cost, and the events; NULL when digital
    const struct run_cost *cost;
    const struct run_ledgers *ledgers;
};

// A compact account on stderr (stdout holds the text).
void account_print(const struct account *account, const struct language *language);

// The same as JSON members added to `root`.
enum ley_status account_add_json(struct cJSON *root, const struct account *account,
                                 const struct language *language);
