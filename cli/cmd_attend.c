// cmd_attend.c - leyden attend: NumPy arrays through analog attention
//
// Reads and checks everything first, computes, then writes all results at once or none.
#include <cjson/cJSON.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "session.h"

static const struct command command = {
    "attend", "attend --q Q.npy --k K.npy --v V.npy --out DIR [--hw PRESET|FILE] [OPTION]...",
    "Runs q (B,Hq,T,D), k and v (B,Hkv,T,D), as they come from the projections, through analog\n"
    "attention. Hq may be a multiple of Hkv: query heads then share banks.",
    "Writes to DIR: out.npy (B,Hq,T,D) and ledger.json; with --dump also:\n"
    "  scores  S.npy (B,Hq,T,T), in units of S_sat, before the clip; 0 where gated\n"
    "  phi     phi.npy (B,Hq,T,T), pulses into V, 0..1\n"
    "  tiles   A.npy (B,Hq,tiles,T,D), partial outputs in units of A_sat, before the clip\n"
    "  codes   q_code, k_code, v_code, out_code.npy, of the converters that are on\n"
    "A token s sits in column s mod ring; a tile converts its own partial output. The published\n"
    "code instead keeps adding tiles: give --ring at least T columns to get its grouping."};

// What the options say; -1 and NAN stand for "not given", so that 0 can be a value.
struct options {
    struct hardware_options hw;
    const char *q, *k, *v, *scalers, *out, *dump;
    int window, ring, threads;
    double dt_over_tau;
    bool no_quant, step, json;
};

// Everything that lives as long as the run; destroy_arrays frees it all, made or not.
struct arrays {
    int64_t n_batch, n_tokens;
    struct ley_attention_shape shape;
    struct ley_tensor q, k, v;                // float64
    struct ley_tensor out;                    // float64 (B, Hq, T, D)
    struct ley_tensor s, phi, a;              // float64, data NULL when not asked for
    struct ley_tensor q_code, k_code, v_code; // int32, likewise
    struct ley_tensor out_code;
};

// ---- input

// A float32 or float64 file of four dimensions as float64; refuses what is not finite.
static enum ley_status load_f64(struct ley_tensor *tensor, const char *path, const char *option) {
    struct ley_tensor file;
    *tensor = (struct ley_tensor){.data = NULL};
    // Checked in this order, so that the message names the first thing to mend.
    if (!path) {
        return ley_fail(LEY_E_ARGUMENT, "--%s FILE.npy is missing", option);
    }
    LEY_TRY(ley_npy_load(&file, path));
    enum ley_status status = LEY_OK;
    char shape[256];
    ley_tensor_format_shape(shape, sizeof shape, &file);
    if (file.n_dims != 4 || ley_tensor_count(&file) == 0) {
        status = ley_fail(LEY_E_SHAPE,
                          "%s has shape %s; --%s needs four dimensions "
                          "(batch, heads, tokens, width), none of them 0",
                          path, shape, option);
    }
    if (status == LEY_OK) {
        status = ley_tensor_check_finite(&file, path);
    }
    if (status == LEY_OK) {
        status = ley_tensor_create(tensor, LEY_F64, file.n_dims, file.shape);
    }
    // Converted once: everything after this is double.
    for (int64_t i = 0; status == LEY_OK && i < ley_tensor_count(&file); i++) {
        ley_tensor_put(tensor, i, ley_tensor_get(&file, i));
    }
    ley_tensor_destroy(&file);
    return status;
}

