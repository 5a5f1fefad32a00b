// netlist.h - a file that holds one subcircuit, and the parameters of it that may be fitted.
//
// A cell file is a plain SPICE netlist without analysis. It defines a subcircuit with the ports of
// its kind in any order, and may hold lines
//     .param NAME = VALUE   ; fit LOW HIGH UNIT what it is
// whose values a fit may choose between LOW and HIGH (UNIT '-': a ratio).
#pragma once
#include "core/status.h"
#include "report/markup.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEY_NETLIST_MAX_PARAMS = 64, LEY_NETLIST_MAX_PORTS = 16, LEY_NETLIST_NAME_BYTES = 32 };

// A parameter that may be fitted.
struct ley_netlist_param {
    char name[LEY_NETLIST_NAME_BYTES], unit[LEY_NETLIST_NAME_BYTES], meaning[96];
    double value, low, high;
    size_t value_at, n_value; // where its value stands in the text
};

// Plain data but for the text.
struct ley_netlist {
    char *text; // owned; ends with a line break
    char path[256];
    int n_params;
    struct ley_netlist_param param[LEY_NETLIST_MAX_PARAMS];
    int n_ports;
    char port[LEY_NETLIST_MAX_PORTS][LEY_NETLIST_NAME_BYTES]; // of the subcircuit, in its order
    char subckt[LEY_NETLIST_NAME_BYTES];
};

// Reads a file of the subcircuit `subckt` and checks that it has exactly these ports (ended by
// NULL). One line says what is missing.
LEY_MUST_CHECK enum ley_status ley_netlist_load(struct ley_netlist *netlist, const char *path,
                                                const char *subckt, const char *const *ports);

// The same from text of n_bytes bytes; `name` is used in messages.
LEY_MUST_CHECK enum ley_status ley_netlist_read(struct ley_netlist *netlist, const char *text,
                                                size_t n_bytes, const char *name,
                                                const char *subckt, const char *const *ports);

// {0} is accepted.
void ley_netlist_destroy(struct ley_netlist *netlist);

// Appends the text with the parameters as they are now.
void ley_netlist_print(struct ley_markup *out, const struct ley_netlist *netlist);

// Appends the line of an instance of the subcircuit: node[i] is what its port port[i] is connected
// to, `port` as at load (the order of the file may differ).
void ley_netlist_instance(struct ley_markup *out, const struct ley_netlist *netlist,
                          const char *instance, const char *const *port, const char *const *node);

#ifdef __cplusplus
}
#endif
