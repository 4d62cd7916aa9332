/* User and group ids, capabilities. Source: credentials(7), setuid(2)..., capset(2); kernel/sys.c, security/commoncap.c. */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_process.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/ns.h"
#include <linux/capability.h>
#include <string.h>

#define NGROUPS_MAX_ 65536
#define NONE 0xffffffffu
#define CAPS_KNOWN ((1ULL << (CAP_LAST_CAP + 1)) - 1)

static sysret_t commit_uids(struct cred *n)
{
    cred_fix_caps_after_setuid(current_cred(), n);
    task_set_cred(n);
    return 0;
}

static sysret_t refuse(struct cred *n, int err)
{
    cred_put(n);
    return err;
}

/* An id that is not "leave it" and has no meaning in the caller's user namespace. */
static bool unmapped(u32 given, u32 id) { return given != NONE && id == NONE; }

sysret_t linux_getuid(const struct syscall_args *a) { (void)a; return uid_out(current_cred()->uid); }
sysret_t linux_geteuid(const struct syscall_args *a) { (void)a; return uid_out(current_cred()->euid); }
sysret_t linux_getgid(const struct syscall_args *a) { (void)a; return gid_out(current_cred()->gid); }
sysret_t linux_getegid(const struct syscall_args *a) { (void)a; return gid_out(current_cred()->egid); }

sysret_t linux_setuid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 id = uid_in(ARG_U32(0));
    struct cred *n;

    if (id == NONE) return -EINVAL;
    n = cred_copy(o);
    if (own_ns_capable(CAP_SETUID))
        n->uid = n->suid = id;
    else if (id != o->uid && id != o->suid)
        return refuse(n, -EPERM);
    n->euid = n->fsuid = id;
    return commit_uids(n);
}

sysret_t linux_setgid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 id = gid_in(ARG_U32(0));
    struct cred *n;

    if (id == NONE) return -EINVAL;
    n = cred_copy(o);
    if (own_ns_capable(CAP_SETGID))
        n->gid = n->sgid = id;
    else if (id != o->gid && id != o->sgid)
        return refuse(n, -EPERM);
    n->egid = n->fsgid = id;
    task_set_cred(n);
    return 0;
}

sysret_t linux_setreuid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 r = uid_in(ARG_U32(0)), e = uid_in(ARG_U32(1));
    bool any = own_ns_capable(CAP_SETUID);

    if (unmapped(ARG_U32(0), r) || unmapped(ARG_U32(1), e)) return -EINVAL;
    struct cred *n = cred_copy(o);
    if (r != NONE) {
        if (!any && r != o->uid && r != o->euid) return refuse(n, -EPERM);
        n->uid = r;
    }
    if (e != NONE) {
        if (!any && e != o->uid && e != o->euid && e != o->suid) return refuse(n, -EPERM);
        n->euid = e;
    }
    if (r != NONE || (e != NONE && e != o->uid)) n->suid = n->euid;
    n->fsuid = n->euid;
    return commit_uids(n);
}

sysret_t linux_setregid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 r = gid_in(ARG_U32(0)), e = gid_in(ARG_U32(1));
    bool any = own_ns_capable(CAP_SETGID);

    if (unmapped(ARG_U32(0), r) || unmapped(ARG_U32(1), e)) return -EINVAL;
    struct cred *n = cred_copy(o);
    if (r != NONE) {
        if (!any && r != o->gid && r != o->egid) return refuse(n, -EPERM);
        n->gid = r;
    }
    if (e != NONE) {
        if (!any && e != o->gid && e != o->egid && e != o->sgid) return refuse(n, -EPERM);
        n->egid = e;
    }
    if (r != NONE || (e != NONE && e != o->gid)) n->sgid = n->egid;
    n->fsgid = n->egid;
    task_set_cred(n);
    return 0;
}

static bool one_of(u32 id, u32 a, u32 b, u32 c)
{
    return id == NONE || id == a || id == b || id == c;
}

