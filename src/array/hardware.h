// hardware.h - the complete description of a chip: cell, periphery, arrays, time; and its presets.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "circuit/converter.h"
#include "core/param.h"
#include "device/cell.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ley_arithmetic { // ORDER array.arithmetic
    LEY_ARITHMETIC_AUTO,
    LEY_ARITHMETIC_DOUBLE,
    LEY_ARITHMETIC_FLOAT,
    LEY_ARITHMETIC_FIXED,
};

enum ley_refresh { // ORDER array.refresh
    LEY_REFRESH_NONE,
    LEY_REFRESH_EVERY,
    LEY_REFRESH_ERROR,
};

// Plain data; array_params.def documents units, ranges and sources of the fields.
struct ley_array_spec {
    // A head wider than n_rows stacks sub-arrays; n_columns is the length of a tile in tokens.
    int n_rows, n_columns; // of one sub-array
    // In tokens: window is what a query sees, ring what the columns hold (0: the window).
    int window, ring;
    int arithmetic; // enum ley_arithmetic
    int refresh;    // enum ley_refresh
    int refresh_tokens;
    // of a bit line, for each cell on it (M51); 0: none
    double r_line_ohm;
};

// Seconds. The phases of one token follow one another and must fit into its period (M17).
struct ley_time_spec {
    double token_period_s;
    double write_s, q_pulse_s, phi_pulse_s, output_pulse_s, digital_sum_s; // phases, in order
};

// Plain data, compared and stored as bytes: ley_hardware_load zeroes the padding too.
struct ley_hardware {
    struct ley_cell_spec cell;
    struct ley_converter_spec converter;
    struct ley_array_spec array;
    struct ley_time_spec time;
};

// Every parameter of struct ley_hardware. Static storage.
const struct ley_param_table *ley_hardware_params(void);

// Loads a preset by name ("paper") or a YAML file by path (anything with '/' or ending in .yaml);
// what it does not name keeps its default. An unknown name lists the known ones.
LEY_MUST_CHECK enum ley_status ley_hardware_load(struct ley_hardware *hardware,
                                                 const char *name_or_path);

// Checks that the parameters do not contradict each other, for heads whose `n_queries_per_bank`
// query heads read one bank in turn. Fails with LEY_E_ARGUMENT and what to change.
LEY_MUST_CHECK enum ley_status ley_hardware_check(const struct ley_hardware *hardware,
                                                  int n_queries_per_bank);

// Resolves the cell of the spec; finds its table beside the preset or in Leyden's own data.
LEY_MUST_CHECK enum ley_status ley_hardware_create_cell(struct ley_cell **cell,
                                                        const struct ley_hardware *hardware);

// Path of the cell table that the spec names (cell.table_csv), wherever it lies.
LEY_MUST_CHECK enum ley_status ley_hardware_table_path(char *path, size_t n_path,
                                                       const struct ley_hardware *hardware);

// Columns of the ring of one bank (array.ring, or the window).
int ley_hardware_ring(const struct ley_hardware *hardware);

// Whether attention is computed in integers (M21): array.arithmetic fixed, or auto on a chip that
// has integers (ley_fixed_fits). Other chips with auto are computed in double.
bool ley_hardware_is_fixed(const struct ley_hardware *hardware);

// Sub-arrays of K along the ring of one bank.
int ley_hardware_n_tiles(const struct ley_hardware *hardware);

// Time [s] that the arrays of a layer are busy with one token (M17).
double ley_hardware_busy_s(const struct ley_hardware *hardware, int n_queries_per_bank);

#ifdef __cplusplus
}
#endif
