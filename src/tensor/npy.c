// npy.c - reader and writer of NumPy's .npy
//
// Layout: "\x93NUMPY", major, minor, header length (2 bytes, or 4 from version 2 on), then a
// Python dict literal such as {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } and the
// raw data. Every length is checked against the file's own size before anything is allocated.
#include "tensor/npy.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"

static const char magic[] = "\x93NUMPY";
enum { N_MAGIC = 6 };
// 64 GiB: more than any array of ours, and far from overflow.
static const size_t max_file_bytes = (size_t)1 << 36;

// What the header says, once all of it has been understood.
struct header {
    char text[4096];   // the dict literal
    size_t n_preamble; // bytes before the data
    enum ley_dtype dtype;
    bool is_fortran_order;
    int n_dims;
    int64_t shape[LEY_MAX_DIMS];
};

// name is the file's.
static enum ley_status bad(const char *name, const char *what) {
    return ley_fail(LEY_E_FORMAT, "%s: %s", name, what);
}

// Checks magic and version and copies the dict literal out, so that string functions may be used.
// Smallest header: magic, version, two bytes of length.
static enum ley_status find_header(struct header *header, const unsigned char *bytes,
                                   size_t n_bytes, const char *name) {
    if (n_bytes < N_MAGIC + 4 || memcmp(bytes, magic, N_MAGIC) != 0) {
        return bad(name, "not a .npy file (save it with numpy.save)");
    }
    unsigned major = bytes[N_MAGIC];
    if (major < 1 || major > 3 || (major > 1 && n_bytes < N_MAGIC + 6)) {
        return bad(name, "unknown version of the .npy format (1.0 to 3.0 are known)");
    }
    // Bytes 6 and 7 are major and minor; the length follows, little endian.
    const unsigned char *length = bytes + N_MAGIC + 2;
    size_t n_text = (size_t)length[0] | (size_t)length[1] << 8;
    if (major > 1) {
        n_text |= (size_t)length[2] << 16 | (size_t)length[3] << 24;
    }
    size_t n_fixed = N_MAGIC + (major > 1 ? 6 : 4);
    if (n_text > n_bytes - n_fixed || n_text >= sizeof header->text) {
        return bad(name, "the header is truncated or too long");
    }
    memcpy(header->text, bytes + n_fixed, n_text);
    header->text[n_text] = '\0';
    header->n_preamble = n_fixed + n_text;
    return LEY_OK;
}

// Text after "'key':", or NULL.
static const char *value_of(const char *text, const char *key) {
    const char *at = strstr(text, key);
    if (!at) {
        return NULL;
    }
    at += strlen(key);
    while (isspace((unsigned char)*at)) {
        at++;
    }
    if (*at++ != ':') {
        return NULL;
    }
    while (isspace((unsigned char)*at)) {
        at++;
    }
    return at;
}

// Big-endian and other types are refused with the way to convert them.
static enum ley_status read_dtype(struct header *header, const char *name) {
    const char *descr = value_of(header->text, "'descr'");
    static const struct {
        const char *text;
        enum ley_dtype dtype;
    } known[] = {{"'<f4'", LEY_F32}, {"'<f8'", LEY_F64}, {"'<i4'", LEY_I32}};
    for (size_t i = 0; descr && i < sizeof known / sizeof known[0]; i++) {
        if (strncmp(descr, known[i].text, strlen(known[i].text)) == 0) {
            header->dtype = known[i].dtype;
            return LEY_OK;
        }
    }
    return bad(name, "element type is not <f4, <f8 or <i4 (convert with x.astype('<f4'))");
}

// Python's spelling of a truth value; anything else is refused.
static enum ley_status read_order(struct header *header, const char *name) {
    const char *order = value_of(header->text, "'fortran_order'");
    header->is_fortran_order = order && strncmp(order, "True", 4) == 0;
    if (!order || (!header->is_fortran_order && strncmp(order, "False", 5) != 0)) {
        return bad(name, "the header lacks fortran_order");
    }
    return LEY_OK;
}

// Reads one dimension at *at and moves past it; false when there is none or it is absurd.
static bool read_dimension(int64_t *dimension, const char **at) {
    int64_t value = 0;
    if (!isdigit((unsigned char)**at)) {
        return false;
    }
    // 2^40 elements along one dimension are a damaged file, not an array.
    for (; isdigit((unsigned char)**at); (*at)++) {
        value = value * 10 + (**at - '0');
        if (value > (int64_t)1 << 40) {
            return false;
        }
    }
    *dimension = value;
    return true;
}

