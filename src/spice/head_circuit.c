// head_circuit.c - bench of a small head
//
// Nodes: q<d>, r<d> lines of K and complements; a<c> bit line of K column c; p<c> its pulse, which
// a driver puts on f<c>, g<c>, the lines of V column c; b<d> bit line of V row d with its converter
// and counter. Phases follow one another: q pulses; discharge of K, which are the pulses into V;
// discharge of V into the counters.
#include "spice/head_circuit.h"

#include <math.h>
#include <stdio.h>

enum { NODE_BYTES = 16 };

// Discharge of V, after that of K.
struct phases {
    struct ley_bench_times k;
    double v_start_s, v_end_s;
};

static struct phases phases_of(const struct ley_hardware *hardware) {
    struct phases p = {.k = ley_bench_times(hardware->time.q_pulse_s)};
    p.k.dis_end = p.k.dis_s + hardware->time.phi_pulse_s;
    p.v_start_s = p.k.dis_end + 0.3e-9; // drivers and bit lines settle
    p.v_end_s = p.v_start_s + hardware->time.output_pulse_s;
    return p;
}

// A cell of K or V: `kind` names the instance, `bit`, `line` and `complement` its nodes.
static void print_cell(struct ley_markup *out, const struct ley_head_circuit *head, char kind,
                       int row, int token, double w_v) {
    char bit[NODE_BYTES], line[NODE_BYTES], complement[NODE_BYTES], store[2 * NODE_BYTES],
        name[2 * NODE_BYTES];
    bool is_k = kind == 'k';
    snprintf(bit, sizeof bit, "%c%d", is_k ? 'a' : 'b', is_k ? token : row);
    snprintf(line, sizeof line, "%c%d", is_k ? 'q' : 'f', is_k ? row : token);
    snprintf(complement, sizeof complement, "%c%d", is_k ? 'r' : 'g', is_k ? row : token);
    snprintf(store, sizeof store, "w%c%d_%d", kind, row, token);
    snprintf(name, sizeof name, "x%c%d_%d", kind, row, token);
    const char *const node[] = {bit, line, complement, "vcm", "0", "vdd", store, "vdd", "0"};
    ley_netlist_instance(out, head->cell, name, ley_cell_ports(), node);
    ley_markup_format(out, ".ic v(%s)=%.9g\n", store, w_v);
}

static void print_arrays(struct ley_markup *out, const struct ley_head_circuit *head) {
    for (int c = 0; c < head->n_tokens; c++) {
        for (int d = 0; d < head->n_rows; d++) {
            int at = c * head->n_rows + d;
            print_cell(out, head, 'k', d, c, head->k_v[at]);
            print_cell(out, head, 'v', d, c, head->v_v[at]);
        }
    }
}

static void print_controls(struct ley_markup *out, const struct ley_head_circuit *head,
                           const struct phases *p) {
    const struct ley_hardware *hardware = head->hardware;
    double v_dd_v = hardware->cell.v_dd_v;
    ley_markup_format(out,
                      "\nvdd vdd 0 %.9g\nvcm vcm 0 %.9g\nxvbn vbn vddbk 0 comparator_bias\n"
                      "vrstk rstk 0 pulse(%.9g 0 %.9g 50p 50p 1)\n"
                      "vrstv rstv 0 pulse(%.9g 0 %.9g 50p 50p 1)\n",
                      v_dd_v, v_dd_v / 2, v_dd_v, p->k.reset_s, v_dd_v, p->k.read_end);
    ley_bench_bias(out, "k", v_dd_v, hardware->converter.score_i_sat_a, 0);
    ley_bench_bias(out, "v", v_dd_v, hardware->converter.output_i_sat_a,
                   hardware->converter.output_i_sat_a);
    ley_bench_pulse(out, "disk", 0, v_dd_v, p->k.dis_s, hardware->time.phi_pulse_s, 50e-12);
    ley_bench_pulse(out, "disv", 0, v_dd_v, p->v_start_s, hardware->time.output_pulse_s, 50e-12);
    ley_bench_clock(out, hardware, p->v_start_s);
    for (int d = 0; d < head->n_rows; d++) {
        char node[NODE_BYTES];
        double width_s = head->pulse[d] * hardware->time.q_pulse_s;
        snprintf(node, sizeof node, "q%d", d);
        ley_bench_pulse(out, node, v_dd_v / 2, v_dd_v, p->k.read_s, width_s, p->k.edge_s);
        snprintf(node, sizeof node, "r%d", d);
        ley_bench_pulse(out, node, v_dd_v / 2, 0, p->k.read_s, width_s, p->k.edge_s);
    }
}

