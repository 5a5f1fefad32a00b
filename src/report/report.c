// report.c - results that belong together, and the order of the sections
#include "report/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/section_impl.h"

// ---- what belongs together

// "a.json is of another chip than b.json (cell.law is linear, was cubic); ..."
static enum ley_status fail_mixed(const struct ley_result *now, const struct ley_result *before,
                                  const char *what, const char *key, const struct cJSON *a,
                                  const struct cJSON *b) {
    char is[64] = "absent", was[64] = "absent";
    const struct cJSON *item[2] = {a, b};
    char *text[2] = {is, was};
    for (int i = 0; i < 2; i++) {
        if (cJSON_IsString(item[i])) {
            snprintf(text[i], 64, "%s", item[i]->valuestring);
        } else if (cJSON_IsNumber(item[i])) {
            snprintf(text[i], 64, "%.9g", item[i]->valuedouble);
        }
    }
    return ley_fail(LEY_E_ARGUMENT,
                    "%s is of another %s than %s (%s is %s, there %s); make a report for each",
                    now->path, what, before->path, key, is, was);
}

// How the simulator computes and where a table lies say nothing of the chip.
static bool is_about_the_chip(const char *key) {
    return strcmp(key, "array.arithmetic") != 0 && strcmp(key, "cell.table_csv") != 0;
}

// Every member of the group `name` that both have is the same.
static enum ley_status compare_group(const struct ley_result *now, const struct ley_result *before,
                                     const char *name, const char *what) {
    const struct cJSON *here = ley_json_object(now->json, name), *item;
    const struct cJSON *there = ley_json_object(before->json, name);
    cJSON_ArrayForEach(item, here) {
        const struct cJSON *other = cJSON_GetObjectItemCaseSensitive(there, item->string);
        if (other && is_about_the_chip(item->string) && !cJSON_Compare(item, other, true)) {
            return fail_mixed(now, before, what, item->string, item, other);
        }
    }
    return LEY_OK;
}

// Perplexities stand in one table: the same text, cut the same way.
static enum ley_status compare_text(const struct ley_result *now, const struct ley_result *before) {
    static const char *const keys[] = {"file_hash", "ctx", "predictions"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct cJSON *here = cJSON_GetObjectItemCaseSensitive(now->json, keys[i]);
        const struct cJSON *there = cJSON_GetObjectItemCaseSensitive(before->json, keys[i]);
        if (here && there && !cJSON_Compare(here, there, true)) {
            return fail_mixed(now, before, "text, or windows of it,", keys[i], here, there);
        }
    }
    return LEY_OK;
}

// Arrays that were fed to `attend` have a shape of their own, which is no model.
static bool has_model(const struct ley_result *result) {
    return isfinite(ley_json_number(ley_json_object(result->json, "shape"), "n_layers"));
}

// Compared with every one before: each pair shares other members.
static enum ley_status check_mixed(const struct ley_report *report, const struct ley_result *now) {
    for (int i = 0; i < report->n_results; i++) {
        const struct ley_result *before = &report->result[i];
        LEY_TRY(compare_group(now, before, "hardware", "chip"));
        if (has_model(now) && has_model(before)) {
            LEY_TRY(compare_group(now, before, "shape", "model"));
        }
        if (now->kind == LEY_RESULT_PERPLEXITY && before->kind == LEY_RESULT_PERPLEXITY) {
            LEY_TRY(compare_text(now, before));
        }
    }
    return LEY_OK;
}

enum ley_status ley_report_add(struct ley_report *report, const char *path, const char *text,
                               size_t n) {
    if (report->n_results == LEY_MAX_RESULTS) {
        return ley_fail(LEY_E_ARGUMENT, "%s is one result too many: a report takes %d", path,
                        LEY_MAX_RESULTS);
    }
    struct ley_result *result = &report->result[report->n_results];
    LEY_TRY(ley_result_read(result, path, text, n));
    for (int i = 0; i < report->n_results; i++) {
        if (report->result[i].hash == result->hash && report->result[i].n_bytes == n) {
            ley_result_destroy(result);
            return LEY_OK;
        }
    }
    enum ley_status status = check_mixed(report, result);
    if (status == LEY_OK) {
        report->n_results++;
    } else {
        ley_result_destroy(result);
    }
    return status;
}

