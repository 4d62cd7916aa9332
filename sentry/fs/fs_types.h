/*
 * The file systems that a guest may mount, and what is set of one before it is made or when it is changed: what mount(2)
 * reads from its data and fsconfig(2) is told piece by piece. Source: mount(8), tmpfs(5), proc(5), fsconfig(2).
 */
#ifndef SUNDOG_FS_TYPES_H
#define SUNDOG_FS_TYPES_H

#include "sentry/vfs/vfs.h"

struct fs_type;
struct fs_config {
    const struct fs_type *type;
    char *source;                  /* owned, or NULL */
    bool has_size, has_inodes, has_rdonly, rdonly;
    u32 mode, uid, gid;            /* ids are the kernel's */
    u64 size, inodes;              /* bytes; 0: no limit of its own */
};
#define FS_MESSAGE_MAX 128

const struct fs_type *fs_type_find(const char *name);        /* NULL: there is none */
const char *fs_type_name(const struct fs_type *t);
void fs_config_init(struct fs_config *c, const struct fs_type *t);     /* defaults: owner is current */
void fs_config_fini(struct fs_config *c);
/* One parameter; val NULL: a flag. -EINVAL with a word on why in msg (FS_MESSAGE_MAX), without the kind letter. */
int fs_config_set(struct fs_config *c, const char *key, const char *val, char *msg);
/* One of those of every file system, by name alone: what kind of value comes along is not looked at, as in vfs_parse_sb_flag() of Linux. */
bool fs_config_set_common(struct fs_config *c, const char *key);
/* The parameters of mount(2), between commas; text is cut up. "ro" and "source" are none of them. */
int fs_config_parse(struct fs_config *c, char *text, char *msg);
/* The file system belongs to current's user namespace. Negative errno. */
int fs_config_create(const struct fs_config *c, struct super **out);
/* What was set is changed of sb. -EPERM: another user namespace's. -EBUSY: it is written. -EINVAL */
int fs_config_apply(const struct fs_config *c, struct super *sb);
/* The type of sb, if it is one of these. */
const struct fs_type *fs_type_of(const struct super *sb);

#endif
