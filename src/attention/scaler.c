// scaler.c - scale and offset in front of the converters and behind the counters
#include "attention/scaler.h"

#include <stdbool.h>

#include "event/ledger.h"

static const double smallest_a = 1e-20; // published floor of a (SPEC S4.1)

const char *ley_signal_name(enum ley_signal signal) {
    static const char *const names[LEY_N_SIGNALS] = {"q", "k", "v", "output"}; // ORDER ley_signal
    return names[signal];
}

// M18: b = V_ref puts k and v in the middle of 0..V_DD, where u = 0.
struct ley_scaler ley_scaler_initial(enum ley_signal signal, double v_ref_v) {
    bool is_stored = signal == LEY_SIGNAL_K || signal == LEY_SIGNAL_V;
    return (struct ley_scaler){.a = 1, .b = is_stored ? v_ref_v : 0};
}

// The floor keeps the sign: a scaler can shrink a signal to nothing, but not mirror it.
double ley_scaler_slope(const struct ley_scaler *scaler) {
    return scaler->a > smallest_a ? scaler->a : smallest_a;
}

// M18
void ley_scale(double *out, const double *in, int n, const struct ley_scaler *scaler,
               struct ley_ledger *ledger) {
    double a = ley_scaler_slope(scaler);
    for (int i = 0; i < n; i++) {
        out[i] = a * in[i] + scaler->b;
    }
    if (ledger) {
        ledger->scaler_operations += (uint64_t)n;
    }
}
