// technology.c - files of prices, areas and digital numbers
//
// The `paper` technology is the base: other files state what differs, and what they do not state
// keeps the paper's number with the paper's source.
#include "cost/technology.h"

#include <stddef.h>
#include <string.h>

#include "core/assert.h"
#include "core/datadir.h"
#include "core/file.h"
#include "core/memory.h"

enum { MAX_FILE_BYTES = 1 << 16, PATH_BYTES = 1024 };

static const struct ley_param rows[] = {
#define LEY_PRICE(event, item, part, field, default, low, high, unit, doc, source)                 \
    {"price." #field,                                                                              \
     LEY_PARAM_REAL,                                                                               \
     offsetof(struct ley_technology, price.field),                                                 \
     default,                                                                                      \
     low,                                                                                          \
     high,                                                                                         \
     NULL,                                                                                         \
     unit,                                                                                         \
     doc,                                                                                          \
     source},
#define LEY_UNPRICED(event, why)
#define LEY_PARAM(key, type, field, default, low, high, choices, unit, doc, source)                \
    {key,                                                                                          \
     LEY_PARAM_##type,                                                                             \
     offsetof(struct ley_technology, field),                                                       \
     default,                                                                                      \
     low,                                                                                          \
     high,                                                                                         \
     choices,                                                                                      \
     unit,                                                                                         \
     doc,                                                                                          \
     source},
#include "cost/price.def"

#include "cost/technology_params.def"
#undef LEY_PRICE
#undef LEY_UNPRICED
#undef LEY_PARAM
};

_Static_assert(sizeof rows / sizeof rows[0] <= LEY_MAX_NOTES, "a note for every row");

static const struct ley_param_table table = {rows, sizeof rows / sizeof rows[0]};

const struct ley_param_table *ley_technology_params(void) {
    return &table;
}

// A file that fails half way leaves its target as it was.
enum ley_status ley_technology_load(struct ley_technology_file *file, const char *name_or_path) {
    char path[PATH_BYTES], *text;
    size_t n_bytes;
    struct ley_technology_file copy = *file;
    LEY_TRY(ley_preset_path(path, sizeof path, "technology", name_or_path));
    LEY_TRY(ley_file_read(&text, &n_bytes, path, MAX_FILE_BYTES));
    enum ley_status status =
        ley_params_read_noted_yaml(&table, &copy.technology, copy.note, text, n_bytes, path);
    ley_free(text);
    LEY_TRY(status);
    *file = copy;
    return LEY_OK;
}

// Defaults only where paper.yaml says nothing, which a test forbids.
enum ley_status ley_technology_init(struct ley_technology_file *file) {
    memset(file, 0, sizeof *file);
    ley_params_init(&table, &file->technology);
    return ley_technology_load(file, "paper");
}

// The note of the row tells that a person chose the number.
enum ley_status ley_technology_set(struct ley_technology_file *file, const char *pair) {
    LEY_TRY(ley_params_set_pair(&table, &file->technology, pair));
    for (int i = 0; i < table.n_rows; i++) {
        size_t n = strlen(rows[i].key);
        if (strncmp(rows[i].key, pair, n) == 0 && pair[n] == '=') {
            double value = ley_param_number(&rows[i], &file->technology);
            file->note[i] = (struct ley_param_note){value, value, "given on the command line"};
        }
    }
    return LEY_OK;
}
