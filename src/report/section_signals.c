// section_signals.c - histograms of scores, pulses and outputs, and errors by the age of a token
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>

#include "report/section_impl.h"

enum { MAX_CURVES = 6 };

// A signal in trace.json: its member, the axis, the caption.
struct signal {
    const char *key, *axis, *caption;
};

// A histogram as block: middle of a bin, share of all values in percent.
static void put_histogram(struct ley_markup *script, const struct cJSON *histogram) {
    const struct cJSON *count, *counts = ley_json_list(histogram, "counts");
    double low = ley_json_number(histogram, "low"), high = ley_json_number(histogram, "high");
    double n = ley_json_number(histogram, "n"), at = 0.5;
    double width = (high - low) / cJSON_GetArraySize(counts);
    cJSON_ArrayForEach(count, counts) {
        ley_markup_format(script, "%.7g %.7g\n", low + at * width, 100 * count->valuedouble / n);
        at++;
    }
}

// One line for each layer that was traced.
static enum ley_status draw_histograms(struct ley_page *page, const struct ley_result *trace,
                                       const struct signal *signal) {
    struct ley_markup script = {0}, plot = {0};
    const struct cJSON *layer;
    int n = 0;
    cJSON_ArrayForEach(layer, ley_json_list(trace->json, "trace")) {
        const struct cJSON *histogram = ley_json_object(layer, signal->key);
        if (histogram && n < MAX_CURVES) {
            ley_markup_format(&script, "$h%d << EOD\n", ++n);
            put_histogram(&script, histogram);
            ley_markup_format(&script, "EOD\n");
            ley_markup_format(&plot,
                              "%s$h%d u 1:($2>0?$2:NaN) w histeps lw 1.6 lc rgb '#%02d0102' "
                              "t 'layer %.0f'",
                              n > 1 ? ", " : "plot ", n, n, ley_json_number(layer, "layer"));
        }
    }
    enum ley_status status = LEY_OK;
    if (n > 0) {
        ley_markup_format(&script,
                          "set logscale y\nset format y '%%g'\nset xlabel '%s'\n"
                          "set ylabel 'share of values (%%)'\n%s\n",
                          signal->axis, plot.text ? plot.text : "");
        ley_page_figure(page, false);
        status = ley_page_plot(page, &script, 460, 300, signal->axis);
        ley_page_caption(page, &trace, 1, "%s", signal->caption);
    }
    ley_markup_destroy(&script);
    ley_markup_destroy(&plot);
    return status;
}

// Errors of scores by age in one layer; ages start at 0, which a logarithm has no place for.
static enum ley_status draw_ages(struct ley_page *page, const struct ley_result *trace,
                                 const struct cJSON *layer) {
    struct ley_markup script = {0};
    const struct cJSON *bin;
    ley_plot_block(&script, "age");
    cJSON_ArrayForEach(bin, ley_json_list(layer, "by_age")) {
        double first = ley_json_number(bin, "first"), last = ley_json_number(bin, "last");
        ley_markup_format(&script, "%.7g %.7g %.7g %.7g\n", sqrt((first + 1) * (last + 1)),
                          ley_json_number(bin, "score_rms"), ley_json_number(bin, "leakage_rms"),
                          ley_json_number(bin, "chip_rms"));
    }
    ley_markup_format(
        &script, "EOD\nset logscale xy 2\nset logscale y 10\nset format y '%%g'\n"
                 "set xlabel 'age of the key + 1 (tokens)'\nset ylabel 'rms, in units of S_sat'\n"
                 "plot $age u 1:2 w lp lw 2 pt 7 ps 0.5 lc rgb '#070102' t 'score', "
                 "'' u 1:($4>0?$4:NaN) w lp lw 2 pt 7 ps 0.5 lc rgb '#020102' t 'chip', "
                 "'' u 1:($3>0?$3:NaN) w lp lw 2 pt 7 ps 0.5 lc rgb '#010102' t 'leakage'\n");
    ley_page_figure(page, false);
    enum ley_status status = ley_page_plot(page, &script, 460, 320, "error by age of a token");
    ley_page_caption(page, &trace, 1,
                     "Layer %.0f: scores by the age of the key they belong to. Chip: its error "
                     "against a linear cell that never leaks and converters without steps, on the "
                     "same q, k and scalers; leakage: against the same chip without it.",
                     ley_json_number(layer, "layer"));
    ley_markup_destroy(&script);
    return status;
}

enum ley_status ley_section_signals(struct ley_page *page, const struct ley_report *report) {
    static const struct signal signals[] = {
        {"score", "score S / S_sat",
         "Scores before the HardSigmoid, as shares of all pairs in the window: below 0 a key gives "
         "no pulse, above 1 the longest."},
        {"phi", "pulse phi", "Pulses into V: 0 is none, 1 the longest."},
        {"output", "partial output A / A_sat",
         "Partial outputs of tiles before their converter: beyond -1 and 1 they saturate."},
    };
    const struct ley_result *trace;
    const struct cJSON *layer;
    for (int i = 0; (trace = ley_report_find(report, LEY_RESULT_TRACE, i)); i++) {
        for (size_t s = 0; s < sizeof signals / sizeof signals[0]; s++) {
            LEY_TRY(draw_histograms(page, trace, &signals[s]));
        }
        int n = 0;
        cJSON_ArrayForEach(layer, ley_json_list(trace->json, "trace")) {
            if (ley_json_list(layer, "by_age") && n++ < MAX_CURVES) {
                LEY_TRY(draw_ages(page, trace, layer));
            }
        }
    }
    return LEY_OK;
}
