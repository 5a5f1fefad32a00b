// options.c - a small parser of long and short options, driven by a table
//
// Accepts --name value, --name=value, -x value and -xvalue. A mistake is told in one line with the
// nearest known option.
#include "options.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nearest.h"

// The same rows that parse the options describe them.
static void print_help(const struct command *command, const struct option_row *rows, int n_rows) {
    printf("usage: leyden %s\n\n%s\n\noptions:\n", command->usage, command->summary);
    for (int i = 0; i < n_rows; i++) {
        char left[64], letter[8] = "    ";
        if (rows[i].letter) {
            snprintf(letter, sizeof letter, "-%c, ", rows[i].letter);
        }
        // "-x, --name ARG" on the left, help on the right; options without a letter are indented.
        snprintf(left, sizeof left, "%s--%s%s%s", letter, rows[i].name, rows[i].argument ? " " : "",
                 rows[i].argument ? rows[i].argument : "");
        printf("  %-30s %s\n", left, rows[i].help);
    }
    printf("  %-30s %s\n", "-h, --help", "print this text");
    if (*command->details) {
        printf("\n%s\n", command->details);
    }
}

// The nearest by edit distance; n_name cuts off "=value".
static int fail_unknown(const struct command *command, const struct option_row *rows, int n_rows,
                        const char *name, int n_name) {
    char word[64];
    snprintf(word, sizeof word, "%.*s", n_name, name);
    // The answer for an empty table: --help is an option of every command.
    const char *nearest = "help";
    int best = INT_MAX;
    for (int i = 0; i < n_rows; i++) {
        int distance = ley_edit_distance(rows[i].name, word);
        if (distance < best) {
            best = distance;
            nearest = rows[i].name;
        }
    }
    fprintf(stderr, "leyden %s: unknown option --%s; did you mean --%s? (--help lists all)\n",
            command->name, word, nearest);
    return 2;
}

// Puts one value where its row says; a mistake names option, value and what it must be.
static int store(const struct command *command, const struct option_row *row, const char *text) {
    char *end = NULL;
    double number = 0;
    bool is_bad = false;
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)row->value = true;
        break;
    case OPTION_TEXT:
        *(const char **)row->value = text;
        break;
    case OPTION_REPEAT: {
        // A list of fixed room, whose texts stay in argv.
        struct text_list *list = row->value;
        is_bad = list->n == (int)(sizeof list->text / sizeof list->text[0]);
        if (!is_bad) {
            list->text[list->n++] = text;
        }
        break;
    }
    default:
        // Both kinds of number: text behind the number, infinity and NaN are mistakes.
        number = strtod(text, &end);
        is_bad = end == text || *end || !isfinite(number);
        if (row->kind == OPTION_REAL) {
            *(double *)row->value = number;
        } else if (!is_bad && number == floor(number) && fabs(number) <= INT_MAX) {
            *(int *)row->value = (int)number;
        } else {
            is_bad = true;
        }
    }
    if (is_bad) {
        fprintf(stderr, "leyden %s: --%s is '%s', must be %s\n", command->name, row->name, text,
                row->kind == OPTION_REPEAT ? "given at most 64 times"
                : row->kind == OPTION_INT  ? "a whole number"
                                           : "a finite number");
        return 2;
    }
    return 0;
}

// The row of "--name", "--name=value", "-x" or "-xvalue"; *attached is the value in the same word.
static const struct option_row *find(const struct option_row *rows, int n_rows, const char *text,
                                     const char **attached) {
    *attached = NULL;
    for (int i = 0; i < n_rows; i++) {
        size_t n = strlen(rows[i].name);
        // The name must end where the word ends or where "=" begins: --ring is not --ring-size.
        if (text[1] == '-' && strncmp(text + 2, rows[i].name, n) == 0 &&
            (text[2 + n] == '\0' || text[2 + n] == '=')) {
            *attached = text[2 + n] ? text + 3 + n : NULL;
            return &rows[i];
        }
        // A letter must match alone; the rest of the word, if any, is its value.
        if (text[1] != '-' && rows[i].letter == text[1]) {
            *attached = text[2] ? text + 2 : NULL;
            return &rows[i];
        }
    }
    return NULL;
}

// Handles argv[*i] and, when it needs one, the value after it.
static int parse_option(int *i, int argc, char **argv, const struct command *command,
                        const struct option_row *rows, int n_rows) {
    const char *text = argv[*i], *attached;
    const struct option_row *row = find(rows, n_rows, text, &attached);
    if (!row) {
        // Short options show as they were written, without the second dash.
        const char *name = text + 1 + (text[1] == '-');
        return fail_unknown(command, rows, n_rows, name, (int)strcspn(name, "="));
    }
    if (row->kind == OPTION_FLAG && attached) {
        fprintf(stderr, "leyden %s: --%s takes no value\n", command->name, row->name);
        return 2;
    }
    if (row->kind != OPTION_FLAG && !attached) {
        if (*i + 1 >= argc) {
            fprintf(stderr, "leyden %s: --%s needs a value: %s\n", command->name, row->name,
                    row->argument);
            return 2;
        }
        attached = argv[++*i];
    }
    return store(command, row, attached);
}

// "-" alone is an argument: it stands for standard input. The first mistake ends it.
int options_parse(int argc, char **argv, const struct command *command,
                  const struct option_row *rows, int n_rows, struct text_list *rest) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            print_help(command, rows, n_rows);
            return 1;
        }
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            int result = parse_option(&i, argc, argv, command, rows, n_rows);
            if (result != 0) {
                return result;
            }
        } else if (rest && rest->n < (int)(sizeof rest->text / sizeof rest->text[0])) {
            rest->text[rest->n++] = argv[i];
        } else {
            fprintf(stderr, "leyden %s: unexpected argument '%s'; usage: leyden %s\n",
                    command->name, argv[i], command->usage);
            return 2;
        }
    }
    return 0;
}
