// linear_backward.c - gradients of weights and biases: dW += dy^T x, db += column sums of dy
//
// dW is cut into groups of rows, or of columns, whose size depends on the shape alone, and each
// group is one product that a single thread computes from beginning to end: what is summed in which
// order then has nothing to do with the number of threads (oneDNN, left to thread a long sum
// itself, may cut it). dy is transposed first, on the way to the engine's format, so that every
// product is of plain matrices.
#include <omp.h>
#include <stdbool.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "kernel/kernel.h"
#include "nn/bf16.h"
#include "nn/engine_impl.h"
#include "nn/linear.h"

// GROUP: most rows of dW in one product, enough that packing x for each group costs little; WIDE:
// most columns where rows are few. TILE: side of the squares that are transposed at a time.
// COLUMNS: of one task of the bias.
enum { GROUP = 256, WIDE = 512, TILE = 32, COLUMNS = 16 };

void ley_outers_destroy(struct ley_outer *outers) {
    while (outers) {
        struct ley_outer *next = outers->next;
        dnnl_primitive_destroy(outers->primitive);
        ley_free(outers);
        outers = next;
    }
}

// Row-major matrix, rows `stride` elements apart.
static enum ley_status describe(dnnl_memory_desc_t *desc, int64_t rows, int64_t columns,
                                int64_t stride, dnnl_data_type_t type) {
    dnnl_dims_t dims = {rows, columns}, strides = {stride, 1};
    return ley_dnnl_status(dnnl_memory_desc_init_by_strides(desc, 2, dims, type, strides),
                           "describe a matrix");
}

// Results are added to what is there; scratch memory is ours.
static enum ley_status make_attributes(dnnl_primitive_attr_t *attributes) {
    dnnl_post_ops_t add;
    LEY_TRY(ley_dnnl_status(dnnl_primitive_attr_create(attributes), "make attributes"));
    dnnl_status_t status =
        dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) {
        status = dnnl_post_ops_create(&add);
    }
    if (status == dnnl_success) {
        status = dnnl_post_ops_append_sum(add, 1);
        if (status == dnnl_success) {
            status = dnnl_primitive_attr_set_post_ops(*attributes, add);
        }
        dnnl_post_ops_destroy(add);
    }
    if (status != dnnl_success) {
        dnnl_primitive_attr_destroy(*attributes);
    }
    return ley_dnnl_status(status, "add to a matrix");
}

// Planned for one thread, whatever the caller may use.
static enum ley_status plan(struct ley_outer *outer, const struct ley_engine *engine) {
    dnnl_data_type_t type = engine->dtype == LEY_NN_BF16 ? dnnl_bf16 : dnnl_f32;
    const struct ley_outer_shape *s = &outer->shape;
    LEY_TRY(describe(&outer->a, s->m, s->k, s->k, type));
    LEY_TRY(describe(&outer->b, s->k, s->n, s->b_row, type));
    LEY_TRY(describe(&outer->c, s->m, s->n, s->c_row, dnnl_f32));
    dnnl_matmul_desc_t product;
    LEY_TRY(ley_dnnl_status(dnnl_matmul_desc_init(&product, &outer->a, &outer->b, NULL, &outer->c),
                            "describe a product"));
    dnnl_primitive_attr_t attributes;
    LEY_TRY(make_attributes(&attributes));
    int most = omp_get_max_threads();
    omp_set_num_threads(1);
    dnnl_primitive_desc_t planned = NULL;
    dnnl_status_t status =
        dnnl_primitive_desc_create(&planned, &product, attributes, engine->engine, NULL);
    if (status == dnnl_success) {
        outer->scratch = *dnnl_primitive_desc_query_md(planned, dnnl_query_scratchpad_md, 0);
        status = dnnl_primitive_create(&outer->primitive, planned);
    }
    omp_set_num_threads(most);
    dnnl_primitive_attr_destroy(attributes);
    dnnl_primitive_desc_destroy(planned);
    return ley_dnnl_status(status, "multiply matrices of this type");
}

