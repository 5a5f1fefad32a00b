// section_quality.c - perplexities of one text: digital, mapped, matched, adapted
#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "report/section_impl.h"

enum { MAX_CURVES = 6 };

static void list_results(struct ley_page *page, const struct ley_result *const *all, int n) {
    // Digital ones come first.
    double digital = strcmp(ley_variant_name(all[0]), "digital") == 0
                         ? ley_json_number(all[0]->json, "perplexity")
                         : NAN;
    ley_page_figure(page, true);
    ley_page_table(page, "attention|hardware|dense layers|#perplexity|#&#177;|#times digital|#nll");
    for (int i = 0; i < n; i++) {
        const struct cJSON *json = all[i]->json;
        double perplexity = ley_json_number(json, "perplexity");
        ley_page_row(page);
        ley_page_cell(page, ley_variant_name(all[i]));
        ley_page_cell(page, ley_json_text(json, "hw", "?"));
        ley_page_cell(page, ley_json_text(json, "dtype", "?"));
        ley_page_cell_number(page, "%.4g", perplexity);
        ley_page_cell_number(page, "%.3g", ley_json_number(json, "perplexity_stderr"));
        ley_page_cell_number(page, "%.3g", perplexity / digital);
        ley_page_cell_number(page, "%.4f", ley_json_number(json, "nll"));
        ley_page_row_end(page);
    }
    ley_page_table_end(page);
    ley_page_caption(page, all, n,
                     "Perplexity of the same text (%.0f predictions in windows of %.0f tokens): "
                     "digital is the model itself; mapped: scalers calibrated, nothing trained; "
                     "matched: scalers trained; adapted: weights trained too.",
                     ley_json_number(all[0]->json, "predictions"),
                     ley_json_number(all[0]->json, "ctx"));
}

// One curve for each result that knows where in a window it was wrong.
static int put_curves(struct ley_markup *script, const struct ley_result *const *all, int n) {
    struct ley_markup plot = {0};
    int n_curves = 0;
    for (int i = 0; i < n && n_curves < MAX_CURVES; i++) {
        const struct cJSON *bins = ley_json_list(all[i]->json, "by_position");
        if (bins) {
            ley_plot_curve_by_position(script, &plot, ++n_curves, bins, "nll",
                                       ley_variant_name(all[i]));
        }
    }
    ley_plot_by_position(script, &plot, "loss (nats a token)");
    return n_curves;
}

static enum ley_status draw_positions(struct ley_page *page, const struct ley_result *const *all,
                                      int n) {
    struct ley_markup script = {0};
    enum ley_status status = LEY_OK;
    if (put_curves(&script, all, n) > 0) {
        ley_page_figure(page, true);
        status = ley_page_plot(page, &script, 480, 320, "loss by place in the window");
        ley_page_caption(page, all, n,
                         "Loss by the number of tokens that stand before in the window: what older "
                         "tokens add, or, where cells leak and outputs saturate, take away.");
    }
    ley_markup_destroy(&script);
    return status;
}

enum ley_status ley_section_quality(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *all[LEY_MAX_RESULTS];
    int n = ley_report_perplexities(all, report);
    if (n == 0) {
        return LEY_OK;
    }
    list_results(page, all, n);
    return draw_positions(page, all, n);
}
