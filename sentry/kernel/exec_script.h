/* Interpreter scripts, for exec.c and its tests. */
#ifndef SUNDOG_KERNEL_EXEC_SCRIPT_H
#define SUNDOG_KERNEL_EXEC_SCRIPT_H

#include "sentry/base/types.h"

#define SCRIPT_LINE_MAX 255          /* characters of the first line that count */

struct script_line { char interp[SCRIPT_LINE_MAX + 1], arg[SCRIPT_LINE_MAX + 1]; bool has_arg; };

/* -ENOEXEC: no script, or its first line names no interpreter. */
int script_parse(const u8 *head, size_t len, struct script_line *out);
/* interp [arg] script argv[1..]: a new array of new strings, to be freed with script_argv_free. */
char **script_argv(char **argv, int argc, const struct script_line *line, const char *script, int *new_argc);
void script_argv_free(char **argv);

#endif
