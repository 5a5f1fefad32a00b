// nearest.c - edit distance by rows of the usual table, O(n_a * n_b), for short words
#include "core/nearest.h"

#include <string.h>

// Longer words are compared by their beginning.
enum { MAX_WORD = 63 };

static int smallest(int a, int b, int c) {
    int m = a < b ? a : b;
    return m < c ? m : c;
}

// One row of the table is enough: `diagonal` keeps what the row above held one place to the left.
int ley_edit_distance(const char *a, const char *b) {
    int n_a = (int)strnlen(a, MAX_WORD), n_b = (int)strnlen(b, MAX_WORD);
    int row[MAX_WORD + 1];
    for (int j = 0; j <= n_b; j++) {
        row[j] = j;
    }
    for (int i = 1; i <= n_a; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n_b; j++) {
            int above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n_b];
}
