// scaler_gradient.c - the way back through a scaler
#include "attention/scaler.h"
#include "core/variants.h"

// Independent sums, added up in their order at the end: one order on all machines.
enum { LANES = 8 };

// lane_a[j], lane_b[j]: sums of dout * in and of dout, over i with i mod LANES = j.
LEY_LEAF void sum_lanes_leaf(double *restrict lane_a, double *restrict lane_b,
                             const double *restrict dout, const double *restrict in, int n) {
    for (int i = 0; i < n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            lane_a[j] += dout[i + j] * in[i + j];
            lane_b[j] += dout[i + j];
        }
    }
}
LEY_VARIANTS(void, sum_lanes,
             (double *lane_a, double *lane_b, const double *dout, const double *in, int n),
             (lane_a, lane_b, dout, in, n))

// M22: the floor is a clip like any other. Sums start from zero, so that a row's share does not
// depend on what was added before.
void ley_scale_gradient(struct ley_scaler *dscaler, const double *dout, const double *in, int n,
                        const struct ley_scaler *scaler) {
    double lane_a[LANES] = {0}, lane_b[LANES] = {0}, da = 0, db = 0;
    int whole = n / LANES * LANES;
    sum_lanes(lane_a, lane_b, dout, in, whole);
    for (int i = whole; i < n; i++) {
        lane_a[i - whole] += dout[i] * in[i];
        lane_b[i - whole] += dout[i];
    }
    for (int j = 0; j < LANES; j++) {
        da += lane_a[j];
        db += lane_b[j];
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
