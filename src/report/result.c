// result.c - results told apart by the members that only they have
//
// Keys rather than names: results of older versions say nothing of the command that made them.
#include "report/result.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"

enum { MAX_LOG_LINES = 1 << 20 };

// All of `keys` are there; the first row that fits decides.
static const struct {
    const char *command, *keys[3];
} kinds[LEY_N_RESULT_KINDS] = {
    {"leyden cell --json", {"codes", "leakage_of_top_code", "hardware"}},
    {"leyden cost --json", {"energy_per_head_j", "baselines", "breakdown"}},
    {"leyden bench --json", {"peak_int8_per_s", "results", "isa"}},
    {"leyden eval --json", {"runs", "is_complete", "model"}},
    {"leyden perplexity --json", {"perplexity", "predictions", "hw"}},
    {"leyden run --json", {"text", "generated_tokens", "hw"}},
    {"leyden run --trace", {"trace", "hardware", "hw"}},
    {"leyden attend", {"events", "shape", "hardware"}},
    {"leyden train or adapt, --log", {"step", "kind", "loss"}},
};

static bool has_keys(const struct cJSON *json, enum ley_result_kind kind) {
    for (int i = 0; i < 3; i++) {
        if (!cJSON_GetObjectItemCaseSensitive(json, kinds[kind].keys[i])) {
            return false;
        }
    }
    return true;
}

// The first line of a log, which says what the run is.
static bool is_start(const struct cJSON *line) {
    return strcmp(ley_json_text(line, "kind", ""), "start") == 0;
}

// Lines of a log; the last may be cut off, as of a run that was killed.
static enum ley_status read_log(struct ley_result *result, const char *text) {
    int n_lines = 0;
    result->json = cJSON_CreateArray();
    while (result->json && *text) {
        size_t n = strcspn(text, "\n");
        struct cJSON *line = cJSON_ParseWithLength(text, n);
        bool is_last = text[n] == '\0';
        if (is_start(line) && cJSON_GetArraySize(result->json) == 0) {
            cJSON_AddItemToArray(result->json, line);
        } else if (line && has_keys(line, LEY_RESULT_LOG) && n_lines < MAX_LOG_LINES) {
            cJSON_AddItemToArray(result->json, line);
            n_lines++;
        } else {
            cJSON_Delete(line);
            if (n > 0 && !is_last) {
                return ley_fail(LEY_E_FORMAT,
                                "%s is no result of a Leyden command (--json) and no training log "
                                "(line %d)",
                                result->path, n_lines + 1);
            }
        }
        text += n + (is_last ? 0 : 1);
    }
    if (n_lines == 0 && cJSON_GetArraySize(result->json) > 0) {
        return ley_fail(LEY_E_FORMAT, "%s is the log of a run that has not made a step",
                        result->path);
    }
    return n_lines > 0
               ? LEY_OK
               : ley_fail(LEY_E_FORMAT, "%s is no JSON result of a Leyden command", result->path);
}

static enum ley_status find_kind(struct ley_result *result) {
    for (int kind = 0; kind < LEY_RESULT_LOG; kind++) {
        if (has_keys(result->json, (enum ley_result_kind)kind)) {
            result->kind = (enum ley_result_kind)kind;
            return LEY_OK;
        }
    }
    return ley_fail(LEY_E_FORMAT,
                    "%s is JSON, but not of a command that a report knows: cell, cost, bench, "
                    "perplexity, eval, run, attend (--json), train, adapt (their logs)",
                    result->path);
}

// A log is not one JSON text but several: what parses as a whole and is no line of a log is a
// result.
enum ley_status ley_result_read(struct ley_result *result, const char *path, const char *text,
                                size_t n) {
    *result =
        (struct ley_result){.kind = LEY_RESULT_LOG, .n_bytes = n, .hash = ley_hash(0, text, n)};
    snprintf(result->path, sizeof result->path, "%s", path);
    struct cJSON *json = cJSON_ParseWithOpts(text, NULL, true);
    enum ley_status status;
    if (cJSON_IsObject(json) && !has_keys(json, LEY_RESULT_LOG) && !is_start(json)) {
        result->json = json;
        status = find_kind(result);
    } else {
        cJSON_Delete(json);
        status = read_log(result, text);
    }
    if (status != LEY_OK) {
        ley_result_destroy(result);
    }
    return status;
}

void ley_result_destroy(struct ley_result *result) {
    cJSON_Delete(result->json);
    result->json = NULL;
}

const char *ley_result_kind_text(enum ley_result_kind kind) {
    return kinds[kind].command;
}

const struct cJSON *ley_result_origin(const struct ley_result *result) {
    return result->kind == LEY_RESULT_LOG ? cJSON_GetArrayItem(result->json, 0) : result->json;
}

// The ledger of attend says less: two runs that give the same must be the same bytes.
const char *ley_result_command(const struct ley_result *result) {
    const char *command = ley_json_text(ley_result_origin(result), "command", "");
    return strncmp(command, "leyden ", 7) == 0 ? command : kinds[result->kind].command;
}

double ley_json_number(const struct cJSON *json, const char *key) {
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

const char *ley_json_text(const struct cJSON *json, const char *key, const char *fallback) {
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsString(item) ? item->valuestring : fallback;
}

const struct cJSON *ley_json_object(const struct cJSON *json, const char *key) {
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsObject(item) ? item : NULL;
}

const struct cJSON *ley_json_list(const struct cJSON *json, const char *key) {
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsArray(item) ? item : NULL;
}
