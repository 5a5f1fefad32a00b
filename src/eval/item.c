// item.c - lists of items: files found, decompressed, cut into lines
#include "eval/item.h"

#include <bzlib.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/memory.h"
#include "eval/item_impl.h"

static const size_t MOST_BYTES = (size_t)1 << 30; // of a file, once decompressed too

static const struct ley_task tasks[] = {
#define LEY_TASK(...) {__VA_ARGS__},
#include "eval/task.def"
#undef LEY_TASK
};

const struct ley_task *ley_tasks(int *n) {
    *n = sizeof tasks / sizeof tasks[0];
    return tasks;
}

const struct ley_task *ley_task_named(const char *name) {
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        if (strcmp(tasks[i].name, name) == 0) {
            return &tasks[i];
        }
    }
    return NULL;
}

struct ley_string ley_text_of(const char *text) {
    return (struct ley_string){text, strlen(text)};
}

// Doubling keeps the cost of many small additions linear.
static enum ley_status reserve_text(struct ley_item *item, size_t n) {
    if (item->n_text + n + 1 <= item->room) {
        return LEY_OK;
    }
    size_t room = 2 * (item->n_text + n) + 64;
    char *larger = ley_alloc(room, 1);
    if (!larger) {
        return ley_fail_memory("an item's text", room, 1);
    }
    if (item->n_text > 0) {
        memcpy(larger, item->text, item->n_text);
    }
    ley_free(item->text);
    item->text = larger;
    item->room = room;
    return LEY_OK;
}

enum ley_status ley_item_append(struct ley_item *item, struct ley_item_part *part,
                                struct ley_string text) {
    LEY_TRY(reserve_text(item, text.n));
    if (text.n > 0) {
        memcpy(item->text + item->n_text, text.text, text.n);
    }
    item->n_text += text.n;
    part->n += text.n;
    return LEY_OK;
}

enum ley_status ley_item_add(struct ley_item *item, struct ley_item_part *part,
                             struct ley_string text) {
    *part = (struct ley_item_part){item->n_text, 0};
    return ley_item_append(item, part, text);
}

enum ley_status ley_item_add_pair(struct ley_item *item, struct ley_item_part context,
                                  struct ley_item_part ending, struct ley_string choice) {
    if (item->n_pairs == LEY_MOST_CHOICES) {
        return ley_fail(LEY_E_FORMAT, "more than %d choices", LEY_MOST_CHOICES);
    }
    struct ley_item_pair *pair = &item->pair[item->n_pairs++];
    *pair = (struct ley_item_pair){.context = context, .ending = ending};
    for (size_t i = 0; i < choice.n; i++) {
        pair->n_characters += ((unsigned char)choice.text[i] & 0xc0) != 0x80; // not inside one
    }
    return LEY_OK;
}

struct ley_item *ley_items_next(struct ley_items *items, int64_t *room) {
    if (items->n == *room) {
        int64_t wanted = 2 * *room + 64;
        struct ley_item *larger = ley_alloc((size_t)wanted, sizeof *larger);
        if (!larger) {
            return NULL;
        }
        if (items->n > 0) {
            memcpy(larger, items->item, (size_t)items->n * sizeof *larger);
        }
        ley_free(items->item);
        items->item = larger;
        *room = wanted;
    }
    struct ley_item *item = &items->item[items->n];
    *item = (struct ley_item){.gold = -1};
    items->n++;
    return item;
}

void ley_items_destroy(struct ley_items *items) {
    for (int64_t i = 0; i < items->n; i++) {
        ley_free(items->item[i].text);
        ley_free(items->item[i].token);
    }
    ley_free(items->item);
    *items = (struct ley_items){0};
}

// Cuts the next line off *text, without \n and \r\n. False at the end.
static bool next_line(struct ley_string *line, char **text, size_t *n) {
    if (*n == 0) {
        return false;
    }
    char *end = memchr(*text, '\n', *n);
    size_t length = end ? (size_t)(end - *text) : *n, taken = length + (end != NULL);
    *line = (struct ley_string){*text, length};
    *text += taken;
    *n -= taken;
    if (line->n > 0 && line->text[line->n - 1] == '\r') {
        line->n--;
    }
    return true;
}

// One JSON object a line; blank lines are passed over.
static enum ley_status read_json(struct ley_items *items, const struct ley_task *task,
                                 const char *name, char *text, size_t n, int64_t limit) {
    struct ley_string line;
    int64_t room = 0;
    char where[1100];
    for (int64_t number = 1; (limit == 0 || items->n < limit) && next_line(&line, &text, &n);
         number++) {
        if (strspn(line.text, " \t") >= line.n) {
            continue;
        }
        struct ley_item *item = ley_items_next(items, &room);
        struct cJSON *json = cJSON_ParseWithLength(line.text, line.n);
        enum ley_status status = ley_fail(LEY_E_FORMAT, "not a JSON object");
        if (!item) {
            status = ley_fail_memory("items", (size_t)items->n, sizeof *item);
        } else if (cJSON_IsObject(json)) {
            status = ley_item_from_json(item, task, json);
        }
        cJSON_Delete(json);
        if (status != LEY_OK) {
            snprintf(where, sizeof where, "%s, line %lld", name, (long long)number);
            return ley_fail_within(status, where);
        }
    }
    return LEY_OK;
}

