// device.h - digital rivals: peaks of memory, arithmetic and power, and what others measured.
#pragma once
#include <stdbool.h>

#include "core/param.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEY_DEVICE_ROWS = 9, LEY_MAX_DEVICES = 8 };

// Plain data; device_params.def documents the fields.
struct ley_device {
    double bytes_per_s, flop_per_s, power_w; // peaks
    double attention_s, attention_j;         // measured, one layer and token; 0: not measured
    // of the layer that was measured; n_kv_heads 0: as many as heads
    double n_heads, n_kv_heads, head_dim, n_tokens;
};

// A device with the range and the source of its numbers.
struct ley_device_file {
    char name[32]; // "h100"
    struct ley_device device;
    struct ley_param_note note[LEY_DEVICE_ROWS];
};

// Every parameter of struct ley_device. Static storage.
const struct ley_param_table *ley_device_params(void);

// Reads every YAML file of Leyden's device folder, in alphabetical order; at most LEY_MAX_DEVICES.
LEY_MUST_CHECK enum ley_status ley_devices_load(struct ley_device_file files[LEY_MAX_DEVICES],
                                                int *n_devices);

// Reads the device of this name, or the YAML file of this path, whose name without .yaml becomes
// the device's.
LEY_MUST_CHECK enum ley_status ley_device_load(struct ley_device_file *file,
                                               const char *name_or_path);

// Whether the peaks of a device are stated; rooflines need them.
bool ley_device_has_peaks(const struct ley_device_file *file);

#ifdef __cplusplus
}
#endif
