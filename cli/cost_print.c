// cost_print.c - what leyden cost prints; every number is a figure and can be explained
#include "cost_print.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// Four digits are more than prices are known to.
void cost_format(char *text, size_t n_text, double value, const char *unit) {
    static const char *const prefix[] = {"f", "p", "n", "u", "m", "", "k", "M", "G", "T"};
    if (strcmp(unit, "m2") == 0) {
        snprintf(text, n_text, "%.4g mm2", 1e6 * value);
    } else if (!*unit || value == 0 || !isfinite(value)) {
        snprintf(text, n_text, "%.4g%s%s", value, *unit ? " " : "", unit);
    } else {
        // 999.95 must not show as 1000 of the smaller prefix.
        int i = (int)floor(log10(fabs(value) * 1.00005) / 3) + 5;
        i = i < 0 ? 0 : i > 9 ? 9 : i;
        snprintf(text, n_text, "%.4g %s%s", value / pow(1000, i - 5), prefix[i], unit);
    }
}

// A figure as text in `room`; "-" when it is not there.
static const char *show(char room[32], const struct cost_study *study, const char *key) {
    const struct ley_figure *figure = ley_figures_find(study->figures, key);
    snprintf(room, 32, "-");
    if (figure) {
        cost_format(room, 32, figure->value[LEY_STATED], figure->unit);
    }
    return room;
}

static double value_of(const struct cost_study *study, const char *key) {
    return ley_figures_value(study->figures, key);
}

// One line for what was asked, one for where events come from.
static void print_head(const struct cost_study *study) {
    const struct ley_cost_shape *shape = &study->shape;
    printf("%s on %s, technology %s: %d layers, %d query heads on %d banks, %d wide, window %d, a "
           "token every %g s\n",
           study->shape_name, study->hw_name, study->technology_name, shape->n_layers,
           shape->n_heads, shape->n_kv_heads, shape->head_dim, study->hardware.array.window,
           study->hardware.time.token_period_s);
    printf("events: %s\n\n", study->has_events ? study->events_source
                                               : "expected of uniform random codes, full ring");
}

// Totals of attention, then where they come from; every line ends in the key to ask about.
static void print_attention(const struct cost_study *study) {
    static const char *const keys[] = {
        "latency_per_layer_s", "latency_per_token_s", "energy_per_head_j", "energy_per_layer_j",
        "energy_per_token_j",  "area_per_head_m2",    "area.model_m2"};
    char room[32], low[32], high[32];
    printf("attention                         every given number low .. high\n");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct ley_figure *figure = ley_figures_find(study->figures, keys[i]);
        cost_format(low, sizeof low, figure->value[LEY_LOW], figure->unit);
        cost_format(high, sizeof high, figure->value[LEY_HIGH], figure->unit);
        bool has_range = strcmp(low, high) != 0;
        printf("  %-20s %12s  %s%s%s\n", keys[i], show(room, study, keys[i]), has_range ? low : "",
               has_range ? " .. " : "", has_range ? high : "");
    }
}

// How far the heads of a run spread.
static void print_heads(const struct cost_study *study) {
    char mean[32], deviation[32], least[32], most[32], random[32];
    if (study->head_j) {
        printf("  heads of this run: %s +- %s, from %s to %s (heads.*); random codes %s\n",
               show(mean, study, "heads.mean_j"),
               show(deviation, study, "heads.standard_deviation_j"),
               show(least, study, "heads.least_j"), show(most, study, "heads.most_j"),
               show(random, study, "heads.random_codes_j"));
    }
}

