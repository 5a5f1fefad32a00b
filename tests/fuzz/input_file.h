// input_file.h - a fuzz target's input as a file, for what is opened by its path
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char input_path[] = "/tmp/leyden_fuzz_XXXXXX";

static inline void remove_input_file(void) {
    remove(input_path);
}

// Made once, overwritten by every input, removed at exit.
static inline void write_input_file(const uint8_t *data, size_t n) {
    static bool is_made = false;
    if (!is_made) {
        int made = mkstemp(input_path);
        if (made < 0 || close(made) != 0) {
            abort();
        }
        atexit(remove_input_file);
        is_made = true;
    }
    FILE *file = fopen(input_path, "wb");
    if (!file || fwrite(data, 1, n, file) != n || fclose(file) != 0) {
        abort();
    }
}
