// param.h - parameters as rows of a table: parsing, bounds, listing and presets come from it.
//
// A module describes the fields of its spec struct once, in `<module>_params.def`; every row holds
// key, type, field, default, bounds, unit and meaning. From the rows come `--set key=value`, YAML
// presets, `leyden params`, docs/PARAMS.md and the configuration echoed in every result.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

enum ley_param_type {
    LEY_PARAM_REAL, // double
    LEY_PARAM_INT,  // int
    LEY_PARAM_ENUM, // int, index into choices
    LEY_PARAM_PATH, // char[LEY_PATH_BYTES]
};

enum { LEY_PATH_BYTES = 256 };

struct ley_param {
    const char *key; // "group.name", unit as suffix of the name
    enum ley_param_type type;
    size_t offset;             // of the field in the spec struct
    const char *default_value; // as a user would write it
    double low, high;          // inclusive; ignored for ENUM and PATH
    const char *choices;       // ENUM: "linear|cubic|table"; otherwise NULL
    const char *unit;          // "" when dimensionless
    const char *doc;           // one line; says what 0 means where 0 is special
    const char *source;        // id in MODEL.md
};

struct ley_param_table {
    const struct ley_param *rows;
    int n_rows;
};

// Sets every field of `spec` to its default.
void ley_params_init(const struct ley_param_table *table, void *spec);

// Sets one field from text. Unknown key: names the nearest known one. Out of bounds: says them.
// `spec` is unchanged on failure.
LEY_MUST_CHECK enum ley_status ley_params_set(const struct ley_param_table *table, void *spec,
                                              const char *key, const char *value);

// Same, from one "key=value" text (the argument of --set).
LEY_MUST_CHECK enum ley_status ley_params_set_pair(const struct ley_param_table *table, void *spec,
                                                   const char *pair);

// Overrides fields of `spec` with those in YAML text: nested maps, {cell: {tau_s: 5e-3}} is
// cell.tau_s; a top-level `description` is accepted and ignored. `name` is used in messages.
LEY_MUST_CHECK enum ley_status ley_params_read_yaml(const struct ley_param_table *table, void *spec,
                                                    const char *text, size_t n_bytes,
                                                    const char *name);

// Writes the value of one field as text, as ley_params_set accepts it.
void ley_param_format(char *out, size_t n_out, const struct ley_param *row, const void *spec);

enum { LEY_SOURCE_BYTES = 256 };

// What a file of numbers with sources says of one number besides its value.
struct ley_param_note {
    double low, high;              // what it may be instead, in the unit of the row
    char source[LEY_SOURCE_BYTES]; // "" when no file has set it
};

// Like ley_params_read_yaml for tables of numbers whose origin matters: every number is a map
// {value, unit, low, high, source}; the unit must be that of the row, and low <= value <= high.
// notes[table->n_rows] receives the rest.
LEY_MUST_CHECK enum ley_status ley_params_read_noted_yaml(const struct ley_param_table *table,
                                                          void *spec, struct ley_param_note *notes,
                                                          const char *text, size_t n_bytes,
                                                          const char *name);

// Index of the row with this key, or -1.
int ley_params_find(const struct ley_param_table *table, const char *key);

// The value of a REAL, INT or ENUM field as a number.
double ley_param_number(const struct ley_param *row, const void *spec);

// The complete spec as a JSON object {key: value}; NULL when out of memory. The caller deletes it
// with cJSON_Delete.
struct cJSON *ley_params_json(const struct ley_param_table *table, const void *spec);

// Writes the complete spec as YAML that ley_params_read_yaml reads back to the same values.
void ley_params_print_yaml(FILE *out, const struct ley_param_table *table, const void *spec);

#ifdef __cplusplus
}
#endif