// Parts and their items with events and prices.
static void print_breakdown(const struct cost_study *study) {
    int n_prices;
    const struct ley_price *prices = ley_prices(&n_prices);
    char room[32];
    double head_j = value_of(study, "energy_per_head_j");
    const char *part = "";
    printf("\nenergy of a head and token         share       events\n");
    for (int i = 0; i < n_prices; i++) {
        char key[96];
        if (strcmp(part, prices[i].part) != 0) {
            part = prices[i].part;
            snprintf(key, sizeof key, "energy.%s", part);
            printf("  %-20s %12s %6.2f %%\n", key, show(room, study, key),
                   100 * value_of(study, key) / head_j);
        }
        snprintf(key, sizeof key, "energy.%s", prices[i].item);
        printf("    %-24s %6s", key, show(room, study, key));
        snprintf(key, sizeof key, "events.%s", prices[i].event);
        printf("%*s %s of %s\n", (int)(19 - strlen(room)), "", show(room, study, key),
               prices[i].event);
    }
    print_heads(study);
    printf("\narea of a head\n");
    static const char *const areas[] = {"area.cells_m2", "area.score_converters_m2",
                                        "area.output_converters_m2", "area.dacs_m2",
                                        "area.digital_m2"};
    for (int i = 0; i < 5; i++) {
        printf("  %-26s %12s %6.2f %%\n", areas[i], show(room, study, areas[i]),
               100 * value_of(study, areas[i]) / value_of(study, "area_per_head_m2"));
    }
}

// One token period: does the window hold, and what refresh takes.
static void print_period(const struct cost_study *study, const char *period) {
    char key[96], room[32];
    snprintf(key, sizeof key, "retention.%s.period_s", period);
    if (!ley_figures_find(study->figures, key)) {
        return;
    }
    printf("  a token every %s (%s):", show(room, study, key), key);
    snprintf(key, sizeof key, "retention.%s.error_half_levels", period);
    double error = value_of(study, key);
    printf(" the oldest token's levels move by %.3g half levels,", error);
    snprintf(key, sizeof key, "retention.%s.current_error", period);
    printf(" %.3g %% of their current: the window %s\n", 100 * value_of(study, key),
           error < 1 ? "holds" : "does not hold");
    static const char *const policies[] = {"every", "on_error"};
    for (int i = 0; i < 2; i++) {
        snprintf(key, sizeof key, "refresh.%s.%s.columns_per_token", period, policies[i]);
        double columns = value_of(study, key);
        snprintf(key, sizeof key, "refresh.%s.%s.energy_per_token_j", period, policies[i]);
        printf("    refresh %-8s %8.4g rewrites a token and bank, %s", policies[i], columns,
               show(room, study, key));
        snprintf(key, sizeof key, "refresh.%s.%s.energy_share", period, policies[i]);
        printf(" (%.3g %% of attention)", 100 * value_of(study, key));
        snprintf(key, sizeof key, "refresh.%s.%s.busy_share", period, policies[i]);
        double busy = value_of(study, key);
        printf(", banks busy %.3g %% of the time%s", 100 * busy, busy > 1 ? ": impossible" : "");
        snprintf(key, sizeof key, "refresh.%s.every.error_half_levels", period);
        printf("%s\n", i == 0 && value_of(study, key) >= 1 ? "; too seldom: levels are lost" : "");
    }
}

// The period that was asked for, and the one that the network allows.
static void print_retention(const struct cost_study *study) {
    char room[32];
    if (isfinite(value_of(study, "retention.hold_s"))) {
        printf("\nretention: the first level moves by half a level in %s (retention.hold_s)\n",
               show(room, study, "retention.hold_s"));
    } else {
        printf("\nretention: no level ever moves by half a level\n");
    }
    print_period(study, "given");
    print_period(study, "network");
}

