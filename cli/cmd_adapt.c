// cmd_adapt.c - leyden adapt: a pretrained model learns to work with the attention of a chip
//
// The teacher is the model's own digital self, or another model (--teacher). Steps: (1) scalers to
// start from: of the adapter or the file, else calibrated; (2) the stages of --method, one after
// another; (3) what was learned is written as an adapter, or merged into the model.
#include <stdio.h>
#include <string.h>

#include "adapt.h"

static const struct command command = {
    "adapt", "adapt -m MODEL --hw PRESET|FILE --data FILE|self -o OUT [--method LIST] [OPTION]...",
    "Adapts a pretrained model to the attention of a chip. Its own digital self is the teacher, "
    "or\n"
    "--teacher; any text will do, or none: --data self learns from text that the teacher samples.",
    "methods, in this order, comma between them:\n"
    "  match     scalers that give every signal the distribution it had on the chip for which the\n"
    "            model has scalers now (as published); without it, scalers are kept or calibrated\n"
    "  transfer  attention layer by layer: each gives what the teacher's gives\n"
    "  distil    end to end: the teacher's distribution of the next token\n"
    "OUT is an adapter (GGUF) for run, chat and perplexity --adapter, or for convert --adapter;\n"
    "with --merge, --train matrices or all it is a whole model, out of which leyden extract takes\n"
    "an adapter. --adapter FILE goes on from another one, of no higher rank.\n"
    "Ctrl-C saves; --resume goes on and gives the same bits as a run that was never stopped."};

static const char *const stage_names[N_STAGES] = {"match", "transfer", "distil"};

// ---- options

static enum ley_status parse_method(struct adapt *adapt) {
    const char *word = adapt->options->method;
    for (;;) {
        size_t n = strcspn(word, ",");
        int i = 0;
        while (i < N_STAGES &&
               (strlen(stage_names[i]) != n || memcmp(word, stage_names[i], n) != 0)) {
            i++;
        }
        if (i == N_STAGES) {
            return ley_fail(LEY_E_ARGUMENT,
                            "unknown --method '%.*s'; known are match, transfer, distil", (int)n,
                            word);
        }
        adapt->has[i] = true;
        if (word[n] == '\0') {
            return LEY_OK;
        }
        word += n + 1;
    }
}

static enum ley_status parse_learns(struct adapt *adapt) {
    static const char *const names[] = {"scalers", "lora", "matrices", "all"};
    for (int i = 0; i <= ALL; i++) {
        if (strcmp(adapt->options->learns, names[i]) == 0) {
            adapt->learns = (enum adapt_learns)i;
            return LEY_OK;
        }
    }
    return ley_fail(LEY_E_ARGUMENT, "--train is '%s', must be scalers, lora, matrices or all",
                    adapt->options->learns);
}

static enum ley_status check(struct adapt *adapt) {
    const struct adapt_options *o = adapt->options;
    const struct ley_block_type *type;
    LEY_TRY(training_check(&o->training, o->out));
    LEY_TRY(parse_method(adapt));
    LEY_TRY(parse_learns(adapt));
    LEY_TRY(language_forms(&adapt->forms, o->keys, o->outputs));
    LEY_TRY(o->type ? session_type(&type, o->type, false) : LEY_OK);
    if (o->rank < 1 || o->rank > 4096 || o->alpha < 0 || o->transfer_tokens < 0 ||
        o->scaler_rate < 0) {
        return ley_fail(LEY_E_ARGUMENT, "--rank must be 1..4096, --alpha, --scaler-lr and "
                                        "--transfer-tokens 0 or more");
    }
    if (o->cross_entropy < 0 || o->divergence < 0 || o->hidden < 0 || o->temperature <= 0 ||
        (o->cross_entropy == 0 && o->divergence == 0)) {
        return ley_fail(LEY_E_ARGUMENT,
                        "--ce, --kl and --hidden must be 0 or more, --ce and --kl not both 0, "
                        "--temperature above 0");
    }
    if (o->echo <= 0 || (o->echo != 1 && (o->divergence == 0 || !adapt->has[DISTIL]))) {
        return ley_fail(LEY_E_ARGUMENT,
                        "--echo must be above 0, and needs --method distil with --kl");
    }
    if (strcmp(o->language.hw.name, "digital") == 0) {
        return ley_fail(LEY_E_ARGUMENT, "--hw digital: there is nothing to adapt to");
    }
    return LEY_OK;
}

// ---- the net

// Highest rates that have worked. Layer by layer larger ones do than end to end.
static const double usual_rate[N_STAGES][ALL + 1] = {
    [TRANSFER] = {[SCALERS] = 5e-2, [LORA] = 6e-3, [MATRICES] = 2e-3, [ALL] = 2e-3},
    [DISTIL] = {[SCALERS] = 1e-2, [LORA] = 1e-3, [MATRICES] = 1e-3, [ALL] = 1e-3},
};

