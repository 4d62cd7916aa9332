/* UDP over the loopback: corking, errors, names, what ancillary data say. udp(7), ip(7), ipv6(7) */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef IPV6_ADDRFORM
#define IPV6_ADDRFORM 1
#endif
#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74
#endif
#ifndef IP_RECVORIGDSTADDR
#define IP_RECVORIGDSTADDR 20
#endif

union addr { struct sockaddr sa; struct sockaddr_in in; struct sockaddr_in6 in6; };
static const int one = 1, zero = 0;

static union addr lo(int six, int port)
{
    union addr a = { 0 };
    a.sa.sa_family = six ? AF_INET6 : AF_INET;
    a.in.sin_port = htons((in_port_t)port);
    if (six) a.in6.sin6_addr = in6addr_loopback;
    else a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}
static socklen_t size_of(const union addr *a) { return a->sa.sa_family == AF_INET6 ? sizeof a->in6 : sizeof a->in; }

static union addr mapped(int port)
{
    union addr a = lo(1, port);
    CHECK(inet_pton(AF_INET6, "::ffff:127.0.0.1", &a.in6.sin6_addr) == 1);
    return a;
}

static int dgram(const union addr *at)
{
    int s = socket(at->sa.sa_family, SOCK_DGRAM, 0);
    CHECK(s >= 0 && !bind(s, &at->sa, size_of(at)));
    return s;
}

static union addr name(int s)
{
    union addr a;
    socklen_t l = sizeof a;
    CHECK(!getsockname(s, &a.sa, &l));
    return a;
}

static int peer_err(int s)
{
    union addr a;
    socklen_t l = sizeof a;
    return getpeername(s, &a.sa, &l) ? errno : 0;
}

/* s[0] connected to s[1]. */
static void pair(int six, int s[2])
{
    union addr a = lo(six, 0);
    s[1] = dgram(&a);
    a = name(s[1]);
    s[0] = socket(a.sa.sa_family, SOCK_DGRAM, 0);
    CHECK(!connect(s[0], &a.sa, size_of(&a)));
}

static int waiting(int s) { return poll(&(struct pollfd){ s, POLLIN, 0 }, 1, 0); }

static void cork_of(int six)
{
    char b[16];
    int s[2], v = 7;
    socklen_t l = sizeof v;
    pair(six, s);
    CHECK(send(s[0], "ab", 2, MSG_MORE) == 2 && send(s[0], "cd", 2, MSG_MORE) == 2 && !waiting(s[1]));
    CHECK(send(s[0], "e", 1, 0) == 1);
    CHECK(recv(s[1], b, sizeof b, 0) == 5 && !memcmp(b, "abcde", 5) && !waiting(s[1]));
    /* No bytes end it as well; none alone begin nothing. */
    CHECK(send(s[0], "ab", 2, MSG_MORE) == 2 && send(s[0], "", 0, 0) == 0 && recv(s[1], b, sizeof b, 0) == 2);
    CHECK(send(s[0], "", 0, MSG_MORE) == 0 && send(s[0], "x", 1, 0) == 1 && recv(s[1], b, sizeof b, 0) == 1);
    CHECK(!getsockopt(s[0], IPPROTO_UDP, UDP_CORK, &v, &l) && v == 0);
    CHECK(!setsockopt(s[0], IPPROTO_UDP, UDP_CORK, &one, sizeof one) && !getsockopt(s[0], IPPROTO_UDP, UDP_CORK, &v, &l) && v == 1);
    CHECK(write(s[0], "12", 2) == 2 && write(s[0], "345", 3) == 3 && !waiting(s[1]));
    usleep(300000);
    CHECK(!waiting(s[1]));         /* no limit in time */
    CHECK(!setsockopt(s[0], IPPROTO_UDP, UDP_CORK, &zero, sizeof zero));
    CHECK(recv(s[1], b, sizeof b, 0) == 5 && !memcmp(b, "12345", 5));
    /* The first piece says where to, and with which address. */
    union addr o = lo(six, 0), to = name(s[1]);
    int other = dgram(&o);
    o = name(other);
    CHECK(sendto(s[0], "to", 2, MSG_MORE, &to.sa, size_of(&to)) == 2 && sendto(s[0], "gether", 6, 0, &o.sa, size_of(&o)) == 6);
    CHECK(recv(s[1], b, sizeof b, 0) == 8 && !waiting(other));
    /* One too many takes all with it. */
    static char big[65535];
    CHECK(send(s[0], "ab", 2, MSG_MORE) == 2);
    CHECK_ERR(send(s[0], big, six ? 65526 : 65506, 0), EMSGSIZE);
    CHECK(!waiting(s[1]) && send(s[0], "cd", 2, 0) == 2 && recv(s[1], b, sizeof b, 0) == 2 && !memcmp(b, "cd", 2));
    CHECK(send(s[0], big, 30000, MSG_MORE) == 30000 && send(s[0], big, 30000, 0) == 30000 && recv(s[1], big, sizeof big, 0) == 60000);
    CHECK(send(s[0], "lost", 4, MSG_MORE) == 4);
    close(s[0]);
    usleep(10000);
    CHECK(!waiting(s[1]));
    close(s[1]), close(other);
}
static void cork(void) { cork_of(0), cork_of(1); }