// Finds or makes a product; it belongs to the engine.
static enum ley_status get_outer(struct ley_outer **outer, struct ley_engine *engine,
                                 const struct ley_outer_shape *shape) {
    for (*outer = engine->outers; *outer; *outer = (*outer)->next) {
        if (memcmp(&(*outer)->shape, shape, sizeof *shape) == 0) {
            return LEY_OK;
        }
    }
    struct ley_outer *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("kernels of a layer", 1, sizeof *made);
    }
    made->shape = *shape;
    enum ley_status status = plan(made, engine);
    if (status != LEY_OK) {
        ley_free(made);
        return status;
    }
    made->next = engine->outers;
    engine->outers = made;
    *outer = made;
    return LEY_OK;
}

// One square of dy, turned; a bf16 square is rounded row by row of the result.
static void turn_tile(void *to, const struct ley_kernels *kernels, const float *dy,
                      int64_t dy_stride, int64_t n_rows, int64_t row, int64_t column,
                      int64_t n_columns, bool is_bf16) {
    float turned[TILE * TILE];
    int64_t rows = n_rows - row < TILE ? n_rows - row : TILE;
    int64_t columns = n_columns - column < TILE ? n_columns - column : TILE;
    const float *from = dy + row * dy_stride + column;
    kernels->turn(&(struct ley_turn){(int)rows, (int)columns, from, dy_stride, turned, TILE});
    for (int64_t c = 0; c < columns; c++) {
        int64_t place = (column + c) * n_rows + row;
        if (is_bf16) {
            ley_bf16_from_float((uint16_t *)to + place, turned + c * TILE, (size_t)rows);
        } else {
            memcpy((float *)to + place, turned + c * TILE, (size_t)rows * sizeof *turned);
        }
    }
}

// engine->dy (n_out, n_rows) <- dy^T
static enum ley_status turn(struct ley_engine *engine, const float *dy, int64_t dy_stride,
                            int64_t n_rows, int n_out) {
    bool is_bf16 = engine->dtype == LEY_NN_BF16;
    size_t bytes = is_bf16 ? sizeof(uint16_t) : sizeof(float);
    LEY_TRY(ley_engine_reserve(&engine->dy, &engine->n_dy, (size_t)(n_rows * n_out) * bytes));
    const struct ley_kernels *kernels = ley_kernels_select();
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t c = 0; c < n_out; c += TILE) {
        for (int64_t r = 0; r < n_rows; r += TILE) {
            turn_tile(engine->dy, kernels, dy, dy_stride, n_rows, r, c, n_out, is_bf16);
        }
    }
    return LEY_OK;
}

// Runs a product on data of this thread's own; oneDNN only reads a and b.
static void run_outer(float *c, const struct ley_outer *outer, const struct ley_engine *engine,
                      const void *a, const void *b, void *scratch) {
    dnnl_memory_t memory[4] = {NULL};
    const dnnl_memory_desc_t *desc[4] = {&outer->a, &outer->b, &outer->c, &outer->scratch};
    void *data[4] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, c, scratch};
    const int name[4] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};
    dnnl_exec_arg_t arguments[4];
    for (int i = 0; i < 4; i++) {
        dnnl_status_t status = dnnl_memory_create(&memory[i], desc[i], engine->engine, data[i]);
        LEY_ASSERT(status == dnnl_success);
        arguments[i] = (dnnl_exec_arg_t){name[i], memory[i]};
    }
    dnnl_status_t status = dnnl_primitive_execute(outer->primitive, engine->stream, 4, arguments);
    LEY_ASSERT(status == dnnl_success);
    for (int i = 0; i < 4; i++) {
        dnnl_memory_destroy(memory[i]);
    }
}

// The parts of a gradient, one product each: all but the last are alike, so two products serve.
struct parts {
    struct ley_outer *full, *last;
    int64_t size, n; // rows or columns of a part; how many
    size_t scratch;  // of a thread
};

// Equal shares of an even number of parts, so that two threads finish together.
static void cut(struct parts *parts, int64_t n, int64_t most) {
    int64_t n_parts = (n + most - 1) / most;
    n_parts += n_parts % 2;
    parts->size = (n + n_parts - 1) / n_parts;
    parts->n = (n + parts->size - 1) / parts->size;
}

static enum ley_status make_parts(struct parts *parts, struct ley_engine *engine,
                                  const struct ley_outer_shape *full,
                                  const struct ley_outer_shape *last) {
    LEY_TRY(get_outer(&parts->full, engine, full));
    LEY_TRY(get_outer(&parts->last, engine, last));
    size_t each = dnnl_memory_desc_get_size(&parts->full->scratch);
    size_t n_last = dnnl_memory_desc_get_size(&parts->last->scratch);
    parts->scratch = ((n_last > each ? n_last : each) + 63) / 64 * 64;
    return ley_engine_reserve(&engine->outer_scratch, &engine->n_outer_scratch,
                              parts->scratch * (size_t)omp_get_max_threads());
}

