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

static int send_all(int s, struct msghdr *m)
{
    for (;;) {
        if (sendmsg(s, m, MSG_NOSIGNAL | HOSTCALL_MSG_PROBE) >= 0) return 0;
        if (errno != EINTR) return -errno;
    }
}

/* One exchange on s. *fd_lost: the host had no descriptor left for what was donated. */
static int exchange(struct gofer_client *c, int s, struct rpc_hdr *h, const struct iovec *parts, unsigned nparts, void *rep,
                    size_t *rep_len, int *fd, bool *fd_lost)
{
    struct iovec iov[6] = { { h, sizeof *h } };
    for (unsigned i = 0; i < nparts; i++) iov[i + 1] = parts[i];
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = nparts + 1 };
    int err = send_all(s, &m);
    if (err) return rpc_gone(&c->rpc, strerror(-err));
    struct rpc_hdr rh;
    struct iovec riov[2] = { { &rh, sizeof rh }, { rep, rep ? *rep_len : 0 } };
    union rpc_fd_room room;
    m = (struct msghdr){ .msg_iov = riov, .msg_iovlen = 2, .msg_control = room.buf, .msg_controllen = sizeof room.buf };
    ssize_t n;
    do n = recvmsg(s, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0) return rpc_gone(&c->rpc, n ? strerror(errno) : "it closed the connection");
    int got = rpc_take_fd(&m);
    if (fd) *fd = got;
    else if (got >= 0) close(got);
    *fd_lost = m.msg_flags & MSG_CTRUNC;
    if ((m.msg_flags & MSG_TRUNC) || !rpc_reply_ok(&rh, h, (size_t)n, 0)) {
        if (fd && got >= 0) close(got);
        if (fd) *fd = -1;
        return rpc_gone(&c->rpc, "malformed reply");
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
        struct rpc_hdr h = { .type = GOFER_MAGIC | op, .seq = atomic_add(&c->rpc.seq, 1), .len = (u32)len };
        int s = rpc_channel_take(&c->rpc);
        if (s < 0) return -EIO;
        bool fd_lost = false;
        if (rep_len) *rep_len = room;
        if (fd) *fd = -1;
        int err = exchange(c, s, &h, parts, nparts, rep, rep_len ? rep_len : &unused, fd, &fd_lost);
        rpc_channel_give(&c->rpc, s);
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
    int s = rpc_channel_take(&c->rpc);
    if (s < 0) return;
    struct rpc_hdr hdr = { .type = GOFER_MAGIC | GOFER_RELEASE, .seq = atomic_add(&c->rpc.seq, 1), .len = (u32)(n * sizeof *batch) };
    struct iovec iov[2] = { { &hdr, sizeof hdr }, { batch, n * sizeof *batch } };
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
    int err = send_all(s, &m);
    if (err) rpc_gone(&c->rpc, strerror(-err));
    rpc_channel_give(&c->rpc, s);
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
    rpc_client_fini(&c->rpc);
    if (c->gens) munmap((void *)(uintptr_t)c->gens, sizeof *c->gens * GOFER_GEN_SLOTS);
    lock_fini(&c->fd_lock);
    lock_fini(&c->rel_lock);
    free(c);
}

int gofer_client_add_channel(struct gofer_client *c, int sock) { return rpc_client_add(&c->rpc, sock, GOFER_CHANNELS_MAX); }

int gofer_client_new(int sock, struct gofer_client **out)
{
    struct gofer_client *c = xnew(struct gofer_client);
    ref_init(&c->refs);
    rpc_client_init(&c->rpc, "the file server (sundog-gofer)", "file operations");
    lock_init(&c->fd_lock, LC_LEAF);
    lock_init(&c->rel_lock, LC_LEAF);
    TAILQ_INIT(&c->idle);
    rpc_client_add(&c->rpc, sock, GOFER_CHANNELS_MAX);
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