// "(2, 3)", "(2,)", "()": digits, commas and spaces up to the closing parenthesis.
static enum ley_status read_shape(struct header *header, const char *name) {
    const char *at = value_of(header->text, "'shape'");
    if (!at || *at++ != '(') {
        return bad(name, "the header lacks a shape");
    }
    for (;;) {
        at += strspn(at, " ,");
        if (*at == ')') {
            return LEY_OK;
        }
        if (header->n_dims == LEY_MAX_DIMS ||
            !read_dimension(&header->shape[header->n_dims], &at)) {
            return bad(name, "the shape has more than 8 dimensions or makes no sense");
        }
        header->n_dims++;
    }
}

// The data must fill the rest of the file exactly; what is allocated is thus bounded by its size.
static enum ley_status check_size(const struct header *header, size_t n_data, const char *name) {
    size_t want = ley_dtype_bytes(header->dtype);
    for (int i = 0; i < header->n_dims; i++) {
        // Zero-sized arrays pass with no data; the product of the others cannot wrap.
        if (__builtin_mul_overflow(want, (size_t)header->shape[i], &want)) {
            return bad(name, "the shape is larger than memory");
        }
    }
    if (want != n_data) {
        return ley_fail(LEY_E_FORMAT,
                        "%s: the shape needs %zu bytes of data, the file holds %zu "
                        "(truncated or damaged?)",
                        name, want, n_data);
    }
    return LEY_OK;
}

// Copies Fortran-ordered data into C order: walks the source in its own order.
// Index 0 runs fastest in the source, the last index in the result.
static void copy_fortran(struct ley_tensor *tensor, const char *data) {
    int64_t index[LEY_MAX_DIMS] = {0}, stride[LEY_MAX_DIMS];
    int64_t step = 1;
    for (int i = tensor->n_dims - 1; i >= 0; i--) {
        stride[i] = step;
        step *= tensor->shape[i];
    }
    size_t size = ley_dtype_bytes(tensor->dtype);
    for (int64_t n = 0, count = ley_tensor_count(tensor); n < count; n++) {
        int64_t to = 0;
        for (int i = 0; i < tensor->n_dims; i++) {
            // Where element `index` goes in C order.
            to += index[i] * stride[i];
        }
        memcpy((char *)tensor->data + (size_t)to * size, data + (size_t)n * size, size);
        for (int i = 0; i < tensor->n_dims && ++index[i] == tensor->shape[i]; i++) {
            index[i] = 0;
        }
    }
}

// Header fields in the order of what they bound: type, order, shape, size, memory.
enum ley_status ley_npy_read(struct ley_tensor *tensor, const char *bytes, size_t n_bytes,
                             const char *name) {
    struct header header = {.n_dims = 0};
    *tensor = (struct ley_tensor){.data = NULL};
    LEY_TRY(find_header(&header, (const unsigned char *)bytes, n_bytes, name));
    LEY_TRY(read_dtype(&header, name));
    LEY_TRY(read_order(&header, name));
    LEY_TRY(read_shape(&header, name));
    LEY_TRY(check_size(&header, n_bytes - header.n_preamble, name));
    LEY_TRY(ley_tensor_create(tensor, header.dtype, header.n_dims, header.shape));
    if (header.is_fortran_order && ley_tensor_count(tensor) > 0) {
        copy_fortran(tensor, bytes + header.n_preamble);
    } else {
        memcpy(tensor->data, bytes + header.n_preamble, n_bytes - header.n_preamble);
    }
    return LEY_OK;
}

// The file is held once more than its array while it is converted, then freed.
enum ley_status ley_npy_load(struct ley_tensor *tensor, const char *path) {
    char *bytes;
    size_t n_bytes;
    *tensor = (struct ley_tensor){.data = NULL};
    LEY_TRY(ley_file_read(&bytes, &n_bytes, path, max_file_bytes));
    enum ley_status status = ley_npy_read(tensor, bytes, n_bytes, path);
    ley_free(bytes);
    return status;
}

// Always version 1.0 and C order; short writes show in ferror, which the caller asks.
void ley_npy_write(FILE *file, const struct ley_tensor *tensor) {
    static const char *const descr[] = {[LEY_F32] = "<f4", [LEY_F64] = "<f8", [LEY_I32] = "<i4"};
    char shape[256], text[512];
    ley_tensor_format_shape(shape, sizeof shape, tensor);
    int n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                     descr[tensor->dtype], shape);
    // Magic, version, length and text with its line end fill whole blocks of 64 bytes.
    int n_padded = (N_MAGIC + 4 + n + 1 + 63) / 64 * 64 - (N_MAGIC + 4); // data starts aligned
    fwrite(magic, 1, N_MAGIC, file);
    const unsigned char rest[] = {1, 0, (unsigned char)(n_padded & 255),
                                  (unsigned char)(n_padded >> 8)};
    fwrite(rest, 1, sizeof rest, file);
    fprintf(file, "%s%*s\n", text, n_padded - n - 1, "");
    fwrite(tensor->data, ley_dtype_bytes(tensor->dtype), (size_t)ley_tensor_count(tensor), file);
}
