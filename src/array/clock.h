// clock.h - time as exact integers.
//
// Times are given in seconds and kept in ticks of 2^-20 token periods (M16), so that ages are exact
// differences: a token that is n periods old has the same age, to the bit, anywhere in a sequence.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Ticks of time t_s >= 0; up to 2^40 token periods (contract).
int64_t ley_clock_ticks(double t_s, double token_period_s);

// Seconds of a number of ticks.
double ley_clock_seconds(int64_t ticks, double token_period_s);

// Age in seconds of what was written n tokens ago when tokens come once a period.
double ley_clock_age_s(int64_t n_tokens, double token_period_s);

#ifdef __cplusplus
}
#endif
