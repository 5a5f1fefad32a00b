// section_cost.c - energy by event, latency, area, and the whole token
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/section_impl.h"

// Published groups of energies; each sums up the items that stand before it (leyden cost).
static const struct {
    const char *key, *name;
} parts[] = {
    {"qk", "K arrays, score converters"},
    {"av", "V arrays, output converters"},
    {"digital", "digital control, counters, sums"},
    {"dac", "DACs and writing"},
};
enum { N_PARTS = sizeof parts / sizeof parts[0], MAX_ITEMS = 32 };

// The number of a part by its key, or -1.
static int find_part(const char *key) {
    for (int i = 0; i < N_PARTS; i++) {
        if (strcmp(parts[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

// A tic with the name of a key, its underscores as spaces.
static void put_tic(struct ley_markup *tics, const char *key, int at) {
    char name[64];
    snprintf(name, sizeof name, "%s", key);
    for (char *c = name; *c; c++) {
        *c = *c == '_' ? ' ' : *c;
    }
    ley_markup_format(tics, "%s", at ? ", " : "");
    ley_plot_text(tics, name, 40);
    ley_markup_format(tics, " %d", at);
}

// Bars of items in pJ, coloured by part, and their names as tics; returns their number, and the
// longest.
static int put_items(struct ley_markup *script, double *most_pj, const struct cJSON *energy) {
    struct ley_markup tics = {0};
    const struct cJSON *item;
    int n = 0, part = 0;
    ley_plot_block(script, "bars");
    cJSON_ArrayForEach(item, energy) {
        int ended = find_part(item->string);
        part = ended >= 0 ? ended + 1 : part;
        if (ended < 0 && part < N_PARTS && n < MAX_ITEMS) {
            double value_pj = 1e12 * item->valuedouble;
            ley_markup_format(script, "%d %.7g %d\n", n, value_pj, ley_plot_colour(part + 1));
            *most_pj = value_pj > *most_pj ? value_pj : *most_pj;
            put_tic(&tics, item->string, n++);
        }
    }
    ley_markup_format(script, "EOD\nset ytics (%s)\n", tics.n ? tics.text : "");
    ley_markup_destroy(&tics);
    return n;
}

static enum ley_status draw_energy(struct ley_page *page, const struct ley_result *cost,
                                   const struct cJSON *energy) {
    struct ley_markup script = {0};
    double most_pj = 0;
    int n = put_items(&script, &most_pj, energy);
    ley_markup_format(&script,
                      "set yrange [%g:-0.6]\nset xrange [0:*]\nunset key\nunset grid\n"
                      "set grid x lc rgb '#080102' lt 1 lw 0.6\nset xlabel 'pJ a head and token'\n"
                      "set xtics %.9g\n"
                      "plot $bars u 2:1:(0):2:($1-0.36):($1+0.36):3 w boxxyerror lc rgb variable\n",
                      n - 0.4, ley_nice_step(most_pj > 0 ? most_pj : 1, 4));
    ley_page_figure(page, false);
    enum ley_status status = ley_page_plot(page, &script, 460, 90 + 22 * n, "energy by event");
    ley_page_caption(page, &cost, 1,
                     "Energy of one query head and token, by what it is spent on; colours group "
                     "as in the table of energies. All together %.5g pJ.",
                     1e12 * ley_json_number(cost->json, "energy_per_head_j"));
    ley_markup_destroy(&script);
    return status;
}

// A name, a quantity, a share of the whole; nothing when it is not known.
static void put_row(struct ley_page *page, const char *name, double value, const char *unit,
                    double whole) {
    if (isfinite(value)) {
        ley_page_row(page);
        ley_page_cell(page, name);
        ley_page_cell_quantity(page, value, unit);
        ley_page_cell_number(page, "%.1f %%", 100 * value / whole);
        ley_page_row_end(page);
    }
}

static void list_energy(struct ley_page *page, const struct ley_result *cost,
                        const struct cJSON *energy) {
    const struct cJSON *json = cost->json;
    double head_j = ley_json_number(json, "energy_per_head_j");
    ley_page_table(page, "energy|#value|#of a head");
    for (int i = 0; i < N_PARTS; i++) {
        put_row(page, parts[i].name, ley_json_number(energy, parts[i].key), "J", head_j);
    }
    put_row(page, "a query head and token", head_j, "J", head_j);
    put_row(page, "a layer", ley_json_number(json, "energy_per_layer_j"), "J", NAN);
    put_row(page, "attention of all layers", ley_json_number(json, "energy_per_token_j"), "J", NAN);
    ley_page_table_end(page);
}

static void list_latency(struct ley_page *page, const struct ley_result *cost) {
    static const struct {
        const char *key, *name;
    } rows[] = {
        {"write_s", "writing k and v"},
        {"pulses_s", "pulses of q, phi, output"},
        {"digital_sum_s", "sum over tiles"},
    };
    const struct cJSON *breakdown = ley_json_object(cost->json, "breakdown");
    const struct cJSON *latency = ley_json_object(breakdown, "latency");
    double layer_s = ley_json_number(cost->json, "latency_per_layer_s");
    ley_page_table(page, "latency|#value|#of a layer");
    for (int i = 0; i < 3; i++) {
        put_row(page, rows[i].name, ley_json_number(latency, rows[i].key), "s", layer_s);
    }
    put_row(page, "a layer", layer_s, "s", layer_s);
    put_row(page, "all layers, in turn", ley_json_number(cost->json, "latency_per_token_s"), "s",
            NAN);
    ley_page_table_end(page);
}

// What stays digital, and what the chip can gain at most (Amdahl).
static void list_whole(struct ley_page *page, const struct ley_result *cost) {
    static const struct {
        const char *key, *name;
    } rows[] = {
        {"projections_j", "projections, digital"},
        {"mlp_j", "MLP, digital"},
        {"head_j", "logits, digital"},
    };
    const struct cJSON *whole = ley_json_object(cost->json, "whole_token");
    const struct cJSON *softmax = ley_json_object(cost->json, "softmax");
    const struct cJSON *gain = ley_json_object(cost->json, "gain");
    double token_j = ley_json_number(whole, "token_j");
    if (!isfinite(token_j)) {
        return;
    }
    ley_page_figure(page, false);
    ley_page_table(page, "whole token|#energy|#share");
    put_row(page, "attention, on the chip", ley_json_number(cost->json, "energy_per_token_j"), "J",
            token_j);
    for (int i = 0; i < 3; i++) {
        put_row(page, rows[i].name, ley_json_number(whole, rows[i].key), "J", token_j);
    }
    put_row(page, "with the chip", token_j, "J", token_j);
    put_row(page, "all digital", ley_json_number(softmax, "token_j"), "J", token_j);
    ley_page_table_end(page);
    ley_page_caption(page, &cost, 1,
                     "A token of the whole network. With the chip it takes %.4g times less energy "
                     "than all digital; attention that costs nothing would give %.4g.",
                     ley_json_number(gain, "token_energy"),
                     ley_json_number(gain, "token_energy_limit"));
}

// Whether the window holds, for the token period that was asked for and that of the network.
static void list_retention(struct ley_page *page, const struct ley_result *cost) {
    static const char *const periods[] = {"given", "network"};
    const struct cJSON *retention = ley_json_object(cost->json, "retention");
    struct ley_markup hold = {0};
    if (!retention) {
        return;
    }
    ley_page_figure(page, false);
    ley_page_table(page, "retention|#token period|#half levels|#current|window");
    for (int i = 0; i < 2; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s.period_s", periods[i]);
        double period_s = ley_json_number(retention, key);
        snprintf(key, sizeof key, "%s.error_half_levels", periods[i]);
        double error = ley_json_number(retention, key);
        snprintf(key, sizeof key, "%s.current_error", periods[i]);
        if (isfinite(period_s)) {
            ley_page_row(page);
            ley_page_cell(page, i == 0 ? "chip alone" : "whole network");
            ley_page_cell_quantity(page, period_s, "s");
            ley_page_cell_number(page, "%.3g", error);
            ley_page_cell_number(page, "%.3g %%", 100 * ley_json_number(retention, key));
            ley_page_cell(page, error < 1 ? "holds" : "lost");
            ley_page_row_end(page);
        }
    }
    ley_page_table_end(page);
    ley_markup_quantity(&hold, ley_json_number(retention, "hold_s"), "s");
    ley_page_caption(page, &cost, 1,
                     "Retention without refresh: a level has moved by half a level after %s; "
                     "columns are about the oldest token of the window.",
                     hold.n ? hold.text : "");
    ley_markup_destroy(&hold);
}

// Energies as a block of rows (head) by columns (layer), in nJ; returns the heads of a layer.
static int put_heads(struct ley_markup *script, const struct cJSON *layers) {
    const struct cJSON *layer, *head;
    int l = 0, n_heads = 0;
    ley_plot_block(script, "heads");
    cJSON_ArrayForEach(layer, layers) {
        int h = 0;
        cJSON_ArrayForEach(head, layer) {
            ley_markup_format(script, "%d %d %.7g\n", l, h++, 1e9 * head->valuedouble);
        }
        n_heads = h > n_heads ? h : n_heads;
        l++;
    }
    ley_markup_format(script, "EOD\n");
    return n_heads;
}

// What each head of each layer costs: a field of coloured squares.
static enum ley_status draw_heads(struct ley_page *page, const struct ley_result *run) {
    const struct cJSON *cost = ley_json_object(run->json, "cost");
    const struct cJSON *layers = ley_json_list(cost, "energy_by_head_j");
    const struct cJSON *spread = ley_json_object(cost, "heads");
    int n_layers = cJSON_GetArraySize(layers);
    struct ley_markup script = {0}, text = {0};
    if (n_layers == 0 || !spread) {
        return LEY_OK;
    }
    int n_heads = put_heads(&script, layers);
    ley_markup_format(&script,
                      "set xrange [-0.5:%g]\nset yrange [-0.5:%g]\nunset key\nunset grid\n"
                      "set xlabel 'layer'\nset ylabel 'query head'\n"
                      "set xtics %g\nset ytics %g\nset palette defined "
                      "(0 '#fff3d6', 0.5 '#e08a3c', 1 '#7a1f3d')\n"
                      "plot $heads u 1:2:(0.46):(0.46):3 w boxxyerror fs solid lc palette\n",
                      n_layers - 0.5, n_heads - 0.5, fmax(1, ley_nice_step(n_layers, 8)),
                      fmax(1, ley_nice_step(n_heads, 8)));
    ley_markup_quantity(&text, ley_json_number(spread, "mean_j"), "J");
    ley_markup_format(&text, ", standard deviation ");
    ley_markup_quantity(&text, ley_json_number(spread, "standard_deviation_j"), "J");
    ley_markup_format(&text, ", from ");
    ley_markup_quantity(&text, ley_json_number(spread, "least_j"), "J");
    ley_markup_format(&text, " to ");
    ley_markup_quantity(&text, ley_json_number(spread, "most_j"), "J");
    ley_markup_format(&text, "; random codes on a full ring take ");
    ley_markup_quantity(&text, ley_json_number(cost, "uniform_codes_energy_per_head_j"), "J");
    ley_page_figure(page, false);
    int height = 120 + 14 * (n_heads < 30 ? n_heads : 30);
    enum ley_status status = ley_page_plot(page, &script, 460, height, "energy by layer and head");
    ley_page_caption(page, &run, 1,
                     "Energy of a token by layer and query head in nJ, its share of the writes "
                     "included: mean %s.",
                     text.n ? text.text : "");
    ley_markup_destroy(&script);
    ley_markup_destroy(&text);
    return status;
}

// What the events of a run cost, layer by layer, beside uniform random codes.
static enum ley_status draw_layers(struct ley_page *page, const struct ley_result *run) {
    const struct cJSON *cost = ley_json_object(run->json, "cost"), *layer;
    const struct cJSON *layers = ley_json_list(cost, "energy_per_head_by_layer_j");
    const struct cJSON *spread = ley_json_object(cost, "generated_token_energy");
    struct ley_markup script = {0}, tokens = {0};
    int i = 0;
    if (!layers) {
        return LEY_OK;
    }
    ley_plot_block(&script, "layers");
    cJSON_ArrayForEach(layer, layers) {
        ley_markup_format(&script, "%d %.7g\n", i++, 1e9 * layer->valuedouble);
    }
    ley_markup_format(&script,
                      "EOD\nset xrange [-0.6:%g]\nset yrange [0:*]\nset boxwidth 0.7\n"
                      "set xlabel 'layer'\nset ylabel 'nJ a head and token'\n"
                      "plot $layers u 1:2 w boxes lc rgb '#010102' t 'this text', "
                      "%.7g w l dt 2 lw 2 lc rgb '#020102' t 'random codes, full ring'\n",
                      i - 0.4, 1e9 * ley_json_number(cost, "uniform_codes_energy_per_head_j"));
    if (spread) {
        ley_markup_format(&tokens, " Attention of a generated token took ");
        ley_markup_quantity(&tokens, ley_json_number(spread, "mean_j"), "J");
        ley_markup_format(&tokens, ", from ");
        ley_markup_quantity(&tokens, ley_json_number(spread, "least_j"), "J");
        ley_markup_format(&tokens, " to ");
        ley_markup_quantity(&tokens, ley_json_number(spread, "most_j"), "J");
        ley_markup_format(&tokens, ".");
    }
    ley_page_figure(page, false);
    enum ley_status status = ley_page_plot(page, &script, 460, 310, "energy by layer");
    ley_page_caption(page, &run, 1, "Energy of a query head and token on this text, by layer.%s",
                     tokens.n ? tokens.text : "");
    ley_markup_destroy(&script);
    ley_markup_destroy(&tokens);
    return status;
}

enum ley_status ley_section_cost(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *cost;
    for (int i = 0; (cost = ley_report_find(report, LEY_RESULT_COST, i)); i++) {
        const struct cJSON *breakdown = ley_json_object(cost->json, "breakdown");
        const struct cJSON *energy = ley_json_object(breakdown, "energy_j");
        if (energy) {
            LEY_TRY(draw_energy(page, cost, energy));
        }
        ley_page_figure(page, false);
        list_energy(page, cost, energy);
        list_latency(page, cost);
        ley_page_caption(page, &cost, 1, "Energy and latency of attention, for one token.");
        ley_draw_floorplan(page, cost);
        list_whole(page, cost);
        list_retention(page, cost);
    }
    for (int i = 0; i < report->n_results; i++) {
        LEY_TRY(draw_layers(page, &report->result[i]));
        LEY_TRY(draw_heads(page, &report->result[i]));
    }
    return LEY_OK;
}
