// support.c - helpers of the tests
#include "support/support.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void assert_fails(enum ley_status got, enum ley_status want, const char *part, const char *file,
                  int line) {
    if (got != want || !strstr(ley_error_text(), part)) {
        print_error("%s:%d: status %d (want %d), text '%s' (want '%s' in it)\n", file, line,
                    (int)got, (int)want, ley_error_text(), part);
        fail();
    }
}

const char *source_path(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, LEYDEN_TEST_SOURCE "/%s", name);
    return path;
}

const char *oracle_folder(void) {
    static char path[1024];
    const char *chosen = getenv("LEYDEN_ORACLE");
    snprintf(path, sizeof path, "%s", chosen ? chosen : LEYDEN_TEST_SOURCE "/../shared/oracle");
    struct stat info;
    if (stat(path, &info) != 0) {
        print_message("SKIPPED: no reference vectors in %s (set LEYDEN_ORACLE)\n", path);
        return NULL;
    }
    return path;
}

double *load_array(int64_t *count, int64_t shape[LEY_MAX_DIMS], const char *folder,
                   const char *name) {
    char path[2048];
    struct ley_tensor tensor;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ASSERT_OK(ley_npy_load(&tensor, path));
    int64_t n = ley_tensor_count(&tensor);
    double *x = ley_alloc((size_t)n, sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) {
        x[i] = ley_tensor_get(&tensor, i);
    }
    if (shape) {
        memcpy(shape, tensor.shape, sizeof tensor.shape);
    }
    *count = n;
    ley_tensor_destroy(&tensor);
    return x;
}

static struct cJSON *load_json(const char *path) {
    char *text;
    size_t n_bytes;
    ASSERT_OK(ley_file_read(&text, &n_bytes, path, 1 << 24));
    struct cJSON *root = cJSON_ParseWithLength(text, n_bytes);
    assert_non_null(root);
    ley_free(text);
    return root;
}

struct cJSON *load_meta(const char *folder) {
    char path[2048];
    snprintf(path, sizeof path, "%s/meta.json", folder);
    return load_json(path);
}

struct cJSON *load_tokenizer_golden(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "tests/golden/tokenizer/%s", name);
    return load_json(source_path(path));
}

size_t unhex(char out[LONGEST_GOLDEN], const char *hex) {
    size_t n = strlen(hex) / 2;
    assert_true(n <= LONGEST_GOLDEN);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (char)byte;
    }
    return n;
}

// splitmix64 of seed and index
double random_between(uint64_t seed, uint64_t index, double low, double high) {
    uint64_t z = seed * 0x9e3779b97f4a7c15u + index * 0xd1342543de82ef95u + 0x632be59bd9b4e019u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return low + (high - low) * (double)(z >> 11) * 0x1p-53;
}

void fill_random(double *x, size_t n, uint64_t seed, double low, double high) {
    for (size_t i = 0; i < n; i++) {
        x[i] = random_between(seed, i, low, high);
    }
}

double largest_difference(const double *a, const double *b, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs(a[i] - b[i]);
        largest = d > largest || isnan(d) ? d : largest;
    }
    return largest;
}

struct ley_attention_call packed_call(double *out, const double *q, const double *k,
                                      const double *v, const struct ley_attention_shape *shape,
                                      int64_t n_batch, int64_t n_tokens) {
    return (struct ley_attention_call){
        .q = ley_heads_packed(q, shape->n_query_heads, n_tokens, shape->head_dim),
        .k = ley_heads_packed(k, shape->n_kv_heads, n_tokens, shape->head_dim),
        .v = ley_heads_packed(v, shape->n_kv_heads, n_tokens, shape->head_dim),
        .out = ley_heads_packed_out(out, shape->n_query_heads, n_tokens, shape->head_dim),
        .n_batch = n_batch,
        .n_tokens = n_tokens,
    };
}

void make_normalised(struct ley_attention *attention) {
    attention->centres_keys = attention->normalises_outputs = true;
    for (int h = 0; h < attention->shape.n_query_heads; h++) {
        attention->output_size[h] = 0.8 + 0.3 * h;
    }
}

char test_folder[64];

int make_folder(void **state) {
    (void)state;
    strcpy(test_folder, "/tmp/leyden_test_XXXXXX");
    return mkdtemp(test_folder) ? 0 : -1;
}

int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", test_folder);
    return system(command);
}
