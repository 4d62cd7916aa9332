/*
 * The network broker seen by a hostile sentry: the rules hold whatever is asked, descriptors are looked at, malformed
 * packets are refused. And what the filter's conditions on sends rest on: with MSG_PROBE the kernel sends no datagram.
 */
#include "netbroker/broker.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/base/rpc.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define ALL (PLAN_NET_OUT | PLAN_NET_BIND | PLAN_NET_IN)

static u8 out[NETB_PAYLOAD_MAX];
static int out_fd;

static int no_more(struct netb_req *r UNUSED) { return 0; }

/* One request; the reply's error. */
static int ask(enum netb_op op, int fd, const void *payload, size_t n)
{
    struct rpc_hdr h = { NETB_MAGIC | op, 1, (u32)n, 0 }, rep;
    struct netb_req r = { .in = payload, .len = (u32)n, .fd = fd, .out = out, .more = no_more };
    assert_true(netb_handle_packet(&h, &r, &rep));
    out_fd = r.out_fd;
    return rep.err;
}

static struct netb_addr addr(const char *ip, u16 port)
{
    struct netb_addr a = { .family = strchr(ip, ':') ? AF_INET6 : AF_INET, .port = port };
    if (a.family == AF_INET6) {
        inet_pton(AF_INET6, ip, a.ip);
    } else {
        a.ip[10] = a.ip[11] = 0xff;
        inet_pton(AF_INET, ip, a.ip + 12);
    }
    return a;
}

static struct plan_net_rule rule(bool allow, u8 dirs, u8 proto, const char *ip, u8 prefix, u16 lo, u16 hi)
{
    struct plan_net_rule r = { .allow = allow, .dirs = dirs, .proto = proto, .port_lo = lo, .port_hi = hi };
    if (ip) {
        struct netb_addr a = addr(ip, 0);
        memcpy(r.addr, a.ip, 16);
        r.family = a.family == AF_INET ? 4 : 6;
        r.prefix = (u8)(prefix + (a.family == AF_INET ? 96 : 0));
    }
    return r;
}

static void set_rules(u32 allow, const struct plan_net_rule *rules, u32 n)
{
    struct plan_net head = { .mode = PLAN_NET_HOST, .nrules = n, .allow = allow };
    u8 buf[2048];
    memcpy(buf, &head, sizeof head);
    if (n) memcpy(buf + sizeof head, rules, n * sizeof *rules);
    memcpy(buf + sizeof head + n * sizeof *rules, "profile", 8);
    net_rules_fini(&netb_rules);
    assert_int_equal(net_rules_parse(&netb_rules, buf, sizeof head + n * sizeof *rules + 8), 0);
}

static int sock(int domain, int type, int protocol)
{
    struct netb_socket q = { domain, type, protocol };
    assert_int_equal(ask(NETB_SOCKET, -1, &q, sizeof q), 0);
    assert_true(fcntl(out_fd, F_GETFL) & O_NONBLOCK);
    return out_fd;
}

static u16 port_of(int fd)
{
    struct sockaddr_storage ss;
    struct netb_addr a;
    socklen_t n = sizeof ss;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
    netb_addr_from_host(&ss, &a);
    return a.port;
}

static int do_bind(int fd, const char *ip, u16 port)
{
    struct netb_addr a = addr(ip, port);
    return ask(NETB_BIND, fd, &a, sizeof a);
}

static int do_connect(int fd, const char *ip, u16 port)
{
    struct netb_connect q = { .to = addr(ip, port), .settle = 1 };
    return ask(NETB_CONNECT, fd, &q, sizeof q);
}

static int do_send(int fd, const char *ip, u16 port)
{
    struct { struct netb_send s; char data[5]; } __attribute__((packed)) q = { .s = { .to = addr(ip, port), .tos = -1, .ttl = -1 }, .data = "hello" };
    return ask(NETB_SEND, fd, &q, sizeof q);
}

static int do_listen(int fd)
{
    s32 n = 5;
    return ask(NETB_LISTEN, fd, &n, sizeof n);
}

