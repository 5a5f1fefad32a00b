// fuzz_netlist.c - any bytes as a cell's netlist; an accepted one is printed, and read back
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spice/gain_cell.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ley_status read_cell(struct ley_netlist *netlist, const char *text, size_t n_bytes) {
    return ley_netlist_read(netlist, text, n_bytes, "fuzz", "gain_cell", ley_cell_ports());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const node[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
    struct ley_netlist netlist, again;
    if (size == 0 || read_cell(&netlist, (const char *)data, size) != LEY_OK) {
        return 0;
    }
    struct ley_markup text = {0};
    ley_netlist_print(&text, &netlist);
    if (ley_markup_check(&text) == LEY_OK) {
        if (read_cell(&again, text.text, text.n) != LEY_OK || again.n_params != netlist.n_params) {
            abort();
        }
        ley_netlist_destroy(&again);
        ley_netlist_instance(&text, &netlist, "x", ley_cell_ports(), node);
    }
    ley_markup_destroy(&text);
    ley_netlist_destroy(&netlist);
    return 0;
}
