// file.c - whole-file input; all-or-nothing output
//
// Output goes to "<name>.tmp-<pid>" beside its destination and is renamed at the end, so that a
// reader never sees half a file and a failure leaves nothing behind. rename(2) within one folder
// is atomic; a set of files is renamed one after another, which only a crash of the machine
// between two renames can split.
#include "core/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"

// A folder of results holds few files with short names; both bounds keep the struct flat.
enum { MAX_FILES = 1024, PATH_BYTES = 1024 }; // a trace writes five files a layer

// Names are noted at opening, so that commit and destroy know what there is.
struct ley_outdir {
    char path[PATH_BYTES];
    bool is_created_here, is_committed;
    int n_files;
    char name[MAX_FILES][64];
};

// Readable now; opening may still fail.
bool ley_file_exists(const char *path) {
    return access(path, R_OK) == 0;
}

// A regular file only: a pipe or device has no size to check against.
static enum ley_status read_all(char **text, size_t *n_bytes, FILE *file, const char *path,
                                size_t max_bytes) {
    struct stat info;
    if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode)) {
        return ley_fail(LEY_E_IO, "cannot read %s: not a regular file", path);
    }
    size_t size = (size_t)info.st_size;
    if (size > max_bytes) {
        return ley_fail(LEY_E_FORMAT, "%s has %zu bytes; at most %zu are accepted here", path, size,
                        max_bytes);
    }
    char *block = ley_alloc(size + 1, 1);
    if (!block) {
        return ley_fail_memory(path, size + 1, 1);
    }
    if (fread(block, 1, size, file) != size) {
        ley_free(block);
        return ley_fail(LEY_E_IO, "cannot read %s: it ends early", path);
    }
    *text = block;
    *n_bytes = size;
    return LEY_OK;
}

// The file is closed in any case; a pipe or a device is refused in read_all.
enum ley_status ley_file_read(char **text, size_t *n_bytes, const char *path, size_t max_bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        return ley_fail(LEY_E_IO, "cannot open %s: %s", path, strerror(errno));
    }
    enum ley_status status = read_all(text, n_bytes, file, path, max_bytes);
    fclose(file);
    return status;
}

// Path of a result, under its temporary or its real name.
static void join(char *out, size_t n_out, const struct ley_outdir *outdir, const char *name,
                 bool is_temporary) {
    int n = is_temporary ? snprintf(out, n_out, "%s/%s.tmp-%ld", outdir->path, name, (long)getpid())
                         : snprintf(out, n_out, "%s/%s", outdir->path, name);
    (void)n; // names and folder were checked to fit at create and open
}

// An existing folder is used as it is: other files in it are left alone.
enum ley_status ley_outdir_create(struct ley_outdir **outdir, const char *path) {
    *outdir = NULL;
    if (strlen(path) > PATH_BYTES - 128) {
        // Made or found: only a folder that was made here may be removed again.
        return ley_fail(LEY_E_ARGUMENT, "the name of the output folder is too long");
    }
    bool is_new = mkdir(path, 0777) == 0;
    struct stat info;
    if (!is_new && (errno != EEXIST || stat(path, &info) != 0)) {
        return ley_fail(LEY_E_IO, "cannot make folder %s: %s", path, strerror(errno));
    }
    if (!is_new && !S_ISDIR(info.st_mode)) {
        return ley_fail(LEY_E_IO, "cannot write to %s: it is not a folder", path);
    }
    if (access(path, W_OK | X_OK) != 0) {
        return ley_fail(LEY_E_IO, "cannot write to folder %s: %s", path, strerror(errno));
    }
    struct ley_outdir *made = ley_alloc(1, sizeof *made);
    if (!made) {
        if (is_new) {
            rmdir(path);
        }
        return ley_fail_memory("output folder", 1, sizeof *made);
    }
    snprintf(made->path, sizeof made->path, "%s", path);
    made->is_created_here = is_new;
    *outdir = made;
    return LEY_OK;
}

// Noted only after it was opened: destroy must not unlink what was never made.
enum ley_status ley_outdir_open(FILE **file, struct ley_outdir *outdir, const char *name) {
    *file = NULL;
    if (outdir->n_files == MAX_FILES || strlen(name) >= sizeof outdir->name[0]) {
        return ley_fail(LEY_E_ARGUMENT, "too many or too long file names in %s", outdir->path);
    }
    char path[PATH_BYTES + 128];
    join(path, sizeof path, outdir, name, true);
    *file = fopen(path, "wb");
    if (!*file) {
        return ley_fail(LEY_E_IO, "cannot write %s/%s: %s", outdir->path, name, strerror(errno));
    }
    snprintf(outdir->name[outdir->n_files++], sizeof outdir->name[0], "%s", name);
    return LEY_OK;
}

// fclose is where a full disk shows: buffered bytes are written only then.
enum ley_status ley_outdir_close(struct ley_outdir *outdir, FILE *file) {
    bool is_bad = ferror(file) != 0;
    if (fclose(file) != 0 || is_bad) {
        return ley_fail(LEY_E_IO, "cannot write to folder %s: %s", outdir->path, strerror(errno));
    }
    return LEY_OK;
}

// Stops at the first failure; names given until then stay. Destroy then removes the others.
enum ley_status ley_outdir_commit(struct ley_outdir *outdir) {
    for (int i = 0; i < outdir->n_files; i++) {
        char from[PATH_BYTES + 128], to[PATH_BYTES + 128];
        join(from, sizeof from, outdir, outdir->name[i], true);
        join(to, sizeof to, outdir, outdir->name[i], false);
        if (rename(from, to) != 0) {
            return ley_fail(LEY_E_IO, "cannot write %s: %s", to, strerror(errno));
        }
    }
    outdir->is_committed = true;
    return LEY_OK;
}

// rmdir removes the folder only when nothing else is in it.
void ley_outdir_destroy(struct ley_outdir *outdir) {
    if (!outdir) {
        return;
    }
    for (int i = 0; !outdir->is_committed && i < outdir->n_files; i++) {
        char path[PATH_BYTES + 128];
        join(path, sizeof path, outdir, outdir->name[i], true);
        unlink(path);
    }
    if (!outdir->is_committed && outdir->is_created_here) {
        rmdir(outdir->path);
    }
    ley_free(outdir);
}

// The same promise for a single file, without a folder of its own.
enum ley_status ley_file_write(const char *path, const char *bytes, size_t n_bytes) {
    char temporary[PATH_BYTES + 128];
    int n = snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary) {
        return ley_fail(LEY_E_ARGUMENT, "the name of the output file is too long");
    }
    FILE *file = fopen(temporary, "wb");
    if (!file) {
        return ley_fail(LEY_E_IO, "cannot write %s: %s", path, strerror(errno));
    }
    bool is_bad = fwrite(bytes, 1, n_bytes, file) != n_bytes;
    is_bad = fclose(file) != 0 || is_bad;
    if (is_bad || rename(temporary, path) != 0) {
        int reason = errno;
        unlink(temporary);
        return ley_fail(LEY_E_IO, "cannot write %s: %s", path, strerror(reason));
    }
    return LEY_OK;
}
