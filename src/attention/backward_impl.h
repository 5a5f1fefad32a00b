// backward_impl.h - what the reference of attention's gradients and the fast form share.
#pragma once
#include "attention/backward.h"
#include "circuit/quantiser.h"

// x -> a x + b -> clip and round, back: turns dx[n] from the gradient of the last into that of x;
// `scaled` is a x + b. Adds to dscaler.
void ley_input_backward(double *dx, struct ley_scaler *dscaler, const double *x,
                        const double *scaled, const struct ley_scaler *scaler,
                        const struct ley_quantiser *grid, int n);

// Gradients of the scalers of all sequences, [sequence * heads + head], added in that order.
void ley_scaler_gradients_add(const struct ley_attention_gradient *gradient,
                              const struct ley_attention *attention, int64_t n_batch,
                              struct ley_scaler *const dscaler[LEY_N_SIGNALS]);
