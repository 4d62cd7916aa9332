/* Channels to the gofer: a request takes a free one (last used first: its caches and its gofer thread are warm). */
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

HOSTCALL_SENDMSG("requests to the gofer");
HOSTCALL(recvmsg, "replies of the gofer, with donated descriptors");
HOSTCALL(close, "donated descriptors");

static void gone(struct gofer_client *c, const char *why)
{
    if (!atomic_xchg(&c->dead, true)) log_error("the file server (sundog-gofer) is gone: %s; file operations fail with EIO", why);
    lock(&c->lock);
    pthread_cond_broadcast(&c->freed);
    unlock(&c->lock);
}

static int take_channel(struct gofer_client *c)
{
    int s = -1;
    lock(&c->lock);
    while (!atomic_load(&c->dead) && !c->nfree) pthread_cond_wait(&c->freed, &c->lock.m);
    if (!atomic_load(&c->dead)) s = c->free_socks[--c->nfree];
    unlock(&c->lock);
    return s;
}

static void give_channel(struct gofer_client *c, int s)
{
    lock(&c->lock);
    c->free_socks[c->nfree++] = s;
    pthread_cond_signal(&c->freed);
    unlock(&c->lock);
}

static int send_all(int s, struct msghdr *m)
{
    for (;;) {
        if (sendmsg(s, m, MSG_NOSIGNAL | HOSTCALL_MSG_PROBE) >= 0) return 0;
        if (errno != EINTR) return -errno;
    }
}

static int take_fd(struct msghdr *m)
{
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(m); cm; cm = CMSG_NXTHDR(m, cm))
        if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS && cm->cmsg_len >= CMSG_LEN(sizeof(int))) {
            int fd;
            memcpy(&fd, CMSG_DATA(cm), sizeof fd);
            return fd;
        }
    return -1;
}

/* One exchange on s. *fd_lost: the host had no descriptor left for what was donated. */
static int exchange(struct gofer_client *c, int s, struct gofer_hdr *h, const struct iovec *parts, unsigned nparts, void *rep,
                    size_t *rep_len, int *fd, bool *fd_lost)
{
    struct iovec iov[6] = { { h, sizeof *h } };
    for (unsigned i = 0; i < nparts; i++) iov[i + 1] = parts[i];
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = nparts + 1 };
    int err = send_all(s, &m);
    if (err) {
        gone(c, strerror(-err));
        return -EIO;
    }
    struct gofer_hdr rh;
    struct iovec riov[2] = { { &rh, sizeof rh }, { rep, rep ? *rep_len : 0 } };
    union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } ctl;
    m = (struct msghdr){ .msg_iov = riov, .msg_iovlen = 2, .msg_control = ctl.buf, .msg_controllen = sizeof ctl.buf };
    ssize_t n;
    do n = recvmsg(s, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        gone(c, n ? strerror(errno) : "it closed the connection");
        return -EIO;
    }
    int got = take_fd(&m);
    if (fd) *fd = got;
    else if (got >= 0) close(got);
    *fd_lost = m.msg_flags & MSG_CTRUNC;
    if ((size_t)n < sizeof rh || (m.msg_flags & MSG_TRUNC) || rh.type != h->type || rh.seq != h->seq ||
        rh.len != (size_t)n - sizeof rh || rh.err > 0 || rh.err < -SYSRET_MAX_ERRNO) {
        if (fd && got >= 0) close(got);
        if (fd) *fd = -1;
        gone(c, "malformed reply");
        return -EIO;
    }
    if (rep) *rep_len = rh.len;
    return rh.err;
}

int gofer_call(struct gofer_client *c, enum gofer_op op, const struct iovec *parts, unsigned nparts, void *rep, size_t *rep_len, int *fd)
{
    size_t len = 0, room = rep_len ? *rep_len : 0, unused = 0;
    for (unsigned i = 0; i < nparts; i++) len += parts[i].iov_len;
    if (len > GOFER_PAYLOAD_MAX || nparts > 5) return -EMSGSIZE;
    for (int tries = 0;; tries++) {
        struct gofer_hdr h = { .type = GOFER_MAGIC | op, .seq = atomic_add(&c->seq, 1), .len = (u32)len };
        int s = take_channel(c);
        if (s < 0) return -EIO;
        bool fd_lost = false;
        if (rep_len) *rep_len = room;
        if (fd) *fd = -1;
        int err = exchange(c, s, &h, parts, nparts, rep, rep_len ? rep_len : &unused, fd, &fd_lost);
        give_channel(c, s);
        if (!fd_lost || !fd || err) return err;
        /* Out of descriptors here: idle ones go, then once more. Only calls that may be repeated donate (see below). */
        if (*fd >= 0) close(*fd);
        *fd = -1;
        if (op != GOFER_OPEN || tries || !gofer_fds_shrink(c, 0)) return op == GOFER_OPEN ? -ENFILE : 0;
    }
}

