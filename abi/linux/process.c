/* fork, clone, exit, wait and the calls that name processes. Source: clone(2), wait(2), waitid(2). */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include "abi/linux/uapi_process.h"
#include "abi/linux/uapi_signal.h"
#include "sentry/fs/devpts/tty.h"
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>

#define LEGACY_FLAGS 0xffffffffULL
#define MAX_SET_TID 32

/* --- making --- */

static sysret_t do_clone(const struct clone_args_k *k)
{
    if (k->flags & LINUX_CLONE_INTO_CGROUP) return -EINVAL;   /* no cgroups inside */
    if (k->set_tls && k->tls >= GUEST_ADDR_MAX) return -EPERM;   /* as ARCH_SET_FS */
    return task_clone(k);
}

sysret_t linux_fork(const struct syscall_args *a)
{
    (void)a;
    return do_clone(&(struct clone_args_k){ .exit_signal = SIGCHLD });
}

sysret_t linux_vfork(const struct syscall_args *a)
{
    (void)a;
    return do_clone(&(struct clone_args_k){ .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD });
}

sysret_t linux_clone(const struct syscall_args *a)
{
    u64 flags = a->a[0] & LEGACY_FLAGS & ~LINUX_CSIGNAL;
    struct clone_args_k k = {
        .flags = flags, .stack = a->a[1], .parent_tid = a->a[2], .child_tid = a->a[3],
        .tls = a->a[4], .set_tls = flags & CLONE_SETTLS, .exit_signal = (int)(a->a[0] & LINUX_CSIGNAL),
    };

    if (flags & CLONE_PIDFD) {
        /* clone(2) has one pointer for both. */
        if (flags & (CLONE_PARENT_SETTID | LINUX_CLONE_DETACHED)) return -EINVAL;
        k.pidfd = a->a[2];
        k.parent_tid = 0;
    }
    return do_clone(&k);
}

/* A structure that grows: what we do not know must be zero. Source: copy_struct_from_user(). */
static int copy_in_struct(void *dst, size_t known, gaddr_t src, u64 size)
{
    u8 rest[128];

    memset(dst, 0, known);
    if (copy_in(dst, src, MIN(known, size))) return -EFAULT;
    for (u64 at = known; at < size;) {
        size_t n = MIN(sizeof(rest), size - at);
        if (copy_in(rest, src + at, n)) return -EFAULT;
        for (size_t i = 0; i < n; i++)
            if (rest[i]) return -E2BIG;
        at += n;
    }
    return 0;
}

sysret_t linux_clone3(const struct syscall_args *a)
{
    struct linux_clone_args u;
    s32 tids[MAX_SET_TID];
    int r;

    if (a->a[1] > GPAGE_SIZE) return -E2BIG;
    if (a->a[1] < LINUX_CLONE_ARGS_SIZE_VER0) return -EINVAL;
    if ((r = copy_in_struct(&u, sizeof(u), a->a[0], a->a[1]))) return r;
    if (u.set_tid_size > MAX_SET_TID || !u.set_tid != !u.set_tid_size) return -EINVAL;
    if ((u.exit_signal & ~LINUX_CSIGNAL) || u.exit_signal > 64) return -EINVAL;
    if (u.flags & ~(LEGACY_FLAGS | LINUX_CLONE_CLEAR_SIGHAND | LINUX_CLONE_INTO_CGROUP)) return -EINVAL;
    if (u.flags & (LINUX_CLONE_DETACHED | (LINUX_CSIGNAL & ~LINUX_CLONE_NEWTIME))) return -EINVAL;
    if ((u.flags & CLONE_SIGHAND) && (u.flags & LINUX_CLONE_CLEAR_SIGHAND)) return -EINVAL;
    if ((u.flags & (CLONE_THREAD | CLONE_PARENT)) && u.exit_signal) return -EINVAL;
    if (!u.stack != !u.stack_size) return -EINVAL;
    if (u.stack && (u.stack + u.stack_size < u.stack || u.stack + u.stack_size > GUEST_ADDR_MAX)) return -EINVAL;
    if (u.set_tid_size && copy_in(tids, u.set_tid, u.set_tid_size * sizeof(s32))) return -EFAULT;
    return do_clone(&(struct clone_args_k){
        .flags = u.flags, .stack = u.stack + u.stack_size, .tls = u.tls, .set_tls = u.flags & CLONE_SETTLS,
        .parent_tid = u.parent_tid, .child_tid = u.child_tid, .pidfd = u.pidfd, .exit_signal = (int)u.exit_signal,
        .set_tid = u.set_tid_size ? tids : NULL, .set_tid_n = (unsigned)u.set_tid_size,
    });
}

/* --- ending --- */

sysret_t linux_exit(const struct syscall_args *a)
{
    task_exit((ARG_U32(0) & 0xff) << 8);
}

sysret_t linux_exit_group(const struct syscall_args *a)
{
    task_group_exit((ARG_U32(0) & 0xff) << 8);
}

/* Weak like the table's entries: the futex adapters own the robust list. */
void linux_robust_list_exit(struct task *t) __attribute__((weak));

