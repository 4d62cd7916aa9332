/* The parser's inside, shared by parse.c and load.c. */
#ifndef SUNDOG_RUNTIME_PROFILE_PARSE_H
#define SUNDOG_RUNTIME_PROFILE_PARSE_H

#include "runtime/profile/profile.h"

#define PROFILE_MAX (1u << 20)        /* bytes of one file */
#define PROFILE_RULES_MAX 16000u
#define PROFILE_DEPTH_MAX 16u         /* inherits and includes below one another */

struct pparse {
    struct profile *p;
    const char *file;                 /* as in messages; owned by p->files */
    unsigned line;
    u32 rank;
    unsigned depth;
    bool locked, fragment, seen_head, single;   /* single: inherit and include are only checked, not followed */
    enum psection section;
    char **error;                     /* NULL: messages go to stderr */
    const char *const *overrides; unsigned noverrides;   /* --param */
    /* Follows them; 0 or an exit status after a message. NULL with single. */
    int (*inherit)(struct pparse *s, const char *name);
    int (*include)(struct pparse *s, const char *name);
};

int pparse_text(struct pparse *s, const char *text, size_t len);
int pparse_line(struct pparse *s, char *line);        /* one line, changed in place */
int pparse_fail(const struct pparse *s, const char *fmt, ...) PRINTF(2, 3);
const char *profile_intern_file(struct profile *p, const char *file);
void profile_set_param(struct profile *p, const char *name, const char *value, u32 rank);
const char *profile_variable(const struct profile *p, const char *name, size_t n, char buf[4096]);

#endif
