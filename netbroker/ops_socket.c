/* Sockets: made, named, connected, accepted. */
#include "netbroker/broker.h"
#include "sentry/base/hostcall.h"
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

HOSTCALL(socket, "sockets of the sandbox; the arguments are checked before");
HOSTCALL(bind, "names of those sockets, by the rules");
HOSTCALL(connect, "connections of those sockets, by the rules");
HOSTCALL(listen, "those sockets that were allowed to bind");
HOSTCALL(accept4, "connections to those sockets, by the rules");
HOSTCALL(getsockopt, "what a descriptor of the sentry's is");
HOSTCALL(getsockname, "is a socket bound that is to listen");
HOSTCALL(close, "copies of descriptors");

int netb_take(const struct netb_req *r, void *dst, size_t n)
{
    if (r->len < n) return -EBADMSG;
    memcpy(dst, r->in, n);
    return 0;
}

static int int_opt(int fd, int opt, int *v)
{
    socklen_t len = sizeof *v;
    return getsockopt(fd, SOL_SOCKET, opt, v, &len) ? -errno : 0;
}

int netb_sock_of(const struct netb_req *r, struct netb_sock *s)
{
    s->fd = r->fd;
    if (r->fd < 0) return -EBADF;
    int err = int_opt(r->fd, SO_DOMAIN, &s->domain);
    if (!err) err = int_opt(r->fd, SO_TYPE, &s->type);
    if (!err) err = int_opt(r->fd, SO_PROTOCOL, &s->protocol);
    if (err) return err;
    if (s->domain != AF_INET && s->domain != AF_INET6) return -EAFNOSUPPORT;
    bool known = s->type == SOCK_STREAM ? s->protocol == IPPROTO_TCP :
                 s->type == SOCK_DGRAM && (s->protocol == IPPROTO_UDP || s->protocol == IPPROTO_UDPLITE || s->protocol == IPPROTO_ICMP ||
                                           s->protocol == IPPROTO_ICMPV6);
    return known ? 0 : -ESOCKTNOSUPPORT;
}

int netb_op_socket(struct netb_req *r)
{
    struct netb_socket q;
    int err = netb_take(r, &q, sizeof q);
    if (err) return err;
    if (q.domain != AF_INET && q.domain != AF_INET6) return -EAFNOSUPPORT;
    int p = q.protocol;
    bool icmp = p == (q.domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    if (q.type == SOCK_STREAM) {
        if (p && p != IPPROTO_TCP) return -EPROTONOSUPPORT;
    } else if (q.type == SOCK_DGRAM) {
        if (p && p != IPPROTO_UDP && p != IPPROTO_UDPLITE && !icmp) return -EPROTONOSUPPORT;
    } else {
        return -ESOCKTNOSUPPORT;
    }
    int fd = socket(q.domain, q.type | SOCK_CLOEXEC | SOCK_NONBLOCK, p);
    if (fd < 0) return -errno;
    r->out_fd = fd;
    return 0;
}

int netb_op_bind(struct netb_req *r)
{
    struct netb_addr a;
    struct netb_sock s;
    struct sockaddr_storage ss;
    int err = netb_take(r, &a, sizeof a);
    if (!err) err = netb_sock_of(r, &s);
    if (err) return err;
    int len = netb_addr_to_host(&a, &ss);
    if (len < 0) return len;
    if (!netb_allow(PLAN_NET_BIND, s.protocol, a.ip, a.port)) return -EACCES;
    return bind(s.fd, (struct sockaddr *)&ss, (socklen_t)len) ? -errno : 0;
}

static int connect_to(const struct netb_sock *s, const struct sockaddr_storage *ss, socklen_t len, bool settle)
{
    if (!connect(s->fd, (const struct sockaddr *)ss, len)) return 0;
    int err = -errno;
    if (err == -EINPROGRESS && settle) {
        /* On the loopback the answer is there by now; asking again here spares the sentry a wait. */
        struct sockaddr_storage peer;
        socklen_t plen = sizeof peer;
        if (!getpeername(s->fd, (struct sockaddr *)&peer, &plen) && !connect(s->fd, (const struct sockaddr *)ss, len)) return 0;
    }
    return err;
}

int netb_op_connect(struct netb_req *r)
{
    struct netb_connect q;
    struct netb_sock s;
    struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
    int len = sizeof(struct sockaddr_in), err = netb_take(r, &q, sizeof q);
    if (!err) err = netb_sock_of(r, &s);
    if (err) return err;
    if (q.to.family == AF_UNSPEC) return connect_to(&s, &ss, (socklen_t)len, q.settle);
    bool to_dns = netb_dns_direct(&q.to, s.protocol);
    len = netb_addr_to_host(&q.to, &ss);
    if (len < 0) err = len;
    else if (!to_dns && !netb_dest_allowed(&q.to, s.protocol)) err = -EACCES;
    else err = connect_to(&s, &ss, (socklen_t)len, q.settle);
    if (to_dns) netb_dns_directed(s.fd, s.protocol);
    return err;
}
HOSTCALL(getpeername, "is a connection made already");

int netb_op_listen(struct netb_req *r)
{
    struct netb_sock s;
    struct sockaddr_storage ss;
    struct netb_addr a;
    socklen_t len = sizeof ss;
    s32 backlog;
    int err = netb_take(r, &backlog, sizeof backlog);
    if (!err) err = netb_sock_of(r, &s);
    if (err) return err;
    if (s.type != SOCK_STREAM) return -EOPNOTSUPP;
    /* An unbound socket would get any address and port; one that was bound by connecting may not have been asked for. */
    if (getsockname(s.fd, (struct sockaddr *)&ss, &len)) return -errno;
    netb_addr_from_host(&ss, &a);
    if (!a.port && !net_rules_open(&netb_rules, PLAN_NET_BIND)) return -EACCES;
    if (!netb_allow(PLAN_NET_BIND, s.protocol, a.ip, a.port)) return -EACCES;
    return listen(s.fd, backlog) ? -errno : 0;
}

int netb_op_accept(struct netb_req *r)
{
    struct netb_sock s;
    int err = netb_sock_of(r, &s);
    if (err) return err;
    if (s.type != SOCK_STREAM) return -EOPNOTSUPP;
    for (int tries = 0; tries < 64; tries++) {
        struct sockaddr_storage ss, own;
        struct netb_addr peer, local;
        socklen_t len = sizeof ss, own_len = sizeof own;
        int fd = accept4(s.fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return -errno;
        netb_addr_from_host(&ss, &peer);
        if (!getsockname(fd, (struct sockaddr *)&own, &own_len)) {
            netb_addr_from_host(&own, &local);
            if (netb_allow(PLAN_NET_IN, s.protocol, peer.ip, local.port)) {
                memcpy(r->out, &peer, sizeof peer);
                r->out_len = sizeof peer;
                r->out_fd = fd;
                return 0;
            }
        }
        close(fd); /* refused: it sees its connection end */
    }
    return -EAGAIN;
}
