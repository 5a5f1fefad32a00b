// bench_measure.c - timers and inputs of `leyden bench`
#include "bench_measure.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/random.h"

enum { MAX_RUNS = 1000, PEAK_RUNS = 9, N_VERIFY = 150 };

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct bench_times summarise(double *time_s, int n) {
    qsort(time_s, (size_t)n, sizeof *time_s, compare);
    double median_s = n % 2 ? time_s[n / 2] : (time_s[n / 2 - 1] + time_s[n / 2]) / 2;
    return (struct bench_times){median_s, time_s[0], 0};
}

// Rows of a token: heads side by side, as projections leave them.
struct input {
    float *q, *k, *v, *out;
    struct ley_attention_call call;
};

static void fill(float *x, size_t n, uint64_t stream, float low, float high) {
    for (size_t i = 0; i < n; i++) {
        x[i] = low + (high - low) * (float)ley_random_uniform(1, stream, i);
    }
}

// Values that use the converters as a model does: half of the pulses short, levels spread.
static enum ley_status make_input(struct input *input, const struct ley_attention_shape *shape,
                                  int64_t n_tokens) {
    int64_t D = shape->head_dim, q_row = shape->n_query_heads * D, k_row = shape->n_kv_heads * D;
    size_t n_q = (size_t)(n_tokens * q_row), n_k = (size_t)(n_tokens * k_row);
    *input = (struct input){.q = ley_alloc(n_q, sizeof(float)),
                            .k = ley_alloc(n_k, sizeof(float)),
                            .v = ley_alloc(n_k, sizeof(float)),
                            .out = ley_alloc(n_q, sizeof(float))};
    if (!input->q || !input->k || !input->v || !input->out) {
        return ley_fail_memory("bench input", 2 * (n_q + n_k), sizeof(float));
    }
    fill(input->q, n_q, 1, -0.4F, 0.6F);
    fill(input->k, n_k, 2, -0.5F, 0.5F);
    fill(input->v, n_k, 3, -0.5F, 0.5F);
    input->call = (struct ley_attention_call){
        .q = {.f32 = input->q, .head = D, .token = q_row},
        .k = {.f32 = input->k, .head = D, .token = k_row},
        .v = {.f32 = input->v, .head = D, .token = k_row},
        .out = {.f32 = input->out, .head = D, .token = q_row},
        .n_batch = 1,
        .n_tokens = n_tokens,
    };
    return LEY_OK;
}

static void free_input(struct input *input) {
    ley_free(input->q);
    ley_free(input->k);
    ley_free(input->v);
    ley_free(input->out);
    ley_attention_work_destroy(input->call.work);
}

// The layer of a job.
static enum ley_status make_layer(struct ley_attention **attention, const struct bench_job *job,
                                  const struct ley_kernels *kernels) {
    LEY_TRY(ley_attention_create(attention, job->hardware, &job->shape.heads));
    if ((*attention)->fixed && kernels) {
        (*attention)->kernels = kernels;
    }
    return LEY_OK;
}

static enum ley_status time_sequence(struct bench_times *times, const struct bench_job *job,
                                     const struct ley_attention *attention, struct input *input) {
    double time_s[MAX_RUNS];
    struct ley_ledger ledger = {0};
    input->call.ledger = job->counts_events ? &ledger : NULL;
    LEY_TRY(ley_attention_work_create(&input->call.work));
    for (int i = -1; i < job->n_runs; i++) { // the first warms the caches
        double start_s = now_s();
        LEY_TRY(ley_attention_forward(attention, &input->call));
        if (i >= 0) {
            time_s[i] = now_s() - start_s;
        }
    }
    *times = summarise(time_s, job->n_runs);
    times->work_bytes = ley_attention_work_bytes(input->call.work);
    return LEY_OK;
}

enum ley_status bench_sequence(struct bench_times *times, const struct bench_job *job) {
    struct ley_attention *attention;
    struct input input;
    omp_set_num_threads(job->n_threads);
    LEY_TRY(make_layer(&attention, job, job->kernels));
    enum ley_status status = make_input(&input, &job->shape.heads, job->n_tokens);
    if (status == LEY_OK) {
        status = time_sequence(times, job, attention, &input);
    }
    free_input(&input);
    ley_attention_destroy(attention);
    return status;
}

// Writes the ring's first columns, then times steps of all layers.
static void time_decode(struct bench_times *times, const struct bench_job *job,
                        struct ley_stream **stream, struct input *input) {
    double time_s[MAX_RUNS], period_s = job->hardware->time.token_period_s;
    struct ley_ledger ledger = {0};
    for (int l = 0; l < job->shape.n_layers; l++) {
        ley_stream_load(stream[l], &input->call);
    }
    input->call.n_tokens = 1;
    input->call.ledger = job->counts_events ? &ledger : NULL;
    for (int i = -1; i < job->n_runs; i++) {
        double start_s = now_s(), t_s = (double)(job->n_tokens + i + 1) * period_s;
        for (int l = 0; l < job->shape.n_layers; l++) {
            ley_stream_step(stream[l], &input->call, t_s);
        }
        if (i >= 0) {
            time_s[i] = now_s() - start_s;
        }
    }
    *times = summarise(time_s, job->n_runs);
}

