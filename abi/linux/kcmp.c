/* kcmp(2), membarrier(2), process_mrelease(2). */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include "sentry/base/hostcall.h"
#include "sentry/kernel/cpu_number.h"
#include <linux/kcmp.h>
#include <linux/membarrier.h>
#include <sys/random.h>
#include <unistd.h>

HOSTCALL_ARG(membarrier, "the guest's membarrier(2)", 0, MEMBARRIER_CMD_GLOBAL);

static const void *file_of(struct task *t, u64 fd)
{
    struct fdtable *tab = task_get_files(t);
    struct file *f = NULL;
    int got = -1;

    if (tab && fd <= INT32_MAX) got = fdtable_next(tab, (int)fd, &f);
    if (tab) fdtable_put(tab);
    if (got >= 0) file_put(f);
    return got >= 0 && (u64)got == fd ? f : NULL;   /* compared only, never followed */
}

/* The order is of no meaning but must be one: addresses are masked so that they stay secret. */
static sysret_t compare(const void *x, const void *y)
{
    static u64 mask;
    u64 m = atomic_load(&mask);

    if (!m) {
        u64 fresh = 0, none = 0;
        if (getrandom(&fresh, sizeof(fresh), 0) < 0) return -EAGAIN;
        fresh |= 1;
        __atomic_compare_exchange_n(&mask, &none, fresh, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        m = atomic_load(&mask);
    }
    u64 a = ((u64)(uintptr_t)x ^ m) * m, b = ((u64)(uintptr_t)y ^ m) * m;
    return a == b ? 0 : a < b ? 1 : 2;
}

sysret_t linux_kcmp(const struct syscall_args *a)
{
    struct task *t = task_lookup_get(pid_in(ARG_INT(0))), *u = task_lookup_get(pid_in(ARG_INT(1)));
    const void *x = NULL, *y = NULL;
    sysret_t r = -ESRCH;

    if (!t || !u) goto out;
    r = -EPERM;
    if (!linux_may_access_task(t) || !linux_may_access_task(u)) goto out;
    r = 0;
    switch (ARG_INT(2)) {
    case KCMP_FILE:
        x = file_of(t, a->a[3]);
        y = file_of(u, a->a[4]);
        if (!x || !y) r = -EBADF;
        break;
    case KCMP_VM: x = t->mm, y = u->mm; break;
    case KCMP_FILES: x = t->files, y = u->files; break;
    case KCMP_FS: x = t->fs, y = u->fs; break;
    case KCMP_SIGHAND: x = t->tg->sighand, y = u->tg->sighand; break;
    case KCMP_IO: break;
    case KCMP_SYSVSEM: x = t->sysvsem, y = u->sysvsem; break;
    case KCMP_EPOLL_TFD: r = -EOPNOTSUPP; break;
    default: r = -EINVAL; break;
    }
    if (!r) r = compare(x, y);
out:
    if (t) task_put(t);
    if (u) task_put(u);
    return r;
}

/*
 * The host's global barrier covers every running thread, also those of stub processes, which share nothing else with
 * the sentry that an expedited barrier could go by.
 */
static sysret_t barrier_all(void)
{
    unsigned threads;

    lock(&kernel.tasklist);
    threads = kernel.nr_tasks;
    unlock(&kernel.tasklist);
    if (threads <= 1) return 0;
    return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0 ? -errno : 0;
}

sysret_t linux_membarrier(const struct syscall_args *a)
{
    struct mm *mm = current->mm;

    if (ARG_U32(1) && (ARG_INT(0) != MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ || ARG_U32(1) != MEMBARRIER_CMD_FLAG_CPU)) return -EINVAL;
    switch (ARG_INT(0)) {
    case MEMBARRIER_CMD_QUERY:
        return MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
            MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
            MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ;
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
        atomic_or(&mm->membarrier_state, (u32)ARG_INT(0));
        return 0;
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
        if (!(atomic_load(&mm->membarrier_state) & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)) return -EPERM;
        return barrier_all();
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
        if (!(atomic_load(&mm->membarrier_state) & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)) return -EPERM;
        cpu_number_disturb_all(mm);
        return 0;
    case MEMBARRIER_CMD_GLOBAL:
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
        return barrier_all();
    default:
        return -EINVAL;
    }
}

sysret_t linux_process_mrelease(const struct syscall_args *a)
{
    if (ARG_U32(1)) return -EINVAL;
    FILE_ARG(f, a->a[0]);
    struct tgroup *tg = pidfd_tgroup(f);
    if (!tg) return -EBADF;
    if (tg->zombie) return -ESRCH;
    return tg->group_exit ? 0 : -EINVAL;
}
