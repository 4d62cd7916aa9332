/* TCP and UDP over the loopback. tcp(7), udp(7), ip(7), ipv6(7) */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in at(const char *ip, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}

static int server(struct sockaddr_in *a, int backlog)
{
    socklen_t l = sizeof *a;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    *a = at("127.0.0.1", 0);
    CHECK(!bind(s, (void *)a, l) && !listen(s, backlog) && !getsockname(s, (void *)a, &l) && a->sin_port);
    return s;
}

static void pair(int s[2])
{
    struct sockaddr_in a;
    int l = server(&a, 5);
    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(s[0], (void *)&a, sizeof a));
    s[1] = accept(l, NULL, NULL);
    CHECK(s[1] >= 0);
    close(l);
}

static int poll_of(int fd, int ev, int ms)
{
    struct pollfd p = { fd, (short)ev, 0 };
    CHECK(poll(&p, 1, ms) >= 0);
    return p.revents;
}

static void echo(void)
{
    int s[2];
    char b[16];
    struct sockaddr_in x, y;
    socklen_t l = sizeof x, m = sizeof y;
    pair(s);
    CHECK(!getsockname(s[0], (void *)&x, &l) && !getpeername(s[1], (void *)&y, &m) && x.sin_port == y.sin_port);
    CHECK(write(s[0], "hello", 5) == 5 && recv(s[1], b, 5, MSG_WAITALL) == 5 && !memcmp(b, "hello", 5));
    CHECK_ERR(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(connect(s[0], (void *)&y, m), EISCONN);
    CHECK(poll_of(s[0], POLLIN | POLLOUT | POLLRDHUP, 0) == POLLOUT);
    CHECK(!shutdown(s[0], SHUT_WR));
    CHECK(poll_of(s[1], POLLIN | POLLRDHUP, 1000) == (POLLIN | POLLRDHUP));
    CHECK(read(s[1], b, 1) == 0 && write(s[1], "z", 1) == 1 && read(s[0], b, 1) == 1);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[1]);
    CHECK(poll_of(s[0], POLLIN | POLLRDHUP, 1000) & POLLHUP);
    CHECK(read(s[0], b, 1) == 0);
    close(s[0]);
}

static void resets(void)
{
    int s[2];
    char c;
    struct linger lg = { 1, 0 };
    pair(s);
    CHECK(!setsockopt(s[1], SOL_SOCKET, SO_LINGER, &lg, sizeof lg));
    close(s[1]);
    CHECK(poll_of(s[0], POLLIN, 1000) == (POLLIN | POLLERR | POLLHUP));
    CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
    CHECK(read(s[0], &c, 1) == 0);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]);
    pair(s);
    CHECK(write(s[0], "unread", 6) == 6 && poll_of(s[1], POLLIN, 1000) == POLLIN);
    close(s[1]);
    CHECK(poll_of(s[0], POLLIN, 1000) & POLLERR);
    CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
    close(s[0]);
    pair(s);
    close(s[1]);
    CHECK(poll_of(s[0], POLLRDHUP, 1000) == POLLRDHUP);
    CHECK(send(s[0], "x", 1, MSG_NOSIGNAL) == 1);
    usleep(20000);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]);
}

static void connecting(void)
{
    struct sockaddr_in a;
    socklen_t l = sizeof a;
    int e, srv = server(&a, 5), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(poll_of(c, POLLIN | POLLOUT, 0) == (POLLOUT | POLLHUP));
    CHECK_ERR(connect(c, (void *)&a, l), EINPROGRESS);
    CHECK(poll_of(c, POLLOUT, 1000) == POLLOUT);
    l = sizeof e;
    CHECK(!getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &l) && e == 0);
    CHECK(!connect(c, (void *)&a, sizeof a));
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EISCONN);
    close(c), close(srv);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), ECONNREFUSED);
    close(c);
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EINPROGRESS);
    CHECK(poll_of(c, POLLOUT, 1000) == (POLLOUT | POLLERR | POLLHUP));
    CHECK_ERR(connect(c, (void *)&a, sizeof a), ECONNREFUSED);
    CHECK_ERR(connect(c, (void *)&a, 5), EINVAL);
    CHECK_ERR(getpeername(c, (void *)&a, &l), ENOTCONN);
    CHECK_ERR(recv(c, &e, 1, 0), ENOTCONN);
    CHECK_ERR(shutdown(c, SHUT_RD), ENOTCONN);
    CHECK(recv(c, &e, 1, 0) == 0);
    CHECK_ERR(send(c, &e, 1, MSG_NOSIGNAL), EPIPE);
    close(c);
}

