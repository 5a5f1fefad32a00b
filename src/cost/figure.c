// figure.c - a list of named numbers, and a small evaluator of formulas over them
//
// Recursive descent: sum = product (+|- product)*, product = factor (*|/ factor)*, factor = number,
// key, function or (sum). Keys are looked up from the end of the list, where the newest are; a few
// hundred figures need no index.
#include "cost/figure.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "core/nearest.h"

enum { MAX_FIGURES = 768 };

struct ley_figures {
    int n;
    struct ley_figure row[MAX_FIGURES];
};

// Half a megabyte: room for all that Leyden adds, so that nothing after it can fail.
enum ley_status ley_figures_create(struct ley_figures **figures) {
    *figures = ley_alloc(1, sizeof **figures);
    return *figures ? LEY_OK : ley_fail_memory("figures", 1, sizeof **figures);
}

void ley_figures_destroy(struct ley_figures *figures) {
    ley_free(figures);
}

// The next row, with all but its values.
static struct ley_figure *add(struct ley_figures *figures, const char *key, const char *unit,
                              const char *formula, const char *source) {
    LEY_ASSERT(figures->n < MAX_FIGURES && !ley_figures_find(figures, key));
    struct ley_figure *figure = &figures->row[figures->n];
    LEY_ASSERT(strlen(key) < sizeof figure->key && strlen(formula) < sizeof figure->formula);
    snprintf(figure->key, sizeof figure->key, "%s", key);
    snprintf(figure->unit, sizeof figure->unit, "%s", unit);
    snprintf(figure->formula, sizeof figure->formula, "%s", formula);
    snprintf(figure->source, sizeof figure->source, "%s", source);
    return figure;
}

void ley_figures_give(struct ley_figures *figures, const char *key, const char *unit, double value,
                      double low, double high, const char *source) {
    struct ley_figure *figure = add(figures, key, unit, "", source);
    figure->value[LEY_STATED] = value;
    figure->value[LEY_LOW] = low;
    figure->value[LEY_HIGH] = high;
    figures->n++;
}

const struct ley_figure *ley_figures_all(const struct ley_figures *figures, int *n_figures) {
    *n_figures = figures->n;
    return figures->row;
}

// From the end: formulas mostly name what is new.
const struct ley_figure *ley_figures_find(const struct ley_figures *figures, const char *key) {
    for (int i = figures->n - 1; i >= 0; i--) {
        if (strcmp(figures->row[i].key, key) == 0) {
            return &figures->row[i];
        }
    }
    return NULL;
}

double ley_figures_value(const struct ley_figures *figures, const char *key) {
    const struct ley_figure *figure = ley_figures_find(figures, key);
    LEY_ASSERT(figure);
    return figure->value[LEY_STATED];
}

// ---- formulas

// A place in a formula and what its names mean.
struct reader {
    const char *at;
    const struct ley_figures *figures;
    int corner;
};

// Spaces stand anywhere between signs.
static void skip_spaces(struct reader *reader) {
    while (*reader->at == ' ') {
        reader->at++;
    }
}

// True, and past it, when the next sign is c.
static bool takes(struct reader *reader, char c) {
    skip_spaces(reader);
    bool is_next = *reader->at == c;
    reader->at += is_next;
    return is_next;
}

// Characters of the name at `text`: a letter, then letters, digits, points, underscores.
static size_t name_length(const char *text) {
    size_t n = 0;
    if (islower((unsigned char)text[0])) {
        while (islower((unsigned char)text[n]) || isdigit((unsigned char)text[n]) ||
               text[n] == '.' || text[n] == '_') {
            n++;
        }
    }
    return n;
}

static double read_sum(struct reader *reader);

// A function of one or two arguments, after its name.
static double read_call(struct reader *reader, const char *name) {
    double a = read_sum(reader), b = 0;
    bool has_two = takes(reader, ',');
    if (has_two) {
        b = read_sum(reader);
    }
    LEY_ASSERT(takes(reader, ')'));
    if (strcmp(name, "max") == 0 && has_two) {
        return fmax(a, b);
    }
    if (strcmp(name, "min") == 0 && has_two) {
        return fmin(a, b);
    }
    LEY_ASSERT(!has_two && (strcmp(name, "floor") == 0 || strcmp(name, "ceil") == 0));
    return strcmp(name, "floor") == 0 ? floor(a) : ceil(a);
}

// A number, a key, a call, or a sum in brackets.
static double read_factor(struct reader *reader) {
    char name[80];
    skip_spaces(reader);
    if (takes(reader, '(')) {
        double inner = read_sum(reader);
        LEY_ASSERT(takes(reader, ')'));
        return inner;
    }
    size_t n = name_length(reader->at);
    if (n == 0) {
        char *end;
        double number = strtod(reader->at, &end);
        LEY_ASSERT(end != reader->at);
        reader->at = end;
        return number;
    }
    LEY_ASSERT(n < sizeof name);
    memcpy(name, reader->at, n);
    name[n] = '\0';
    reader->at += n;
    if (takes(reader, '(')) {
        return read_call(reader, name);
    }
    const struct ley_figure *figure = ley_figures_find(reader->figures, name);
    LEY_ASSERT(figure);
    return figure->value[reader->corner];
}

// Left to right, as read_sum.
static double read_product(struct reader *reader) {
    double product = read_factor(reader);
    for (;;) {
        if (takes(reader, '*')) {
            product *= read_factor(reader);
        } else if (takes(reader, '/')) {
            product /= read_factor(reader);
        } else {
            return product;
        }
    }
}

