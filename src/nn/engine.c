// engine.c - oneDNN's matrix products, made once for each shape and block of rows
//
// A layer of any number of rows is a sequence of blocks of 256, 128, .. 1 rows, so that nothing is
// made while a model runs. All blocks read one packed copy of the weights.
//
// Does the result of a row depend on how many rows are computed together? Found by test (oneDNN
// 2.6, widths 1 .. 16384, 1 .. 24 threads): its AVX-512 kernels ("brg:...") sum in an order that
// depends on the number of inputs only, for every block size, position of the row in the block and
// number of threads, in float32 and bf16. Its older kernels ("gemm:jit", CPUs without AVX-512) do
// not: sizes 1, 2, 8, 32, 512 differ from one another and size 8 differs even between its rows,
// while the rows of a block of 16 are alike. There every product is one of 16 rows, the last one
// padded: a token costs more than it must, and parallel equals token by token everywhere.
#include "nn/engine.h"

#include <omp.h>
#include <string.h>

#include "core/memory.h"
#include "nn/engine_impl.h"

// The one size whose rows are alike in oneDNN's older kernels (head of this file).
enum { PADDED_BLOCK = 16 };

// A shape or type that oneDNN has no kernel for is LEY_E_MISSING: the machine lacks it.
enum ley_status ley_dnnl_status(dnnl_status_t status, const char *what) {
    if (status == dnnl_success) {
        return LEY_OK;
    }
    return ley_fail(status == dnnl_out_of_memory ? LEY_E_MEMORY : LEY_E_MISSING,
                    "oneDNN cannot %s (status %d)", what, (int)status);
}

// ORDER ley_nn_dtype
const char *ley_nn_dtype_name(enum ley_nn_dtype dtype) {
    static const char *const name[] = {"auto", "f32", "bf16"};
    return name[dtype];
}

// AUTO takes bf16 only where the CPU multiplies it: emulated, it would be slower than float32.
static enum ley_status choose_dtype(struct ley_engine *engine, enum ley_nn_dtype wanted) {
    // Bits of the instruction sets that oneDNN would really use on this machine.
    int isa = (int)dnnl_get_effective_cpu_isa(), bf16 = (int)dnnl_cpu_isa_avx512_core_bf16;
    bool has_bf16 = (isa & bf16) == bf16;
    if (wanted == LEY_NN_BF16 && !has_bf16) {
        return ley_fail(LEY_E_ARGUMENT, "this CPU has no bf16 instructions (AVX512-BF16 or AMX); "
                                        "use f32");
    }
    bool is_bf16 = wanted == LEY_NN_BF16 || (wanted == LEY_NN_AUTO && has_bf16);
    engine->dtype = is_bf16 ? LEY_NN_BF16 : LEY_NN_F32;
    return LEY_OK;
}

// A failure leaves handles NULL, which ley_engine_destroy accepts.
static enum ley_status start(struct ley_engine *engine, enum ley_nn_dtype dtype) {
    LEY_TRY(choose_dtype(engine, dtype));
    LEY_TRY(ley_dnnl_status(dnnl_engine_create(&engine->engine, dnnl_cpu, 0), "start"));
    return ley_dnnl_status(
        dnnl_stream_create(&engine->stream, engine->engine, dnnl_stream_default_flags),
        "make a stream");
}

// One for each model.
enum ley_status ley_engine_create(struct ley_engine **engine, enum ley_nn_dtype dtype) {
    struct ley_engine *made = ley_alloc(1, sizeof *made);
    *engine = NULL;
    if (!made) {
        return ley_fail_memory("engine", 1, sizeof *made);
    }
    enum ley_status status = start(made, dtype);
    if (status != LEY_OK) {
        ley_engine_destroy(made);
        return status;
    }
    *engine = made;
    return LEY_OK;
}

// Only blocks that were counted were made; in the last one handles may be NULL.
static void destroy_kernel(struct ley_kernel *kernel) {
    for (int i = 0; i < kernel->n_blocks; i++) {
        struct ley_block *block = &kernel->block[i];
        dnnl_primitive_destroy(block->primitive);
        dnnl_memory_destroy(block->x);
        dnnl_memory_destroy(block->y);
        dnnl_memory_destroy(block->scratch);
    }
    ley_free(kernel);
}

// Kernels first: their primitives refer to the engine.
void ley_engine_destroy(struct ley_engine *engine) {
    if (!engine) {
        return;
    }
    while (engine->kernels) {
        struct ley_kernel *next = engine->kernels->next;
        destroy_kernel(engine->kernels);
        engine->kernels = next;
    }
    ley_outers_destroy(engine->outers);
    dnnl_stream_destroy(engine->stream);
    dnnl_engine_destroy(engine->engine);
    ley_free(engine->scratch);
    ley_free(engine->x);
    ley_free(engine->y);
    ley_free(engine->dy);
    ley_free(engine->dy_x);
    ley_free(engine->outer_scratch);
    ley_free(engine);
}

