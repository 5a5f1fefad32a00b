// linear.c - packing weights into oneDNN's blocks, and running a layer block by block of rows
//
// In a blocked layout the place of W[k][n] is in_offset[k] + out_offset[n]: each dimension adds its
// own term. So rows are packed, and read back, one by one, without a second copy of the matrix.
#include "nn/linear.h"

#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "nn/bf16.h"
#include "nn/engine_impl.h"

// PIECE: values converted at a time. SIDE: outputs that lie side by side, where a layout has that.
enum { PIECE = 256, SIDE = 16 };

struct ley_linear {
    struct ley_engine *engine;       // borrowed
    const struct ley_kernel *kernel; // the engine's
    void *weights;                   // packed, in the engine's format
    size_t n_bytes;
    float *bias; // (n_out) or NULL
    // [n_in], [n_out] elements; input is dimension 0 of the packed matrix, output dimension 1
    int64_t *in_offset, *out_offset;
    bool has_pairs; // of bf16 inputs: 2 i + 1 follows 2 i, and outputs lie side by side in SIDEs
    dnnl_memory_t weights_memory, bias_memory;
};

// Elements that index i of a dimension adds to the place of an element.
// Inner blocks count from the innermost: each takes its remainder of the index, and what is left
// over moves by the dimension's outer stride.
static int64_t offset_of(const dnnl_memory_desc_t *desc, int dimension, int64_t i) {
    const dnnl_blocking_desc_t *blocking = &desc->format_desc.blocking;
    int64_t offset = 0, stride = 1;
    // Innermost block first.
    for (int b = blocking->inner_nblks - 1; b >= 0; b--) {
        int64_t size = blocking->inner_blks[b];
        if (blocking->inner_idxs[b] == dimension) {
            offset += i % size * stride;
            i /= size;
        }
        stride *= size;
    }
    return offset + i * blocking->strides[dimension];
}

static bool has_pairs(const struct ley_linear *linear) {
    const struct ley_kernel *kernel = linear->kernel;
    bool has = linear->engine->dtype == LEY_NN_BF16 && kernel->n_in % 2 == 0;
    for (int i = 0; has && i < kernel->n_in; i += 2) {
        has = linear->in_offset[i] % 2 == 0 && linear->in_offset[i + 1] == linear->in_offset[i] + 1;
    }
    for (int i = 0; has && i < kernel->n_out; i++) {
        has = linear->out_offset[i] == linear->out_offset[i / SIDE * SIDE] + i % SIDE * 2;
    }
    return has;
}

// Weights are zeroed by ley_alloc, padding of the layout included: it is multiplied too. On failure
// the caller destroys what there is.
static enum ley_status allocate(struct ley_linear *linear) {
    const struct ley_kernel *kernel = linear->kernel;
    dnnl_engine_t engine = linear->engine->engine;
    size_t n_out = (size_t)kernel->n_out;
    linear->n_bytes = dnnl_memory_desc_get_size(&kernel->weights);
    linear->weights = ley_alloc(linear->n_bytes, 1);
    linear->in_offset = ley_alloc((size_t)kernel->n_in, sizeof *linear->in_offset);
    linear->out_offset = ley_alloc(n_out, sizeof *linear->out_offset);
    linear->bias = kernel->has_bias ? ley_alloc(n_out, sizeof(float)) : NULL;
    if (!linear->weights || !linear->in_offset || !linear->out_offset ||
        (kernel->has_bias && !linear->bias)) {
        return ley_fail_memory("weights of a layer", linear->n_bytes, 1);
    }
    // The parts of every place, made once: packing and reading then only add.
    for (int i = 0; i < kernel->n_in; i++) {
        linear->in_offset[i] = offset_of(&kernel->weights, 0, i);
    }
    for (int i = 0; i < kernel->n_out; i++) {
        linear->out_offset[i] = offset_of(&kernel->weights, 1, i);
    }
    linear->has_pairs = has_pairs(linear);
    LEY_TRY(ley_dnnl_status(
        dnnl_memory_create(&linear->weights_memory, &kernel->weights, engine, linear->weights),
        "hold weights"));
    if (!kernel->has_bias) {
        return LEY_OK;
    }
    dnnl_memory_desc_t desc;
    dnnl_dims_t dims = {1, kernel->n_out};
    LEY_TRY(ley_dnnl_status(dnnl_memory_desc_init_by_tag(&desc, 2, dims, dnnl_f32, dnnl_ab),
                            "describe a bias"));
    return ley_dnnl_status(dnnl_memory_create(&linear->bias_memory, &desc, engine, linear->bias),
                           "hold a bias");
}