enum ley_status bench_decode(struct bench_times *times, const struct bench_job *job) {
    struct ley_attention *attention;
    struct input input = {0};
    omp_set_num_threads(job->n_threads);
    LEY_TRY(make_layer(&attention, job, job->kernels));
    struct ley_stream **stream = ley_alloc((size_t)job->shape.n_layers, sizeof *stream);
    enum ley_status status =
        stream ? make_input(&input, &job->shape.heads, job->n_tokens)
               : ley_fail_memory("streams", (size_t)job->shape.n_layers, sizeof *stream);
    for (int l = 0; status == LEY_OK && l < job->shape.n_layers; l++) {
        status = ley_stream_create(&stream[l], attention, 1);
    }
    if (status == LEY_OK) {
        time_decode(times, job, stream, &input);
    }
    for (int l = 0; stream && l < job->shape.n_layers; l++) {
        ley_stream_destroy(stream[l]);
    }
    ley_free(stream);
    free_input(&input);
    ley_attention_destroy(attention);
    return status;
}

// Outputs and ledger of a short sequence.
static enum ley_status run_short(struct input *input, struct ley_ledger *ledger,
                                 const struct bench_job *job, const struct ley_kernels *kernels) {
    struct ley_attention *attention;
    LEY_TRY(make_layer(&attention, job, kernels));
    enum ley_status status = make_input(input, &job->shape.heads, N_VERIFY);
    if (status == LEY_OK) {
        input->call.ledger = ledger;
        status = ley_attention_forward(attention, &input->call);
    }
    ley_attention_destroy(attention);
    return status;
}

enum ley_status bench_verify(const struct bench_job *job) {
    struct input fast = {0}, plain = {0};
    struct ley_ledger a = {0}, b = {0};
    size_t n_bytes = (size_t)(N_VERIFY * job->shape.heads.n_query_heads) *
                     (size_t)job->shape.heads.head_dim * sizeof(float);
    omp_set_num_threads(job->n_threads);
    enum ley_status status = run_short(&fast, &a, job, job->kernels);
    if (status == LEY_OK) {
        status = run_short(&plain, &b, job, ley_kernels_get(LEY_ISA_SCALAR));
    }
    if (status == LEY_OK &&
        (memcmp(fast.out, plain.out, n_bytes) != 0 || memcmp(&a, &b, sizeof a) != 0)) {
        status = ley_fail(LEY_E_RESULT, "results differ from those of the scalar kernels: "
                                        "please report this with the output of lscpu");
    }
    free_input(&fast);
    free_input(&plain);
    return status;
}

double bench_peak_int8(const struct ley_kernels *kernels, int n_threads) {
    enum { ROWS = 32, COLUMNS = 64, GROUPS = 16, CALLS = 2000 };
    double best_s = 1e9;
    omp_set_num_threads(n_threads);
    for (int run = 0; run < PEAK_RUNS; run++) {
        double start_s = now_s();
#pragma omp parallel
        {
            uint8_t a[ROWS * 4 * GROUPS], code[4 * GROUPS * COLUMNS];
            int8_t lookup[1][LEY_LEVELS], work[4 * GROUPS * COLUMNS];
            int32_t c[ROWS * COLUMNS];
            memset(a, 3, sizeof a);
            memset(code, 2, sizeof code);
            memset(lookup, 1, sizeof lookup);
            const struct ley_dot dot = {
                .n_rows = ROWS,
                .n_columns = COLUMNS,
                .n_groups = GROUPS,
                .n_terms = 1,
                .most_a = 255,
                .most_lookup = 7,
                .a = a,
                .a_row = 4 * GROUPS,
                .code = code,
                .lookup = (const int8_t(*)[LEY_LEVELS])lookup,
                .c = c,
                .c_row = COLUMNS,
                .work = work,
            };
            for (int i = 0; i < CALLS; i++) {
                kernels->dot(&dot);
            }
        }
        double time_s = now_s() - start_s;
        best_s = time_s < best_s ? time_s : best_s;
    }
    return 2.0 * ROWS * COLUMNS * 4 * GROUPS * CALLS * n_threads / best_s;
}

