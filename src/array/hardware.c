// hardware.c - parameters of a chip, presets, and checks that they fit together
#include "array/hardware.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "array/fixed.h"
#include "core/datadir.h"
#include "core/file.h"
#include "core/memory.h"

// Presets are a page of YAML.
enum { MAX_PRESET_BYTES = 1 << 16, NAME_BYTES = 1024 };

// The order of the files is the order of groups in help and YAML.
static const struct ley_param rows[] = {
#define LEY_PARAM(key, type, field, default, low, high, choices, unit, doc, source)                \
    {key,                                                                                          \
     LEY_PARAM_##type,                                                                             \
     offsetof(struct ley_hardware, field),                                                         \
     default,                                                                                      \
     low,                                                                                          \
     high,                                                                                         \
     choices,                                                                                      \
     unit,                                                                                         \
     doc,                                                                                          \
     source},
#include "device/cell_params.def"

#include "circuit/converter_params.def"

#include "array/array_params.def"
#undef LEY_PARAM
};

// Every parameter of the chip, expanded from the .def files of the modules.
static const struct ley_param_table table = {rows, sizeof rows / sizeof rows[0]};

const struct ley_param_table *ley_hardware_params(void) {
    return &table;
}

// A table named by a preset is first looked for beside the preset.
static enum ley_status anchor_table(struct ley_hardware *hardware, const char *preset_path) {
    const char *slash = strrchr(preset_path, '/');
    char path[NAME_BYTES * 2];
    if (hardware->cell.table_csv[0] == '/' || !slash) {
        return LEY_OK;
    }
    snprintf(path, sizeof path, "%.*s/%s", (int)(slash - preset_path), preset_path,
             hardware->cell.table_csv);
    return ley_file_exists(path) ? ley_params_set(&table, hardware, "cell.table_csv", path)
                                 : LEY_OK;
}

// Defaults first, then the file; what a file does not name keeps its default.
enum ley_status ley_hardware_load(struct ley_hardware *hardware, const char *name_or_path) {
    char path[NAME_BYTES];
    char *text;
    size_t n_bytes;
    memset(hardware, 0, sizeof *hardware); // padding too: specs are compared as bytes
    ley_params_init(&table, hardware);
    LEY_TRY(ley_preset_path(path, sizeof path, "hardware", name_or_path));
    LEY_TRY(ley_file_read(&text, &n_bytes, path, MAX_PRESET_BYTES));
    enum ley_status status = ley_params_read_yaml(&table, hardware, text, n_bytes, path);
    ley_free(text);
    return status == LEY_OK ? anchor_table(hardware, path) : status;
}

// M15: 0 stands for the window.
int ley_hardware_ring(const struct ley_hardware *hardware) {
    return hardware->array.ring ? hardware->array.ring : hardware->array.window;
}

bool ley_hardware_is_fixed(const struct ley_hardware *hardware) {
    int arithmetic = hardware->array.arithmetic;
    return arithmetic == LEY_ARITHMETIC_FIXED ||
           (arithmetic == LEY_ARITHMETIC_AUTO && ley_fixed_fits(hardware));
}

// The last tile may be partly empty.
int ley_hardware_n_tiles(const struct ley_hardware *hardware) {
    int n_columns = hardware->array.n_columns;
    return (ley_hardware_ring(hardware) + n_columns - 1) / n_columns;
}

// M17: written once, then each query head of the group in turn
double ley_hardware_busy_s(const struct ley_hardware *hardware, int n_queries_per_bank) {
    const struct ley_time_spec *t = &hardware->time;
    double read_s = t->q_pulse_s + t->phi_pulse_s + t->output_pulse_s;
    return t->write_s + n_queries_per_bank * read_s + t->digital_sum_s;
}

// Bounds of single parameters are the table's work; this is about pairs that exclude each other.
// Pairs are checked in the order of the signal path; the time budget, which depends on all, last.
enum ley_status ley_hardware_check(const struct ley_hardware *hardware, int n_queries_per_bank) {
    const struct ley_converter_spec *converter = &hardware->converter;
    // Level counts of 1 would make a step of infinity: (high - low) / 0.
    if (converter->q_levels == 1 || converter->kv_levels == 1 || converter->output_levels == 1) {
        return ley_fail(LEY_E_ARGUMENT,
                        "%s is 1: a converter has at least 2 levels (0: continuous)",
                        converter->q_levels == 1    ? "dac.q_levels"
                        : converter->kv_levels == 1 ? "dac.kv_levels"
                                                    : "output.levels");
    }
    // Cells leak towards V_ref, so it has to be a voltage that a cell can hold.
    if (hardware->cell.v_ref_v > hardware->cell.v_dd_v) {
        return ley_fail(LEY_E_ARGUMENT, "cell.v_ref_v is %g V, above cell.v_dd_v = %g V",
                        hardware->cell.v_ref_v, hardware->cell.v_dd_v);
    }
    // A column must not be overwritten while a query can still see it.
    if (hardware->array.ring != 0 && hardware->array.ring < hardware->array.window) {
        return ley_fail(LEY_E_ARGUMENT,
                        "array.ring is %d, shorter than array.window = %d; give the "
                        "ring at least as many columns as the window",
                        hardware->array.ring, hardware->array.window);
    }
    if (hardware->array.refresh != LEY_REFRESH_NONE && converter->kv_levels == 0) {
        return ley_fail(LEY_E_ARGUMENT, "array.refresh rewrites levels, but dac.kv_levels is 0: "
                                        "continuous values have none to go back to");
    }
    double busy_s = ley_hardware_busy_s(hardware, n_queries_per_bank);
    // The allowance is for sums of decimal numbers that should be equal and differ in the last bit.
    if (busy_s > hardware->time.token_period_s * (1 + 1e-12)) {
        return ley_fail(
            LEY_E_ARGUMENT,
            "the phases of one token take %g s with %d queries a bank, "
            "longer than time.token_period_s = %g s; shorten phases or raise the period",
            busy_s, n_queries_per_bank, hardware->time.token_period_s);
    }
    return LEY_OK;
}

// As given (absolute, beside the preset, or from here), then Leyden's own.
enum ley_status ley_hardware_table_path(char *path, size_t n_path,
                                        const struct ley_hardware *hardware) {
    const char *chosen = hardware->cell.table_csv;
    if (ley_file_exists(chosen)) {
        snprintf(path, n_path, "%s", chosen);
        return LEY_OK;
    }
    if (chosen[0] == '/' || ley_data_path(path, n_path, chosen) != LEY_OK) {
        return ley_fail(LEY_E_IO, "cannot open the cell table %s (cell.table_csv)", chosen);
    }
    return LEY_OK;
}

enum ley_status ley_hardware_create_cell(struct ley_cell **cell,
                                         const struct ley_hardware *hardware) {
    char path[NAME_BYTES] = "";
    *cell = NULL;
    if (hardware->cell.law == LEY_CELL_TABLE) {
        LEY_TRY(ley_hardware_table_path(path, sizeof path, hardware));
    }
    return ley_cell_create(cell, &hardware->cell, path);
}
