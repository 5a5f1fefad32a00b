// fuzz_hf_model.c - any bytes as a Hugging Face folder, and all weights of what opens
//
// The first zero byte of the input ends config.json and begins model.safetensors.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leyden.h"
#include "read_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char folder[] = "/tmp/leyden_fuzz_XXXXXX", config_path[64], weights_path[64];

static void remove_folder(void) {
    remove(config_path);
    remove(weights_path);
    rmdir(folder);
}

static void make_folder(void) {
    if (config_path[0] == '\0') {
        if (!mkdtemp(folder)) {
            abort();
        }
        snprintf(config_path, sizeof config_path, "%s/config.json", folder);
        snprintf(weights_path, sizeof weights_path, "%s/model.safetensors", folder);
        atexit(remove_folder);
    }
}

static void write_file(const char *path, const uint8_t *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct ley_model_file *file;
    const uint8_t *end = n > 0 ? memchr(data, '\0', n) : NULL;
    size_t n_config = end ? (size_t)(end - data) : n;
    make_folder();
    write_file(config_path, data, n_config);
    write_file(weights_path, data + n_config + (end != NULL), n - n_config - (end != NULL));
    if (ley_model_file_open(&file, folder) == LEY_OK) {
        read_model(file);
        ley_model_file_close(file);
    }
    return 0;
}
