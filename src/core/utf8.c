// utf8.c - validation by the table of the Unicode standard (table 3-7)
#include "core/utf8.h"

#include <stdbool.h>
#include <string.h>

// Length that the first byte promises; 0: cannot start a character.
static size_t promised_length(unsigned char first) {
    return first < 0x80   ? 1
           : first < 0xc2 ? 0
           : first < 0xe0 ? 2
           : first < 0xf0 ? 3
           : first < 0xf5 ? 4
                          : 0;
}

// The second byte also refuses overlong forms, surrogates and points beyond U+10FFFF.
static bool second_fits(unsigned char first, unsigned char second) {
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

// How many bytes of text[n] look like the start of one character; *want is its full length.
static size_t matching_bytes(const char *text, size_t n, size_t *want) {
    const unsigned char *byte = (const unsigned char *)text;
    *want = n > 0 ? promised_length(byte[0]) : 0;
    if (*want == 0) {
        return 0;
    }
    size_t have = 1;
    while (have < *want && have < n &&
           (have == 1 ? second_fits(byte[0], byte[1]) : (byte[have] & 0xc0) == 0x80)) {
        have++;
    }
    return have;
}

// A character is valid only as a whole: "cut off" is told from "wrong" by the hold below.
size_t ley_utf8_length(const char *text, size_t n) {
    size_t want;
    return matching_bytes(text, n, &want) == want ? want : 0;
}

// The lead byte gives 7, 5, 4 or 3 bits, each of the others 6.
uint32_t ley_utf8_decode(const char *text, size_t length) {
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = (unsigned char)text[0] & mask[length];
    for (size_t i = 1; i < length; i++) {
        point = point << 6 | ((unsigned char)text[i] & 0x3f);
    }
    return point;
}

// From the last byte to the first, six bits each; what is left goes into the lead byte.
size_t ley_utf8_encode(char out[4], uint32_t point) {
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = (char)(lead[length] | point);
    return length;
}

// Only the last three bytes can begin something unfinished.
size_t ley_utf8_hold_write(char *out, struct ley_utf8_hold *hold, const char *bytes, size_t n) {
    size_t total = hold->n + n, n_tail = 0;
    memcpy(out, hold->byte, hold->n);
    memcpy(out + hold->n, bytes, n);
    // From far to near: the first place whose rest is a promise not yet kept is the tail.
    for (size_t back = total < 3 ? total : 3; back > 0 && n_tail == 0; back--) {
        size_t want, have = matching_bytes(out + total - back, back, &want);
        n_tail = have == back && have < want ? back : 0;
    }
    memcpy(hold->byte, out + total - n_tail, n_tail);
    hold->n = n_tail;
    return total - n_tail;
}
