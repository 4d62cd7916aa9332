/* Channels to the network broker. */
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/net/host.h"
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

HOSTCALL_SENDMSG("requests to the network broker, with descriptors it made");
HOSTCALL_NET(recvmsg, "replies of the network broker, with new sockets");

#define CHANNELS_MAX 4u

static struct rpc_client rpc = RPC_CLIENT_INIT("the network broker (sundog-netbroker)", "network operations");
static bool accept_direct;                       /* (c) after start */
static u16 dns_port;                             /* (c) after start; 0: no resolver */

static int send_request(int sock, struct rpc_hdr *h, const void *req, size_t len, const void *data, size_t data_len, int fd)
{
    struct iovec iov[3] = { { h, sizeof *h }, { (void *)(uintptr_t)req, len }, { (void *)(uintptr_t)data, data_len } };
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = data_len ? 3 : len ? 2 : 1 };
    union rpc_fd_room room;
    rpc_attach_fd(&m, &room, fd);
    for (;;) {
        if (sendmsg(sock, &m, MSG_NOSIGNAL | HOSTCALL_MSG_PROBE) >= 0) return 0;
        if (errno != EINTR) return -errno;
    }
}

/* One packet of a reply. *more: another follows. */
static int receive(int sock, const struct rpc_hdr *h, void *rep, size_t *rep_len, int *out_fd, bool *more)
{
    struct rpc_hdr rh;
    struct iovec iov[2] = { { &rh, sizeof rh }, { rep, *rep_len } };
    union rpc_fd_room room;
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = room.buf, .msg_controllen = sizeof room.buf };
    ssize_t n;
    do n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0) return rpc_gone(&rpc, n ? strerror(errno) : "it closed the connection");
    int fd = rpc_take_fd(&m);
    *more = (size_t)n >= sizeof rh && (rh.type & NETB_MORE);
    bool good = !(m.msg_flags & MSG_TRUNC) && rpc_reply_ok(&rh, h, (size_t)n, NETB_MORE);
    if (fd >= 0 && (!good || !out_fd || rh.err)) {
        close(fd);
        fd = -1;
    }
    if (!good) return rpc_gone(&rpc, "malformed reply");
    if (out_fd) *out_fd = fd;
    *rep_len = rh.len;
    /* The host was out of descriptors for us: the socket is lost. */
    if (!rh.err && out_fd && fd < 0 && !*more) return -ENFILE;
    return rh.err;
}

int netb_call(enum netb_op op, int fd, const void *req, size_t len, const void *data, size_t data_len, void *rep, size_t *rep_len, int *out_fd)
{
    struct rpc_hdr h = { .type = NETB_MAGIC | op, .seq = atomic_add(&rpc.seq, 1), .len = (u32)(len + data_len) };
    size_t none = 0, want = rep_len ? *rep_len : 0;
    bool more = false;
    if (len + data_len > NETB_PAYLOAD_MAX) return -EMSGSIZE;
    int sock = rpc_channel_take(&rpc);
    if (sock < 0) return -EIO;
    int err = send_request(sock, &h, req, len, data, data_len, fd);
    if (err == -ETOOMANYREFS || err == -EMFILE || err == -ENOBUFS) {   /* nothing was sent */
        rpc_channel_give(&rpc, sock);
        return -ENOBUFS;
    }
    err = err ? rpc_gone(&rpc, strerror(-err)) : receive(sock, &h, rep, rep_len ? rep_len : &none, out_fd, &more);
    if (!err && (more || (rep_len && *rep_len != want && op != NETB_IFCONF))) err = rpc_gone(&rpc, "malformed reply");
    rpc_channel_give(&rpc, sock);
    return err;
}

int netb_call_pieces(enum netb_op op, const void *req, size_t len, const void *data, size_t data_len,
                     int (*piece)(void *arg, const u8 *p, size_t n), void *arg)
{
    struct rpc_hdr h = { .type = NETB_MAGIC | op, .seq = atomic_add(&rpc.seq, 1), .len = (u32)(len + data_len) };
    AUTO_FREE u8 *buf = try_zalloc(1, NETB_PAYLOAD_MAX);
    bool more = true;
    int err = 0, said = 0;
    if (!buf) return -ENOMEM;
    int sock = rpc_channel_take(&rpc);
    if (sock < 0) return -EIO;
    err = send_request(sock, &h, req, len, data, data_len, -1);
    if (err) err = rpc_gone(&rpc, strerror(-err));
    while (!err && more) {
        size_t n = NETB_PAYLOAD_MAX;
        err = receive(sock, &h, buf, &n, NULL, &more);
        if (!err && !said) said = piece(arg, buf, n);   /* the rest is read off all the same */
    }
    rpc_channel_give(&rpc, sock);
    return err ? err : said;
}

int netb_connect_channels(const int *socks, unsigned n)
{
    for (unsigned i = 0; i < n; i++) rpc_client_add(&rpc, socks[i], CHANNELS_MAX);
    u32 version = NETB_VERSION;
    struct netb_hello rep;
    size_t len = sizeof rep;
    int err = netb_call(NETB_HELLO, -1, &version, sizeof version, NULL, 0, &rep, &len, NULL);
    if (err) return err;
    if (rep.version != NETB_VERSION) return -EPROTO;
    accept_direct = rep.accept_direct;
    dns_port = (u16)rep.dns_port;
    return 0;
}

u16 netb_dns_port(void) { return dns_port; }
bool netb_accept_direct(void) { return accept_direct; }

void netb_addr_of(const struct net_addr *a, struct netb_addr *out)
{
    *out = (struct netb_addr){ .family = a->family };
    if (a->family != AF_INET && a->family != AF_INET6) return;
    out->port = a->in.port;
    out->flow = a->in.flow;
    out->scope = a->in.scope;
    memcpy(out->ip, a->in.ip, 16);
}
