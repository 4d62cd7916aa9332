/*
 * `sundog import`: settings of other sandboxes become a profile, as far as the two can say the same. What cannot be said
 * is kept in a list with its reason, what this sandbox does anyway is only counted. The files are taken for hostile
 * (tests/fuzz/import_fuzz.c): whatever they hold, the result is a text that the parser of profiles accepts.
 */
#ifndef SUNDOG_RUNTIME_IMPORT_H
#define SUNDOG_RUNTIME_IMPORT_H

#include "runtime/profile/profile.h"
#include "sentry/base/strbuf.h"

#define IMPORT_FILE_MAX (1u << 20)     /* bytes of one file */
#define IMPORT_RULES_MAX 6000u

struct import {
    const char *format, *source;       /* borrowed: "firejail"; the file as the caller named it */
    char *name;                        /* of the profile, owned; made fit for one by import_text */
    const char *file; unsigned line;   /* what is being read, for the lists; borrowed */
    bool no_files;                     /* nothing is opened: no includes, no fragments (the fuzzer) */
    bool network;                      /* include the fragment for it */
    struct irule { enum psection section; enum pkey key; char *object, *value, *real; /* the place itself */ } *rules; unsigned nrules;
    struct inote { char *file; unsigned line; char *what; const char *why; } *dropped; unsigned ndropped;
    char **hints; unsigned nhints;     /* comments for the head of the profile */
    unsigned held;                     /* settings that this sandbox keeps without being told */
};

/* Each reads one text into im. 0, or an exit status after a message with file and line. */
int import_firejail(struct import *im, const char *text, size_t len);
int import_flatpak(struct import *im, const char *text, size_t len);       /* metadata, overrides, or a manifest in JSON */
int import_oci(struct import *im, const char *text, size_t len);
void import_fini(struct import *im);

/* The profile. malloc'ed */
char *import_text(struct import *im);

/*
 * One rule; variables stay as ${NAME}. A later rule about the same object replaces the earlier one. What a profile
 * cannot hold (no absolute path, `**`, control characters) goes to the list instead; false then.
 */
bool import_rule(struct import *im, enum psection s, enum pkey k, const char *object, const char *value);
/* Two rules of [net] about one object are two rules: k tells them apart there, and nowhere else. */
struct irule *import_find(struct import *im, enum psection s, enum pkey k, const char *object);
/* what: the setting as it was written; why: static, one clause. */
void import_drop(struct import *im, const char *what, const char *why);
void import_hint(struct import *im, const char *fmt, ...) PRINTF(2, 3);
/* Is `path` dir or beneath it? Texts, with variables in them. */
bool import_beneath(const char *path, const char *dir);

#endif