sysret_t linux_setresuid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 r = uid_in(ARG_U32(0)), e = uid_in(ARG_U32(1)), s = uid_in(ARG_U32(2));
    struct cred *n;

    if (unmapped(ARG_U32(0), r) || unmapped(ARG_U32(1), e) || unmapped(ARG_U32(2), s)) return -EINVAL;
    if (!own_ns_capable(CAP_SETUID) && (!one_of(r, o->uid, o->euid, o->suid) || !one_of(e, o->uid, o->euid, o->suid) ||
                                 !one_of(s, o->uid, o->euid, o->suid)))
        return -EPERM;
    n = cred_copy(o);
    if (r != NONE) n->uid = r;
    if (e != NONE) n->euid = e;
    if (s != NONE) n->suid = s;
    n->fsuid = n->euid;
    return commit_uids(n);
}

sysret_t linux_setresgid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 r = gid_in(ARG_U32(0)), e = gid_in(ARG_U32(1)), s = gid_in(ARG_U32(2));
    struct cred *n;

    if (unmapped(ARG_U32(0), r) || unmapped(ARG_U32(1), e) || unmapped(ARG_U32(2), s)) return -EINVAL;
    if (!own_ns_capable(CAP_SETGID) && (!one_of(r, o->gid, o->egid, o->sgid) || !one_of(e, o->gid, o->egid, o->sgid) ||
                                 !one_of(s, o->gid, o->egid, o->sgid)))
        return -EPERM;
    n = cred_copy(o);
    if (r != NONE) n->gid = r;
    if (e != NONE) n->egid = e;
    if (s != NONE) n->sgid = s;
    n->fsgid = n->egid;
    task_set_cred(n);
    return 0;
}

static sysret_t put_three(const struct syscall_args *a, u32 r, u32 e, u32 s)
{
    return copy_out(a->a[0], &r, 4) || copy_out(a->a[1], &e, 4) || copy_out(a->a[2], &s, 4) ? -EFAULT : 0;
}

sysret_t linux_getresuid(const struct syscall_args *a)
{
    const struct cred *c = current_cred();
    return put_three(a, uid_out(c->uid), uid_out(c->euid), uid_out(c->suid));
}

sysret_t linux_getresgid(const struct syscall_args *a)
{
    const struct cred *c = current_cred();
    return put_three(a, gid_out(c->gid), gid_out(c->egid), gid_out(c->sgid));
}

/* These two cannot fail: they tell the id from before. */
sysret_t linux_setfsuid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 id = uid_in(ARG_U32(0)), old = o->fsuid;

    if (id != NONE && id != old && (one_of(id, o->uid, o->euid, o->suid) || own_ns_capable(CAP_SETUID))) {
        struct cred *n = cred_copy(o);
        n->fsuid = id;
        commit_uids(n);
    }
    return uid_out(old);
}

sysret_t linux_setfsgid(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    u32 id = gid_in(ARG_U32(0)), old = o->fsgid;

    if (id != NONE && id != old && (one_of(id, o->gid, o->egid, o->sgid) || own_ns_capable(CAP_SETGID))) {
        struct cred *n = cred_copy(o);
        n->fsgid = id;
        task_set_cred(n);
    }
    return gid_out(old);
}

sysret_t linux_getgroups(const struct syscall_args *a)
{
    const struct cred *c = current_cred();
    int size = ARG_INT(0);

    if (size < 0) return -EINVAL;
    if (size) {
        if ((unsigned)size < c->ngroups) return -EINVAL;
        for (unsigned i = 0; i < c->ngroups; i++) {
            u32 g = gid_out(c->groups[i]);
            if (copy_out(a->a[1] + i * sizeof(u32), &g, sizeof(g))) return -EFAULT;
        }
    }
    return c->ngroups;
}

static int compare_gid(const void *x, const void *y)
{
    u32 a = *(const u32 *)x, b = *(const u32 *)y;
    return a < b ? -1 : a > b;
}

