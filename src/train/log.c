// log.c - lines that begin with the number of their step, so that a log can be cut at a step
#include "train/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"

struct ley_log {
    FILE *file;
    char path[1024], stage[32];
};

// Whether a line is of a step of the stage that will be done again; the validation before the first
// step has number 0.
static bool is_later(const char *line, const char *stage, int64_t step) {
    static const char start[] = "{\"step\":";
    char named[64];
    snprintf(named, sizeof named, "\"stage\":\"%s\"", stage);
    bool is_line = strncmp(line, start, sizeof start - 1) == 0;
    int64_t done = is_line ? strtoll(line + sizeof start - 1, NULL, 10) : 0;
    return !is_line || (strstr(line, named) && (done > step || step == 0));
}

// Bytes of the lines that stay; a line that is cut in two ends them too.
static off_t kept_bytes(FILE *file, const char *stage, int64_t step) {
    off_t kept = 0;
    char line[1024];
    while (fgets(line, sizeof line, file)) {
        size_t n = strlen(line);
        bool is_start = kept == 0 && strncmp(line, LEY_LOG_START, sizeof LEY_LOG_START - 1) == 0;
        // Only the first line can be longer than the others.
        while (is_start && n > 0 && line[n - 1] != '\n' && fgets(line, sizeof line, file)) {
            n = strlen(line);
        }
        if (n == 0 || line[n - 1] != '\n' || (!is_start && is_later(line, stage, step))) {
            break;
        }
        kept = ftello(file);
    }
    return kept;
}

// "r+" of a file that is not there fails; the log then starts empty.
static FILE *open_at(const char *path, const char *stage, int64_t step) {
    FILE *file = fopen(path, "r+");
    if (!file) {
        return fopen(path, "w");
    }
    off_t kept = kept_bytes(file, stage, step);
    if (fseeko(file, kept, SEEK_SET) != 0 || ftruncate(fileno(file), kept) != 0) {
        fclose(file);
        return NULL;
    }
    return file;
}

enum ley_status ley_log_open(struct ley_log **log, const char *path, const char *stage,
                             int64_t step, const char *start) {
    *log = ley_alloc(1, sizeof **log);
    if (!*log) {
        return ley_fail_memory("a log", 1, sizeof **log);
    }
    snprintf((*log)->path, sizeof(*log)->path, "%s", path);
    snprintf((*log)->stage, sizeof(*log)->stage, "%s", stage);
    (*log)->file = open_at(path, stage, step);
    if (!(*log)->file) {
        enum ley_status status =
            ley_fail(LEY_E_IO, "cannot write the log %s: %s", path, strerror(errno));
        ley_free(*log);
        *log = NULL;
        return status;
    }
    if (start && ftello((*log)->file) == 0) {
        fprintf((*log)->file, "%s\n", start);
        fflush((*log)->file);
    }
    return LEY_OK;
}

enum ley_status ley_log_close(struct ley_log *log) {
    if (!log) {
        return LEY_OK;
    }
    bool is_bad = ferror(log->file) != 0;
    is_bad = fclose(log->file) != 0 || is_bad;
    enum ley_status status =
        is_bad ? ley_fail(LEY_E_IO, "cannot write the log %s", log->path) : LEY_OK;
    ley_free(log);
    return status;
}

// Flushed line by line: a run that is killed has told all it did.
void ley_log_write(struct ley_log *log, const struct ley_run_report *r) {
    fprintf(log->file, "{\"step\":%lld,\"stage\":\"%s\",\"kind\":\"%s\",\"tokens\":%lld",
            (long long)r->step, log->stage, r->is_validation ? "validation" : "train",
            (long long)r->n_tokens);
    fprintf(log->file, ",\"loss\":%.9g", r->cost);
    if (r->nll != 0) {
        fprintf(log->file, ",\"nll\":%.9g", r->nll);
    }
    if (r->divergence != 0) {
        fprintf(log->file, ",\"divergence\":%.9g", r->divergence);
    }
    if (r->hidden != 0) {
        fprintf(log->file, ",\"hidden\":%.9g", r->hidden);
    }
    if (!r->is_validation) {
        fprintf(log->file, ",\"norm\":%.9g,\"rate\":%.9g", r->norm, r->rate);
    }
    fprintf(log->file, ",\"seconds\":%.3f}\n", r->seconds);
    fflush(log->file);
}
