// fuzz_items.c - any bytes as items of a task, or as a journal of answers; the first byte says
// which
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leyden.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_items(const struct ley_task *task, const uint8_t *data, size_t n) {
    struct ley_items items;
    char *text = calloc(n + 1, 1);
    memcpy(text, data, n);
    if (ley_items_read(&items, task, "fuzz", text, n, 0) == LEY_OK) {
        for (int64_t i = 0; i < items.n; i++) { // all of it must be readable
            const struct ley_item *item = &items.item[i];
            for (int p = 0; p < item->n_pairs; p++) {
                ley_hash(0, item->text + item->pair[p].context.at, item->pair[p].context.n);
                ley_hash(0, item->text + item->pair[p].ending.at, item->pair[p].ending.n);
            }
            if (item->gold >= item->n_pairs) {
                __builtin_trap();
            }
        }
        ley_items_destroy(&items);
    }
    free(text);
}

static void read_journal(const uint8_t *data, size_t n) {
    char text[] = "{\"query\":\"q\",\"choices\":[\"a\",\"b\"],\"gold\":0}\n"
                  "{\"query\":\"q\",\"choices\":[\"a\",\"b\",\"c\"],\"gold\":0}\n";
    char path[64];
    struct ley_items items;
    struct ley_answers answers = {0};
    struct ley_journal *journal;
    snprintf(path, sizeof path, "/tmp/leyden_fuzz_%ld.part", (long)getpid());
    if (ley_file_write(path, (const char *)data, n) != LEY_OK ||
        ley_items_read(&items, ley_task_named("piqa"), "items", text, strlen(text), 0) != LEY_OK ||
        ley_answers_create(&answers, &items) != LEY_OK) {
        abort();
    }
    if (ley_journal_open(&journal, path) == LEY_OK) {
        enum ley_status status = ley_journal_read(&answers, journal, 17);
        status = ley_journal_close(journal, false);
        (void)status;
    }
    ley_answers_destroy(&answers);
    ley_items_destroy(&items);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    int n_tasks;
    const struct ley_task *tasks = ley_tasks(&n_tasks);
    if (n < 1) {
        return 0;
    }
    int which = data[0] % (n_tasks + 1);
    if (which == n_tasks) {
        read_journal(data + 1, n - 1);
    } else {
        read_items(&tasks[which], data + 1, n - 1);
    }
    return 0;
}