enum ley_nn_dtype ley_engine_dtype(const struct ley_engine *engine) {
    return engine->dtype;
}

// The old contents go first, so that both need not fit at once.
enum ley_status ley_engine_reserve(void **buffer, size_t *n_bytes, size_t wanted) {
    if (wanted <= *n_bytes) {
        return LEY_OK;
    }
    ley_free(*buffer);
    *buffer = ley_alloc(wanted, 1);
    *n_bytes = *buffer ? wanted : 0;
    return *buffer ? LEY_OK : ley_fail_memory("scratch of layers", wanted, 1);
}

// Describes a row-major matrix, or with dnnl_format_tag_any one that oneDNN may lay out.
static enum ley_status describe(dnnl_memory_desc_t *desc, int64_t rows, int64_t columns,
                                dnnl_data_type_t type, dnnl_format_tag_t tag) {
    dnnl_dims_t dims = {rows, columns};
    return ley_dnnl_status(dnnl_memory_desc_init_by_tag(desc, 2, dims, type, tag),
                           "describe a matrix");
}

// The product's description: x (rows, n_in) W (n_in, n_out) + bias -> y. The first block lets
// oneDNN choose the layout of W; the others are given it.
static enum ley_status plan(dnnl_primitive_desc_t *made, const struct ley_kernel *kernel,
                            const struct ley_engine *engine, int n_rows) {
    // Inputs in the format of the weights; bias and results always float32.
    dnnl_data_type_t type = engine->dtype == LEY_NN_BF16 ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t x, w = kernel->weights, bias, y;
    LEY_TRY(describe(&x, n_rows, kernel->n_in, type, dnnl_ab));
    LEY_TRY(describe(&y, n_rows, kernel->n_out, dnnl_f32, dnnl_ab));
    LEY_TRY(describe(&bias, 1, kernel->n_out, dnnl_f32, dnnl_ab));
    if (kernel->n_blocks == 0) {
        LEY_TRY(describe(&w, kernel->n_in, kernel->n_out, type, dnnl_format_tag_any));
    }
    dnnl_matmul_desc_t product;
    LEY_TRY(ley_dnnl_status(
        dnnl_matmul_desc_init(&product, &x, &w, kernel->has_bias ? &bias : NULL, &y),
        "describe a product"));
    dnnl_primitive_attr_t attributes;
    LEY_TRY(ley_dnnl_status(dnnl_primitive_attr_create(&attributes), "make attributes"));
    // The scratchpad is ours: oneDNN would otherwise allocate one for each run.
    dnnl_status_t status =
        dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) {
        status = dnnl_primitive_desc_create(made, &product, attributes, engine->engine, NULL);
    }
    dnnl_primitive_attr_destroy(attributes);
    return ley_dnnl_status(status, "multiply matrices of this type");
}

// Whether the plan is one of the kernels that treat every row alike (head of this file).
static bool treats_rows_alike(const_dnnl_primitive_desc_t planned) {
    // Without an answer the name stays "" and the kernel counts as one that needs padding.
    const char *name = "";
    dnnl_primitive_desc_query(planned, dnnl_query_impl_info_str, 0, &name);
    return strncmp(name, "brg:", 4) == 0;
}

// The engine's buffers grow to the largest block of any shape, here, so that a run allocates
// nothing.
static enum ley_status make_block(struct ley_block *block, struct ley_engine *engine,
                                  const_dnnl_primitive_desc_t planned) {
    // Sizes as the plan has them, padding of its layouts included.
    const dnnl_memory_desc_t *x = dnnl_primitive_desc_query_md(planned, dnnl_query_src_md, 0);
    const dnnl_memory_desc_t *y = dnnl_primitive_desc_query_md(planned, dnnl_query_dst_md, 0);
    const dnnl_memory_desc_t *scratch =
        dnnl_primitive_desc_query_md(planned, dnnl_query_scratchpad_md, 0);
    LEY_TRY(ley_engine_reserve(&engine->scratch, &engine->n_scratch,
                               dnnl_memory_desc_get_size(scratch)));
    LEY_TRY(ley_engine_reserve(&engine->x, &engine->n_x, dnnl_memory_desc_get_size(x)));
    dnnl_status_t status = dnnl_primitive_create(&block->primitive, planned);
    // No data yet: run_block sets the pointers each time.
    if (status == dnnl_success) {
        status = dnnl_memory_create(&block->x, x, engine->engine, DNNL_MEMORY_NONE);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&block->y, y, engine->engine, DNNL_MEMORY_NONE);
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&block->scratch, scratch, engine->engine, DNNL_MEMORY_NONE);
    }
    return ley_dnnl_status(status, "make a product");
}

