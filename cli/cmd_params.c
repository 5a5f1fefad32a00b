// cmd_params.c - leyden params: every parameter of the hardware, or of the technology
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "session.h"

static const struct command command = {
    "params", "params [--technology] [--json|--markdown] [KEY]",
    "Lists hardware parameters: key, default, unit, range, meaning, and where MODEL.md derives it; "
    "or, with\n"
    "--technology, prices of events, areas and the digital rest, with the range and the source of "
    "the\n"
    "paper technology. KEY shows only keys that contain it.",
    ""};

// What a value may be, in words fit for a table cell.
static void print_range(char *out, size_t n_out, const struct ley_param *row) {
    if (row->type == LEY_PARAM_ENUM) {
        snprintf(out, n_out, "%s", row->choices);
    } else if (row->type == LEY_PARAM_PATH) {
        snprintf(out, n_out, "path");
    } else {
        snprintf(out, n_out, "%g..%g", row->low, row->high);
    }
}

// One line a parameter, for a terminal.
static void print_text(const struct ley_param *row, const char *range) {
    printf("%-22s %-18s %-6s %-24s %s [%s]\n", row->key, row->default_value, row->unit, range,
           row->doc, row->source);
}

// A row of docs/PARAMS.md; '|' of choices would end a cell.
static void print_markdown(const struct ley_param *row, const char *range) {
    printf("| `%s` | %s | %s | ", row->key, row->default_value, row->unit);
    for (const char *c = range; *c; c++) {
        printf(*c == '|' ? "\\%c" : "%c", *c);
    }
    printf(" | %s | %s |\n", row->doc, row->source);
}

// By hand: texts of the table hold nothing that JSON would have to escape.
static void print_json(const struct ley_param *row, bool is_first) {
    printf("%s\n  {\"key\": \"%s\", \"default\": \"%s\", \"unit\": \"%s\", ", is_first ? "" : ",",
           row->key, row->default_value, row->unit);
    if (row->type == LEY_PARAM_ENUM) {
        printf("\"choices\": \"%s\", ", row->choices);
    } else if (row->type != LEY_PARAM_PATH) {
        printf("\"low\": %.17g, \"high\": %.17g, ", row->low, row->high);
    }
    printf("\"doc\": \"%s\", \"model\": \"%s\"}", row->doc, row->source);
}

// A row of docs/TECHNOLOGY.md.
static void print_source(const struct ley_param *row, const struct ley_param_note *note) {
    printf("| `%s` | %s | %s | %g .. %g | %s (%s) | %s |\n", row->key, row->default_value,
           row->unit, note->low, note->high, row->doc, row->source, note->source);
}

// How to print, and which rows.
struct listing {
    bool is_technology, json, markdown;
    struct text_list filter;
};

// The frame of a list or a table, around rows that are printed one by one.
static void print_head(const struct listing *list) {
    const char *table = list->is_technology
                            ? "| number | `paper` | unit | low .. high | meaning | source |\n"
                            : "| parameter | default | unit | range | meaning | MODEL.md |\n";
    if (list->json) {
        printf("[");
    } else if (list->markdown) {
        printf("%s|---|---|---|---|---|---|\n", table);
    }
}

// The filter is a part of a key: "cell." lists a group, "tau" a parameter. Returns how many.
static int print_rows(const struct listing *list, const struct ley_param_table *table,
                      const struct ley_param_note *notes) {
    int n_shown = 0;
    for (int i = 0; i < table->n_rows; i++) {
        const struct ley_param *row = &table->rows[i];
        char range[128];
        if (list->filter.n > 0 && !strstr(row->key, list->filter.text[0])) {
            continue;
        }
        print_range(range, sizeof range, row);
        if (list->json) {
            print_json(row, n_shown == 0);
        } else if (list->markdown && list->is_technology) {
            print_source(row, &notes[i]);
        } else if (list->markdown) {
            print_markdown(row, range);
        } else {
            print_text(row, range);
        }
        n_shown++;
    }
    return n_shown;
}

// An empty list is still a list; the exit code tells that nothing matched.
int cmd_params(int argc, char **argv) {
    struct listing list = {0};
    const struct option_row rows[] = {
        {"technology", 0, OPTION_FLAG, &list.is_technology, NULL, "prices and areas instead"},
        {"json", 0, OPTION_FLAG, &list.json, NULL, "for machines"},
        {"markdown", 0, OPTION_FLAG, &list.markdown, NULL,
         "as the table in docs/PARAMS.md or docs/TECHNOLOGY.md"},
    };
    int result = options_parse(argc, argv, &command, rows, 3, &list.filter);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    struct ley_technology_file file = {0};
    if (list.is_technology && ley_technology_init(&file) != LEY_OK) {
        return session_fail("params", LEY_E_FORMAT);
    }
    print_head(&list);
    int n_shown = print_rows(
        &list, list.is_technology ? ley_technology_params() : ley_hardware_params(), file.note);
    printf(list.json ? "\n]\n" : "");
    if (n_shown == 0) {
        fprintf(stderr, "leyden params: no key contains '%s'; leyden params lists all\n",
                list.filter.text[0]);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}
