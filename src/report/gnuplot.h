// gnuplot.h - plots drawn by gnuplot, cleaned so that many of them fit into one page.
#pragma once
#include "report/markup.h"

#ifdef __cplusplus
extern "C" {
#endif

// Colours of a plot by their number 1..8: `lc rgb '#010102'` is colour 1, `'#020102'` colour 2, and
// so on; the page gives them their values, other ones in the dark. Black is the colour of text.
enum { LEY_PLOT_COLOURS = 8 };

// Colour 1..8 as the number that `lc rgb variable` takes.
int ley_plot_colour(int colour);

// Runs gnuplot on `script` (which sets no terminal or output) and appends the drawing, width by
// height units, as an <svg> element that scales to the width it is given. `id` (letters and
// digits) sets its ids apart from those of other drawings; `label` describes it to those who
// cannot see it. LEY_E_MISSING: there is no gnuplot. LEY_E_RESULT: it refused, and what it said.
LEY_MUST_CHECK enum ley_status ley_plot_draw(struct ley_markup *out, const char *script, int width,
                                             int height, const char *id, const char *label);

// Appends the <svg> element of svg[n], which ends in a zero byte, as gnuplot writes it, cleaned: no
// declarations, title or namespaces, ids and references to them begin with `id`, colours are those
// of the page.
void ley_plot_clean(struct ley_markup *out, const char *svg, size_t n, const char *id,
                    const char *label);

// Appends text that is not Leyden's own to a script, as a string in single quotes: no more than
// n_most characters, line breaks and what is no UTF-8 replaced.
void ley_plot_text(struct ley_markup *script, const char *text, size_t n_most);

// "gnuplot 5.4 patchlevel 4" into version[n], or "" when there is none.
void ley_plot_version(char *version, size_t n);

#ifdef __cplusplus
}
#endif
