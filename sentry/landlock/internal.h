/* What the files of sentry/landlock share. */
#ifndef SUNDOG_LANDLOCK_INTERNAL_H
#define SUNDOG_LANDLOCK_INTERNAL_H

#include "sentry/kernel/task.h"
#include "sentry/landlock/landlock.h"
#include "sentry/vfs/file.h"

struct ll_rule {
    const struct inode *inode;         /* of d; NULL: a port */
    struct dentry *d;                  /* counted */
    u16 port;
    u16 access;
};

struct ll_layer {
    refcount_t refs;
    struct ll_layer *below;            /* counted */
    struct ll_layer *next_dead;
    unsigned depth;                    /* layers below */
    struct ll_handled handled;
    u32 nrules;
    struct ll_rule rules[];            /* ordered by ll_rule_cmp */
};

int ll_rule_cmp(const void *a, const void *b);
/* What this layer grants at an inode, or a port with inode NULL. */
u32 ll_layer_grants(const struct ll_layer *l, const struct inode *i, u16 port);

/* The domain of current; NULL: none. */
static inline const struct ll_layer *ll_current(void) { return current && current->cred ? current->cred->landlock : NULL; }

/* The layers of a domain that handle files; inner ones last. */
struct ll_layers { const struct ll_layer *l[LANDLOCK_LAYERS_MAX]; unsigned n; };
bool ll_fs_layers(struct ll_layers *out);

/* For each right, the layers that have yet to grant it. */
typedef struct { u16 m[LL_FS_BITS]; } ll_masks;
/* Of those asked for, the rights that some layer handles; their layers into m. */
u32 ll_masks_init(const struct ll_layers *ls, u32 access, ll_masks *m);
/* What the layers grant at i is taken off. True: nothing of access is left. */
bool ll_masks_grant(const struct ll_layers *ls, const struct inode *i, u32 access, ll_masks *m);

/* One step towards the root across mounts. False: p is the end; *outside: of a file system that is mounted nowhere. */
bool ll_step_up(struct path *p, bool *outside);

#endif
