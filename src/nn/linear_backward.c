// linear_backward.c - gradients of weights and biases: dW += dy^T x, db += column sums of dy
//
// dW is cut into groups of rows whose size depends on the shape alone, and each group is one
// product that a single thread computes from beginning to end: what is summed in which order then
// has nothing to do with the number of threads (oneDNN, left to thread a long sum itself, may cut
// it). dy is transposed first, on the way to the engine's format, so that every product is of plain
// matrices.
#include <omp.h>
#include <stdbool.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "nn/bf16.h"
#include "nn/engine_impl.h"
#include "nn/linear.h"

// GROUP: most rows of dW in one product, enough that packing x for each group costs little. TILE:
// side of the squares that are transposed at a time. COLUMNS: of one task of the bias.
enum { GROUP = 256, TILE = 32, COLUMNS = 16 };

void ley_outers_destroy(struct ley_outer *outers) {
    while (outers) {
        struct ley_outer *next = outers->next;
        dnnl_primitive_destroy(outers->primitive);
        ley_free(outers);
        outers = next;
    }
}

// Row-major matrix.
static enum ley_status describe(dnnl_memory_desc_t *desc, int64_t rows, int64_t columns,
                                dnnl_data_type_t type) {
    dnnl_dims_t dims = {rows, columns};
    return ley_dnnl_status(dnnl_memory_desc_init_by_tag(desc, 2, dims, type, dnnl_ab),
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
    LEY_TRY(describe(&outer->a, outer->m, outer->k, type));
    LEY_TRY(describe(&outer->b, outer->k, outer->n, type));
    LEY_TRY(describe(&outer->c, outer->m, outer->n, dnnl_f32));
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
static enum ley_status get_outer(struct ley_outer **outer, struct ley_engine *engine, int64_t m,
                                 int64_t k, int64_t n) {
    for (*outer = engine->outers; *outer; *outer = (*outer)->next) {
        if ((*outer)->m == m && (*outer)->k == k && (*outer)->n == n) {
            return LEY_OK;
        }
    }
    struct ley_outer *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("kernels of a layer", 1, sizeof *made);
    }
    made->m = m;
    made->k = k;
    made->n = n;
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
static void turn_tile(void *to, const float *dy, int64_t dy_stride, int64_t n_rows, int64_t row,
                      int64_t column, int64_t n_columns, bool is_bf16) {
    int64_t rows = n_rows - row < TILE ? n_rows - row : TILE;
    int64_t columns = n_columns - column < TILE ? n_columns - column : TILE;
    for (int64_t c = 0; c < columns; c++) {
        float turned[TILE];
        const float *from = dy + row * dy_stride + column + c;
        int64_t place = (column + c) * n_rows + row;
        for (int64_t r = 0; r < rows; r++) {
            turned[r] = from[r * dy_stride];
        }
        if (is_bf16) {
            ley_bf16_from_float((uint16_t *)to + place, turned, (size_t)rows);
        } else {
            memcpy((float *)to + place, turned, (size_t)rows * sizeof *turned);
        }
    }
}

// engine->dy (n_out, n_rows) <- dy^T, engine->dy_x (n_rows, n_in) <- x in bf16. Returns the matrix
// to take for x.
static enum ley_status prepare(const void **b, struct ley_engine *engine, const float *dy,
                               int64_t dy_stride, const float *x, int64_t n_rows, int n_out,
                               int n_in) {
    bool is_bf16 = engine->dtype == LEY_NN_BF16;
    size_t bytes = is_bf16 ? sizeof(uint16_t) : sizeof(float), n_x = (size_t)(n_rows * n_in);
    LEY_TRY(ley_engine_reserve(&engine->dy, &engine->n_dy, (size_t)(n_rows * n_out) * bytes));
    LEY_TRY(ley_engine_reserve(&engine->dy_x, &engine->n_dy_x, is_bf16 ? n_x * bytes : 0));
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t c = 0; c < n_out; c += TILE) {
        for (int64_t r = 0; r < n_rows; r += TILE) {
            turn_tile(engine->dy, dy, dy_stride, n_rows, r, c, n_out, is_bf16);
        }
    }
    *b = x;
    if (is_bf16) {
        ley_bf16_from_float(engine->dy_x, x, n_x);
        *b = engine->dy_x;
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

// Rows of a group: equal shares of an even number of groups, so that two threads finish together.
static int64_t group_rows(int n_out) {
    int64_t n_groups = (n_out + GROUP - 1) / GROUP;
    n_groups += n_groups % 2;
    return (n_out + n_groups - 1) / n_groups;
}

// All groups but the last are alike; two products serve a shape.
enum ley_status ley_linear_backward_weights(float *dw, struct ley_engine *engine, const float *dy,
                                            int64_t dy_stride, const float *x, int64_t n_rows,
                                            int n_out, int n_in) {
    LEY_ASSERT(n_rows >= 1 && n_out >= 1 && n_in >= 1 && dy_stride >= n_out);
    int64_t group = group_rows(n_out), n_groups = (n_out + group - 1) / group;
    struct ley_outer *full, *last;
    const void *b;
    LEY_TRY(get_outer(&full, engine, group, n_rows, n_in));
    LEY_TRY(get_outer(&last, engine, n_out - (n_groups - 1) * group, n_rows, n_in));
    size_t each = dnnl_memory_desc_get_size(&full->scratch);
    size_t n_last = dnnl_memory_desc_get_size(&last->scratch);
    each = ((n_last > each ? n_last : each) + 63) / 64 * 64;
    LEY_TRY(ley_engine_reserve(&engine->outer_scratch, &engine->n_outer_scratch,
                               each * (size_t)omp_get_max_threads()));
    LEY_TRY(prepare(&b, engine, dy, dy_stride, x, n_rows, n_out, n_in));
    size_t bytes = engine->dtype == LEY_NN_BF16 ? sizeof(uint16_t) : sizeof(float);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t g = 0; g < n_groups; g++) {
        const char *a = (const char *)engine->dy + (size_t)(g * group * n_rows) * bytes;
        run_outer(dw + g * group * n_in, g < n_groups - 1 ? full : last, engine, a, b,
                  (char *)engine->outer_scratch + each * (size_t)omp_get_thread_num());
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