static void print_periphery(struct ley_markup *out, const struct ley_head_circuit *head) {
    const struct ley_hardware *hardware = head->hardware;
    double k_f = ley_bench_cint(hardware->converter.score_i_sat_a, hardware->time.q_pulse_s);
    double v_f = ley_bench_cint(hardware->converter.output_i_sat_a, hardware->time.phi_pulse_s);
    for (int c = 0; c < head->n_tokens; c++) {
        ley_markup_format(out,
                          "xs%d a%d p%d rstk disk vbpk vbn vcm vdd 0 score_converter cint=%.6g\n"
                          "xd%d p%d f%d g%d vcm vdd 0 line_driver\n.save v(p%d)\n",
                          c, c, c, k_f, c, c, c, c, c);
    }
    for (int d = 0; d < head->n_rows; d++) {
        ley_markup_format(out,
                          "xo%d b%d t%d s%d rstv disv vbpv vbsv vbn vcm vdd 0 output_converter "
                          "cint=%.6g\n"
                          "xc%d t%d clk c0_%d c1_%d c2_%d c3_%d rstv vdd 0 counter\n"
                          ".save v(s%d) v(c0_%d) v(c1_%d) v(c2_%d) v(c3_%d)\n",
                          d, d, d, d, v_f, d, d, d, d, d, d, d, d, d, d, d);
    }
}

enum ley_status ley_head_print(struct ley_markup *out, const struct ley_head_circuit *head) {
    struct phases p = phases_of(head->hardware);
    ley_markup_format(out, "* a head of %d rows and %d tokens, one query\n", head->n_rows,
                      head->n_tokens);
    LEY_TRY(ley_bench_periphery(out));
    ley_netlist_print(out, head->cell);
    print_controls(out, head, &p);
    print_arrays(out, head);
    print_periphery(out, head);
    ley_markup_format(out,
                      "\n.options gmin=1e-15 method=gear abstol=1e-11\n"
                      ".save i(vdd)\n.tran 50p %.9g\n.end\n",
                      p.v_end_s + 1.5e-9);
    return ley_markup_check(out);
}

// Pulses of K's converters, counts, and the supply.
static enum ley_status fetch(struct ley_head_read *read, struct ley_spice *spice,
                             const struct ley_head_circuit *head) {
    double v_dd_v = head->hardware->cell.v_dd_v;
    const double *time, *value;
    int n;
    LEY_TRY(ley_spice_vector(&time, &n, spice, "time"));
    LEY_TRY(ley_spice_vector(&value, &n, spice, "i(vdd)"));
    read->energy_j = -v_dd_v * ley_wave_integral(time, value, n);
    for (int c = 0; c < head->n_tokens; c++) {
        LEY_TRY(ley_bench_vector(&value, &n, spice, "v(p%d)", c));
        read->phi[c] =
            ley_wave_above(time, value, n, v_dd_v / 2) / head->hardware->time.phi_pulse_s;
    }
    for (int d = 0; d < head->n_rows; d++) {
        LEY_TRY(ley_bench_code(&read->code[d], spice, d, v_dd_v / 2));
    }
    return LEY_OK;
}

enum ley_status ley_head_simulate(struct ley_head_read *read, struct ley_spice *spice,
                                  const struct ley_head_circuit *head) {
    struct ley_markup text = {0};
    LEY_TRY(ley_bench_check(head->hardware));
    enum ley_status status = ley_head_print(&text, head);
    if (status == LEY_OK) {
        status = ley_spice_run(spice, text.text, "head");
    }
    if (status == LEY_OK) {
        status = fetch(read, spice, head);
    }
    ley_markup_destroy(&text);
    return status;
}
