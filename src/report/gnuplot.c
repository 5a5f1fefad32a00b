// gnuplot.c - a child process that turns a script into SVG, and the cleaning of what it wrote
//
// The script is an unlinked file that becomes the child's input, so that nobody waits for anybody
// while the drawing is read. No shell is involved.
#include "report/gnuplot.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/utf8.h"

enum { NO_PROGRAM = 127 };

// ---- the child

// In the child: input, output and messages become the given files; does not return.
static void become_gnuplot(FILE *input, int output, FILE *messages, const char *option) {
    if (dup2(fileno(input), STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(fileno(messages), STDERR_FILENO) >= 0) {
        execlp("gnuplot", "gnuplot", option, (char *)NULL);
    }
    _exit(NO_PROGRAM);
}

// Appends all that can be read.
static void read_all(struct ley_markup *out, int file) {
    char bytes[4096];
    ssize_t n;
    while ((n = read(file, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR)) {
        ley_markup_bytes(out, bytes, n > 0 ? (size_t)n : 0);
    }
}

// Starts the child and collects its output; *exit_status is what waitpid says.
static enum ley_status run_child(struct ley_markup *out, FILE *input, FILE *messages,
                                 const char *option, int *exit_status) {
    int ends[2];
    if (pipe(ends) != 0) {
        return ley_fail(LEY_E_IO, "cannot start gnuplot: %s", strerror(errno));
    }
    fflush(NULL); // what is buffered must not be written twice
    pid_t child = fork();
    if (child == 0) {
        become_gnuplot(input, ends[1], messages, option);
    }
    int reason = errno;
    close(ends[1]);
    if (child > 0) {
        read_all(out, ends[0]);
    }
    close(ends[0]);
    if (child < 0) {
        return ley_fail(LEY_E_IO, "cannot start gnuplot: %s", strerror(reason));
    }
    while (waitpid(child, exit_status, 0) < 0 && errno == EINTR) {
    }
    return LEY_OK;
}

// gnuplot shows the line and an arrow first; what is wrong comes last, after "line N:".
static enum ley_status fail_with_message(FILE *messages) {
    char line[256], last[256] = "no message";
    rewind(messages);
    while (fgets(line, sizeof line, messages)) {
        line[strcspn(line, "\n")] = '\0';
        if (*line) {
            memcpy(last, line, sizeof last);
        }
    }
    const char *said = strstr(last, "line ");
    return ley_fail(LEY_E_RESULT, "gnuplot cannot draw a plot: %s", said ? said : last);
}

// What the child's end means.
static enum ley_status judge(int exit_status, FILE *messages) {
    if (WIFEXITED(exit_status) && WEXITSTATUS(exit_status) == NO_PROGRAM) {
        return ley_fail(LEY_E_MISSING, "plots need gnuplot; install the package gnuplot-nox");
    }
    return WIFEXITED(exit_status) && WEXITSTATUS(exit_status) == 0 ? LEY_OK
                                                                   : fail_with_message(messages);
}

// Runs gnuplot with `option` on `script`; its output is appended to `out`.
static enum ley_status run_gnuplot(struct ley_markup *out, const char *script, const char *option) {
    FILE *input = tmpfile(), *messages = tmpfile();
    int exit_status = 0;
    enum ley_status status = LEY_OK;
    if (!input || !messages || fputs(script, input) < 0 || fflush(input) != 0) {
        status = ley_fail(LEY_E_IO, "cannot write a temporary file: %s", strerror(errno));
    } else {
        rewind(input);
        status = run_child(out, input, messages, option, &exit_status);
    }
    if (status == LEY_OK) {
        status = judge(exit_status, messages);
    }
    if (input) {
        fclose(input);
    }
    if (messages) {
        fclose(messages);
    }
    return status == LEY_OK ? ley_markup_check(out) : status;
}

int ley_plot_colour(int colour) {
    return colour << 16 | 0x0102;
}

// Fonts of the reader's machine are as wide as Helvetica within a few percent.
enum ley_status ley_plot_draw(struct ley_markup *out, const char *script, int width, int height,
                              const char *id, const char *label) {
    struct ley_markup whole = {0}, svg = {0};
    ley_markup_format(
        &whole,
        "set terminal svg size %d,%d dynamic noenhanced font 'Helvetica,15' linewidth 1.2\n"
        "set encoding utf8\nset border 3\nset tics nomirror out scale 0.6 font ',13'\nset style "
        "fill solid 1\n"
        "set grid y lc rgb '#080102' lt 1 lw 0.6\nset key above font ',13'\nset xlabel offset "
        "0,0.4\nset format '%%g'\n%s",
        width, height, script);
    enum ley_status status = ley_markup_check(&whole);
    if (status == LEY_OK) {
        status = run_gnuplot(&svg, whole.text, "-");
    }
    if (status == LEY_OK && (svg.n == 0 || !strstr(svg.text, "</svg>"))) {
        status = ley_fail(LEY_E_RESULT, "gnuplot drew nothing for %s", label);
    }
    if (status == LEY_OK) {
        ley_plot_clean(out, svg.text, svg.n, id, label);
    }
    ley_markup_destroy(&whole);
    ley_markup_destroy(&svg);
    return status;
}

// Inside single quotes gnuplot knows no escapes, and a quote is written twice.
void ley_plot_text(struct ley_markup *script, const char *text, size_t n_most) {
    size_t n = strlen(text);
    ley_markup_bytes(script, "'", 1);
    for (size_t i = 0; n > 0 && i < n_most; i++) {
        size_t length = ley_utf8_length(text, n);
        bool is_plain = length > 0 && (unsigned char)*text >= 0x20 && *text != 0x7f;
        length = length ? length : 1;
        ley_markup_bytes(script, is_plain ? text : "?", is_plain ? length : 1);
        if (*text == '\'') {
            ley_markup_bytes(script, "'", 1);
        }
        text += length;
        n -= length;
    }
    ley_markup_bytes(script, "'", 1);
}

void ley_plot_version(char *version, size_t n) {
    struct ley_markup said = {0};
    snprintf(version, n, "%s", "");
    if (run_gnuplot(&said, "", "--version") == LEY_OK && said.n > 0) {
        snprintf(version, n, "%.*s", (int)strcspn(said.text, "\n"), said.text);
    }
    ley_markup_destroy(&said);
}

// ---- cleaning

// A place in the text that is read.
struct reader {
    const char *at, *end;
};

// Moves behind the next `mark`, or to the end.
static void skip_past(struct reader *in, const char *mark) {
    const char *found = strstr(in->at, mark);
    in->at = found && found < in->end ? found + strlen(mark) : in->end;
}

static void skip_blanks(struct reader *in) {
    while (in->at < in->end && isspace((unsigned char)*in->at)) {
        in->at++;
    }
}

// True at text that begins with `word`.
static bool is_at(const struct reader *in, const char *word) {
    size_t n = strlen(word);
    return (size_t)(in->end - in->at) >= n && memcmp(in->at, word, n) == 0;
}

// A colour of gnuplot as one of the page; others stay.
static bool put_colour(struct ley_markup *out, const char *value, size_t n) {
    int colour, green, blue;
    char text[32];
    snprintf(text, sizeof text, "%.*s", n < 31 ? (int)n : 31, value);
    bool is_colour = sscanf(text, "rgb(%d , %d , %d", &colour, &green, &blue) == 3;
    if (strcmp(text, "black") == 0 || (is_colour && colour + green + blue == 0)) {
        ley_markup_format(out, "currentColor");
    } else if (is_colour && green == 1 && blue == 2 && colour >= 1 && colour <= LEY_PLOT_COLOURS) {
        ley_markup_format(out, "var(--c%d)", colour);
    } else {
        return false;
    }
    return true;
}

// A value, which changes to double quotes if it had single ones.
static void put_plain(struct ley_markup *out, const char *value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *entity = value[i] == '"' ? "&quot;" : value[i] == '<' ? "&lt;" : NULL;
        ley_markup_bytes(out, entity ? entity : &value[i], entity ? strlen(entity) : 1);
    }
}

// The value of an attribute: ids get their prefix, also inside url(#...), colours their variable.
static void put_value(struct ley_markup *out, const char *name, size_t n_name, const char *value,
                      size_t n, const char *id) {
    bool is_id = n_name == 2 && memcmp(name, "id", 2) == 0;
    bool is_link =
        n > 0 && *value == '#' && n_name >= 4 && memcmp(name + n_name - 4, "href", 4) == 0;
    bool is_url = n > 5 && memcmp(value, "url(#", 5) == 0;
    size_t n_before = is_id ? 0 : is_link ? 1 : 5;
    if (is_id || is_link || is_url) {
        put_plain(out, value, n_before);
        ley_markup_format(out, "%s-", id);
        put_plain(out, value + n_before, n - n_before);
    } else if (!put_colour(out, value, n)) {
        put_plain(out, value, n);
    }
}

// One attribute; declarations of namespaces are left out, and xlink:href is href.
static void put_attribute(struct ley_markup *out, struct reader *in, const char *id) {
    static const char xlink[] = "xlink:";
    const char *name = in->at;
    while (in->at < in->end && !strchr("=>/<", *in->at) && !isspace((unsigned char)*in->at)) {
        in->at++;
    }
    size_t n_name = (size_t)(in->at - name);
    skip_blanks(in);
    in->at += in->at < in->end && *in->at == '=';
    skip_blanks(in);
    if (in->at >= in->end || (*in->at != '"' && *in->at != '\'')) {
        in->at += n_name == 0 && in->at < in->end; // nothing that gnuplot writes
        return;
    }
    const char *value = in->at + 1;
    const char *close = memchr(value, *in->at, (size_t)(in->end - value));
    close = close ? close : in->end;
    in->at = close < in->end ? close + 1 : close;
    if (n_name >= 5 && memcmp(name, "xmlns", 5) == 0) {
        return;
    }
    if (n_name > sizeof xlink - 1 && memcmp(name, xlink, sizeof xlink - 1) == 0) {
        name += sizeof xlink - 1;
        n_name -= sizeof xlink - 1;
    }
    ley_markup_bytes(out, " ", 1);
    ley_markup_bytes(out, name, n_name);
    ley_markup_bytes(out, "=\"", 2);
    put_value(out, name, n_name, value, (size_t)(close - value), id);
    ley_markup_bytes(out, "\"", 1);
}

// A tag from "<" to ">".
static void put_tag(struct ley_markup *out, struct reader *in, const char *id, const char *label) {
    const char *name = in->at;
    while (in->at < in->end && !isspace((unsigned char)*in->at) && *in->at != '>' &&
           (*in->at != '<' || in->at == name) && !(*in->at == '/' && in->at > name + 1)) {
        in->at++;
    }
    ley_markup_bytes(out, name, (size_t)(in->at - name));
    if (in->at - name == 4 && memcmp(name, "<svg", 4) == 0) {
        ley_markup_format(out, " role=\"img\" aria-label=\"");
        ley_markup_escape(out, label);
        ley_markup_bytes(out, "\"", 1);
    }
    while (in->at < in->end && *in->at != '>') {
        if (isspace((unsigned char)*in->at)) {
            in->at++;
        } else if (*in->at == '/') {
            ley_markup_bytes(out, "/", 1);
            in->at++;
        } else {
            put_attribute(out, in, id);
        }
    }
    ley_markup_bytes(out, ">", 1);
    in->at += in->at < in->end;
}

// Text between tags; white space alone is left out.
static void put_text(struct ley_markup *out, struct reader *in) {
    const char *start = in->at;
    bool is_blank = true;
    while (in->at < in->end && *in->at != '<') {
        is_blank = is_blank && isspace((unsigned char)*in->at);
        in->at++;
    }
    if (!is_blank) {
        ley_markup_bytes(out, start, (size_t)(in->at - start));
    }
}

void ley_plot_clean(struct ley_markup *out, const char *svg, size_t n, const char *id,
                    const char *label) {
    const char *start = strstr(svg, "<svg");
    struct reader in = {start ? start : svg + n, svg + n};
    while (in.at < in.end) {
        if (is_at(&in, "<!--")) {
            skip_past(&in, "-->");
        } else if (is_at(&in, "<title>")) {
            skip_past(&in, "</title>");
        } else if (is_at(&in, "<desc>")) {
            skip_past(&in, "</desc>");
        } else if (*in.at == '<') {
            put_tag(out, &in, id, label);
        } else {
            put_text(out, &in);
        }
    }
}