static void binding(void)
{
    struct sockaddr_in a, any;
    int one = 1, srv = server(&a, 5), s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EADDRINUSE);
    any = at("0.0.0.0", ntohs(a.sin_port));
    CHECK_ERR(bind(s, (void *)&any, sizeof any), EADDRINUSE);
    CHECK(!setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EADDRINUSE);
    struct sockaddr_in far = at("203.0.113.7", 0);
    CHECK_ERR(bind(s, (void *)&far, sizeof far), EADDRNOTAVAIL);
    CHECK_ERR(bind(s, (void *)&a, 4), EINVAL);
    a.sin_family = AF_UNIX;
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EAFNOSUPPORT);
    a.sin_family = AF_INET;
    close(srv);
    CHECK(!bind(s, (void *)&a, sizeof a));
    CHECK_ERR(bind(s, (void *)&a, sizeof a), EINVAL);
    close(s);
    CHECK_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERR(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
    CHECK_ERR(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
}

static void options(void)
{
    int s[2], v = 0;
    socklen_t l = sizeof v;
    struct tcp_info ti;
    pair(s);
    v = 1;
    CHECK(!setsockopt(s[0], IPPROTO_TCP, TCP_NODELAY, &v, sizeof v));
    v = 0;
    CHECK(!getsockopt(s[0], IPPROTO_TCP, TCP_NODELAY, &v, &l) && v == 1);
    v = 77;
    CHECK(!setsockopt(s[0], IPPROTO_TCP, TCP_KEEPIDLE, &v, sizeof v));
    v = 0;
    CHECK(!getsockopt(s[0], IPPROTO_TCP, TCP_KEEPIDLE, &v, &l) && v == 77);
    l = sizeof ti;
    CHECK(!getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &ti, &l) && ti.tcpi_state == TCP_ESTABLISHED);
    v = 50000, l = sizeof v;
    CHECK(!setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof v));
    CHECK(!getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &l) && v == 100000);
    CHECK(!getsockopt(s[0], SOL_SOCKET, SO_PROTOCOL, &v, &l) && v == IPPROTO_TCP);
    CHECK_ERR(getsockopt(s[0], IPPROTO_TCP, 9999, &v, &l), ENOPROTOOPT);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_KEEPALIVE, &v, 1), EINVAL);
    close(s[0]), close(s[1]);
}

static void dual_stack(void)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6 }, p;
    socklen_t l = sizeof a;
    int srv = socket(AF_INET6, SOCK_STREAM, 0), zero = 0;
    if (srv < 0 && errno == EAFNOSUPPORT) return;
    CHECK(!setsockopt(srv, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero));
    CHECK(!bind(srv, (void *)&a, sizeof a) && !listen(srv, 5) && !getsockname(srv, (void *)&a, &l));
    struct sockaddr_in v4 = at("127.0.0.1", ntohs(a.sin6_port));
    int c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(c, (void *)&v4, sizeof v4));
    l = sizeof p;
    int d = accept(srv, (void *)&p, &l);
    CHECK(d >= 0 && p.sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&p.sin6_addr));
    close(c), close(d);
    a.sin6_addr = in6addr_loopback;
    c = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(!connect(c, (void *)&a, sizeof a));
    d = accept(srv, NULL, NULL);
    CHECK(d >= 0 && write(c, "6", 1) == 1 && read(d, &l, 1) == 1);
    close(c), close(d), close(srv);
}

