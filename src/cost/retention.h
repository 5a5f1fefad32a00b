// retention.h - how long a stored level stays itself (M35).
//
// A level is lost when leakage has moved its read current by half of the step to its neighbour.
#pragma once
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

#ifdef __cplusplus
}
#endif
