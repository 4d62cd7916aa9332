/* Host sockets: made, named, connected, accepted, ended. */
#include "sentry/net/host.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/kernel/task.h"
#include "sentry/net/dev.h"
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

HOSTCALL_NET(accept4, "connections to a socket that may take any");
HOSTCALL_NET(shutdown, "ends of connections");
HOSTCALL_NET(getsockname, "names of host sockets");
HOSTCALL_NET(getpeername, "names of host sockets");
HOSTCALL_NET(close, "host sockets");
HOSTCALL_NET_ARG(ioctl, "bytes that can be read", 1, FIONREAD);
HOSTCALL_NET_ARG(ioctl, "bytes that were not sent", 1, TIOCOUTQ);
HOSTCALL_NET_ARG(ioctl, "the mark of urgent data", 1, SIOCATMARK);

struct net_rules net_plan = { .head = { .mode = PLAN_NET_LOOPBACK } };

static void attach(struct socket *s, int fd)
{
    struct host_sock *h = xnew(struct host_sock);
    h->fd = fd;
    h->s = s;
    s->host = h;
    s->ops = s->type == SOCK_STREAM ? &host_tcp_ops : &host_dgram_ops;
    inet_init(s);
    host_poller_add(h);
}

static int host_create(struct socket *s)
{
    struct netb_socket q = { s->domain, s->type, s->protocol };
    int p = s->protocol, fd, r;

    if (p < 0 || p > 262) return -EINVAL;
    if (s->type == SOCK_RAW) return p ? -EPERM : -EPROTONOSUPPORT;
    if (s->type != SOCK_STREAM && s->type != SOCK_DGRAM) return -ESOCKTNOSUPPORT;
    r = netb_call(NETB_SOCKET, -1, &q, sizeof q, NULL, 0, NULL, NULL, &fd);
    if (r) return r;
    if (!p) s->protocol = s->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    attach(s, fd);
    return 0;
}

static int connect_once(struct socket *s, const struct net_addr *a, bool settle)
{
    struct netb_connect q = { .settle = settle };
    netb_addr_of(a, &q.to);
    return netb_call(NETB_CONNECT, s->host->fd, &q, sizeof q, NULL, 0, NULL, NULL, NULL);
}

static int host_bind(struct socket *s, const struct net_addr *a)
{
    struct net_addr b = *a;
    struct netb_addr na;

    if (a->truncated) return -EINVAL;
    /* bind(2) takes AF_UNSPEC for AF_INET when the address is 0.0.0.0 */
    if (s->domain == AF_INET && a->family == AF_UNSPEC && ip_is_v4(a->in.ip) && ip_is_any(a->in.ip)) b.family = AF_INET;
    if (b.family != s->domain) return s->domain == AF_INET6 && b.family == AF_INET ? -EINVAL : -EAFNOSUPPORT;
    netb_addr_of(&b, &na);
    return netb_call(NETB_BIND, s->host->fd, &na, sizeof na, NULL, 0, NULL, NULL, NULL);
}

static int host_connect(struct socket *s, const struct net_addr *a, bool nonblock)
{
    struct sock_wait sw;
    int r;

    if (a->truncated) return -EINVAL;
    if (a->family != AF_UNSPEC && a->family != AF_INET && a->family != AF_INET6) return -EAFNOSUPPORT;
    if (s->domain == AF_INET && a->family == AF_INET6) return -EAFNOSUPPORT;
    r = connect_once(s, a, !nonblock);
    if (nonblock || (r != -EINPROGRESS && r != -EALREADY)) return r;
    sock_wait_init(&sw, POLLOUT, false, s->sndtimeo);
    do {
        while (!(host_ready(s->host, POLLOUT) & (POLLOUT | POLLERR | POLLHUP))) {
            r = host_wait(s, &sw);
            if (r) break;
        }
        /* Asked again when it has ended, the kernel reports how, once; later calls find it connected. */
        r = r < 0 && r != -EINPROGRESS && r != -EALREADY ? r : connect_once(s, a, true);
    } while (r == -EALREADY);
    sock_wait_fini(&sw);
    return r == -EAGAIN ? -EINPROGRESS : r;
}

static int host_getname(struct socket *s, struct net_addr *out, bool peer)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    int r = peer ? getpeername(s->host->fd, (struct sockaddr *)&ss, &len) : getsockname(s->host->fd, (struct sockaddr *)&ss, &len);
    if (r) return -errno;
    host_addr_in(&ss, out);
    return 0;
}

static int host_listen(struct socket *s, int backlog)
{
    s32 n = backlog;
    struct net_addr own;
    int r = host_getname(s, &own, false);
    /* Unnamed: named first, so that the rules are asked about what it will listen on. */
    if (!r && !own.in.port && !(r = host_bind(s, &own))) r = host_getname(s, &own, false);
    if (!r) r = net_policy(s, CR_LISTEN, &own);
    if (r) return r;
    return netb_call(NETB_LISTEN, s->host->fd, &n, sizeof n, NULL, 0, NULL, NULL, NULL);
}