static double rate_of(const struct adapt *adapt, enum adapt_stage stage) {
    double rate = adapt->options->training.rate;
    return rate > 0 ? rate : usual_rate[stage][adapt->learns];
}

static enum ley_status open_start(struct adapt *adapt) {
    const struct adapt_options *o = adapt->options;
    const struct ley_weight_source base = ley_model_file_source(adapt->language.file);
    if (!o->language.adapter) {
        return LEY_OK;
    }
    LEY_TRY(ley_adapter_open(&adapt->adapter, o->language.adapter,
                             ley_model_file_config(adapt->language.file), &base));
    LEY_TRY(ley_model_file_open(&adapt->start, o->language.model));
    return ley_model_file_apply(adapt->start, o->language.adapter);
}

static enum ley_status choose_lora(struct adapt *adapt) {
    const struct adapt_options *o = adapt->options;
    const struct ley_model_config *config = ley_model_file_config(adapt->language.file);
    if (adapt->learns != LORA) {
        return LEY_OK;
    }
    adapt->lora = (struct ley_lora_spec){.rank = o->rank,
                                         .alpha = o->alpha > 0 ? o->alpha : 2.0 * o->rank,
                                         .seed = (uint64_t)o->training.seed};
    return ley_lora_weights(&adapt->lora.weights, o->matrices, config);
}

// Scalers and changes are extra tensors; neither decays.
static enum ley_status create_net(struct adapt *adapt) {
    const struct ley_model_config *config = ley_model_file_config(adapt->language.file);
    const struct ley_weight_source base = ley_model_file_source(adapt->language.file);
    enum ley_nn_dtype dtype;
    LEY_TRY(choose_lora(adapt));
    LEY_TRY(language_dtype(&dtype, adapt->options->language.dtype));
    int n_scalers = config->n_layers * LEY_SCALER_TENSORS;
    int n = n_scalers + (adapt->lora.rank ? ley_lora_tensor_count(config, &adapt->lora) : 0);
    struct ley_parameter *extra = ley_alloc((size_t)n, sizeof *extra);
    if (!extra) {
        return ley_fail_memory("tensors", (size_t)n, sizeof *extra);
    }
    ley_scaler_parameters(extra, config);
    for (int i = 0; i < n_scalers; i++) {
        extra[i].decays = false;
        extra[i].is_relative = i % 2 == 0; // slopes and offsets alternate
    }
    if (adapt->lora.rank) {
        ley_lora_tensors(extra + n_scalers, config, &adapt->lora);
    }
    enum ley_status status = ley_net_create(&adapt->net, config, &base, dtype, extra, n);
    ley_free(extra);
    return status;
}

static bool is_matrix_of_layer(const struct ley_model_config *config, enum ley_weight weight) {
    const struct ley_weight_info info = ley_weight_info(config, weight);
    return info.is_per_layer && info.is_matrix;
}

// What learns in a stage: scalers and low-rank changes always, of weights what --train says; in a
// transfer only what attention is made of.
static void choose_tensors(struct adapt *adapt, bool is_transfer) {
    const struct ley_model_config *config = ley_model_file_config(adapt->language.file);
    struct ley_parameters *p = ley_net_parameters(adapt->net);
    for (int t = 0; t < p->n_tensors; t++) {
        struct ley_parameter *tensor = &p->tensor[t];
        bool is_attention =
            tensor->weight == LEY_N_WEIGHTS
                ? strstr(tensor->name, ".FFN_") == NULL
                : tensor->weight >= LEY_WEIGHT_ATTN_NORM && tensor->weight < LEY_WEIGHT_FFN_NORM;
        bool is_learned = tensor->weight == LEY_N_WEIGHTS || adapt->learns == ALL ||
                          (adapt->learns == MATRICES && is_matrix_of_layer(config, tensor->weight));
        tensor->trains = is_learned && tensor->weight != LEY_WEIGHT_ROPE_FACTORS &&
                         (is_attention || !is_transfer);
    }
}

// M28: slopes step by shares of themselves, offsets, which lie in ranges of converters, by a
// quarter.
static void set_scaler_rates(struct adapt *adapt, enum adapt_stage stage) {
    struct ley_parameters *p = ley_net_parameters(adapt->net);
    double rate = adapt->options->scaler_rate;
    rate = rate > 0 ? rate : usual_rate[stage][SCALERS];
    for (int t = 0; t < p->n_tensors; t++) {
        struct ley_parameter *tensor = &p->tensor[t];
        if (strncmp(tensor->name, "SCALER_", 7) == 0) {
            tensor->rate = rate / rate_of(adapt, stage) * (tensor->is_relative ? 1 : 0.25);
        }
    }
}

