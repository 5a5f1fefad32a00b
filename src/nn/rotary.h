// rotary.h - rotary positions: pairs of values of a head turned by an angle that grows with the
// position.
//
// Pair i turns by position / (base^(2i / n) * factor[i]), i = 0..n/2-1, n the rotating width.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_rotary;

// Makes the frequencies. n_rotating is even; `pairs_adjacent`: (2i, 2i + 1) turn together, else
// (i, i + n/2). factor[n/2] divides the frequencies; NULL: all 1.
LEY_MUST_CHECK enum ley_status ley_rotary_create(struct ley_rotary **rotary, int n_rotating,
                                                 double base, bool pairs_adjacent,
                                                 const float *factor);

// NULL is accepted.
void ley_rotary_destroy(struct ley_rotary *rotary);

// turn[n_rotating] receives cosine and sine of every pair at a position (computed in double).
void ley_rotary_turn(float *turn, const struct ley_rotary *rotary, int64_t position);

// Turns the first n_rotating values of each of n_heads heads, head_dim values apart, in place.
void ley_rotary_forward(float *x, const struct ley_rotary *rotary, const float *turn, int n_heads,
                        int head_dim);

// The way back: turns gradients, in place, by the opposite angles.
void ley_rotary_backward(float *dx, const struct ley_rotary *rotary, const float *turn, int n_heads,
                         int head_dim);

#ifdef __cplusplus
}
#endif