static int accept_once(struct socket *s, struct net_addr *from)
{
    struct netb_addr peer;
    size_t len = sizeof peer;
    int fd, r;

    if (netb_accept_direct()) {
        struct sockaddr_storage ss;
        socklen_t ss_len = sizeof ss;
        fd = accept4(s->host->fd, (struct sockaddr *)&ss, &ss_len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return -errno;
        host_addr_in(&ss, from);
        return fd;
    }
    r = netb_call(NETB_ACCEPT, s->host->fd, NULL, 0, NULL, 0, &peer, &len, &fd);
    if (r) return r;
    *from = (struct net_addr){ .family = (u16)s->domain };
    memcpy(from->in.ip, peer.ip, sizeof peer.ip);
    from->in.port = peer.port;
    from->in.flow = peer.flow;
    from->in.scope = peer.scope;
    return fd;
}

static int host_accept(struct socket *s, struct socket **out, bool nonblock)
{
    struct sock_wait sw;
    struct net_addr from;
    int fd;

    sock_wait_init(&sw, POLLIN, nonblock, s->rcvtimeo);
    for (;;) {
        fd = accept_once(s, &from);
        if (fd != -EAGAIN) break;
        fd = host_wait(s, &sw);
        if (fd) break;
    }
    sock_wait_fini(&sw);
    if (fd < 0) return fd;
    struct socket *c = socket_alloc(s->domain, s->type, s->protocol);
    attach(c, fd);
    c->host->accepted = from;
    c->want = s->want;
    c->rcvtimeo = s->rcvtimeo;
    c->sndtimeo = s->sndtimeo;
    *out = c;
    return 0;
}

static int host_shutdown(struct socket *s, u32 which)
{
    int r = shutdown(s->host->fd, (int)which - 1) ? -errno : 0;
    waitq_wake_all(&s->wq, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP | POLLHUP);
    return r;
}

static u32 host_poll(struct socket *s)
{
    host_poller_watch(s->host);
    return host_ready(s->host, POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM | POLLRDBAND | POLLWRBAND);
}

static sysret_t host_ioctl(struct socket *s, u32 cmd, gaddr_t arg)
{
    int n = 0;
    switch (cmd) {
    case FIONREAD:
    case TIOCOUTQ:
    case SIOCATMARK:
        if (syscall(SYS_ioctl, s->host->fd, cmd, &n) < 0) return -errno;
        return copy_out(arg, &n, sizeof n);
    default: return -ENOTTY;
    }
}

static void host_release(struct socket *s)
{
    lock(&s->lock);
    s->dead = true;
    unlock(&s->lock);
}

static void host_free(struct socket *s)
{
    if (!s->host) return;
    host_poller_del(s->host);
    close(s->host->fd);
    free(s->host);
}

const struct sock_ops host_tcp_ops = {
    .bind = host_bind, .connect = host_connect, .listen = host_listen, .accept = host_accept, .getname = host_getname,
    .sendmsg = host_stream_send, .recvmsg = host_stream_recv, .shutdown = host_shutdown, .poll = host_poll,
    .all_options = true, .setopt = host_setopt, .getopt = host_getopt, .ioctl = host_ioctl, .release = host_release, .free = host_free,
};
const struct sock_ops host_dgram_ops = {
    .bind = host_bind, .connect = host_connect, .getname = host_getname, .sendmsg = host_dgram_send, .recvmsg = host_dgram_recv,
    .shutdown = host_shutdown, .poll = host_poll, .all_options = true, .setopt = host_setopt, .getopt = host_getopt,
    .ioctl = host_ioctl, .release = host_release, .free = host_free,
};

static int none_create(struct socket *s UNUSED) { return -EAFNOSUPPORT; }
static sysret_t none_ioctl(struct socket *s UNUSED, u32 cmd UNUSED, gaddr_t arg UNUSED) { return -ENOTTY; }

const struct net_stack_ops net_host = { .name = "host", .create = host_create, .if_ioctl = host_if_ioctl };
/* As a kernel without the internet families. */
const struct net_stack_ops net_none = { .name = "none", .create = none_create, .if_ioctl = none_ioctl };

int net_host_init(const int *socks, unsigned n, struct net_rules *rules)
{
    net_plan = *rules;
    *rules = (struct net_rules){ 0 };
    if (net_plan.head.mode == PLAN_NET_NONE) net_stack = &net_none;
    if (net_plan.head.mode == PLAN_NET_LOOPBACK) net_devs(NULL);
    if (net_plan.head.mode != PLAN_NET_HOST) return 0;
    net_stack = &net_host;
    return n ? netb_connect_channels(socks, n) : -EINVAL;
}
