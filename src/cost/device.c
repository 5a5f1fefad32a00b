// device.c - reads the files of config/device
#include "cost/device.h"

#include <stddef.h>
#include <string.h>

#include "core/datadir.h"
#include "core/file.h"
#include "core/memory.h"

enum { MAX_FILE_BYTES = 1 << 16, PATH_BYTES = 1024 };

static const struct ley_param rows[] = {
#define LEY_PARAM(key, type, field, default, low, high, choices, unit, doc, source)                \
    {key,                                                                                          \
     LEY_PARAM_##type,                                                                             \
     offsetof(struct ley_device, field),                                                           \
     default,                                                                                      \
     low,                                                                                          \
     high,                                                                                         \
     choices,                                                                                      \
     unit,                                                                                         \
     doc,                                                                                          \
     source},
#include "cost/device_params.def"
#undef LEY_PARAM
};

_Static_assert(sizeof rows / sizeof rows[0] == LEY_DEVICE_ROWS, "a note for every row");

static const struct ley_param_table table = {rows, LEY_DEVICE_ROWS};

const struct ley_param_table *ley_device_params(void) {
    return &table;
}

// Names become parts of keys, so they hold letters, digits and underscores only.
static enum ley_status load(struct ley_device_file *file, const char *name, size_t n_name,
                            const char *source) {
    static const char known[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    char path[PATH_BYTES], *text;
    size_t n_bytes;
    memset(file, 0, sizeof *file);
    ley_params_init(&table, &file->device);
    if (n_name >= sizeof file->name || strspn(name, known) < n_name) {
        return ley_fail(LEY_E_ARGUMENT,
                        "the device file %.*s.yaml must be named in a-z, 0-9, _ (at most 31)",
                        (int)n_name, name);
    }
    memcpy(file->name, name, n_name);
    LEY_TRY(ley_preset_path(path, sizeof path, "device", source ? source : file->name));
    LEY_TRY(ley_file_read(&text, &n_bytes, path, MAX_FILE_BYTES));
    enum ley_status status =
        ley_params_read_noted_yaml(&table, &file->device, file->note, text, n_bytes, path);
    ley_free(text);
    return status;
}

// The folder is the list: a file more is a rival more.
enum ley_status ley_devices_load(struct ley_device_file files[LEY_MAX_DEVICES], int *n_devices) {
    char names[1024];
    *n_devices = 0;
    LEY_TRY(ley_preset_names(names, sizeof names, "device"));
    for (const char *name = names; *name && *n_devices < LEY_MAX_DEVICES;) {
        size_t n = strcspn(name, ",");
        LEY_TRY(load(&files[(*n_devices)++], name, n, NULL));
        name += n;
        name += strspn(name, ", ");
    }
    return LEY_OK;
}

enum ley_status ley_device_load(struct ley_device_file *file, const char *name_or_path) {
    static const char ending[] = ".yaml";
    const char *slash = strrchr(name_or_path, '/'), *name = slash ? slash + 1 : name_or_path;
    size_t n = strlen(name), n_ending = sizeof ending - 1;
    n -= n > n_ending && strcmp(name + n - n_ending, ending) == 0 ? n_ending : 0;
    return load(file, name, n, name_or_path);
}

// A note's source is never empty (param_yaml.c).
bool ley_device_has_peaks(const struct ley_device_file *file) {
    static const char *const peaks[] = {"device.bytes_per_s", "device.flop_per_s",
                                        "device.power_w"};
    for (size_t i = 0; i < sizeof peaks / sizeof peaks[0]; i++) {
        if (!file->note[ley_params_find(&table, peaks[i])].source[0]) {
            return false;
        }
    }
    return true;
}
