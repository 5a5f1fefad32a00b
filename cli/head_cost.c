// head_cost.c - prices the ledgers of heads, writes them to results and reads them back
#include "head_cost.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

// A query head's ledger counts its queries: one a token. The heads of a group share a write.
struct ley_activity head_cost_activity(const struct head_events *heads, int layer, int head) {
    int n_each = heads->n_kv_heads + heads->n_heads, n_group = heads->n_heads / heads->n_kv_heads;
    const struct ley_ledger *first = heads->ledger + (int64_t)layer * n_each;
    const struct ley_ledger *read = first + heads->n_kv_heads + head;
    double n = read->queries > 0 ? (double)read->queries : 1;
    struct ley_activity activity = ley_activity_of(read, n);
    struct ley_activity written = ley_activity_of(first + head / n_group, n * n_group);
    int n_events;
    ley_events(&n_events);
    for (int i = 0; i < n_events; i++) {
        ley_activity_set(&activity, i,
                         ley_activity_value(&activity, i) + ley_activity_value(&written, i));
    }
    return activity;
}

void head_cost_price(double *head_j, const struct head_events *heads,
                     const struct ley_price_spec *price) {
    for (int i = 0; i < heads->n_layers * heads->n_heads; i++) {
        struct ley_activity activity =
            head_cost_activity(heads, i / heads->n_heads, i % heads->n_heads);
        head_j[i] = ley_energy_of(&activity, price).total_j;
    }
}

struct head_spread head_cost_spread(const double *head_j, int n) {
    struct head_spread spread = {0};
    for (int i = 0; i < n; i++) {
        spread.mean_j += head_j[i] / n;
        spread.least_at = head_j[i] < head_j[spread.least_at] ? i : spread.least_at;
        spread.most_at = head_j[i] > head_j[spread.most_at] ? i : spread.most_at;
    }
    double square = 0;
    for (int i = 0; i < n; i++) {
        square += (head_j[i] - spread.mean_j) * (head_j[i] - spread.mean_j);
    }
    spread.deviation_j = sqrt(square / n);
    spread.least_j = head_j[spread.least_at];
    spread.most_j = head_j[spread.most_at];
    return spread;
}

// Values of heads as a list of lists, one a layer.
static void add_matrix(struct cJSON *object, const char *key, const double *value, int n_layers,
                       int n_heads) {
    struct cJSON *layers = cJSON_AddArrayToObject(object, key);
    for (int l = 0; l < n_layers; l++) {
        cJSON_AddItemToArray(layers, cJSON_CreateDoubleArray(value + l * n_heads, n_heads));
    }
}

// The row of an event by its name.
static int find_event(const char *name) {
    int n, i = 0;
    const struct ley_event *events = ley_events(&n);
    while (i < n && strcmp(events[i].name, name) != 0) {
        i++;
    }
    return i;
}

// Most events are the same for all heads: a schedule makes them, not the text.
static void add_events(struct cJSON *root, const struct head_events *heads, double *value) {
    int n_prices, n = heads->n_layers * heads->n_heads;
    const struct ley_price *prices = ley_prices(&n_prices);
    struct cJSON *list = cJSON_AddObjectToObject(root, "events_by_head");
    for (int p = 0; p < n_prices; p++) {
        int event = find_event(prices[p].event);
        bool varies = false;
        for (int i = 0; i < n; i++) {
            struct ley_activity activity =
                head_cost_activity(heads, i / heads->n_heads, i % heads->n_heads);
            value[i] = ley_activity_value(&activity, event);
            varies = varies || value[i] != value[0];
        }
        if (varies) {
            add_matrix(list, prices[p].event, value, heads->n_layers, heads->n_heads);
        }
    }
}

enum ley_status head_cost_add_json(struct cJSON *root, struct cJSON *cost,
                                   const struct head_events *heads,
                                   const struct ley_price_spec *price) {
    int n = heads->n_layers * heads->n_heads;
    double *value = ley_alloc((size_t)n, sizeof *value);
    if (!value) {
        return ley_fail_memory("energies of heads", (size_t)n, sizeof *value);
    }
    head_cost_price(value, heads, price);
    struct head_spread spread = head_cost_spread(value, n);
    add_matrix(cost, "energy_by_head_j", value, heads->n_layers, heads->n_heads);
    struct cJSON *object = cJSON_AddObjectToObject(cost, "heads");
    cJSON_AddNumberToObject(object, "mean_j", spread.mean_j);
    cJSON_AddNumberToObject(object, "standard_deviation_j", spread.deviation_j);
    cJSON_AddNumberToObject(object, "least_j", spread.least_j);
    cJSON_AddNumberToObject(object, "most_j", spread.most_j);
    add_events(root, heads, value);
    ley_free(value);
    return LEY_OK;
}

// One number of a list of lists, or NAN.
static double matrix_at(const struct cJSON *matrix, int layer, int head) {
    const struct cJSON *item = cJSON_GetArrayItem(cJSON_GetArrayItem(matrix, layer), head);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

// One head: the mean, with the events that are its own.
static double price_head(const struct cJSON *list, struct ley_activity activity,
                         const struct ley_price_spec *price, int layer, int head) {
    const struct cJSON *matrix;
    int n_events;
    ley_events(&n_events);
    cJSON_ArrayForEach(matrix, list) {
        int event = find_event(matrix->string);
        double value = event < n_events ? matrix_at(matrix, layer, head) : NAN;
        if (!(value >= 0)) {
            return NAN;
        }
        ley_activity_set(&activity, event, value);
    }
    return ley_energy_of(&activity, price).total_j;
}

enum ley_status head_cost_read_json(double **head_j, const struct cJSON *root,
                                    const struct ley_cost_shape *shape,
                                    const struct ley_activity *mean,
                                    const struct ley_price_spec *price) {
    const struct cJSON *list = cJSON_GetObjectItem(root, "events_by_head");
    *head_j = NULL;
    if (!cJSON_IsObject(list)) {
        return LEY_OK;
    }
    size_t n = (size_t)shape->n_layers * (size_t)shape->n_heads;
    *head_j = ley_alloc(n, sizeof **head_j);
    if (!*head_j) {
        return ley_fail_memory("energies of heads", n, sizeof **head_j);
    }
    for (size_t i = 0; i < n; i++) {
        int layer = (int)i / shape->n_heads, head = (int)i % shape->n_heads;
        (*head_j)[i] = price_head(list, *mean, price, layer, head);
        if (isnan((*head_j)[i])) {
            ley_free(*head_j);
            *head_j = NULL;
            return ley_fail(LEY_E_FORMAT, "events_by_head lacks a number of layer %d, head %d",
                            layer, head);
        }
    }
    return LEY_OK;
}
