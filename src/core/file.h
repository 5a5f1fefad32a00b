// file.h - reading whole files, and writing several files so that either all appear or none.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Reads the whole of `path` into a new block (ley_free it) with a zero byte after its end.
// Fails with LEY_E_IO when it cannot be read, LEY_E_FORMAT when longer than `max_bytes`.
LEY_MUST_CHECK enum ley_status ley_file_read(char **text, size_t *n_bytes, const char *path,
                                             size_t max_bytes);

// True when `path` names something that can be opened for reading.
bool ley_file_exists(const char *path);

// A folder of results under construction. Files are written under temporary names and take
// their real ones at commit; abort removes them, and the folder too when it was made here.
struct ley_outdir;

// Makes `path` (parents must exist) unless it is a folder already; checks that it is writable.
LEY_MUST_CHECK enum ley_status ley_outdir_create(struct ley_outdir **outdir, const char *path);

// Opens a new file called `name` in the folder, for writing. Close it with ley_outdir_close.
LEY_MUST_CHECK enum ley_status ley_outdir_open(FILE **file, struct ley_outdir *outdir,
                                               const char *name);

// Flushes and closes a file of ley_outdir_open; reports a full disk.
LEY_MUST_CHECK enum ley_status ley_outdir_close(struct ley_outdir *outdir, FILE *file);

// Gives every file its real name. After a failure, call ley_outdir_destroy as well.
LEY_MUST_CHECK enum ley_status ley_outdir_commit(struct ley_outdir *outdir);

// Frees the object; what was not committed is removed. NULL is accepted.
void ley_outdir_destroy(struct ley_outdir *outdir);

// Writes one file atomically: under a temporary name first, then renamed.
LEY_MUST_CHECK enum ley_status ley_file_write(const char *path, const char *bytes, size_t n_bytes);

#ifdef __cplusplus
}
#endif
