/*
 * Channels: one thread each, receive - handle - reply. A packet that is not even shaped like a request ends the channel;
 * a shaped one with bad contents is answered -EBADMSG. At most one descriptor comes along; more are dropped by the kernel.
 */
#include "netbroker/broker.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
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

bool netb_handle_packet(const struct rpc_hdr *h, struct netb_req *r, struct rpc_hdr *rep)
{
    u32 op = h->type & ~0xffff0000u;
    r->out_fd = -1;
    r->out_len = 0;
    if ((h->type & 0xffff0000u) != NETB_MAGIC || h->len != r->len || h->err != 0) return false;
    int err = op < NETB_OP_END && handlers[op] ? handlers[op](r) : -EBADMSG;
    *rep = (struct rpc_hdr){ .type = h->type, .seq = h->seq, .len = err ? 0 : r->out_len, .err = err };
    return true;
}

struct channel { int sock; struct rpc_hdr req; };

static int send_more(struct netb_req *r)
{
    struct channel *c = r->more_arg;
    struct rpc_hdr h = { .type = c->req.type | NETB_MORE, .seq = c->req.seq, .len = r->out_len };
    int err = rpc_reply(c->sock, &h, r->out, -1);
    r->out_len = 0;
    return err;
}

static void serve_channel(int sock)
{
    struct channel c = { .sock = sock };
    u8 *in = xzalloc(NETB_PAYLOAD_MAX), *out = xzalloc(NETB_PAYLOAD_MAX);
    for (;;) {
        struct rpc_hdr rep;
        struct iovec iov[2] = { { &c.req, sizeof c.req }, { in, NETB_PAYLOAD_MAX } };
        union rpc_fd_room room;
        struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = room.buf, .msg_controllen = CMSG_LEN(sizeof(int)) };
        ssize_t n = recvmsg(c.sock, &m, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        struct netb_req r = { .in = in, .len = (u32)((size_t)n - MIN((size_t)n, sizeof c.req)), .fd = rpc_take_fd(&m), .out = out,
                              .more_arg = &c, .more = send_more };
        bool ok = (size_t)n >= sizeof c.req && !(m.msg_flags & MSG_TRUNC) && netb_handle_packet(&c.req, &r, &rep);
        if (r.fd >= 0) close(r.fd);
        if (!ok) log_error("malformed request: channel closed");
        int err = ok ? rpc_reply(c.sock, &rep, out, rep.err ? -1 : r.out_fd) : -EPROTO;
        if (ok && r.out_fd >= 0) close(r.out_fd);
        if (err) break;
    }
    free(in);
    free(out);
}

int netb_serve(const int *socks, unsigned n)
{
    int err = netb_dns_start();
    return err ? err : rpc_serve(socks, n, serve_channel);
}
