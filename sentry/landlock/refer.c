/*
 * rename(2) and link(2): a file must not gain rights by the place it moves to. current_check_refer_path() of Linux.
 */
#include "sentry/landlock/internal.h"

/* All that the layers grant between d and the root of the mount, off m. */
static bool collect(const struct ll_layers *ls, const struct dentry *mnt_root, struct dentry *d, ll_masks *m)
{
    u32 all = ll_masks_init(ls, LL_FS_ALL, m);
    bool clear;

    dentry_get(d);
    while (!(clear = ll_masks_grant(ls, d->inode, all, m)) && d != mnt_root) {
        struct dentry *up = dentry_parent_get(d);
        bool end = up == d;
        dentry_put(d);
        d = up;
        if (end) break;
    }
    dentry_put(d);
    return clear;
}

/* What restricts the moved thing at its old place restricts it at the new one as well. child NULL: nothing moves that way. */
static bool no_more_rights(const ll_masks *from, const ll_masks *child, bool child_is_dir, const ll_masks *to)
{
    for (unsigned b = 0; child && b < LL_FS_BITS; b++) {
        if (!child_is_dir && !(LL_FS_FILE >> b & 1)) continue;
        if ((from->m[b] & child->m[b]) & ~to->m[b]) return false;
    }
    return true;
}

/* Of m only what was asked for. True: nothing. */
static bool scope(ll_masks *m, u32 asked)
{
    bool clear = true;

    for (unsigned b = 0; b < LL_FS_BITS; b++) {
        if (!(asked >> b & 1)) m->m[b] = 0;
        clear = clear && !m->m[b];
    }
    return clear;
}

/* A right other than that of moving is missing. */
static bool is_eacces(const ll_masks *m, u32 asked)
{
    for (unsigned b = 0; b < LL_FS_BITS; b++)
        if ((asked & ~LL_REFER) >> b & 1 && m->m[b]) return true;
    return false;
}

static u32 remove_right(const struct dentry *d)
{
    return !d->inode ? 0 : S_ISDIR(d->inode->mode) ? LL_REMOVE_DIR : LL_REMOVE_FILE;
}

struct side { u32 asked; ll_masks m, child_masks; const ll_masks *child; bool is_dir; };

static void side_child(const struct ll_layers *ls, struct side *s, struct dentry *d)
{
    ll_masks_grant(ls, d->inode, ll_masks_init(ls, LL_FS_ALL, &s->child_masks), &s->child_masks);
    s->child = &s->child_masks;
    s->is_dir = S_ISDIR(d->inode->mode);
}

/* From the mount's root upwards, with what was collected below it. a: the old side, b: the new one. */
static bool allowed_above(const struct ll_layers *ls, struct path *p, struct side *a, struct side *b)
{
    u32 look_a = LL_FS_ALL, look_b = LL_FS_ALL;
    bool comparing = true, outside;

    for (;;) {
        if (comparing && no_more_rights(&a->m, a->child, a->is_dir, &b->m) && no_more_rights(&b->m, b->child, b->is_dir, &a->m)) {
            bool ok_a = scope(&a->m, a->asked), ok_b = scope(&b->m, b->asked);
            if (ok_a && ok_b) return true;
            comparing = false;
            look_a = a->asked;
            look_b = b->asked;
        }
        bool ok_a = ll_masks_grant(ls, p->dentry->inode, look_a, &a->m), ok_b = ll_masks_grant(ls, p->dentry->inode, look_b, &b->m);
        if (ok_a && ok_b) return true;
        if (!ll_step_up(p, &outside)) return outside;
    }
}

int ll_refer(const struct path *odir, struct dentry *od, const struct path *ndir, struct dentry *nd, bool remove, bool exchange)
{
    struct ll_layers ls;
    struct side a = { .asked = 0 }, b = { .asked = 0 };

    if (likely(!ll_current()) || !ll_fs_layers(&ls)) return 0;
    if (!od->inode || (exchange && !nd->inode)) return -ENOENT;
    if (exchange) a.asked = ll_make_right(nd->inode->mode);
    b.asked = ll_make_right(od->inode->mode);
    if (remove) {
        a.asked |= remove_right(od);
        b.asked |= remove_right(nd);
    }
    if (odir->dentry == ndir->dentry) return ll_path(ndir, a.asked | b.asked);
    a.asked |= LL_REFER;
    b.asked |= LL_REFER;
    struct path top = { ndir->mnt, ndir->mnt->root };
    bool all_a = collect(&ls, top.dentry, odir->dentry, &a.m), all_b = collect(&ls, top.dentry, ndir->dentry, &b.m);
    if (all_a && all_b) return 0;
    side_child(&ls, &a, od);
    if (exchange) side_child(&ls, &b, nd);
    path_get(&top);
    bool ok = allowed_above(&ls, &top, &a, &b);
    path_put(&top);
    if (ok) return 0;
    return is_eacces(&a.m, a.asked) || is_eacces(&b.m, b.asked) ? -EACCES : -EXDEV;
}
