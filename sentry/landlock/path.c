/* Rights over files: is_access_to_paths_allowed() of Linux for one path, and the questions that come down to it. */
#include "sentry/landlock/internal.h"
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

bool ll_fs_layers(struct ll_layers *out)
{
    const struct ll_layer *d = ll_current();

    out->n = 0;
    for (; d; d = d->below)
        if (d->handled.fs) out->l[out->n++] = d;
    return out->n;
}

u32 ll_masks_init(const struct ll_layers *ls, u32 access, ll_masks *m)
{
    u32 handled = 0;

    *m = (ll_masks){ { 0 } };
    for (unsigned i = 0; i < ls->n; i++) {
        u32 h = ls->l[i]->handled.fs & access;
        handled |= h;
        for (; h; h &= h - 1) m->m[__builtin_ctz(h)] |= (u16)(1u << i);
    }
    return handled;
}

static bool masks_clear(const ll_masks *m, u32 access)
{
    for (; access; access &= access - 1)
        if (m->m[__builtin_ctz(access)]) return false;
    return true;
}

bool ll_masks_grant(const struct ll_layers *ls, const struct inode *ino, u32 access, ll_masks *m)
{
    for (unsigned i = 0; i < ls->n; i++) {
        u32 g = ll_layer_grants(ls->l[i], ino, 0);
        /* What a layer does not handle a rule of it grants. */
        for (g = g ? (g | ~ls->l[i]->handled.fs) & access : 0; g; g &= g - 1) m->m[__builtin_ctz(g)] &= (u16)~(1u << i);
    }
    return masks_clear(m, access);
}

bool ll_step_up(struct path *p, bool *outside)
{
    *outside = false;
    while (p->mnt && p->dentry == p->mnt->root) {
        *outside = !p->mnt->ns;             /* pipes, sockets, memfds, namespaces: mounted nowhere */
        if (!path_up_mount(p)) return false;
    }
    struct dentry *parent = dentry_parent_get(p->dentry);
    if (parent == p->dentry) {              /* a root that no mount shows, or a file that never had a name */
        dentry_put(parent);
        *outside = !p->mnt || !p->mnt->ns;
        return false;
    }
    dentry_put(p->dentry);
    p->dentry = parent;
    return true;
}

/* Which of the rights are not granted at p. */
static u32 denied(const struct path *at, u32 access)
{
    struct ll_layers ls;
    ll_masks m;
    bool outside;

    if (!ll_fs_layers(&ls)) return 0;
    u32 asked = ll_masks_init(&ls, access, &m), left = 0;
    if (!asked || !at->dentry) return 0;
    struct path p = *at;
    path_get(&p);
    while (!ll_masks_grant(&ls, p.dentry->inode, asked, &m)) {
        if (ll_step_up(&p, &outside)) continue;
        if (outside) break;
        for (u32 a = asked; a; a &= a - 1)
            if (m.m[__builtin_ctz(a)]) left |= a & -a;
        break;
    }
    path_put(&p);
    return left;
}

int ll_path(const struct path *p, u32 access)
{
    if (likely(!ll_current())) return 0;
    return denied(p, access) ? -EACCES : 0;
}

static bool is_device(const struct file *f) { return f->inode && (S_ISCHR(f->inode->mode) || S_ISBLK(f->inode->mode)); }

int ll_open(struct file *f, const struct path *p, bool exec)
{
    u32 need = 0, later;

    if (likely(!ll_current())) return 0;
    if (f->mode & FMODE_READ) need = f->inode && S_ISDIR(f->inode->mode) ? LL_READ_DIR : LL_READ_FILE;
    if (f->mode & FMODE_WRITE) need |= LL_WRITE_FILE;
    if (exec) need |= LL_EXECUTE;
    later = LL_TRUNCATE | (is_device(f) ? LL_IOCTL_DEV : 0);
    u32 not = denied(p, need | later);
    f->ll_denied = (u16)(not & later);
    return not & need ? -EACCES : 0;
}

int ll_truncate_file(const struct file *f) { return f->ll_denied & LL_TRUNCATE ? -EACCES : 0; }

/* Requests that every file answers in the same way: is_masked_device_ioctl(). */
int ll_ioctl(const struct file *f, u32 cmd)
{
    if (likely(!(f->ll_denied & LL_IOCTL_DEV)) || !is_device(f)) return 0;
    switch (cmd) {
    case FIOCLEX: case FIONCLEX: case FIONBIO: case FIOASYNC: case FIOQSIZE: case FIGETBSZ: case (u32)FIFREEZE: case (u32)FITHAW:
    case (u32)FS_IOC_FIEMAP: case FICLONE: case FICLONERANGE: case (u32)FIDEDUPERANGE:
    case 0x80111500u /* FS_IOC_GETFSUUID */: case 0x80811501u /* FS_IOC_GETFSSYSFSPATH */:
        return 0;
    default: return -EACCES;
    }
}

u32 ll_make_right(u32 mode)
{
    switch (mode & S_IFMT) {
    case S_IFLNK: return LL_MAKE_SYM;
    case S_IFDIR: return LL_MAKE_DIR;
    case S_IFCHR: return LL_MAKE_CHAR;
    case S_IFBLK: return LL_MAKE_BLOCK;
    case S_IFIFO: return LL_MAKE_FIFO;
    case S_IFSOCK: return LL_MAKE_SOCK;
    default: return LL_MAKE_REG;
    }
}

int ll_mount(void)
{
    struct ll_layers ls;
    return ll_fs_layers(&ls) ? -EPERM : 0;
}