// Shapes are compared as bytes: unused dimensions are zero in all of them.
static enum ley_status check_shapes(struct arrays *arrays) {
    const struct ley_tensor *q = &arrays->q, *k = &arrays->k, *v = &arrays->v;
    char q_shape[128], k_shape[128], v_shape[128];
    ley_tensor_format_shape(q_shape, sizeof q_shape, q);
    ley_tensor_format_shape(k_shape, sizeof k_shape, k);
    ley_tensor_format_shape(v_shape, sizeof v_shape, v);
    if (memcmp(k->shape, v->shape, sizeof k->shape) != 0) {
        return ley_fail(LEY_E_SHAPE, "k is %s and v is %s; they must be equal", k_shape, v_shape);
    }
    if (q->shape[0] != k->shape[0] || q->shape[2] != k->shape[2] || q->shape[3] != k->shape[3]) {
        return ley_fail(LEY_E_SHAPE, "q is %s and k is %s; batch, tokens and width must be equal",
                        q_shape, k_shape);
    }
    if (q->shape[1] % k->shape[1] != 0) {
        return ley_fail(LEY_E_SHAPE,
                        "q has %lld heads and k has %lld; the first must be a multiple",
                        (long long)q->shape[1], (long long)k->shape[1]);
    }
    // The bounds keep heads and widths in an int and their products far from overflow.
    if (q->shape[1] > 65536 || q->shape[3] > 65536 || q->shape[0] > 1 << 30) {
        return ley_fail(LEY_E_SHAPE, "q is %s; at most 65536 heads of width 65536", q_shape);
    }
    arrays->n_batch = q->shape[0];
    arrays->n_tokens = q->shape[2];
    arrays->shape =
        (struct ley_attention_shape){(int)q->shape[1], (int)k->shape[1], (int)q->shape[3]};
    return LEY_OK;
}

// In the order of the options; the first that is wrong ends it.
static enum ley_status load_arrays(struct arrays *arrays, const struct options *options) {
    LEY_TRY(load_f64(&arrays->q, options->q, "q"));
    LEY_TRY(load_f64(&arrays->k, options->k, "k"));
    LEY_TRY(load_f64(&arrays->v, options->v, "v"));
    return check_shapes(arrays);
}

// Through the parameter table, so that its bounds and messages hold for plain options too.
static enum ley_status set_number(struct ley_hardware *hardware, const char *key, double value) {
    char text[64];
    snprintf(text, sizeof text, "%.17g", value);
    return ley_params_set(ley_hardware_params(), hardware, key, text);
}

// Plain options come after the preset and --set: they are what a comparison varies.
static enum ley_status load_hardware(struct ley_hardware *hardware, const struct options *options) {
    LEY_TRY(session_hardware(hardware, &options->hw));
    // This command is the reference: nobody waits for it, and traces are to be exact.
    if (hardware->array.arithmetic == LEY_ARITHMETIC_AUTO) {
        hardware->array.arithmetic = LEY_ARITHMETIC_DOUBLE;
    }
    if (options->window >= 0) {
        LEY_TRY(set_number(hardware, "array.window", options->window));
    }
    if (options->ring >= 0) {
        LEY_TRY(set_number(hardware, "array.ring", options->ring));
    }
    // Continuous everywhere: what is left is the law of the cell and leakage.
    if (options->no_quant) {
        LEY_TRY(set_number(hardware, "dac.q_levels", 0));
        LEY_TRY(set_number(hardware, "dac.kv_levels", 0));
        LEY_TRY(set_number(hardware, "output.levels", 0));
    }
    if (options->dt_over_tau < 0) {
        return ley_fail(LEY_E_ARGUMENT, "--dt-over-tau is %g, must be 0 (no leakage) or more",
                        options->dt_over_tau);
    }
    // Leakage off is a kind, not an infinite tau.
    if (options->dt_over_tau == 0) {
        hardware->cell.leakage = LEY_LEAK_NONE;
    } else if (!isnan(options->dt_over_tau)) {
        if (hardware->cell.leakage == LEY_LEAK_NONE) {
            // A preset without leakage gets the physical kind (M7).
            hardware->cell.leakage = LEY_LEAK_RELAX;
        }
        // Age in periods is all that decay depends on (M16): tau is set, the period stays.
        double tau_s = hardware->time.token_period_s / options->dt_over_tau;
        LEY_TRY(set_number(hardware, "cell.tau_s", tau_s));
    }
    return LEY_OK;
}

// ---- output arrays

