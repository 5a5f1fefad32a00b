// quantiser.h - rounding to a uniform grid.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// A grid of multiples of `step`, anchored at zero (not at `low`), as published (SPEC S4.1).
struct ley_quantiser {
    double low, high; // the clip range
    double step;      // 0: continuous
};

// Grid of n_levels values over low..high; n_levels 0 is continuous, 1 is a broken contract.
struct ley_quantiser ley_quantiser_make(double low, double high, int n_levels);

// x limited to low..high.
double ley_clip(const struct ley_quantiser *quantiser, double x);

// Nearest grid index of x, half to even (M9). The quantiser must not be continuous.
double ley_quantiser_code(const struct ley_quantiser *quantiser, double x);

// Nearest grid value of x, half to even, without clipping; x itself when continuous.
double ley_quantise(const struct ley_quantiser *quantiser, double x);

#ifdef __cplusplus
}
#endif
