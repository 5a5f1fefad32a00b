// param.c - one table of parameters serves parsing, bounds, printing and help
#include "core/param.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/nearest.h"

// Address of a row's field inside a spec.
static void *field_of(const struct ley_param *row, void *spec) {
    return (char *)spec + row->offset;
}

static const void *const_field_of(const struct ley_param *row, const void *spec) {
    return (const char *)spec + row->offset;
}

// Index of `value` among "a|b|c", or -1.
static int choice_index(const char *choices, const char *value) {
    size_t n = strlen(value);
    int index = 0;
    // Walks the list without copying it; c ends as NULL after the last choice.
    for (const char *c = choices; c; index++) {
        const char *end = strchr(c, '|');
        size_t length = end ? (size_t)(end - c) : strlen(c);
        if (n == length && memcmp(c, value, n) == 0) {
            return index;
        }
        c = end ? end + 1 : NULL;
    }
    return -1;
}

// Writes the index-th of "a|b|c".
static void choice_text(char *out, size_t n_out, const char *choices, int index) {
    const char *c = choices;
    for (; index > 0 && c; index--) {
        c = strchr(c, '|');
        c = c ? c + 1 : NULL;
    }
    LEY_ASSERT(c);
    snprintf(out, n_out, "%.*s", (int)strcspn(c, "|"), c);
}

// Numbers must be the whole text ("5ms" is a mistake, not 5) and within bounds; nothing is stored
// unless all is well.
static enum ley_status set_number(const struct ley_param *row, void *field, const char *value) {
    char *end;
    // strtod skips leading space and takes "inf": spaces are refused here, infinity by the bounds.
    errno = 0;
    double x = strtod(value, &end);
    if (end == value || *end != '\0' || isspace((unsigned char)*value) || isnan(x)) {
        return ley_fail(LEY_E_ARGUMENT, "%s is '%s', must be a number; see leyden params %s",
                        row->key, value, row->key);
    }
    // The message carries bounds and unit: what a person needs next.
    if (x < row->low || x > row->high) {
        return ley_fail(LEY_E_ARGUMENT, "%s is %s, must be %g..%g%s%s; see leyden params %s",
                        row->key, value, row->low, row->high, *row->unit ? " " : "", row->unit,
                        row->key);
    }
    if (row->type == LEY_PARAM_INT) {
        if (x != floor(x)) {
            return ley_fail(LEY_E_ARGUMENT, "%s is %s, must be a whole number", row->key, value);
        }
        // Within an int: the bounds of an INT row are those of an int.
        *(int *)field = (int)x;
    } else {
        *(double *)field = x;
    }
    return LEY_OK;
}

// One value of any type from text.
// Nothing of spec changes unless the value is good.
static enum ley_status set_field(const struct ley_param *row, void *spec, const char *value) {
    void *field = field_of(row, spec);
    if (row->type == LEY_PARAM_ENUM) {
        int index = choice_index(row->choices, value);
        if (index < 0) {
            return ley_fail(LEY_E_ARGUMENT, "%s is '%s', must be one of %s", row->key, value,
                            row->choices);
        }
        *(int *)field = index;
        return LEY_OK;
    }
    if (row->type == LEY_PARAM_PATH) {
        if (strlen(value) >= LEY_PATH_BYTES) {
            return ley_fail(LEY_E_ARGUMENT, "%s: the path is longer than %d bytes", row->key,
                            LEY_PATH_BYTES - 1);
        }
        memset(field, 0, LEY_PATH_BYTES); // specs are compared and hashed as bytes
        memcpy(field, value, strlen(value));
        return LEY_OK;
    }
    return set_number(row, field, value);
}

// A default that its own row refuses is a mistake in the .def file, found by any test.
void ley_params_init(const struct ley_param_table *table, void *spec) {
    for (int i = 0; i < table->n_rows; i++) {
        enum ley_status status = set_field(&table->rows[i], spec, table->rows[i].default_value);
        LEY_ASSERT(status == LEY_OK);
    }
}

