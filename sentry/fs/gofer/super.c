/* A mounted root of the gofer. */
#include "sentry/base/alloc.h"
#include "sentry/fs/gofer/gofer_fs.h"

static void super_free(struct super *sb)
{
    struct gofer_fs *fs = container_of(sb, struct gofer_fs, sb);
    gofer_release(fs->c, 0, true);
    gofer_client_put(fs->c);
    lock_fini(&fs->lock);
    free(fs);
}

static const struct super_ops gofer_super_ops = { .name = "gofer", .statfs = gofer_statfs, .free = super_free };

int gofer_fs_new(struct gofer_client *c, u32 root_index, u32 flags, struct super **out)
{
    struct gofer_attach_req q = { .root = root_index, .flags = flags & GOFER_FS_EXCLUSIVE ? GOFER_ATTACH_EXCLUSIVE : 0 };
    struct gofer_node n;
    size_t len = sizeof n;
    int err = gofer_call_simple(c, GOFER_ATTACH, &q, sizeof q, NULL, NULL, &n, &len, NULL);
    if (!err && (len < sizeof n || n.link_len)) err = -EIO;
    if (err) return err;
    struct gofer_fs *fs = xnew(struct gofer_fs);
    super_init(&fs->sb, &gofer_super_ops, 0x01021997 /* V9FS_MAGIC, what programs know for files served by another */);
    fs->c = c;
    gofer_client_get(c);
    fs->exclusive = flags & GOFER_FS_EXCLUSIVE;
    fs->root_dev = n.attr.dev;
    lock_init(&fs->lock, LC_LEAF);
    fs->sb.case_cache_forever = fs->exclusive;
    fs->sb.root = dentry_new_root(&fs->sb, gi_from_node(fs, &n, NULL, 0));
    *out = &fs->sb;
    return 0;
}
