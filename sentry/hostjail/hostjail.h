/*
 * Staged self-isolation of sentry and gofer. Called once, by the only thread, after everything that needs the host's
 * view has been opened. Each stage says in hostjail.c what the program should still be able to do after it, and what
 * it mustn't.
 *
 *   hostjail_enter(&o);         limits, empty root, capabilities, no_new_privs, crash handler
 *   ...                         what needs neither privilege nor paths
 *   hostjail_load_filter(&o);   last: only declared host system calls from here on (sentry/base/hostcall.h)
 */
#ifndef SUNDOG_HOSTJAIL_H
#define SUNDOG_HOSTJAIL_H

#include "sentry/base/types.h"

struct hostjail_tree { int fd; bool writable; };   /* O_PATH descriptor of a directory or file */

struct hostjail_opts {
    const char *name;      /* program, for messages */
    u64 keep_caps;         /* bit n: CAP_n stays permitted and effective if it is now; 0: none */
    bool empty_root;       /* lose the file-system view (mount namespace, else chroot) */
    const struct hostjail_tree *trees; unsigned ntrees;   /* what may still be opened by path where only Landlock is left */
    bool dumpable;         /* leave PR_SET_DUMPABLE alone (debuggers may attach) */
    u32 groups;            /* bit n: declared calls of group n are open too (HOSTCALL_GROUP_*); group 0 always */
    bool trap;             /* debugging: an undeclared call is reported by the crash handler before the end */
};

/*
 * 0 or -errno. What the host's policy does not permit an unprivileged program (mount namespace, chroot) is skipped with a
 * log_debug line: the other stages and the filter still hold. Raises RLIMIT_NOFILE to its hard limit.
 */
int hostjail_enter(const struct hostjail_opts *o);
/* All threads of the process at once. -EINVAL: no call declared, or the filter cannot be built. */
int hostjail_load_filter(const struct hostjail_opts *o);

/*
 * On SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP and SIGSYS of our own: one report on stderr with the signal, the
 * note and the stack by libunwind, then the default action. Installed by hostjail_enter; programs that handle one of
 * these themselves call hostjail_crash_report for what is not theirs. hostjail_crash_note, if set, says what was going
 * on (the guest's call being served); it must be async-signal-safe and may return NULL.
 */
extern const char *(*hostjail_crash_note)(void);
void hostjail_crash_install(const char *program);
void hostjail_crash_report(int sig, void *siginfo, void *ucontext);

#endif
