/* Text of a path: getcwd(2), /proc/self/fd, mountinfo. Source: fs/d_path.c in the Linux tree. */
#include "sentry/vfs/vfs.h"
#include "sentry/base/alloc.h"
#include <string.h>

struct prepend { char *buf; size_t size; size_t at; bool overflow; };

static void prepend(struct prepend *b, const char *s, size_t n)
{
    if (n > b->at) {
        b->overflow = true;
        return;
    }
    b->at -= n;
    memcpy(b->buf + b->at, s, n);
}

int vfs_path_text(const struct path *p, const struct path *root, char *buf, size_t size)
{
    if (size == 0) return -ENAMETOOLONG;
    struct prepend b = { .buf = buf, .size = size, .at = size };
    prepend(&b, "", 1);
    if (p->dentry->deleted) prepend(&b, " (deleted)", 10);

    struct path cur = *p;
    path_get(&cur);
    bool any = false, reached = false, internal = false;
    for (;;) {
        if (root && root->dentry == cur.dentry && root->mnt == cur.mnt) {
            reached = true;
            break;
        }
        if (!cur.mnt || cur.dentry == cur.mnt->root) {
            if (!cur.mnt || !path_up_mount(&cur)) {
                reached = cur.mnt && cur.mnt->ns && cur.mnt == cur.mnt->ns->root && !root;
                break;
            }
            continue;
        }
        struct dentry *parent = dentry_parent_get(cur.dentry);
        char *name = dentry_name_dup(cur.dentry);
        if (parent == cur.dentry) {
            /* Disconnected: "pipe:[7]" stands alone, a memfd's name gets its slash (both as Linux shows them). */
            internal = true;
            prepend(&b, name, strlen(name));
            if (cur.dentry->deleted) prepend(&b, "/", 1);
            free(name);
            dentry_put(parent);
            break;
        }
        prepend(&b, name, strlen(name));
        prepend(&b, "/", 1);
        any = true;
        free(name);
        dentry_put(cur.dentry);
        cur.dentry = parent;
    }
    path_put(&cur);
    if (!internal && !any) prepend(&b, "/", 1);
    if (!internal && !reached) prepend(&b, "(unreachable)", 13);
    if (b.overflow) return -ENAMETOOLONG;
    size_t len = size - b.at - 1;
    memmove(buf, buf + b.at, len + 1);
    return (int)len;
}