// Shapes that several layers share have one kernel; each layer has its own packed weights.
enum ley_status ley_linear_create(struct ley_linear **linear, struct ley_engine *engine, int n_in,
                                  int n_out, bool has_bias) {
    LEY_ASSERT(n_in >= 1 && n_out >= 1);
    struct ley_kernel *kernel;
    *linear = NULL;
    LEY_TRY(ley_kernel_get(&kernel, engine, n_in, n_out, has_bias));
    struct ley_linear *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("layer", 1, sizeof *made);
    }
    made->engine = engine;
    made->kernel = kernel;
    enum ley_status status = allocate(made);
    if (status != LEY_OK) {
        ley_linear_destroy(made);
        return status;
    }
    *linear = made;
    return LEY_OK;
}

void ley_linear_destroy(struct ley_linear *linear) {
    if (!linear) {
        return;
    }
    dnnl_memory_destroy(linear->weights_memory);
    dnnl_memory_destroy(linear->bias_memory);
    ley_free(linear->weights);
    ley_free(linear->in_offset);
    ley_free(linear->out_offset);
    ley_free(linear->bias);
    ley_free(linear);
}

// Stores the inputs x[n_in] of an output at place, two at a time.
static void scatter_row(struct ley_linear *linear, int64_t place, const float *x) {
    int n = linear->kernel->n_in;
    uint16_t *w = (uint16_t *)linear->weights + place, piece[PIECE];
    for (int first = 0; first < n; first += PIECE) {
        int n_piece = n - first < PIECE ? n - first : PIECE;
        ley_bf16_from_float(piece, x + first, (size_t)n_piece);
        for (int i = 0; i < n_piece; i += 2) {
            memcpy(w + linear->in_offset[first + i], piece + i, 2 * sizeof *w);
        }
    }
}

// Stores all outputs of two neighbouring inputs at place.
static void scatter_columns(struct ley_linear *linear, int64_t place, const float *even,
                            const float *odd) {
    int n = linear->kernel->n_out;
    uint16_t *w = (uint16_t *)linear->weights + place, low[PIECE], high[PIECE];
    for (int first = 0; first < n; first += PIECE) {
        int n_piece = n - first < PIECE ? n - first : PIECE;
        ley_bf16_from_float(low, even + first, (size_t)n_piece);
        ley_bf16_from_float(high, odd + first, (size_t)n_piece);
        for (int i = 0; i < n_piece; i += SIDE) {
            int n_side = n_piece - i < SIDE ? n_piece - i : SIDE;
            uint16_t *to = w + linear->out_offset[first + i];
            for (int l = 0; l < n_side; l++) {
                to[2 * l] = low[i + l];
                to[2 * l + 1] = high[i + l];
            }
        }
    }
}

