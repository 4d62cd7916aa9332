/*
 * What execve(2) does to credentials: set-user-ID and set-group-ID bits, file capabilities, the capability transition.
 * Source: capabilities(7) "Transformation of capabilities during execve()", security/commoncap.c, fs/exec.c.
 */
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ns.h"
#include "sentry/vfs/file.h"
#include <endian.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>

struct file_caps { bool present, effective; u64 permitted, inheritable; };

/* security.capability: v1 (12 bytes), v2 (20), v3 (24, with the root id of a user namespace). 0 or -EPERM, -EINVAL. */
static int decode_file_caps(const u8 *x, ssize_t n, struct file_caps *out)
{
    u32 w[6] = { 0 };

    if (n < 4 || n > (ssize_t)sizeof w) return -EINVAL;
    memcpy(w, x, (size_t)n);
    for (unsigned i = 0; i < ARRAY_LEN(w); i++) w[i] = le32toh(w[i]);
    u32 rev = w[0] & VFS_CAP_REVISION_MASK;
    if ((rev == VFS_CAP_REVISION_1 && n != 12) || (rev == VFS_CAP_REVISION_2 && n != 20) ||
        (rev == VFS_CAP_REVISION_3 && n != 24) ||
        (rev != VFS_CAP_REVISION_1 && rev != VFS_CAP_REVISION_2 && rev != VFS_CAP_REVISION_3))
        return -EINVAL;
    if (rev == VFS_CAP_REVISION_3 && w[5] != 0) return 0;   /* meant for another user namespace: as if absent */
    out->present = true;
    out->effective = w[0] & VFS_CAP_FLAGS_EFFECTIVE;
    out->permitted = w[1];
    out->inheritable = w[2];
    if (rev != VFS_CAP_REVISION_1) {
        out->permitted |= (u64)w[3] << 32;
        out->inheritable |= (u64)w[4] << 32;
    }
    return 0;
}

static int read_file_caps(struct file *f, struct file_caps *out)
{
    u8 buf[24];

    memset(out, 0, sizeof *out);
    if (!f->path.mnt || !f->path.dentry || (f->path.mnt->flags & MNT_NOSUID) || !f->inode->ops->getxattr) return 0;
    ssize_t n = f->inode->ops->getxattr(f->inode, "security.capability", buf, sizeof buf);
    if (n < 0) return n == -ERANGE ? -EPERM : 0;
    return decode_file_caps(buf, n, out) < 0 ? -EPERM : 0;
}

/* Is somebody outside this process using our cwd and root? Then a privileged program could be fooled (LSM_UNSAFE_SHARE). */
static bool fs_shared_outside(void)
{
    struct task *i;
    u32 own = 0;

    lock(&kernel.tasklist);
    TAILQ_FOREACH(i, &current->tg->tasks, tg_link) {
        lock(&i->lock);
        own += i->fs == current->fs;
        unlock(&i->lock);
    }
    unlock(&kernel.tasklist);
    return ref_read(&current->fs->refs) > own;
}

int exec_compute_creds(struct file *f, struct exec_creds *out)
{
    const struct cred *old = current->cred;
    struct file_caps fc = { 0 };
    u32 mode = f->inode->mode, fuid = f->inode->uid, fgid = f->inode->gid;
    /* Ids that the caller's user namespace does not know cannot be taken. */
    bool setid_ok = f->path.mnt && !(f->path.mnt->flags & MNT_NOSUID) && !current->no_new_privs &&
        id_to_ns(old->user_ns, ID_UID, fuid) != NO_ID && id_to_ns(old->user_ns, ID_GID, fgid) != NO_ID;
    u32 root = id_from_ns(old->user_ns, ID_UID, 0);
    bool effective = false;
    int r;

    if ((r = read_file_caps(f, &fc)) < 0) return r;
    struct cred *c = cred_copy(old);
    if (setid_ok && (mode & S_ISUID)) c->euid = fuid;
    if (setid_ok && (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) c->egid = fgid;

    c->cap_permitted = 0;
    if (fc.present) {
        c->cap_permitted = (c->cap_bset & fc.permitted) | (c->cap_inheritable & fc.inheritable);
        effective = fc.effective;
        if (effective && (fc.permitted & ~c->cap_permitted)) {   /* a capability-dumb program would run half-armed */
            cred_put(c);
            return -EPERM;
        }
    }
    bool root_rules = root != NO_ID && !(old->securebits & SECBIT_NOROOT);
    if (root_rules && !(fc.present && c->uid != root && c->euid == root)) {
        if (c->euid == root || c->uid == root) c->cap_permitted = c->cap_bset | c->cap_inheritable;
        if (c->euid == root) effective = true;
    }

    bool setid = c->euid != old->uid || c->egid != old->gid;
    bool gained = c->cap_permitted & ~old->cap_permitted;
    if ((setid || gained) && (current->no_new_privs || fs_shared_outside())) {
        if (!cred_ns_capable(old, old->user_ns, CAP_SETUID) || current->no_new_privs) {
            c->euid = c->uid;
            c->egid = c->gid;
        }
        c->cap_permitted &= old->cap_permitted;
    }
    c->suid = c->fsuid = c->euid;
    c->sgid = c->fsgid = c->egid;
    if (fc.present || setid) c->cap_ambient = 0;
    c->cap_permitted |= c->cap_ambient;
    c->cap_effective = effective ? c->cap_permitted : c->cap_ambient;
    c->securebits &= ~(u32)SECBIT_KEEP_CAPS;

    bool real_root = root_rules && c->uid == root;
    out->secure = setid || (!real_root && (effective || (c->cap_permitted & ~c->cap_ambient)));
    out->clear_personality = setid;
    out->dumpable = c->euid == c->uid && c->egid == c->gid && !(c->cap_permitted & ~old->cap_permitted) &&
        inode_permission(f->inode, MAY_READ, c) == 0;
    out->cred = c;
    return 0;
}
