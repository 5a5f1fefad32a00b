// prepare.c - HellaSwag's texts: marks removed, beginnings of sentences in capitals
#include "eval/prepare_impl.h"

#include <string.h>

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct ley_string ley_text_strip(struct ley_string text) {
    while (text.n > 0 && is_space(*text.text)) {
        text.text++;
        text.n--;
    }
    while (text.n > 0 && is_space(text.text[text.n - 1])) {
        text.n--;
    }
    return text;
}

// Moves the bytes from `to` + n_from on to `to` + n_to: a hole of the part becomes smaller.
static void close_hole(struct ley_item *item, struct ley_item_part *part, char *to, size_t n_from,
                       size_t n_to) {
    char *end = item->text + part->at + part->n;
    memmove(to + n_to, to + n_from, (size_t)(end - to) - n_from);
    part->n -= n_from - n_to;
    item->n_text -= n_from - n_to;
    item->text[item->n_text] = 0;
}

// The next place of what[n] in the part, at or after `from`.
static char *find(const struct ley_item *item, const struct ley_item_part *part, char *from,
                  const char *what, size_t n) {
    char *end = item->text + part->at + part->n;
    for (; (size_t)(end - from) >= n && end > from; from++) {
        if (memcmp(from, what, n) == 0) {
            return from;
        }
    }
    return NULL;
}

// " [title]" becomes ". "
static void mark_titles(struct ley_item *item, struct ley_item_part *part) {
    static const char title[] = " [title]";
    char *at = item->text + part->at;
    while ((at = find(item, part, at, title, sizeof title - 1)) != NULL) {
        at[0] = '.';
        at[1] = ' ';
        close_hole(item, part, at + 2, sizeof title - 3, 0);
        at += 2;
    }
}

// [..], on one line, goes: marks that WikiHow has left.
static void drop_brackets(struct ley_item *item, struct ley_item_part *part) {
    char *at = item->text + part->at;
    while ((at = find(item, part, at, "[", 1)) != NULL) {
        char *close = find(item, part, at, "]", 1), *line = find(item, part, at, "\n", 1);
        if (!close || (line && line < close)) {
            at++;
            continue;
        }
        close_hole(item, part, at, (size_t)(close - at) + 1, 0);
    }
}

// Two spaces become one; three become two, as in the harness.
static void join_spaces(struct ley_item *item, struct ley_item_part *part) {
    char *at = item->text + part->at;
    while ((at = find(item, part, at, "  ", 2)) != NULL) {
        close_hole(item, part, at, 2, 1);
        at++;
    }
}

static void clean(struct ley_item *item, struct ley_item_part *part) {
    mark_titles(item, part);
    drop_brackets(item, part);
    join_spaces(item, part);
}

enum ley_status ley_hellaswag_add(struct ley_item *item, struct ley_item_part *part,
                                  struct ley_string text) {
    LEY_TRY(ley_item_add(item, part, ley_text_strip(text)));
    clean(item, part);
    return LEY_OK;
}

// The first letter of the second part becomes a capital and the others small ones, of ASCII; it
// stays at the end of the item's text until all is there.
static void capitalise(char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i == 0 && text[i] >= 'a' && text[i] <= 'z') {
            text[i] = (char)(text[i] - 'a' + 'A');
        } else if (i > 0 && text[i] >= 'A' && text[i] <= 'Z') {
            text[i] = (char)(text[i] - 'A' + 'a');
        }
    }
}

enum ley_status ley_hellaswag_context(struct ley_item *item, struct ley_item_part *part,
                                      struct ley_string label, struct ley_string first,
                                      struct ley_string second) {
    LEY_TRY(ley_item_add(item, part, label));
    LEY_TRY(ley_item_append(item, part, ley_text_of(": ")));
    LEY_TRY(ley_item_append(item, part, first));
    LEY_TRY(ley_item_append(item, part, ley_text_of(" ")));
    LEY_TRY(ley_item_append(item, part, second));
    capitalise(item->text + item->n_text - second.n, second.n);
    const struct ley_string whole = {item->text + part->at, part->n}, bare = ley_text_strip(whole);
    part->at += (size_t)(bare.text - whole.text);
    part->n = bare.n;
    item->n_text = part->at + part->n;
    item->text[item->n_text] = 0;
    clean(item, part);
    return LEY_OK;
}