static void udp(void)
{
    struct sockaddr_in a = at("127.0.0.1", 0), b;
    socklen_t l = sizeof a;
    char buf[16];
    int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(!bind(s, (void *)&a, l) && !getsockname(s, (void *)&a, &l));
    CHECK_ERR(send(c, "x", 1, 0), EDESTADDRREQ);
    CHECK(sendto(c, "12345", 5, 0, (void *)&a, sizeof a) == 5);
    l = sizeof b;
    CHECK(recvfrom(s, buf, 3, MSG_TRUNC, (void *)&b, &l) == 5 && l == sizeof b && b.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(sendto(s, "", 0, 0, (void *)&b, sizeof b) == 0 && recv(c, buf, sizeof buf, 0) == 0);
    CHECK(!connect(c, (void *)&a, sizeof a) && send(c, "hi", 2, 0) == 2 && recv(s, buf, sizeof buf, 0) == 2);
    static char big[70000];
    CHECK_ERR(send(c, big, sizeof big, 0), EMSGSIZE);
    close(s);
    CHECK(send(c, "x", 1, 0) == 1);
    CHECK(poll_of(c, POLLIN, 1000) & POLLERR);
    CHECK_ERR(recv(c, buf, 1, MSG_DONTWAIT), ECONNREFUSED);
    CHECK_ERR(recv(c, buf, 1, MSG_DONTWAIT), EAGAIN);
    a.sin_family = AF_UNSPEC;
    CHECK(!connect(c, (void *)&a, sizeof a));
    CHECK_ERR(send(c, "x", 1, 0), EDESTADDRREQ);
    CHECK_ERR(getpeername(c, (void *)&b, &l), ENOTCONN);
    close(c);
}

static void udp_pktinfo(void)
{
    struct sockaddr_in a = at("0.0.0.0", 0);
    socklen_t l = sizeof a;
    char buf[16], ctl[128];
    int one = 1, s = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(!bind(s, (void *)&a, l) && !getsockname(s, (void *)&a, &l));
    CHECK(!setsockopt(s, IPPROTO_IP, IP_PKTINFO, &one, sizeof one));
    a = at("127.0.0.5", ntohs(a.sin_port));
    CHECK(sendto(s, "p", 1, 0, (void *)&a, sizeof a) == 1);
    struct iovec v = { buf, sizeof buf };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl };
    CHECK(recvmsg(s, &m, 0) == 1);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    CHECK(h && h->cmsg_type == IP_PKTINFO);
    struct in_pktinfo pi;
    memcpy(&pi, CMSG_DATA(h), sizeof pi);
    CHECK(pi.ipi_addr.s_addr == a.sin_addr.s_addr && pi.ipi_ifindex == 1);
    close(s);
}

static void *sink(void *p)
{
    static char b[65536];
    size_t n = 0;
    ssize_t r;
    while ((r = read(*(int *)p, b, sizeof b)) > 0) n += (size_t)r;
    return (void *)n;
}

static void bulk(void)
{
    int s[2];
    pthread_t t;
    void *n;
    static char b[8 << 20];
    pair(s);
    CHECK(!pthread_create(&t, NULL, sink, &s[1]));
    CHECK(write(s[0], b, sizeof b) == sizeof b);
    close(s[0]);
    CHECK(!pthread_join(t, &n) && (size_t)n == sizeof b);
    close(s[1]);
}

static void mmsg(void)
{
    struct sockaddr_in a = at("127.0.0.1", 0);
    socklen_t l = sizeof a;
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    char b[3][4] = { "a", "bb", "ccc" };
    struct iovec v[3] = { { b[0], 1 }, { b[1], 2 }, { b[2], 3 } };
    struct mmsghdr m[3] = { 0 };
    CHECK(!bind(s, (void *)&a, l) && !getsockname(s, (void *)&a, &l) && !connect(s, (void *)&a, l));
    for (int i = 0; i < 3; i++) m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1 };
    CHECK(sendmmsg(s, m, 3, 0) == 3 && m[2].msg_len == 3);
    CHECK(recvmmsg(s, m, 3, MSG_WAITFORONE, NULL) == 3 && m[1].msg_len == 2);
    close(s);
}

