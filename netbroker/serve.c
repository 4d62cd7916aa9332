/*
 * Channels: one thread each, receive - handle - reply. A packet that is not even shaped like a request ends the channel;
 * a shaped one with bad contents is answered -EBADMSG. At most one descriptor comes along; more are dropped by the kernel.
 */
#include "netbroker/broker.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct net_rules netb_rules;
struct connrules *netb_names;

static int op_hello(struct netb_req *r)
{
    u32 version;
    int err = netb_take(r, &version, sizeof version);
    if (err) return err;
    if (version != NETB_VERSION) return -EPROTO;
    struct netb_hello h = { NETB_VERSION, net_rules_open(&netb_rules, PLAN_NET_IN), netb_dns_port() };
    memcpy(r->out, &h, sizeof h);
    r->out_len = sizeof h;
    return 0;
}

static netb_handler *const handlers[NETB_OP_END] = {
    [NETB_HELLO] = op_hello, [NETB_SOCKET] = netb_op_socket, [NETB_BIND] = netb_op_bind, [NETB_CONNECT] = netb_op_connect,
    [NETB_LISTEN] = netb_op_listen, [NETB_ACCEPT] = netb_op_accept, [NETB_SEND] = netb_op_send, [NETB_SETOPT] = netb_op_setopt,
    [NETB_IFREQ] = netb_op_ifreq, [NETB_IFCONF] = netb_op_ifconf, [NETB_ROUTE] = netb_op_route, [NETB_PROC] = netb_op_proc,
};

bool netb_handle_packet(const struct netb_hdr *h, struct netb_req *r, struct netb_hdr *rep)
{
    u32 op = h->type & ~0xffff0000u;
    r->out_fd = -1;
    r->out_len = 0;
    if ((h->type & 0xffff0000u) != NETB_MAGIC || h->len != r->len || h->err != 0) return false;
    int err = op < NETB_OP_END && handlers[op] ? handlers[op](r) : -EBADMSG;
    *rep = (struct netb_hdr){ .type = h->type, .seq = h->seq, .len = err ? 0 : r->out_len, .err = err };
    return true;
}

static int send_reply(int sock, struct netb_hdr *rep, u8 *out, int fd)
{
    struct iovec iov[2] = { { rep, sizeof *rep }, { out, rep->len } };
    union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } ctl;
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = rep->len ? 2 : 1 };
    if (fd >= 0) {
        memset(&ctl, 0, sizeof ctl);
        m.msg_control = ctl.buf;
        m.msg_controllen = sizeof ctl.buf;
        struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cm), &fd, sizeof fd);
    }
    for (;;) {
        if (sendmsg(sock, &m, MSG_NOSIGNAL) >= 0) return 0;
        if (errno == EINTR) continue;
        if (errno == ETOOMANYREFS && m.msg_control) { /* a sentry that does not take its descriptors */
            m.msg_control = NULL;
            m.msg_controllen = 0;
            m.msg_iovlen = 1;
            rep->len = 0;
            rep->err = -ENFILE;
            continue;
        }
        return -errno;
    }
}

struct channel { int sock; struct netb_hdr req; };

static int send_more(struct netb_req *r)
{
    struct channel *c = r->more_arg;
    struct netb_hdr h = { .type = c->req.type | NETB_MORE, .seq = c->req.seq, .len = r->out_len };
    int err = send_reply(c->sock, &h, r->out, -1);
    r->out_len = 0;
    return err;
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

static void *channel_thread(void *arg)
{
    struct channel c = { .sock = (int)(intptr_t)arg };
    u8 *in = xzalloc(NETB_PAYLOAD_MAX), *out = xzalloc(NETB_PAYLOAD_MAX);
    for (;;) {
        struct netb_hdr rep;
        struct iovec iov[2] = { { &c.req, sizeof c.req }, { in, NETB_PAYLOAD_MAX } };
        union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } ctl;
        struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = ctl.buf, .msg_controllen = CMSG_LEN(sizeof(int)) };
        ssize_t n = recvmsg(c.sock, &m, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        struct netb_req r = { .in = in, .len = (u32)((size_t)n - MIN((size_t)n, sizeof c.req)), .fd = take_fd(&m), .out = out,
                              .more_arg = &c, .more = send_more };
        bool ok = (size_t)n >= sizeof c.req && !(m.msg_flags & MSG_TRUNC) && netb_handle_packet(&c.req, &r, &rep);
        if (r.fd >= 0) close(r.fd);
        if (!ok) log_error("malformed request: channel closed");
        int err = ok ? send_reply(c.sock, &rep, out, rep.err ? -1 : r.out_fd) : -EPROTO;
        if (ok && r.out_fd >= 0) close(r.out_fd);
        if (err) break;
    }
    free(in);
    free(out);
    close(c.sock);
    return NULL;
}

int netb_serve(const int *socks, unsigned n)
{
    pthread_t t[16];
    if (n == 0 || n > ARRAY_LEN(t)) return -EINVAL;
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 256 * 1024);
    int err = netb_dns_start();
    unsigned i;
    for (i = 1; i < n && !err; i++) err = -pthread_create(&t[i], &a, channel_thread, (void *)(intptr_t)socks[i]);
    pthread_attr_destroy(&a);
    if (err) return err;
    channel_thread((void *)(intptr_t)socks[0]);
    for (i = 1; i < n; i++) pthread_join(t[i], NULL);
    return 0;
}