// Amdahl's law.
static void print_whole(const struct cost_study *study) {
    static const char *const keys[] = {"whole.token_j",           "whole.token_s",
                                       "softmax.token_j",         "softmax.token_s",
                                       "gain.attention_energy",   "gain.attention_latency",
                                       "gain.token_energy",       "gain.token_latency",
                                       "gain.token_energy_limit", "gain.token_latency_limit"};
    char a[32], b[32], c[32];
    if (study->shape.d_model == 0) {
        printf("\nwhole token: not counted; --shape L,H,Hkv,D,d_model,d_ff,vocab or -m MODEL\n");
        return;
    }
    printf("\nwhole token           energy      latency\n");
    printf("  attention     %12s %12s   (%.3g %%, %.3g %% of the whole)\n",
           show(a, study, "energy_per_token_j"), show(b, study, "latency_per_token_s"),
           100 * value_of(study, "whole.attention_energy_share"),
           100 * value_of(study, "whole.attention_time_share"));
    printf("  projections   %12s\n  mlp           %12s\n  head          %12s\n",
           show(a, study, "whole.projections_j"), show(b, study, "whole.mlp_j"),
           show(c, study, "whole.head_j"));
    printf("  digital       %12s %12s\n", show(a, study, "whole.digital_j"),
           show(b, study, "whole.digital_s"));
    printf("  with the chip %12s %12s\n", show(a, study, keys[0]), show(b, study, keys[1]));
    printf("  all digital   %12s %12s\n", show(a, study, keys[2]), show(b, study, keys[3]));
    printf("  gain of attention %.4g in energy, %.4g in latency; of the token %.3g, %.3g; "
           "at most (free attention) %.3g, %.3g\n",
           value_of(study, keys[4]), value_of(study, keys[5]), value_of(study, keys[6]),
           value_of(study, keys[7]), value_of(study, keys[8]), value_of(study, keys[9]));
}

// A rival is a figure "<name>.attention_s"; calls back for each, with the name.
static void each_rival(const struct cost_study *study, void *context,
                       void (*see)(const struct cost_study *study, const char *name,
                                   void *context)) {
    int n;
    const struct ley_figure *figures = ley_figures_all(study->figures, &n);
    for (int i = 0; i < n; i++) {
        const char *end = strstr(figures[i].key, ".attention_s");
        bool is_rival = strncmp(figures[i].key, "measured.", 9) == 0 ||
                        strncmp(figures[i].key, "roofline.", 9) == 0;
        if (end && is_rival && end[12] == '\0') {
            char name[80];
            snprintf(name, sizeof name, "%.*s", (int)(end - figures[i].key), figures[i].key);
            see(study, name, context);
        }
    }
}

// Cells without a figure stay "-": not measured, or no widths.
static void print_rival(const struct cost_study *study, const char *name, void *context) {
    static const char *const columns[] = {"attention_s",
                                          "latency_gain",
                                          "attention_j",
                                          "energy_gain",
                                          "b1.token_latency_gain",
                                          "b1.token_energy_gain",
                                          "b64.token_latency_gain",
                                          "b64.token_energy_gain"};
    (void)context;
    printf("  %-26s", name);
    for (int i = 0; i < 8; i++) {
        char key[128], room[32];
        snprintf(key, sizeof key, "%s.%s", name, columns[i]);
        printf(" %*s", i < 4 ? 10 : 8, show(room, study, key));
    }
    printf("\n");
}

// From the chip to its rivals.
void cost_print_text(const struct cost_study *study) {
    print_head(study);
    print_attention(study);
    print_breakdown(study);
    print_retention(study);
    print_whole(study);
    printf(
        "\nrivals                       attention of a layer, one token              whole token: "
        "gain at batch 1,       64\n  %-26s %10s %10s %10s %10s %8s %8s %8s %8s\n",
        "", "latency", "gain", "energy", "gain", "latency", "energy", "latency", "energy");
    each_rival(study, NULL, print_rival);
    if (study->cpu.attention_s > 0 && study->cpu.attention_j == 0) {
        printf("  energy of this CPU is not readable here (RAPL, /sys/class/powercap)\n");
    }
    printf("\nleyden cost ... --explain KEY shows the way to any number; --csv lists all keys\n");
}

// ---- machines

// Figures whose key begins with `prefix`, under the rest of their key.
static void add_group(struct cJSON *root, const char *name, const struct cost_study *study,
                      const char *prefix) {
    int n;
    const struct ley_figure *figures = ley_figures_all(study->figures, &n);
    struct cJSON *group = cJSON_GetObjectItem(root, name);
    group = group ? group : cJSON_AddObjectToObject(root, name);
    for (int i = 0; i < n; i++) {
        if (strncmp(figures[i].key, prefix, strlen(prefix)) == 0) {
            cJSON_AddNumberToObject(group, figures[i].key + strlen(prefix),
                                    figures[i].value[LEY_STATED]);
        }
    }
}

