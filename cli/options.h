// options.h - command lines as tables: one row per option gives parsing and --help.
#pragma once
#include <stdbool.h>

enum option_kind {
    OPTION_FLAG,   // bool
    OPTION_TEXT,   // const char *
    OPTION_INT,    // int
    OPTION_REAL,   // double
    OPTION_REPEAT, // struct text_list, appended at each use
};

struct text_list {
    int n;
    const char *text[64];
};

struct option_row {
    const char *name; // long name, without the dashes
    char letter;      // 0: none
    enum option_kind kind;
    void *value;          // where the value goes; keeps its content when the option is not given
    const char *argument; // "FILE"; NULL for flags
    const char *help;
};

struct command {
    const char *name;
    const char *usage; // after "leyden "
    const char *summary;
    const char *details; // printed after the options; may be ""
};

// Parses argv[1..] by the rows. Positional arguments are collected in `rest` (NULL: none allowed).
// Returns 0 to go on, 1 when --help was printed, 2 after one line on stderr about a mistake.
int options_parse(int argc, char **argv, const struct command *command,
                  const struct option_row *rows, int n_rows, struct text_list *rest);
