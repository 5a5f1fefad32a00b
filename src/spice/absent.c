// absent.c - what stands in for ngspice.c and least_squares.c in a build without their libraries
#include <stddef.h>

#include "spice/least_squares.h"
#include "spice/ngspice.h"

static enum ley_status missing(void) {
    return ley_fail(LEY_E_MISSING, "this build cannot simulate circuits; install the packages "
                                   "libngspice0-dev and libcminpack-dev and build again");
}

enum ley_status ley_spice_create(struct ley_spice **spice, const char *keep_path) {
    *spice = NULL;
    (void)keep_path;
    return missing();
}

void ley_spice_destroy(struct ley_spice *spice) {
    (void)spice;
}

enum ley_status ley_spice_run(struct ley_spice *spice, const char *netlist, const char *name) {
    (void)spice;
    (void)netlist;
    (void)name;
    return missing();
}

enum ley_status ley_spice_vector(const double **values, int *n, struct ley_spice *spice,
                                 const char *name) {
    (void)spice;
    (void)name;
    *values = NULL;
    *n = 0;
    return missing();
}

enum ley_status ley_least_squares(double *x, double *error, int *n_evaluations,
                                  const struct ley_least_squares *problem) {
    (void)x;
    (void)error;
    (void)n_evaluations;
    (void)problem;
    return missing();
}
