// plot.h - plots drawn by gnuplot.
#pragma once
#include <stdio.h>

#include "core/status.h"

// Starts gnuplot and returns the pipe its commands go into; the SVG goes to a temporary file beside
// `path`. LEY_E_MISSING when gnuplot is not installed.
LEY_MUST_CHECK enum ley_status plot_open(FILE **pipe, const char *path, int width, int height);

// Ends gnuplot and gives the file its name; on failure nothing is left behind.
LEY_MUST_CHECK enum ley_status plot_close(FILE *pipe, const char *path);
