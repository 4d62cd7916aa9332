/* Names of AF_UNIX sockets: paths in the file system and abstract names. unix(7) "Address format" */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/unix.h"
#include <string.h>

static lock_t abstract_lock = LOCK_INIT(LC_LEAF);      /* guards: */
static struct socket *abstract_names;
static u32 next_auto;

static unsigned make_key(char key[116], const struct net_ns *net, const struct net_addr *a, int type)
{
    key[0] = (char)type;
    u32 mark = net_mark(net);
    memcpy(key + 1, &mark, 4);
    memcpy(key + 5, a->un.path, a->un.len);
    return a->un.len + 5u;
}

static int add_abstract(struct socket *s, const struct net_addr *a)
{
    struct socket *other;
    unsigned n = make_key(s->un.key, s->net, a, s->type);

    lock(&abstract_lock);
    HASH_FIND(un.hh, abstract_names, s->un.key, n, other);
    if (!other) {
        HASH_ADD_KEYPTR(un.hh, abstract_names, s->un.key, n, s);
        s->un.hashed = true;
        s->un.name = *a;
    }
    unlock(&abstract_lock);
    return other ? -EADDRINUSE : 0;
}

/* One binding at a time; the walk below must run without the lock. */
static int begin_bind(struct socket *s)
{
    int r = 0;
    lock(&s->lock);
    if (s->un.name.un.len || s->un.binding) r = -EINVAL;
    else s->un.binding = true;
    unlock(&s->lock);
    return r;
}

static void end_bind(struct socket *s)
{
    lock(&s->lock);
    s->un.binding = false;
    unlock(&s->lock);
}

int unix_autobind(struct socket *s)
{
    static const char hex[] = "0123456789abcdef";
    int r = begin_bind(s);

    if (r) return 0;        /* it has a name */
    for (unsigned tries = 0; tries < 1u << 20; tries++) {
        u32 v = atomic_add(&next_auto, 1) & 0xfffff;
        struct net_addr a = { .family = AF_UNIX };
        a.un.len = 6;
        for (int i = 0; i < 5; i++) a.un.path[1 + i] = hex[v >> (16 - 4 * i) & 15];
        r = add_abstract(s, &a);
        if (r != -EADDRINUSE) break;
    }
    end_bind(s);
    return r == -EADDRINUSE ? -ENOSPC : r;
}

static int bind_path(struct socket *s, const struct net_addr *a)
{
    struct path p;
    /* The permissions of the socket itself (fchmod(2)), less the umask. */
    u32 mode = s->file ? s->file->inode->mode & 07777 : 0777;
    int r = vfs_mknod(AT_FDCWD, a->un.path, S_IFSOCK | mode, 0);

    if (r) return r == -EEXIST ? -EADDRINUSE : r;
    r = vfs_walk(AT_FDCWD, a->un.path, 0, &p);
    if (r) return r;
    struct inode *i = p.dentry->inode;
    lock(&i->lock);
    if (S_ISSOCK(i->mode) && !i->sock) i->sock = s;
    else r = -EADDRINUSE;
    unlock(&i->lock);
    if (r) {
        path_put(&p);
        return r;
    }
    lock(&s->lock);
    s->un.path = p;
    s->un.name = *a;
    unlock(&s->lock);
    return 0;
}

int unix_bind(struct socket *s, const struct net_addr *a)
{
    int r;

    if (a->family != AF_UNIX || a->truncated) return -EINVAL;
    if (!a->un.len) return s->un.name.un.len ? -EINVAL : unix_autobind(s);
    r = begin_bind(s);
    if (r) {
        /* Linux makes the node before it looks whether the socket has a name. */
        struct kstat st;
        return a->un.path[0] && !vfs_stat(AT_FDCWD, a->un.path, AT_SYMLINK_NOFOLLOW, &st) ? -EADDRINUSE : r;
    }
    r = a->un.path[0] ? bind_path(s, a) : add_abstract(s, a);
    end_bind(s);
    return r;
}

void unix_unbind(struct socket *s)
{
    lock(&abstract_lock);
    if (s->un.hashed) HASH_DELETE(un.hh, abstract_names, s);
    s->un.hashed = false;
    unlock(&abstract_lock);
    struct path p = s->un.path;
    s->un.path = (struct path){ 0 };
    if (!p.dentry) return;
    lock(&p.dentry->inode->lock);
    if (p.dentry->inode->sock == s) p.dentry->inode->sock = NULL;
    unlock(&p.dentry->inode->lock);
    path_put(&p);
}

int unix_find(const struct socket *from, const struct net_addr *a, struct socket **out)
{
    struct socket *s = NULL;
    struct path p;
    int r;

    *out = NULL;
    if (!a->un.path[0]) {
        char key[116];
        unsigned n = make_key(key, from->net, a, from->type);
        lock(&abstract_lock);
        HASH_FIND(un.hh, abstract_names, key, n, s);
        if (s && !ref_get_unless_zero(&s->refs)) s = NULL;
        unlock(&abstract_lock);
        *out = s;
        return s ? 0 : -ECONNREFUSED;
    }
    r = vfs_walk(AT_FDCWD, a->un.path, WALK_FOLLOW, &p);
    if (r) return r;
    struct inode *i = p.dentry->inode;
    r = inode_may(i, MAY_WRITE);
    if (!r && !S_ISSOCK(i->mode)) r = -ECONNREFUSED;
    if (!r) {
        lock(&i->lock);
        s = i->sock;
        if (s) socket_get(s);
        else r = -ECONNREFUSED;
        unlock(&i->lock);
    }
    path_put(&p);
    if (s && s->type != from->type) {
        socket_put(s);
        return -EPROTOTYPE;
    }
    *out = s;
    return r;
}