int gofer_call_simple(struct gofer_client *c, enum gofer_op op, const void *req, size_t req_len, const char *s1, const char *s2,
                      void *rep, size_t *rep_len, int *fd)
{
    struct iovec parts[3] = { { (void *)(uintptr_t)req, req_len } };
    unsigned n = 1;
    if (s1) parts[n++] = (struct iovec){ (void *)(uintptr_t)s1, strlen(s1) + 1 };
    if (s2) parts[n++] = (struct iovec){ (void *)(uintptr_t)s2, strlen(s2) + 1 };
    return gofer_call(c, op, parts, n, rep, rep_len, fd);
}

/* One-way, in batches; now: the object has no name any more and the host wants its space back. h 0: only flushes. */
void gofer_release(struct gofer_client *c, gofer_handle h, bool now)
{
    gofer_handle batch[ARRAY_LEN(c->rel)];
    unsigned n = 0;
    lock(&c->rel_lock);
    if (h) c->rel[c->nrel++] = h;
    if (now || c->nrel == ARRAY_LEN(c->rel)) {
        n = c->nrel;
        memcpy(batch, c->rel, n * sizeof *batch);
        c->nrel = 0;
    }
    unlock(&c->rel_lock);
    if (!n) return;
    int s = take_channel(c);
    if (s < 0) return;
    struct gofer_hdr hdr = { .type = GOFER_MAGIC | GOFER_RELEASE, .seq = atomic_add(&c->seq, 1), .len = (u32)(n * sizeof *batch) };
    struct iovec iov[2] = { { &hdr, sizeof hdr }, { batch, n * sizeof *batch } };
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
    int err = send_all(s, &m);
    if (err) gone(c, strerror(-err));
    give_channel(c, s);
}

bool gofer_gen_same(struct gofer_client *c, gofer_handle dir, const struct gofer_gen *g, bool data)
{
    if (!dir || !c->gens) return false;
    const struct gofer_gen *s = &c->gens[GOFER_HANDLE_INDEX(dir) % GOFER_GEN_SLOTS];
    return atomic_load(&s->names) == g->names && atomic_load(&s->attrs) == g->attrs && (!data || atomic_load(&s->data) == g->data);
}

void gofer_client_get(struct gofer_client *c) { ref_get(&c->refs); }

void gofer_client_put(struct gofer_client *c)
{
    if (!ref_put(&c->refs)) return;
    for (unsigned i = 0; i < c->nfree; i++) close(c->free_socks[i]);
    if (c->gens) munmap((void *)(uintptr_t)c->gens, sizeof *c->gens * GOFER_GEN_SLOTS);
    lock_fini(&c->lock);
    lock_fini(&c->fd_lock);
    lock_fini(&c->rel_lock);
    pthread_cond_destroy(&c->freed);
    free(c);
}

int gofer_client_add_channel(struct gofer_client *c, int sock)
{
    lock(&c->lock);
    int err = c->nsocks == GOFER_CHANNELS_MAX ? -ENOSPC : 0;
    if (!err) {
        c->nsocks++;
        c->free_socks[c->nfree++] = sock;
        pthread_cond_signal(&c->freed);
    }
    unlock(&c->lock);
    if (err) close(sock);
    return err;
}

int gofer_client_new(int sock, struct gofer_client **out)
{
    struct gofer_client *c = xnew(struct gofer_client);
    ref_init(&c->refs);
    lock_init(&c->lock, LC_GOFER);
    lock_init(&c->fd_lock, LC_LEAF);
    lock_init(&c->rel_lock, LC_LEAF);
    pthread_cond_init(&c->freed, NULL);
    TAILQ_INIT(&c->idle);
    c->free_socks[c->nfree++] = sock;
    c->nsocks = 1;
    struct rlimit rl;
    c->max_idle = getrlimit(RLIMIT_NOFILE, &rl) ? 256 : (unsigned)MIN(rl.rlim_cur / 4, (rlim_t)4096);

    u32 version = GOFER_VERSION;
    struct gofer_hello_rep rep;
    size_t len = sizeof rep;
    int fd = -1;
    int err = gofer_call_simple(c, GOFER_HELLO, &version, sizeof version, NULL, NULL, &rep, &len, &fd);
    if (!err && (len != sizeof rep || rep.gen_slots != GOFER_GEN_SLOTS || fd < 0)) err = -EPROTO;
    if (!err) {
        void *p = mmap(NULL, sizeof *c->gens * GOFER_GEN_SLOTS, PROT_READ, MAP_SHARED, fd, 0);
        if (p != MAP_FAILED) c->gens = p; /* without it every cached name is asked again */
        c->nroots = rep.nroots;
    }
    if (fd >= 0) close(fd);
    if (err) {
        gofer_client_put(c);
        return err;
    }
    *out = c;
    return 0;
}
