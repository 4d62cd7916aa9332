/*
 * Descriptors inside messages (SCM_RIGHTS). How many a user may have in flight is bounded by RLIMIT_NOFILE. Sockets sent
 * over sockets can end up referring to themselves only; the collector finds those: a socket is a candidate when all
 * references to its file come from messages; references from queues of candidates are taken off its count; what is left
 * with none, and cannot be reached from one with some, is garbage, and the messages in it are dropped.
 * Source: unix(7), net/unix/garbage.c
 */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/socket.h"
#include <linux/capability.h>

static lock_t gc_lock = LOCK_INIT(LC_PIPE);      /* before any socket's; guards: */
static LIST_HEAD(, socket) flying = LIST_HEAD_INITIALIZER(flying);
static struct inflight_user { u32 uid; u64 n; UT_hash_handle hh; } *users;
static unsigned nflying;                         /* (a) for a look without the lock */

struct scm_files *scm_files_new(unsigned n) { return xzalloc(sizeof(struct scm_files) + n * sizeof(struct file *)); }

static struct socket *unix_socket_of(struct file *f)
{
    struct socket *s = net_file_socket(f);
    return s && s->domain == AF_UNIX ? s : NULL;
}

int scm_files_send(struct scm_files *fs)
{
    struct inflight_user *u;
    int r = 0;

    fs->uid = current_cred()->uid;
    lock(&gc_lock);
    HASH_FIND(hh, users, &fs->uid, sizeof fs->uid, u);
    if (u && u->n > current_rlimit(RLIMIT_NOFILE) && !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN)) {
        r = -ETOOMANYREFS;
    } else {
        if (!u) {
            u = xnew(struct inflight_user);
            u->uid = fs->uid;
            HASH_ADD(hh, users, uid, sizeof u->uid, u);
        }
        u->n += fs->n;
        fs->inflight = true;
        for (unsigned i = 0; i < fs->n; i++) {
            struct socket *s = unix_socket_of(fs->f[i]);
            if (!s) continue;
            if (!s->un.inflight++) {
                LIST_INSERT_HEAD(&flying, s, un.gc_link);
                (void)atomic_add(&nflying, 1);
            }
        }
    }
    unlock(&gc_lock);
    return r;
}

void scm_files_recv(struct scm_files *fs)
{
    struct inflight_user *u;

    if (!fs->inflight) return;
    lock(&gc_lock);
    HASH_FIND(hh, users, &fs->uid, sizeof fs->uid, u);
    if (u && !(u->n -= fs->n)) {
        HASH_DEL(users, u);
        free(u);
    }
    for (unsigned i = 0; i < fs->n; i++) {
        struct socket *s = unix_socket_of(fs->f[i]);
        if (s && !--s->un.inflight) {
            LIST_REMOVE(s, un.gc_link);
            (void)atomic_add(&nflying, (unsigned)-1);
        }
    }
    fs->inflight = false;
    unlock(&gc_lock);
}

void scm_files_free(struct scm_files *fs)
{
    if (!fs) return;
    scm_files_recv(fs);
    for (unsigned i = 0; i < fs->n; i++) file_put(fs->f[i]);
    free(fs);
}

struct scm_files *scm_files_dup(const struct scm_files *fs)
{
    struct scm_files *d = scm_files_new(fs->n);

    d->n = fs->n;
    for (unsigned i = 0; i < fs->n; i++) {
        d->f[i] = fs->f[i];
        file_get(d->f[i]);
    }
    return d;
}

/* References to be dropped once gc_lock is free: dropping the last one may free messages, which takes the lock. */
static struct socket **late_put;
static size_t nlate_put;
static void put_later(struct socket *s)
{
    late_put = xrealloc(late_put, (nlate_put + 1) * sizeof(*late_put));
    late_put[nlate_put++] = s;
}

/* Every socket in flight inside a message that s, or a connection it has not accepted, holds. */
static void for_each_held(struct socket *s, void (*fn)(struct socket *held, void *arg), void *arg)
{
    struct sockbuf *b;
    struct socket *e;

    lock(&s->lock);
    TAILQ_FOREACH(b, &s->rx, link)
        for (unsigned i = 0; b->files && i < b->files->n; i++) {
            struct socket *h = unix_socket_of(b->files->f[i]);
            if (h && h->un.inflight) fn(h, arg);
        }
    unsigned n = 0;
    struct socket **embryo = s->naccept ? xzalloc(s->naccept * sizeof(*embryo)) : NULL;
    TAILQ_FOREACH(e, &s->acceptq, accept_link) {
        socket_get(e);
        embryo[n++] = e;
    }
    unlock(&s->lock);
    for (unsigned i = 0; i < n; i++) {
        for_each_held(embryo[i], fn, arg);
        put_later(embryo[i]);
    }
    free(embryo);
}

static void take_off(struct socket *h, void *arg UNUSED) { if (h->un.gc_candidate) h->un.gc_count--; }

static void reach(struct socket *h, void *arg)
{
    if (!h->un.gc_candidate || !h->un.gc_garbage) return;
    h->un.gc_garbage = false;
    *(bool *)arg = true;
}

/* Takes the messages that carry descriptors out of s. */
static void strip(struct socket *s, struct sockbuf_queue *out)
{
    struct sockbuf *b, *next;
    struct socket *e;

    lock(&s->lock);
    TAILQ_FOREACH_SAFE(b, &s->rx, link, next) {
        if (!b->files) continue;
        sockbuf_take_locked(s, b);
        TAILQ_INSERT_TAIL(out, b, link);
    }
    unsigned n = 0;
    struct socket **embryo = s->naccept ? xzalloc(s->naccept * sizeof(*embryo)) : NULL;
    TAILQ_FOREACH(e, &s->acceptq, accept_link) {
        socket_get(e);
        embryo[n++] = e;
    }
    unlock(&s->lock);
    for (unsigned i = 0; i < n; i++) {
        strip(embryo[i], out);
        put_later(embryo[i]);
    }
    free(embryo);
}

void scm_collect(void)
{
    struct sockbuf_queue dropped = TAILQ_HEAD_INITIALIZER(dropped);
    struct socket *s;
    bool again = true;

    if (!atomic_load(&nflying)) return;
    lock(&gc_lock);
    LIST_FOREACH(s, &flying, un.gc_link) {
        s->un.gc_candidate = s->un.gc_garbage = ref_read(&s->file->refs) == s->un.inflight;
        s->un.gc_count = s->un.inflight;
    }
    LIST_FOREACH(s, &flying, un.gc_link) if (s->un.gc_candidate) for_each_held(s, take_off, NULL);
    LIST_FOREACH(s, &flying, un.gc_link) if (s->un.gc_candidate && s->un.gc_count > 0) s->un.gc_garbage = false;
    while (again) {
        again = false;
        LIST_FOREACH(s, &flying, un.gc_link) if (s->un.gc_candidate && !s->un.gc_garbage) for_each_held(s, reach, &again);
    }
    LIST_FOREACH(s, &flying, un.gc_link) if (s->un.gc_candidate && s->un.gc_garbage) strip(s, &dropped);
    struct socket **late = late_put;
    size_t nlate = nlate_put;
    late_put = NULL;
    nlate_put = 0;
    unlock(&gc_lock);
    sockbuf_purge(&dropped);
    for (size_t i = 0; i < nlate; i++) socket_put(late[i]);
    free(late);
}
