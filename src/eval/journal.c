// journal.c - one line an item; the file's old text is kept in memory while it is open
#include "eval/journal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"

static const char START[] = "{\"run\":\"";

struct ley_journal {
    FILE *file;
    char *text; // of lines that were there before
    size_t n_text;
    char path[1024];
};

// Whole lines of the old text, all of them ours.
static enum ley_status check_lines(struct ley_journal *journal) {
    size_t kept = 0;
    for (size_t at = 0; at < journal->n_text; at = kept) {
        const char *line = journal->text + at;
        const char *end = memchr(line, '\n', journal->n_text - at);
        size_t n = end ? (size_t)(end - line) : journal->n_text - at;
        size_t n_start = n < sizeof START - 1 ? n : sizeof START - 1;
        if (memcmp(line, START, n_start) != 0 || (end && n < sizeof START)) {
            return ley_fail(LEY_E_FORMAT,
                            "%s is no journal of an evaluation; move it away, or choose another -o",
                            journal->path);
        }
        if (!end) {
            break;
        }
        kept = at + n + 1;
    }
    journal->n_text = kept;
    return LEY_OK;
}

static enum ley_status open_file(struct ley_journal *journal) {
    if (ley_file_exists(journal->path)) {
        LEY_TRY(ley_file_read(&journal->text, &journal->n_text, journal->path, (size_t)1 << 31));
        LEY_TRY(check_lines(journal));
    }
    journal->file = fopen(journal->path, journal->text ? "r+" : "w");
    if (!journal->file || fseek(journal->file, (long)journal->n_text, SEEK_SET) != 0 ||
        ftruncate(fileno(journal->file), (off_t)journal->n_text) != 0) {
        return ley_fail(LEY_E_IO, "cannot write %s: %s", journal->path, strerror(errno));
    }
    return LEY_OK;
}

enum ley_status ley_journal_open(struct ley_journal **journal, const char *path) {
    struct ley_journal *made = ley_alloc(1, sizeof *made);
    *journal = NULL;
    if (!made) {
        return ley_fail_memory("a journal", 1, sizeof *made);
    }
    snprintf(made->path, sizeof made->path, "%s", path);
    enum ley_status status = open_file(made);
    if (status != LEY_OK) {
        if (made->file) {
            fclose(made->file);
        }
        ley_free(made->text);
        ley_free(made);
        return status;
    }
    *journal = made;
    return LEY_OK;
}

enum ley_status ley_journal_flush(struct ley_journal *journal) {
    bool is_good = fflush(journal->file) == 0 && !ferror(journal->file);
    return is_good ? LEY_OK
                   : ley_fail(LEY_E_IO, "%s could not be written: disk full?", journal->path);
}

enum ley_status ley_journal_close(struct ley_journal *journal, bool is_finished) {
    if (!journal) {
        return LEY_OK;
    }
    enum ley_status status = ley_journal_flush(journal);
    fclose(journal->file);
    if (is_finished) {
        remove(journal->path);
    }
    ley_free(journal->text);
    ley_free(journal);
    return status;
}

// [log probability, tokens, greedy]
static bool read_answer(struct ley_answer *answer, const struct cJSON *json) {
    const struct cJSON *part[3];
    for (int i = 0; i < 3; i++) {
        part[i] = cJSON_GetArrayItem(json, i);
        if (!cJSON_IsNumber(part[i]) || !isfinite(part[i]->valuedouble)) {
            return false;
        }
    }
    if (part[1]->valuedouble < 0 || part[1]->valuedouble > 1e15) {
        return false;
    }
    *answer = (struct ley_answer){part[0]->valuedouble, (int64_t)part[1]->valuedouble,
                                  part[2]->valuedouble != 0};
    return true;
}

static bool read_line(struct ley_answers *answers, const struct cJSON *json, uint64_t run) {
    char name[20];
    snprintf(name, sizeof name, "%016llx", (unsigned long long)run);
    const char *of = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "run"));
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "item");
    const struct cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "answers"), *answer;
    if (!of || !cJSON_IsNumber(item) || !cJSON_IsArray(list)) {
        return false;
    }
    if (strcmp(of, name) != 0 || item->valuedouble >= (double)answers->n_items) {
        return true; // of another run, or beyond a smaller --limit
    }
    if (!(item->valuedouble >= 0)) {
        return false;
    }
    int64_t i = (int64_t)item->valuedouble, to = answers->first[i];
    if (cJSON_GetArraySize(list) != answers->first[i + 1] - to) {
        return false;
    }
    cJSON_ArrayForEach(answer, list) {
        if (!read_answer(&answers->answer[to++], answer)) {
            return false;
        }
    }
    answers->is_done[i] = true;
    return true;
}

enum ley_status ley_journal_read(struct ley_answers *answers, const struct ley_journal *journal,
                                 uint64_t run) {
    int64_t number = 0;
    for (size_t at = 0; at < journal->n_text;) {
        const char *line = journal->text + at;
        size_t n = strcspn(line, "\n");
        struct cJSON *json = cJSON_ParseWithLength(line, n);
        bool is_good = json && read_line(answers, json, run);
        cJSON_Delete(json);
        number++;
        if (!is_good) {
            return ley_fail(LEY_E_FORMAT, "%s, line %lld: no answers to an item", journal->path,
                            (long long)number);
        }
        at += n + 1;
    }
    return LEY_OK;
}

// 17 digits: the same number comes back.
void ley_journal_write(struct ley_journal *journal, uint64_t run, const struct ley_answers *answers,
                       int64_t item) {
    fprintf(journal->file, "%s%016llx\",\"item\":%lld,\"answers\":[", START,
            (unsigned long long)run, (long long)item);
    for (int64_t i = answers->first[item]; i < answers->first[item + 1]; i++) {
        const struct ley_answer *answer = &answers->answer[i];
        fprintf(journal->file, "%s[%.17g,%lld,%d]", i > answers->first[item] ? "," : "",
                answer->log_prob, (long long)answer->n_tokens, answer->is_greedy);
    }
    fprintf(journal->file, "]}\n");
}
