// container.c - safetensors files made by tests
#include "support/container.h"

#include <stdio.h>
#include <string.h>

#include "model/block.h"
#include "support/support.h"

void container_add(struct container *container, const char *name, const char *dtype,
                   const char *shape, const float *values, size_t n) {
    const struct ley_block_type *type = ley_block_type_named(dtype);
    size_t n_bytes = n * (size_t)type->n_bytes, at = strlen(container->header);
    assert_true(container->n_data + n_bytes <= sizeof container->data);
    ley_blocks_encode(container->data + container->n_data, type, values, (int64_t)n);
    int n_text =
        snprintf(container->header + at, sizeof container->header - at,
                 "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                 at ? "," : "", name, dtype, shape, container->n_data, container->n_data + n_bytes);
    assert_true(n_text > 0 && at + (size_t)n_text < sizeof container->header);
    container->n_data += n_bytes;
}

// Length, header, data.
static void put(struct container *container, const char *header, size_t n_header) {
    for (int i = 0; i < 8; i++) {
        container->file[i] = (uint8_t)(n_header >> (8 * i));
    }
    memcpy(container->file + 8, header, n_header);
    memcpy(container->file + 8 + n_header, container->data, container->n_data);
    container->n_file = 8 + n_header + container->n_data;
}

void container_finish(struct container *container) {
    static char header[sizeof container->header + 3];
    int n = snprintf(header, sizeof header, "{%s}", container->header);
    put(container, header, (size_t)n);
}

void container_raw(struct container *container, const char *header, size_t n_data) {
    memset(container->data, 0, n_data);
    container->n_data = n_data;
    put(container, header, strlen(header));
}
