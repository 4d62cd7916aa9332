/*
 * The state of one path walk, for namei.c, open.c and the operations that need the last component by name.
 * Source: path_resolution(7), openat2(2).
 */
#ifndef SUNDOG_VFS_WALK_H
#define SUNDOG_VFS_WALK_H

#include "sentry/policy/policy.h"
#include "sentry/vfs/vfs.h"

enum walk_last { WALK_LAST_NORM, WALK_LAST_DOT, WALK_LAST_DOTDOT, WALK_LAST_NONE /* nothing left: cur is the object */ };

struct walk {
    struct path cur, root;         /* counted */
    u32 flags;
    unsigned links;                /* symlinks followed so far */
    unsigned trailing;             /* the last component had a slash behind it */
    bool scoped_dotdot;            /* a ".." was taken under BENEATH or IN_ROOT */
    char *buf;                     /* owned text that rest points into, or NULL */
    const char *rest;
    enum walk_last last_type;
    char last[KNAME_MAX + 1];
};

int walk_begin(struct walk *w, int dirfd, const char *path, u32 flags);
int walk_begin_at(struct walk *w, const struct path *start, const char *path, u32 flags);
void walk_end(struct walk *w);
/* Consumes all but the last component: cur is its directory, last its name. */
int walk_to_last(struct walk *w);
/* Looks up w->last in w->cur (search permission was checked): counted child, perhaps negative. */
int walk_lookup_last(struct walk *w, struct dentry **out);
/* d (a positive child of cur) becomes cur, with what is mounted on it. Consumes nothing. */
int walk_enter(struct walk *w, struct dentry *d);
/*
 * d, a symlink in cur, is followed: the walk goes on with its text (then call walk_to_last again), or for a magic link
 * cur is already the target and last_type WALK_LAST_NONE.
 */
int walk_follow(struct walk *w, struct dentry *d);
/* cur is the end: resolves last for those types that are no name; true if done, false: it is a name. */
int walk_finish_special(struct walk *w, bool *done);
/* The final checks of BENEATH and IN_ROOT. */
int walk_check_scope(struct walk *w);

/* Superblock- and mount-level write permission: -EROFS. */
static inline int mnt_want_write(const struct mount *m) { return m && ((m->flags & MNT_RDONLY) || atomic_load(&m->sb->rdonly)) ? -EROFS : 0; }
/* The same for what is about to change d: a mount is read-only where a profile grants no more, so the refusal is recorded as the rule's. */
static inline int mnt_want_write_to(const struct mount *m, struct dentry *d)
{
    int r = mnt_want_write(m);
    if (unlikely(r)) policy_readonly(d);
    return r;
}

/* Deletion of d from dir under the rules of unlink(2): write and search permission, sticky bit, kind of object. */
int may_delete(struct inode *dir, struct dentry *d, bool is_dir);
/* Both directories of a rename, in the one order; they may be the same. */
void dirs_lock_two(struct dentry *a, struct dentry *b);
void dirs_unlock_two(struct dentry *a, struct dentry *b);
/* Creation in dir. */
int may_create(struct inode *dir, struct dentry *parent);

#endif
