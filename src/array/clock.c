// clock.c - seconds to ticks and back
//
// Rounding s * period / tick cannot miss: its error is below 2^20 * s * 2^-52 ticks, less than
// half a tick for every s below 2^31 tokens.
#include "array/clock.h"

#include <math.h>

#include "core/assert.h"

// At 0.8 us a period a tick is 0.8 ps, far below any phase, and 2^40 periods are ten days.
enum { TICKS_LOG2 = 20, MAX_PERIODS_LOG2 = 40 };

// ldexp is exact, so the only rounding besides the division is the one to a whole tick.
int64_t ley_clock_ticks(double t_s, double token_period_s) {
    double periods = t_s / token_period_s;
    // NaN and negative times fail here too.
    LEY_ASSERT(periods >= 0 && periods <= ldexp(1, MAX_PERIODS_LOG2));
    return llrint(ldexp(periods, TICKS_LOG2));
}

// Exact up to the one rounding of the product: ages of equal ticks have equal bits.
double ley_clock_seconds(int64_t ticks, double token_period_s) {
    return (double)ticks * ldexp(token_period_s, -TICKS_LOG2);
}

// The shift is exact; a bank reaches the same number as a difference of ticks.
double ley_clock_age_s(int64_t n_tokens, double token_period_s) {
    return ley_clock_seconds(n_tokens << TICKS_LOG2, token_period_s);
}
