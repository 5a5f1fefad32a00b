// section_events.c - what the ledgers of runs counted, the texts they gave, and how fast they were
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/section_impl.h"

enum { MAX_COLUMNS = 6, MAX_ROWS = 200 };

// Tokens that a run fed, or NAN.
static double n_tokens(const struct ley_result *result) {
    double arrays = ley_json_number(ley_json_object(result->json, "shape"), "tokens");
    return result->kind == LEY_RESULT_ATTEND
               ? arrays
               : ley_json_number(result->json, "prompt_tokens") +
                     ley_json_number(result->json, "generated_tokens");
}

// The unit that the name of an event ends in.
static const char *unit_of(const char *name) {
    size_t n = strlen(name);
    return n < 2                             ? ""
           : strcmp(name + n - 2, "_s") == 0 ? "s"
           : strcmp(name + n - 2, "_c") == 0 ? "C"
                                             : "";
}

// One column a result, in the order of the captions below.
static void list_events(struct ley_page *page, const struct ley_result *const *all, int n) {
    const struct cJSON *event;
    struct ley_markup head = {0};
    ley_markup_format(&head, "event");
    for (int i = 0; i < n; i++) {
        ley_markup_format(&head, "|#%.0f tokens", n_tokens(all[i]));
    }
    ley_page_figure(page, true);
    ley_page_table(page, head.n ? head.text : "");
    cJSON_ArrayForEach(event, ley_json_object(all[0]->json, "events")) {
        ley_page_row(page);
        ley_page_cell(page, event->string);
        for (int i = 0; i < n; i++) {
            double value = ley_json_number(ley_json_object(all[i]->json, "events"), event->string);
            ley_page_cell_quantity(page, value / n_tokens(all[i]), unit_of(event->string));
        }
        ley_page_row_end(page);
    }
    ley_page_table_end(page);
    ley_page_caption(page, all, n,
                     "Events on the chip by token, all layers; a column for each of:");
    ley_markup_destroy(&head);
}

enum ley_status ley_section_events(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *all[MAX_COLUMNS];
    int n = 0;
    for (int i = 0; i < report->n_results && n < MAX_COLUMNS; i++) {
        const struct ley_result *result = &report->result[i];
        bool is_run = result->kind == LEY_RESULT_RUN || result->kind == LEY_RESULT_PERPLEXITY ||
                      result->kind == LEY_RESULT_ATTEND;
        if (is_run && ley_json_object(result->json, "events")) {
            all[n++] = result;
        }
    }
    if (n > 0) {
        list_events(page, all, n);
    }
    return LEY_OK;
}

enum ley_status ley_section_samples(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *run;
    for (int i = 0; (run = ley_report_find(report, LEY_RESULT_RUN, i)); i++) {
        ley_page_figure(page, false);
        ley_markup_format(&page->text, "<pre>");
        ley_markup_escape(&page->text, ley_json_text(run->json, "prompt", ""));
        ley_markup_format(&page->text, "<mark>");
        ley_markup_escape(&page->text, ley_json_text(run->json, "text", ""));
        ley_markup_format(&page->text, "</mark></pre>\n");
        ley_page_caption(page, &run, 1, "%.0f tokens generated, in colour, after a prompt of %.0f.",
                         ley_json_number(run->json, "generated_tokens"),
                         ley_json_number(run->json, "prompt_tokens"));
    }
    return LEY_OK;
}

// ---- speed

static void list_speed(struct ley_page *page, const struct ley_result *bench) {
    const struct cJSON *row;
    int n = 0;
    ley_page_figure(page, true);
    ley_page_table(page, "what|model|kernels|#threads|#tokens|#window|counts|#median|#tokens/s|#of "
                         "int8 peak");
    cJSON_ArrayForEach(row, ley_json_list(bench->json, "results")) {
        if (n++ < MAX_ROWS) {
            ley_page_row(page);
            ley_page_cell(page, ley_json_text(row, "what", "?"));
            ley_page_cell(page, ley_json_text(row, "shape", "?"));
            ley_page_cell(page, ley_json_text(row, "isa", "?"));
            ley_page_cell_number(page, "%.0f", ley_json_number(row, "threads"));
            ley_page_cell_number(page, "%.0f", ley_json_number(row, "tokens"));
            ley_page_cell_number(page, "%.0f", ley_json_number(row, "window"));
            ley_page_cell(page,
                          cJSON_IsTrue(cJSON_GetObjectItem(row, "counts_events")) ? "yes" : "no");
            ley_page_cell_quantity(page, ley_json_number(row, "median_s"), "s");
            ley_page_cell_number(page, "%.0f", ley_json_number(row, "tokens_per_s"));
            ley_page_cell_number(page, "%.0f %%", 100 * ley_json_number(row, "share_of_int8_peak"));
            ley_page_row_end(page);
        }
    }
    ley_page_table_end(page);
    ley_page_caption(page, &bench, 1,
                     "How fast this machine simulates: attention is one layer over a sequence, "
                     "decode one token through all layers. Peak in int8: %.4g Gop/s; memory: %.4g "
                     "GB/s; %.0f threads.",
                     1e-9 * ley_json_number(bench->json, "peak_int8_per_s"),
                     1e-9 * ley_json_number(bench->json, "peak_bytes_per_s"),
                     ley_json_number(bench->json, "threads"));
}

// Runs tell their own speed, which is that of whole models.
static void list_runs(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *all[LEY_MAX_RESULTS];
    int n = 0;
    for (int i = 0; i < report->n_results; i++) {
        if (isfinite(ley_json_number(report->result[i].json, "prompt_tokens_per_s"))) {
            all[n++] = &report->result[i];
        }
    }
    if (n == 0) {
        return;
    }
    ley_page_figure(page, true);
    ley_page_table(page, "attention|hardware|#tokens at once|#tokens/s|#one by one|#tokens/s");
    for (int i = 0; i < n; i++) {
        double n_generated = ley_json_number(all[i]->json, "generated_tokens");
        ley_page_row(page);
        ley_page_cell(page, ley_variant_name(all[i]));
        ley_page_cell(page, ley_json_text(all[i]->json, "hw", "?"));
        ley_page_cell_number(page, "%.0f", ley_json_number(all[i]->json, "prompt_tokens"));
        ley_page_cell_number(page, "%.1f", ley_json_number(all[i]->json, "prompt_tokens_per_s"));
        ley_page_cell_number(page, "%.0f", n_generated);
        ley_page_cell_number(
            page, "%.1f",
            n_generated > 0 ? ley_json_number(all[i]->json, "generated_tokens_per_s") : NAN);
        ley_page_row_end(page);
    }
    ley_page_table_end(page);
    ley_page_caption(page, all, n, "Whole models on this machine.");
}

enum ley_status ley_section_speed(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *bench;
    list_runs(page, report);
    for (int i = 0; (bench = ley_report_find(report, LEY_RESULT_BENCH, i)); i++) {
        list_speed(page, bench);
    }
    return LEY_OK;
}
