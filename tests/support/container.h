// container.h - small safetensors files made by tests, right ones and wrong ones.
#pragma once
#include <stddef.h>
#include <stdint.h>

// A container under construction; zeroed: empty.
struct container {
    char header[16384]; // members of the JSON object, with commas between
    uint8_t data[65536];
    size_t n_data;
    uint8_t file[8 + 2 + 16384 + 65536]; // after container_finish
    size_t n_file;
};

// Adds n values as "F32", "F16" or "BF16"; `shape` is JSON ("[2,3]").
void container_add(struct container *container, const char *name, const char *dtype,
                   const char *shape, const float *values, size_t n);

// Makes file[n_file] from what was added.
void container_finish(struct container *container);

// Makes file[n_file] of this header and n_data bytes of value 0, whatever sense that makes.
void container_raw(struct container *container, const char *header, size_t n_data);
