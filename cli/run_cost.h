// run_cost.h - the events of a run, priced: energy and time of its tokens, by layer, and spread.
#pragma once
#include "language.h"

// Joules of tokens that were fed one at a time.
struct run_spread {
    int64_t n;
    double mean_j, sum_square, least_j, most_j; // sum_square: of deviations from the mean
};

struct run_cost {
    struct ley_technology_file technology;
    double reference_head_j; // of a head and token: uniform codes on a full ring (M32)
    double noted_j;          // energy up to the last token noted
    struct run_spread spread;
};

// Loads the technologies named, one on top of another (none: paper), and computes the reference.
// Does nothing for digital attention, which has no ledger; naming one then is a mistake.
enum ley_status run_cost_open(struct run_cost *cost, const struct text_list *names,
                              const struct language *language);

// Notes the energy that the ledger has grown by since the last note; as_token: as that of one
// token, else as what does not belong to the spread (a prompt).
void run_cost_note(struct run_cost *cost, const struct ley_ledger *total, bool as_token);

// Lines for people on stderr; `layers` are the ledgers of n_layers layers, `total` their sum.
void run_cost_print(const struct run_cost *cost, const struct language *language,
                    const struct ley_ledger *total, const struct ley_ledger *layers);

// The same as members "shape" and "cost" of `root`.
void run_cost_add_json(struct cJSON *root, const struct run_cost *cost,
                       const struct language *language, const struct ley_ledger *total,
                       const struct ley_ledger *layers);