void ley_report_destroy(struct ley_report *report) {
    for (int i = 0; i < report->n_results; i++) {
        ley_result_destroy(&report->result[i]);
    }
    report->n_results = 0;
}

// ---- for sections

const struct ley_result *ley_report_find(const struct ley_report *report, enum ley_result_kind kind,
                                         int nth) {
    for (int i = 0; i < report->n_results; i++) {
        if (report->result[i].kind == kind && nth-- == 0) {
            return &report->result[i];
        }
    }
    return NULL;
}

const struct ley_result *ley_report_with(const struct ley_report *report, const char *key,
                                         int start) {
    for (int i = start; i < report->n_results; i++) {
        if (cJSON_GetObjectItemCaseSensitive(report->result[i].json, key)) {
            return &report->result[i];
        }
    }
    return NULL;
}

const char *ley_variant_name(const struct ley_result *result) {
    const char *origin = ley_json_text(result->json, "scalers", "");
    if (strcmp(ley_json_text(result->json, "hw", ""), "digital") == 0) {
        return "digital";
    }
    return strncmp(origin, "calibrated", 10) == 0 ? "mapped" : *origin ? origin : "analog";
}

// The place of a result in tables.
static int rank_of(const struct ley_result *result) {
    static const char *const order[] = {"digital", "mapped", "matched", "adapted"};
    int rank = 0;
    while (rank < 4 && strcmp(ley_variant_name(result), order[rank]) != 0) {
        rank++;
    }
    return rank;
}

// Inserted one by one: results of one rank stay in their order.
int ley_report_perplexities(const struct ley_result *all[LEY_MAX_RESULTS],
                            const struct ley_report *report) {
    const struct ley_result *result;
    int n = 0;
    for (; (result = ley_report_find(report, LEY_RESULT_PERPLEXITY, n)); n++) {
        int at = n;
        for (; at > 0 && rank_of(all[at - 1]) > rank_of(result); at--) {
            all[at] = all[at - 1];
        }
        all[at] = result;
    }
    return n;
}

int ley_report_group(const struct ley_report *report) {
    for (int i = 0; i < report->n_results; i++) {
        const struct cJSON *shape = ley_json_object(report->result[i].json, "shape");
        double ratio = ley_json_number(shape, "n_heads") / ley_json_number(shape, "n_kv_heads");
        if (ratio >= 1 && ratio <= 1024) {
            return (int)ratio;
        }
    }
    return 1;
}

void ley_plot_block(struct ley_markup *script, const char *name) {
    ley_markup_format(script, "$%s << EOD\n", name);
}

// As many lines as the shortest list has.
void ley_plot_columns(struct ley_markup *script, const struct cJSON *json, const char *const *key,
                      const double *scale, int n_columns) {
    const struct cJSON *at[8] = {NULL};
    for (int i = 0; i < n_columns && i < 8; i++) {
        const struct cJSON *list = ley_json_list(json, key[i]);
        at[i] = list ? list->child : NULL;
    }
    for (;;) {
        for (int i = 0; i < n_columns; i++) {
            if (!at[i]) {
                return;
            }
        }
        for (int i = 0; i < n_columns; i++) {
            ley_markup_format(script, "%.7g%s", scale[i] * at[i]->valuedouble,
                              i + 1 < n_columns ? " " : "\n");
            at[i] = at[i]->next;
        }
    }
}

// ---- the page

static const struct {
    const char *id, *title;
    ley_section *write;
} sections[] = {
    {"quality", "How well the model predicts", ley_section_quality},
    {"tasks", "Benchmark tasks", ley_section_tasks},
    {"training", "Adaptation", ley_section_training},
    {"cell", "The memory cell", ley_section_cell},
    {"timing", "One token in time", ley_section_timing},
    {"cost", "Energy, latency, area", ley_section_cost},
    {"rivals", "Against other hardware", ley_section_rivals},
    {"signals", "Signals inside the chip", ley_section_signals},
    {"events", "What happened on the chip", ley_section_events},
    {"samples", "Texts", ley_section_samples},
    {"speed", "Speed of the simulator", ley_section_speed},
    {"sources", "Configuration, versions, inputs", ley_section_sources},
};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] };

