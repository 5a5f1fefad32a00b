// session.h - what all commands share: exit codes, hardware options, progress, interruption.
#pragma once
#include "leyden.h"
#include "options.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

struct cJSON;

// What the user typed: argv[0] is the name of the command.
struct invocation {
    int argc;
    char **argv;
};

// Adds to a result who made it and how: "leyden", the version, and "command", a line that a shell
// takes as it is.
void session_add_origin(struct cJSON *root, const struct invocation *invocation);

// Prints a result on stdout and deletes it; NULL parts of cJSON come through to the one check here.
enum ley_status session_print_json(struct cJSON *root);

// Options that choose a hardware: name or file, overrides.
struct hardware_options {
    // a preset, a path, or for models "digital"
    const char *name;
    // KEY=VALUE in the order given
    struct text_list set;
    const char *isa; // NULL: the best
};

// Rows to put into a command's option table for a struct hardware_options called `hw`.
#define HARDWARE_ROWS(hw)                                                                          \
    {                                                                                              \
        "hw",          0,                                                                          \
        OPTION_TEXT,   &(hw).name,                                                                 \
        "PRESET|FILE", "hardware: a preset or a YAML file (paper)"},                               \
        {"set", 0, OPTION_REPEAT, &(hw).set, "KEY=VALUE", "override a parameter (leyden params)"}, \
    {                                                                                              \
        "isa", 0, OPTION_TEXT, &(hw).isa, "NAME",                                                  \
            "highest instruction set: scalar, avx2, avx512, amx (LEYDEN_ISA)"                      \
    }

// Loads the hardware and applies the overrides in their order.
enum ley_status session_hardware(struct ley_hardware *hardware,
                                 const struct hardware_options *options);

// The number type that --type names: f32, f16, bf16 or, where blocks have a place, q8_0.
enum ley_status session_type(const struct ley_block_type **type, const char *name, bool has_blocks);

// Prints "leyden COMMAND: detail" on stderr and returns the exit code of the status.
int session_fail(const char *command, enum ley_status status);

// From now on Ctrl-C (and SIGTERM) asks running work to stop cleanly.
void session_catch_interrupts(void);

// True after Ctrl-C.
bool session_is_interrupted(void);

// Forgets a Ctrl-C that was meant for what is over now, and catches the next one.
void session_clear_interrupt(void);

// No bar; only stops the work after Ctrl-C.
struct ley_progress session_quiet_progress(void);

// A progress bar on stderr, drawn only on a terminal; stops the work after Ctrl-C.
struct ley_progress session_progress(const char *label);