static void kinds_of_sockets(void **state UNUSED)
{
    static const struct { struct netb_socket q; int err; } refused[] = {
        { { AF_UNIX, SOCK_STREAM, 0 }, -EAFNOSUPPORT }, { { AF_NETLINK, SOCK_RAW, 0 }, -EAFNOSUPPORT }, { { AF_PACKET, SOCK_RAW, 0 }, -EAFNOSUPPORT },
        { { AF_VSOCK, SOCK_STREAM, 0 }, -EAFNOSUPPORT }, { { AF_INET, SOCK_RAW, IPPROTO_ICMP }, -ESOCKTNOSUPPORT },
        { { AF_INET, SOCK_STREAM, IPPROTO_SCTP }, -EPROTONOSUPPORT }, { { AF_INET, SOCK_STREAM, 262 }, -EPROTONOSUPPORT },
        { { AF_INET, SOCK_SEQPACKET, 0 }, -ESOCKTNOSUPPORT }, { { AF_INET, SOCK_STREAM | 0x100000, 0 }, -ESOCKTNOSUPPORT },
        { { AF_INET6, SOCK_DGRAM, IPPROTO_ICMP }, -EPROTONOSUPPORT },
    };
    set_rules(ALL, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) assert_int_equal(ask(NETB_SOCKET, -1, &refused[i].q, sizeof refused[i].q), refused[i].err);
    /* What a request brings along must be one of those. */
    int p[2], s = sock(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(pipe(p), 0);
    assert_int_equal(do_bind(p[0], "127.0.0.1", 0), -ENOTSOCK);
    assert_int_equal(do_bind(-1, "127.0.0.1", 0), -EBADF);
    assert_int_equal(do_send(s, "127.0.0.1", 9), -EOPNOTSUPP);
    close(p[0]), close(p[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
    assert_int_equal(do_connect(p[0], "127.0.0.1", 9), -EAFNOSUPPORT);
    close(p[0]), close(p[1]), close(s);
}

static void rules_out(void **state UNUSED)
{
    int srv = socket(AF_INET, SOCK_STREAM, 0), usrv = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in lo = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(bind(srv, (struct sockaddr *)&lo, sizeof lo) || listen(srv, 5) || bind(usrv, (struct sockaddr *)&lo, sizeof lo), 0);
    u16 port = port_of(srv), uport = port_of(usrv);
    const struct plan_net_rule only[] = { rule(true, PLAN_NET_OUT, IPPROTO_TCP, "127.0.0.0", 8, port, port),
                                          rule(true, PLAN_NET_OUT, IPPROTO_UDP, "127.0.0.1", 32, uport, uport) };
    set_rules(0, only, 2);

    int s = sock(AF_INET, SOCK_STREAM, 0), u = sock(AF_INET, SOCK_DGRAM, 0), six = sock(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(do_connect(s, "127.0.0.1", (u16)(port ^ 1)), -EACCES);
    assert_int_equal(do_connect(s, "192.0.2.1", port), -EACCES);
    assert_int_equal(do_connect(six, "::1", port), -EACCES);
    assert_int_equal(do_connect(six, "::", port), -EACCES);
    assert_int_equal(do_bind(s, "127.0.0.1", 0), -EACCES);
    assert_int_equal(do_listen(s), -EACCES);
    /* "Any" as destination is the loopback; so is its mapped form. */
    assert_int_equal(do_connect(six, "::ffff:127.0.0.1", (u16)(port ^ 1)), -EACCES);
    assert_true(do_connect(six, "::ffff:127.0.0.1", port) == 0);
    assert_true(do_connect(s, "0.0.0.0", port) == 0);
    assert_int_equal(do_send(u, "127.0.0.1", uport), 0);
    assert_int_equal(do_send(u, "127.0.0.1", port), uport == port ? 0 : -EACCES);
    assert_int_equal(do_send(u, "192.0.2.1", uport), -EACCES);
    assert_int_equal(do_connect(u, "192.0.2.1", 53), -EACCES);
    char b[8];
    struct pollfd pfd = { usrv, POLLIN, 0 };
    assert_int_equal(poll(&pfd, 1, 60000), 1);
    assert_int_equal(recv(usrv, b, sizeof b, 0), 5);
    close(s), close(u), close(six), close(srv), close(usrv);
}

static void rules_in(void **state UNUSED)
{
    const struct plan_net_rule deny[] = { rule(false, PLAN_NET_IN, 0, "127.0.0.0", 8, 0, 65535), rule(true, PLAN_NET_IN, 0, NULL, 0, 0, 65535) };
    set_rules(PLAN_NET_OUT | PLAN_NET_BIND, deny, 2);
    assert_false(net_rules_open(&netb_rules, PLAN_NET_IN));
    assert_true(net_rules_open(&netb_rules, PLAN_NET_OUT));
    int s = sock(AF_INET, SOCK_STREAM, 0), c = sock(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(do_bind(s, "127.0.0.1", 0), 0);
    assert_int_equal(do_listen(s), 0);
    assert_true(do_connect(c, "127.0.0.1", port_of(s)) == 0);
    assert_int_equal(ask(NETB_ACCEPT, s, NULL, 0), -EAGAIN);
    /* The peer sees its connection end. */
    struct pollfd p = { c, POLLIN, 0 };
    char b;
    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_true(recv(c, &b, 1, 0) <= 0);
    close(c);
    set_rules(ALL, NULL, 0);
    c = sock(AF_INET, SOCK_STREAM, 0);
    assert_true(do_connect(c, "127.0.0.1", port_of(s)) == 0);
    assert_int_equal(ask(NETB_ACCEPT, s, NULL, 0), 0);
    assert_true(out_fd >= 0);
    close(out_fd), close(c), close(s);
}

static void malformed(void **state UNUSED)
{
    u8 junk[64];
    set_rules(ALL, NULL, 0);
    int s = sock(AF_INET, SOCK_DGRAM, 0);
    memset(junk, 0xff, sizeof junk);
    for (u32 op = 0; op < NETB_OP_END + 2; op++)
        for (size_t n = 0; n < 4; n++)
            if (op != NETB_ACCEPT && op != NETB_IFCONF) assert_int_equal(ask((enum netb_op)op, s, junk, n), -EBADMSG);
    struct netb_setopt opt[] = { { SOL_SOCKET, SO_REUSEADDR }, { SOL_IP, IP_TRANSPARENT }, { SOL_SOCKET, SO_ATTACH_FILTER }, { SOL_SOCKET, SO_MARK } };
    for (size_t i = 0; i < ARRAY_LEN(opt); i++) assert_int_equal(ask(NETB_SETOPT, s, &opt[i], sizeof opt[i]), -ENOPROTOOPT);
    struct netb_ifreq q = { .cmd = 0x8914 /* SIOCSIFFLAGS */ };
    assert_int_equal(ask(NETB_IFREQ, -1, &q, sizeof q), -ENOTTY);
    struct { u32 strict; u32 len; u16 type, flags; u32 seq, pid; } nl = { 0, 16, 16 /* RTM_NEWLINK */, 1, 1, 0 };
    assert_int_equal(ask(NETB_ROUTE, -1, &nl, sizeof nl), -EOPNOTSUPP);
    struct rpc_hdr h = { NETB_MAGIC | NETB_BIND, 1, 5, 0 }, rep;
    struct netb_req r = { .in = junk, .len = 4, .fd = -1, .out = out };
    assert_false(netb_handle_packet(&h, &r, &rep));
    h = (struct rpc_hdr){ 0x12340001, 1, 4, 0 };
    assert_false(netb_handle_packet(&h, &r, &rep));
    close(s);
    struct net_rules bad;
    struct plan_net head = { .mode = PLAN_NET_HOST, .nrules = 1 };
    assert_int_equal(net_rules_parse(&bad, (u8 *)&head, sizeof head), -EINVAL);
    assert_false(net_rules_allow(&bad, PLAN_NET_OUT, IPPROTO_TCP, (const u8 *)"0123456789abcdef", 1, NULL));
}

/* A sentry's sendmsg, as its filter lets it through. */
static ssize_t filtered_send(int fd, const struct sockaddr *to, socklen_t len)
{
    struct iovec iov = { (char *)"stray", 5 };
    struct msghdr m = { .msg_name = (void *)(uintptr_t)to, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1 };
    return sendmsg(fd, &m, HOSTCALL_MSG_PROBE | MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Nothing of n probes arrives at a socket bound to `a`; an ordinary datagram sent after them does. */
static void probe_is_silent(struct sockaddr *a, socklen_t len)
{
    int to = socket(a->sa_family, SOCK_DGRAM, 0), from = socket(a->sa_family, SOCK_DGRAM, 0), same = socket(a->sa_family, SOCK_DGRAM, 0);
    char b[16];
    if (to < 0 || bind(to, a, len)) {
        print_message("address family %d is not here\n", a->sa_family);
        close(to), close(from), close(same);
        return;
    }
    assert_int_equal(getsockname(to, a, &len), 0);
    assert_int_equal(connect(same, a, len), 0);
    for (int i = 0; i < 10; i++) {
        filtered_send(from, a, len);
        filtered_send(same, a, len);
        filtered_send(same, NULL, 0);
    }
    /* Nor does an ordinary write push out what a probe left behind: an unconnected socket has nobody to write to. */
    assert_int_equal(write(from, "x", 1), -1);
    assert_int_equal(write(same, "real", 4), 4);
    struct pollfd p = { to, POLLIN, 0 };
    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_int_equal(recv(to, b, sizeof b, 0), 4);
    assert_int_equal(recv(to, b, sizeof b, MSG_DONTWAIT), -1);
    close(to), close(from), close(same);
}

static void probes_send_nothing(void **state UNUSED)
{
    struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int one = 1, s;
    probe_is_silent((struct sockaddr *)&a4, sizeof a4);
    probe_is_silent((struct sockaddr *)&a6, sizeof a6);
    /* With the socket corked by option, too. */
    s = socket(AF_INET, SOCK_DGRAM, 0);
    int to = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof a4;
    a4.sin_port = 0;
    assert_int_equal(bind(to, (struct sockaddr *)&a4, sizeof a4), 0);
    assert_int_equal(getsockname(to, (struct sockaddr *)&a4, &len), 0);
    assert_int_equal(setsockopt(s, IPPROTO_UDP, 1 /* UDP_CORK */, &one, sizeof one), 0);
    filtered_send(s, (struct sockaddr *)&a4, sizeof a4);
    one = 0;
    assert_int_equal(setsockopt(s, IPPROTO_UDP, 1, &one, sizeof one), 0);
    char b[8];
    assert_int_equal(recv(to, b, sizeof b, MSG_DONTWAIT), -1);
    close(s), close(to);
    /* AF_UNIX does not mind the flag: descriptors and requests still go out. */
    int sv[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
    assert_int_equal(filtered_send(sv[0], NULL, 0), 5);
    assert_int_equal(recv(sv[1], b, sizeof b, MSG_DONTWAIT), 5);
    close(sv[0]), close(sv[1]);
    /* Ping sockets, where they may be had: the kernel would answer an echo request on the loopback. */
    s = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    if (s < 0) {
        print_message("ping sockets: %s; not tried\n", strerror(errno));
        return;
    }
    u8 echo[8] = { 8, 0, 0, 0, 0, 0, 0, 1 };
    struct iovec iov = { echo, sizeof echo };
    struct msghdr m = { .msg_name = &a4, .msg_namelen = sizeof a4, .msg_iov = &iov, .msg_iovlen = 1 };
    sendmsg(s, &m, HOSTCALL_MSG_PROBE);
    iov.iov_base = (u8[]){ 8, 0, 0, 0, 0, 0, 0, 2 };
    assert_int_equal(sendmsg(s, &m, 0), 8);
    u8 got[64];
    struct pollfd p = { s, POLLIN, 0 };
    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_true(recv(s, got, sizeof got, 0) >= 8 && got[7] == 2);
    close(s);
}

/* Of several descriptors with one packet one is taken; the others do not stay behind. */
static void takes_one_descriptor(void **state)
{
    int s[2], two[2] = { 0, 1 };
    char byte = 0;
    struct iovec iov = { &byte, 1 };
    union { char buf[CMSG_SPACE(2 * sizeof(int))]; struct cmsghdr align; } sent = { .buf = { 0 } };
    union rpc_fd_room room;
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = sent.buf, .msg_controllen = sizeof sent.buf };
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof two);
    memcpy(CMSG_DATA(c), two, sizeof two);
    int before = dup(0);
    close(before);
    assert_int_equal(sendmsg(s[0], &m, 0), 1);
    m.msg_control = room.buf;
    m.msg_controllen = sizeof room.buf;
    assert_int_equal(recvmsg(s[1], &m, 0), 1);
    int got = rpc_take_fd(&m);
    assert_true(got >= 0);
    close(got);
    int after[2] = { dup(0), dup(0) };
    assert_int_equal(after[0], before);
    assert_int_equal(after[1], before + 1);
    for (int i = 0; i < 2; i++) close(after[i]), close(s[i]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_one_descriptor), cmocka_unit_test(kinds_of_sockets), cmocka_unit_test(rules_out), cmocka_unit_test(rules_in), cmocka_unit_test(malformed),
        cmocka_unit_test(probes_send_nothing),
    };
    log_init("netbroker-test", 2, LOG_ERROR);
    if (netb_info_init()) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
