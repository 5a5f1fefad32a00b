// ngspice.c - a session with libngspice
//
// The library is opened at run time and its symbols stay to themselves: programs that simulate no
// circuits do not load it, and a machine without it only lacks these commands. It reports through
// callbacks; the first line that sounds like a failure is what the user reads.
#include "spice/ngspice.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ngspice/sharedspice.h>

#include "core/file.h"
#include "core/memory.h"

enum { REASON_BYTES = 200, NAME_BYTES = 64 };

struct ley_spice {
    void *library;
    int (*init)(SendChar *, SendStat *, ControlledExit *, SendData *, SendInitData *,
                BGThreadRunning *, void *);
    int (*command)(char *);
    int (*circuit)(char **);
    pvector_info (*vector)(char *);
    char reason[REASON_BYTES]; // first complaint since the netlist was given
    int n_reasons;             // lines of it
    bool has_exited;           // ngspice asked to be unloaded: only a new process helps
    bool has_circuit;
    char keep_path[LEY_SPICE_PATH_BYTES];
};

// Whether a message of ngspice is a failure; warnings and notes are not.
static bool is_complaint(const char *text) {
    static const char *const words[] = {"rror",        "aborted",       "failed",
                                        "no such",     "singular",      "too small",
                                        "unknown sub", "Unknown model", "can't find"};
    if (strstr(text, "arning") || strstr(text, "Note:")) {
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(text, words[i])) {
            return true;
        }
    }
    return false;
}

// Lines come with "stdout " or "stderr " in front. Of a faulty line the first words are only where
// it is; line and fault come after.
static int on_text(char *text, int id, void *user) {
    (void)id;
    struct ley_spice *spice = user;
    size_t n = strlen(spice->reason);
    bool goes_on = spice->n_reasons > 0 && spice->n_reasons < 3 &&
                   strncmp(spice->reason, "Error on line", 13) == 0;
    if (strncmp(text, "stderr ", 7) != 0 || !(goes_on || (n == 0 && is_complaint(text)))) {
        return 0;
    }
    text += 7 + strspn(text + 7, " ");
    snprintf(spice->reason + n, sizeof spice->reason - n, "%s%s", n ? " " : "", text);
    spice->reason[strcspn(spice->reason, "\r\n")] = '\0';
    spice->n_reasons++;
    return 0;
}

static int on_status(char *text, int id, void *user) {
    (void)text;
    (void)id;
    (void)user;
    return 0;
}

static int on_exit(int status, NG_BOOL is_immediate, NG_BOOL is_quit, int id, void *user) {
    (void)status;
    (void)is_immediate;
    (void)is_quit;
    (void)id;
    ((struct ley_spice *)user)->has_exited = true;
    return 0;
}

// A pointer to data becomes one to a function by way of its bytes: C has no conversion.
static bool find(void *function, void *library, const char *name) {
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

// It is never unloaded in truth: ngspice leaves things behind that point into it.
static enum ley_status open_library(struct ley_spice *spice) {
    const char *name = getenv("LEYDEN_NGSPICE");
    name = name && *name ? name : "libngspice.so.0";
    spice->library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!spice->library) {
        return ley_fail(LEY_E_MISSING,
                        "circuits need ngspice, and %s cannot be loaded; install the package "
                        "libngspice0",
                        name);
    }
    if (!find(&spice->init, spice->library, "ngSpice_Init") ||
        !find(&spice->command, spice->library, "ngSpice_Command") ||
        !find(&spice->circuit, spice->library, "ngSpice_Circ") ||
        !find(&spice->vector, spice->library, "ngGet_Vec_Info")) {
        return ley_fail(LEY_E_MISSING,
                        "%s is no library of ngspice; install the package libngspice0", name);
    }
    return LEY_OK;
}