/* recvmsg(2) of one error: its sock_extended_err, and the name. -1: none */
static ssize_t get_error(int s, struct sock_extended_err *e, union addr *from, int six, size_t *clen)
{
    char data[64], c[256];
    struct iovec v = { data, sizeof data };
    struct msghdr m = { .msg_name = from, .msg_namelen = sizeof *from, .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
    ssize_t n = recvmsg(s, &m, MSG_ERRQUEUE);
    if (n < 0) return n;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    CHECK(h && h->cmsg_level == (six ? IPPROTO_IPV6 : IPPROTO_IP) && h->cmsg_type == (six ? IPV6_RECVERR : IP_RECVERR));
    memcpy(e, CMSG_DATA(h), sizeof *e);
    *clen = h->cmsg_len - CMSG_LEN(0);
    CHECK(m.msg_flags & MSG_ERRQUEUE);
    return n;
}

static int so_error(int s)
{
    int e;
    socklen_t l = sizeof e;
    CHECK(!getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &l));
    return e;
}

static void errors(void)
{
    static char big[65536];
    struct sock_extended_err e;
    union addr from, to;
    size_t clen;
    for (int six = 0; six < 2; six++) {
        int s[2];
        pair(six, s);
        to = name(s[1]);
        CHECK(!setsockopt(s[0], six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVERR : IP_RECVERR, &one, sizeof one));
        close(s[1]);
        CHECK(send(s[0], "abc", 3, 0) == 3 && poll(&(struct pollfd){ s[0], 0, 0 }, 1, 1000) == 1);
        CHECK(get_error(s[0], &e, &from, six, &clen) == 3 && e.ee_errno == ECONNREFUSED && e.ee_origin == (six ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP));
        CHECK(from.in.sin_port == to.in.sin_port && clen == sizeof e + size_of(&to));
        CHECK(so_error(s[0]) == 0 && get_error(s[0], &e, &from, six, &clen) == -1 && errno == EAGAIN);
        /* Two of them: the second one is still pending. */
        CHECK(send(s[0], "abc", 3, 0) == 3);
        usleep(20000);
        (void)send(s[0], "abc", 3, 0);
        CHECK(send(s[0], "abc", 3, 0) == 3);
        usleep(20000);
        CHECK(get_error(s[0], &e, &from, six, &clen) == 3 && so_error(s[0]) == ECONNREFUSED);
        while (get_error(s[0], &e, &from, six, &clen) >= 0) {}
        /* What is too long for the interface, or the protocol. */
        size_t max = six ? 65527 : 65507;
        CHECK_ERR(send(s[0], big, max + 1, 0), EMSGSIZE);
        CHECK(get_error(s[0], &e, &from, six, &clen) == 0 && e.ee_errno == EMSGSIZE && e.ee_origin == SO_EE_ORIGIN_LOCAL);
        printf("info %u\n", e.ee_info);
        CHECK(from.in.sin_port == to.in.sin_port && clen == sizeof e + size_of(&to) && so_error(s[0]) == 0);
        CHECK_ERR(send(s[0], big, 65536, 0), EMSGSIZE);
        CHECK((get_error(s[0], &e, &from, six, &clen) == 0) == six);
        close(s[0]);
    }
}

/* Errors wait only as long as there is room for them. */
static void errors_bounded(void)
{
    struct sock_extended_err e;
    union addr from;
    size_t clen;
    int s[2], n = 0;
    pair(0, s);
    CHECK(!setsockopt(s[0], IPPROTO_IP, IP_RECVERR, &one, sizeof one) && !setsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &one, sizeof one));
    close(s[1]);
    for (int i = 0; i < 200; i++) (void)send(s[0], "x", 1, 0);
    usleep(20000);
    while (get_error(s[0], &e, &from, 0, &clen) >= 0) n++;
    CHECK(n > 0 && n < 50);
    close(s[0]);
}

