// ngspice.h - circuits simulated by ngspice, in this process.
//
// A netlist is text as any SPICE reads it, with one analysis line (.dc, .tran) and the vectors it
// wants (.save). ngspice itself has one state per process: one session at a time, one thread.
#pragma once
#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEY_SPICE_PATH_BYTES = 1024 };

struct ley_spice;

// Loads ngspice: the library that the environment variable LEYDEN_NGSPICE names, or
// libngspice.so.0. LEY_E_MISSING, with what to install, when there is none or this build was made
// without it. A netlist that fails is kept in the file `keep_path` (copied) for inspection.
LEY_MUST_CHECK enum ley_status ley_spice_create(struct ley_spice **spice, const char *keep_path);

// NULL is accepted.
void ley_spice_destroy(struct ley_spice *spice);

// Simulates a netlist, replacing the one before; vectors of that one are gone. `name` is used in
// messages. LEY_E_FORMAT when ngspice cannot read it, LEY_E_RESULT when it does not converge; the
// message holds ngspice's first complaint and where the netlist is.
LEY_MUST_CHECK enum ley_status ley_spice_run(struct ley_spice *spice, const char *netlist,
                                             const char *name);

// A vector of the last run by its name ("time", "v(out)", "i(vdd)"), valid until the next run.
LEY_MUST_CHECK enum ley_status ley_spice_vector(const double **values, int *n,
                                                struct ley_spice *spice, const char *name);

#ifdef __cplusplus
}
#endif
