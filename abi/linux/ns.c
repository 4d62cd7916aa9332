/* Namespaces: unshare(2), setns(2), ioctl_ns(2), namespaces(7). */
#include "abi/linux/fs.h"
#include "abi/linux/linux.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/ipc/sysv.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/pid_ns.h"
#include <linux/capability.h>
#include <sched.h>
#include <string.h>

/* As on a Linux without CONFIG_TIME_NS, CLONE_NEWTIME is unknown. */
#define NEW_NAMESPACES (CLONE_NEWNS | CLONE_NEWUSER | (u64)NSPROXY_FLAGS)

static void set_fs(struct fs_context *n)
{
    struct task *t = current;
    lock(&t->lock);
    struct fs_context *old = t->fs;
    t->fs = n;
    unlock(&t->lock);
    fs_context_put(old);
}

static bool is_threaded(void)
{
    lock(&kernel.tasklist);
    unsigned threads = current->tg->nr_tasks;
    unlock(&kernel.tasklist);
    return threads > 1;
}

sysret_t linux_unshare(const struct syscall_args *a)
{
    u64 flags = a->a[0];
    struct cred *c = NULL;
    struct nsproxy *ns = NULL;
    int r = 0;

    if (flags & CLONE_NEWUSER) flags |= CLONE_THREAD | CLONE_FS;
    if (flags & CLONE_NEWNS) flags |= CLONE_FS;
    if (flags & ~(u64)(CLONE_THREAD | CLONE_FS | CLONE_SIGHAND | CLONE_VM | CLONE_FILES | CLONE_SYSVSEM | NEW_NAMESPACES)) return -EINVAL;
    if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && is_threaded()) return -EINVAL;
    if (flags & CLONE_NEWUSER) {
        c = cred_copy(current_cred());
        if ((r = user_ns_new(c))) goto out;
    }
    const struct cred *as = c ? c : current_cred();
    r = -EPERM;
    if ((flags & (CLONE_NEWNS | NSPROXY_FLAGS)) && !cred_ns_capable(as, as->user_ns, CAP_SYS_ADMIN)) goto out;
    if ((r = nsproxy_new(current->ns, flags, as, &ns))) goto out;
    if ((flags & CLONE_FILES) && (r = fdtable_unshare_current())) {
        nsproxy_put(ns);
        goto out;
    }
    if (flags & CLONE_FS) {
        struct fs_context *fs = fs_context_copy(current->fs);
        if ((flags & CLONE_NEWNS) && (r = fs_new_mounts(fs, as->user_ns))) {
            fs_context_put(fs);
            nsproxy_put(ns);
            goto out;
        }
        set_fs(fs);
    }
    if (flags & CLONE_NEWIPC) shm_task_exit(current);   /* what it made stays behind, without a maker */
    if (ns) task_set_nsproxy(ns);
    if (flags & (CLONE_SYSVSEM | CLONE_NEWIPC)) sem_undo_exit(current);
    if (c) task_set_cred(c);
    return 0;
out:
    cred_put(c);
    return r;
}

/* --- setns --- */

static int enter_user(struct user_ns *u, struct cred **as)
{
    /* The initial one has no descendants above it: nobody below has capabilities there. */
    if (u == current_cred()->user_ns || is_threaded() || fs_is_shared(current->fs)) return -EINVAL;
    if (!ns_capable(u, CAP_SYS_ADMIN)) return -EPERM;
    *as = cred_copy(current_cred());
    user_ns_enter(*as, u);
    return 0;
}

static int enter(enum ns_type type, struct ns *ns, const struct cred *as, struct nsproxy *n, struct mnt_ns **mnt)
{
    struct user_ns *owner = ns ? ns->owner : NULL;

    if (!cred_ns_capable(as, owner, CAP_SYS_ADMIN) || !cred_ns_capable(as, as->user_ns, CAP_SYS_ADMIN)) return -EPERM;
    if (type == NS_MNT) {
        if (!cred_ns_capable(as, as->user_ns, CAP_SYS_CHROOT)) return -EPERM;
        if (fs_is_shared(current->fs)) return -EINVAL;
        *mnt = container_of(ns, struct mnt_ns, ns);
        return 0;
    }
    struct pid_ns *pid = ns ? container_of(ns, struct pid_ns, ns) : NULL;
    if (type == NS_PID && !pid_ns_contains(current->tg->pid_ns, pid)) return -EINVAL;   /* only downwards */
    nsproxy_set(n, type, ns);
    return 0;
}

static sysret_t enter_all(struct ns *const at[NS_NTYPES], u64 flags)
{
    struct cred *c = NULL;
    struct nsproxy *n = nsproxy_copy(current->ns);
    struct mnt_ns *mnt = NULL;
    int r = 0;

    for (int i = 0; i < NS_NTYPES && !r; i++) {   /* the user namespace is the first, and gives the right for the others */
        if (!(flags & ns_clone_flag((enum ns_type)i))) continue;
        r = i == NS_USER ? enter_user(at[i] ? container_of(at[i], struct user_ns, ns) : NULL, &c)
                         : enter((enum ns_type)i, at[i], c ? c : current_cred(), n, &mnt);
    }
    if (r) {
        cred_put(c);
        nsproxy_put(n);
        return r;
    }
    if (mnt) fs_enter_mounts(current->fs, mnt);
    if (flags & NSPROXY_FLAGS) {
        if (flags & CLONE_NEWIPC) sem_undo_exit(current);
        task_set_nsproxy(n);
    } else {
        nsproxy_put(n);
    }
    if (c) task_set_cred(c);
    return 0;
}

static sysret_t enter_of_process(struct tgroup *tg, u64 flags)
{
    struct ns *at[NS_NTYPES] = { NULL };
    struct task *t = tgroup_leader_get(tg);
    sysret_t r = 0;

    if (!t) return -ESRCH;
    if (!linux_may_access_task(t)) r = -EPERM;
    for (int i = 0; i < NS_NTYPES && !r; i++)
        if ((flags & ns_clone_flag((enum ns_type)i)) && !task_ns_get(t, (enum ns_type)i, &at[i])) r = -ESRCH;
    task_put(t);
    if (!r) r = enter_all(at, flags);
    for (int i = 0; i < NS_NTYPES; i++) ns_put(at[i]);
    return r;
}

sysret_t linux_setns(const struct syscall_args *a)
{
    u32 flags = ARG_U32(1);
    struct ns *at[NS_NTYPES] = { NULL }, *ns;
    enum ns_type type;

    FILE_ARG(f, a->a[0]);
    struct tgroup *tg = pidfd_tgroup(f);
    if (tg) return flags && !(flags & ~NEW_NAMESPACES) ? enter_of_process(tg, flags) : -EINVAL;
    if (!nsfs_file(f, &type, &ns)) return -EINVAL;
    if (flags && flags != ns_clone_flag(type)) return -EINVAL;
    at[type] = ns;
    return enter_all(at, ns_clone_flag(type));
}
