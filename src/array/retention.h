// retention.h - how long a stored level stays itself, and when columns are rewritten (M35).
//
// A level is lost when leakage has moved its read current by half of the step to its neighbour.
#pragma once
#include <stdint.h>

#include "array/hardware.h"

#ifdef __cplusplus
extern "C" {
#endif

// Largest move of any level's read current after `age_s`, in halves of the step to the neighbour
// it moves to: 1 is the limit. A write DAC without steps is looked at as one of 8 levels.
double ley_retention_error(const struct ley_hardware *hardware, const struct ley_cell *cell,
                           double age_s);

// Sum over levels of |move of the current| by the sum of |current|: what a read misses on average.
double ley_retention_miss(const struct ley_hardware *hardware, const struct ley_cell *cell,
                          double age_s);

// Age at which the error reaches 1; INFINITY when it never does.
double ley_retention_hold_s(const struct ley_hardware *hardware, const struct ley_cell *cell);

// Charge through one cell under the longest pulse, mean over levels: what sensing it moves.
double ley_retention_sense_charge_c(const struct ley_hardware *hardware,
                                    const struct ley_cell *cell);

// *n_tokens receives the tokens from one rewrite of a column to the next: array.refresh_tokens
// where array.refresh is `every`, the most after which no level is lost where it is `error`; 0 when
// no column of the window is ever rewritten. LEY_E_ARGUMENT when levels would be lost before.
LEY_MUST_CHECK enum ley_status ley_refresh_period(int64_t *n_tokens,
                                                  const struct ley_hardware *hardware,
                                                  const struct ley_cell *cell);

// Tokens since the last write of a column that holds a token of `lag` tokens ago.
int64_t ley_refresh_age(int64_t period, int64_t lag);

// Rewrites of a token's column while n_tokens more come, before it leaves the window.
int64_t ley_refresh_count(int64_t period, const struct ley_hardware *hardware, int64_t n_tokens);

// Those of token s that happen while tokens first .. n_tokens - 1 come.
int64_t ley_refresh_count_from(int64_t period, const struct ley_hardware *hardware, int64_t s,
                               int64_t first, int64_t n_tokens);

#ifdef __cplusplus
}
#endif