// Everything that is known of a rival, under the rest of its keys.
static void add_rival(const struct cost_study *study, const char *name, void *context) {
    struct cJSON *row = cJSON_CreateObject();
    int n;
    const struct ley_figure *figures = ley_figures_all(study->figures, &n);
    cJSON_AddStringToObject(row, "name", name);
    for (int i = 0; i < n; i++) {
        size_t n_name = strlen(name);
        if (strncmp(figures[i].key, name, n_name) == 0 && figures[i].key[n_name] == '.') {
            cJSON_AddNumberToObject(row, figures[i].key + n_name + 1, figures[i].value[LEY_STATED]);
        }
    }
    cJSON_AddItemToArray(context, row);
}

// Headline keys first; groups repeat figures for those who want no list.
static struct cJSON *make_json(const struct cost_study *study,
                               const struct invocation *invocation) {
    static const char *const head[] = {"latency_per_layer_s", "latency_per_token_s",
                                       "energy_per_head_j",   "energy_per_layer_j",
                                       "energy_per_token_j",  "area_per_head_m2"};
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, invocation);
    cJSON_AddStringToObject(root, "hw", study->hw_name);
    cJSON_AddStringToObject(root, "technology", study->technology_name);
    cJSON_AddStringToObject(root, "model", study->shape_name);
    cost_shape_add_json(cJSON_AddObjectToObject(root, "shape"), &study->shape);
    cJSON_AddStringToObject(root, "events_source",
                            study->has_events ? study->events_source : "uniform random codes");
    for (int i = 0; i < 6; i++) {
        cJSON_AddNumberToObject(root, head[i], value_of(study, head[i]));
    }
    struct cJSON *breakdown = cJSON_AddObjectToObject(root, "breakdown");
    add_group(breakdown, "energy_j", study, "energy.");
    add_group(breakdown, "latency", study, "latency.");
    add_group(breakdown, "area", study, "area.");
    add_group(root, "events", study, "events.");
    if (study->head_j) {
        add_group(root, "heads", study, "heads.");
    }
    add_group(root, "retention", study, "retention.");
    add_group(root, "refresh", study, "refresh.");
    add_group(root, "whole_token", study, "whole.");
    add_group(root, "softmax", study, "softmax.");
    add_group(root, "gain", study, "gain.");
    each_rival(study, cJSON_AddArrayToObject(root, "baselines"), add_rival);
    cJSON_AddItemToObject(root, "figures", ley_figures_json(study->figures));
    cJSON_AddItemToObject(root, "prices",
                          ley_params_json(ley_technology_params(), &study->technology.technology));
    cJSON_AddItemToObject(root, "hardware",
                          ley_params_json(ley_hardware_params(), &study->hardware));
    return root;
}

enum ley_status cost_print_json(const struct cost_study *study,
                                const struct invocation *invocation) {
    return session_print_json(make_json(study, invocation));
}

// A field in quotes, its own quotes doubled.
static void print_quoted(const char *text) {
    putchar('"');
    for (; *text; text++) {
        printf(*text == '"' ? "\"\"" : "%c", *text);
    }
    putchar('"');
}

// 17 digits: the same doubles when read back.
void cost_print_csv(const struct cost_study *study) {
    int n;
    const struct ley_figure *figures = ley_figures_all(study->figures, &n);
    printf("key,value,unit,low,high,formula,source\n");
    for (int i = 0; i < n; i++) {
        printf("%s,%.17g,%s,%.17g,%.17g,", figures[i].key, figures[i].value[LEY_STATED],
               figures[i].unit, figures[i].value[LEY_LOW], figures[i].value[LEY_HIGH]);
        print_quoted(figures[i].formula);
        putchar(',');
        print_quoted(figures[i].source);
        putchar('\n');
    }
}
