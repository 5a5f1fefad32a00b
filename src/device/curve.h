// curve.h - a smooth curve through points that never overshoots them.
#pragma once
#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Piecewise cubic Hermite curve with the limited slopes of Fritsch and Butland: between two points
// it is monotone, so a monotone table gives a monotone curve (SIAM J. Sci. Stat. Comput. 5, 300,
// 1984). Outside the points it is constant.
struct ley_curve;

// Makes a curve through n >= 2 points (copied), x strictly increasing (contract).
LEY_MUST_CHECK enum ley_status ley_curve_create(struct ley_curve **curve, const double *x,
                                                const double *y, int n);

// NULL is accepted.
void ley_curve_destroy(struct ley_curve *curve);

// Value at x, and its derivative: 0 outside the points.
double ley_curve_value(const struct ley_curve *curve, double x);
double ley_curve_slope(const struct ley_curve *curve, double x);

#ifdef __cplusplus
}
#endif
