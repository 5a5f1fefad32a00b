// plot.c - a pipe into gnuplot
#include "plot.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"

// Of the goal; the temporary name adds process id and suffix.
enum { MAX_PATH = 1024 };

// The path goes into a quoted gnuplot string: quotes and line breaks cannot be part of it.
static enum ley_status temporary_path(char out[MAX_PATH + 32], const char *path) {
    if (strlen(path) >= MAX_PATH || strpbrk(path, "'\"\\\n\r")) {
        return ley_fail(LEY_E_ARGUMENT, "cannot plot to '%.80s': name too long or with quotes",
                        path);
    }
    snprintf(out, MAX_PATH + 32, "%s.tmp-%ld", path, (long)getpid());
    return LEY_OK;
}

// Problems are found before the drawing: folder, gnuplot, pipe, in this order.
enum ley_status plot_open(FILE **pipe, const char *path, int width, int height) {
    char temporary[MAX_PATH + 32];
    LEY_TRY(temporary_path(temporary, path));
    LEY_TRY(ley_file_write(temporary, "", 0)); // tells a folder that is not writable from the rest
    unlink(temporary);
    if (system("command -v gnuplot >/dev/null 2>&1") != 0) {
        return ley_fail(LEY_E_MISSING, "plots need gnuplot; install the package gnuplot-nox");
    }
    // gnuplot may end early; writing then fails quietly and plot_close tells.
    signal(SIGPIPE, SIG_IGN);
    *pipe = popen("gnuplot 2>/dev/null", "w");
    if (!*pipe) {
        return ley_fail(LEY_E_IO, "cannot start gnuplot: %s", strerror(errno));
    }
    fprintf(*pipe,
            "set terminal svg size %d,%d dynamic background rgb 'white' font 'Helvetica,16' "
            "linewidth 1.5\nset output '%s'\n",
            width, height, temporary);
    return LEY_OK;
}

// The name is made again rather than kept: it depends on path and process only.
enum ley_status plot_close(FILE *pipe, const char *path) {
    char temporary[MAX_PATH + 32];
    int result = pclose(pipe);
    LEY_TRY(temporary_path(temporary, path));
    if (result != 0) {
        unlink(temporary);
        return ley_fail(LEY_E_IO, "gnuplot failed to draw %s", path);
    }
    if (rename(temporary, path) != 0) {
        int reason = errno;
        unlink(temporary);
        return ley_fail(LEY_E_IO, "cannot write %s: %s", path, strerror(reason));
    }
    return LEY_OK;
}
