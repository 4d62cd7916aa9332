/* Texts about mounts: fs/proc_namespace.c in the Linux tree. */
#include "sentry/base/alloc.h"
#include "sentry/base/strbuf.h"
#include "sentry/vfs/vfs.h"
#include <linux/magic.h>
#include <string.h>

void mount_options_text(struct strbuf *b, u32 flags)
{
    static const struct { u32 flag; const char *text; } names[] = {
        { MNT_NOSUID, ",nosuid" }, { MNT_NODEV, ",nodev" }, { MNT_NOEXEC, ",noexec" }, { MNT_NOATIME, ",noatime" },
        { MNT_NODIRATIME, ",nodiratime" }, { MNT_RELATIME, ",relatime" }, { MNT_NOSYMFOLLOW, ",nosymfollow" },
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (flags & names[i].flag) strbuf_printf(b, "%s", names[i].text);
}

static bool prepend(char *buf, size_t *at, const char *s)
{
    size_t n = strlen(s);
    if (n > *at) return false;
    *at -= n;
    memcpy(buf + *at, s, n);
    return true;
}

int mount_root_text(struct mount *m, char *buf, size_t size)
{
    size_t at = size - 1;
    bool fits = true, top = false;
    struct dentry *d = m->root, *up;

    buf[at] = 0;
    if (d->deleted && d != m->sb->root && m->sb->magic != NSFS_MAGIC) fits = prepend(buf, &at, "//deleted");
    for (dentry_get(d); fits && !top && d != m->sb->root; d = up) {
        AUTO_FREE char *name = dentry_name_dup(d);
        up = dentry_parent_get(d);
        top = up == d;                 /* a namespace's file has a name and no directory */
        if (!top || m->sb->magic == NSFS_MAGIC) fits = prepend(buf, &at, name) && (top || prepend(buf, &at, "/"));
        dentry_put(d);
    }
    dentry_put(d);
    const char *base = m->sb->shown_root;
    if (fits && base && strcmp(base, "/")) fits = prepend(buf, &at, base);
    if (fits && !buf[at]) fits = prepend(buf, &at, "/");
    if (!fits) return -ENAMETOOLONG;
    memmove(buf, buf + at, size - at);
    return (int)(size - at - 1);
}

/* By the place and not by what is shown there, which may be deleted. */
int mount_place_text(struct mount *m, const struct path *root, char *buf, size_t size)
{
    struct path p = { m, m->root };
    if (!mount_is_below(m, root)) return -ENOENT;
    path_get(&p);
    while (p.mnt != root->mnt && p.dentry == p.mnt->root && path_up_mount(&p)) ;
    int r = vfs_path_text(&p, root, buf, size);
    path_put(&p);
    return r;
}
