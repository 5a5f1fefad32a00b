// netlist.c - reads what Leyden has to know of a user's subcircuit, and nothing else of it
//
// The rest is ngspice's business. Lines are looked at one by one, without regard to case; what a
// fit changes is the text of a value, so comments and layout of the file survive.
#include "spice/netlist.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/file.h"
#include "core/memory.h"

enum { MAX_BYTES = 1 << 20, MAX_LINE = 512 };

// Copies the line at `at` without its end; false when it is too long.
static bool copy_line(char line[MAX_LINE], const char *at) {
    size_t n = strcspn(at, "\r\n");
    if (n >= MAX_LINE) {
        return false;
    }
    memcpy(line, at, n);
    line[n] = '\0';
    return true;
}

// ".param NAME = VALUE ; fit LOW HIGH UNIT meaning"; other .param lines are none of ours.
static enum ley_status read_param(struct ley_netlist *netlist, const char *line, size_t at,
                                  int number) {
    struct ley_netlist_param param = {.value_at = 0};
    const char *comment = strstr(line, "; fit ");
    int name_end = 0, value_end = 0;
    if (!comment) {
        return LEY_OK;
    }
    if (sscanf(line, "%*s %31[A-Za-z0-9_] = %n%*s%n", param.name, &name_end, &value_end) != 1 ||
        name_end == 0 || value_end == 0 || line + value_end > comment) {
        return ley_fail(LEY_E_FORMAT, "%s:%d: want .param NAME = VALUE ; fit LOW HIGH UNIT meaning",
                        netlist->path, number);
    }
    char *end;
    param.value = strtod(line + name_end, &end);
    if (end != line + value_end ||
        sscanf(comment, "; fit %lf %lf %31s %95[^\n]", &param.low, &param.high, param.unit,
               param.meaning) != 4 ||
        !(param.low < param.high) || !isfinite(param.low) || !isfinite(param.high)) {
        return ley_fail(LEY_E_FORMAT,
                        "%s:%d: %s: want a plain number, then ; fit LOW HIGH UNIT meaning",
                        netlist->path, number, param.name);
    }
    if (!(param.value >= param.low && param.value <= param.high)) {
        return ley_fail(LEY_E_FORMAT, "%s:%d: %s = %g is outside its range %g .. %g %s (units?)",
                        netlist->path, number, param.name, param.value, param.low, param.high,
                        param.unit);
    }
    if (netlist->n_params == LEY_NETLIST_MAX_PARAMS) {
        return ley_fail(LEY_E_FORMAT, "%s:%d: more than %d parameters to fit", netlist->path,
                        number, LEY_NETLIST_MAX_PARAMS);
    }
    // Blanks after the value go with it, so that comments stay in line when it changes.
    value_end += (int)strspn(line + value_end, " ");
    param.value_at = at + (size_t)name_end;
    param.n_value = (size_t)(value_end - name_end);
    netlist->param[netlist->n_params++] = param;
    return LEY_OK;
}

