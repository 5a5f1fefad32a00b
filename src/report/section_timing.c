// section_timing.c - the phases of one token as bars in time (M17)
#include <cjson/cJSON.h>
#include <math.h>

#include "report/section_impl.h"

enum { WIDTH = 480, LEFT = 110, RIGHT = 14, TOP = 10, ROW = 30 };

// Phases in their order; those of a read come once for each query head of a group.
static const struct {
    const char *key, *name;
    bool is_read;
} phases[] = {
    {"time.write_s", "write k, v", false},         {"time.q_pulse_s", "q into K", true},
    {"time.phi_pulse_s", "\xcf\x86 into V", true}, {"time.output_pulse_s", "outputs", true},
    {"time.digital_sum_s", "sum of tiles", false},
};
enum { N_PHASES = sizeof phases / sizeof phases[0], MAX_DRAWN = 16 };

// A span of a phase; the scale turns seconds into units of the drawing.
static void draw_span(struct ley_markup *out, int phase, double from_s, double to_s, double scale) {
    double x = LEFT + from_s * scale, width = (to_s - from_s) * scale;
    ley_markup_format(out,
                      "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" rx=\"2\" "
                      "fill=\"var(--c%d)\"><title>%s: %.4g to %.4g ns</title></rect>",
                      x, TOP + phase * ROW + 5, width > 0.5 ? width : 0.5, ROW - 12, phase + 1,
                      phases[phase].name, 1e9 * from_s, 1e9 * to_s);
}

// Bars of all phases, the groups of pulses in turn.
static void draw_phases(struct ley_markup *out, const struct cJSON *hardware, int n_group,
                        double scale) {
    double at_s = 0;
    for (int phase = 0; phase < N_PHASES; phase++) {
        ley_markup_format(out,
                          "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"currentColor\">"
                          "%s</text>",
                          LEFT - 10, TOP + phase * ROW + ROW / 2 + 4, phases[phase].name);
    }
    double write_s = ley_json_number(hardware, phases[0].key);
    draw_span(out, 0, 0, write_s, scale);
    at_s = write_s;
    for (int query = 0; query < n_group; query++) {
        for (int phase = 1; phase < N_PHASES - 1; phase++) {
            double length_s = ley_json_number(hardware, phases[phase].key);
            draw_span(out, phase, at_s, at_s + length_s, scale);
            at_s += length_s;
        }
    }
    double sum_s = ley_json_number(hardware, phases[N_PHASES - 1].key);
    draw_span(out, N_PHASES - 1, at_s, at_s + sum_s, scale);
}

// The power below the wanted length, then the smallest multiple that is no shorter.
double ley_nice_step(double whole, double n) {
    double power = pow(10, floor(log10(whole / n))), most = whole / n / power;
    return power * (most > 5 ? 10 : most > 2 ? 5 : most > 1 ? 2 : 1);
}

static void draw_axis(struct ley_markup *out, double busy_s, double scale) {
    int bottom = TOP + N_PHASES * ROW;
    double step_s = ley_nice_step(busy_s, 7);
    for (int i = 0; i * step_s <= busy_s * 1.000001; i++) {
        double x = LEFT + i * step_s * scale;
        ley_markup_format(out,
                          "<path d=\"M%.2f %dV%d\" stroke=\"var(--c8)\"/><text x=\"%.2f\" y=\"%d\" "
                          "text-anchor=\"middle\" fill=\"currentColor\">%.4g</text>",
                          x, TOP, bottom, x, bottom + 18, 1e9 * i * step_s);
    }
    ley_markup_format(out,
                      "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" fill=\"currentColor\">"
                      "time (ns)</text>",
                      (LEFT + WIDTH - RIGHT) / 2, bottom + 38);
}

// The whole of a token: busy, then idle until the next.
enum ley_status ley_section_timing(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *source = ley_report_with(report, "hardware", 0);
    const struct cJSON *hardware = source ? ley_json_object(source->json, "hardware") : NULL;
    int n_group = ley_report_group(report), n_drawn = n_group < MAX_DRAWN ? n_group : MAX_DRAWN;
    double busy_s = 0, period_s = ley_json_number(hardware, "time.token_period_s");
    for (int i = 0; i < N_PHASES; i++) {
        busy_s += (phases[i].is_read ? n_drawn : 1) * ley_json_number(hardware, phases[i].key);
    }
    if (!(busy_s > 1e-18) || !isfinite(busy_s)) {
        return LEY_OK;
    }
    double scale = (WIDTH - LEFT - RIGHT) / busy_s;
    ley_page_figure(page, true);
    ley_page_drawing(page, WIDTH, TOP + N_PHASES * ROW + 46, "phases of one token");
    draw_axis(&page->text, busy_s, scale);
    draw_phases(&page->text, hardware, n_drawn, scale);
    ley_markup_format(&page->text, "</svg>\n");
    ley_page_caption(page, &source, 1,
                     "One token in one layer: k and v are written once, then each of the %d query "
                     "head%s of a bank reads in turn%s: %.4g ns. Banks of a layer work at once; "
                     "the next token comes after %.4g ns.",
                     n_group, n_group > 1 ? "s" : "",
                     n_drawn < n_group ? " (the first 16 are drawn)" : "", 1e9 * busy_s,
                     1e9 * period_s);
    return LEY_OK;
}
