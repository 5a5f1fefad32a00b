// section_rivals.c - the chip beside digital hardware, on logarithmic bars
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/section_impl.h"

enum { MAX_RIVALS = 40 };

// "roofline.rtx_4090.fp16" as "rtx 4090 fp16, peak".
static void name_rival(char name[64], const char *key) {
    bool is_roofline = strncmp(key, "roofline.", 9) == 0;
    bool is_measured = strncmp(key, "measured.", 9) == 0;
    snprintf(name, 64, "%.40s%s", key + (is_roofline || is_measured ? 9 : 0),
             is_roofline   ? ", peak"
             : is_measured ? ", measured"
                           : "");
    for (char *c = name; *c; c++) {
        *c = *c == '_' || *c == '.' ? ' ' : *c;
    }
}

// A bar: its name as a tic, its value, its colour, and how many times the chip's.
static void put_bar(struct ley_markup *script, struct ley_markup *tics, int at, const char *name,
                    double value, double gain, int colour) {
    char times[32] = "";
    if (isfinite(gain)) {
        snprintf(times, sizeof times, gain < 100 ? "\xc3\x97 %.3g" : "\xc3\x97 %.0f", gain);
    }
    ley_markup_format(script, "%d %.7g %d \"%s\"\n", at, value, ley_plot_colour(colour), times);
    ley_markup_format(tics, "%s", at ? ", " : "");
    ley_plot_text(tics, name, 40);
    ley_markup_format(tics, " %d", at);
}

// What is compared: keys of the chip's and of a rival's number, and what the axis says.
struct axis {
    const char *chip_key, *key, *gain_key, *label, *what, *unit;
};

// The chip first, then every rival with this number; returns how many bars there are.
static int put_bars(struct ley_markup *script, const struct ley_result *cost,
                    const struct axis *axis) {
    struct ley_markup tics = {0};
    const struct cJSON *rival;
    int n = 0;
    ley_plot_block(script, "bars");
    put_bar(script, &tics, n++, "this chip", ley_json_number(cost->json, axis->chip_key), NAN, 1);
    cJSON_ArrayForEach(rival, ley_json_list(cost->json, "baselines")) {
        double value = ley_json_number(rival, axis->key);
        const char *key = ley_json_text(rival, "name", "?");
        if (value > 0 && n < MAX_RIVALS) {
            char name[64];
            name_rival(name, key);
            put_bar(script, &tics, n++, name, value, ley_json_number(rival, axis->gain_key),
                    strncmp(key, "measured.", 9) == 0 ? 2 : 7);
        }
    }
    ley_markup_format(script, "EOD\nset ytics (%s)\n", tics.n ? tics.text : "");
    ley_markup_destroy(&tics);
    return n;
}

static enum ley_status draw_bars(struct ley_page *page, const struct ley_result *cost,
                                 const struct axis *axis) {
    struct ley_markup script = {0};
    int n = put_bars(&script, cost, axis);
    enum ley_status status = LEY_OK;
    ley_markup_format(
        &script,
        "stats $bars u 2 nooutput\nlow = STATS_min / 3\nset logscale x\n"
        "set xrange [low:STATS_max * 40]\nset yrange [%g:-0.6]\nunset key\nunset grid\n"
        "set grid x lc rgb '#080102' lt 1 lw 0.6\ndecades = log10(STATS_max * 40 / low)\nfactor = "
        "decades > 6 ? 1000 : decades > 3 ? 100 : 10\nset xtics factor\n"
        "set format x '%%.0s %%c%s'\nset xlabel '%s'\n"
        "plot $bars u 2:1:(low):2:($1-0.36):($1+0.36):3 w boxxyerror lc rgb variable, "
        "'' u 2:1:4 w labels left offset 0.6,0 tc rgb 'black' font ',13'\n",
        n - 0.4, axis->unit, axis->label);
    if (n > 1) {
        ley_page_figure(page, false);
        status = ley_page_plot(page, &script, 480, 90 + 21 * n, axis->what);
        ley_page_caption(page, &cost, 1,
                         "%s of attention, one layer and token, and how many times the chip's "
                         "(logarithmic). Red: measured; grey: the least that memory and arithmetic "
                         "of a device allow for a cache of fp16, int8 or int4 numbers.",
                         axis->what);
    }
    ley_markup_destroy(&script);
    return status;
}

// All rivals, all numbers.
static void list_rivals(struct ley_page *page, const struct ley_result *cost) {
    const struct cJSON *rival, *list = ley_json_list(cost->json, "baselines");
    if (cJSON_GetArraySize(list) == 0) {
        return;
    }
    ley_page_figure(page, true);
    ley_page_table(page,
                   "rival|#latency|#times the chip|#energy|#times the chip|#whole token, batch "
                   "1: latency|#energy|#batch 64: latency|#energy");
    cJSON_ArrayForEach(rival, list) {
        char name[64];
        name_rival(name, ley_json_text(rival, "name", "?"));
        ley_page_row(page);
        ley_page_cell(page, name);
        ley_page_cell_quantity(page, ley_json_number(rival, "attention_s"), "s");
        ley_page_cell_number(page, "%.4g", ley_json_number(rival, "latency_gain"));
        ley_page_cell_quantity(page, ley_json_number(rival, "attention_j"), "J");
        ley_page_cell_number(page, "%.4g", ley_json_number(rival, "energy_gain"));
        ley_page_cell_number(page, "%.3g", ley_json_number(rival, "b1.token_latency_gain"));
        ley_page_cell_number(page, "%.3g", ley_json_number(rival, "b1.token_energy_gain"));
        ley_page_cell_number(page, "%.3g", ley_json_number(rival, "b64.token_latency_gain"));
        ley_page_cell_number(page, "%.3g", ley_json_number(rival, "b64.token_energy_gain"));
        ley_page_row_end(page);
    }
    ley_page_table_end(page);
    ley_page_caption(
        page, &cost, 1,
        "Rivals in attention of one layer and token, then in the whole token: how many "
        "times as much they take as a network whose attention runs on the chip.");
}

enum ley_status ley_section_rivals(struct ley_page *page, const struct ley_report *report) {
    static const struct axis latency = {
        "latency_per_layer_s", "attention_s", "latency_gain", "latency", "Latency", "s"};
    static const struct axis energy = {
        "energy_per_layer_j", "attention_j", "energy_gain", "energy", "Energy", "J"};
    const struct ley_result *cost;
    for (int i = 0; (cost = ley_report_find(report, LEY_RESULT_COST, i)); i++) {
        LEY_TRY(draw_bars(page, cost, &latency));
        LEY_TRY(draw_bars(page, cost, &energy));
        list_rivals(page, cost);
    }
    return LEY_OK;
}
