// run_cost.c - prices the ledger of a run
//
// Tokens, heads and layers are told from the ledger itself: a query is one head reading for one
// token, a column one token of one bank.
#include "run_cost.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>

#include "cost_print.h"

// The reference is the same head on a full ring of this chip.
enum ley_status run_cost_open(struct run_cost *cost, const struct text_list *names,
                              const struct language *language) {
    if (language->is_digital) {
        return names->n == 0
                   ? LEY_OK
                   : ley_fail(LEY_E_ARGUMENT, "--tech prices the events of a chip; digital "
                                              "attention has none");
    }
    const struct ley_model_config *config = ley_model_config(language->model);
    struct ley_activity uniform;
    struct ley_cell *cell;
    LEY_TRY(cost_load_technology(&cost->technology, names));
    LEY_TRY(ley_hardware_create_cell(&cell, &language->hardware));
    ley_activity_uniform(&uniform, &language->hardware, cell, config->head_dim,
                         config->n_heads / config->n_kv_heads);
    ley_cell_destroy(cell);
    cost->reference_head_j = ley_energy_of(&uniform, &cost->technology.technology.price).total_j;
    return LEY_OK;
}

// Welford: one pass, and no loss in differences of large sums.
void run_cost_note(struct run_cost *cost, const struct ley_ledger *total, bool as_token) {
    struct run_spread *spread = &cost->spread;
    double now_j = ley_energy_of_ledger(total, &cost->technology.technology.price).total_j;
    double token_j = now_j - cost->noted_j;
    cost->noted_j = now_j;
    if (!as_token) {
        return;
    }
    double step = token_j - spread->mean_j;
    spread->n++;
    spread->mean_j += step / (double)spread->n;
    spread->sum_square += step * (token_j - spread->mean_j);
    spread->least_j = spread->n == 1 ? token_j : fmin(spread->least_j, token_j);
    spread->most_j = spread->n == 1 ? token_j : fmax(spread->most_j, token_j);
}

// Of a sample.
static double deviation(const struct run_spread *spread) {
    return spread->n > 1 ? sqrt(spread->sum_square / (double)(spread->n - 1)) : 0;
}

// What a run's totals are divided by.
struct run_mean {
    struct ley_energy head; // of one head and token
    double n_tokens, token_j, layer_s, token_s;
};

static struct run_mean mean_of(const struct run_cost *cost, const struct language *language,
                               const struct ley_ledger *total) {
    const struct ley_model_config *config = ley_model_config(language->model);
    double n_layers = config->n_layers, n_banks = n_layers * config->n_kv_heads;
    struct run_mean mean = {.n_tokens = (double)total->columns_written / n_banks};
    if (total->queries > 0) {
        struct ley_activity activity = ley_activity_of(total, (double)total->queries);
        mean.head = ley_energy_of(&activity, &cost->technology.technology.price);
    }
    mean.token_j = n_layers * (config->n_heads * mean.head.total_j);
    mean.layer_s = ley_hardware_busy_s(&language->hardware, config->n_heads / config->n_kv_heads);
    mean.token_s = n_layers * mean.layer_s;
    return mean;
}

// Joules of a head and token in one layer.
static double layer_head_j(const struct run_cost *cost, const struct ley_ledger *layer) {
    double total_j = ley_energy_of_ledger(layer, &cost->technology.technology.price).total_j;
    return layer->queries > 0 ? total_j / (double)layer->queries : 0;
}

// Ledgers of the heads of a layer.
static size_t ledgers_a_layer(const struct ley_model_config *config) {
    return (size_t)(config->n_kv_heads + config->n_heads);
}

enum ley_status run_ledgers_create(struct run_ledgers *ledgers, const struct language *language) {
    const struct ley_model_config *config = ley_model_config(language->model);
    size_t n_layers = (size_t)config->n_layers, n = n_layers * ledgers_a_layer(config);
    ledgers->layer = ley_alloc(n_layers, sizeof *ledgers->layer);
    ledgers->head = ley_alloc(n, sizeof *ledgers->head);
    return ledgers->layer && ledgers->head
               ? LEY_OK
               : ley_fail_memory("ledgers", n_layers + n, sizeof *ledgers->head);
}

void run_ledgers_destroy(struct run_ledgers *ledgers) {
    ley_free(ledgers->layer);
    ley_free(ledgers->head);
}

void run_ledgers_add(struct run_ledgers *whole, const struct run_ledgers *part,
                     const struct language *language) {
    const struct ley_model_config *config = ley_model_config(language->model);
    size_t n_layers = (size_t)config->n_layers;
    for (size_t i = 0; i < n_layers; i++) {
        ley_ledger_add(&whole->layer[i], &part->layer[i]);
    }
    for (size_t i = 0; i < n_layers * ledgers_a_layer(config); i++) {
        ley_ledger_add(&whole->head[i], &part->head[i]);
    }
}

void run_ledgers_sum(struct run_ledgers *ledgers, const struct language *language) {
    ledgers->total = language_total(language, ledgers->layer);
}

static struct head_events heads_of(const struct language *language,
                                   const struct run_ledgers *ledgers) {
    const struct ley_model_config *config = ley_model_config(language->model);
    return (struct head_events){config->n_layers, config->n_heads, config->n_kv_heads,
                                ledgers->head};
}