// Adds the words of a .subckt line, or of its continuation, to the ports.
static enum ley_status read_ports(struct ley_netlist *netlist, char *words, int number) {
    char *rest = NULL;
    for (char *word = strtok_r(words, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (strchr(word, '=') || strchr(word, ':') || word[0] == ';' || word[0] == '$') {
            return LEY_OK; // parameters or a comment end the list
        }
        if (netlist->n_ports == LEY_NETLIST_MAX_PORTS || strlen(word) >= LEY_NETLIST_NAME_BYTES) {
            return ley_fail(LEY_E_FORMAT, "%s:%d: too many or too long port names", netlist->path,
                            number);
        }
        strcpy(netlist->port[netlist->n_ports++], word);
    }
    return LEY_OK;
}

// One line. `in_header` says whether the ports of our subcircuit go on in the next line.
static enum ley_status read_line(struct ley_netlist *netlist, char *line, size_t at, int number,
                                 bool *in_header) {
    char word[2][LEY_NETLIST_NAME_BYTES] = {"", ""};
    int end = 0;
    if (*in_header && line[0] == '+') {
        return read_ports(netlist, line + 1, number);
    }
    *in_header = false;
    if (sscanf(line, "%31s %31s%n", word[0], word[1], &end) < 1) {
        return LEY_OK;
    }
    if (strcasecmp(word[0], ".param") == 0) {
        return read_param(netlist, line, at, number);
    }
    if (strcasecmp(word[0], ".subckt") == 0 && strcasecmp(word[1], netlist->subckt) == 0) {
        *in_header = true;
        netlist->n_ports = 0;
        return read_ports(netlist, line + end, number);
    }
    static const char *const analyses[] = {".dc", ".tran", ".ac", ".op", ".control", ".end"};
    for (size_t i = 0; i < sizeof analyses / sizeof analyses[0]; i++) {
        if (strcasecmp(word[0], analyses[i]) == 0) {
            return ley_fail(LEY_E_FORMAT, "%s:%d: %s: a file of a subcircuit has no analysis",
                            netlist->path, number, word[0]);
        }
    }
    return LEY_OK;
}

// Index of a port in the file, or -1.
static int find_port(const struct ley_netlist *netlist, const char *name) {
    for (int i = 0; i < netlist->n_ports; i++) {
        if (strcasecmp(netlist->port[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

// Every port that is wanted is there, and no other.
static enum ley_status check_ports(const struct ley_netlist *netlist, const char *const *ports) {
    char wanted[256] = "";
    int n = 0;
    for (; ports[n]; n++) {
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), " %s", ports[n]);
    }
    if (netlist->n_ports == 0) {
        return ley_fail(LEY_E_FORMAT, "%s: no subcircuit; want .subckt %s%s", netlist->path,
                        netlist->subckt, wanted);
    }
    for (int i = 0; i < n; i++) {
        if (find_port(netlist, ports[i]) < 0) {
            return ley_fail(LEY_E_FORMAT, "%s: subcircuit %s lacks the port %s; want%s",
                            netlist->path, netlist->subckt, ports[i], wanted);
        }
    }
    return netlist->n_ports == n
               ? LEY_OK
               : ley_fail(LEY_E_FORMAT, "%s: subcircuit %s has %d ports, of which Leyden knows%s",
                          netlist->path, netlist->subckt, netlist->n_ports, wanted);
}

// Text that is kept has a line break at its end, and no .end: what follows is the bench.
enum ley_status ley_netlist_read(struct ley_netlist *netlist, const char *text, size_t n_bytes,
                                 const char *name, const char *subckt, const char *const *ports) {
    *netlist = (struct ley_netlist){0};
    if (strnlen(text, n_bytes) != n_bytes) {
        return ley_fail(LEY_E_FORMAT, "%s: not a text file", name);
    }
    netlist->text = ley_alloc(n_bytes + 2, 1);
    if (!netlist->text) {
        return ley_fail_memory("netlist", n_bytes + 2, 1);
    }
    memcpy(netlist->text, text, n_bytes);
    netlist->text[n_bytes] = '\n';
    snprintf(netlist->path, sizeof netlist->path, "%s", name);
    snprintf(netlist->subckt, sizeof netlist->subckt, "%s", subckt);
    bool in_header = false;
    int number = 1;
    enum ley_status status = LEY_OK;
    for (const char *at = netlist->text; *at && status == LEY_OK; number++) {
        char line[MAX_LINE];
        status = copy_line(line, at)
                     ? read_line(netlist, line, (size_t)(at - netlist->text), number, &in_header)
                     : ley_fail(LEY_E_FORMAT, "%s:%d: line too long", name, number);
        at += strcspn(at, "\n") + 1;
    }
    if (status == LEY_OK) {
        status = check_ports(netlist, ports);
    }
    if (status != LEY_OK) {
        ley_netlist_destroy(netlist);
    }
    return status;
}

enum ley_status ley_netlist_load(struct ley_netlist *netlist, const char *path, const char *subckt,
                                 const char *const *ports) {
    char *text;
    size_t n_bytes;
    *netlist = (struct ley_netlist){0};
    LEY_TRY(ley_file_read(&text, &n_bytes, path, MAX_BYTES));
    enum ley_status status = ley_netlist_read(netlist, text, n_bytes, path, subckt, ports);
    ley_free(text);
    return status;
}

void ley_netlist_destroy(struct ley_netlist *netlist) {
    ley_free(netlist->text);
    netlist->text = NULL;
}

// Parameters stand in the text in the order in which they were found.
void ley_netlist_print(struct ley_markup *out, const struct ley_netlist *netlist) {
    size_t at = 0;
    for (int i = 0; i < netlist->n_params; i++) {
        const struct ley_netlist_param *param = &netlist->param[i];
        ley_markup_bytes(out, netlist->text + at, param->value_at - at);
        ley_markup_format(out, "%-*.6g ", (int)param->n_value - 1, param->value);
        at = param->value_at + param->n_value;
    }
    ley_markup_format(out, "%s", netlist->text + at);
}

void ley_netlist_instance(struct ley_markup *out, const struct ley_netlist *netlist,
                          const char *instance, const char *const *port, const char *const *node) {
    ley_markup_format(out, "%s", instance);
    for (int i = 0; i < netlist->n_ports; i++) {
        int k = 0; // check_ports has seen every port of the file among these
        while (strcasecmp(port[k], netlist->port[i]) != 0) {
            k++;
        }
        ley_markup_format(out, " %s", node[k]);
    }
    ley_markup_format(out, " %s\n", netlist->subckt);
}
