/*
 * Core files: what a signal whose default action is "core" leaves behind. Source: core(5), fs/coredump.c.
 *
 * The thread that takes the signal stops the others of its process, writes, and lets all of them end; the ABI knows what the
 * file looks like (abi->core). The file is opened with the process's own rights and policy, bounded by RLIMIT_CORE, and given up
 * when somebody sends SIGKILL.
 */
#ifndef SUNDOG_KERNEL_COREDUMP_H
#define SUNDOG_KERNEL_COREDUMP_H

#include "sentry/kernel/task.h"

/* One thread of the process; all of them stay where they are until the file is written. */
struct core_thread {
    TAILQ_ENTRY(core_thread) link;
    struct task *t;
    void *xstate;                      /* platform_xstate_size() bytes, or NULL: not to be had */
};
TAILQ_HEAD(core_threads, core_thread);

struct core_dump {
    struct core_threads threads;       /* tg->sighand's lock while they come in; the one that dumps is first */
    unsigned missing;                  /* the same lock: threads that have not come in yet */
    struct task *dumper;
    const struct ksiginfo *info;       /* the signal */
    struct file *file;
    u64 limit, written, pos;           /* bytes; holes are not written */
};

/* What the writer of the format uses. False: the limit, an error or a kill; then it stops. */
bool core_emit(struct core_dump *c, const void *buf, size_t n) MUST_CHECK;
bool core_skip(struct core_dump *c, u64 n) MUST_CHECK;      /* a hole */

/* current dies of info, and dumps core if that is what the signal does and the process may. */
void task_die(const struct ksiginfo *info) NORETURN;
/* A thread that ends: if its process is being dumped it is seen first, and waits. own: of the caller, until it returns. */
void core_participate(struct task *t);
void core_gone_shlocked(struct task *t);             /* ...ends without: sighand held, before t->exiting is set */

/* kernel.core_pattern and kernel.core_uses_pid. -EINVAL: too long, or for a handler, which is never run. */
#define CORE_PATTERN_MAX 127
void core_pattern_get(char out[CORE_PATTERN_MAX + 1]);
int core_pattern_set(const char *pattern);
extern u32 core_uses_pid;                            /* (a) */

/* mm->core_filter: which mappings are dumped; /proc/PID/coredump_filter. */
#define CORE_ANON_PRIVATE 1u
#define CORE_ANON_SHARED 2u
#define CORE_FILE_PRIVATE 4u
#define CORE_FILE_SHARED 8u
#define CORE_ELF_HEADERS 16u
#define CORE_FILTER_ALL 0x1ffu                       /* huge and DAX pages too, which do not occur */
#define CORE_FILTER_DEFAULT 0x33u

#endif