/* A connection that was reset before it was accepted is handed out with its peer's name. */
static void accept_after_reset(void)
{
    struct sockaddr_in a, from, mine;
    socklen_t l = sizeof from, ml = sizeof mine;
    struct linger lg = { 1, 0 };
    int e, srv = server(&a, 5), c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(c, (void *)&a, sizeof a) && !getsockname(c, (void *)&mine, &ml));
    CHECK(!setsockopt(c, SOL_SOCKET, SO_LINGER, &lg, sizeof lg));
    close(c);
    int s = accept(srv, (void *)&from, &l);
    CHECK(s >= 0 && l == sizeof from && from.sin_port == mine.sin_port);
    CHECK(poll_of(s, POLLIN, 1000) == (POLLIN | POLLERR | POLLHUP));
    l = sizeof e;
    CHECK(!getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &l) && e == ECONNRESET);
    close(s), close(srv);
}

static void tcp_limits(void)
{
    int s[2], v;
    socklen_t l = sizeof v;
    pair(s);
    CHECK(!setsockopt(s[0], IPPROTO_TCP, TCP_LINGER2, &(int){ -1234 }, 4) && !getsockopt(s[0], IPPROTO_TCP, TCP_LINGER2, &v, &l) && v == -1);
    CHECK(!setsockopt(s[0], IPPROTO_TCP, TCP_LINGER2, &(int){ 100000 }, 4) && !getsockopt(s[0], IPPROTO_TCP, TCP_LINGER2, &v, &l));
    CHECK(v == 120 || v == 60);   /* TCP_FIN_TIMEOUT_MAX; once the sysctl was the limit */
    CHECK_ERR(setsockopt(s[0], IPPROTO_TCP, TCP_WINDOW_CLAMP, &(int){ 0 }, 4), EINVAL);
    CHECK(!setsockopt(s[0], IPPROTO_TCP, TCP_WINDOW_CLAMP, &(int){ 1 }, 4) && !getsockopt(s[0], IPPROTO_TCP, TCP_WINDOW_CLAMP, &v, &l) && v >= 1024);
    close(s[0]), close(s[1]);
}

/* The range of ports may be written; nothing is changed by writing what is there. */
static void port_range(void)
{
    static const char file[] = "/proc/sys/net/ipv4/ip_local_port_range";
    char b[64] = { 0 };
    unsigned min, max;
    int f = open(file, O_RDONLY);
    CHECK(f >= 0 && read(f, b, sizeof b - 1) > 0 && sscanf(b, "%u %u", &min, &max) == 2 && min < max);
    close(f);
    if (geteuid() != 0 || access(file, W_OK)) {
        puts("skipped: only root may write ip_local_port_range");
        return;
    }
    f = open(file, O_WRONLY | O_TRUNC);
    if (f < 0 && errno == EPERM) {
        puts("skipped: this network's ip_local_port_range is not ours to write");
        return;
    }
    CHECK(f >= 0);
    CHECK_ERR(write(f, "9 5", 3), EINVAL);
    CHECK(pwrite(f, b, strlen(b), 0) == (ssize_t)strlen(b));
    close(f);
}

static void short_options(void)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0), tos = 0xc0, got = -1;
    socklen_t l = 2;
    CHECK(!setsockopt(s, IPPROTO_IP, IP_TOS, &tos, 2) && !getsockopt(s, IPPROTO_IP, IP_TOS, &got, &l) && l == 1 && (got & 0xff) == 0xc0);
    CHECK(!setsockopt(s, IPPROTO_IP, IP_TOS, &tos, 0));
    l = 4;
    CHECK(!getsockopt(s, IPPROTO_IP, IP_TOS, &got, &l) && l == 4 && got == 0);
    close(s);
}