// Threads for a block: oneDNN fixes their number when it plans. A product of one row reads its
// weights once and does little else; below some megabytes a share each, waking a sleeping thread
// costs more than it saves. The number changes no bit (head of this file).
static int threads_for(const struct ley_kernel *kernel, const struct ley_engine *engine,
                       int n_rows) {
    const double bytes_per_thread = 4e6;
    double n_bytes = (double)kernel->n_in * kernel->n_out * (engine->dtype == LEY_NN_BF16 ? 2 : 4);
    int most = omp_get_max_threads();
    return n_rows > 1 || n_bytes > most * bytes_per_thread ? most
                                                           : 1 + (int)(n_bytes / bytes_per_thread);
}

// Adds the block of n_rows; `is_alike` tells whether oneDNN has a kernel that treats rows alike.
static enum ley_status add_block(bool *is_alike, struct ley_kernel *kernel,
                                 struct ley_engine *engine, int n_rows) {
    dnnl_primitive_desc_t planned = NULL;
    LEY_TRY(plan(&planned, kernel, engine, n_rows));
    *is_alike = treats_rows_alike(planned);
    if (kernel->n_blocks == 0) {
        // From the first block on, every other one must take this layout.
        kernel->weights = *dnnl_primitive_desc_query_md(planned, dnnl_query_weights_md, 0);
    }
    enum ley_status status = LEY_OK;
    if (*is_alike || n_rows == PADDED_BLOCK) {
        struct ley_block *block = &kernel->block[kernel->n_blocks++];
        block->n_rows = n_rows;
        status = make_block(block, engine, planned);
    }
    dnnl_primitive_desc_destroy(planned);
    return status;
}

// The same with the block's own number of threads, which oneDNN takes from the caller's setting.
static enum ley_status add_block_threads(bool *is_alike, struct ley_kernel *kernel,
                                         struct ley_engine *engine, int n_rows) {
    int most = omp_get_max_threads();
    omp_set_num_threads(threads_for(kernel, engine, n_rows));
    enum ley_status status = add_block(is_alike, kernel, engine, n_rows);
    omp_set_num_threads(most);
    return status;
}

// Sizes rise and stop at the first kernel that does not treat rows alike. If that is the very
// first, one padded block serves; a shape alike in some sizes only is refused, not mixed.
static enum ley_status fill_kernel(struct ley_kernel *kernel, struct ley_engine *engine) {
    bool is_alike = true;
    for (int i = 0; is_alike && i < LEY_N_BLOCKS; i++) {
        LEY_TRY(add_block_threads(&is_alike, kernel, engine, 1 << i));
    }
    // The older kernels: one block, always full, and a place for rows that nobody asked for.
    if (!is_alike) {
        if (kernel->n_blocks > 0) {
            return ley_fail(LEY_E_MISSING, "oneDNN has no uniform kernels for %d x %d",
                            kernel->n_in, kernel->n_out);
        }
        LEY_TRY(add_block(&is_alike, kernel, engine, PADDED_BLOCK));
        size_t n_y = (size_t)PADDED_BLOCK * (size_t)kernel->n_out * sizeof(float);
        void *y = engine->y;
        enum ley_status status = ley_engine_reserve(&y, &engine->n_y, n_y);
        engine->y = y;
        LEY_TRY(status);
    }
    // offset_of in linear.c understands blocked layouts only.
    if (kernel->weights.format_kind != dnnl_blocked) {
        return ley_fail(LEY_E_MISSING, "oneDNN packs weights in an unknown layout");
    }
    return LEY_OK;
}

// A list, not a table: a model has five or six shapes.
enum ley_status ley_kernel_get(struct ley_kernel **kernel, struct ley_engine *engine, int n_in,
                               int n_out, bool has_bias) {
    for (*kernel = engine->kernels; *kernel; *kernel = (*kernel)->next) {
        if ((*kernel)->n_in == n_in && (*kernel)->n_out == n_out &&
            (*kernel)->has_bias == has_bias) {
            return LEY_OK;
        }
    }
    struct ley_kernel *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("kernels of a layer", 1, sizeof *made);
    }
    made->n_in = n_in;
    made->n_out = n_out;
    made->has_bias = has_bias;
    enum ley_status status = fill_kernel(made, engine);
    if (status != LEY_OK) {
        destroy_kernel(made);
        return status;
    }
    made->next = engine->kernels;
    engine->kernels = made;
    *kernel = made;
    return LEY_OK;
}