// Times the layer on zeros: the instructions do not look.
static enum ley_status time_linear(double *operations_per_s, struct ley_linear *linear) {
    enum { ROWS = 512, N = 1024 };
    float *x = ley_alloc((size_t)ROWS * N, sizeof *x), *y = ley_alloc((size_t)ROWS * N, sizeof *y);
    double best_s = 1e9;
    for (int run = 0; x && y && run < PEAK_RUNS; run++) {
        double start_s = now_s();
        ley_linear_forward(y, linear, x, ROWS);
        double time_s = now_s() - start_s;
        best_s = time_s < best_s ? time_s : best_s;
    }
    *operations_per_s = 2.0 * ROWS * N * N / best_s;
    enum ley_status status =
        x && y ? LEY_OK : ley_fail_memory("bench input", (size_t)2 * ROWS * N, sizeof *x);
    ley_free(x);
    ley_free(y);
    return status;
}

enum ley_status bench_peak_bf16(double *operations_per_s) {
    struct ley_engine *engine;
    struct ley_linear *linear;
    *operations_per_s = 0;
    LEY_TRY(ley_engine_create(&engine, LEY_NN_AUTO));
    enum ley_status status = LEY_OK;
    if (ley_engine_dtype(engine) == LEY_NN_BF16) {
        status = ley_linear_create(&linear, engine, 1024, 1024, false);
        if (status == LEY_OK) {
            status = time_linear(operations_per_s, linear);
            ley_linear_destroy(linear);
        }
    }
    ley_engine_destroy(engine);
    return status;
}

enum ley_status bench_peak_memory(double *bytes_per_s) {
    enum { MIB = 256 };
    size_t n = (size_t)MIB << 20, n_words = n / sizeof(uint64_t);
    uint64_t *x = ley_alloc(n, 1), sum = 0;
    if (!x) {
        return ley_fail_memory("bench input", n, 1);
    }
    memset(x, 1, n);
    double best_s = 1e9;
    for (int run = 0; run < PEAK_RUNS; run++) {
        double start_s = now_s();
#pragma omp parallel for reduction(+ : sum)
        for (size_t i = 0; i < n_words; i++) {
            sum += x[i];
        }
        double time_s = now_s() - start_s;
        best_s = time_s < best_s ? time_s : best_s;
    }
    ley_free(x);
    // The sum is looked at, so that the reads happen.
    *bytes_per_s = sum ? (double)n / best_s : 0;
    return LEY_OK;
}

// The four matrices of a layer, zeros: the instructions do not look.
struct dense {
    struct ley_engine *engine;
    struct ley_linear *linear[4];
    int n_in[4], n_out[4];
    float *x, *y;
};

static enum ley_status make_dense(struct dense *dense, const struct bench_job *job) {
    const struct ley_attention_shape *heads = &job->shape.heads;
    int width = heads->n_query_heads * heads->head_dim, widest = 0;
    int width_kv = heads->n_kv_heads * heads->head_dim, C = job->shape.d_model;
    const int n_in[4] = {C, width, C, job->shape.d_ff};
    const int n_out[4] = {width + 2 * width_kv, C, job->shape.n_ffn_in, C};
    LEY_TRY(ley_engine_create(&dense->engine, LEY_NN_AUTO));
    for (int i = 0; i < 4; i++) {
        dense->n_in[i] = n_in[i];
        dense->n_out[i] = n_out[i];
        widest = n_in[i] > widest ? n_in[i] : widest;
        widest = n_out[i] > widest ? n_out[i] : widest;
        LEY_TRY(ley_linear_create(&dense->linear[i], dense->engine, n_in[i], n_out[i], false));
    }
    size_t n = (size_t)job->n_tokens * (size_t)widest;
    dense->x = ley_alloc(n, sizeof(float));
    dense->y = ley_alloc(n, sizeof(float));
    return dense->x && dense->y ? LEY_OK : ley_fail_memory("bench input", 2 * n, sizeof(float));
}

enum ley_status bench_dense(struct bench_times *times, double *operations,
                            const struct bench_job *job) {
    double time_s[MAX_RUNS];
    struct dense dense = {0};
    omp_set_num_threads(job->n_threads);
    enum ley_status status = make_dense(&dense, job);
    *operations = 0;
    for (int run = -1; status == LEY_OK && run < job->n_runs; run++) {
        double start_s = now_s();
        for (int i = 0; i < 4; i++) {
            ley_linear_forward(dense.y, dense.linear[i], dense.x, job->n_tokens);
        }
        if (run >= 0) {
            time_s[run] = now_s() - start_s;
        }
    }
    for (int i = 0; i < 4; i++) {
        *operations += 2.0 * (double)job->n_tokens * dense.n_in[i] * dense.n_out[i];
        ley_linear_destroy(dense.linear[i]);
    }
    ley_engine_destroy(dense.engine);
    ley_free(dense.x);
    ley_free(dense.y);
    if (status == LEY_OK) {
        *times = summarise(time_s, job->n_runs);
    }
    return status;
}