// ---- learning

// A later stage's checkpoint holds all that the earlier ones learned.
static bool is_over(const struct adapt *adapt, enum adapt_stage stage) {
    return stage == TRANSFER && adapt->options->training.resume && adapt->has[DISTIL] &&
           training_has_checkpoint(&adapt->training, stage_names[DISTIL]);
}

// With both stages a quarter of all tokens is for the transfer.
static int64_t tokens_of(const struct adapt *adapt, enum adapt_stage stage) {
    int64_t all = adapt->options->training.tokens, transfer = adapt->options->transfer_tokens;
    if (!adapt->has[TRANSFER] || !adapt->has[DISTIL]) {
        return all;
    }
    transfer = transfer > 0 ? transfer : all / 4;
    transfer = transfer < all ? transfer : all - 1;
    return stage == TRANSFER ? transfer : all - transfer;
}

static enum ley_status learn(struct adapt *adapt) {
    const struct adapt_options *o = adapt->options;
    const struct ley_model *teacher = adapt_teacher(adapt)->model;
    struct ley_transfer_objective transfer = {adapt->net, teacher};
    struct ley_net_objective distil = {
        .net = adapt->net,
        .weights = {.cross_entropy = o->cross_entropy,
                    .divergence = o->divergence,
                    .temperature = o->temperature},
        .hidden_weight = o->hidden,
        .teacher = o->divergence > 0 || o->hidden > 0 ? teacher : NULL,
        .echo = o->echo != 1 ? &adapt->echo : NULL,
    };
    const struct ley_objective objectives[N_STAGES] = {
        [TRANSFER] = ley_transfer_objective(&transfer), [DISTIL] = ley_net_objective(&distil)};
    enum ley_status status = LEY_OK;
    for (int i = TRANSFER; status == LEY_OK && i < N_STAGES; i++) {
        if (adapt->has[i] && !is_over(adapt, (enum adapt_stage)i)) {
            choose_tensors(adapt, i == TRANSFER);
            set_scaler_rates(adapt, (enum adapt_stage)i);
            status = training_run(&adapt->training, adapt->net, &objectives[i], stage_names[i],
                                  tokens_of(adapt, (enum adapt_stage)i),
                                  rate_of(adapt, (enum adapt_stage)i));
        }
    }
    ley_net_objective_destroy(&distil);
    return status;
}

// ---- what was learned

// How the scalers came about.
static const char *origin_of(const struct adapt *adapt) {
    return adapt->has[TRANSFER] || adapt->has[DISTIL] ? "adapted" : "matched";
}

static enum ley_status save_model(struct adapt *adapt, const char *hardware) {
    const struct adapt_options *o = adapt->options;
    const struct ley_scaler_set *like = &adapt->language.scalers;
    struct ley_scaler_set set;
    LEY_TRY(ley_scaler_set_create(&set, like->n_layers, &like->shape));
    ley_net_scalers(&set, adapt->net);
    const struct ley_model_update update = {.weights = ley_net_weights(adapt->net),
                                            .scalers = &set,
                                            .hardware = {hardware, strlen(hardware)},
                                            .origin = origin_of(adapt)};
    ley_model_file_update(adapt->language.file, &update);
    enum ley_status status = training_write_model(o->out, adapt->language.file,
                                                  adapt->language.file, o->type ? o->type : "bf16");
    ley_scaler_set_destroy(&set);
    return status;
}

static enum ley_status save(struct adapt *adapt) {
    const struct adapt_options *o = adapt->options;
    const struct ley_block_type *type = NULL;
    char *hardware;
    bool is_whole = o->merge || adapt->learns >= MATRICES;
    LEY_TRY(session_type(&type, o->type ? o->type : "f16", false));
    LEY_TRY(language_describe(&hardware, &adapt->language.hardware));
    const struct ley_adapter_facts facts = {hardware, origin_of(adapt), type};
    enum ley_status status =
        is_whole ? save_model(adapt, hardware) : ley_adapter_save(o->out, adapt->net, &facts);
    ley_free(hardware);
    if (status == LEY_OK && !is_whole) {
        printf("written    %s: an adapter for %s\n", o->out, o->language.model);
    }
    return status;
}

static enum ley_status open_all(struct adapt *adapt) {
    const struct adapt_options *o = adapt->options;
    struct language_options base = o->language; // the teacher has no adapter
    base.adapter = NULL;
    LEY_TRY(language_hardware(&adapt->language.hardware, &o->language));
    LEY_TRY(language_load(&adapt->language, &base));
    LEY_TRY(open_start(adapt));
    LEY_TRY(adapt_open_teacher(adapt));
    LEY_TRY(training_open_data(&adapt->training, adapt_teacher(adapt), adapt->language.file));
    return o->echo == 1
               ? LEY_OK
               : ley_echo_create(&adapt->echo, &adapt->training.dataset,
                                 ley_model_config(adapt->language.model)->n_vocab, o->echo);
}