// Sets *is_asked when `word` is in the comma-separated list, and counts it in *n_known.
static void find_word(bool *is_asked, int *n_known, const char *list, const char *word) {
    size_t n = strlen(word);
    *is_asked = false;
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == '\0')) {
            *is_asked = true;
            ++*n_known;
        }
    }
}

// A converter that is switched off has no codes.
static enum ley_status create_codes(struct arrays *arrays, const struct ley_hardware *hardware,
                                    const int64_t tile_shape[5]) {
    const struct ley_converter_spec *converter = &hardware->converter;
    if (converter->q_levels) {
        LEY_TRY(ley_tensor_create(&arrays->q_code, LEY_I32, 4, arrays->q.shape));
    }
    if (converter->kv_levels) {
        LEY_TRY(ley_tensor_create(&arrays->k_code, LEY_I32, 4, arrays->k.shape));
        LEY_TRY(ley_tensor_create(&arrays->v_code, LEY_I32, 4, arrays->v.shape));
    }
    if (converter->output_levels) {
        LEY_TRY(ley_tensor_create(&arrays->out_code, LEY_I32, 5, tile_shape));
    }
    return LEY_OK;
}

// Arrays exist only for what --dump names; an absent one costs nothing while computing.
static enum ley_status create_outputs(struct arrays *arrays, const struct ley_hardware *hardware,
                                      const char *dump) {
    bool scores, phi, tiles, codes;
    int n_known = 0, n_words = dump ? 1 : 0;
    find_word(&scores, &n_known, dump, "scores");
    find_word(&phi, &n_known, dump, "phi");
    find_word(&tiles, &n_known, dump, "tiles");
    find_word(&codes, &n_known, dump, "codes");
    for (const char *c = dump; c && *c; c++) {
        n_words += *c == ',';
    }
    // A word given twice counts twice, and so does its comma; an unknown one is missed here.
    if (n_known != n_words) {
        return ley_fail(LEY_E_ARGUMENT,
                        "--dump is '%s', must be a list of scores, phi, tiles, "
                        "codes, separated by commas",
                        dump);
    }
    // Tiles that the sequence touches, not those that the ring has.
    int64_t b = arrays->n_batch, h = arrays->shape.n_query_heads, t = arrays->n_tokens;
    int64_t n = ley_attention_n_tiles(hardware, t), d = arrays->shape.head_dim;
    const int64_t score_shape[] = {b, h, t, t}, tile_shape[] = {b, h, n, t, d};
    LEY_TRY(ley_tensor_create(&arrays->out, LEY_F64, 4, arrays->q.shape));
    if (scores) {
        LEY_TRY(ley_tensor_create(&arrays->s, LEY_F64, 4, score_shape));
    }
    if (phi) {
        LEY_TRY(ley_tensor_create(&arrays->phi, LEY_F64, 4, score_shape));
    }
    if (tiles) {
        LEY_TRY(ley_tensor_create(&arrays->a, LEY_F64, 5, tile_shape));
    }
    return codes ? create_codes(arrays, hardware, tile_shape) : LEY_OK;
}

// An array that was never made has data NULL, which is accepted.
static void destroy_arrays(struct arrays *arrays) {
    struct ley_tensor *all[] = {&arrays->q,      &arrays->k,      &arrays->v,       &arrays->out,
                                &arrays->s,      &arrays->phi,    &arrays->a,       &arrays->q_code,
                                &arrays->k_code, &arrays->v_code, &arrays->out_code};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        ley_tensor_destroy(all[i]);
    }
}

// ---- computing

// The arrays as attention takes them.
static struct ley_attention_call describe_call(const struct arrays *arrays) {
    const struct ley_attention_shape *shape = &arrays->shape;
    int64_t T = arrays->n_tokens;
    int D = shape->head_dim;
    return (struct ley_attention_call){
        .q = ley_heads_packed(arrays->q.data, shape->n_query_heads, T, D),
        .k = ley_heads_packed(arrays->k.data, shape->n_kv_heads, T, D),
        .v = ley_heads_packed(arrays->v.data, shape->n_kv_heads, T, D),
        .out = ley_heads_packed_out(arrays->out.data, shape->n_query_heads, T, D),
        .n_batch = arrays->n_batch,
        .n_tokens = T,
    };
}

