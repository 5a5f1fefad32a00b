// fuzz_safetensors.c - any bytes as a safetensors file; without their first eight, as an index too
#include <stdlib.h>

#include "leyden.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

// What the tables promise must hold for all bytes they point to.
static void use(const struct ley_safetensors *read) {
    for (size_t i = 0; i < read->n_tensors; i++) {
        const struct ley_safetensor *tensor = &read->tensor[i];
        float value;
        if (ley_safetensors_find(read, tensor->name) != tensor) {
            abort();
        }
        for (size_t at = 0; tensor->type && at < tensor->n_bytes;
             at += (size_t)tensor->type->n_bytes) {
            ley_blocks_decode(&value, tensor->type, tensor->data + at, 1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct ley_safetensors read;
    struct ley_shard_index index;
    if (ley_safetensors_read(&read, data, n, "input") == LEY_OK) {
        use(&read);
        ley_safetensors_destroy(&read);
    }
    struct ley_string text = {(const char *)data + 8, n - 8};
    if (n > 8 && ley_shard_index_read(&index, text, "input") == LEY_OK) {
        for (size_t i = 0; i < index.n_entries; i++) {
            if (ley_shard_index_find(&index, index.entry[i].tensor) != index.entry[i].file) {
                abort();
            }
        }
        ley_shard_index_destroy(&index);
    }
    return 0;
}
