/*
 * seccomp(2) for guests: filters that a program sets upon itself, run by the sentry on the program's calls. (What keeps
 * the sandbox in is another matter and another filter.) Source: seccomp(2), kernel/seccomp.c.
 */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_net.h"
#include "sentry/kernel/coredump.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"
#include "sentry/kernel/bpf.h"
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>

#define MAX_INSNS_PER_PATH 32768u
#define FILTER_PENALTY 4u
#define MODE_STRICT 1
#define MODE_FILTER 2
#define FLAGS_KNOWN (SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW | \
    SECCOMP_FILTER_FLAG_TSYNC_ESRCH)

/* Newest first; immutable. A filter keeps those before it alive. */
struct seccomp_filter {
    refcount_t refs;
    struct seccomp_filter *prev;    /* counted */
    bool log;
    unsigned len;
    struct bpf_insn insns[];
};

void seccomp_filter_get(struct seccomp_filter *f);
void seccomp_filter_put(struct seccomp_filter *f);
int seccomp_filter_install(const void *insns, unsigned n, u32 flags);
sysret_t linux_seccomp_set(int op, u32 flags, gaddr_t arg);

void seccomp_filter_get(struct seccomp_filter *f)
{
    ref_get(&f->refs);
}

void seccomp_filter_put(struct seccomp_filter *f)
{
    while (f && ref_put(&f->refs)) {
        struct seccomp_filter *prev = f->prev;
        free(f);
        f = prev;
    }
}

/* --- running --- */

static u32 run_filters(struct seccomp_filter *f, const struct seccomp_data_k *d, bool *log)
{
    const struct bpf_input in = { .bytes = (const u8 *)d, .len = sizeof *d };
    u32 ret = SECCOMP_RET_ALLOW;

    for (; f; f = f->prev) {
        u32 r = bpf_run(f->insns, &in);
        if ((s32)(r & SECCOMP_RET_ACTION_FULL) < (s32)(ret & SECCOMP_RET_ACTION_FULL)) {
            ret = r;
            *log = f->log;
        }
    }
    return ret;
}

/* The last thread's end, or that of all, is the process's, as if by a signal that nobody can catch. */
static NORETURN void kill_process(u64 nr, u32 data, const struct guest_regs *r)
{
    struct ksiginfo info = { .signo = SIGSYS, .code = 1 /* SYS_SECCOMP */, .err = (int)data, .call_addr = r->rip,
                             .syscall = (s32)nr, .arch = AUDIT_ARCH_X86_64 };
    task_die(&info);
}

static NORETURN void kill_thread(struct task *t, int signo, u64 nr, u32 data)
{
    unsigned threads;

    lock(&kernel.tasklist);
    threads = t->tg->nr_tasks;
    unlock(&kernel.tasklist);
    if (threads <= 1 && signo == SIGSYS) kill_process(nr, data, &t->regs);
    if (threads <= 1) task_group_exit((u32)signo);
    task_exit((u32)signo);
}

bool linux_seccomp_check(struct task *t, u64 nr, const struct syscall_args *a, sysret_t *ret)
{
    struct guest_regs *r = &t->regs;
    bool log = false;

    if (t->seccomp_mode == MODE_STRICT) {
        if (nr == LINUX_NR_read || nr == LINUX_NR_write || nr == LINUX_NR_exit || nr == LINUX_NR_rt_sigreturn) return true;
        kill_thread(t, SIGKILL, nr, 0);
    }
    struct seccomp_data_k d = { .nr = (s32)nr, .arch = AUDIT_ARCH_X86_64, .ip = r->rip,
                                .args = { a->a[0], a->a[1], a->a[2], a->a[3], a->a[4], a->a[5] } };
    u32 verdict = run_filters(atomic_load(&t->seccomp), &d, &log), data = verdict & SECCOMP_RET_DATA;

    if (log) log_debug("seccomp: task %d call %u action 0x%x", t->tid, (unsigned)nr, verdict);
    switch (verdict & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
        return true;
    case SECCOMP_RET_ERRNO:
        *ret = -(sysret_t)MIN(data, (u32)SYSRET_MAX_ERRNO);
        return false;
    case SECCOMP_RET_TRACE:         /* without a tracer */
    case SECCOMP_RET_USER_NOTIF:    /* without a listener */
        *ret = -ENOSYS;
        return false;
    case SECCOMP_RET_TRAP: {
        struct ksiginfo info = { .signo = SIGSYS, .code = 1 /* SYS_SECCOMP */, .err = (int)data, .call_addr = r->rip,
                                 .syscall = (s32)nr, .arch = AUDIT_ARCH_X86_64 };
        signal_force(t, &info);
        /* The handler finds the call's number where it was; nothing is to be restarted. */
        *ret = (sysret_t)(u32)nr;
        return false;
    }
    case SECCOMP_RET_KILL_THREAD:
        kill_thread(t, SIGSYS, nr, data);
    default:
        kill_process(nr, data, r);
    }
}

/* --- setting --- */

