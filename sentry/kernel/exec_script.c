/* `#!` scripts, as fs/binfmt_script.c and exec_binprm() of Linux 5.x have it; execve(2) "Interpreter scripts". */
#include "sentry/base/alloc.h"
#include "sentry/kernel/exec_script.h"
#include <string.h>

static bool spacetab(char c) { return c == ' ' || c == '\t'; }

/* Both look at [p, last], last included; NULL: none. */
static char *next_non_spacetab(char *p, char *last)
{
    for (; p <= last; p++)
        if (!spacetab(*p)) return p;
    return NULL;
}

static char *next_terminator(char *p, char *last)
{
    for (; p <= last; p++)
        if (spacetab(*p) || !*p) return p;
    return NULL;
}

int script_parse(const u8 *head, size_t len, struct script_line *out)
{
    char buf[SCRIPT_LINE_MAX + 1];
    char *end = buf + sizeof buf - 1, *line_end, *name, *sep, *arg = NULL;

    memset(buf, 0, sizeof buf);
    memcpy(buf, head, MIN(len, sizeof buf));
    if (buf[0] != '#' || buf[1] != '!') return -ENOEXEC;
    line_end = memchr(buf, '\n', sizeof buf);
    char *nul = memchr(buf, '\0', sizeof buf);
    if (nul && line_end && nul < line_end) line_end = NULL;   /* strnchr stops at a NUL */
    if (!line_end) {
        name = next_non_spacetab(buf + 2, end);
        if (!name) return -ENOEXEC;
        /* Without a space, tab or NUL behind it the interpreter's name may have been cut off. */
        if (!next_terminator(name, end)) return -ENOEXEC;
        line_end = end;
    }
    while (spacetab(line_end[-1])) line_end--;
    name = next_non_spacetab(buf + 2, line_end);
    if (!name || name == line_end || !*name) return -ENOEXEC;
    sep = next_terminator(name, line_end);
    if (sep && *sep) arg = next_non_spacetab(sep, line_end);
    *line_end = '\0';
    if (arg) *sep = '\0';
    out->has_arg = arg && *arg;
    strcpy(out->interp, name);
    strcpy(out->arg, out->has_arg ? arg : "");
    return 0;
}

char **script_argv(char **argv, int argc, const struct script_line *line, const char *script, int *new_argc)
{
    int n = 0, rest = argc > 1 ? argc - 1 : 0;
    char **v = xzalloc(sizeof *v * (size_t)(rest + 4));

    v[n++] = xstrdup(line->interp);
    if (line->has_arg) v[n++] = xstrdup(line->arg);
    v[n++] = xstrdup(script);
    for (int i = 0; i < rest; i++) v[n++] = xstrdup(argv[i + 1]);
    *new_argc = n;
    return v;
}

void script_argv_free(char **argv)
{
    if (!argv) return;
    for (char **p = argv; *p; p++) free(*p);
    free(argv);
}
