// cmd_spice.c - leyden spice: the circuits behind the behavioural model
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "spice.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"cell", cmd_spice_cell,
     "a cell's circuit: its table, cubic, deviation from the model's table"},
    {"fit", cmd_spice_fit, "parameters of a cell's circuit, fitted to a table"},
    {"converter", cmd_spice_converter, "the converters: width against charge, counts, energy"},
    {"column", cmd_spice_column, "cells on a bit line, without wires and with them"},
    {"head", cmd_spice_head, "one query through a small head of transistors"},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out) {
    fprintf(out, "usage: leyden spice COMMAND [OPTION]...\n\n"
                 "Simulates the circuits of the chip with ngspice and compares them with the "
                 "behavioural model.\n\ncommands:\n");
    for (int i = 0; i < N_COMMANDS; i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
}

int cmd_spice(int argc, char **argv) {
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help(stdout);
        return EXIT_OK;
    }
    for (int i = 0; argc >= 2 && i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc, argv);
        }
    }
    fprintf(stderr, "leyden spice: say which circuit: cell, fit, converter, column or head "
                    "(leyden spice --help)\n");
    return EXIT_USAGE;
}
