// curve.c - monotone piecewise cubic interpolation
//
// Slope at an inner point: the weighted harmonic mean of the two secants when they agree in sign,
// else zero; at the ends the secant. That keeps every piece monotone between its points.
#include "device/curve.h"

#include "core/assert.h"
#include "core/memory.h"

// The slope is dy/dx in the units of the points, not per piece.
struct point {
    double x, y, slope;
};

// One block: the points follow the header.
struct ley_curve {
    int n;
    double index_per_x; // first guess of the piece: grids are nearly uniform
    struct point point[];
};

// Fritsch and Butland: weights from the spacings, so that uneven grids are treated evenly. Opposite
// or zero secants mean an extremum: a slope of 0 keeps it where it is.
static double limited_slope(const struct point *p) {
    double h0 = p[0].x - p[-1].x, h1 = p[1].x - p[0].x;
    double s0 = (p[0].y - p[-1].y) / h0, s1 = (p[1].y - p[0].y) / h1;
    if (s0 * s1 <= 0) {
        return 0;
    }
    double w0 = 2 * h1 + h0, w1 = h1 + 2 * h0;
    return (w0 + w1) / (w0 / s0 + w1 / s1);
}

// Points are copied with their slopes beside them, so a value touches two neighbours in memory.
enum ley_status ley_curve_create(struct ley_curve **curve, const double *x, const double *y,
                                 int n) {
    LEY_ASSERT(n >= 2);
    size_t n_bytes = sizeof(struct ley_curve) + (size_t)n * sizeof(struct point);
    struct ley_curve *made = ley_alloc(1, n_bytes);
    *curve = made;
    if (!made) {
        return ley_fail_memory("curve", 1, n_bytes);
    }
    made->n = n;
    for (int i = 0; i < n; i++) {
        LEY_ASSERT(i == 0 || x[i] > x[i - 1]);
        made->point[i] = (struct point){x[i], y[i], 0};
    }
    struct point *p = made->point;
    for (int i = 1; i < n - 1; i++) {
        p[i].slope = limited_slope(&p[i]);
    }
    p[0].slope = (y[1] - y[0]) / (x[1] - x[0]);
    p[n - 1].slope = (y[n - 1] - y[n - 2]) / (x[n - 1] - x[n - 2]);
    // Exact for uniform points; elsewhere ley_curve_value walks the rest.
    made->index_per_x = (n - 1) / (x[n - 1] - x[0]);
    return LEY_OK;
}

void ley_curve_destroy(struct ley_curve *curve) {
    ley_free(curve);
}

// The piece of an x between the ends: its left point.
static const struct point *piece_of(const struct ley_curve *curve, double x) {
    const struct point *p = curve->point;
    int last = curve->n - 1;
    // The guess may be off by rounding or by uneven spacing; the two loops put it right.
    int i = (int)((x - p[0].x) * curve->index_per_x);
    i = i < last ? i : last - 1;
    while (x < p[i].x) {
        i--;
    }
    while (x >= p[i + 1].x) {
        i++;
    }
    return &p[i];
}

// NaN is caught by the first test and gives the left end.
double ley_curve_value(const struct ley_curve *curve, double x) {
    const struct point *p = curve->point;
    int last = curve->n - 1;
    if (!(x > p[0].x)) {
        return p[0].y;
    }
    if (x >= p[last].x) {
        return p[last].y;
    }
    p = piece_of(curve, x);
    // Hermite's basis on t in 0..1: values by a and c, slopes by b and d.
    double h = p[1].x - p[0].x, t = (x - p[0].x) / h;
    double a = (1 + 2 * t) * (1 - t) * (1 - t), b = t * (1 - t) * (1 - t);
    double c = t * t * (3 - 2 * t), d = t * t * (t - 1);
    return a * p[0].y + b * h * p[0].slope + c * p[1].y + d * h * p[1].slope;
}

double ley_curve_slope(const struct ley_curve *curve, double x) {
    const struct point *p = curve->point;
    if (!(x > p[0].x) || x >= p[curve->n - 1].x) {
        return 0;
    }
    p = piece_of(curve, x);
    double h = p[1].x - p[0].x, t = (x - p[0].x) / h;
    double a = 6 * t * (t - 1) / h, b = (1 - t) * (1 - 3 * t), d = t * (3 * t - 2);
    return a * (p[0].y - p[1].y) + b * p[0].slope + d * p[1].slope;
}
