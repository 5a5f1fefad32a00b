// fuzz_table.c - any bytes as a cell table; an accepted one gives a finite curve
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "device/cell_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1); // a text has a zero after its end, as ley_file_read gives it
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)data[i];
    }
    text[size] = '\0';
    struct ley_curve *curve;
    if (ley_cell_table_read(&curve, text, size, "fuzz", 0.9) == LEY_OK) {
        for (int i = -10; i <= 110; i++) {
            if (!isfinite(ley_curve_value(curve, i * 0.01))) {
                abort();
            }
        }
        ley_curve_destroy(curve);
    }
    free(text);
    return 0;
}
