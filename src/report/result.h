// result.h - what a command of Leyden printed, read back: which command, and its numbers.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

enum ley_result_kind {     // ORDER kinds in result.c
    LEY_RESULT_CELL,       // leyden cell --json
    LEY_RESULT_COST,       // leyden cost --json
    LEY_RESULT_BENCH,      // leyden bench --json
    LEY_RESULT_EVAL,       // leyden eval --json, -o
    LEY_RESULT_PERPLEXITY, // leyden perplexity --json
    LEY_RESULT_RUN,        // leyden run --json
    LEY_RESULT_TRACE,      // leyden run --trace DIR: DIR/trace.json
    LEY_RESULT_ATTEND,     // leyden attend: ledger.json
    LEY_RESULT_LOG,        // the log of a training run, one JSON object a line
    LEY_N_RESULT_KINDS,
};

struct ley_result {
    enum ley_result_kind kind;
    char path[512];     // as it was named
    struct cJSON *json; // an object; of a log: an array of its lines
    uint64_t hash;      // of the bytes (ley_hash)
    size_t n_bytes;
};

// Reads one result; text[n] ends in a zero byte. LEY_E_FORMAT: no JSON, or of no known command.
LEY_MUST_CHECK enum ley_status ley_result_read(struct ley_result *result, const char *path,
                                               const char *text, size_t n);

// {0} is accepted.
void ley_result_destroy(struct ley_result *result);

// "leyden cell --json": where results of a kind come from.
const char *ley_result_kind_text(enum ley_result_kind kind);

// What a result says of itself: the object, or the first line of a log.
const struct cJSON *ley_result_origin(const struct ley_result *result);

// The command line that made it, or what is known of it.
const char *ley_result_command(const struct ley_result *result);

// Member `key` of an object as a number; NAN when it is absent or none. `json` may be NULL.
double ley_json_number(const struct cJSON *json, const char *key);

// Member `key` as a text; `fallback` when it is absent or none.
const char *ley_json_text(const struct cJSON *json, const char *key, const char *fallback);

// Member `key` when it is an object; else NULL.
const struct cJSON *ley_json_object(const struct cJSON *json, const char *key);

// Member `key` when it is a list; else NULL.
const struct cJSON *ley_json_list(const struct cJSON *json, const char *key);

#ifdef __cplusplus
}
#endif