/* Datagrams are shared out over the sockets of a SO_REUSEPORT group, those of one flow to the same socket. */
static void group(void)
{
    enum { MEMBERS = 3, FLOWS = 60 };
    struct sockaddr_in a = at("127.0.0.1", 0);
    socklen_t l = sizeof a;
    int s[MEMBERS], on = 1, got[MEMBERS] = { 0 };
    char b[8];
    for (int i = 0; i < MEMBERS; i++) {
        s[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        CHECK(!setsockopt(s[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) && !bind(s[i], (void *)&a, l) && !getsockname(s[i], (void *)&a, &l));
    }
    for (int i = 0; i < FLOWS; i++) {
        int c = socket(AF_INET, SOCK_DGRAM, 0), who = -1;
        CHECK(!connect(c, (void *)&a, l) && send(c, "a", 1, 0) == 1 && send(c, "b", 1, 0) == 1);
        for (int k = 0; k < MEMBERS; k++)
            if (recv(s[k], b, sizeof b, 0) == 1) {
                CHECK(who == -1 && recv(s[k], b, sizeof b, 0) == 1);
                who = k;
            }
        CHECK(who >= 0);
        got[who]++;
        close(c);
    }
    for (int i = 0; i < MEMBERS; i++) {
        CHECK(got[i] > 0);
        close(s[i]);
    }
}

static int deferring(struct sockaddr_in *a, int secs)
{
    int l = server(a, 5);
    CHECK(!setsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &secs, sizeof secs) && !fcntl(l, F_SETFL, O_NONBLOCK));
    return l;
}

static int deferred(const struct sockaddr_in *a, int l)
{
    int c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(c, (const void *)a, sizeof *a));
    CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
    CHECK(!poll_of(l, POLLIN, 0));
    return c;
}

/* A connection is held back until its first byte, its end, or the end of the time. */
static void defer_accept(void)
{
    struct sockaddr_in a;
    int v = -1, off = -7, l = deferring(&a, 200), c, d, s;
    socklen_t n = sizeof v;
    char b[4];
    struct linger lg = { 1, 0 };
    CHECK(!getsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &v, &n) && v == 247);   /* 1 + 2 + 4 + .. + 64 + 120 */

    c = deferred(&a, l);
    d = deferred(&a, l);
    CHECK(write(d, "d", 1) == 1 && poll_of(l, POLLIN, -1) == POLLIN);
    s = accept(l, NULL, NULL);
    CHECK(s >= 0 && recv(s, b, sizeof b, MSG_DONTWAIT) == 1 && b[0] == 'd' && write(s, "r", 1) == 1 && read(d, b, 1) == 1);
    close(s);
    close(d);
    CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
    CHECK(!shutdown(c, SHUT_WR) && poll_of(l, POLLIN, -1) == POLLIN);
    s = accept(l, NULL, NULL);
    CHECK(s >= 0 && read(s, b, sizeof b) == 0);
    close(s);
    close(c);

    /* Reset before anybody could see it. */
    c = deferred(&a, l);
    CHECK(!setsockopt(c, SOL_SOCKET, SO_LINGER, &lg, sizeof lg));
    close(c);
    CHECK_ERR(accept(l, NULL, NULL), EAGAIN);

    /* The listener goes: the other end finds out by what it sends. */
    c = deferred(&a, l);
    close(l);
    CHECK(!poll_of(c, POLLIN | POLLRDHUP, 0) && write(c, "x", 1) == 1 && (poll_of(c, POLLIN, -1) & POLLERR));
    CHECK_ERR(read(c, b, 1), ECONNRESET);
    close(c);

    l = deferring(&a, 1);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(c, (void *)&a, sizeof a) && poll_of(l, POLLIN, -1) == POLLIN);
    s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    CHECK_ERR(recv(s, b, 1, MSG_DONTWAIT), EAGAIN);
    CHECK(write(c, "z", 1) == 1 && read(s, b, 1) == 1 && b[0] == 'z');
    close(s);
    close(c);
    CHECK(!setsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &off, sizeof off));
    CHECK(!getsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &v, &n) && v == 0);
    c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(c, (void *)&a, sizeof a) && poll_of(l, POLLIN, -1) == POLLIN && (s = accept(l, NULL, NULL)) >= 0);
    close(s);
    close(c);
    close(l);
}

TEST_MAIN(CASE(echo), CASE(resets), CASE(connecting), CASE(binding), CASE(options), CASE(dual_stack), CASE(udp), CASE(udp_pktinfo), CASE(bulk), CASE(mmsg), CASE(port_range), CASE(accept_after_reset), CASE(tcp_limits), CASE(short_options), CASE(group), CASE(defer_accept))
