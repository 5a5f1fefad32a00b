// scaler.h - the digital scale and offset before and after the arrays: x -> a x + b, per head.
#pragma once
#include "core/status.h"

struct ley_ledger;

#ifdef __cplusplus
extern "C" {
#endif

// One pair per head of the four signals. q and output have one per query head, k and v one per
// key-value head (M18, SPEC S4.9).
struct ley_scaler {
    double a, b;
};

enum ley_signal { LEY_SIGNAL_Q, LEY_SIGNAL_K, LEY_SIGNAL_V, LEY_SIGNAL_OUTPUT };
enum { LEY_N_SIGNALS = 4 };

// Name of a signal as it stands in file names: "q", "k", "v", "output".
const char *ley_signal_name(enum ley_signal signal);

// Published initial value of a signal's scaler (SPEC S4.1): k and v are centred in the range
// 0..v_dd by b = v_ref.
struct ley_scaler ley_scaler_initial(enum ley_signal signal, double v_ref_v);

// a as it acts: not below 1e-20.
double ley_scaler_slope(const struct ley_scaler *scaler);

// out[i] = max(a, 1e-20) * in[i] + b, i = 0..n-1. Counts n operations in `ledger` (may be NULL).
void ley_scale(double *out, const double *in, int n, const struct ley_scaler *scaler,
               struct ley_ledger *ledger);

// Backward of ley_scale, for dout[i] = dL/dout[i]: dscaler += (sum of dout[i] * in[i], sum of
// dout[i]), i = 0..n-1. An a below 1e-20, where it has no effect, gets no gradient.
void ley_scale_gradient(struct ley_scaler *dscaler, const double *dout, const double *in, int n,
                        const struct ley_scaler *scaler);

// The other half: din[i] = max(a, 1e-20) * dout[i]; din may be dout.
void ley_scale_input_gradient(double *din, const double *dout, int n,
                              const struct ley_scaler *scaler);

// Reads scaler_{q,k,v,output}_{a,b}.npy from a folder into the four arrays, n_heads[signal] pairs
// each; scaler[signal] must have room. Arrays of other lengths or values not finite are refused.
LEY_MUST_CHECK enum ley_status ley_scalers_load(struct ley_scaler *scaler[LEY_N_SIGNALS],
                                                const int n_heads[LEY_N_SIGNALS],
                                                const char *folder);

#ifdef __cplusplus
}
#endif
