// special.c - leftmost longest match against a sorted list
//
// At each position whose byte starts some token, the range of tokens that agree with the text so
// far is narrowed byte by byte with binary searches: O(length * log tokens), and only there. The
// leftmost match wins, at one place the longest, as in the reference tokenizers.
#include "model/special_impl.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

// Types that are looked for in a text.
static bool is_special(int8_t type) {
    return type == LEY_TOKEN_CONTROL || type == LEY_TOKEN_UNKNOWN || type == LEY_TOKEN_USER_DEFINED;
}

// Order of bytes, a prefix before what it begins; equal texts by id.
static int compare(const void *a, const void *b) {
    const struct special *x = a, *y = b;
    size_t n = x->text.n < y->text.n ? x->text.n : y->text.n;
    int order = memcmp(x->text.text, y->text.text, n);
    if (order == 0 && x->text.n != y->text.n) {
        order = x->text.n < y->text.n ? -1 : 1;
    }
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

// Two passes: count, then fill. Empty texts would match everywhere and are left out.
enum ley_status specials_create(struct specials *specials, const struct ley_string *token,
                                const int8_t *type, int32_t n_tokens) {
    *specials = (struct specials){.n = 0};
    int32_t n = 0;
    // First pass: count, so that the list is made once.
    for (int32_t id = 0; id < n_tokens; id++) {
        n += is_special(type[id]) && token[id].n > 0;
    }
    specials->sorted = ley_alloc((size_t)n, sizeof *specials->sorted);
    if (!specials->sorted) {
        return ley_fail_memory("special tokens", (size_t)n, sizeof *specials->sorted);
    }
    for (int32_t id = 0; id < n_tokens; id++) {
        if (is_special(type[id]) && token[id].n > 0) {
            specials->sorted[specials->n++] =
                (struct special){token[id], id, type[id] != LEY_TOKEN_USER_DEFINED};
            specials->starts[(unsigned char)token[id].text[0]] = true;
        }
    }
    qsort(specials->sorted, (size_t)n, sizeof *specials->sorted, compare);
    return LEY_OK;
}

void specials_destroy(struct specials *specials) {
    ley_free(specials->sorted);
    *specials = (struct specials){.n = 0};
}

// First of sorted[low..high) whose byte number `depth` is at least `byte`; all are longer than
// `depth` and agree before it.
static int32_t lower_bound(const struct special *sorted, int32_t low, int32_t high, size_t depth,
                           int byte) {
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if ((unsigned char)sorted[middle].text.text[depth] < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The longest token that text[n] begins with, or NULL. Tokens that end at the current depth are
// the first of the range, because a prefix sorts before its continuations.
static const struct special *longest_at(const struct specials *specials, const char *text, size_t n,
                                        bool parse_control) {
    const struct special *best = NULL, *sorted = specials->sorted;
    int32_t low = 0, high = specials->n;
    for (size_t depth = 0; depth < n && low < high; depth++) {
        int byte = (unsigned char)text[depth];
        // Narrow to the tokens whose byte `depth` is this one; both ends are found by bisection.
        low = lower_bound(sorted, low, high, depth, byte);
        high = lower_bound(sorted, low, high, depth, byte + 1);
        for (; low < high && sorted[low].text.n == depth + 1; low++) { // those that end here
            if (parse_control || !sorted[low].is_control) {
                best = best && best->text.n == depth + 1 ? best : &sorted[low];
            }
        }
    }
    return best;
}

// The table of first bytes keeps ordinary text at one test per byte.
const struct special *specials_find(size_t *at, const struct specials *specials,
                                    struct ley_string text, size_t from, bool parse_control) {
    for (*at = from; *at < text.n; ++*at) {
        if (specials->starts[(unsigned char)text.text[*at]]) {
            const struct special *found =
                longest_at(specials, text.text + *at, text.n - *at, parse_control);
            if (found) {
                return found;
            }
        }
    }
    return NULL;
}