enum ley_status ley_spice_create(struct ley_spice **spice, const char *keep_path) {
    *spice = NULL;
    if (strlen(keep_path) >= LEY_SPICE_PATH_BYTES) {
        return ley_fail(LEY_E_ARGUMENT, "the name of the output folder is too long");
    }
    struct ley_spice *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("ngspice session", 1, sizeof *made);
    }
    snprintf(made->keep_path, sizeof made->keep_path, "%s", keep_path);
    enum ley_status status = open_library(made);
    if (status == LEY_OK && made->init(on_text, on_status, on_exit, NULL, NULL, NULL, made) != 0) {
        status = ley_fail(LEY_E_MISSING, "ngspice does not start: %s", made->reason);
    }
    if (status != LEY_OK) {
        ley_spice_destroy(made);
        return status;
    }
    *spice = made;
    return LEY_OK;
}

// ngspice takes commands in writable memory.
static int command(struct ley_spice *spice, const char *text) {
    char line[NAME_BYTES];
    snprintf(line, sizeof line, "%s", text);
    return spice->command(line);
}

// Circuit and results of the run before.
static void clear(struct ley_spice *spice) {
    if (spice->has_circuit && !spice->has_exited) {
        command(spice, "destroy all");
        command(spice, "remcirc");
    }
    spice->has_circuit = false;
}

void ley_spice_destroy(struct ley_spice *spice) {
    if (!spice) {
        return;
    }
    if (spice->library) {
        clear(spice);
        dlclose(spice->library);
    }
    ley_free(spice);
}

// What to say when ngspice refuses: its own words, and the netlist in a file.
static enum ley_status fail(struct ley_spice *spice, enum ley_status status, const char *netlist,
                            const char *name, const char *what) {
    const char *reason = spice->reason[0] ? spice->reason : "no reason given";
    LEY_TRY(ley_file_write(spice->keep_path, netlist, strlen(netlist)));
    return ley_fail(status, "%s: ngspice %s: %s; the netlist is kept in %s", name, what, reason,
                    spice->keep_path);
}

// Cuts a copy of the netlist into lines and hands them over; ngspice copies them.
static enum ley_status give_circuit(struct ley_spice *spice, const char *netlist) {
    size_t n_bytes = strlen(netlist), n_lines = 2;
    for (const char *at = netlist; *at; at++) {
        n_lines += *at == '\n';
    }
    char *text = ley_alloc(n_bytes + 1, 1);
    char **line = ley_alloc(n_lines, sizeof *line);
    enum ley_status status = LEY_OK;
    if (!text || !line) {
        status = ley_fail_memory("netlist", n_bytes + 1, 1);
    } else {
        char *rest = memcpy(text, netlist, n_bytes);
        size_t n = 0;
        for (char *at = strtok_r(rest, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest)) {
            line[n++] = at;
        }
        spice->has_circuit = true;
        if (spice->circuit(line) != 0 || spice->reason[0]) {
            status = LEY_E_FORMAT;
        }
    }
    ley_free(line);
    ley_free(text);
    return status;
}

enum ley_status ley_spice_run(struct ley_spice *spice, const char *netlist, const char *name) {
    if (spice->has_exited) {
        return ley_fail(LEY_E_RESULT, "ngspice has given up; start the command anew");
    }
    clear(spice);
    spice->reason[0] = '\0';
    spice->n_reasons = 0;
    enum ley_status status = give_circuit(spice, netlist);
    if (status == LEY_E_FORMAT) {
        return fail(spice, status, netlist, name, "cannot read the circuit");
    }
    LEY_TRY(status);
    if (command(spice, "run") != 0 || spice->reason[0] || spice->has_exited) {
        return fail(spice, LEY_E_RESULT, netlist, name, "does not reach a solution");
    }
    return LEY_OK;
}

enum ley_status ley_spice_vector(const double **values, int *n, struct ley_spice *spice,
                                 const char *name) {
    char copy[NAME_BYTES];
    snprintf(copy, sizeof copy, "%s", name);
    pvector_info info = spice->vector(copy);
    if (!info || !info->v_realdata || info->v_length < 1) {
        return ley_fail(LEY_E_RESULT, "ngspice has no result called %s", name);
    }
    *values = info->v_realdata;
    *n = info->v_length;
    return LEY_OK;
}