void linux_task_exit(struct task *t)
{
    if (linux_robust_list_exit) linux_robust_list_exit(t);
}

sysret_t linux_wait4(const struct syscall_args *a)
{
    s32 pid = ARG_INT(0);
    u32 options = ARG_U32(2);
    struct wait_req req = { .which = P_ALL, .options = options | WEXITED };
    struct wait_result res;
    sysret_t ret;

    if (options & ~(u32)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) return -EINVAL;
    if (pid == INT32_MIN) return -ESRCH;
    if (pid > 0) {
        req.which = P_PID;
        req.id = pid_in(pid);
    } else if (pid != -1) {
        req.which = P_PGID;
        req.id = pid ? pid_in(-pid) : (s32)task_getpgid(0);
    }
    ret = task_wait(&req, &res);
    if (ret <= 0) return ret;
    if (a->a[1] && copy_out(a->a[1], &res.wstatus, sizeof(res.wstatus))) return -EFAULT;
    if (a->a[3] && linux_copy_out_rusage(a->a[3], &res.ru)) return -EFAULT;
    return ret;
}

sysret_t linux_waitid(const struct syscall_args *a)
{
    u32 options = ARG_U32(3);
    struct wait_req req = { .which = ARG_INT(0), .id = ARG_INT(1), .options = options };
    struct wait_result res;
    struct linux_siginfo info;
    bool nonblock = false;
    sysret_t ret;

    if (options & ~(u32)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
        return -EINVAL;
    if (!(options & (WEXITED | WSTOPPED | WCONTINUED))) return -EINVAL;
    switch (req.which) {
    case P_ALL:
        break;
    case P_PID:
        if (req.id <= 0) return -EINVAL;
        req.id = pid_in(req.id);
        break;
    case P_PGID:
        if (req.id < 0) return -EINVAL;
        req.id = req.id ? pid_in(req.id) : (s32)task_getpgid(0);
        break;
    case 3: {   /* P_PIDFD */
        if (req.id < 0) return -EINVAL;
        FILE_ARG(f, req.id);
        struct tgroup *tg = pidfd_tgroup(f);
        if (!tg) return -EBADF;
        req.which = P_PID;
        req.id = tg->tgid;
        nonblock = (f->flags & O_NONBLOCK) && !(options & WNOHANG);
        if (nonblock) req.options |= WNOHANG;
        break;
    }
    default:
        return -EINVAL;
    }
    memset(&res, 0, sizeof(res));
    ret = task_wait(&req, &res);
    if (ret < 0) return ret;
    if (!ret && nonblock) return -EAGAIN;
    if (ret && a->a[4] && linux_copy_out_rusage(a->a[4], &res.ru)) return -EFAULT;
    if (a->a[2]) {
        memset(&info, 0, sizeof(info));
        if (ret) {
            info.signo = SIGCHLD;
            info.code = res.code;
            info.child.pid = res.pid;
            info.child.uid = uid_out(res.uid);
            info.child.status = res.status;
        }
        /* Only the fields POSIX names are written. */
        if (copy_out(a->a[2], &info, offsetof(struct linux_siginfo, child.status) + sizeof(s32))) return -EFAULT;
    }
    return 0;
}

/* --- names --- */

/* A process number or an error. */
static sysret_t number_out(sysret_t r) { return r > 0 ? pid_out((s32)r) : r; }

sysret_t linux_getpid(const struct syscall_args *a)
{
    (void)a;
    return current->tg->vtgid;
}

sysret_t linux_gettid(const struct syscall_args *a)
{
    (void)a;
    return current->vtid;
}

sysret_t linux_getppid(const struct syscall_args *a)
{
    sysret_t pid;

    (void)a;
    lock(&kernel.tasklist);
    pid = current->tg->parent ? pid_out(current->tg->parent->tgid) : 0;
    unlock(&kernel.tasklist);
    return pid;
}

sysret_t linux_set_tid_address(const struct syscall_args *a)
{
    current->clear_child_tid = a->a[0];
    return current->vtid;
}

sysret_t linux_getpgid(const struct syscall_args *a)
{
    return number_out(task_getpgid(pid_in(ARG_INT(0))));
}

sysret_t linux_getpgrp(const struct syscall_args *a)
{
    (void)a;
    return number_out(task_getpgid(0));
}

sysret_t linux_setpgid(const struct syscall_args *a)
{
    return task_setpgid(pid_in(ARG_INT(0)), pid_in(ARG_INT(1)));
}

sysret_t linux_getsid(const struct syscall_args *a)
{
    return number_out(task_getsid(pid_in(ARG_INT(0))));
}

/* The caller's terminal hangs up for everybody; without one there is nothing to do. */
sysret_t linux_vhangup(const struct syscall_args *a UNUSED)
{
    if (!capable(CAP_SYS_TTY_CONFIG)) return -EPERM;
    struct tty *tty = tty_current_get();
    if (tty) {
        tty_hangup(tty);
        tty_put(tty);
    }
    return 0;
}

sysret_t linux_setsid(const struct syscall_args *a)
{
    (void)a;
    return number_out(task_setsid());
}
