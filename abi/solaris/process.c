/* exec, exit, wait, process groups. Source: exec(2), waitid(2), setpgrp(2), uts/common/syscall/pgrpsys.c. */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include <stdlib.h>
#include <sys/wait.h>

/* --- exec --- */

#define ARG_LIMIT 0x1ffe00ULL            /* ARG_MAX for 64-bit programs */

struct strings { char **v; int n, cap; };

static void strings_fini(struct strings *s)
{
    for (int i = 0; i < s->n; i++) free(s->v[i]);
    free(s->v);
}

static void strings_add(struct strings *s, char *str)
{
    if (s->n + 1 >= s->cap) s->v = xrealloc(s->v, (size_t)(s->cap = s->cap * 2 + 16) * sizeof(char *));
    s->v[s->n++] = str;
    s->v[s->n] = NULL;
}

static int copy_in_strings(struct strings *s, gaddr_t array, u64 *room, char *tmp)
{
    strings_add(s, NULL);
    s->n = 0;
    for (; array; array += 8) {
        gaddr_t p;
        ssize_t len;

        if (copy_in(&p, array, sizeof(p))) return -EFAULT;
        if (!p) break;
        len = copy_in_str(tmp, p, ARG_LIMIT);
        if (len == -ENAMETOOLONG) return -E2BIG;
        if (len < 0) return (int)len;
        if (*room < (u64)len + 1 + 8) return -E2BIG;
        *room -= (u64)len + 1 + 8;
        strings_add(s, xstrndup(tmp, (size_t)len));
    }
    return 0;
}

#define EXEC_DESCRIPTOR 1u

static int open_exec(const char *path, struct file **f)
{
    AUTO_PATH p = { 0 };
    int r = vfs_open_exec(AT_FDCWD, path, WALK_FOLLOW, f);

    if ((r != -ENOENT && r != -ENOTDIR) || !sol_pieces_lookup(path, &p)) return r;
    return vfs_open_nocheck(&p, O_RDONLY, f);
}

/* execve(path, argv, envp, flags): with EXEC_DESCRIPTOR the first argument is an open file's number. */
sysret_t solaris_execve(const struct syscall_args *a)
{
    struct strings args = { 0 }, env = { 0 };
    AUTO_FREE char *tmp = NULL;
    struct exec_req req = { 0 };
    u64 room = ARG_LIMIT;
    char path[SOL_PATH_MAX];
    sysret_t r;

    if (ARG_U32(3) & EXEC_DESCRIPTOR) {
        snprintf(path, sizeof(path), "/dev/fd/%d", ARG_INT(0));
        if ((r = vfs_open_exec(ARG_INT(0), "", WALK_EMPTY, &req.file))) return r;
        req.interp_path = path;
        req.fd_cloexec_script = fd_get_cloexec(ARG_INT(0)) == 1;
    } else {
        ssize_t n = copy_in_str(path, a->a[0], sizeof(path));
        if (n < 0) return n;
        if ((r = open_exec(path, &req.file))) return r;
    }
    req.filename = path;
    tmp = xzalloc(ARG_LIMIT);
    if ((r = copy_in_strings(&args, a->a[1], &room, tmp)) || (r = copy_in_strings(&env, a->a[2], &room, tmp))) {
        file_put(req.file);
        goto out;
    }
    if (!args.n) strings_add(&args, xstrdup(""));
    req.argv = args.v;
    req.argc = args.n;
    req.envp = env.v;
    req.envc = env.n;
    r = task_exec(&req);
    if (!r) {
        /* Registers are the new image's, whichever ABI that is; a Linux one has no state of ours. */
        struct sol_lwp *lw = current->abi == &abi_solaris ? sol_self() : NULL;
        if (lw) lw->full_restore = true;
    }
out:
    strings_fini(&args);
    strings_fini(&env);
    return r;
}

sysret_t solaris_exit(const struct syscall_args *a)
{
    task_group_exit((ARG_U32(0) & 0xff) << 8);
}

/* --- wait --- */

enum { SW_EXITED = 1, SW_TRAPPED = 2, SW_STOPPED = 4, SW_CONTINUED = 8, SW_NOHANG = 0x40, SW_NOWAIT = 0x80 };
enum { SP_PID = 0, SP_PGID = 2, SP_ALL = 7 };

sysret_t solaris_waitid(const struct syscall_args *a)
{
    struct wait_req req = { .id = ARG_INT(1), .options = __WALL };
    u32 o = ARG_U32(3);
    struct wait_result res;
    struct sol_siginfo si;
    sysret_t r;

    if (!o || o & ~(u32)(SW_EXITED | SW_TRAPPED | SW_STOPPED | SW_CONTINUED | SW_NOHANG | SW_NOWAIT)) return -EINVAL;
    if (!(o & (SW_EXITED | SW_TRAPPED | SW_STOPPED | SW_CONTINUED))) return -EINVAL;
    switch (ARG_INT(0)) {
    case SP_PID:
        if (req.id <= 0) return -EINVAL;
        req.which = P_PID;
        break;
    case SP_PGID:
        if (req.id < 0) return -EINVAL;
        req.which = P_PGID;
        if (!req.id) req.id = (s32)task_getpgid(0);
        break;
    case SP_ALL:
        req.which = P_ALL;
        break;
    default:
        return -EINVAL;
    }
    /* WTRAPPED asks for children that are traced, which /proc does there; here nothing traces a Solaris process. */
    req.options |= (o & SW_EXITED ? WEXITED : 0u) | (o & SW_STOPPED ? WSTOPPED : 0u) | (o & SW_CONTINUED ? WCONTINUED : 0u) |
                   (o & SW_NOHANG ? WNOHANG : 0u) | (o & SW_NOWAIT ? WNOWAIT : 0u);
    memset(&res, 0, sizeof(res));
    r = task_wait(&req, &res);
    if (r < 0) return r;
    memset(&si, 0, sizeof(si));
    if (r) {
        si.signo = sol_signo_out(SIGCHLD);
        si.code = res.code;
        si.child.pid = res.pid;
        si.child.status = res.code == CLD_EXITED ? res.status : sol_signo_out(res.status);
        si.child.utime = (s64)(res.ru.utime_ns / (NSEC_PER_SEC / 100));
        si.child.stime = (s64)(res.ru.stime_ns / (NSEC_PER_SEC / 100));
    }
    return copy_out(a->a[2], &si, sizeof(si));
}

/* --- names --- */

sysret_t solaris_getpid(const struct syscall_args *a)
{
    (void)a;
    return sol_ret2((u64)current->tg->tgid, (u64)tgroup_ppid(current->tg));
}

/* pgrpsys(op, ...): 0 getpgrp, 1 setpgrp, 2 getsid(pid), 3 setsid, 4 getpgid(pid), 5 setpgid(pid, pgid) */
sysret_t solaris_pgrpsys(const struct syscall_args *a)
{
    sysret_t r;

    switch (ARG_INT(0)) {
    case 0:
        return task_getpgid(0);
    case 1:
        /* setpgrp(2): like setsid, but one that leads already keeps what it has. */
        r = task_setsid();
        return r == -EPERM ? task_getpgid(0) : r;
    case 2:
        return ARG_INT(1) < 0 ? -EINVAL : task_getsid(ARG_INT(1));
    case 3:
        return task_setsid();
    case 4:
        return ARG_INT(1) < 0 ? -EINVAL : task_getpgid(ARG_INT(1));
    case 5:
        return task_setpgid(ARG_INT(1), ARG_INT(2));
    default:
        return 0;    /* as there: no code is wrong */
    }
}
