// section_sources.c - the end of a page: what it was made from, so that it can be made again
#include <cjson/cJSON.h>
#include <stdio.h>

#include "report/section_impl.h"

static void list_inputs(struct ley_page *page, const struct ley_report *report) {
    ley_page_figure(page, true);
    ley_page_table(page, "file|#bytes|fingerprint|by|leyden");
    for (int i = 0; i < report->n_results; i++) {
        const struct ley_result *result = &report->result[i];
        char hash[32];
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)result->hash);
        ley_page_row(page);
        ley_page_cell(page, result->path);
        ley_page_cell_number(page, "%.0f", (double)result->n_bytes);
        ley_page_cell(page, hash);
        ley_page_cell(page, ley_result_kind_text(result->kind));
        ley_page_cell(page, ley_json_text(ley_result_origin(result), "leyden", "\xe2\x80\x93"));
        ley_page_row_end(page);
    }
    ley_page_table_end(page);
    ley_page_caption(page, NULL, 0,
                     "The files that this page was made from (commands stand under "
                     "each figure); fingerprints are "
                     "Leyden's 64-bit hash of their bytes.");
}

// Every member of a group, with its value as JSON writes it.
static void list_group(struct ley_page *page, const struct ley_result *result, const char *key,
                       const char *what) {
    const struct cJSON *item;
    ley_page_figure(page, false);
    ley_page_table(page, "parameter|value");
    cJSON_ArrayForEach(item, ley_json_object(result->json, key)) {
        ley_page_row(page);
        ley_page_cell(page, item->string);
        char number[32] = "\xe2\x80\x93";
        if (cJSON_IsNumber(item)) {
            snprintf(number, sizeof number, "%.9g", item->valuedouble);
        }
        ley_page_cell(page, cJSON_IsString(item) ? item->valuestring : number);
        ley_page_row_end(page);
    }
    ley_page_table_end(page);
    ley_page_caption(page, &result, 1, "%s", what);
}

enum ley_status ley_section_sources(struct ley_page *page, const struct ley_report *report) {
    static const char *const groups[][2] = {
        {"hardware", "The chip (leyden params says what each is)."},
        {"prices", "The technology: prices and areas."},
        {"shape", "The model."},
    };
    char version[128];
    list_inputs(page, report);
    for (int i = 0; i < 3; i++) {
        const struct ley_result *result = ley_report_with(report, groups[i][0], 0);
        if (result) {
            list_group(page, result, groups[i][0], groups[i][1]);
        }
    }
    ley_plot_version(version, sizeof version);
    ley_markup_format(&page->text, "<figure class=\"wide\"><p>Made by leyden ");
    ley_markup_escape(&page->text, report->version ? report->version : "");
    ley_markup_format(&page->text, " report; plots by ");
    ley_markup_escape(&page->text, *version ? version : "no gnuplot");
    ley_markup_format(&page->text, ".</p></figure>\n");
    return LEY_OK;
}
