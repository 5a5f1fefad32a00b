// cmd_params.c - leyden params: every parameter of the hardware
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "session.h"

static const struct command command = {"params", "params [--json|--markdown] [KEY]",
                                       "Lists hardware parameters: key, default, unit, range, "
                                       "meaning, and where MODEL.md derives it.\n"
                                       "KEY shows only keys that contain it.",
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

// The filter is a part of a key: "cell." lists a group, "tau" a parameter.
int cmd_params(int argc, char **argv) {
    bool json = false, markdown = false;
    struct text_list filter = {0};
    const struct option_row rows[] = {
        {"json", 0, OPTION_FLAG, &json, NULL, "for machines"},
        {"markdown", 0, OPTION_FLAG, &markdown, NULL, "as the table in docs/PARAMS.md"},
    };
    int result = options_parse(argc, argv, &command, rows, 2, &filter);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    const struct ley_param_table *table = ley_hardware_params();
    int n_shown = 0;
    // The frame of a list or a table, around rows that are printed one by one.
    printf(json       ? "["
           : markdown ? "| parameter | default | unit | range | meaning | MODEL.md |\n"
                        "|---|---|---|---|---|---|\n"
                      : "");
    for (int i = 0; i < table->n_rows; i++) {
        const struct ley_param *row = &table->rows[i];
        if (filter.n > 0 && !strstr(row->key, filter.text[0])) {
            continue;
        }
        char range[128];
        print_range(range, sizeof range, row);
        if (json) {
            print_json(row, n_shown == 0);
        } else if (markdown) {
            print_markdown(row, range);
        } else {
            print_text(row, range);
        }
        n_shown++;
    }
    // An empty list is still a list; the exit code tells that nothing matched.
    printf(json ? "\n]\n" : "");
    if (n_shown == 0) {
        fprintf(stderr, "leyden params: no key contains '%s'; leyden params lists all\n",
                filter.text[0]);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}
