// fuzz_npy.c - any bytes as a .npy file
#include "tensor/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ley_tensor tensor;
    if (ley_npy_read(&tensor, (const char *)data, size, "fuzz") == LEY_OK) {
        volatile double sink = 0;
        for (int64_t i = 0; i < ley_tensor_count(&tensor); i++) {
            sink = ley_tensor_get(&tensor, i);
        }
        (void)sink;
        ley_tensor_destroy(&tensor);
    }
    return 0;
}
