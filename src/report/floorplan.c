// floorplan.c - the bank of one key-value head, every part with the area it takes
//
// A floorplan to scale, not a layout: tiles are squares of their area, and strips across a tile
// have the area of its parts.
#include <cjson/cJSON.h>
#include <math.h>

#include "report/section_impl.h"

enum { SIDE = 400, MAX_TILES = 400 };

// Parts in the order of the signal.
static const struct {
    const char *key, *name;
} parts[] = {
    {"dacs_m2", "DACs"},
    {"cells_m2", "cells of K and V"},
    {"score_converters_m2", "score converters"},
    {"output_converters_m2", "output converters"},
    {"digital_m2", "digital control, adders, routing"},
};
enum { N_PARTS = sizeof parts / sizeof parts[0] };

// One tile at (x, y), `side` units wide: strips from top to bottom.
static void draw_tile(struct ley_markup *out, const struct cJSON *area, double x, double y,
                      double side, double bank_m2) {
    double at = y;
    for (int i = 0; i < N_PARTS; i++) {
        double height = side * ley_json_number(area, parts[i].key) / bank_m2;
        ley_markup_format(out,
                          "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                          "fill=\"var(--c%d)\"/>",
                          x, at, side, height, i + 1);
        at += height;
    }
    ley_markup_format(out,
                      "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"none\" "
                      "stroke=\"var(--card)\" stroke-width=\"1.5\"/>",
                      x, y, side, side);
}

// A bar of a round length below the drawing.
static void draw_scale_bar(struct ley_markup *out, double units_per_m, double y) {
    double most_m = SIDE / 3.0 / units_per_m;
    double length_m = pow(10, floor(log10(most_m)));
    length_m *= most_m / length_m >= 5 ? 5 : most_m / length_m >= 2 ? 2 : 1;
    ley_markup_format(out,
                      "<path d=\"M20 %.2fv8h%.2fv-8\" fill=\"none\" stroke=\"currentColor\" "
                      "stroke-width=\"2\"/><text x=\"%.2f\" y=\"%.2f\" fill=\"currentColor\">",
                      y, length_m * units_per_m, 30 + length_m * units_per_m, y + 10);
    ley_markup_quantity(out, length_m, "m");
    ley_markup_format(out, "</text>");
}

// What the colours are, with areas.
static void draw_legend(struct ley_page *page, const struct cJSON *area, double bank_m2) {
    ley_page_table(page, "part of a bank|#area|#share");
    for (int i = 0; i < N_PARTS; i++) {
        double part_m2 = ley_json_number(area, parts[i].key);
        ley_page_row(page);
        ley_markup_format(&page->text,
                          "<td><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><rect "
                          "width=\"14\" height=\"14\" fill=\"var(--c%d)\"/></svg> %s</td>",
                          i + 1, parts[i].name);
        ley_page_cell_quantity(page, part_m2, "m2");
        ley_page_cell_number(page, "%.1f %%", 100 * part_m2 / bank_m2);
        ley_page_row_end(page);
    }
    ley_page_table_end(page);
}

void ley_draw_floorplan(struct ley_page *page, const struct ley_result *cost) {
    const struct cJSON *breakdown = ley_json_object(cost->json, "breakdown");
    const struct cJSON *area = ley_json_object(breakdown, "area");
    double bank_m2 = ley_json_number(cost->json, "area_per_head_m2");
    double tiles = ley_json_number(area, "tiles"), sum_m2 = 0;
    for (int i = 0; i < N_PARTS; i++) {
        sum_m2 += ley_json_number(area, parts[i].key);
    }
    if (!(bank_m2 > 0) || !(tiles >= 1) || !(fabs(sum_m2 / bank_m2 - 1) < 1e-6)) {
        return; // of a version that divides areas in another way
    }
    int n = tiles <= MAX_TILES ? (int)tiles : 1, n_across = (int)ceil(sqrt(n));
    double side = (double)(SIDE - 40) / n_across;
    int n_rows = (n + n_across - 1) / n_across, height = (int)ceil(n_rows * side) + 50;
    ley_page_figure(page, false);
    ley_page_drawing(page, SIDE, height, "floorplan of a bank, to scale");
    for (int i = 0; i < n; i++) {
        draw_tile(&page->text, area, 20 + i % n_across * side, 4 + i / n_across * side, side,
                  bank_m2);
    }
    draw_scale_bar(&page->text, side / sqrt(bank_m2 / n), n_rows * side + 16);
    ley_markup_format(&page->text, "</svg>\n");
    draw_legend(page, area, bank_m2);
    ley_page_caption(page, &cost, 1,
                     "The bank of one key-value head to scale: %.0f sub-array pair%s%s, in all "
                     "%.4g mm&#178;. Areas are exact, places are not a layout.",
                     tiles, tiles > 1 ? "s" : "", n < tiles ? ", drawn as one" : "", 1e6 * bank_m2);
}
