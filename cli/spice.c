// spice.c - hardware, cell and simulator of leyden spice
#include "spice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool spice_path(char out[LEY_SPICE_PATH_BYTES], const struct spice_options *options,
                const char *name) {
    int n = snprintf(out, LEY_SPICE_PATH_BYTES, "%s/%s", options->out, name);
    return n > 0 && n < LEY_SPICE_PATH_BYTES;
}

// A name without '/' and '.' is one of Leyden's own circuits.
static enum ley_status load_cell(struct ley_netlist *cell, const char *name) {
    char file[128], path[LEY_SPICE_PATH_BYTES];
    if (strpbrk(name, "/.")) {
        return ley_cell_netlist_load(cell, name);
    }
    snprintf(file, sizeof file, "spice/%s.cir", name);
    LEY_TRY(ley_data_path(path, sizeof path, file));
    return ley_cell_netlist_load(cell, path);
}

enum ley_status spice_open(struct spice_session *session, const struct spice_options *options) {
    char keep[LEY_SPICE_PATH_BYTES] = "leyden-failed.cir";
    LEY_TRY(session_hardware(&session->hardware, &options->hw));
    LEY_TRY(ley_hardware_check(&session->hardware, 1));
    session->name = options->netlist ? options->netlist : "silicon";
    LEY_TRY(load_cell(&session->cell, session->name));
    if (options->out) {
        if (!spice_path(keep, options, "failed.cir")) {
            return ley_fail(LEY_E_ARGUMENT, "the name of the output folder is too long");
        }
        if (mkdir(options->out, 0777) != 0 && errno != EEXIST) {
            return ley_fail(LEY_E_IO, "cannot make folder %s: %s", options->out, strerror(errno));
        }
    }
    double v_dd_v = session->hardware.cell.v_dd_v;
    session->bench = (struct ley_cell_bench){v_dd_v, v_dd_v / 2};
    return ley_spice_create(&session->spice, keep);
}

int spice_close(struct spice_session *session, const char *command, enum ley_status status) {
    int result = status == LEY_OK ? EXIT_OK : session_fail(command, status);
    ley_spice_destroy(session->spice);
    ley_netlist_destroy(&session->cell);
    return result;
}

enum ley_status spice_reference(struct ley_cell_grid *grid, const struct spice_session *session) {
    char path[LEY_SPICE_PATH_BYTES];
    LEY_TRY(ley_hardware_table_path(path, sizeof path, &session->hardware));
    return ley_cell_grid_load(grid, path, session->hardware.cell.v_read_v);
}

enum ley_status spice_save(const struct spice_options *options, const char *name,
                           struct ley_markup *text) {
    char path[LEY_SPICE_PATH_BYTES];
    enum ley_status status = ley_markup_check(text);
    if (status == LEY_OK && options->out && spice_path(path, options, name)) {
        status = ley_file_write(path, text->text, text->n);
    }
    ley_markup_destroy(text);
    return status;
}
