/*
 * Profiles: the language of docs/profile-language.md, parsed, layered and flattened; then compiled into the plan
 * (compile.h). Nothing here touches the sandbox; files of profiles are the user's or the administrator's, but the parser
 * takes them for hostile all the same (tests/fuzz/profile_fuzz.c).
 */
#ifndef SUNDOG_RUNTIME_PROFILE_H
#define SUNDOG_RUNTIME_PROFILE_H

#include "sentry/base/types.h"

enum psection { PS_HEAD, PS_FILES, PS_EXEC, PS_NET, PS_IPC, PS_SYS, PS_LIMIT, PS_ENV, PS_N };
enum pkey {
    PK_NONE,
    PK_PROFILE, PK_INHERIT, PK_INCLUDE, PK_PARAM, PK_LOCKED,                  /* head */
    PK_RO, PK_ROX, PK_RW, PK_RWX, PK_DENY, PK_OVERLAY,                        /* files; deny: exec, net, ipc, sys too */
    PK_ALLOW,                                                                 /* exec, ipc, sys */
    PK_CONNECT, PK_LISTEN,                                                    /* net */
    PK_MEMORY, PK_PROCESSES, PK_OPEN_FILES, PK_CPU_TIME, PK_CPU_SHARE, PK_FILE_SIZE,        /* limit */
    PK_PASS, PK_SET,                                                          /* env */
};
/* From weak to strong: what a later one says about the same object counts. */
enum player { PL_PACKAGED, PL_SYSTEM, PL_USER, PL_COMMAND_LINE };

/* One key of the language; the parser, its suggestions and sundog-profile(5) come from this table (keywords.c). */
struct pkeyword { enum psection section; enum pkey key; const char *name, *args, *help; };
extern const struct pkeyword profile_keywords[];
extern const unsigned profile_nkeywords;
extern const char *const profile_sections[PS_N];      /* names without brackets; PS_HEAD: "" */
const struct pkeyword *profile_keyword(enum psection s, enum pkey k);
/* Members of a group of system calls ("@debug"), NULL-terminated; NULL: no such group. */
const char *const *profile_call_group(const char *name);
extern const char *const profile_groups[];            /* names, NULL-terminated */

struct prule {
    enum psection section;
    enum pkey key;
    char *object;              /* owned; path, host:port, group, name. Variables replaced */
    char *link;                /* owned or NULL; the path as written, when symbolic links led elsewhere */
    char *value;               /* owned or NULL; protocol, limit, text of a variable */
    const char *file;          /* owned by the profile */
    unsigned line;
    u32 rank;                  /* higher overrides: layer, then nearness in the line of parents */
    bool locked;               /* may not be loosened by a higher layer */
};

struct profile {
    char *name;
    struct prule *rules; unsigned nrules;
    char **files; unsigned nfiles;          /* every file read, for messages */
    struct pparam { char *name, *value; u32 rank; } *params; unsigned nparams;
    unsigned warnings;                      /* told on the way, when asked to (profile_warn) */
};

/*
 * name: a file (it has a slash, or ends in .profile), or the name of an installed profile. params: "NAME=VALUE" from the
 * command line. extra: lines for the command line's layer, "[section] line", may be NULL. NULL after a message with
 * file:line.
 */
struct profile *profile_load(const char *name, const char *const *params, unsigned nparams, const char *const *extra, unsigned nextra);
/* Lines of a head (includes), without a file. NULL after a message. */
struct profile *profile_load_lines(const char *const *lines, unsigned n);
/* One text, without layers, parents or includes (tests, the fuzzer). quiet: messages go to *error (malloc'ed). */
struct profile *profile_parse_text(const char *text, size_t len, const char *file, char **error);
void profile_free(struct profile *p);
/* Adds a rule by hand (mounts of the command line); strings are copied. */
void profile_add(struct profile *p, enum psection s, enum pkey k, const char *object, const char *value, const char *file, unsigned line, u32 rank);
/* Overrides, locks, ties: leaves the rules that count. 0, or an exit status after a message. */
int profile_flatten(struct profile *p);
/* "rw /work" as it would stand in a file. malloc'ed */
char *prule_text(const struct prule *r);
u32 prule_perms(enum pkey key);           /* PR_* of a file verdict */
/* Where installed profiles are: the k-th directory that exists, strongest first; NULL at the end. malloc'ed. */
char *profile_dir(unsigned k, enum player *layer);
/* Is it written like a host name of ASCII letters, digits, dashes? *why otherwise. "*." in front is allowed. */
bool profile_host_ok(const char *s, size_t n, const char **why);

/* The path (or pattern) with the symlinks of its literal part resolved, as far as it exists. malloc'ed */
char *profile_path_resolved(const char *path);

/* The parts of "HOST:PORT": checked. 0 or -EINVAL with a reason. */
struct phost { char *name; bool any, block; u8 ip[16]; u8 prefix; u16 lo, hi; };
int profile_host_parse(const char *text, struct phost *out, const char **why);
int profile_size_parse(const char *text, u64 *out);       /* 512M */
int profile_duration_parse(const char *text, u64 *seconds);

int profile_percent_parse(const char *text, u64 *percent);                 /* 1% to 100000%; or -EINVAL */
bool profile_address(const char *text, u8 ip[16]);                       /* IPv6 or IPv4 as text; IPv4 as ::ffff:a.b.c.d */
struct plan_dns_server;
int profile_dns_server(const char *text, struct plan_dns_server *out);   /* ADDRESS, ADDRESS:PORT, [IPv6]:PORT; or -EINVAL */

#endif