// The heads that take least and most, and how far all of them spread. Without memory for the list
// a line is missing, no more.
static void print_heads(const struct run_cost *cost, const struct language *language,
                        const struct run_ledgers *ledgers) {
    struct head_events heads = heads_of(language, ledgers);
    int n = heads.n_layers * heads.n_heads;
    double *head_j = ley_alloc((size_t)n, sizeof *head_j);
    if (!head_j) {
        return;
    }
    head_cost_price(head_j, &heads, &cost->technology.technology.price);
    struct head_spread spread = head_cost_spread(head_j, n);
    char low[32], high[32], deviation_j[32];
    cost_format(low, sizeof low, spread.least_j, "J");
    cost_format(high, sizeof high, spread.most_j, "J");
    cost_format(deviation_j, sizeof deviation_j, spread.deviation_j, "J");
    fprintf(stderr,
            "           a head takes from %s (layer %d, head %d) to %s (layer %d, head %d), +- %s "
            "over %d heads\n",
            low, spread.least_at / heads.n_heads, spread.least_at % heads.n_heads, high,
            spread.most_at / heads.n_heads, spread.most_at % heads.n_heads, deviation_j, n);
    ley_free(head_j);
}

// Three lines, like the account around them.
void run_cost_print(const struct run_cost *cost, const struct language *language,
                    const struct run_ledgers *ledgers) {
    struct run_mean mean = mean_of(cost, language, &ledgers->total);
    char token[32], time[32], head[32], reference[32], spread[32];
    cost_format(token, sizeof token, mean.token_j, "J");
    cost_format(time, sizeof time, mean.token_s, "s");
    cost_format(head, sizeof head, mean.head.total_j, "J");
    cost_format(reference, sizeof reference, cost->reference_head_j, "J");
    cost_format(spread, sizeof spread, deviation(&cost->spread), "J");
    fprintf(stderr, "cost       %s", token);
    if (cost->spread.n > 1) {
        fprintf(stderr, " (generated tokens +- %s)", spread);
    }
    fprintf(stderr,
            " and %s of attention a token; a head %s: K %.0f %%, V %.0f %%, digital %.0f %%, DACs "
            "%.0f %%\n           (random codes on a full ring: %s; leyden cost explains)\n",
            time, head, 100 * mean.head.qk_j / mean.head.total_j,
            100 * mean.head.av_j / mean.head.total_j, 100 * mean.head.digital_j / mean.head.total_j,
            100 * mean.head.dac_j / mean.head.total_j, reference);
    print_heads(cost, language, ledgers);
}

// Parts, then their items.
static void add_breakdown(struct cJSON *root, const struct ley_energy *head) {
    int n_prices;
    const struct ley_price *prices = ley_prices(&n_prices);
    struct cJSON *breakdown = cJSON_AddObjectToObject(root, "breakdown");
    cJSON_AddNumberToObject(breakdown, "qk", head->qk_j);
    cJSON_AddNumberToObject(breakdown, "av", head->av_j);
    cJSON_AddNumberToObject(breakdown, "digital", head->digital_j);
    cJSON_AddNumberToObject(breakdown, "dac", head->dac_j);
    for (int i = 0; i < n_prices; i++) {
        const double *item = (const double *)((const char *)head + prices[i].offset);
        cJSON_AddNumberToObject(breakdown, prices[i].item, *item);
    }
}

// Means are of a head, layer and token; energy_j is of the whole run.
enum ley_status run_cost_add_json(struct cJSON *root, const struct run_cost *cost,
                                  const struct language *language,
                                  const struct run_ledgers *ledgers) {
    const struct ley_price_spec *price = &cost->technology.technology.price;
    const struct ley_ledger *total = &ledgers->total;
    struct head_events heads = heads_of(language, ledgers);
    const struct ley_model_config *config = ley_model_config(language->model);
    struct ley_cost_shape shape = cost_shape_of(config);
    struct run_mean mean = mean_of(cost, language, total);
    cost_shape_add_json(cJSON_AddObjectToObject(root, "shape"), &shape);
    struct cJSON *object = cJSON_AddObjectToObject(root, "cost");
    cJSON_AddNumberToObject(object, "tokens", mean.n_tokens);
    cJSON_AddNumberToObject(object, "latency_per_layer_s", mean.layer_s);
    cJSON_AddNumberToObject(object, "latency_per_token_s", mean.token_s);
    cJSON_AddNumberToObject(object, "energy_per_head_j", mean.head.total_j);
    cJSON_AddNumberToObject(object, "energy_per_layer_j", config->n_heads * mean.head.total_j);
    cJSON_AddNumberToObject(object, "energy_per_token_j", mean.token_j);
    cJSON_AddNumberToObject(object, "energy_j", ley_energy_of_ledger(total, price).total_j);
    cJSON_AddNumberToObject(object, "uniform_codes_energy_per_head_j", cost->reference_head_j);
    add_breakdown(object, &mean.head);
    struct cJSON *by_layer = cJSON_AddArrayToObject(object, "energy_per_head_by_layer_j");
    for (int i = 0; i < config->n_layers; i++) {
        cJSON_AddItemToArray(by_layer, cJSON_CreateNumber(layer_head_j(cost, &ledgers->layer[i])));
    }
    if (cost->spread.n > 0) {
        struct cJSON *spread = cJSON_AddObjectToObject(object, "generated_token_energy");
        cJSON_AddNumberToObject(spread, "tokens", (double)cost->spread.n);
        cJSON_AddNumberToObject(spread, "mean_j", cost->spread.mean_j);
        cJSON_AddNumberToObject(spread, "standard_deviation_j", deviation(&cost->spread));
        cJSON_AddNumberToObject(spread, "least_j", cost->spread.least_j);
        cJSON_AddNumberToObject(spread, "most_j", cost->spread.most_j);
    }
    cJSON_AddItemToObject(object, "prices",
                          ley_params_json(ley_technology_params(), &cost->technology.technology));
    return head_cost_add_json(root, object, &heads, price);
}
