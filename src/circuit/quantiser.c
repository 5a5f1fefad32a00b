// quantiser.c - uniform rounding, half to even (M9)
//
// The index is rint(x / step), with the division and the rounded step: multiplying by levels - 1
// instead would move ties, and a tie decides a level (15.5 steps for a saturated output).
#include "circuit/quantiser.h"

#include <math.h>

#include "core/assert.h"

// The step is rounded once, here, and every tie depends on its bits: do not recompute it.
struct ley_quantiser ley_quantiser_make(double low, double high, int n_levels) {
    LEY_ASSERT(n_levels != 1 && n_levels >= 0 && low < high);
    double step = n_levels == 0 ? 0 : (high - low) / (n_levels - 1);
    return (struct ley_quantiser){.low = low, .high = high, .step = step};
}

// NaN passes through: inputs were checked to be finite.
double ley_clip(const struct ley_quantiser *quantiser, double x) {
    if (x < quantiser->low) {
        return quantiser->low;
    }
    return x > quantiser->high ? quantiser->high : x;
}

// rint follows the rounding mode, which is nearest, ties to even, unless somebody changed it.
double ley_quantiser_code(const struct ley_quantiser *quantiser, double x) {
    LEY_ASSERT(quantiser->step > 0);
    return rint(x / quantiser->step);
}

// Value = step * index (M9), which is one rounding more.
double ley_quantise(const struct ley_quantiser *quantiser, double x) {
    return quantiser->step > 0 ? quantiser->step * ley_quantiser_code(quantiser, x) : x;
}
