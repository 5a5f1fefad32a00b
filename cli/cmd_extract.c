// cmd_extract.c - leyden extract: what the matrices of a trained model have learned, as an adapter
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "session.h"

static const struct command command = {
    "extract", "extract TRAINED -m MODEL -o OUT.gguf [--rank R] [--merge] [--type TYPE]",
    "Writes what TRAINED (of leyden adapt --train matrices or all, or of leyden train) has become\n"
    "more than MODEL, of which it was made: an adapter with the largest singular values of the\n"
    "change of every matrix of its layers, and with its scalers and hardware.",
    "\n"
    "What embeddings and norms have learned is left behind. With --merge OUT is a whole model:\n"
    "these matrices as they are, all else of MODEL. Of what leyden train made of a text, that is\n"
    "a better teacher (leyden adapt --teacher) than the whole (docs/ADAPTATION.md).\n"};

struct options {
    const char *trained, *model, *out, *type;
    int rank;
    bool merge;
};

// Half a percent and less is what rounding to bf16 and to blocks of the model's own leaves.
static const double rounding = 5e-3;

static enum ley_status write_adapter(const struct options *o, const struct ley_model_file *model,
                                     const struct ley_model_file *trained) {
    const struct ley_block_type *type = NULL;
    struct ley_extraction done;
    LEY_TRY(session_type(&type, o->type ? o->type : "f16", true));
    LEY_TRY(ley_adapter_extract(&done, o->out, model, trained, o->rank, type,
                                session_progress("extract")));
    printf("written %s: %d matrices changed, rank %d keeps %.2f %% of the squares of the changes\n",
           o->out, done.n_changes, o->rank, 100 * done.kept);
    if (done.left_behind > rounding) {
        printf("left behind: embeddings and norms, changed by %.2g %% of their length\n",
               100 * done.left_behind);
    }
    return LEY_OK;
}

// Scalers and hardware are those of the trained model, where it has any.
static enum ley_status write_model(const struct options *o, struct ley_model_file *model,
                                   const struct ley_model_file *trained) {
    const struct ley_block_type *type = NULL;
    struct ley_scaler_set scalers = {0};
    struct ley_conversion done;
    struct ley_vocab vocab;
    struct ley_graft graft;
    bool has_scalers;
    LEY_TRY(session_type(&type, o->type ? o->type : "bf16", true));
    LEY_TRY(ley_model_file_vocab(model, &vocab));
    LEY_TRY(ley_graft_set(&graft, model, trained));
    LEY_TRY(ley_model_file_scalers(trained, &scalers, &has_scalers));
    const struct ley_model_update update = {.weights = ley_graft_source(&graft),
                                            .scalers = has_scalers ? &scalers : NULL,
                                            .hardware = ley_model_file_hardware(trained),
                                            .origin = ley_model_file_scaler_origin(trained)};
    ley_model_file_update(model, &update);
    enum ley_status status = ley_model_convert_gguf(&done, o->out, model, type, &vocab);
    ley_scaler_set_destroy(&scalers);
    LEY_TRY(status);
    printf("written %s: %d tensors, %.1f MB\n", o->out, done.n_tensors, (double)done.n_bytes / 1e6);
    return LEY_OK;
}

static enum ley_status extract(const struct options *o) {
    struct ley_model_file *model = NULL, *trained = NULL;
    enum ley_status status = ley_model_file_open(&model, o->model);
    status = status == LEY_OK ? ley_model_file_open(&trained, o->trained) : status;
    if (status == LEY_OK) {
        status = o->merge ? write_model(o, model, trained) : write_adapter(o, model, trained);
    }
    ley_model_file_close(model);
    ley_model_file_close(trained);
    return status;
}

int cmd_extract(int argc, char **argv) {
    struct options o = {.rank = 64};
    struct text_list models = {0};
    const struct option_row rows[] = {
        {"model", 'm', OPTION_TEXT, &o.model, "MODEL", "what the adapter will be for"},
        {"out", 'o', OPTION_TEXT, &o.out, "FILE", "the adapter, or model, to write"},
        {"rank", 'r', OPTION_INT, &o.rank, "R", "singular values to keep (64)"},
        {"merge", 0, OPTION_FLAG, &o.merge, NULL, "write a whole model"},
        {"type", 0, OPTION_TEXT, &o.type, "TYPE",
         "f32, f16, bf16 or q8_0 (adapter f16, model bf16)"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], &models);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    if (models.n != 1 || !o.model || !o.out || !*o.out || o.rank < 1 || o.rank > 4096) {
        fprintf(stderr, "leyden extract: give TRAINED, -m MODEL, -o OUT.gguf and a --rank of 1 to "
                        "4096 (leyden extract --help)\n");
        return EXIT_USAGE;
    }
    o.trained = models.text[0];
    session_catch_interrupts();
    enum ley_status status = extract(&o);
    return status == LEY_OK ? EXIT_OK : session_fail("extract", status);
}
