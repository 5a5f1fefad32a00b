// cmd_bench.c - leyden bench: how fast the simulator is on this machine, and how near its peak
//
// Sequences of several lengths and steps at several fillings of the ring, for shapes that users
// know; then one shape over instruction sets, threads, windows, and with its events counted.
// Kernels are verified against the scalar ones before anything is timed.
#include <cjson/cJSON.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_measure.h"
#include "commands.h"
#include "session.h"

static const struct command command = {
    "bench", "bench [attention|decode|peak]... [OPTION]...",
    "Times analog attention on this machine: sequences (attention), single tokens on banks "
    "(decode),\n"
    "and the machine's own peaks (peak). Without names: all three, for a head, GPT-2 124M and\n"
    "SmolLM2-135M. Medians of --runs runs; every kernel is first checked against the scalar one.",
    ""};

// Heads of models that users know.
static const struct bench_shape shapes[] = {
    {"head", 1, {1, 1, 64}, 0, 0, 0},
    {"gpt2", 12, {12, 12, 64}, 768, 3072, 3072},
    {"smollm2-135m", 30, {9, 3, 64}, 576, 1536, 3072},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0], MAX_LIST = 16 };

struct options {
    struct invocation invocation;
    struct hardware_options hw;
    const char *shape, *tokens;
    int heads, kv_heads, width, layers, window, threads, runs;
    bool json;
};

// One run of the command.
struct bench {
    const struct options *options;
    struct ley_hardware hardware;
    const struct ley_kernels *kernels; // the best allowed
    struct bench_shape shape[N_SHAPES];
    int n_shapes;
    int64_t tokens[MAX_LIST];
    int n_tokens, n_threads;
    double int8_per_s, bf16_per_s, bytes_per_s; // peaks
    struct cJSON *results;
};

// Integer products of a sequence or a step: K once and V with two bytes, for each term and pair.
static double n_operations(const struct bench_job *job, bool is_step) {
    struct ley_attention *attention;
    double window = job->hardware->array.window, n = (double)job->n_tokens, n_pairs;
    double terms = 3;
    if (ley_attention_create(&attention, job->hardware, &job->shape.heads) == LEY_OK) {
        terms = attention->fixed ? attention->fixed->n_terms : 0;
        ley_attention_destroy(attention);
    }
    if (is_step) {
        n_pairs = job->shape.n_layers * (n < window ? n : window);
    } else {
        n_pairs = n <= window ? n * (n + 1) / 2 : window * (window + 1) / 2 + (n - window) * window;
    }
    return 2 * 3 * terms * job->shape.heads.head_dim * job->shape.heads.n_query_heads * n_pairs;
}

// Shares of the machine's peaks, as far as they are known for a job: 0 else.
struct shares {
    double int8, bf16, memory;
};

// Attention multiplies bytes; a step of it also reads every code in use once.
static struct shares shares_of(const struct bench *bench, const struct bench_job *job, bool is_step,
                               double time_s) {
    struct shares shares = {0};
    double threads = (double)job->n_threads / bench->n_threads;
    if (job->kernels && bench->int8_per_s > 0) {
        shares.int8 = n_operations(job, is_step) / time_s / (bench->int8_per_s * threads);
    }
    if (job->kernels && is_step && bench->bytes_per_s > 0) {
        const struct ley_attention_shape *heads = &job->shape.heads;
        double n_bytes = 2.0 * (double)job->n_tokens * heads->head_dim * heads->n_kv_heads;
        shares.memory = job->shape.n_layers * n_bytes / time_s / (bench->bytes_per_s * threads);
    }
    return shares;
}

// "12 %", or "-" where there is no such share.
static const char *percent(char text[8], double share) {
    snprintf(text, 8, share > 0 ? "%.0f %%" : "-", 100 * share);
    return text;
}

// What ran the products of a row.
static const char *engine_of(const char *what, const struct bench_job *job) {
    bool is_dense = strcmp(what, "dense") == 0;
    return is_dense ? "oneDNN" : job->kernels ? ley_isa_name(job->kernels->isa) : "double";
}

static void print_row(const char *what, const struct bench_job *job,
                      const struct bench_times *times, double tokens_per_s, struct shares shares) {
    char int8[8], bf16[8], memory[8];
    printf("%-10s %-13s %-7s %3d  %7lld %7d  %-3s %10.3f %12.0f %7s %7s %7s %8.1f\n", what,
           job->shape.name, engine_of(what, job), job->n_threads, (long long)job->n_tokens,
           job->hardware->array.window, job->counts_events ? "yes" : "no", 1e3 * times->median_s,
           tokens_per_s, percent(int8, shares.int8), percent(bf16, shares.bf16),
           percent(memory, shares.memory), 1e-6 * (double)times->work_bytes);
    fflush(stdout);
}