static void names(void)
{
    union addr a = lo(0, 0), any = lo(0, 0);
    int s = dgram(&a), t;
    any.in.sin_addr.s_addr = 0;
    a = name(s);
    CHECK(!connect(s, &a.sa, sizeof a.in) && peer_err(s) == 0);
    union addr z = lo(0, 0);
    CHECK(!connect(s, &z.sa, sizeof z.in) && peer_err(s) == ENOTCONN);
    t = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(!connect(t, &any.sa, sizeof any.in) && peer_err(t) == ENOTCONN);
    close(t);
    /* A disconnect leaves what bind(2) was given, and not the address that the route gave. */
    t = dgram(&any);
    in_port_t port = name(t).in.sin_port;
    CHECK(!connect(t, &a.sa, sizeof a.in) && name(t).in.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(!connect(t, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
    if (kernel_since(5, 12, "the port of a disconnected socket")) CHECK(name(t).in.sin_addr.s_addr == 0);
    close(t);
    (void)port;
    close(s);
}

/* Data first, then the end; without waiting there is no end. */
static void shut_reading(void)
{
    char b[4];
    int s[2];
    pair(0, s);
    CHECK_ERR(shutdown(s[1], SHUT_RD), ENOTCONN);
    CHECK_ERR(recv(s[1], b, 4, MSG_DONTWAIT), EAGAIN);
    CHECK(recv(s[1], b, 4, 0) == 0);
    CHECK(send(s[0], "abc", 3, 0) == 3);
    usleep(20000);
    close(s[0]), close(s[1]);
}

static void stamps(void)
{
    struct timeval tv, again;
    char b[4];
    int s[2];
    pair(0, s);
    CHECK_ERR(ioctl(s[1], SIOCGSTAMP, &tv), ENOENT);
    CHECK(!setsockopt(s[1], SOL_SOCKET, SO_TIMESTAMP, &one, sizeof one));
    CHECK(send(s[0], "a", 1, 0) == 1 && recv(s[1], b, 4, 0) == 1);
    CHECK_ERR(ioctl(s[1], SIOCGSTAMP, &tv), ENOENT);      /* it came with the message */
    CHECK(!setsockopt(s[1], SOL_SOCKET, SO_TIMESTAMP, &zero, sizeof zero));
    CHECK(send(s[0], "a", 1, 0) == 1 && recv(s[1], b, 4, 0) == 1 && !ioctl(s[1], SIOCGSTAMP, &tv) && tv.tv_sec);
    CHECK(!setsockopt(s[1], SOL_SOCKET, SO_TIMESTAMP, &one, sizeof one));
    CHECK(send(s[0], "a", 1, 0) == 1 && recv(s[1], b, 4, 0) == 1 && !ioctl(s[1], SIOCGSTAMP, &again) && !memcmp(&tv, &again, sizeof tv));
    close(s[0]), close(s[1]);
}

static void families(void)
{
    union addr a = lo(1, 0), four = lo(0, 0), m = mapped(0);
    char b[4];
    int s = dgram(&m), t;
    a.in6.sin6_port = htons(9);
    CHECK_ERR(sendto(s, "x", 1, 0, &a.sa, sizeof a.in6), EAFNOSUPPORT);
    CHECK_ERR(connect(s, &a.sa, sizeof a.in6), EAFNOSUPPORT);
    close(s);
    s = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(!bind(s, &m.sa, sizeof m.in6));
    CHECK_ERR(connect(s, &a.sa, sizeof a.in6), EAFNOSUPPORT);
    close(s);
    a.in6.sin6_port = 0;
    s = dgram(&a);
    m.in6.sin6_port = htons(9);
    CHECK_ERR(sendto(s, "x", 1, 0, &m.sa, sizeof m.in6), ENETUNREACH);
    int v6only;
    socklen_t l = sizeof v6only;
    CHECK(!getsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &l) && v6only == 1);
    /* One that is connected by IPv6 may send a datagram by IPv4. */
    t = dgram(&four);
    m.in6.sin6_port = name(t).in.sin_port;
    int c = socket(AF_INET6, SOCK_DGRAM, 0);
    a = name(s);
    CHECK(!connect(c, &a.sa, sizeof a.in6));
    CHECK(sendto(c, "x", 1, 0, &m.sa, sizeof m.in6) == 1 && recv(t, b, 4, 0) == 1);
    close(c), close(t), close(s);
}

/* IPV6_ADDRFORM makes a socket that talks IPv4 one of AF_INET. */
static void addrform(void)
{
    union addr four = lo(0, 0), m = mapped(0);
    int t = dgram(&four), v = AF_INET, s = socket(AF_INET6, SOCK_DGRAM, 0);
    socklen_t l = sizeof v;
    char b[4];
    CHECK_ERR(setsockopt(s, IPPROTO_IPV6, IPV6_ADDRFORM, &v, sizeof v), ENOTCONN);
    m.in6.sin6_port = name(t).in.sin_port;
    CHECK(!connect(s, &m.sa, sizeof m.in6));
    CHECK(!getsockopt(s, IPPROTO_IPV6, IPV6_ADDRFORM, &v, &l) && v == AF_INET6);
    CHECK_ERR(setsockopt(s, IPPROTO_IPV6, IPV6_ADDRFORM, &(int){ AF_INET6 }, 4), EINVAL);
    v = AF_INET;
    CHECK(!setsockopt(s, IPPROTO_IPV6, IPV6_ADDRFORM, &v, sizeof v));
    CHECK(name(s).sa.sa_family == AF_INET && !getsockopt(s, SOL_SOCKET, SO_DOMAIN, &v, &l) && v == AF_INET);
    CHECK_ERR(setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one), ENOPROTOOPT);
    CHECK(send(s, "x", 1, 0) == 1 && recv(t, b, 4, 0) == 1);
    close(s);
    union addr six = lo(1, 0);
    int u = dgram(&six);
    six = name(u);
    s = socket(AF_INET6, SOCK_DGRAM, 0);
    v = AF_INET;
    CHECK(!connect(s, &six.sa, sizeof six.in6));
    CHECK_ERR(setsockopt(s, IPPROTO_IPV6, IPV6_ADDRFORM, &v, sizeof v), EADDRNOTAVAIL);
    close(s), close(u), close(t);
}

/* The address a datagram was sent to, in either form; also IPv4's on a socket of IPv6. */
static void original_destination(void)
{
    int s[2], v = 5;
    socklen_t l = sizeof v;
    char data[4], c[256];
    struct iovec io = { data, sizeof data };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
    pair(1, s);
    CHECK(!getsockopt(s[1], IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &v, &l) && v == 0);
    CHECK(!setsockopt(s[1], IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &one, sizeof one));
    CHECK(!getsockopt(s[1], IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &v, &l) && v == 1);
    CHECK(send(s[0], "x", 1, 0) == 1 && recvmsg(s[1], &m, 0) == 1);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    struct sockaddr_in6 a;
    CHECK(h && h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_RECVORIGDSTADDR && h->cmsg_len == CMSG_LEN(sizeof a));
    memcpy(&a, CMSG_DATA(h), sizeof a);
    CHECK(a.sin6_family == AF_INET6 && a.sin6_port == name(s[1]).in.sin_port && !memcmp(&a.sin6_addr, &in6addr_loopback, 16) && !a.sin6_scope_id);
    /* On one of both kinds. */
    union addr any = { .in6 = { .sin6_family = AF_INET6 } }, four = lo(0, 0);
    int d = dgram(&any), f = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(!setsockopt(d, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &one, sizeof one) && !setsockopt(d, IPPROTO_IP, IP_RECVORIGDSTADDR, &one, sizeof one));
    four.in.sin_port = name(d).in.sin_port;
    m.msg_controllen = sizeof c;
    CHECK(sendto(f, "x", 1, 0, &four.sa, sizeof four.in) == 1 && recvmsg(d, &m, 0) == 1);
    for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) printf("dual: level %d type %d len %zu\n", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len);
    close(s[0]), close(s[1]), close(d), close(f);
}

