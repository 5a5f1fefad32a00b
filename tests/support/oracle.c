// oracle.c - the authors' cases: hardware, scalers, folders
#include "support/oracle.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

double oracle_number(const struct cJSON *meta, const char *key) {
    const struct cJSON *item = cJSON_GetObjectItem(meta, key);
    assert_non_null(item);
    return item->valuedouble;
}

static const char *preset_of(const char *model) {
    static const char *const presets[][2] = {
        {"linear", "paper-linear"},  {"dram", "paper"},
        {"nlx3", "nl-x3"},           {"nlx5", "nl-x5"},
        {"nlsigmoid", "nl-sigmoid"}, {"nlexponential", "nl-exponential"},
    };
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (strcmp(presets[i][0], model) == 0) {
            return presets[i][1];
        }
    }
    fail_msg("no preset for %s", model);
    return NULL;
}

// The four nonlinear classes ignore decay and leave q and outputs unrounded whatever is configured.
struct ley_hardware oracle_hardware(const struct cJSON *meta, const char *model, int64_t n_tokens) {
    struct ley_hardware hardware;
    ASSERT_OK(ley_hardware_load(&hardware, preset_of(model)));
    bool is_nl = strncmp(model, "nl", 2) == 0;
    bool is_quantised = cJSON_IsTrue(cJSON_GetObjectItem(meta, "quantised"));
    int window = (int)oracle_number(meta, "sliding_window");
    double decay = oracle_number(meta, "decay_factor");
    hardware.array.arithmetic = LEY_ARITHMETIC_DOUBLE; // the definition
    hardware.array.window = window;
    hardware.array.ring = window > n_tokens ? window : (int)n_tokens;
    hardware.cell.leakage = decay > 0 && !is_nl ? LEY_LEAK_RELAX : LEY_LEAK_NONE;
    hardware.cell.tau_s = decay > 0 ? hardware.time.token_period_s / decay : 1;
    struct ley_converter_spec *converter = &hardware.converter;
    converter->q_levels = converter->kv_levels = converter->output_levels = 0;
    if (is_quantised) {
        converter->kv_levels = (int)oracle_number(meta, "levels_weights");
    }
    if (is_quantised && !is_nl) {
        converter->q_levels = (int)oracle_number(meta, "levels_input");
        converter->output_levels = (int)oracle_number(meta, "levels_output");
    }
    return hardware;
}

struct ley_attention *oracle_attention(const struct ley_hardware *hardware, int n_heads,
                                       int head_dim, const char *folder) {
    struct ley_attention *attention;
    const struct ley_attention_shape shape = {n_heads, n_heads, head_dim};
    const int all[LEY_N_SIGNALS] = {n_heads, n_heads, n_heads, n_heads};
    ASSERT_OK(ley_attention_create(&attention, hardware, &shape));
    ASSERT_OK(ley_scalers_load(attention->scaler, all, folder));
    return attention;
}

int oracle_for_each(const char *folder, void (*check)(const char *folder)) {
    int n_cases = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.') {
            char path[2048];
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            check(path);
            n_cases++;
        }
    }
    closedir(dir);
    return n_cases;
}