// Left to right: the order of evaluation is the order of writing.
static double read_sum(struct reader *reader) {
    double sum = read_product(reader);
    for (;;) {
        if (takes(reader, '+')) {
            sum += read_product(reader);
        } else if (takes(reader, '-')) {
            sum -= read_product(reader);
        } else {
            return sum;
        }
    }
}

// The whole formula at each corner.
void ley_figures_derive(struct ley_figures *figures, const char *key, const char *unit,
                        const char *formula, const char *source) {
    struct ley_figure *figure = add(figures, key, unit, formula, source);
    for (int corner = 0; corner < LEY_N_CORNERS; corner++) {
        struct reader reader = {formula, figures, corner};
        figure->value[corner] = read_sum(&reader);
        skip_spaces(&reader);
        LEY_ASSERT(*reader.at == '\0');
    }
    figures->n++;
}

// ---- explanations

// Writes the formula with each key replaced by its value.
static void print_numbers(FILE *out, const struct ley_figures *figures, const char *formula) {
    while (*formula) {
        size_t n = name_length(formula);
        char name[80];
        snprintf(name, sizeof name, "%.*s", (int)n, formula);
        const struct ley_figure *figure = n ? ley_figures_find(figures, name) : NULL;
        if (figure) {
            fprintf(out, "%.6g", figure->value[LEY_STATED]);
        } else if (n) {
            fputs(name, out);
        } else {
            // A number is copied whole: its exponent is no name.
            char *end;
            n = isdigit((unsigned char)*formula) && strtod(formula, &end) >= 0
                    ? (size_t)(end - formula)
                    : 1;
            fprintf(out, "%.*s", (int)n, formula);
        }
        formula += n;
    }
}

// A line for the value, two for a formula, one for the source.
static void explain_one(FILE *out, const struct ley_figures *figures,
                        const struct ley_figure *figure) {
    double value = figure->value[LEY_STATED], low = figure->value[LEY_LOW];
    double high = figure->value[LEY_HIGH];
    fprintf(out, "%s = %.6g%s%s", figure->key, value, *figure->unit ? " " : "", figure->unit);
    if (low != value || high != value) {
        fprintf(out, "  (%.3g, %.3g with every given number low, high)", low, high);
    }
    if (*figure->formula) {
        fprintf(out, "\n    = %s\n    = ", figure->formula);
        print_numbers(out, figures, figure->formula);
    }
    fprintf(out, "\n    %s\n", figure->source);
}

// Depth first, so that each figure stands before what it follows from.
static void explain_all(FILE *out, const struct ley_figures *figures, int i, bool *is_done) {
    const struct ley_figure *figure = &figures->row[i];
    if (is_done[i]) {
        return;
    }
    is_done[i] = true;
    explain_one(out, figures, figure);
    for (const char *at = figure->formula; *at;) {
        size_t n = name_length(at);
        char name[80];
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        const struct ley_figure *part = n ? ley_figures_find(figures, name) : NULL;
        if (part) {
            explain_all(out, figures, (int)(part - figures->row), is_done);
        }
        at += n ? n : 1;
    }
}

// Keys that `key` begins, or the nearest.
static enum ley_status fail_unknown(const struct ley_figures *figures, const char *key) {
    char begun[400] = "";
    const char *nearest = "";
    int distance = INT_MAX;
    for (int i = 0; i < figures->n; i++) {
        const char *known = figures->row[i].key;
        size_t n = strlen(begun);
        if (*key && strncmp(known, key, strlen(key)) == 0 && n + 90 < sizeof begun) {
            snprintf(begun + n, sizeof begun - n, "%s%s", n ? ", " : "", known);
        }
        if (ley_edit_distance(known, key) < distance) {
            distance = ley_edit_distance(known, key);
            nearest = known;
        }
    }
    return *begun
               ? ley_fail(LEY_E_ARGUMENT, "no figure is called '%.80s'; it begins %s", key, begun)
               : ley_fail(LEY_E_ARGUMENT, "no figure is called '%.80s'; the nearest is '%s'", key,
                          nearest);
}

// Each figure once, however often it is named.
enum ley_status ley_figures_explain(FILE *out, const struct ley_figures *figures, const char *key) {
    bool is_done[MAX_FIGURES] = {false};
    const struct ley_figure *figure = ley_figures_find(figures, key);
    if (!figure) {
        return fail_unknown(figures, key);
    }
    explain_all(out, figures, (int)(figure - figures->row), is_done);
    return LEY_OK;
}

// Infinity, which JSON lacks, becomes null.
struct cJSON *ley_figures_json(const struct ley_figures *figures) {
    struct cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < figures->n; i++) {
        const struct ley_figure *figure = &figures->row[i];
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "key", figure->key);
        cJSON_AddNumberToObject(row, "value", figure->value[LEY_STATED]);
        cJSON_AddNumberToObject(row, "low", figure->value[LEY_LOW]);
        cJSON_AddNumberToObject(row, "high", figure->value[LEY_HIGH]);
        cJSON_AddStringToObject(row, "unit", figure->unit);
        cJSON_AddStringToObject(row, "formula", figure->formula);
        cJSON_AddStringToObject(row, "source", figure->source);
        cJSON_AddItemToArray(list, row);
    }
    return list;
}
