// nearest.h - "did you mean": distance between two words.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// Number of single-character insertions, deletions and replacements from a to b (Levenshtein).
// Only the first 63 bytes of each word count.
int ley_edit_distance(const char *a, const char *b);

#ifdef __cplusplus
}
#endif