// Sections into `body`; a bit of *shown for each that has something to show.
static enum ley_status write_sections(struct ley_page *body, unsigned *shown,
                                      const struct ley_report *report) {
    for (int i = 0; i < N_SECTIONS; i++) {
        size_t start = body->text.n;
        ley_page_section(body, sections[i].id, sections[i].title);
        size_t empty = body->text.n;
        LEY_TRY(sections[i].write(body, report));
        if (body->text.n == empty) {
            body->text.n = start; // nothing to show
        } else {
            ley_page_section_end(body);
            *shown |= 1u << i;
        }
    }
    return ley_markup_check(&body->text);
}

// One number that a reader wants first.
static void write_fact(struct ley_markup *out, double value, const char *unit,
                       const char *meaning) {
    if (isfinite(value)) {
        ley_markup_format(out, "<div><b>");
        ley_markup_quantity(out, value, unit);
        ley_markup_format(out, "</b><span>");
        ley_markup_escape(out, meaning);
        ley_markup_format(out, "</span></div>\n");
    }
}

static void write_facts(struct ley_markup *out, const struct ley_report *report) {
    const struct ley_result *all[LEY_MAX_RESULTS];
    int n = ley_report_perplexities(all, report);
    ley_markup_format(out, "<div class=\"facts\">\n");
    for (int i = 0; i < n && i < 4; i++) {
        char meaning[64];
        snprintf(meaning, sizeof meaning, "perplexity, %s", ley_variant_name(all[i]));
        write_fact(out, ley_json_number(all[i]->json, "perplexity"), "", meaning);
    }
    const struct ley_result *result = ley_report_find(report, LEY_RESULT_COST, 0);
    const struct cJSON *cost = result ? result->json : NULL;
    write_fact(out, ley_json_number(cost, "latency_per_layer_s"), "s", "attention of a layer");
    write_fact(out, ley_json_number(cost, "energy_per_head_j"), "J", "a head and token");
    write_fact(out, ley_json_number(cost, "area_per_head_m2"), "m2", "a bank (key-value head)");
    ley_markup_format(out, "</div>\n");
}

static void write_contents(struct ley_markup *out, unsigned shown) {
    ley_markup_format(out, "<nav>");
    for (int i = 0; i < N_SECTIONS; i++) {
        if (shown & 1u << i) {
            ley_markup_format(out, "<a href=\"#%s\">%s</a>\n", sections[i].id, sections[i].title);
        }
    }
    ley_markup_format(out, "</nav>\n</header>\n<main>\n");
}

// The body comes first: the list at the top names what it contains.
enum ley_status ley_report_write(struct ley_markup *out, const struct ley_report *report,
                                 const char *title) {
    struct ley_page body = {0}, page = {0};
    unsigned shown = 0;
    enum ley_status status = write_sections(&body, &shown, report);
    if (status == LEY_OK) {
        ley_page_begin(&page, title);
        write_facts(&page.text, report);
        write_contents(&page.text, shown);
        ley_markup_bytes(&page.text, body.text.text, body.text.n);
        ley_markup_format(&page.text, "</main>\n");
        ley_page_end(&page);
        ley_markup_bytes(out, page.text.n ? page.text.text : "", page.text.n);
        status = ley_markup_check(&page.text);
    }
    ley_page_destroy(&body);
    ley_page_destroy(&page);
    LEY_TRY(status);
    return ley_markup_check(out);
}

void ley_plot_curve_by_position(struct ley_markup *script, struct ley_markup *plot, int colour,
                                const struct cJSON *bins, const char *key, const char *name) {
    const struct cJSON *bin;
    ley_markup_format(script, "$curve%d << EOD\n", colour);
    cJSON_ArrayForEach(bin, bins) {
        // The middle of a bin on an axis of powers of two.
        double place = sqrt(ley_json_number(bin, "first") * ley_json_number(bin, "last"));
        ley_markup_format(script, "%.7g %.7g\n", place, ley_json_number(bin, key));
    }
    ley_markup_format(script, "EOD\n");
    ley_markup_format(plot, "%s$curve%d u 1:2 w lp lw 2 pt 7 ps 0.5 lc rgb '#%02d0102' t ",
                      plot->n ? ", " : "plot ", colour, colour);
    ley_plot_text(plot, name, 24);
}

void ley_plot_by_position(struct ley_markup *script, struct ley_markup *plot, const char *y_label) {
    ley_markup_format(script,
                      "set logscale x 2\nset xlabel 'tokens seen before'\nset ylabel '%s'\n%s\n",
                      y_label, plot->n ? plot->text : "");
    ley_markup_destroy(plot);
}