static int read_filter(gaddr_t arg, struct seccomp_filter **out)
{
    struct linux_sock_fprog p;
    struct seccomp_filter *f;
    int r;

    if (copy_in(&p, arg, sizeof(p))) return -EFAULT;
    if (!p.len || p.len > BPF_MAX_INSNS) return -EINVAL;
    if (!current->no_new_privs && !own_ns_capable(CAP_SYS_ADMIN)) return -EACCES;
    f = xzalloc(sizeof(*f) + p.len * sizeof(f->insns[0]));
    ref_init(&f->refs);
    f->len = p.len;
    r = copy_in(f->insns, p.filter, p.len * sizeof(f->insns[0])) ? -EFAULT : bpf_verify(f->insns, p.len, BPF_FOR_SECCOMP);
    if (r)
        free(f);
    else
        *out = f;
    return r;
}

static bool is_ancestor(const struct seccomp_filter *old, const struct seccomp_filter *f)
{
    for (; f; f = f->prev)
        if (f == old) return true;
    return !old;
}

/* The first thread of the group whose filters are not among ours; 0: none. */
static s32 cannot_sync_locked(struct task *t)
{
    struct task *i;

    TAILQ_FOREACH(i, &t->tg->tasks, tg_link) {
        if (i == t || (i->seccomp_mode == 0)) continue;
        if (i->seccomp_mode == MODE_STRICT || !is_ancestor(i->seccomp, t->seccomp)) return i->vtid;
    }
    return 0;
}

/*
 * Gives f to every thread. A thread that reads its pointer meanwhile sees the old or the new one; the old one stays
 * alive, because f's chain holds it.
 */
static void sync_threads_locked(struct task *t, struct seccomp_filter *f)
{
    struct task *i;

    TAILQ_FOREACH(i, &t->tg->tasks, tg_link) {
        if (i == t) continue;
        struct seccomp_filter *old = i->seccomp;
        seccomp_filter_get(f);
        atomic_store(&i->seccomp, f);
        if (old) seccomp_filter_put(old);
        if (t->no_new_privs) atomic_store(&i->no_new_privs, true);
        __atomic_store_n(&i->seccomp_mode, MODE_FILTER, __ATOMIC_RELEASE);
    }
}

static sysret_t set_filter(u32 flags, gaddr_t arg)
{
    struct task *t = current;
    struct seccomp_filter *f;
    unsigned total;
    s32 other = 0;
    int r;

    if (flags & ~(u32)FLAGS_KNOWN) return -EINVAL;
    if ((r = read_filter(arg, &f))) return r;
    if (t->seccomp_mode == MODE_STRICT) {
        free(f);
        return -EINVAL;
    }
    f->log = flags & SECCOMP_FILTER_FLAG_LOG;
    total = f->len;
    for (struct seccomp_filter *w = t->seccomp; w; w = w->prev) total += w->len + FILTER_PENALTY;
    if (total > MAX_INSNS_PER_PATH) {
        free(f);
        return -ENOMEM;
    }
    lock(&kernel.tasklist);
    if ((flags & SECCOMP_FILTER_FLAG_TSYNC) && (other = cannot_sync_locked(t))) {
        unlock(&kernel.tasklist);
        free(f);
        return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : other;
    }
    f->prev = t->seccomp;   /* our reference moves along */
    atomic_store(&t->seccomp, f);
    t->seccomp_mode = MODE_FILTER;
    if (flags & SECCOMP_FILTER_FLAG_TSYNC) sync_threads_locked(t, f);
    unlock(&kernel.tasklist);
    return 0;
}

/* The filter that a container's configuration asks for; before the task runs. */
int seccomp_filter_install(const void *insns, unsigned n, u32 flags)
{
    if (!n || n > BPF_MAX_INSNS) return -EINVAL;
    struct seccomp_filter *f = xzalloc(sizeof(*f) + n * sizeof(f->insns[0]));
    ref_init(&f->refs);
    f->len = n;
    f->log = flags & SECCOMP_FILTER_FLAG_LOG;
    memcpy(f->insns, insns, n * sizeof(f->insns[0]));
    int r = bpf_verify(f->insns, n, BPF_FOR_SECCOMP);
    if (r) {
        free(f);
        return r;
    }
    f->prev = current->seccomp;
    current->seccomp = f;
    current->seccomp_mode = MODE_FILTER;
    return 0;
}

static sysret_t action_avail(gaddr_t arg)
{
    u32 action;

    if (copy_in(&action, arg, sizeof(action))) return -EFAULT;
    switch (action) {
    case SECCOMP_RET_KILL_PROCESS:
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW:
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

sysret_t linux_seccomp_set(int op, u32 flags, gaddr_t arg)
{
    switch (op) {
    case SECCOMP_SET_MODE_STRICT:
        if (flags || arg) return -EINVAL;
        if (current->seccomp_mode == MODE_FILTER) return -EINVAL;
        current->seccomp_mode = MODE_STRICT;
        return 0;
    case SECCOMP_SET_MODE_FILTER:
        return set_filter(flags, arg);
    case SECCOMP_GET_ACTION_AVAIL:
        return flags ? -EINVAL : action_avail(arg);
    default:
        return -EINVAL;
    }
}

sysret_t linux_seccomp(const struct syscall_args *a)
{
    return linux_seccomp_set(ARG_INT(0), ARG_U32(1), a->a[2]);
}
