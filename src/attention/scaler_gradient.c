// scaler_gradient.c - the way back through a scaler
#include "attention/scaler.h"

// M22: the floor is a clip like any other. Sums start from zero, so that a row's share does not
// depend on what was added before.
void ley_scale_gradient(struct ley_scaler *dscaler, const double *dout, const double *in, int n,
                        const struct ley_scaler *scaler) {
    double da = 0, db = 0;
    for (int i = 0; i < n; i++) {
        da += dout[i] * in[i];
        db += dout[i];
    }
    dscaler->a += scaler->a >= ley_scaler_slope(scaler) ? da : 0;
    dscaler->b += db;
}

// M22
void ley_scale_input_gradient(double *din, const double *dout, int n,
                              const struct ley_scaler *scaler) {
    double a = ley_scaler_slope(scaler);
    for (int i = 0; i < n; i++) {
        din[i] = a * dout[i];
    }
}