sysret_t linux_setgroups(const struct syscall_args *a)
{
    u32 size = ARG_U32(0);
    AUTO_FREE u32 *g = NULL;
    struct cred *n;

    if (!own_ns_capable(CAP_SETGID) || !user_ns_may_setgroups(current_cred()->user_ns)) return -EPERM;
    if (size > NGROUPS_MAX_) return -EINVAL;
    if (size) {
        if (!(g = try_zalloc(size, sizeof(u32)))) return -ENOMEM;
        if (copy_in(g, a->a[1], size * sizeof(u32))) return -EFAULT;
        for (u32 i = 0; i < size; i++)
            if ((g[i] = gid_in(g[i])) == NONE) return -EINVAL;
        qsort(g, size, sizeof(u32), compare_gid);
    }
    n = cred_copy(current_cred());
    free(n->groups);
    n->groups = g;
    n->ngroups = size;
    g = NULL;
    task_set_cred(n);
    return 0;
}

/* --- capabilities --- */

/* Number of 32-bit words the version has; -EINVAL after telling the caller which one to use. */
static int cap_words(gaddr_t header, struct linux_cap_header *h)
{
    static const u32 newest = LINUX_CAPABILITY_VERSION_3;

    if (copy_in(h, header, sizeof(*h))) return -EFAULT;
    if (h->version == LINUX_CAPABILITY_VERSION_1) return 1;
    if (h->version == LINUX_CAPABILITY_VERSION_2 || h->version == LINUX_CAPABILITY_VERSION_3) return 2;
    return copy_out(header, &newest, sizeof(newest)) ? -EFAULT : -EINVAL;
}

sysret_t linux_capget(const struct syscall_args *a)
{
    struct linux_cap_header h;
    struct linux_cap_data d[2];
    struct cred *c;
    int words = cap_words(a->a[0], &h);

    if (words < 0) return words == -EINVAL && !a->a[1] ? 0 : words;
    if (h.pid < 0) return -EINVAL;
    if (h.pid && h.pid != current->vtid) {
        struct task *t = task_lookup_get(pid_in(h.pid));
        if (!t) return -ESRCH;
        c = task_get_cred(t);
        task_put(t);
    } else {
        c = task_get_cred(current);
    }
    for (int i = 0; i < 2; i++)
        d[i] = (struct linux_cap_data){ (u32)(c->cap_effective >> (32 * i)), (u32)(c->cap_permitted >> (32 * i)),
                                        (u32)(c->cap_inheritable >> (32 * i)) };
    cred_put(c);
    if (!a->a[1]) return 0;
    return copy_out(a->a[1], d, (size_t)words * sizeof(d[0])) ? -EFAULT : 0;
}

sysret_t linux_capset(const struct syscall_args *a)
{
    const struct cred *o = current_cred();
    struct linux_cap_header h;
    struct linux_cap_data d[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
    struct cred *n;
    u64 e, p, i;
    int words = cap_words(a->a[0], &h);

    if (words < 0) return words;
    if (h.pid && h.pid != current->vtid) return -EPERM;
    if (copy_in(d, a->a[1], (size_t)words * sizeof(d[0]))) return -EFAULT;
    e = (d[0].effective | (u64)d[1].effective << 32) & CAPS_KNOWN;
    p = (d[0].permitted | (u64)d[1].permitted << 32) & CAPS_KNOWN;
    i = (d[0].inheritable | (u64)d[1].inheritable << 32) & CAPS_KNOWN;
    if (!own_ns_capable(CAP_SETPCAP) && (i & ~(o->cap_inheritable | o->cap_permitted))) return -EPERM;
    if (i & ~(o->cap_inheritable | o->cap_bset)) return -EPERM;
    if (p & ~o->cap_permitted) return -EPERM;
    if (e & ~p) return -EPERM;
    n = cred_copy(o);
    n->cap_effective = e;
    n->cap_permitted = p;
    n->cap_inheritable = i;
    n->cap_ambient &= p & i;
    task_set_cred(n);
    return 0;
}
