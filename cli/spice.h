// spice.h - what the subcommands of leyden spice share.
#pragma once
#include "session.h"

// The subcommands; argv[0] is "spice cell", "spice fit", ... for messages and origin.
int cmd_spice_cell(int argc, char **argv);
int cmd_spice_fit(int argc, char **argv);
int cmd_spice_head(int argc, char **argv);
int cmd_spice_column(int argc, char **argv);
int cmd_spice_converter(int argc, char **argv);

// What every one of them starts from.
struct spice_options {
    struct hardware_options hw;
    const char *netlist; // the cell's subcircuit; NULL: silicon
    const char *out;     // folder of results; NULL: none
    bool json;
};

// Rows to put into an option table for a struct spice_options called `options`.
#define SPICE_ROWS(options)                                                                        \
    HARDWARE_ROWS((options).hw),                                                                   \
        {"netlist",                                                                                \
         0,                                                                                        \
         OPTION_TEXT,                                                                              \
         &(options).netlist,                                                                       \
         "NAME|FILE",                                                                              \
         "the cell: silicon, oxide, or a file with the subcircuit gain_cell (silicon)"},           \
        {"out", 0, OPTION_TEXT, &(options).out, "DIR", "write netlists, tables and plots there"},  \
    {                                                                                              \
        "json", 0, OPTION_FLAG, &(options).json, NULL, "results as JSON"                           \
    }

struct spice_session {
    const char *name; // of the cell, as the user gave it
    struct ley_hardware hardware;
    struct ley_netlist cell;
    struct ley_spice *spice;
    struct ley_cell_bench bench;
};

// Loads hardware, cell and ngspice, and makes the folder of results.
enum ley_status spice_open(struct spice_session *session, const struct spice_options *options);

// Frees all of it, tells a failure, and returns the exit code.
int spice_close(struct spice_session *session, const char *command, enum ley_status status);

// The hardware's own table, which a circuit is compared with.
enum ley_status spice_reference(struct ley_cell_grid *grid, const struct spice_session *session);

// Writes text into DIR/NAME; nothing when there is no folder. The text is destroyed.
enum ley_status spice_save(const struct spice_options *options, const char *name,
                           struct ley_markup *text);

// DIR/NAME; false when it does not fit.
bool spice_path(char out[LEY_SPICE_PATH_BYTES], const struct spice_options *options,
                const char *name);
