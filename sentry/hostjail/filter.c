/*
 * Stage 5, system calls. Should: make the calls its code declared with HOSTCALL. Mustn't: make any other; the process is
 * killed. The declarations are gathered by the linker, so a program's list is that of the code in it.
 */
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/hostjail/hostjail.h"
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>

/* What libc and the compiler's runtime do on their own. */
HOSTCALL(futex, "locks and condition variables");
HOSTCALL(mmap, "heap and thread stacks");
HOSTCALL(munmap, "heap and thread stacks");
HOSTCALL(mremap, "large realloc");
HOSTCALL(mprotect, "heap growth and guard pages");
HOSTCALL(madvise, "free memory and thread stacks go back");
HOSTCALL(brk, "heap");
HOSTCALL(exit, "end of a thread");
HOSTCALL(exit_group, "end of the program");
HOSTCALL(rt_sigprocmask, "thread creation, abort");
HOSTCALL(rt_sigaction, "the crash handler steps aside");
HOSTCALL(rt_sigreturn, "return from handlers");
HOSTCALL(restart_syscall, "after a stop");
HOSTCALL(set_robust_list, "thread start");
HOSTCALL(rseq, "thread start");
HOSTCALL(gettid, "abort, logs");
HOSTCALL(getpid, "abort");
HOSTCALL(tgkill, "abort");
HOSTCALL(sched_yield, "malloc arenas");
HOSTCALL(clock_gettime, "clocks the vDSO cannot answer");
HOSTCALL(write, "log lines");
HOSTCALL(writev, "messages of libc");
HOSTCALL(getrandom, "malloc's own secret");
/* A thread, nothing else: the flags of pthread_create(3). */
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | \
                      CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
HOSTCALL_ARG(clone, "threads", 0, THREAD_FLAGS);
#if defined(__SANITIZE_ADDRESS__)
/* Looking for leaks at the end takes a process that traces this one. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
HOSTCALL(sigaltstack, "sanitizer");
HOSTCALL(readlink, "sanitizer");
HOSTCALL(open, "sanitizer");
HOSTCALL(openat, "sanitizer");
HOSTCALL(read, "sanitizer");
HOSTCALL(close, "sanitizer");
HOSTCALL(newfstatat, "sanitizer");
HOSTCALL(prctl, "sanitizer");
HOSTCALL(sched_getaffinity, "sanitizer");
#endif

static bool in_groups(const struct hostcall *h, u32 groups) { return h->group == HOSTCALL_GROUP_ALWAYS || (groups >> h->group & 1); }

static bool declared_whole(int nr, u32 groups)
{
    for (const struct hostcall *h = __start_hostcalls; h < __stop_hostcalls; h++)
        if (h->nr == nr && h->arg < 0 && in_groups(h, groups)) return true;
    return false;
}

static bool seen_before(const struct hostcall *x, u32 groups)
{
    for (const struct hostcall *h = __start_hostcalls; h < x; h++)
        if (h->nr == x->nr && h->arg == x->arg && h->value == x->value && h->mask == x->mask && h->arg2 == x->arg2 &&
            h->value2 == x->value2 && in_groups(h, groups)) return true;
    return false;
}

int hostjail_load_filter(const struct hostjail_opts *o)
{
    scmp_filter_ctx ctx = seccomp_init(o->trap ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS);
    if (!ctx) return -ENOMEM;
    unsigned n = 0;
    int err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    /* a binary tree: with a hundred calls the last of a linear list costs ten times the first */
    if (!err) err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (!err) err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (const struct hostcall *h = __start_hostcalls; h < __stop_hostcalls && !err; h++) {
        if (!in_groups(h, o->groups) || seen_before(h, o->groups) || (h->arg >= 0 && declared_whole(h->nr, o->groups))) continue;
        if (h->arg < 0) {
            err = seccomp_rule_add_exact(ctx, SCMP_ACT_ALLOW, h->nr, 0);
        } else {
            struct scmp_arg_cmp cmp[2] = {
                { .arg = (unsigned)h->arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = h->mask, .datum_b = h->value & h->mask },
                { .arg = (unsigned)h->arg2, .op = SCMP_CMP_MASKED_EQ, .datum_a = 0xffffffffu, .datum_b = h->value2 & 0xffffffffu },
            };
            err = seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, h->nr, h->arg2 ? 2 : 1, cmp);
        }
        if (err) log_error("filter: system call %d (%s): %s", h->nr, h->why, strerror(-err));
        n++;
    }
    /*
     * clone3 hides its flags behind a pointer, out of the filter's sight: libc is told that it does not exist and uses
     * clone. A platform that declares clone3 has weighed that itself.
     */
    if (!err && !declared_whole(SYS_clone3, o->groups)) err = seccomp_rule_add_exact(ctx, SCMP_ACT_ERRNO(ENOSYS), SYS_clone3, 0);
    if (!err) err = seccomp_load(ctx);
    seccomp_release(ctx);
    if (err) log_error("%s: system-call filter: %s", o->name, strerror(-err));
    else log_debug("%s: %u host system calls open", o->name, n);
    return err;
}