// The sequence as the chip meets it: one token of all heads, then the next.
static enum ley_status run_steps(const struct ley_attention_call *sequence,
                                 struct ley_stream *stream, double token_period_s) {
    const struct ley_progress *progress = sequence->progress;
    struct ley_attention_call step = *sequence;
    step.n_tokens = 1;
    for (int64_t t = 0; t < sequence->n_tokens; t++) {
        // Times as M16 has them: token t is written and read at t periods.
        ley_stream_step(stream, &step, (double)t * token_period_s);
        if (!progress->report(progress->context, t + 1, sequence->n_tokens)) {
            return ley_fail(LEY_E_INTERRUPTED, "stopped on request");
        }
        step.q.f64 += step.q.token;
        step.k.f64 += step.k.token;
        step.v.f64 += step.v.token;
        step.out.f64 += step.out.token;
    }
    return LEY_OK;
}

// Both ways fill the same arrays and the same ledger.
static enum ley_status compute(struct arrays *arrays, const struct ley_attention *attention,
                               bool by_steps, struct ley_ledger *ledger) {
    const struct ley_attention_trace trace = {
        arrays->n_tokens,    arrays->s.data,      arrays->phi.data,    arrays->a.data,
        arrays->q_code.data, arrays->k_code.data, arrays->v_code.data, arrays->out_code.data};
    struct ley_progress progress = session_progress(by_steps ? "tokens" : "heads");
    struct ley_attention_call call = describe_call(arrays);
    call.trace = &trace;
    call.ledger = ledger;
    call.progress = &progress;
    if (!by_steps) {
        return ley_attention_forward(attention, &call);
    }
    struct ley_stream *stream;
    LEY_TRY(ley_stream_create(&stream, attention, arrays->n_batch));
    enum ley_status status = run_steps(&call, stream, attention->hardware.time.token_period_s);
    ley_stream_destroy(stream);
    return status;
}

// ---- results

// An array that nobody asked for writes no file.
static enum ley_status write_array(struct ley_outdir *outdir, const char *name,
                                   const struct ley_tensor *tensor) {
    FILE *file;
    if (!tensor->data) {
        return LEY_OK;
    }
    LEY_TRY(ley_outdir_open(&file, outdir, name));
    ley_npy_write(file, tensor);
    return ley_outdir_close(outdir, file);
}

// Names as NumPy users load them; all are temporary until the folder is committed.
static enum ley_status write_arrays(struct ley_outdir *outdir, const struct arrays *arrays) {
    LEY_TRY(write_array(outdir, "out.npy", &arrays->out));
    LEY_TRY(write_array(outdir, "S.npy", &arrays->s));
    LEY_TRY(write_array(outdir, "phi.npy", &arrays->phi));
    LEY_TRY(write_array(outdir, "A.npy", &arrays->a));
    LEY_TRY(write_array(outdir, "q_code.npy", &arrays->q_code));
    LEY_TRY(write_array(outdir, "k_code.npy", &arrays->k_code));
    LEY_TRY(write_array(outdir, "v_code.npy", &arrays->v_code));
    return write_array(outdir, "out_code.npy", &arrays->out_code);
}

