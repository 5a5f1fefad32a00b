// support.h - what tests share: golden files, random numbers with a fixed seed, comparisons.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leyden.h"

// Fails the test, printing the library's text, when `call` does not return LEY_OK.
#define ASSERT_OK(call)                                                                            \
    do {                                                                                           \
        enum ley_status assert_ok_status = (call);                                                 \
        if (assert_ok_status != LEY_OK) {                                                          \
            fail_msg("%s: %s", #call, ley_error_text());                                           \
        }                                                                                          \
    } while (0)

// Fails unless `call` fails with `status` and a text that contains `part`.
#define ASSERT_FAILS(call, status, part) assert_fails((call), (status), (part), __FILE__, __LINE__)
void assert_fails(enum ley_status got, enum ley_status want, const char *part, const char *file,
                  int line);

// Path of a file of the source tree, "tests/golden/...": valid until the next call.
const char *source_path(const char *name);

// Folder of the reference vectors outside the project (LEYDEN_ORACLE, else ../shared/oracle beside
// the source tree), or NULL after saying aloud that it is skipped.
const char *oracle_folder(void);

// Reads an array as doubles (ley_free it); `shape` may be NULL. The test fails when it is absent.
double *load_array(int64_t *count, int64_t shape[LEY_MAX_DIMS], const char *folder,
                   const char *name);

// Reads folder/meta.json; the test fails when it is absent. The caller deletes it.
struct cJSON *load_meta(const char *folder);

// Reads tests/golden/tokenizer/NAME; the test fails when it is absent. The caller deletes it.
struct cJSON *load_tokenizer_golden(const char *name);

enum { LONGEST_GOLDEN = 4096 }; // bytes of a text in them

// out <- the bytes that a string of hexadecimal digits stands for; returns their number.
size_t unhex(char out[LONGEST_GOLDEN], const char *hex);

// Numbers that depend on seed and index only, uniform in low..high.
double random_between(uint64_t seed, uint64_t index, double low, double high);

// Fills x[n] with numbers in low..high.
void fill_random(double *x, size_t n, uint64_t seed, double low, double high);

// Largest |a - b|.
double largest_difference(const double *a, const double *b, size_t n);

// A call on packed doubles q, out (B, Hq, T, D) and k, v (B, Hkv, T, D); nothing is noted.
struct ley_attention_call packed_call(double *out, const double *q, const double *k,
                                      const double *v, const struct ley_attention_shape *shape,
                                      int64_t n_batch, int64_t n_tokens);

// M25, M29: keys centred and outputs normalised, with sizes 0.8, 1.1, 1.4, ...
void make_normalised(struct ley_attention *attention);

// A folder of a test's own: fixtures that make it (its name is then in `test_folder`) and remove it
// with all that is in it.
extern char test_folder[64];
int make_folder(void **state);
int remove_folder(void **state);
