// head_cost.h - energy of every layer and query head, and how far they spread.
#pragma once
#include "session.h"

struct cJSON;

// Ledgers of heads as a feed fills them (model/state.h): of each layer n_kv_heads of what is
// written, then n_heads of what is read.
struct head_events {
    int n_layers, n_heads, n_kv_heads;
    const struct ley_ledger *ledger; // [n_layers * (n_kv_heads + n_heads)], borrowed
};

// Joules of heads, by token; places of the least and the most are layer * n_heads + head.
struct head_spread {
    double mean_j, deviation_j, least_j, most_j; // deviation: over all heads of all layers
    int least_at, most_at;
};

// Events of a head and token: its reads, and its share of what its bank took to write.
struct ley_activity head_cost_activity(const struct head_events *heads, int layer, int head);

// Joules of each head and token: head_j[n_layers * n_heads].
void head_cost_price(double *head_j, const struct head_events *heads,
                     const struct ley_price_spec *price);

// n >= 1 heads.
struct head_spread head_cost_spread(const double *head_j, int n);

// Adds "energy_by_head_j" (a list of heads for each layer) and "heads" (the spread) to `cost`, and
// to `root` "events_by_head": those priced events a token that are not the same for all heads.
enum ley_status head_cost_add_json(struct cJSON *root, struct cJSON *cost,
                                   const struct head_events *heads,
                                   const struct ley_price_spec *price);

// Prices the heads of a result that has events_by_head, other events as in `mean`: *head_j receives
// n_layers * n_heads values, to be freed by ley_free; NULL when the result has none.
enum ley_status head_cost_read_json(double **head_j, const struct cJSON *root,
                                    const struct ley_cost_shape *shape,
                                    const struct ley_activity *mean,
                                    const struct ley_price_spec *price);