// Everything needed to know what was run and what happened, as JSON text (free it); or NULL.
static char *describe(const struct arrays *arrays, const struct options *options,
                      const struct ley_hardware *hardware, const struct ley_ledger *ledger) {
    struct cJSON *root = cJSON_CreateObject(), *shape = cJSON_AddObjectToObject(root, "shape");
    cJSON_AddStringToObject(root, "leyden", LEYDEN_VERSION);
    cJSON_AddStringToObject(root, "command", options->step ? "attend --step" : "attend");
    cJSON_AddNumberToObject(shape, "batch", (double)arrays->n_batch);
    cJSON_AddNumberToObject(shape, "query_heads", arrays->shape.n_query_heads);
    cJSON_AddNumberToObject(shape, "kv_heads", arrays->shape.n_kv_heads);
    cJSON_AddNumberToObject(shape, "tokens", (double)arrays->n_tokens);
    cJSON_AddNumberToObject(shape, "head_dim", arrays->shape.head_dim);
    cJSON_AddStringToObject(root, "hw", options->hw.name);
    cJSON_AddItemToObject(root, "hardware", ley_params_json(ley_hardware_params(), hardware));
    cJSON_AddItemToObject(root, "events", ley_ledger_json(ledger));
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

// The description goes last, so a folder with ledger.json is complete.
static enum ley_status write_results(const struct arrays *arrays, struct ley_outdir *outdir,
                                     const char *description) {
    FILE *file;
    LEY_TRY(write_arrays(outdir, arrays));
    LEY_TRY(ley_outdir_open(&file, outdir, "ledger.json"));
    fprintf(file, "%s\n", description);
    LEY_TRY(ley_outdir_close(outdir, file));
    return ley_outdir_commit(outdir);
}

// Of events; 0 where there were none.
static double percent(uint64_t part, uint64_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

// Sums over the whole run except where it says "each" or "per query".
static void print_summary(const struct arrays *arrays, const struct options *options,
                          const struct ley_hardware *hardware, const struct ley_ledger *ledger) {
    const struct ley_attention_shape *shape = &arrays->shape;
    int n_group = shape->n_query_heads / shape->n_kv_heads;
    int ring = ley_hardware_ring(hardware);
    int64_t n_used = arrays->n_tokens < ring ? arrays->n_tokens : ring;
    printf("hardware   %s, window %d, ring %d columns, %d to a tile\n", options->hw.name,
           hardware->array.window, ring, hardware->array.n_columns);
    printf("input      %lld x %lld tokens, %d query heads on %d banks, width %d\n",
           (long long)arrays->n_batch, (long long)arrays->n_tokens, shape->n_query_heads,
           shape->n_kv_heads, shape->head_dim);
    printf("ring       %lld of %d columns in use at the end, %lld laps\n", (long long)n_used, ring,
           (long long)(arrays->n_tokens / ring));
    printf("written    %llu cells\n", (unsigned long long)ledger->cells_written);
    printf("scores     %llu conversions: %.1f %% zero, %.1f %% saturated\n",
           (unsigned long long)ledger->score_conversions,
           percent(ledger->zero_scores, ledger->score_conversions),
           percent(ledger->saturated_scores, ledger->score_conversions));
    printf("outputs    %llu conversions: %.1f %% saturated, %.2f counts each\n",
           (unsigned long long)ledger->output_conversions,
           percent(ledger->saturated_outputs, ledger->output_conversions),
           (double)ledger->counter_ticks / (double)ledger->output_conversions);
    printf("charge     %.3g pC through K, %.3g pC through V, per query\n",
           1e12 * ledger->k_charge_c / (double)ledger->queries,
           1e12 * ledger->v_charge_c / (double)ledger->queries);
    printf("chip time  %.4g ns busy in each token period of %.4g ns\n",
           1e9 * ley_hardware_busy_s(hardware, n_group), 1e9 * hardware->time.token_period_s);
    printf("results    %s\n", options->out);
}

// Nothing is printed before everything is on disk.
static enum ley_status finish(const struct arrays *arrays, const struct options *options,
                              const struct ley_hardware *hardware, const struct ley_ledger *ledger,
                              struct ley_outdir *outdir) {
    char *description = describe(arrays, options, hardware, ledger);
    if (!description) {
        return ley_fail_memory("ledger.json", 1, 1);
    }
    enum ley_status status = write_results(arrays, outdir, description);
    if (status == LEY_OK && options->json) {
        printf("%s\n", description);
    } else if (status == LEY_OK) {
        print_summary(arrays, options, hardware, ledger);
    }
    free(description);
    return status;
}

// ---- the command

// Attention lives only here: its scalers come from files of a training run, if any.
static enum ley_status run_layer(struct arrays *arrays, const struct options *options,
                                 const struct ley_hardware *hardware, struct ley_outdir *outdir) {
    struct ley_attention *attention;
    struct ley_ledger ledger = {0};
    LEY_TRY(ley_attention_create(&attention, hardware, &arrays->shape));
    enum ley_status status = LEY_OK;
    if (options->scalers) {
        int n_heads[LEY_N_SIGNALS];
        for (int i = 0; i < LEY_N_SIGNALS; i++) {
            n_heads[i] = ley_attention_n_heads(&arrays->shape, (enum ley_signal)i);
        }
        status = ley_scalers_load(attention->scaler, n_heads, options->scalers);
    }
    if (status == LEY_OK) {
        status = compute(arrays, attention, options->step, &ledger);
    }
    if (status == LEY_OK) {
        status = finish(arrays, options, hardware, &ledger, outdir);
    }
    ley_attention_destroy(attention);
    return status;
}

// Order: what can be refused cheaply first; the output folder last before the work.
static enum ley_status attend(struct arrays *arrays, const struct options *options) {
    struct ley_hardware hardware;
    struct ley_outdir *outdir;
    LEY_TRY(load_hardware(&hardware, options));
    if (!options->out) {
        return ley_fail(LEY_E_ARGUMENT, "--out DIR is missing");
    }
    LEY_TRY(load_arrays(arrays, options));
    LEY_TRY(create_outputs(arrays, &hardware, options->dump));
    LEY_TRY(ley_outdir_create(&outdir, options->out));
    enum ley_status status = run_layer(arrays, options, &hardware, outdir);
    ley_outdir_destroy(outdir);
    return status;
}

// Command-line front end of ley_attention_forward and ley_stream_step.
int cmd_attend(int argc, char **argv) {
    struct options o = {.hw.name = "paper", .window = -1, .ring = -1, .dt_over_tau = NAN};
    struct arrays arrays = {0};
    const struct option_row rows[] = {
        HARDWARE_ROWS(o.hw),
        {"q", 0, OPTION_TEXT, &o.q, "FILE", "queries, .npy float32 or float64"},
        {"k", 0, OPTION_TEXT, &o.k, "FILE", "keys"},
        {"v", 0, OPTION_TEXT, &o.v, "FILE", "values"},
        {"scalers", 0, OPTION_TEXT, &o.scalers, "DIR",
         "scaler_{q,k,v,output}_{a,b}.npy, one value a head (default: initial values)"},
        {"out", 'o', OPTION_TEXT, &o.out, "DIR", "where results go"},
        {"dump", 0, OPTION_TEXT, &o.dump, "LIST", "also write scores,phi,tiles,codes"},
        {"window", 0, OPTION_INT, &o.window, "M", "tokens a query sees (array.window)"},
        {"ring", 0, OPTION_INT, &o.ring, "R", "columns of the ring, 0: the window (array.ring)"},
        {"no-quant", 0, OPTION_FLAG, &o.no_quant, NULL, "all converters continuous"},
        {"dt-over-tau", 0, OPTION_REAL, &o.dt_over_tau, "X",
         "leakage per token: token period / tau; 0: none"},
        {"step", 0, OPTION_FLAG, &o.step, NULL, "token by token through the banks; same result"},
        {"threads", 't', OPTION_INT, &o.threads, "N", "threads (default: all cores)"},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "print ledger.json instead of the summary"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    if (o.threads < 0 || o.threads > 4096) {
        fprintf(stderr, "leyden attend: --threads is %d, must be 1..4096\n", o.threads);
        return EXIT_USAGE;
    }
    if (o.threads > 0) {
        omp_set_num_threads(o.threads);
    }
    // From here on Ctrl-C stops the work between heads or tokens; results are all or nothing.
    session_catch_interrupts();
    enum ley_status status = attend(&arrays, &o);
    destroy_arrays(&arrays);
    return status == LEY_OK ? EXIT_OK : session_fail("attend", status);
}
