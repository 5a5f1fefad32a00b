// fuzz_yaml.c - any bytes as a hardware preset
#include "array/hardware.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ley_hardware hardware;
    memset(&hardware, 0, sizeof hardware);
    ley_params_init(ley_hardware_params(), &hardware);
    enum ley_status status =
        ley_params_read_yaml(ley_hardware_params(), &hardware, (const char *)data, size, "fuzz");
    if (status == LEY_OK && ley_hardware_check(&hardware, 1) == LEY_OK) {
        // whatever passes the checks must work
        volatile int n = ley_hardware_n_tiles(&hardware);
        (void)n;
    }
    return 0;
}
