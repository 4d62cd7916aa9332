#include "sentry/fs/fs_types.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/memfile.h"
#include "sentry/vfs/file.h"
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

struct fs_type {
    const char *name;
    int (*create)(const struct fs_config *c, struct super **out);
    const char *const *ignored;    /* parameters that are checked by name alone */
    bool sized;                    /* size, nr_blocks, nr_inodes */
    bool owned;                    /* mode, uid, gid */
};

static int make_tmpfs(const struct fs_config *c, struct super **out)
{
    int r = tmpfs_new(c->size, c->mode, c->uid, c->gid, out);
    if (!r && c->has_inodes) r = tmpfs_set_limits(*out, NULL, &c->inodes);
    if (!r && strcmp(c->type->name, "tmpfs")) tmpfs_rename(*out, c->type->name);
    return r;
}
static int make_proc(const struct fs_config *c UNUSED, struct super **out) { return procfs_new(out); }
static int make_sysfs(const struct fs_config *c UNUSED, struct super **out) { return sysfs_new(out); }
static int make_devpts(const struct fs_config *c UNUSED, struct super **out) { return devpts_new(out); }

static const char *const none[] = { NULL };
static const char *const of_tmpfs[] = { "huge", "mpol", "inode32", "inode64", "noswap", NULL };
static const char *const of_proc[] = { "hidepid", "gid", "subset", NULL };
static const char *const of_devpts[] = { "uid", "gid", "mode", "ptmxmode", "newinstance", "max", NULL };

static const struct fs_type types[] = {
    { "tmpfs", make_tmpfs, of_tmpfs, true, true }, { "ramfs", make_tmpfs, none, false, true }, { "mqueue", make_tmpfs, none, false, false },
    { "proc", make_proc, of_proc, false, false }, { "sysfs", make_sysfs, none, false, false }, { "devpts", make_devpts, of_devpts, false, false },
};

const struct fs_type *fs_type_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (!strcmp(types[i].name, name)) return &types[i];
    return NULL;
}
const struct fs_type *fs_type_of(const struct super *sb) { return fs_type_find(sb->ops->name); }
const char *fs_type_name(const struct fs_type *t) { return t->name; }

void fs_config_init(struct fs_config *c, const struct fs_type *t)
{
    *c = (struct fs_config){ .type = t, .mode = 01777, .uid = current_cred()->fsuid, .gid = current_cred()->fsgid };
}

void fs_config_fini(struct fs_config *c)
{
    free(c->source);
    c->source = NULL;
}

static bool parse_number(const char *s, int base, u64 max, u64 *out)
{
    char *end;
    if (*s < '0' || *s > '9') return false;
    *out = strtoull(s, &end, base);
    return !*end && *out <= max;
}

/* With a suffix of memparse(), or a share of memory. */
static bool parse_size(const char *s, u64 *out)
{
    char *end;
    unsigned shift = 0;
    if (*s < '0' || *s > '9') return false;
    u64 v = strtoull(s, &end, 0);
    switch (*end) {
    case 'k': case 'K': shift = 10; break;
    case 'm': case 'M': shift = 20; break;
    case 'g': case 'G': shift = 30; break;
    case 't': case 'T': shift = 40; break;
    case '%':
        if (v > 100 || end[1]) return false;
        *out = (kernel_mem_limit() ? kernel_mem_limit() : memfile_size()) / 100 * v;
        return true;
    default: break;
    }
    if (shift) end++;
    if (*end || v > (u64)INT64_MAX >> shift) return false;
    *out = v << shift;
    return true;
}

static bool listed(const char *const *names, const char *key)
{
    for (; *names; names++)
        if (!strcmp(*names, key)) return true;
    return false;
}

static int unknown(const struct fs_config *c, const char *key, char *msg)
{
    snprintf(msg, FS_MESSAGE_MAX, "%s: Unknown parameter '%.64s'", c->type->name, key);
    return -EINVAL;
}