// Prints one row and keeps it for JSON.
static void report(struct bench *bench, const char *what, const struct bench_job *job,
                   const struct bench_times *times, struct shares shares) {
    bool is_step = strcmp(what, "decode") == 0;
    double tokens_per_s = (is_step ? 1 : (double)job->n_tokens) / times->median_s;
    if (!bench->options->json) {
        print_row(what, job, times, tokens_per_s, shares);
    }
    struct cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "what", what);
    cJSON_AddStringToObject(row, "shape", job->shape.name);
    cJSON_AddNumberToObject(row, "layers", is_step ? job->shape.n_layers : 1);
    cJSON_AddNumberToObject(row, "query_heads", job->shape.heads.n_query_heads);
    cJSON_AddNumberToObject(row, "kv_heads", job->shape.heads.n_kv_heads);
    cJSON_AddNumberToObject(row, "width", job->shape.heads.head_dim);
    cJSON_AddStringToObject(row, "isa", engine_of(what, job));
    cJSON_AddNumberToObject(row, "threads", job->n_threads);
    cJSON_AddNumberToObject(row, "tokens", (double)job->n_tokens);
    cJSON_AddNumberToObject(row, "window", job->hardware->array.window);
    cJSON_AddBoolToObject(row, "counts_events", job->counts_events);
    cJSON_AddNumberToObject(row, "median_s", times->median_s);
    cJSON_AddNumberToObject(row, "best_s", times->best_s);
    cJSON_AddNumberToObject(row, "tokens_per_s", tokens_per_s);
    cJSON_AddNumberToObject(row, "share_of_int8_peak", shares.int8);
    cJSON_AddNumberToObject(row, "share_of_bf16_peak", shares.bf16);
    cJSON_AddNumberToObject(row, "share_of_memory_peak", shares.memory);
    cJSON_AddNumberToObject(row, "work_bytes", (double)times->work_bytes);
    cJSON_AddItemToArray(bench->results, row);
}

// A job of the bench with its defaults.
static struct bench_job make_job(const struct bench *bench, const struct bench_shape *shape,
                                 int64_t n_tokens) {
    return (struct bench_job){
        .hardware = &bench->hardware,
        .kernels = ley_hardware_is_fixed(&bench->hardware) ? bench->kernels : NULL,
        .shape = *shape,
        .n_tokens = n_tokens,
        .n_threads = bench->n_threads,
        .n_runs = bench->options->runs,
    };
}

static enum ley_status run_sequence(struct bench *bench, const struct bench_job *job) {
    struct bench_times times;
    if (session_is_interrupted()) {
        return ley_fail(LEY_E_INTERRUPTED, "stopped on request");
    }
    LEY_TRY(bench_sequence(&times, job));
    report(bench, "attention", job, &times, shares_of(bench, job, false, times.median_s));
    return LEY_OK;
}

// The longest length up to 1024, over everything that can vary.
static enum ley_status run_variants(struct bench *bench) {
    struct bench_job job = make_job(bench, &bench->shape[bench->n_shapes - 1], 1024);
    job.counts_events = true;
    LEY_TRY(run_sequence(bench, &job));
    job.counts_events = false;
    for (int n = 1; n < bench->n_threads; n *= 2) {
        job.n_threads = n;
        LEY_TRY(run_sequence(bench, &job));
    }
    job.n_threads = bench->n_threads;
    for (int isa = LEY_ISA_SCALAR; job.kernels && isa < (int)bench->kernels->isa; isa++) {
        job.kernels = ley_kernels_get((enum ley_isa)isa);
        if (job.kernels) {
            LEY_TRY(run_sequence(bench, &job));
        }
    }
    struct ley_hardware hardware = bench->hardware;
    job = make_job(bench, &job.shape, 4096);
    job.hardware = &hardware;
    for (int window = 256; window <= 4096; window *= 4) {
        hardware.array.window = window;
        LEY_TRY(run_sequence(bench, &job));
    }
    return LEY_OK;
}

static enum ley_status run_attention(struct bench *bench) {
    for (int i = 0; i < bench->n_shapes; i++) {
        for (int t = 0; t < bench->n_tokens; t++) {
            struct bench_job job = make_job(bench, &bench->shape[i], bench->tokens[t]);
            LEY_TRY(run_sequence(bench, &job));
            if (bench->options->tokens) { // asked for by name: with and without counting
                job.counts_events = true;
                LEY_TRY(run_sequence(bench, &job));
            }
        }
    }
    return bench->options->tokens ? LEY_OK : run_variants(bench);
}