// A linear search over some thirty rows, at set-up only.
int ley_params_find(const struct ley_param_table *table, const char *key) {
    for (int i = 0; i < table->n_rows; i++) {
        if (strcmp(table->rows[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

// A key that begins like a known one is taken for it cut short; otherwise the fewest edits decide.
static enum ley_status fail_unknown(const struct ley_param_table *table, const char *key) {
    const char *nearest = NULL;
    int distance = INT_MAX;
    for (int i = 0; i < table->n_rows; i++) {
        bool is_start = *key && strncmp(table->rows[i].key, key, strlen(key)) == 0;
        int d = is_start ? 0 : ley_edit_distance(table->rows[i].key, key);
        if (d < distance) {
            distance = d;
            nearest = table->rows[i].key;
        }
    }
    return ley_fail(LEY_E_ARGUMENT, "unknown parameter '%.80s'; the nearest known one is '%s'", key,
                    nearest);
}

// An unknown key is the likeliest mistake, so its message names the nearest one.
enum ley_status ley_params_set(const struct ley_param_table *table, void *spec, const char *key,
                               const char *value) {
    int i = ley_params_find(table, key);
    return i >= 0 ? set_field(&table->rows[i], spec, value) : fail_unknown(table, key);
}

enum ley_status ley_params_set_pair(const struct ley_param_table *table, void *spec,
                                    const char *pair) {
    // The first '=' splits: values may hold more of them, keys may not.
    const char *equals = strchr(pair, '=');
    char key[128];
    if (!equals || (size_t)(equals - pair) >= sizeof key) {
        return ley_fail(LEY_E_ARGUMENT, "'%.80s' is not key=value, for example cell.tau_s=5e-3",
                        pair);
    }
    memcpy(key, pair, (size_t)(equals - pair));
    key[equals - pair] = '\0';
    return ley_params_set(table, spec, key, equals + 1);
}

// Enums give their index.
double ley_param_number(const struct ley_param *row, const void *spec) {
    const void *field = const_field_of(row, spec);
    LEY_ASSERT(row->type != LEY_PARAM_PATH);
    // ENUM and INT are both ints.
    return row->type == LEY_PARAM_REAL ? *(const double *)field : (double)*(const int *)field;
}

void ley_param_format(char *out, size_t n_out, const struct ley_param *row, const void *spec) {
    const void *field = const_field_of(row, spec);
    switch (row->type) {
    case LEY_PARAM_REAL: // shortest text that reads back to the same double
        // 6 digits are enough for what people write; 17 always are.
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(out, n_out, "%.*g", digits, *(const double *)field);
            if (strtod(out, NULL) == *(const double *)field) {
                break;
            }
        }
        break;
    case LEY_PARAM_INT:
        snprintf(out, n_out, "%d", *(const int *)field);
        break;
    case LEY_PARAM_ENUM:
        choice_text(out, n_out, row->choices, *(const int *)field);
        break;
    case LEY_PARAM_PATH:
        snprintf(out, n_out, "%s", (const char *)field);
        break;
    }
}

// NULL from cJSON passes through: its functions accept a NULL object.
struct cJSON *ley_params_json(const struct ley_param_table *table, const void *spec) {
    struct cJSON *object = cJSON_CreateObject();
    for (int i = 0; i < table->n_rows; i++) {
        const struct ley_param *row = &table->rows[i];
        // Numbers as numbers; choices and paths as the text that sets them.
        if (row->type == LEY_PARAM_REAL || row->type == LEY_PARAM_INT) {
            cJSON_AddNumberToObject(object, row->key, ley_param_number(row, spec));
        } else {
            char value[LEY_PATH_BYTES];
            ley_param_format(value, sizeof value, row, spec);
            cJSON_AddStringToObject(object, row->key, value);
        }
    }
    return object;
}

// Groups come out in the order of the table, so a table keeps the rows of a group together.
void ley_params_print_yaml(FILE *out, const struct ley_param_table *table, const void *spec) {
    const char *group = "";
    for (int i = 0; i < table->n_rows; i++) {
        const struct ley_param *row = &table->rows[i];
        size_t n_group = strcspn(row->key, ".");
        // A new group starts where the part before the point changes.
        if (strncmp(group, row->key, n_group + 1) != 0) {
            fprintf(out, "%.*s:\n", (int)n_group, row->key);
            group = row->key;
        }
        char value[LEY_PATH_BYTES];
        ley_param_format(value, sizeof value, row, spec);
        const char *quote = row->type == LEY_PARAM_PATH ? "\"" : "";
        fprintf(out, "  %s: %s%s%s\n", row->key + n_group + 1, quote, value, quote);
    }
}
