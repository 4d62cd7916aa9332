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

enum { PRIVSYS_SETPPRIV, PRIVSYS_GETPPRIV, PRIVSYS_GETIMPLINFO, PRIVSYS_SETPFLAGS, PRIVSYS_GETPFLAGS, PRIVSYS_ISSETUGID };
/* Three words of privileges (sys/priv_const.h: 84 of them in 2015), four sets: effective, inheritable, permitted, limit. */
#define PRIV_WORDS 3
#define PRIV_SETS 4

/* A process that is root here has them all; another one the basic ones, which are the lowest numbers' business. */
static void privs_of(u32 out[PRIV_WORDS])
{
    memset(out, 0, PRIV_WORDS * sizeof(u32));
    if (capable(CAP_SYS_ADMIN)) memset(out, 0xff, PRIV_WORDS * sizeof(u32));
}

/* privsys(op, a, b, buf, n, itype) */
sysret_t solaris_privsys(const struct syscall_args *a)
{
    u32 set[PRIV_WORDS];
    u64 n = a->a[4];

    switch (ARG_INT(0)) {
    case PRIVSYS_ISSETUGID: {
        const struct cred *c = current_cred();
        return c->uid != c->euid || c->gid != c->egid || current->mm->dumpable != 1;
    }
    case PRIVSYS_GETPPRIV:
        if (ARG_U32(2) >= PRIV_SETS || n < sizeof(set)) return -EINVAL;
        privs_of(set);
        return copy_out(a->a[3], set, sizeof(set));
    case PRIVSYS_SETPPRIV:
        if (ARG_U32(1) > 2 || ARG_U32(2) >= PRIV_SETS || n < sizeof(set)) return -EINVAL;
        /* Privileges are not kept apart: taking one away cannot be honoured, and nothing more can be had. */
        if (copy_in(set, a->a[3], sizeof(set))) return -EFAULT;
        return ARG_U32(1) == 0 && !capable(CAP_SYS_ADMIN) ? -EPERM : 0;
    case PRIVSYS_GETPFLAGS:
        return ARG_U32(1) ? 0 : -EINVAL;
    case PRIVSYS_SETPFLAGS:
        return ARG_U32(2) ? -EPERM : 0;
    default:
        return -EINVAL;
    }
}