static enum ley_status run_decode(struct bench *bench) {
    static const int64_t occupancy[] = {64, 512, 1024};
    for (int i = 0; i < bench->n_shapes; i++) {
        for (int n = 0; n < 3; n++) {
            struct bench_job job = make_job(bench, &bench->shape[i], occupancy[n]);
            struct bench_times times;
            if (session_is_interrupted()) {
                return ley_fail(LEY_E_INTERRUPTED, "stopped on request");
            }
            job.n_threads = 1; // a step runs on one
            LEY_TRY(bench_decode(&times, &job));
            report(bench, "decode", &job, &times, shares_of(bench, &job, true, times.median_s));
        }
    }
    return LEY_OK;
}

// The dense layers beside it, for the same lengths.
static enum ley_status run_dense(struct bench *bench) {
    for (int i = 0; i < bench->n_shapes; i++) {
        for (int t = 0; bench->shape[i].d_model > 0 && t < bench->n_tokens; t++) {
            struct bench_job job = make_job(bench, &bench->shape[i], bench->tokens[t]);
            struct bench_times times = {0};
            double n;
            if (session_is_interrupted()) {
                return ley_fail(LEY_E_INTERRUPTED, "stopped on request");
            }
            LEY_TRY(bench_dense(&times, &n, &job));
            struct shares shares = {0};
            if (bench->bf16_per_s > 0) {
                shares.bf16 = n / times.median_s / bench->bf16_per_s;
            }
            report(bench, "dense", &job, &times, shares);
        }
    }
    return LEY_OK;
}

// Whether a part of the bench was named, or none was.
static bool is_wanted(const struct text_list *names, const char *name) {
    for (int i = 0; i < names->n; i++) {
        if (strcmp(names->text[i], name) == 0) {
            return true;
        }
    }
    return names->n == 0;
}

// The peaks that other rows are shares of; printed when they are asked for.
static enum ley_status run_peaks(struct bench *bench, const struct text_list *names) {
    bool is_printed = is_wanted(names, "peak");
    bench->int8_per_s = bench_peak_int8(bench->kernels, bench->n_threads);
    if (is_printed || is_wanted(names, "dense")) {
        LEY_TRY(bench_peak_bf16(&bench->bf16_per_s));
    }
    if (is_printed || is_wanted(names, "decode")) {
        LEY_TRY(bench_peak_memory(&bench->bytes_per_s));
    }
    if (is_printed && !bench->options->json) {
        printf(
            "this machine, %d threads: int8 (%s) %.0f Gop/s, bf16 %.0f Gop/s, memory %.1f GB/s\n",
            bench->n_threads, ley_isa_name(bench->kernels->isa), 1e-9 * bench->int8_per_s,
            1e-9 * bench->bf16_per_s, 1e-9 * bench->bytes_per_s);
    }
    return LEY_OK;
}

// --tokens 128,1024
static enum ley_status parse_tokens(struct bench *bench, const char *text) {
    static const int64_t usual[] = {128, 256, 512, 1024, 2048, 4096};
    for (int i = 0; !text && i < 6; i++) {
        bench->tokens[bench->n_tokens++] = usual[i];
    }
    while (text && *text) {
        char *end;
        long n = strtol(text, &end, 10);
        if (end == text || (*end && *end != ',') || n < 1 || n > 1 << 20 ||
            bench->n_tokens == MAX_LIST) {
            return ley_fail(LEY_E_ARGUMENT,
                            "--tokens is '%s': up to %d numbers of 1..1048576, as 128,1024", text,
                            MAX_LIST);
        }
        bench->tokens[bench->n_tokens++] = n;
        text = *end ? end + 1 : end;
    }
    return LEY_OK;
}

// One shape by name or by numbers, or all.
static enum ley_status choose_shapes(struct bench *bench, const struct options *o) {
    if (o->heads > 0) {
        int n_kv = o->kv_heads > 0 ? o->kv_heads : o->heads;
        if (o->width < 1 || o->layers < 1 || o->heads % n_kv != 0) {
            return ley_fail(LEY_E_ARGUMENT, "--heads must be a multiple of --kv-heads, --width and "
                                            "--layers at least 1");
        }
        bench->shape[0] =
            (struct bench_shape){"yours", o->layers, {o->heads, n_kv, o->width}, 0, 0, 0};
        bench->n_shapes = 1;
        return LEY_OK;
    }
    for (int i = 0; i < N_SHAPES; i++) {
        if (!o->shape || strcmp(o->shape, shapes[i].name) == 0) {
            bench->shape[bench->n_shapes++] = shapes[i];
        }
    }
    return bench->n_shapes ? LEY_OK
                           : ley_fail(LEY_E_ARGUMENT,
                                      "unknown --shape '%s'; known are head, gpt2, smollm2-135m, "
                                      "or give --heads",
                                      o->shape);
}

