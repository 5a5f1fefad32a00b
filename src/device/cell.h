// cell.h - one gain cell: what it stores, how it leaks, what current it gives when read.
//
// A cell holds a voltage w in 0..v_dd as charge; all laws are written in u = w - v_ref (M1).
// Reading does not disturb the charge. While its read line is high a cell drives the current
//     i = law(u * u_scale) * i_scale                                             [A]     (M3, M7)
// into its bit line, where (u_scale, i_scale) is what leakage has left after the cell's age.
#pragma once
#include <stdbool.h>

#include "core/param.h"
#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ley_cell_law { // ORDER cell.law
    LEY_CELL_LINEAR,
    LEY_CELL_CUBIC,
    LEY_CELL_TABLE,
    LEY_CELL_POWER3,
    LEY_CELL_POWER5,
    LEY_CELL_SIGMOID,
    LEY_CELL_EXPONENTIAL
};
enum ley_leakage { LEY_LEAK_NONE, LEY_LEAK_RELAX, LEY_LEAK_UNIFORM }; // ORDER cell.leakage

// Plain data; cell_params.def documents units, ranges and sources of every field.
struct ley_cell_spec {
    int law; // enum ley_cell_law
    // highest stored voltage, and the one at which u = 0
    double v_dd_v, v_ref_v;
    // linear law (M4), and the slope of every law in gradients (M22)
    double slope_a_per_v;
    // cubic law (M5)
    double p_a[4]; // coefficient of u^i, A/V^i
    // table law (M6): the sweep, and the read amplitude it is cut at
    char table_csv[LEY_PATH_BYTES];
    double v_read_v;
    // power3, power5, sigmoid and exponential laws (M24): current at v_dd less that at 0 V
    double swing_a;
    // output conductance g0 + g2 u^2 + g4 u^4: more current for a higher bit line (M51)
    double g0_s, g2_s_per_v2, g4_s_per_v4;
    int leakage; // enum ley_leakage
    // leakage (M7), towards u = 0
    double tau_s;
};

// What is left of a cell's state after some time; {1, 1} when just written.
struct ley_decay {
    double u_scale; // multiplies u
    double i_scale; // multiplies the current
};

struct ley_curve; // device/curve.h
struct ley_cell;  // a resolved spec: the law chosen, the table loaded

// Resolves `spec` (copied). The table law reads the CSV from `table_path`, ignored by the others.
LEY_MUST_CHECK enum ley_status
ley_cell_create(struct ley_cell **cell, const struct ley_cell_spec *spec, const char *table_path);

// A cell with the table law and this curve of current against stored voltage, which it owns from
// now on, also when this fails.
LEY_MUST_CHECK enum ley_status ley_cell_create_curve(struct ley_cell **cell,
                                                     const struct ley_cell_spec *spec,
                                                     struct ley_curve *curve);

// NULL is accepted.
void ley_cell_destroy(struct ley_cell *cell);

// Charges a cell to `w_v` (0..v_dd) and returns its state u [V] (M2).
double ley_cell_write(const struct ley_cell *cell, double w_v);

// Leakage after `age_s` >= 0 seconds (M7). The same bits on every machine.
struct ley_decay ley_cell_decay(const struct ley_cell *cell, double age_s);

// Read current [A] of a cell in state u [V] under a full-height pulse (M4, M5, M6 or M24).
double ley_cell_current(const struct ley_cell *cell, double u_v);

// Its derivative by u [A/V]; what training may take for the slope of a cell (M22).
double ley_cell_slope(const struct ley_cell *cell, double u_v);

// The same law in float32 arithmetic throughout.
float ley_cell_current_f32(const struct ley_cell *cell, float u_v);

// p[i], i = 0..3: the coefficients of u^i [A/V^i] when the law is a polynomial in u; else false.
bool ley_cell_polynomial(const struct ley_cell *cell, double p_a[4]);

#ifdef __cplusplus
}
#endif
