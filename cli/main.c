// main.c - the command `leyden`: a table of subcommands
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "core/nearest.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"adapt", cmd_adapt, "a pretrained model onto a chip, taught by its digital self"},
    {"attend", cmd_attend,
     "run queries, keys and values through analog attention (.npy in and out)"},
    {"bench", cmd_bench, "how fast this machine simulates, and how near its peak"},
    {"calibrate", cmd_calibrate, "scalers for a model on a chip, without training"},
    {"cell", cmd_cell, "the law of the memory cell: codes, currents, residuals, leakage; plot"},
    {"chat", cmd_chat, "a conversation with a chat model"},
    {"config", cmd_config, "show, validate or compare hardware descriptions"},
    {"convert", cmd_convert, "model files between GGUF and Hugging Face, and between number types"},
    {"cost", cmd_cost, "energy, latency, area and retention, beside digital rivals"},
    {"eval", cmd_eval, "benchmark tasks, on chips beside the digital model"},
    {"extract", cmd_extract, "an adapter out of what a whole model has learned"},
    {"info", cmd_info, "what a model file holds"},
    {"params", cmd_params, "list every hardware parameter with unit, range, default, meaning"},
    {"perplexity", cmd_perplexity, "how well a model predicts a text, on a chip or digitally"},
    {"report", cmd_report, "one HTML page from the results of other commands"},
    {"run", cmd_run, "continue a prompt with a language model on the simulated chip"},
    {"spice", cmd_spice, "the circuits of the chip in ngspice, against the model"},
    {"tokenize", cmd_tokenize, "text to the tokens of a model, or tokens to text"},
    {"train", cmd_train, "a model, or a new one, learns a text, digitally or on a chip"},
    {"vocab", cmd_vocab, "learn a byte-level BPE vocabulary from a text"},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

// To stdout when asked for, to stderr as the answer to nothing.
static void print_help(FILE *out) {
    fprintf(out, "usage: leyden COMMAND [OPTION]...\n\n"
                 "Attention computed in the memory that holds the KV cache, simulated bit-true.\n\n"
                 "commands:\n");
    for (int i = 0; i < N_COMMANDS; i++) {
        fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].summary);
    }
    fprintf(out,
            "\nleyden COMMAND --help explains a command; leyden --version prints the version.\n"
            "exit codes: 0 done, 1 failed, 2 bad usage or input, 130 interrupted\n");
}

// A mistyped command gets the nearest one.
static int fail_unknown(const char *name) {
    int nearest = 0;
    for (int i = 1; i < N_COMMANDS; i++) {
        if (ley_edit_distance(commands[i].name, name) <
            ley_edit_distance(commands[nearest].name, name)) {
            nearest = i;
        }
    }
    fprintf(stderr, "leyden: unknown command '%s'; did you mean '%s'? (leyden --help lists all)\n",
            name, commands[nearest].name);
    return 2;
}

// Threads of the OpenMP runtime must sleep while they wait: on shared cores spinning costs more
// than it gains. The runtime reads this once, before main, so the program starts itself again.
static void start_passive(char **argv) {
    if (!getenv("OMP_WAIT_POLICY") && setenv("OMP_WAIT_POLICY", "passive", 1) == 0) {
        // The environment now holds the variable, so the second start does not come back here.
        execv("/proc/self/exe", argv); // where this fails, go on as it is
    }
}

// argv[1] becomes the command's argv[0].
int main(int argc, char **argv) {
    start_passive(argv);
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("leyden " LEYDEN_VERSION "\n");
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return fail_unknown(argv[1]);
}
