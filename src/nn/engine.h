// engine.h - what the dense layers run on: oneDNN on this CPU, in a chosen number format.
//
// An engine owns the compiled matrix kernels (one set for each shape of layer, shared by all layers
// of that shape) and the scratch memory they need. One thread at a time may run layers of an
// engine; inside, the work is spread over OpenMP's threads.
#pragma once
#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Format of the weights of linear layers. Activations are float32 outside the layers and sums are
// float32 always; with bf16 weights a layer rounds its inputs to bf16.
enum ley_nn_dtype {
    LEY_NN_AUTO, // bf16 where the CPU multiplies it (AVX512-BF16, AMX), else float32
    LEY_NN_F32,
    LEY_NN_BF16,
};

struct ley_engine;

// Starts an engine. LEY_E_ARGUMENT when bf16 is asked for on a CPU that has no instructions for it.
LEY_MUST_CHECK enum ley_status ley_engine_create(struct ley_engine **engine,
                                                 enum ley_nn_dtype dtype);

// NULL is accepted. The layers made with the engine must be gone.
void ley_engine_destroy(struct ley_engine *engine);

// What LEY_NN_AUTO became.
enum ley_nn_dtype ley_engine_dtype(const struct ley_engine *engine);

// "f32", "bf16", "auto".
const char *ley_nn_dtype_name(enum ley_nn_dtype dtype);

#ifdef __cplusplus
}
#endif