static enum ley_status adapt_model(struct adapt *adapt) {
    const struct adapt_options *o = adapt->options;
    LEY_TRY(check(adapt));
    adapt->training = (struct training){.options = &o->training,
                                        .command = "adapt",
                                        .out = o->out,
                                        .invocation = &o->invocation,
                                        .language = &o->language};
    LEY_TRY(training_begin(&adapt->training, stage_names, N_STAGES));
    LEY_TRY(open_all(adapt));
    LEY_TRY(create_net(adapt));
    LEY_TRY(adapt_start(adapt));
    LEY_TRY(learn(adapt));
    LEY_TRY(save(adapt));
    training_clean(&adapt->training, stage_names, N_STAGES);
    return LEY_OK;
}

static void release(struct adapt *adapt) {
    training_close(&adapt->training);
    ley_echo_destroy(&adapt->echo);
    ley_net_destroy(adapt->net);
    ley_adapter_close(adapt->adapter);
    ley_model_file_close(adapt->start);
    language_close(&adapt->teacher);
    language_close(&adapt->language);
}

static int run(const struct adapt_options *o) {
    struct adapt adapt = {.options = o};
    double begin_s = clock_s();
    session_catch_interrupts();
    enum ley_status status = adapt_model(&adapt);
    int result = status == LEY_OK ? EXIT_OK : session_fail("adapt", status);
    if (status == LEY_OK) {
        training_print_end(begin_s);
    }
    release(&adapt);
    return result;
}

// Low-rank changes of attention by default: a small file, and the teacher's weights stay.
int cmd_adapt(int argc, char **argv) {
    struct adapt_options o = {.invocation = {argc, argv},
                              .language = LANGUAGE_DEFAULTS,
                              .training = TRAINING_DEFAULTS,
                              .method = "transfer,distil",
                              .learns = "lora",
                              .matrices = "attn",
                              .rank = 16,
                              .divergence = 1,
                              .temperature = 1,
                              .echo = 1,
                              .keys = "centred",
                              .outputs = "plain"};
    struct language_options *l = &o.language;
    const struct option_row rows[] = {
        LANGUAGE_ROWS(*l),
        {"out", 'o', OPTION_TEXT, &o.out, "FILE", "the adapter, or model, to write"},
        {"method", 0, OPTION_TEXT, &o.method, "LIST", "of the methods below (transfer,distil)"},
        {"train", 0, OPTION_TEXT, &o.learns, "WHAT",
         "scalers, lora, matrices (of layers) or all (lora)"},
        {"rank", 'r', OPTION_INT, &o.rank, "R", "of low-rank changes (16)"},
        {"alpha", 0, OPTION_REAL, &o.alpha, "X", "their scale times the rank (2 R)"},
        {"lora", 0, OPTION_TEXT, &o.matrices, "LIST",
         "q,k,v,o,gate,up,down, attn, ffn, all (attn)"},
        {"transfer-tokens", 0, OPTION_INT, &o.transfer_tokens, "N", "of --tokens (a quarter)"},
        {"kl", 0, OPTION_REAL, &o.divergence, "X", "distil: weight of the teacher (1)"},
        {"ce", 0, OPTION_REAL, &o.cross_entropy, "X", "distil: weight of the text (0)"},
        {"temperature", 0, OPTION_REAL, &o.temperature, "X", "distil: of both distributions (1)"},
        {"hidden", 0, OPTION_REAL, &o.hidden, "X",
         "distil: weight of the teacher's hidden states, layer by layer (0)"},
        {"echo", 0, OPTION_REAL, &o.echo, "X",
         "distil: how often the teacher counts where a rare token is said again (1)"},
        {"teacher", 0, OPTION_TEXT, &o.teacher, "MODEL",
         "whom it learns from: another model of the same vocabulary (its own digital self)"},
        {"scaler-lr", 0, OPTION_REAL, &o.scaler_rate, "X",
         "highest rate of scalers: share of a slope (0.05, 0.01)"},
        {"keys", 0, OPTION_TEXT, &o.keys, "FORM",
         "plain, or centred: without their mean (centred)"},
        {"outputs", 0, OPTION_TEXT, &o.outputs, "FORM", "plain, or normalised by scores (plain)"},
        {"merge", 0, OPTION_FLAG, &o.merge, NULL, "write a whole model"},
        {"type", 0, OPTION_TEXT, &o.type, "TYPE", "f32, f16, bf16 (adapter f16, model bf16)"},
        TRAINING_ROWS(o.training),
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    return result == 0 ? run(&o) : result == 1 ? EXIT_OK : result;
}
