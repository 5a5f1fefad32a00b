// utf8.h - where characters begin and end in bytes that may be anything.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes of the character at the start of text[n]: 1..4, or 0 when no valid character starts there
// (stray, overlong, surrogate, beyond U+10FFFF, cut off, or n = 0).
size_t ley_utf8_length(const char *text, size_t n);

// Code point of a character of `length` bytes, as found by ley_utf8_length.
uint32_t ley_utf8_decode(const char *text, size_t length);

// Writes code point `point` (up to U+10FFFF) to out[4]; returns its length in bytes.
size_t ley_utf8_encode(char out[4], uint32_t point);

// Holds back the beginning of a character until the rest arrives: a token may end in the middle of
// one. Start from {0}.
struct ley_utf8_hold {
    char byte[4];
    size_t n;
};

// out[n + 3] <- what is held, then bytes[n], without an unfinished character at the end, which is
// held now. Returns the number of bytes written. Invalid bytes pass through. At the end of a text
// the caller writes hold->byte[hold->n] itself.
size_t ley_utf8_hold_write(char *out, struct ley_utf8_hold *hold, const char *bytes, size_t n);

#ifdef __cplusplus
}
#endif
