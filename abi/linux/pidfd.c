/* pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2). */
#include "abi/linux/linux.h"
#include "sentry/landlock/landlock.h"
#include "sentry/fs/proc/synth.h"
#include "sentry/vfs/file.h"

sysret_t linux_pidfd_open(const struct syscall_args *a)
{
    s32 pid = ARG_INT(0);
    u32 flags = ARG_U32(1);
    struct file *f;

    if (flags & ~(u32)O_NONBLOCK) return -EINVAL;
    if (pid <= 0) return -EINVAL;
    pid = pid_in(pid);
    struct tgroup *tg = tgroup_lookup_get(pid);
    if (!tg) {
        /* A thread that leads no group: EINVAL up to Linux 6.8; later ENOENT. */
        struct task *t = task_lookup_get(pid);
        if (t) task_put(t);
        return t ? -EINVAL : -ESRCH;
    }
    int r = pidfd_create_file(tg, flags, &f);
    tgroup_put(tg);
    if (r) return r;
    r = fd_install(f, true);
    if (r < 0) file_put(f);
    return r;
}

/* The group behind a pidfd: *tg counted. */
static int get_tgroup(int fd, struct tgroup **tg)
{
    struct file *f = fd_get(fd);

    if (!f) return -EBADF;
    int r = 0;
    *tg = pidfd_tgroup(f);
    if (*tg) tgroup_get(*tg);
    else r = proc_dir_tgroup_get(f, tg); /* a descriptor of /proc/PID serves too */
    file_put(f);
    return r;
}

sysret_t linux_pidfd_send_signal(const struct syscall_args *a)
{
    int signo = ARG_INT(1), r;
    struct tgroup *tg;
    struct ksiginfo info;

    if (ARG_U32(3)) return -EINVAL;
    r = get_tgroup(ARG_INT(0), &tg);
    if (r) return r;
    if (a->a[2]) {
        r = linux_copy_in_siginfo(&info, a->a[2]);
        if (!r && info.signo != signo) r = -EINVAL;
        /* Nobody may pretend to be kill(2) or the kernel towards others. */
        if (!r && tg != current->tg && (info.code >= 0 || info.code == SI_TKILL)) r = -EPERM;
    } else {
        ksiginfo_user(&info, signo, SI_USER);
    }
    if (!r && (signo < 0 || signo > 64)) r = -EINVAL;
    if (!r) {
        lock(&kernel.tasklist);
        struct task *leader = tg->reaped ? NULL : tg->leader;
        if (leader) task_get(leader);
        unlock(&kernel.tasklist);
        r = leader ? signal_may_send(leader, signo) : -ESRCH;
        if (!r && signo) r = signal_send_group(tg, &info);
        if (leader) task_put(leader);
    }
    tgroup_put(tg);
    return r;
}

/* PTRACE_MODE_ATTACH_REALCREDS without capabilities of the target: all its ids are ours. */
static bool may_attach(struct task *t)
{
    if (t->tg == current->tg) return true;
    const struct cred *me = current->cred;
    struct cred *c = task_get_cred(t);
    bool scoped = ll_trace(me->landlock, c);
    if (scoped || capable(19 /* CAP_SYS_PTRACE */)) {
        cred_put(c);
        return !scoped;
    }
    bool ok = me->uid == c->uid && me->uid == c->euid && me->uid == c->suid && me->gid == c->gid && me->gid == c->egid &&
              me->gid == c->sgid && cred_may_trace(me, c);
    cred_put(c);
    struct mm *mm = task_get_mm(t);
    if (mm && mm->dumpable != 1) ok = false;
    if (mm) mm_put(mm);
    return ok;
}

sysret_t linux_pidfd_getfd(const struct syscall_args *a)
{
    int want = ARG_INT(1), r;
    struct tgroup *tg;
    struct file *f = NULL;

    if (ARG_U32(2)) return -EINVAL;
    r = get_tgroup(ARG_INT(0), &tg);
    if (r) return r;
    lock(&kernel.tasklist);
    struct task *t = tg->zombie || tg->reaped ? NULL : tg->leader;
    if (t) task_get(t);
    unlock(&kernel.tasklist);
    tgroup_put(tg);
    if (!t) return -ESRCH;
    if (!may_attach(t)) {
        task_put(t);
        return -EPERM;
    }
    struct fdtable *ft = task_get_files(t);
    task_put(t);
    if (!ft) return -ESRCH;
    if (want < 0 || fdtable_next(ft, want, &f) != want) {
        if (f) file_put(f);
        f = NULL;
    }
    fdtable_put(ft);
    if (!f) return -EBADF;
    r = fd_install(f, true);
    if (r < 0) file_put(f);
    return r;
}
