/* User and group ids, privileges. Source: setuid(2), setreuid(2), getgroups(2); uts/common/syscall/{uid,gid,ppriv}.c. */
#include "abi/solaris/solaris.h"
#include "sentry/base/alloc.h"
#include <linux/capability.h>
#include <stdlib.h>

#define NONE 0xffffffffu
#define NGROUPS 1024
#define MAXUID 2147483647u

static sysret_t commit(struct cred *n, bool uids)
{
    if (uids) cred_fix_caps_after_setuid(current_cred(), n);
    task_set_cred(n);
    return 0;
}

sysret_t solaris_getuid(const struct syscall_args *a)
{
    (void)a;
    return sol_ret2(current_cred()->uid, current_cred()->euid);
}

sysret_t solaris_getgid(const struct syscall_args *a)
{
    (void)a;
    return sol_ret2(current_cred()->gid, current_cred()->egid);
}

sysret_t solaris_setuid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 id = ARG_U32(0);
    bool any = capable(CAP_SETUID);

    if (id > MAXUID) return -EINVAL;
    if (!any && id != o->uid && id != o->suid) return -EPERM;
    struct cred *n = cred_copy(o);
    if (any) n->uid = n->suid = id;
    n->euid = n->fsuid = id;
    return commit(n, true);
}

sysret_t solaris_seteuid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 id = ARG_U32(0);

    if (id > MAXUID) return -EINVAL;
    if (!capable(CAP_SETUID) && id != o->uid && id != o->euid && id != o->suid) return -EPERM;
    struct cred *n = cred_copy(o);
    n->euid = n->fsuid = id;
    return commit(n, true);
}

sysret_t solaris_setgid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 id = ARG_U32(0);
    bool any = capable(CAP_SETGID);

    if (id > MAXUID) return -EINVAL;
    if (!any && id != o->gid && id != o->sgid) return -EPERM;
    struct cred *n = cred_copy(o);
    if (any) n->gid = n->sgid = id;
    n->egid = n->fsgid = id;
    return commit(n, false);
}

sysret_t solaris_setegid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 id = ARG_U32(0);

    if (id > MAXUID) return -EINVAL;
    if (!capable(CAP_SETGID) && id != o->gid && id != o->egid && id != o->sgid) return -EPERM;
    struct cred *n = cred_copy(o);
    n->egid = n->fsgid = id;
    return commit(n, false);
}

sysret_t solaris_setreuid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 r = ARG_U32(0), e = ARG_U32(1);
    bool any = capable(CAP_SETUID);

    if ((r != NONE && r > MAXUID) || (e != NONE && e > MAXUID)) return -EINVAL;
    if (!any && ((r != NONE && r != o->uid && r != o->euid) || (e != NONE && e != o->uid && e != o->euid && e != o->suid))) return -EPERM;
    struct cred *n = cred_copy(o);
    if (r != NONE) n->uid = r;
    if (e != NONE) n->euid = e;
    if (r != NONE || (e != NONE && e != o->uid)) n->suid = n->euid;
    n->fsuid = n->euid;
    return commit(n, true);
}

sysret_t solaris_setregid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 r = ARG_U32(0), e = ARG_U32(1);
    bool any = capable(CAP_SETGID);

    if ((r != NONE && r > MAXUID) || (e != NONE && e > MAXUID)) return -EINVAL;
    if (!any && ((r != NONE && r != o->gid && r != o->egid) || (e != NONE && e != o->gid && e != o->egid && e != o->sgid))) return -EPERM;
    struct cred *n = cred_copy(o);
    if (r != NONE) n->gid = r;
    if (e != NONE) n->egid = e;
    if (r != NONE || (e != NONE && e != o->gid)) n->sgid = n->egid;
    n->fsgid = n->egid;
    return commit(n, false);
}

