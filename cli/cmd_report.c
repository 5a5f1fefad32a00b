// cmd_report.c - leyden report: results of other commands as one page
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "session.h"

static const struct command command = {
    "report", "report DIR|RESULT.json... -o REPORT.html [--title TEXT]",
    "One self-contained HTML page from results of cell, cost, bench, perplexity, run, attend\n"
    "(--json, redirected to files), traces (run --trace) and logs of train and adapt.",
    "A folder stands for the .json and .jsonl files in it and in the folders in it. All results "
    "must be\n"
    "of one model on one chip. Plots are drawn by gnuplot."};

enum { MAX_RESULT_BYTES = 1 << 26, MAX_DEPTH = 1 };

static enum ley_status add_bytes(struct ley_report *report, const char *path) {
    char *text;
    size_t n;
    LEY_TRY(ley_file_read(&text, &n, path, MAX_RESULT_BYTES));
    enum ley_status status = ley_report_add(report, path, text, n);
    ley_free(text);
    return status;
}

// A result and, when it is a run that names its trace, the trace: found from here, as when it ran,
// or from where the result lies.
static enum ley_status add_file(struct ley_report *report, const char *path) {
    int n_before = report->n_results;
    LEY_TRY(add_bytes(report, path));
    if (report->n_results == n_before) {
        return LEY_OK; // it was there
    }
    const char *folder = ley_json_text(report->result[n_before].json, "trace_folder", "");
    const char *slash = strrchr(path, '/');
    char trace[2][4096];
    snprintf(trace[0], sizeof trace[0], "%.2000s/trace.json", folder);
    snprintf(trace[1], sizeof trace[1], "%.*s/%.2000s/trace.json", slash ? (int)(slash - path) : 1,
             slash ? path : ".", folder);
    for (int i = 0; *folder && i < 2; i++) {
        if (ley_file_exists(trace[i])) {
            return add_bytes(report, trace[i]);
        }
    }
    return LEY_OK;
}

static bool is_folder(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

// Names that begin with a dot are hidden; unfinished files end in .tmp-<process>.
static bool is_result_name(const char *name) {
    const char *end = strrchr(name, '.');
    return name[0] != '.' && end && (strcmp(end, ".json") == 0 || strcmp(end, ".jsonl") == 0);
}

// What lies in a folder, in the order of names; *n_added counts results.
static enum ley_status add_folder(struct ley_report *report, const char *path, int depth,
                                  int *n_added) {
    struct dirent **entry;
    int n = scandir(path, &entry, NULL, alphasort);
    enum ley_status status = LEY_OK;
    if (n < 0) {
        return ley_fail(LEY_E_IO, "cannot read the folder %s: %s", path, strerror(errno));
    }
    for (int i = 0; i < n; i++) {
        char inner[4096];
        snprintf(inner, sizeof inner, "%s/%s", path, entry[i]->d_name);
        if (status == LEY_OK && entry[i]->d_name[0] != '.' && is_folder(inner)) {
            status = depth < MAX_DEPTH ? add_folder(report, inner, depth + 1, n_added) : LEY_OK;
        } else if (status == LEY_OK && is_result_name(entry[i]->d_name)) {
            status = add_file(report, inner);
            ++*n_added;
        }
        free(entry[i]);
    }
    free(entry);
    return status;
}

static enum ley_status add_all(struct ley_report *report, const struct text_list *names) {
    for (int i = 0; i < names->n; i++) {
        int n_added = 0;
        if (!is_folder(names->text[i])) {
            LEY_TRY(add_file(report, names->text[i]));
            continue;
        }
        LEY_TRY(add_folder(report, names->text[i], 0, &n_added));
        if (n_added == 0) {
            return ley_fail(LEY_E_ARGUMENT, "the folder %s holds no .json or .jsonl file",
                            names->text[i]);
        }
    }
    return LEY_OK;
}

// The name that a result gives its model, and the hardware.
static void make_title(char title[256], const struct ley_report *report) {
    const char *model = "", *hw = "";
    for (int i = 0; i < report->n_results; i++) {
        const struct cJSON *json = report->result[i].json;
        const char *name = ley_json_text(json, "model_name", "");
        const char *chip = ley_json_text(json, "hw", "");
        model = *model ? model : name;
        hw = *hw || strcmp(chip, "digital") == 0 ? hw : chip;
    }
    snprintf(title, 256, "%.100s%s%.100s", *model ? model : "Leyden", *hw ? " on " : "", hw);
}

// The page is complete before the file is touched.
static enum ley_status make_page(struct ley_report *report, const struct text_list *names,
                                 const char *path, const char *title) {
    struct ley_markup page = {0};
    char made_title[256];
    if (!path) {
        return ley_fail(LEY_E_ARGUMENT, "-o REPORT.html is missing");
    }
    if (names->n == 0) {
        return ley_fail(LEY_E_ARGUMENT, "name a folder or files of results");
    }
    LEY_TRY(add_all(report, names));
    make_title(made_title, report);
    enum ley_status status = ley_report_write(&page, report, title ? title : made_title);
    if (status == LEY_OK) {
        status = ley_file_write(path, page.text, page.n);
    }
    ley_markup_destroy(&page);
    return status;
}

int cmd_report(int argc, char **argv) {
    const char *path = NULL, *title = NULL;
    struct text_list names = {0};
    const struct option_row rows[] = {
        {"output", 'o', OPTION_TEXT, &path, "FILE", "the page"},
        {"title", 0, OPTION_TEXT, &title, "TEXT", "its title (model and hardware)"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], &names);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    struct ley_report report = {.version = LEYDEN_VERSION};
    enum ley_status status = make_page(&report, &names, path, title);
    result = status == LEY_OK ? EXIT_OK : session_fail("report", status);
    ley_report_destroy(&report);
    return result;
}