// Stores x[n] at place + offset[i], rounded to the format of the weights.
static void scatter(struct ley_linear *linear, int64_t place, const int64_t *offset, const float *x,
                    int n) {
    // The loops differ in the type they scatter; bf16 is rounded a piece at a time first.
    if (linear->engine->dtype == LEY_NN_F32) {
        float *w = (float *)linear->weights + place;
        for (int i = 0; i < n; i++) {
            w[offset[i]] = x[i];
        }
        return;
    }
    uint16_t *w = (uint16_t *)linear->weights + place, piece[PIECE];
    for (int first = 0; first < n; first += PIECE) {
        int n_piece = n - first < PIECE ? n - first : PIECE;
        ley_bf16_from_float(piece, x + first, (size_t)n_piece);
        for (int i = 0; i < n_piece; i++) {
            w[offset[first + i]] = piece[i];
        }
    }
}

// Threads write different outputs, hence different elements.
void ley_linear_load(struct ley_linear *linear, const float *rows, int64_t first_row,
                     int64_t n_rows) {
    LEY_ASSERT(first_row >= 0 && n_rows >= 0 && first_row + n_rows <= linear->kernel->n_out);
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n_rows; r++) {
        const float *row = rows + r * linear->kernel->n_in;
        int64_t place = linear->out_offset[first_row + r];
        if (linear->has_pairs) {
            scatter_row(linear, place, row);
        } else {
            scatter(linear, place, linear->in_offset, row, linear->kernel->n_in);
        }
    }
}

// One input, all outputs.
void ley_linear_load_columns(struct ley_linear *linear, const float *columns, int64_t first_column,
                             int64_t n_columns) {
    LEY_ASSERT(first_column >= 0 && n_columns >= 0 &&
               first_column + n_columns <= linear->kernel->n_in);
    int n_out = linear->kernel->n_out;
    bool is_paired = linear->has_pairs && first_column % 2 == 0 && n_columns % 2 == 0;
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < n_columns; c += 2) {
        const float *even = columns + c * n_out;
        const int64_t *place = linear->in_offset + first_column + c;
        if (is_paired) {
            scatter_columns(linear, place[0], even, even + n_out);
            continue;
        }
        scatter(linear, place[0], linear->out_offset, even, n_out);
        if (c + 1 < n_columns) {
            scatter(linear, place[1], linear->out_offset, even + n_out, n_out);
        }
    }
}

void ley_linear_load_bias(struct ley_linear *linear, const float *bias, int64_t first, int64_t n) {
    LEY_ASSERT(linear->bias && first >= 0 && n >= 0 && first + n <= linear->kernel->n_out);
    memcpy(linear->bias + first, bias, (size_t)n * sizeof *bias);
}

// A gather with one stride per input: slow beside a copy, and called once a token.
void ley_linear_read(float *row, const struct ley_linear *linear, int64_t output) {
    LEY_ASSERT(output >= 0 && output < linear->kernel->n_out);
    int64_t place = linear->out_offset[output];
    for (int k = 0; k < linear->kernel->n_in; k++) {
        int64_t i = place + linear->in_offset[k];
        if (linear->engine->dtype == LEY_NN_F32) {
            row[k] = ((const float *)linear->weights)[i];
        } else {
            ley_bf16_to_float(&row[k], (const uint16_t *)linear->weights + i, 1);
        }
    }
}

// Inputs of one block, from `row` on, in the form the kernel reads: converted, padded with zeros,
// or as they are.
static const void *block_input(const struct ley_linear *linear, const struct ley_rows *rows,
                               int64_t row, int64_t n_rows, const struct ley_block *block) {
    size_t n_in = (size_t)linear->kernel->n_in, n = (size_t)n_rows * n_in;
    const float *x = rows->x + (size_t)row * n_in;
    // In bf16 rows beyond n_rows keep what was there: their results are thrown away.
    if (rows->bf16 && n_rows == block->n_rows) {
        return rows->bf16 + (size_t)row * n_in;
    }
    if (linear->engine->dtype == LEY_NN_BF16) {
        ley_bf16_from_float(linear->engine->x, x, n);
    } else if (n_rows < block->n_rows) {
        memcpy(linear->engine->x, x, n * sizeof *x);
        memset((float *)linear->engine->x + n, 0, ((size_t)block->n_rows * n_in - n) * sizeof *x);
    } else {
        return x;
    }
    return linear->engine->x;
}