static int bad_value(const struct fs_config *c, const char *key, char *msg)
{
    snprintf(msg, FS_MESSAGE_MAX, "%s: Bad value for '%.64s'", c->type->name, key);
    return -EINVAL;
}

/* The file system's own. */
static int set_own(struct fs_config *c, const char *key, const char *val, char *msg)
{
    const struct fs_type *t = c->type;
    u64 v = 0;
    bool size = t->sized && !strcmp(key, "size"), blocks = t->sized && !strcmp(key, "nr_blocks"), inodes = t->sized && !strcmp(key, "nr_inodes");
    bool mode = t->owned && !strcmp(key, "mode"), uid = t->owned && !strcmp(key, "uid"), gid = t->owned && !strcmp(key, "gid");

    if (!size && !blocks && !inodes && !mode && !uid && !gid) return listed(t->ignored, key) ? 0 : unknown(c, key, msg);
    if (!val) return bad_value(c, key, msg);
    if (size || blocks || inodes ? !parse_size(val, &v) : !parse_number(val, mode ? 8 : 10, mode ? 07777 : UINT32_MAX, &v)) return bad_value(c, key, msg);
    if (blocks && v > (u64)INT64_MAX / GPAGE_SIZE) return bad_value(c, key, msg);
    if (size || blocks) {
        c->has_size = true;
        c->size = size ? v : v * GPAGE_SIZE;
    } else if (inodes) {
        c->has_inodes = true;
        c->inodes = v;
    } else if (mode) {
        c->mode = (u32)v;
    } else {
        u32 id = uid ? uid_in((u32)v) : gid_in((u32)v);
        if (id == NO_ID) return bad_value(c, key, msg);
        *(uid ? &c->uid : &c->gid) = id;
    }
    return 0;
}

bool fs_config_set_common(struct fs_config *c, const char *key)
{
    /* Of every file system; those but the first have no meaning for any that there is. */
    static const char *const common[] = { "sync", "async", "dirsync", "mand", "nomand", "lazytime", "nolazytime", NULL };

    if (!strcmp(key, "ro") || !strcmp(key, "rw")) {
        c->has_rdonly = true;
        c->rdonly = key[1] == 'o';
        return true;
    }
    return listed(common, key);
}

int fs_config_set(struct fs_config *c, const char *key, const char *val, char *msg)
{
    if (fs_config_set_common(c, key)) return 0;
    if (strcmp(key, "source")) return set_own(c, key, val, msg);
    if (!val) return bad_value(c, key, msg);
    if (c->source) {
        snprintf(msg, FS_MESSAGE_MAX, "VFS: Multiple sources");
        return -EINVAL;
    }
    c->source = xstrdup(val);
    return 0;
}

int fs_config_parse(struct fs_config *c, char *text, char *msg)
{
    for (char *save, *o = strtok_r(text, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        char *val = strchr(o, '=');
        if (val) *val++ = 0;
        int r = set_own(c, o, val, msg);
        if (r) return r;
    }
    return 0;
}

int fs_config_create(const struct fs_config *c, struct super **out)
{
    int r = c->type->create(c, out);
    if (r) return r;
    const struct user_ns *u = current_cred()->user_ns;
    if (u) (*out)->owner_inum = u->ns.inum;
    if (c->has_rdonly) atomic_store(&(*out)->rdonly, c->rdonly);
    return 0;
}

int fs_config_apply(const struct fs_config *c, struct super *sb)
{
    /* A file system is configured by the namespace it was made in. */
    const struct user_ns *u = current_cred()->user_ns;
    int r = 0;
    if ((u && sb->owner_inum != u->ns.inum) || !own_ns_capable(CAP_SYS_ADMIN)) return -EPERM;
    if (c->has_rdonly && c->rdonly && !atomic_load(&sb->rdonly) && atomic_load(&sb->writers)) return -EBUSY;
    if (c->type && c->type->sized) r = tmpfs_set_limits(sb, c->has_size ? &c->size : NULL, c->has_inodes ? &c->inodes : NULL);
    if (!r && c->has_rdonly) atomic_store(&sb->rdonly, c->rdonly);
    return r;
}
