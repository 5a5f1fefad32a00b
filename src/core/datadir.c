// datadir.c - finds presets relative to the library, so that an installed tree can be moved
#define _GNU_SOURCE // dladdr
#include "core/datadir.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

// True when folder + middle + "/" + name exists; it is then in `path`.
static bool try_path(char *path, size_t n_path, const char *folder, const char *middle,
                     const char *name) {
    int n = snprintf(path, n_path, "%s%s/%s", folder, middle, name);
    return n > 0 && (size_t)n < n_path && ley_file_exists(path);
}

// First what the user says, then what belongs to this build; the working folder never decides.
enum ley_status ley_data_path(char *path, size_t n_path, const char *name) {
    const char *chosen = getenv("LEYDEN_CONFIG_DIR");
    if (chosen && try_path(path, n_path, chosen, "", name)) {
        return LEY_OK;
    }
    // dladdr tells where the code of this very function was loaded from.
    Dl_info info;
    char folder[1024] = ".";
    if (dladdr(ley_file_exists, &info) && info.dli_fname && strrchr(info.dli_fname, '/')) {
        snprintf(folder, sizeof folder, "%.*s",
                 (int)(strrchr(info.dli_fname, '/') - info.dli_fname), info.dli_fname);
    }
    // lib/libleyden.so, or lib/<triplet>/libleyden.so
    if (try_path(path, n_path, folder, "/../share/leyden", name) ||
        try_path(path, n_path, folder, "/../../share/leyden", name)) {
        return LEY_OK;
    }
    return ley_fail(LEY_E_IO,
                    "cannot find %s in %s/../share/leyden; set LEYDEN_CONFIG_DIR to "
                    "Leyden's config folder",
                    name, folder);
}
