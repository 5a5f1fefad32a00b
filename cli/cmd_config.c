// cmd_config.c - leyden config: hardware descriptions, complete, checked, compared
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "session.h"

static const struct command command = {
    "config", "config show|validate|diff [--hw PRESET|FILE] [--set KEY=VALUE]... [OTHER]",
    "show      prints the complete description as YAML, overrides applied; it can be read back\n"
    "validate  checks it, the cell table included\n"
    "diff      lists what differs from OTHER, a preset or a file",
    ""};

// Everything that a run would check before it starts.
static enum ley_status validate(const struct ley_hardware *hardware) {
    struct ley_cell *cell = NULL;
    LEY_TRY(ley_hardware_check(hardware, 1));
    enum ley_status status = ley_hardware_create_cell(&cell, hardware);
    ley_cell_destroy(cell);
    return status;
}

// Both as text, the way a person would write them: equal texts are equal values.
static enum ley_status diff(const struct ley_hardware *hardware, const char *name,
                            const char *other_name) {
    struct ley_hardware other;
    const struct ley_param_table *table = ley_hardware_params();
    LEY_TRY(ley_hardware_load(&other, other_name));
    printf("%-22s %-24s %s\n", "parameter", name, other_name);
    // Every parameter of the table, in its order; equal ones are not shown.
    for (int i = 0; i < table->n_rows; i++) {
        char a[LEY_PATH_BYTES], b[LEY_PATH_BYTES];
        ley_param_format(a, sizeof a, &table->rows[i], hardware);
        ley_param_format(b, sizeof b, &table->rows[i], &other);
        if (strcmp(a, b) != 0) {
            printf("%-22s %-24s %s\n", table->rows[i].key, a, b);
        }
    }
    return LEY_OK;
}

// show and validate check what they are given; diff compares whatever loads.
int cmd_config(int argc, char **argv) {
    struct hardware_options hw = {.name = "paper"};
    struct text_list words = {0};
    const struct option_row rows[] = {HARDWARE_ROWS(hw)};
    int result = options_parse(argc, argv, &command, rows, 2, &words);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    bool is_diff = words.n == 2 && strcmp(words.text[0], "diff") == 0;
    bool is_show = words.n == 1 && strcmp(words.text[0], "show") == 0;
    if (!is_diff && !is_show && !(words.n == 1 && strcmp(words.text[0], "validate") == 0)) {
        fprintf(stderr, "leyden config: say what to do: leyden %s\n", command.usage);
        return EXIT_USAGE;
    }
    struct ley_hardware hardware;
    // Whatever is to be done, the hardware has to load with its overrides.
    enum ley_status status = session_hardware(&hardware, &hw);
    if (status == LEY_OK && !is_diff) {
        status = validate(&hardware);
    }
    if (status == LEY_OK && is_diff) {
        status = diff(&hardware, hw.name, words.text[1]);
    }
    if (status != LEY_OK) {
        return session_fail("config", status);
    }
    if (is_show) {
        ley_params_print_yaml(stdout, ley_hardware_params(), &hardware);
    } else if (!is_diff) {
        printf("%s: ok\n", hw.name);
    }
    return EXIT_OK;
}
