/* pidfd_open(2): a process as a descriptor; readable once the process is a zombie. Source: pidfd_open(2). */
#include "sentry/fs/anon/anon.h"
#include "sentry/fs/proc/synth.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usercopy.h"
#include <sys/ioctl.h>

static bool is_zombie(struct tgroup *tg)
{
    lock(&kernel.tasklist);
    bool z = tg->zombie || tg->reaped;
    unlock(&kernel.tasklist);
    return z;
}

static u32 pidfd_poll(struct file *f, struct waiter *w)
{
    struct tgroup *tg = f->priv;

    if (w) waitq_add(&tg->exit_wait, w);
    return is_zombie(tg) ? POLLIN | POLLRDNORM : 0;
}

static void pidfd_release(struct file *f) { tgroup_put(f->priv); }

static void pidfd_fdinfo(struct file *f, struct strbuf *out)
{
    struct tgroup *tg = f->priv;

    lock(&kernel.tasklist);
    s32 pid = tg->reaped ? -1 : pid_out(tg->tgid);
    unlock(&kernel.tasklist);
    strbuf_printf(out, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

/* --- ioctl: include/uapi/linux/pidfd.h --- */

#define PIDFD_IOCTL 0xff
#define PIDFD_GET_INFO_NR 11
#define INFO_PID 1u
#define INFO_CREDS 2u
#define INFO_CGROUPID 4u
#define INFO_EXIT 8u
struct pidfd_info {
    u64 mask, cgroupid;
    u32 pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    s32 exit_code;
};
_Static_assert(sizeof(struct pidfd_info) == 64, "struct pidfd_info of version 0");

static void info_creds(struct pidfd_info *i, struct task *t)
{
    struct cred *c = task_get_cred(t);
    i->ruid = uid_out(c->uid), i->rgid = gid_out(c->gid), i->euid = uid_out(c->euid), i->egid = gid_out(c->egid);
    i->suid = uid_out(c->suid), i->sgid = gid_out(c->sgid), i->fsuid = uid_out(c->fsuid), i->fsgid = gid_out(c->fsgid);
    i->mask |= INFO_CREDS;
    cred_put(c);
}

/* A process that is gone has only its end to tell, one that is there everything but that. */
static sysret_t get_info(struct tgroup *tg, gaddr_t arg, u32 size)
{
    struct pidfd_info i = { 0 };
    u64 asked;

    if (size < sizeof i) return -ENOTTY;
    if (!arg) return -EINVAL;
    if (copy_in(&asked, arg, sizeof asked)) return -EFAULT;
    lock(&kernel.tasklist);
    struct task *t = tg->reaped ? NULL : tg->leader;
    if (t) task_get(t);
    if (!t && (asked & INFO_EXIT)) {
        i.exit_code = (s32)tg->exit_status;
        i.mask |= INFO_EXIT;
    }
    unlock(&kernel.tasklist);
    if (!t && (!(asked & INFO_EXIT) || !pid_ns_contains(current->tg->pid_ns, tg->pid_ns))) return -ESRCH;
    if (t) {
        i.pid = i.tgid = (u32)pid_out(tg->tgid);
        i.ppid = (u32)pid_out(tgroup_ppid(tg));
        i.mask |= INFO_PID | INFO_CGROUPID;    /* one cgroup for all, whose number is that of its root */
        i.cgroupid = 1;
        info_creds(&i, t);
        task_put(t);
        if (!i.pid) return -ESRCH;             /* not seen from the caller's namespace */
    }
    if (copy_out(arg, &i, sizeof i) || (size > sizeof i && zero_out(arg + sizeof i, size - sizeof i))) return -EFAULT;
    return 0;
}

/* By the number of the ioctl; NS_NTYPES: none there. */
static enum ns_type ns_of_nr(u32 nr)
{
    static const u8 types[] = { [1] = NS_CGROUP, [2] = NS_IPC, [3] = NS_MNT, [4] = NS_NET, [5] = NS_PID, [6] = NS_PID, [7] = NS_NTYPES, [8] = NS_NTYPES,
                                [9] = NS_USER, [10] = NS_UTS };
    return nr >= 1 && nr < ARRAY_LEN(types) ? (enum ns_type)types[nr] : NS_NTYPES;
}

static sysret_t get_ns(struct tgroup *tg, u32 nr)
{
    enum ns_type type = ns_of_nr(nr);
    struct ns *ns = NULL;

    if (type == NS_NTYPES) return -EOPNOTSUPP;
    lock(&kernel.tasklist);
    struct task *t = tg->zombie || tg->reaped ? NULL : tg->leader;
    if (t) task_get(t);
    unlock(&kernel.tasklist);
    if (!t) return -ESRCH;
    sysret_t r = synth_may_access(t) ? 0 : -EACCES;
    if (!r && nr == 6 /* pid_for_children */) {
        struct nsproxy *p = task_get_nsproxy(t);
        ns = p ? nsproxy_at(p, NS_PID) : tg->pid_ns ? &tg->pid_ns->ns : NULL;
        ns_get(ns);
        nsproxy_put(p);
    } else if (!r && !task_ns_get(t, type, &ns)) {
        r = -ESRCH;
    }
    task_put(t);
    if (!r) r = nsfs_open(type, ns);
    ns_put(ns);
    return r;
}

static sysret_t pidfd_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    if (_IOC_TYPE(cmd) != PIDFD_IOCTL) return -ENOTTY;
    if (_IOC_NR(cmd) == PIDFD_GET_INFO_NR) return get_info(f->priv, arg, _IOC_SIZE(cmd));
    if (cmd != _IO(PIDFD_IOCTL, _IOC_NR(cmd)) || _IOC_NR(cmd) < 1 || _IOC_NR(cmd) > 10) return -ENOTTY;
    return arg ? -EINVAL : get_ns(f->priv, _IOC_NR(cmd));
}

static const struct file_ops pidfd_ops = {
    .name = "anon_inode:[pidfd]", .ioctl = pidfd_ioctl, .poll = pidfd_poll, .release = pidfd_release, .show_fdinfo = pidfd_fdinfo,
};

int pidfd_create_file(struct tgroup *tg, u32 flags, struct file **out)
{
    tgroup_get(tg);
    *out = file_new_anon(&pidfd_ops, O_RDWR | (flags & O_NONBLOCK), tg);
    return 0;
}

struct tgroup *pidfd_tgroup(struct file *f) { return f->ops == &pidfd_ops ? f->priv : NULL; }