sysret_t solaris_getgroups(const struct syscall_args *a)
{
    const struct cred *c = current_cred();
    int size = ARG_INT(0);

    if (size < 0) return -EINVAL;
    if (!size) return c->ngroups;
    if ((unsigned)size < c->ngroups) return -EINVAL;
    if (c->ngroups && copy_out(a->a[1], c->groups, c->ngroups * sizeof(u32))) return -EFAULT;
    return c->ngroups;
}

sysret_t solaris_setgroups(const struct syscall_args *a)
{
    u32 list[NGROUPS];
    int n = ARG_INT(0);

    if (!capable(CAP_SETGID)) return -EPERM;
    if (n < 0 || n > NGROUPS) return -EINVAL;
    if (n && copy_in(list, a->a[1], (size_t)n * sizeof(u32))) return -EFAULT;
    for (int i = 0; i < n; i++)
        if (list[i] > MAXUID) return -EINVAL;
    struct cred *c = cred_copy(current_cred());
    free(c->groups);
    c->groups = xzalloc(MAX(n, 1) * sizeof(u32));
    memcpy(c->groups, list, (size_t)n * sizeof(u32));
    c->ngroups = (unsigned)n;
    return commit(c, false);
}

/* sidsys: ephemeral ids of a CIFS world; none can be allocated. */
sysret_t solaris_sidsys(const struct syscall_args *a)
{
    (void)a;
    return -EINVAL;
}

/* --- privileges --- */

#define PRIV_FLAGS 0x1b3u             /* PRIV_DEBUG, _AWARE, NET_MAC_AWARE, _INHERIT, PRIV_XPOLICY, _AWARE_RESET */
#define PRIV_PROC_PROTECT 8u
enum { PRIVSYS_SETPPRIV, PRIVSYS_GETPPRIV, PRIVSYS_GETIMPLINFO, PRIVSYS_SETPFLAGS, PRIVSYS_GETPFLAGS, PRIVSYS_ISSETUGID };
/* privsys(op, a, b, buf, n, itype) */
sysret_t solaris_privsys(const struct syscall_args *a)
{
    u32 set[SOL_PRIV_WORDS], has[SOL_PRIV_WORDS];
    u32 op = ARG_U32(1), type = ARG_U32(2), flag = ARG_U32(1);

    switch (ARG_INT(0)) {
    case PRIVSYS_ISSETUGID: {
        const struct cred *c = current_cred();
        return c->uid != c->euid || c->gid != c->egid || current->mm->dumpable != 1;
    }
    case PRIVSYS_GETPPRIV:
        if (a->a[4] < sizeof(set)) return -ENOMEM;
        if (type >= SOL_PRIV_SETS) return -EINVAL;
        sol_privs_of(current_cred(), (int)type, set);
        return copy_out(a->a[3], set, sizeof(set));
    case PRIVSYS_SETPPRIV:
        if (a->a[4] < sizeof(set)) return -ENOMEM;
        if (op > 2 || type >= SOL_PRIV_SETS) return -EINVAL;
        if (copy_in(set, a->a[3], sizeof(set))) return -EFAULT;
        /* Privileges are not kept apart: taking one away has no effect, and none can be had that is not there. */
        sol_privs_of(current_cred(), (int)type, has);
        for (int i = 0; op != 1 && i < SOL_PRIV_WORDS; i++)                  /* 0 PRIV_ON, 1 PRIV_OFF, 2 PRIV_SET */
            if (set[i] & ~has[i]) return -EPERM;
        return 0;
    case PRIVSYS_GETIMPLINFO: return sol_priv_info(a->a[3], a->a[4]);
    case PRIVSYS_GETPFLAGS: return flag & ~PRIV_FLAGS || __builtin_popcount(flag) != 1 ? -EINVAL : 0;
    case PRIVSYS_SETPFLAGS:
        if (type > 1 || flag & ~(PRIV_FLAGS | PRIV_PROC_PROTECT) || __builtin_popcount(flag) != 1) return -EINVAL;
        return type ? -EPERM : 0;
    default:
        return -EINVAL;
    }
}
