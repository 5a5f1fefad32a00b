// engine_impl.h - kernels of one shape of linear layer, as engine.c makes and linear.c runs them.
#pragma once
#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "nn/engine.h"

enum { LEY_N_BLOCKS = 9 }; // block sizes 1, 2, 4 .. 256 rows

// A matrix product of a fixed number of rows, ready to run.
struct ley_block {
    int n_rows;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, y, scratch; // descriptions; their data is set for each run
};

// All products of one shape of layer.
struct ley_kernel {
    int n_in, n_out;
    bool has_bias;
    // blocks that were made, at the front of block[]
    int n_blocks;
    struct ley_block block[LEY_N_BLOCKS]; // rising n_rows; the first may need padding
    dnnl_memory_desc_t weights;           // packed layout, the same for all blocks
    // the engine's list of shapes
    struct ley_kernel *next;
};

// A product for the gradient of weights, run by one thread: (m, k) (k, n) added to (m, n), whose
// rows are k, b_row and c_row values apart.
struct ley_outer_shape {
    int64_t m, k, n, b_row, c_row;
};

struct ley_outer {
    struct ley_outer_shape shape;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t a, b, c, scratch;
    // the engine's list of shapes
    struct ley_outer *next;
};

struct ley_engine {
    enum ley_nn_dtype dtype;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    // every shape that a layer has asked for; freed with the engine
    struct ley_kernel *kernels;
    // three buffers, each as large as any block of any shape needs; one run at a time uses them
    void *scratch; // of oneDNN
    size_t n_scratch;
    void *x; // one block of inputs, converted or padded
    size_t n_x;
    float *y; // one block of outputs, padded
    size_t n_y;
    // gradients of weights (linear_backward.c): shapes so far, both operands, scratch of each
    // thread
    struct ley_outer *outers;
    void *dy, *dy_x, *outer_scratch;
    size_t n_dy, n_dy_x, n_outer_scratch;
};

// Finds or makes the kernels of a shape; they belong to the engine.
LEY_MUST_CHECK enum ley_status ley_kernel_get(struct ley_kernel **kernel, struct ley_engine *engine,
                                              int n_in, int n_out, bool has_bias);

// Frees the products of linear_backward.c.
void ley_outers_destroy(struct ley_outer *outers);

// Makes a buffer of the engine at least this large; its contents need not survive.
LEY_MUST_CHECK enum ley_status ley_engine_reserve(void **buffer, size_t *n_bytes, size_t wanted);

// LEY_OK, or what oneDNN refused: `what` completes "oneDNN cannot ...".
LEY_MUST_CHECK enum ley_status ley_dnnl_status(dnnl_status_t status, const char *what);
