// fuzz_yaml.c - any bytes as a hardware preset, and as a technology
#include "array/hardware.h"
#include "cost/technology.h"

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
    struct ley_technology technology;
    struct ley_param_note note[LEY_MAX_NOTES];
    ley_params_init(ley_technology_params(), &technology);
    status = ley_params_read_noted_yaml(ley_technology_params(), &technology, note,
                                        (const char *)data, size, "fuzz");
    if (status == LEY_OK && !(technology.price.control_j > 0)) {
        __builtin_trap(); // nothing is free
    }
    return 0;
}