// Part p of a product whose operands begin at a, b and c.
static void run_part(float *c, const struct parts *parts, const struct ley_engine *engine,
                     int64_t p, const void *a, const void *b) {
    size_t at = parts->scratch * (size_t)omp_get_thread_num();
    // Some products need no scratch, and then there is none to point into.
    run_outer(c, p < parts->n - 1 ? parts->full : parts->last, engine, a, b,
              parts->scratch > 0 ? (char *)engine->outer_scratch + at : NULL);
}

// Values of an operand, `at` on.
static const void *at_of(const struct ley_engine *engine, const void *x, int64_t at) {
    return engine->dtype == LEY_NN_BF16 ? (const void *)((const uint16_t *)x + at)
                                        : (const void *)((const float *)x + at);
}

// Parts are groups of rows of dw.
enum ley_status ley_linear_backward_weights(float *dw, struct ley_engine *engine, const float *dy,
                                            int64_t dy_stride, const float *x, int64_t n_rows,
                                            int n_out, int n_in) {
    LEY_ASSERT(n_rows >= 1 && n_out >= 1 && n_in >= 1 && dy_stride >= n_out);
    struct parts parts;
    cut(&parts, n_out, GROUP);
    struct ley_outer_shape full = {parts.size, n_rows, n_in, n_in, n_in}, last = full;
    last.m = n_out - (parts.n - 1) * parts.size;
    LEY_TRY(make_parts(&parts, engine, &full, &last));
    LEY_TRY(turn(engine, dy, dy_stride, n_rows, n_out));
    int64_t room = ley_rows_room(engine, n_rows * n_in);
    LEY_TRY(ley_engine_reserve(&engine->dy_x, &engine->n_dy_x, (size_t)room * sizeof *x));
    const struct ley_rows rows = ley_rows_make(engine, x, n_rows, n_in, engine->dy_x);
    const void *b = rows.bf16 ? (const void *)rows.bf16 : (const void *)x;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t p = 0; p < parts.n; p++) {
        run_part(dw + p * parts.size * n_in, &parts, engine, p,
                 at_of(engine, engine->dy, p * parts.size * n_rows), b);
    }
    return LEY_OK;
}

// Parts are groups of columns of c: each packs its own columns of b, and nothing twice.
enum ley_status ley_outer_product(float *c, struct ley_engine *engine, const float *a,
                                  int64_t a_stride, const struct ley_rows *rows,
                                  int64_t first_column, int64_t n_rows, int m, int n) {
    LEY_ASSERT(n_rows >= 1 && m >= 1 && n >= 1 && first_column >= 0 && first_column + n <= rows->n);
    struct parts parts;
    cut(&parts, n, WIDE);
    struct ley_outer_shape full = {m, n_rows, parts.size, rows->n, n}, last = full;
    last.n = n - (parts.n - 1) * parts.size;
    LEY_TRY(make_parts(&parts, engine, &full, &last));
    LEY_TRY(turn(engine, a, a_stride, n_rows, m));
    const void *b = rows->bf16 ? (const void *)rows->bf16 : (const void *)rows->x;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t p = 0; p < parts.n; p++) {
        run_part(c + p * parts.size, &parts, engine, p, engine->dy,
                 at_of(engine, b, first_column + p * parts.size));
    }
    return LEY_OK;
}

// Threads share columns; each sum runs over all rows.
void ley_linear_backward_bias(float *db, const float *dy, int64_t dy_stride, int64_t n_rows,
                              int n_out) {
#pragma omp parallel for schedule(static)
    for (int first = 0; first < n_out; first += COLUMNS) {
        int n = n_out - first < COLUMNS ? n_out - first : COLUMNS;
        double sum[COLUMNS] = {0};
        for (int64_t r = 0; r < n_rows; r++) {
            for (int i = 0; i < n; i++) {
                sum[i] += (double)dy[r * dy_stride + first + i];
            }
        }
        for (int i = 0; i < n; i++) {
            db[first + i] += (float)sum[i];
        }
    }
}
