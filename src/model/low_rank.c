// low_rank.c - steps: (1) a basis q of what the matrix does to random vectors, sharpened by going
// through the matrix and back; (2) z = q matrix, so that matrix ~ q' z; (3) rotations of both until
// rows of z are orthogonal: their lengths are the singular values; (4) the largest ones.
//
// Bases are kept as rows, so that all inner loops run over neighbours.
#include "model/low_rank.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/memory.h"
#include "core/random.h"

// More vectors and rounds than a rank needs: the tail of trained changes falls slowly. With these
// the share of squares that is kept is the best possible one to four digits.
enum { N_MORE_VECTORS = 16, N_ROUNDS = 4, N_SWEEPS_AT_MOST = 30 };

// Rows whose cosine is smaller count as orthogonal: far below what float32 factors can show.
static const double orthogonal = 1e-9;

struct basis {
    int64_t n_rows, n_columns, n_vectors;
    const float *matrix; // (n_rows, n_columns)
    float *transposed;   // (n_columns, n_rows)
    double *q, *z;       // (n_vectors, n_rows), (n_vectors, n_columns)
    double *square;      // [n_vectors] lengths of rows of z, squared
    int *order;          // [n_vectors] by falling length
};

// Four sums side by side, always in this order.
static double dot(const double *x, const double *y, int64_t n) {
    double sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (int j = 0; j < 4; j++) {
            sum[j] += x[i + j] * y[i + j];
        }
    }
    for (; i < n; i++) {
        sum[0] += x[i] * y[i];
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// out (n_vectors, n_out) = in (n_vectors, n_in) m (n_in, n_out)
static void multiply(double *out, const double *in, const float *m, int64_t n_vectors, int64_t n_in,
                     int64_t n_out) {
#pragma omp parallel for schedule(static)
    for (int64_t v = 0; v < n_vectors; v++) {
        double *row = out + v * n_out;
        memset(row, 0, (size_t)n_out * sizeof *row);
        for (int64_t i = 0; i < n_in; i++) {
            const double factor = in[v * n_in + i];
            const float *from = m + i * n_out;
            for (int64_t j = 0; j < n_out; j++) {
                row[j] += factor * (double)from[j];
            }
        }
    }
}

// Gram and Schmidt, each row twice, which leaves no more than rounding. A row that lies in those
// before it becomes zero: the matrix has no more ranks.
static void orthonormalise(double *rows, int64_t n_vectors, int64_t n) {
    for (int64_t v = 0; v < n_vectors; v++) {
        double *row = rows + v * n;
        double length = sqrt(dot(row, row, n));
        for (int64_t before = 0; before < 2 * v; before++) {
            const double *other = rows + before % v * n;
            double along = dot(row, other, n);
            for (int64_t i = 0; i < n; i++) {
                row[i] -= along * other[i];
            }
        }
        double left = sqrt(dot(row, row, n));
        double factor = left > 1e-12 * length ? 1 / left : 0;
        for (int64_t i = 0; i < n; i++) {
            row[i] *= factor;
        }
    }
}

static void iterate(struct basis *b) {
    for (int64_t i = 0; i < b->n_vectors * b->n_columns; i++) {
        b->z[i] = ley_random_uniform(0, 0, (uint64_t)i) - 0.5;
    }
    for (int round = 0; round < N_ROUNDS; round++) {
        orthonormalise(b->z, b->n_vectors, b->n_columns);
        multiply(b->q, b->z, b->transposed, b->n_vectors, b->n_columns, b->n_rows);
        orthonormalise(b->q, b->n_vectors, b->n_rows);
        multiply(b->z, b->q, b->matrix, b->n_vectors, b->n_rows, b->n_columns);
    }
}

// (x, y) <- (c x - s y, s x + c y)
static void rotate(double *x, double *y, int64_t n, double c, double s) {
    for (int64_t i = 0; i < n; i++) {
        double old = x[i];
        x[i] = c * old - s * y[i];
        y[i] = s * old + c * y[i];
    }
}

// Makes rows v and w of z orthogonal; false where they were. Smaller angle of the two.
static bool turn_pair(struct basis *b, int64_t v, int64_t w) {
    double *x = b->z + v * b->n_columns, *y = b->z + w * b->n_columns;
    double along = dot(x, y, b->n_columns);
    if (fabs(along) <= orthogonal * sqrt(b->square[v] * b->square[w])) {
        return false;
    }
    double zeta = (b->square[w] - b->square[v]) / (2 * along);
    double t = (zeta < 0 ? -1 : 1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
    double c = 1 / sqrt(1 + t * t);
    rotate(x, y, b->n_columns, c, c * t);
    rotate(b->q + v * b->n_rows, b->q + w * b->n_rows, b->n_rows, c, c * t);
    b->square[v] = dot(x, x, b->n_columns);
    b->square[w] = dot(y, y, b->n_columns);
    return true;
}

// One-sided Jacobi: q' z stays what it is.
static void turn_all(struct basis *b) {
    bool has_turned = true;
    for (int64_t v = 0; v < b->n_vectors; v++) {
        b->square[v] = dot(b->z + v * b->n_columns, b->z + v * b->n_columns, b->n_columns);
    }
    for (int sweep = 0; has_turned && sweep < N_SWEEPS_AT_MOST; sweep++) {
        has_turned = false;
        for (int64_t v = 0; v < b->n_vectors; v++) {
            for (int64_t w = v + 1; w < b->n_vectors; w++) {
                has_turned |= turn_pair(b, v, w);
            }
        }
    }
}

// By insertion, which is nothing beside the products. Equal ones stay in their order.
static void sort(struct basis *b) {
    for (int v = 0; v < (int)b->n_vectors; v++) {
        int at = v;
        for (; at > 0 && b->square[b->order[at - 1]] < b->square[v]; at--) {
            b->order[at] = b->order[at - 1];
        }
        b->order[at] = v;
    }
}

// The largest `rank` as factors; zero where there are no more.
static double take(float *a, float *b, const struct basis *basis, int rank) {
    double kept = 0;
    for (int r = 0; r < rank; r++) {
        int v = r < basis->n_vectors ? basis->order[r] : 0;
        double square = r < basis->n_vectors ? basis->square[v] : 0;
        double root = sqrt(sqrt(square)); // of the singular value
        for (int64_t i = 0; i < basis->n_columns; i++) {
            a[r * basis->n_columns + i] =
                root > 0 ? (float)(basis->z[v * basis->n_columns + i] / root) : 0;
        }
        for (int64_t i = 0; i < basis->n_rows; i++) {
            b[i * rank + r] = root > 0 ? (float)(basis->q[v * basis->n_rows + i] * root) : 0;
        }
        kept += square;
    }
    return kept;
}

static void transpose(struct basis *b) {
    for (int64_t i = 0; i < b->n_rows; i++) {
        for (int64_t j = 0; j < b->n_columns; j++) {
            b->transposed[j * b->n_rows + i] = b->matrix[i * b->n_columns + j];
        }
    }
}

static enum ley_status make_room(struct basis *b) {
    size_t n_vectors = (size_t)b->n_vectors, n = (size_t)(b->n_rows + b->n_columns);
    b->transposed = ley_alloc((size_t)(b->n_rows * b->n_columns), sizeof *b->transposed);
    b->q = ley_alloc(n_vectors * (size_t)b->n_rows, sizeof *b->q);
    b->z = ley_alloc(n_vectors * (size_t)b->n_columns, sizeof *b->z);
    b->square = ley_alloc(n_vectors, sizeof *b->square);
    b->order = ley_alloc(n_vectors, sizeof *b->order);
    return b->transposed && b->q && b->z && b->square && b->order
               ? LEY_OK
               : ley_fail_memory("singular values", n_vectors * n, sizeof *b->q);
}

enum ley_status ley_low_rank(struct ley_low_rank *done, float *a, float *b, const float *matrix,
                             int64_t n_rows, int64_t n_columns, int rank) {
    int64_t most = n_rows < n_columns ? n_rows : n_columns;
    int64_t wanted = (int64_t)rank + N_MORE_VECTORS;
    struct basis basis = {.n_rows = n_rows,
                          .n_columns = n_columns,
                          .n_vectors = wanted < most ? wanted : most,
                          .matrix = matrix};
    enum ley_status status = make_room(&basis);
    if (status == LEY_OK) {
        transpose(&basis);
        iterate(&basis);
        turn_all(&basis);
        sort(&basis);
        *done = (struct ley_low_rank){.kept = take(a, b, &basis, rank)};
        for (int64_t i = 0; i < n_rows * n_columns; i++) {
            done->total += (double)matrix[i] * (double)matrix[i];
        }
    }
    ley_free(basis.transposed);
    ley_free(basis.q);
    ley_free(basis.z);
    ley_free(basis.square);
    ley_free(basis.order);
    return status;
}
