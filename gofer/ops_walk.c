/* Requests that find things: hello, attach, walk, attributes, link targets, release. */
#include "gofer/gofer.h"
#include "sentry/base/hostcall.h"
#include <string.h>
#include <unistd.h>

HOSTCALL(readlinkat, "targets of symbolic links");

const char *cur_str(struct cursor *c, u32 max)
{
    const char *s = (const char *)c->p;
    const char *nul = memchr(s, 0, MIN(c->left, max + 1));
    if (!nul) return NULL;
    u32 n = (u32)(nul - s) + 1;
    c->p += n;
    c->left -= n;
    return s;
}

void *reply_add(struct gofer_req *r, u32 n)
{
    u32 room = (n + 7) & ~7u;
    if (room < n || GOFER_PAYLOAD_MAX - r->out_len < room) return NULL;
    void *p = r->out + r->out_len;
    memset(p, 0, room);
    r->out_len += room;
    return p;
}

int reply_node(struct gofer_req *r, struct gofer_node_entry *n, gofer_handle gen_dir, const struct gofer_gen *gen)
{
    struct gofer_node *o = reply_add(r, sizeof *o);
    if (!o) return -EMSGSIZE;
    int err = node_attr(n->fd, &o->attr);
    if (err) return err;
    o->h = n->h;
    o->gen_dir = gen_dir;
    if (gen) o->gen = *gen;
    if (n->mode == S_IFLNK) {
        char target[GOFER_LINK_MAX];
        ssize_t len = readlinkat(n->fd, "", target, sizeof target);
        if (len < 0) return -errno;
        void *p = reply_add(r, (u32)len);
        if (!p) return -EMSGSIZE;
        memcpy(p, target, (size_t)len);
        o->link_len = (u32)len;
    }
    return 0;
}

int op_hello(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    u32 version;
    if (!cur_fixed(&c, &version, sizeof version) || c.left) return -EBADMSG;
    if (version != GOFER_VERSION) return -EPROTONOSUPPORT;
    struct gofer_hello_rep *o = reply_add(r, sizeof *o);
    *o = (struct gofer_hello_rep){ .version = GOFER_VERSION, .nroots = gofer_nroots(), .gen_slots = GOFER_GEN_SLOTS };
    r->fd = fcntl(watch_page_fd(), F_DUPFD_CLOEXEC, 3);
    return r->fd < 0 ? -errno : 0;
}

int op_attach(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_attach_req q;
    if (!cur_fixed(&c, &q, sizeof q) || c.left || (q.flags & ~GOFER_ATTACH_EXCLUSIVE)) return -EBADMSG;
    const struct gofer_root *root = gofer_root_get(q.root);
    if (!root) return -ENOENT;
    int fd = fcntl(root->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return errno == EMFILE ? -ENFILE : -errno;
    struct gofer_node_entry *n;
    int err = node_new(fd, q.root, root->state, q.flags & GOFER_ATTACH_EXCLUSIVE, NULL, &n);
    if (err) return err;
    struct gofer_gen gen;
    gofer_handle gen_dir = watch_dir(n, &gen);
    err = reply_node(r, n, gen_dir, &gen);
    if (err) node_release(n->h);
    node_put(n);
    return err;
}

int op_walk(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_walk_req q;
    if (!cur_fixed(&c, &q, sizeof q) || q.nnames == 0 || q.nnames > GOFER_WALK_MAX || (q.flags & ~GOFER_WALK_OPEN))
        return -EBADMSG;
    const char *names[GOFER_WALK_MAX];
    for (u32 i = 0; i < q.nnames; i++) {
        names[i] = cur_str(&c, GOFER_NAME_MAX);
        if (!names[i] || name_check(names[i])) return -EBADMSG;
    }
    if (c.left) return -EBADMSG;
    struct gofer_node_entry *dir = node_get(q.dir);
    if (!dir) return -EBADF;
    struct gofer_walk_rep *rep = reply_add(r, sizeof *rep);
    for (u32 i = 0; i < q.nnames; i++) {
        if (dir->mode == S_IFLNK) break;
        struct gofer_gen gen;
        struct gofer_node_entry *n = NULL;
        gofer_handle gen_dir = watch_dir(dir, &gen); /* before the lookup: a change in between moves the counter */
        int err = node_walk(dir, names[i], &n);
        if (!err) {
            u32 before = r->out_len;
            err = reply_node(r, n, gen_dir, &gen);
            if (err) {
                r->out_len = before;
                node_release(n->h);
                node_put(n);
            }
        }
        if (err) {
            /* no room for more in this reply is no error: the sentry asks again for the rest */
            if (err != -EMSGSIZE || i == 0) rep->err = err;
            rep->neg_dir = gen_dir;
            rep->neg_gen = gen;
            break;
        }
        rep->count++;
        node_put(dir);
        dir = n;
    }
    if ((q.flags & GOFER_WALK_OPEN) && rep->count == q.nnames && dir->mode == S_IFREG) {
        r->fd = node_reopen(dir, O_RDONLY);
        rep->has_fd = r->fd >= 0; /* no permission to read: the sentry finds out when it opens */
        if (r->fd < 0) r->fd = -1;
    }
    node_put(dir);
    return 0;
}

int op_getattr(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    gofer_handle h;
    if (!cur_fixed(&c, &h, sizeof h) || c.left) return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *n = node_get(h);
    if (!n) return -EBADF;
    struct gofer_gen gen;
    gofer_handle gen_dir = watch_dir(n, &gen);
    return reply_node(r, n, gen_dir, &gen);
}

int op_readlink(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    gofer_handle h;
    if (!cur_fixed(&c, &h, sizeof h) || c.left) return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *n = node_get(h);
    if (!n) return -EBADF;
    if (n->mode != S_IFLNK) return -EINVAL;
    ssize_t len = readlinkat(n->fd, "", (char *)r->out, GOFER_LINK_MAX);
    if (len < 0) return -errno;
    r->out_len = (u32)len;
    return 0;
}

int op_release(struct gofer_req *r)
{
    if (r->len % sizeof(gofer_handle) || r->len > GOFER_RELEASE_MAX * sizeof(gofer_handle)) return -EBADMSG;
    for (u32 i = 0; i < r->len; i += sizeof(gofer_handle)) {
        gofer_handle h;
        memcpy(&h, r->in + i, sizeof h);
        node_release(h);
    }
    return 0;
}