// What can be wrong is found before anything runs.
static enum ley_status prepare(struct bench *bench, const struct options *o,
                               const struct text_list *names) {
    for (int i = 0; i < names->n; i++) {
        if (strcmp(names->text[i], "attention") != 0 && strcmp(names->text[i], "decode") != 0 &&
            strcmp(names->text[i], "dense") != 0 && strcmp(names->text[i], "peak") != 0) {
            return ley_fail(LEY_E_ARGUMENT,
                            "unknown '%s'; known are attention, decode, dense, peak",
                            names->text[i]);
        }
    }
    if (o->runs < 1 || o->runs > 1000 || o->threads < 0 || o->threads > 4096) {
        return ley_fail(LEY_E_ARGUMENT, "--runs must be 1..1000 and --threads 1..4096");
    }
    LEY_TRY(session_hardware(&bench->hardware, &o->hw));
    if (o->window > 0) {
        bench->hardware.array.window = o->window;
    }
    bench->kernels = ley_kernels_select();
    bench->n_threads = o->threads ? o->threads : omp_get_max_threads();
    LEY_TRY(parse_tokens(bench, o->tokens));
    return choose_shapes(bench, o);
}

static enum ley_status run(struct bench *bench, const struct text_list *names) {
    LEY_TRY(run_peaks(bench, names));
    for (int i = 0; ley_hardware_is_fixed(&bench->hardware) && i < bench->n_shapes; i++) {
        struct bench_job job = make_job(bench, &bench->shape[i], 1);
        LEY_TRY(bench_verify(&job));
    }
    bool is_timed =
        is_wanted(names, "attention") || is_wanted(names, "decode") || is_wanted(names, "dense");
    if (is_timed && !bench->options->json) {
        printf("%-10s %-13s %-7s %3s  %7s %7s  %-3s %10s %12s %7s %7s %7s %8s\n", "", "shape",
               "isa", "thr", "tokens", "window", "led", "median ms", "tokens/s", "of int8",
               "of bf16", "of mem", "work MB");
    }
    if (is_wanted(names, "attention")) {
        LEY_TRY(run_attention(bench));
    }
    if (is_wanted(names, "dense")) {
        LEY_TRY(run_dense(bench));
    }
    return is_wanted(names, "decode") ? run_decode(bench) : LEY_OK;
}

static void print_json(const struct bench *bench) {
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, &bench->options->invocation);
    cJSON_AddStringToObject(root, "hw", bench->options->hw.name);
    cJSON_AddStringToObject(root, "isa", ley_isa_name(bench->kernels->isa));
    cJSON_AddNumberToObject(root, "threads", bench->n_threads);
    cJSON_AddNumberToObject(root, "peak_int8_per_s", bench->int8_per_s);
    cJSON_AddNumberToObject(root, "peak_bf16_per_s", bench->bf16_per_s);
    cJSON_AddNumberToObject(root, "peak_bytes_per_s", bench->bytes_per_s);
    cJSON_AddItemReferenceToObject(root, "results", bench->results);
    char *text = cJSON_Print(root);
    if (text) {
        printf("%s\n", text);
    }
    free(text);
    cJSON_Delete(root);
}

int cmd_bench(int argc, char **argv) {
    struct options o = {
        .invocation = {argc, argv}, .hw.name = "paper", .width = 64, .layers = 1, .runs = 9};
    struct text_list names = {0};
    const struct option_row rows[] = {
        HARDWARE_ROWS(o.hw),
        {"shape", 0, OPTION_TEXT, &o.shape, "NAME", "head, gpt2 or smollm2-135m (all)"},
        {"heads", 0, OPTION_INT, &o.heads, "N", "query heads of a shape of your own"},
        {"kv-heads", 0, OPTION_INT, &o.kv_heads, "N", "its key-value heads (as many)"},
        {"width", 0, OPTION_INT, &o.width, "D", "its head width (64)"},
        {"layers", 0, OPTION_INT, &o.layers, "L", "its layers, for decode (1)"},
        {"tokens", 0, OPTION_TEXT, &o.tokens, "LIST", "lengths (128,256,512,1024,2048,4096)"},
        {"window", 0, OPTION_INT, &o.window, "M", "tokens a query sees (array.window)"},
        {"threads", 't', OPTION_INT, &o.threads, "N", "threads (all cores)"},
        {"runs", 0, OPTION_INT, &o.runs, "N", "runs of each (9)"},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "for machines"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], &names);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    session_catch_interrupts();
    struct bench bench = {.options = &o, .results = cJSON_CreateArray()};
    enum ley_status status = prepare(&bench, &o, &names);
    if (status == LEY_OK) {
        status = run(&bench, &names);
    }
    if (status == LEY_OK && o.json) {
        print_json(&bench);
    }
    cJSON_Delete(bench.results);
    return status == LEY_OK ? EXIT_OK : session_fail("bench", status);
}