// llama.cpp's HellaSwag: context, number of the right ending, four endings.
static enum ley_status read_six_lines(struct ley_items *items, const char *name, char *text,
                                      size_t n, int64_t limit) {
    struct ley_string line;
    int64_t room = 0;
    while ((limit == 0 || items->n < limit) && next_line(&line, &text, &n)) {
        struct ley_item *item = ley_items_next(items, &room);
        struct ley_item_part context, ending;
        if (!item) {
            return ley_fail_memory("items", (size_t)items->n, sizeof *item);
        }
        LEY_TRY(ley_item_add(item, &context, line));
        bool is_whole = next_line(&line, &text, &n) && line.n == 1;
        item->gold = is_whole ? *line.text - '0' : -1;
        for (int i = 0; is_whole && i < 4; i++) {
            is_whole = next_line(&line, &text, &n);
            if (is_whole) {
                LEY_TRY(ley_item_add(item, &ending, ley_text_of(" ")));
                LEY_TRY(ley_item_append(item, &ending, line));
                LEY_TRY(ley_item_add_pair(item, context, ending, line));
            }
        }
        if (!is_whole || item->gold < 0 || item->gold > 3 || context.n == 0) {
            return ley_fail(LEY_E_FORMAT,
                            "%s, line %lld: an item is six lines: context, 0..3, four endings",
                            name, (long long)(6 * items->n - 5));
        }
    }
    return LEY_OK;
}

static bool ends_with(const char *path, const char *end) {
    size_t n = strlen(path), n_end = strlen(end);
    return n >= n_end && strcmp(path + n - n_end, end) == 0;
}

// Which of the formats: lines of objects begin with a brace.
enum ley_status ley_items_read(struct ley_items *items, const struct ley_task *task,
                               const char *name, char *text, size_t n_bytes, int64_t limit) {
    *items = (struct ley_items){0};
    snprintf(items->path, sizeof items->path, "%s", name);
    enum ley_status status;
    if (n_bytes > 0 && *text == '{') {
        status = read_json(items, task, name, text, n_bytes, limit);
    } else if (task->kind == LEY_TASK_ROLLING) {
        size_t n = 0;
        for (size_t i = 0; i < n_bytes; i++) {
            if (text[i] != '\r' || i + 1 == n_bytes || text[i + 1] != '\n') {
                text[n++] = text[i];
            }
        }
        status = ley_items_from_wikitext(items, (struct ley_string){text, n}, limit);
    } else if (strcmp(task->name, "hellaswag") == 0) {
        status = read_six_lines(items, name, text, n_bytes, limit);
    } else {
        status = ley_fail(LEY_E_FORMAT, "%s: no JSON lines; %s is read from %s", name, task->name,
                          task->source);
    }
    if (status == LEY_OK && items->n == 0) {
        status = ley_fail(LEY_E_FORMAT, "%s holds no items of %s", name, task->name);
    }
    if (status != LEY_OK) {
        ley_items_destroy(items);
    }
    return status;
}

// *text is replaced by what it decompresses to.
static enum ley_status decompress(char **text, size_t *n_bytes) {
    for (size_t room = 8 * *n_bytes + 4096; room <= MOST_BYTES; room *= 4) {
        char *out = ley_alloc(room + 1, 1);
        unsigned n = (unsigned)room;
        if (!out) {
            return ley_fail_memory("decompressed text", room, 1);
        }
        int code = BZ2_bzBuffToBuffDecompress(out, &n, *text, (unsigned)*n_bytes, 0, 0);
        if (code == BZ_OK) {
            out[n] = 0;
            ley_free(*text);
            *text = out;
            *n_bytes = n;
            return LEY_OK;
        }
        ley_free(out);
        if (code != BZ_OUTBUFF_FULL) {
            return code == BZ_MEM_ERROR
                       ? ley_fail_memory("bzip2", 1, 1)
                       : ley_fail(LEY_E_FORMAT, "damaged or cut bzip2 data (code %d)", code);
        }
    }
    return ley_fail(LEY_E_FORMAT, "decompressed text is larger than 1 GiB");
}

enum ley_status ley_items_load(struct ley_items *items, const struct ley_task *task,
                               const char *path, int64_t limit) {
    char *text;
    size_t n;
    *items = (struct ley_items){0};
    LEY_TRY(ley_file_read(&text, &n, path, MOST_BYTES));
    uint64_t hash = ley_hash(0, text, n);
    enum ley_status status = LEY_OK;
    if (ends_with(path, ".bz2")) {
        status = decompress(&text, &n);
        status = status == LEY_OK ? status : ley_fail_within(status, path);
    }
    if (status == LEY_OK) {
        status = ley_items_read(items, task, path, text, n, limit);
    }
    items->hash = hash;
    ley_free(text);
    return status;
}

enum ley_status ley_task_find(char path[1024], const struct ley_task *task, const char *folder) {
    static const char *const below[] = {"", "eval/"};
    for (const char *name = task->files; *name; name += strspn(name, " ")) {
        int n = (int)strcspn(name, " ");
        for (int i = 0; i < 2; i++) {
            snprintf(path, 1024, "%s/%s%.*s", folder, below[i], n, name);
            if (ley_file_exists(path)) {
                return LEY_OK;
            }
        }
        name += n;
    }
    return ley_fail(
        LEY_E_IO,
        "no items of %s in %s; put them there as one of: %s (Hugging Face: %s, one JSON "
        "object a line), or name a file by --file",
        task->name, folder, task->files, task->source);
}