/* 255.255.255.255 goes out by the interface of the address that the sender is bound to. */
static void limited_broadcast(void)
{
    union addr all = lo(0, 0), a = lo(0, 0), any = lo(0, 0);
    char b[4];
    all.in.sin_addr.s_addr = INADDR_BROADCAST, any.in.sin_addr.s_addr = 0;
    int r = dgram(&all), r2, s = dgram(&a);
    CHECK(!setsockopt(r, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    all = name(r);
    r2 = socket(AF_INET, SOCK_DGRAM, 0);
    any.in.sin_port = all.in.sin_port;
    CHECK(!setsockopt(r2, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) && !bind(r2, &any.sa, sizeof any.in));
    CHECK_ERR(sendto(s, "x", 1, 0, &all.sa, sizeof all.in), EACCES);
    CHECK(!setsockopt(s, SOL_SOCKET, SO_BROADCAST, &one, sizeof one));
    CHECK(sendto(s, "x", 1, 0, &all.sa, sizeof all.in) == 1);
    CHECK(recv(r, b, 4, 0) == 1 && recv(r2, b, 4, 0) == 1);
    close(r), close(r2), close(s);
}

TEST_MAIN(CASE(cork), CASE(errors), CASE(errors_bounded), CASE(names), CASE(shut_reading), CASE(stamps), CASE(families), CASE(addrform),
          CASE(original_destination), CASE(limited_broadcast))
