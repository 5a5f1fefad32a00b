// datadir.c - finds presets relative to the library, so that an installed tree can be moved
#define _GNU_SOURCE // dladdr
#include "core/datadir.h"

#include <dirent.h>
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

// Cut silently when the room is full: it is the end of a message, or there are few files.
enum ley_status ley_preset_names(char *names, size_t n_names, const char *folder) {
    char path[1024];
    struct dirent **entry = NULL;
    LEY_TRY(ley_data_path(path, sizeof path, folder));
    int n_entries = scandir(path, &entry, NULL, alphasort);
    names[0] = '\0';
    for (int i = 0; i < n_entries; i++) {
        char *dot = strrchr(entry[i]->d_name, '.');
        if (dot && dot > entry[i]->d_name && strcmp(dot, ".yaml") == 0) {
            size_t n = strlen(names);
            snprintf(names + n, n_names - n, "%s%.*s", n ? ", " : "", (int)(dot - entry[i]->d_name),
                     entry[i]->d_name);
        }
        free(entry[i]);
    }
    free(entry);
    return LEY_OK;
}

enum ley_status ley_preset_path(char *path, size_t n_path, const char *folder, const char *name) {
    size_t n = strlen(name);
    if (strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".yaml") == 0)) {
        if ((size_t)snprintf(path, n_path, "%s", name) >= n_path) {
            return ley_fail(LEY_E_ARGUMENT, "the name of the %s file is too long", folder);
        }
        return LEY_OK;
    }
    char file[512], known[512];
    snprintf(file, sizeof file, "%s/%.200s.yaml", folder, name);
    if (ley_data_path(path, n_path, file) == LEY_OK) {
        return LEY_OK;
    }
    LEY_TRY(ley_preset_names(known, sizeof known, folder));
    return ley_fail(LEY_E_ARGUMENT, "unknown %s '%.80s'; known are %s, or the path of a .yaml file",
                    folder, name, known);
}
