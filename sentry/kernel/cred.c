/* Credentials. Sources: credentials(7), capabilities(7); rules of security/commoncap.c and kernel/cred.c. */
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ns.h"
#include "sentry/landlock/landlock.h"
#include "sentry/mm/mm.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>

#define CAP_BIT(c) (1ULL << (c))
/* Capabilities tied to the fsuid: CAP_FS_SET of the kernel. */
#define CAP_FS_SET (CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) | \
    CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_LINUX_IMMUTABLE) | CAP_BIT(CAP_MAC_OVERRIDE))

struct cred *cred_new(u32 uid, u32 gid, u64 caps)
{
    struct cred *c = xnew(struct cred);

    ref_init(&c->refs);
    c->uid = c->euid = c->suid = c->fsuid = uid;
    c->gid = c->egid = c->sgid = c->fsgid = gid;
    c->cap_permitted = c->cap_effective = c->cap_bset = caps;
    return c;
}

void cred_get(struct cred *c) { ref_get(&c->refs); }

void cred_put(struct cred *c)
{
    if (!c || !ref_put(&c->refs)) return;
    if (c->user_ns) ns_put(&c->user_ns->ns);
    ll_layer_put(c->landlock);
    free(c->groups);
    free(c);
}

struct cred *cred_copy(const struct cred *c)
{
    struct cred *n = xnew(struct cred);

    *n = *c;
    ref_init(&n->refs);
    if (n->user_ns) ns_get(&n->user_ns->ns);
    ll_layer_get(n->landlock);
    if (c->ngroups) {
        n->groups = xzalloc(c->ngroups * sizeof *n->groups);
        memcpy(n->groups, c->groups, c->ngroups * sizeof *n->groups);
    } else {
        n->groups = NULL;
    }
    return n;
}

bool cred_in_group(const struct cred *c, u32 gid)
{
    if (c->fsgid == gid) return true;
    for (unsigned i = 0; i < c->ngroups; i++)
        if (c->groups[i] == gid) return true;
    return false;
}

/* The sentry's own threads act with all capabilities. */
bool capable(int cap) { return !current || cred_capable(current->cred, cap); }

void cred_fix_caps_after_setuid(const struct cred *old, struct cred *new_)
{
    u32 root = id_from_ns(old->user_ns, ID_UID, 0);
    bool had_root = root != NO_ID && (old->uid == root || old->euid == root || old->suid == root);
    bool has_root = root != NO_ID && (new_->uid == root || new_->euid == root || new_->suid == root);

    if (old->securebits & SECBIT_NO_SETUID_FIXUP) return;
    if (had_root && !has_root) {
        if (!(old->securebits & SECBIT_KEEP_CAPS)) new_->cap_permitted = new_->cap_effective = 0;
        /* Programs older than ambient capabilities expect setresuid to a non-root user, then exec, to drop all. */
        new_->cap_ambient = 0;
    }
    if (root == NO_ID) return;
    if (old->euid == root && new_->euid != root) new_->cap_effective = 0;
    if (old->euid != root && new_->euid == root) new_->cap_effective = new_->cap_permitted;
    if (old->fsuid == root && new_->fsuid != root) new_->cap_effective &= ~CAP_FS_SET;
    if (old->fsuid != root && new_->fsuid == root) new_->cap_effective |= new_->cap_permitted & CAP_FS_SET;
}

struct cred *task_get_cred(struct task *t)
{
    lock(&t->lock);
    struct cred *c = t->cred;
    cred_get(c);
    unlock(&t->lock);
    return c;
}

bool cred_over_task(const struct cred *c, struct task *t, int cap)
{
    struct cred *theirs = task_get_cred(t);
    bool r = cred_ns_capable(c, theirs->user_ns, cap);
    cred_put(theirs);
    return r;
}

void keys_fsid_changed(u32 uid, u32 gid) __attribute__((weak));

void task_set_cred(struct cred *new_)
{
    struct task *t = current;
    struct cred *old = t->cred;
    bool uid_moves = old->uid != new_->uid && t->nproc_charged;

    /* commit_creds(): whoever changes identity or gains capabilities may no longer be dumped, nor hear of its parent's death. */
    if (old->euid != new_->euid || old->egid != new_->egid || old->fsuid != new_->fsuid || old->fsgid != new_->fsgid ||
        (old->user_ns == new_->user_ns && (new_->cap_permitted & ~old->cap_permitted))) {
        if (t->mm) t->mm->dumpable = 0;
        t->pdeath_signal = 0;
    }
    if (t->thread_keyring && keys_fsid_changed && (old->fsuid != new_->fsuid || old->fsgid != new_->fsgid)) keys_fsid_changed(new_->fsuid, new_->fsgid);
    if (uid_moves) user_charge(new_->uid, USER_NPROC, RLIM_INFINITY);
    lock(&t->lock);
    t->cred = new_;
    if (uid_moves) t->nproc_uid = new_->uid;
    unlock(&t->lock);
    if (uid_moves) user_uncharge(old->uid, USER_NPROC);
    cred_put(old);
}