// Runs one block on n_rows <= block->n_rows rows from `row` on.
static void run_block(float *y, const struct ley_linear *linear, const struct ley_rows *rows,
                      int64_t row, int64_t n_rows, const struct ley_block *block) {
    struct ley_engine *engine = linear->engine;
    float *target = n_rows < block->n_rows ? engine->y : y;
    // oneDNN only reads it
    void *source = (void *)(uintptr_t)block_input(linear, rows, row, n_rows, block);
    // A handle that cannot be set would be a bug of ours, not a lack of memory: hence assertions.
    dnnl_status_t status = dnnl_memory_set_data_handle(block->x, source);
    LEY_ASSERT(status == dnnl_success);
    status = dnnl_memory_set_data_handle(block->y, target);
    LEY_ASSERT(status == dnnl_success);
    status = dnnl_memory_set_data_handle(block->scratch, engine->scratch);
    LEY_ASSERT(status == dnnl_success);
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, block->x},
        {DNNL_ARG_WEIGHTS, linear->weights_memory},
        {DNNL_ARG_DST, block->y},
        {DNNL_ARG_SCRATCHPAD, block->scratch},
        {DNNL_ARG_BIAS, linear->bias_memory},
    };
    int n_arguments = linear->bias ? 5 : 4;
    status = dnnl_primitive_execute(block->primitive, engine->stream, n_arguments, arguments);
    LEY_ASSERT(status == dnnl_success);
    status = dnnl_stream_wait(engine->stream);
    LEY_ASSERT(status == dnnl_success);
    if (target != y) {
        memcpy(y, target, (size_t)(n_rows * linear->kernel->n_out) * sizeof *y);
    }
}

// Largest blocks first; b only falls, since what is left only shrinks. Rows do not care (linear.h).
void ley_linear_forward_rows(float *y, const struct ley_linear *linear, const struct ley_rows *rows,
                             int64_t n_rows) {
    const struct ley_kernel *kernel = linear->kernel;
    int b = kernel->n_blocks - 1;
    LEY_ASSERT(rows->n == kernel->n_in);
    for (int64_t row = 0; row < n_rows;) {
        int64_t n_left = n_rows - row;
        while (b > 0 && kernel->block[b].n_rows > n_left) {
            b--;
        }
        int64_t n = kernel->block[b].n_rows < n_left ? kernel->block[b].n_rows : n_left;
        run_block(y + row * kernel->n_out, linear, rows, row, n, &kernel->block[b]);
        row += n;
    }
}

// Each block is converted when it is its turn, and still in the cache when it is multiplied.
void ley_linear_forward(float *y, const struct ley_linear *linear, const float *x, int64_t n_rows) {
    ley_linear_forward_rows(y, linear, &(struct ley_rows){.x = x, .n = linear->kernel->n_in},
                            n_rows);
}

int64_t ley_rows_room(const struct ley_engine *engine, int64_t n) {
    return engine->dtype == LEY_NN_BF16 ? (n + 1) / 2 : 0;
}

struct ley_rows ley_rows_make(const struct ley_engine *engine, const float *x, int64_t n_rows,
                              int n, float *room) {
    struct ley_rows rows = {.x = x, .n = n};
    if (engine->dtype == LEY_NN_BF16) {
        uint16_t *bf16 = (uint16_t *)(void *)room;
        ley_bf16_from_float(bf16, x, (size_t)n_rows * (size_t)n);
        rows.bf16 = bf16;
    }
    return rows;
}

// As packed, padding of the layout included.
size_t ley_linear_bytes(const struct ley_linear *linear) {
    size_t n_bias = linear->bias ? (size_t)linear->kernel->n_out * sizeof(float) : 0;
    return linear->n_bytes + n_bias;
}
