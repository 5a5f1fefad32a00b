// session.c - hardware options, errors, progress, Ctrl-C
#include "session.h"

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Set by the signal handler alone; read between pieces of work.
static volatile sig_atomic_t is_interrupted;

enum ley_status session_print_json(struct cJSON *root) {
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text) {
        return ley_fail_memory("JSON text", 1, 1);
    }
    printf("%s\n", text);
    free(text);
    return LEY_OK;
}

// The last of several --set for one key wins.
enum ley_status session_hardware(struct ley_hardware *hardware,
                                 const struct hardware_options *options) {
    enum ley_isa isa;
    if (options->isa && !ley_isa_find(&isa, options->isa)) {
        return ley_fail(LEY_E_ARGUMENT, "unknown --isa '%s'; known are scalar, avx2, avx512, amx",
                        options->isa);
    }
    if (options->isa && setenv("LEYDEN_ISA", options->isa, 1) != 0) {
        return ley_fail(LEY_E_MEMORY, "out of memory");
    }
    LEY_TRY(ley_hardware_load(hardware, options->name));
    for (int i = 0; i < options->set.n; i++) {
        LEY_TRY(ley_params_set_pair(ley_hardware_params(), hardware, options->set.text[i]));
    }
    return LEY_OK;
}

enum ley_status session_type(const struct ley_block_type **type, const char *name,
                             bool has_blocks) {
    static const struct {
        const char *name;
        uint32_t id;
    } known[] = {{"f32", LEY_BLOCK_F32},
                 {"f16", LEY_BLOCK_F16},
                 {"bf16", LEY_BLOCK_BF16},
                 {"q8_0", LEY_BLOCK_Q8_0}};
    int n = has_blocks ? 4 : 3;
    for (int i = 0; i < n; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *type = ley_block_type(known[i].id);
            return LEY_OK;
        }
    }
    return ley_fail(LEY_E_ARGUMENT, "--type is '%s', must be f32, f16%s", name,
                    has_blocks ? ", bf16 or q8_0" : " or bf16 here");
}

// A word that means nothing special to a shell goes without quotes. A quote inside quotes ends
// them, stands escaped, and begins them again.
static void add_word(struct ley_markup *line, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./:,@%";
    if (*word && strspn(word, plain) == strlen(word)) {
        ley_markup_format(line, " %s", word);
        return;
    }
    ley_markup_format(line, " '");
    for (; *word; word++) {
        ley_markup_format(line, *word == '\'' ? "'\\''" : "%c", *word);
    }
    ley_markup_format(line, "'");
}

void session_add_origin(struct cJSON *root, const struct invocation *invocation) {
    struct ley_markup line = {0};
    ley_markup_format(&line, "leyden");
    for (int i = 0; i < invocation->argc; i++) {
        add_word(&line, invocation->argv[i]);
    }
    cJSON_AddStringToObject(root, "leyden", LEYDEN_VERSION);
    cJSON_AddStringToObject(root, "command", line.n ? line.text : "leyden");
    ley_markup_destroy(&line);
}

// What the user can mend is 2; what the machine lacks, or what came to nothing, is 1.
int session_fail(const char *command, enum ley_status status) {
    fprintf(stderr, "leyden %s: %s\n", command, ley_error_text());
    switch (status) {
    case LEY_E_MEMORY:
    case LEY_E_MISSING:
    case LEY_E_RESULT:
        return EXIT_FAILED;
    case LEY_E_INTERRUPTED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_USAGE;
    }
}

// A second Ctrl-C ends the program the usual way (SA_RESETHAND).
static void on_signal(int number) {
    (void)number;
    is_interrupted = 1;
}

// Commands that run long call this; the others end at once, as usual.
void session_catch_interrupts(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

// Also the place where work notices Ctrl-C.
static bool report(void *context, int64_t n_done, int64_t n_total) {
    // Only on a terminal: a log would fill with half-drawn bars.
    if (isatty(STDERR_FILENO) && n_total > 1) {
        int width = (int)(30 * n_done / n_total);
        fprintf(stderr, "\r%s [%.*s%*s] %lld/%lld", (const char *)context, width,
                "##############################", 30 - width, "", (long long)n_done,
                (long long)n_total);
        if (n_done == n_total) {
            fputc('\n', stderr);
        }
    }
    return !is_interrupted;
}

// For loops of a command itself, between two pieces of work.
bool session_is_interrupted(void) {
    return is_interrupted;
}

void session_clear_interrupt(void) {
    is_interrupted = 0;
    session_catch_interrupts();
}

// For work whose own output shows how far it is.
static bool report_nothing(void *context, int64_t n_done, int64_t n_total) {
    (void)context;
    (void)n_done;
    (void)n_total;
    return !is_interrupted;
}

struct ley_progress session_quiet_progress(void) {
    return (struct ley_progress){report_nothing, NULL};
}

// The label must outlive the work: it is a literal.
struct ley_progress session_progress(const char *label) {
    return (struct ley_progress){report, (void *)(uintptr_t)label};
}
