/*
 * The one table of verbs and their options. Parsing, `sundog help`, the man pages and the completions of the shells are
 * made from it; a verb or an option that is not in it does not exist. The table (option_table.c) is data only, so that
 * the generator (docgen.c) links it without the verbs themselves.
 */
#ifndef SUNDOG_RUNTIME_VERBS_H
#define SUNDOG_RUNTIME_VERBS_H

#include "sentry/base/types.h"

enum opt_value { V_NONE, V_REQUIRED, V_OPTIONAL };

/* Identity of an option; the same word in several verbs has the same one. */
enum opt_id {
    O_HELP, O_VERSION, O_ROOTFS, O_ROOTFS_RW, O_RO, O_ROX, O_RW, O_RWX, O_ENV, O_CWD, O_HOSTNAME, O_UID, O_GID, O_PLATFORM, O_ABI,
    O_STRACE, O_TIMING, O_BACKTRACE, O_DEBUG, O_NO_PATCH, O_MEMORY, O_JSON, O_NET,
    O_PROFILE, O_PARAM, O_RULE, O_MODE, O_OUTPUT, O_EFFECTIVE, O_LAST, O_OVERLAY, O_FORCE, O_DNS, O_RECORD, O_ONCE, O_INTERVAL,
    O_OCI,                       /* of a verb of oci_verb_table: parsed by runtime/oci */
};

struct opt_desc {
    enum opt_id id;
    const char *name;            /* with its dashes */
    enum opt_value value;
    const char *meta;            /* "DIR", "[=text|json]", "" */
    const char *help;            /* one line, lower case, no full stop */
    const char *complete;        /* words a value is completed with: "a b c", "@file", "@dir", "@profile", "@run"; NULL none */
};

struct verb_desc {
    const char *name;
    const char *args;            /* synopsis after the options: "[--] COMMAND [ARG...]" */
    const char *summary;         /* one line */
    const char *text;            /* paragraphs for the man page and `sundog help VERB`, separated by \n\n; may be NULL */
    const struct opt_desc *opts; unsigned nopts;
    bool command;                /* the first word that is no option ends the options: the rest is a command */
    const char *complete;        /* what its words are completed with, as in opt_desc */
};

extern const struct verb_desc verb_table[];
extern const unsigned verb_count;
const struct verb_desc *verb_find(const char *name);   /* NULL: unknown */

/* Verbs of the OCI runtime (oci/verb_table.c); `run` is in both tables. Global options stand before the verb. */
extern const struct verb_desc oci_verb_table[];
extern const unsigned oci_verb_count;
extern const struct opt_desc oci_global_opts[];
extern const unsigned oci_global_count;
const struct verb_desc *oci_verb_find(const char *name);

/*
 * Walks the words after a verb. verb_next returns the next option's id with its value in `val` (NULL: none given) and its row in `opt`,
 * VERB_WORD with a word that is no option in `val`, VERB_END at the end (for a verb with `command`: `i` is the first word
 * of the command), or VERB_BAD after a message. --help is served here: VERB_HELPED.
 */
enum { VERB_END = -1, VERB_WORD = -2, VERB_BAD = -3, VERB_HELPED = -4 };
struct verb_words { const struct verb_desc *verb; int argc; char **argv; int i; const char *val; const struct opt_desc *opt; bool only_words; };
void verb_begin(struct verb_words *w, const char *verb, int argc, char **argv);
int verb_next(struct verb_words *w);

void verb_print_help(const char *verb);   /* NULL: all verbs, with the options of `run` */
void verb_print_container(const char *name);      /* of a verb of oci_verb_table */
void verb_print_containers(void);

#endif
