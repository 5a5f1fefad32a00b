// run_cost.h - the events of a run, priced: energy and time of its tokens, by layer, and spread.
#pragma once
#include "head_cost.h"
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

// The ledgers of a run: of each layer, their sum, and of the heads of every layer.
struct run_ledgers {
    struct ley_ledger *layer; // [n_layers]
    struct ley_ledger *head;  // [n_layers * (n_kv_heads + n_heads)], see ley_attention_call
    struct ley_ledger total;  // set by run_ledgers_sum
};

// Makes empty ledgers for a model.
enum ley_status run_ledgers_create(struct run_ledgers *ledgers, const struct language *language);

// Zeroed ones are accepted.
void run_ledgers_destroy(struct run_ledgers *ledgers);

// Adds the ledgers of a part of the run, head by head.
void run_ledgers_add(struct run_ledgers *whole, const struct run_ledgers *part,
                     const struct language *language);

// Takes the sum over layers.
void run_ledgers_sum(struct run_ledgers *ledgers, const struct language *language);

// Lines for people on stderr.
void run_cost_print(const struct run_cost *cost, const struct language *language,
                    const struct run_ledgers *ledgers);

// The same as members "shape" and "cost" of `root`.
enum ley_status run_cost_add_json(struct cJSON *root, const struct run_cost *cost,
                                  const struct language *language,
                                  const struct run_ledgers *ledgers);
