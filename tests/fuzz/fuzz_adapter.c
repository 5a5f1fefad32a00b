// fuzz_adapter.c - any bytes as an adapter for a small model: refused, or every weight can be read
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input_file.h"
#include "leyden.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

// The shape of the seeds' model.
static struct ley_model_config config = {.family = LEY_FAMILY_LLAMA,
                                         .activation = LEY_SWIGLU,
                                         .rope_layout = LEY_ROPE_HALVES,
                                         .n_layers = 1,
                                         .d_model = 32,
                                         .n_heads = 4,
                                         .n_kv_heads = 2,
                                         .head_dim = 8,
                                         .d_ff = 64,
                                         .n_vocab = 12,
                                         .n_context = 16,
                                         .rope_dim = 8,
                                         .rope_base = 10000,
                                         .norm_eps = 1e-5};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct ley_fresh fresh = {.config = config, .is_tied = true};
    const struct ley_weight_source base = ley_fresh_source(&fresh);
    struct ley_adapter *adapter;
    struct cJSON *json;
    write_input_file(data, n);
    bool is_told = ley_adapter_json(&json, input_path) == LEY_OK;
    cJSON_Delete(json);
    if (ley_adapter_open(&adapter, input_path, &config, &base) != LEY_OK) {
        return 0;
    }
    if (!is_told) {
        abort();
    }
    const struct ley_weight_source source = ley_adapter_source(adapter);
    for (int w = 0; w < LEY_N_WEIGHTS; w++) {
        static float rows[64 * 64];
        struct ley_weight_info info = ley_weight_info(&config, (enum ley_weight)w);
        if (source.has(source.context, (enum ley_weight)w, 0) && info.n_rows <= 64 &&
            source.read(source.context, rows, (enum ley_weight)w, 0, 0, info.n_rows) != LEY_OK) {
            abort();
        }
    }
    ley_adapter_close(adapter);
    return 0;
}
