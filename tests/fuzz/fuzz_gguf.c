// fuzz_gguf.c - any bytes as a GGUF file: every pair and every block of every tensor is looked at,
// and where it is a model, all its weights, its vocabulary and its scalers
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "input_file.h"
#include "leyden.h"
#include "read_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static double use_pair(const struct ley_gguf_pair *pair) {
    struct ley_string *strings;
    double sum = 0;
    if (pair->type == LEY_GGUF_STRING) {
        if (ley_gguf_strings(&strings, pair) != LEY_OK) {
            return 0;
        }
        for (uint64_t i = 0; i < pair->n_items; i++) {
            sum += strings[i].n > 0 ? strings[i].text[strings[i].n - 1] : 0;
        }
        ley_free(strings);
    }
    for (uint64_t i = 0; pair->type != LEY_GGUF_STRING && i < pair->n_items; i++) {
        sum += fabs(ley_gguf_item(pair, i));
    }
    return sum;
}

static double use_tensor(const struct ley_gguf_tensor *tensor) {
    float out[256];
    double sum = 0;
    size_t size = (size_t)tensor->type->n_bytes;
    for (size_t at = 0; at < tensor->n_bytes; at += size) {
        ley_blocks_decode(out, tensor->type, tensor->data + at, 1);
        sum += (double)out[tensor->type->n_weights - 1];
    }
    return sum;
}

static void use_model(const uint8_t *data, size_t n) {
    struct ley_model_file *file;
    struct ley_scaler_set set;
    bool has_scalers;
    write_input_file(data, n);
    if (ley_model_file_open(&file, input_path) != LEY_OK) {
        return;
    }
    read_model(file);
    cJSON_Delete(ley_model_file_json(file, true));
    if (ley_model_file_scalers(file, &set, &has_scalers) == LEY_OK && has_scalers) {
        ley_scaler_set_destroy(&set);
    }
    ley_model_file_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct ley_gguf gguf;
    volatile double sink = 0;
    if (ley_gguf_read(&gguf, data, n, "fuzz") != LEY_OK) {
        return 0;
    }
    for (uint64_t i = 0; i < gguf.n_pairs; i++) {
        sink = use_pair(&gguf.pair[i]);
    }
    for (uint64_t i = 0; i < gguf.n_tensors; i++) {
        sink = use_tensor(&gguf.tensor[i]);
    }
    (void)sink;
    ley_gguf_destroy(&gguf);
    use_model(data, n);
    return 0;
}
