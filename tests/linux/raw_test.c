/* Raw sockets over the loopback: raw(7), icmp(7), ipv6(7). Needs CAP_NET_RAW. */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROTO 253                  /* for experiments: RFC 3692 */
static const struct sockaddr_in lo4 = { .sin_family = AF_INET, .sin_addr = { 0x0100007f } };
static const struct sockaddr_in6 lo6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
#define SA(a) ((const struct sockaddr *)&(a))

static uint16_t sum(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint32_t s = 0;
    for (; n > 1; b += 2, n -= 2) s += (uint32_t)(b[0] << 8 | b[1]);
    if (n) s += (uint32_t)(b[0] << 8);
    while (s >> 16) s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t)~s);
}

static int raw(int domain, int protocol)
{
    int f = socket(domain, SOCK_RAW, protocol);
    CHECK(f >= 0);
    return f;
}

static void nothing(int f)
{
    char b[64];
    CHECK_ERR(recv(f, b, sizeof b, MSG_DONTWAIT), EAGAIN);
}

static void creation(void)
{
    CHECK_ERR(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
    CHECK_ERR(socket(AF_INET, SOCK_RAW, 300), EINVAL);
    int f = raw(AF_INET, PROTO), st;
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    CHECK(getsockname(f, (struct sockaddr *)&a, &n) == 0 && ntohs(a.sin_port) == PROTO && a.sin_addr.s_addr == 0);
    CHECK_ERR(getpeername(f, (struct sockaddr *)&a, &n), ENOTCONN);
    CHECK_ERR(listen(f, 1), EOPNOTSUPP);
    CHECK_ERR(accept(f, NULL, NULL), EOPNOTSUPP);
    CHECK_ERR(shutdown(f, SHUT_RD), ENOTCONN);
    CHECK_ERR(send(f, "x", 1, 0), EDESTADDRREQ);
    a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x01020304) };
    CHECK_ERR(bind(f, SA(a), sizeof a), EADDRNOTAVAIL);
    CHECK(bind(f, SA(lo4), sizeof lo4) == 0 && connect(f, SA(lo4), sizeof lo4) == 0);
    CHECK_ERR(bind(f, SA(lo4), sizeof lo4), EINVAL);
    CHECK_ERR(getpeername(f, (struct sockaddr *)&a, &n), ENOTCONN);       /* connected, but to no port */
    CHECK(shutdown(f, SHUT_RDWR) == 0);
    close(f);
    pid_t c = fork();
    if (c == 0) {
        if (setgid(65534) || setuid(65534)) _exit(9);
        if (socket(AF_INET, SOCK_RAW, PROTO) != -1 || errno != EPERM) _exit(1);
        if (socket(AF_INET6, SOCK_RAW, PROTO) != -1 || errno != EPERM) _exit(2);
        _exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}

static void to_and_fro(void)
{
    int f = raw(AF_INET, PROTO), g = raw(AF_INET, PROTO), other = raw(AF_INET, PROTO + 1), bound = raw(AF_INET, PROTO);
    struct sockaddr_in from, else_ = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };
    struct { struct iphdr ip; char data[20]; } b;
    socklen_t n = sizeof from;
    int v = 0x10;
    CHECK(bind(bound, SA(else_), sizeof else_) == 0);
    CHECK(setsockopt(f, IPPROTO_IP, IP_TOS, &v, sizeof v) == 0);
    v = 33;
    CHECK(setsockopt(f, IPPROTO_IP, IP_TTL, &v, sizeof v) == 0);
    CHECK(sendto(f, "hello", 5, 0, SA(lo4), sizeof lo4) == 5);
    for (int i = 0; i < 2; i++) {
        CHECK(recvfrom(i ? g : f, &b, sizeof b, 0, (struct sockaddr *)&from, &n) == (ssize_t)sizeof b.ip + 5);
        CHECK(b.ip.version == 4 && b.ip.ihl == 5 && ntohs(b.ip.tot_len) == sizeof b.ip + 5 && b.ip.protocol == PROTO);
        CHECK(b.ip.ttl == 33 && b.ip.tos == 0x10 && b.ip.saddr == lo4.sin_addr.s_addr && b.ip.daddr == lo4.sin_addr.s_addr);
        CHECK(sum(&b.ip, sizeof b.ip) == 0 && !memcmp(b.data, "hello", 5));
        CHECK(from.sin_port == 0 && from.sin_addr.s_addr == lo4.sin_addr.s_addr);
    }
    nothing(other), nothing(bound);
    CHECK(sendto(f, "abc", 3, 0, SA(else_), sizeof else_) == 3);
    CHECK(recv(bound, &b, sizeof b, 0) == (ssize_t)sizeof b.ip + 3);
    /* Connected: only from there. */
    CHECK(connect(g, SA(else_), sizeof else_) == 0 && recv(g, &b, sizeof b, 0) > 0);
    CHECK(sendto(f, "abc", 3, 0, SA(lo4), sizeof lo4) == 3);
    nothing(g);
    char big[70000] = "";
    CHECK_ERR(sendto(f, big, sizeof big, 0, SA(lo4), sizeof lo4), EMSGSIZE);
    CHECK_ERR(sendto(f, big, 65535, 0, SA(lo4), sizeof lo4), EMSGSIZE);
    close(f), close(g), close(other), close(bound);
}

static void header_included(void)
{
    int f = raw(AF_INET, IPPROTO_RAW), g = raw(AF_INET, PROTO);
    struct { struct iphdr ip; char data[4]; } p = { { .version = 4, .ihl = 5, .ttl = 9, .protocol = PROTO }, "abc" }, b;
    p.ip.daddr = lo4.sin_addr.s_addr;
    int v = 0;
    socklen_t n = sizeof v;
    CHECK(getsockopt(f, IPPROTO_IP, IP_HDRINCL, &v, &n) == 0 && v == 1);
    CHECK_ERR(sendto(f, &p, 10, 0, SA(lo4), sizeof lo4), EINVAL);
    CHECK(sendto(f, &p, sizeof p, 0, SA(lo4), sizeof lo4) == sizeof p);
    CHECK(recv(g, &b, sizeof b, 0) == sizeof b);
    CHECK(b.ip.saddr == lo4.sin_addr.s_addr && ntohs(b.ip.tot_len) == sizeof b && sum(&b.ip, sizeof b.ip) == 0 && b.ip.ttl == 9);
    nothing(f);
    v = 1;
    CHECK(getsockopt(g, IPPROTO_IP, IP_HDRINCL, &v, &n) == 0 && v == 0);
    v = 1;
    CHECK(setsockopt(g, IPPROTO_IP, IP_HDRINCL, &v, sizeof v) == 0);
    p.ip.ttl = 77;
    CHECK(sendto(g, &p, sizeof p, 0, SA(lo4), sizeof lo4) == sizeof p);
    CHECK(recv(g, &b, sizeof b, 0) == sizeof b && b.ip.ttl == 77);
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_ERR(setsockopt(u, IPPROTO_IP, IP_HDRINCL, &v, sizeof v), ENOPROTOOPT);
    close(f), close(g), close(u);
}

static void ping(void)
{
    int f = raw(AF_INET, IPPROTO_ICMP);
    struct icmphdr q = { .type = ICMP_ECHO, .un.echo = { htons(77), htons(5) } };
    struct { struct iphdr ip; struct icmphdr h; char rest[64]; } b;
    int seen[2] = { 0, 0 };
    q.checksum = sum(&q, sizeof q);
    CHECK(sendto(f, &q, sizeof q, 0, SA(lo4), sizeof lo4) == sizeof q);
    for (int i = 0; i < 2; i++) {
        CHECK(recv(f, &b, sizeof b, 0) == sizeof b.ip + sizeof b.h && b.ip.protocol == IPPROTO_ICMP);
        CHECK(b.h.un.echo.id == htons(77) && b.h.un.echo.sequence == htons(5) && sum(&b.h, sizeof b.h) == 0);
        seen[b.h.type == ICMP_ECHOREPLY]++;
    }
    CHECK(seen[0] == 1 && seen[1] == 1);
    /* A wrong sum has no answer; a filter keeps types away. */
    q.checksum ^= 1;
    CHECK(sendto(f, &q, sizeof q, 0, SA(lo4), sizeof lo4) == sizeof q);
    CHECK(recv(f, &b, sizeof b, 0) > 0 && b.h.type == ICMP_ECHO);
    nothing(f);
    uint32_t filter = 1u << ICMP_ECHO, got = 0;
    socklen_t n = sizeof got;
    CHECK(setsockopt(f, SOL_RAW, 1 /* ICMP_FILTER */, &filter, sizeof filter) == 0);
    CHECK(getsockopt(f, SOL_RAW, 1, &got, &n) == 0 && got == filter && n == 4);
    q.checksum ^= 1;
    CHECK(sendto(f, &q, sizeof q, 0, SA(lo4), sizeof lo4) == sizeof q);
    CHECK(recv(f, &b, sizeof b, 0) > 0 && b.h.type == ICMP_ECHOREPLY);
    nothing(f);
    int g = raw(AF_INET, PROTO);
    CHECK_ERR(setsockopt(g, SOL_RAW, 1, &filter, sizeof filter), EOPNOTSUPP);
    close(f), close(g);
}

static void ping6(void)
{
    int f = raw(AF_INET6, IPPROTO_ICMPV6), v = 2;
    struct icmp6_hdr q = { .icmp6_type = ICMP6_ECHO_REQUEST, .icmp6_cksum = 1 }, b[2];
    struct sockaddr_in6 from;
    struct icmp6_filter all;
    socklen_t n = sizeof v;
    q.icmp6_id = htons(3);
    CHECK(getsockopt(f, IPPROTO_IPV6, IPV6_CHECKSUM, &v, &n) == 0 && v == 2);
    CHECK_ERR(setsockopt(f, IPPROTO_IPV6, IPV6_CHECKSUM, &v, sizeof v), EINVAL);
    n = sizeof all;
    CHECK(getsockopt(f, IPPROTO_ICMPV6, ICMP6_FILTER, &all, &n) == 0 && all.icmp6_filt[0] == 0);
    CHECK_ERR(sendto(f, &q, 3, 0, SA(lo6), sizeof lo6), EINVAL);
    CHECK(sendto(f, &q, sizeof q, 0, SA(lo6), sizeof lo6) == sizeof q);
    n = sizeof from;
    CHECK(recvfrom(f, b, sizeof b, 0, (struct sockaddr *)&from, &n) == sizeof q && b->icmp6_type == ICMP6_ECHO_REQUEST && b->icmp6_cksum);
    CHECK(from.sin6_port == 0 && !memcmp(&from.sin6_addr, &lo6.sin6_addr, 16));
    CHECK(recv(f, b, sizeof b, 0) == sizeof q && b->icmp6_type == ICMP6_ECHO_REPLY && b->icmp6_id == htons(3));
    ICMP6_FILTER_SETBLOCKALL(&all);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &all);
    CHECK(setsockopt(f, IPPROTO_ICMPV6, ICMP6_FILTER, &all, sizeof all) == 0);
    CHECK(sendto(f, &q, sizeof q, 0, SA(lo6), sizeof lo6) == sizeof q);
    CHECK(recv(f, b, sizeof b, 0) == sizeof q && b->icmp6_type == ICMP6_ECHO_REPLY);
    nothing(f);
    CHECK_ERR(setsockopt(f, IPPROTO_IP, IP_TTL, &v, sizeof v), ENOPROTOOPT);
    close(f);
}

/* A raw socket sees the datagrams of others, and can make some. */
static void udp(void)
{
    int u = socket(AF_INET, SOCK_DGRAM, 0), f = raw(AF_INET, IPPROTO_UDP), e = raw(AF_INET, IPPROTO_ICMP);
    struct sockaddr_in a = lo4, from;
    struct { struct iphdr ip; struct udphdr u; char data[64]; } b;
    struct { struct udphdr u; char data[4]; } p;
    socklen_t n = sizeof a;
    CHECK(bind(u, SA(a), sizeof a) == 0 && getsockname(u, (struct sockaddr *)&a, &n) == 0);
    CHECK(sendto(u, "12345", 5, 0, SA(a), sizeof a) == 5);
    CHECK(recv(f, &b, sizeof b, 0) == sizeof b.ip + sizeof b.u + 5);
    CHECK(b.ip.protocol == IPPROTO_UDP && b.u.source == a.sin_port && b.u.dest == a.sin_port && ntohs(b.u.len) == 13 && !memcmp(b.data, "12345", 5));
    CHECK(recv(u, &b, sizeof b, 0) == 5);
    p = (typeof(p)){ { .source = htons(9), .dest = a.sin_port, .len = htons(sizeof p) }, "xyz" };
    CHECK(sendto(f, &p, sizeof p, 0, SA(lo4), sizeof lo4) == sizeof p);
    n = sizeof from;
    CHECK(recvfrom(u, &b, sizeof b, 0, (struct sockaddr *)&from, &n) == 4 && from.sin_port == htons(9));
    /* A wrong sum or length is nothing. */
    p.u.check = 1;
    CHECK(sendto(f, &p, sizeof p, 0, SA(lo4), sizeof lo4) == sizeof p);
    p.u.check = 0;
    p.u.len = htons(100);
    CHECK(sendto(f, &p, sizeof p, 0, SA(lo4), sizeof lo4) == sizeof p);
    nothing(u);
    /* Nobody there: port unreachable, with the head of the packet in it. */
    close(u);
    u = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(sendto(u, "lost", 4, 0, SA(a), sizeof a) == 4);
    struct { struct iphdr ip; struct icmphdr h; struct iphdr in; struct udphdr u; char data[64]; } i;
    CHECK(recv(e, &i, sizeof i, 0) == (ssize_t)(sizeof i - sizeof i.data + 4));
    CHECK(i.h.type == ICMP_DEST_UNREACH && i.h.code == ICMP_PORT_UNREACH && i.in.protocol == IPPROTO_UDP && i.u.dest == a.sin_port);
    close(u), close(f), close(e);
}

static void checksums(void)
{
    int f = raw(AF_INET6, PROTO), g = raw(AF_INET6, PROTO), v = 3, plain = raw(AF_INET6, PROTO);
    char p[8] = "abcdefg", b[16];
    struct sockaddr_in6 wrong = lo6;
    CHECK_ERR(setsockopt(f, IPPROTO_IPV6, IPV6_CHECKSUM, &v, sizeof v), EINVAL);
    v = 2;
    CHECK(setsockopt(f, IPPROTO_IPV6, IPV6_CHECKSUM, &v, sizeof v) == 0);
    CHECK(setsockopt(g, IPPROTO_IPV6, IPV6_CHECKSUM, &v, sizeof v) == 0);
    CHECK(sendto(f, p, sizeof p, 0, SA(lo6), sizeof lo6) == sizeof p);
    CHECK(recv(g, b, sizeof b, 0) == sizeof p && memcmp(b + 2, "cd", 2) && !memcmp(b, "ab", 2) && !memcmp(b + 4, "efg", 4));
    CHECK(recv(plain, b, sizeof b, 0) == sizeof p);
    CHECK(sendto(plain, p, sizeof p, 0, SA(lo6), sizeof lo6) == sizeof p);
    CHECK(recv(plain, b, sizeof b, 0) == sizeof p && recv(f, b, sizeof b, 0) == sizeof p);
    nothing(f), nothing(g);
    CHECK_ERR(sendto(f, p, 3, 0, SA(lo6), sizeof lo6), EINVAL);
    wrong.sin6_port = htons(PROTO + 1);            /* the protocol, if anything */
    CHECK_ERR(sendto(f, p, 4, 0, SA(wrong), sizeof wrong), EINVAL);
    close(f), close(g), close(plain);
}

static void ancillary(void)
{
    int f = raw(AF_INET, PROTO), on = 1, tos = 0x28;
    char b[64];
    union { struct cmsghdr h; char room[256]; } c;
    struct iovec v = { b, sizeof b };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c };
    unsigned seen = 0;
    CHECK(setsockopt(f, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0 && setsockopt(f, IPPROTO_IP, IP_RECVTTL, &on, sizeof on) == 0);
    CHECK(setsockopt(f, IPPROTO_IP, IP_RECVTOS, &on, sizeof on) == 0 && setsockopt(f, IPPROTO_IP, IP_TOS, &tos, sizeof tos) == 0);
    CHECK(sendto(f, "abc", 3, 0, SA(lo4), sizeof lo4) == 3 && recvmsg(f, &m, 0) == 23);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        CHECK(h->cmsg_level == IPPROTO_IP);
        if (h->cmsg_type == IP_TTL) CHECK(*(int *)CMSG_DATA(h) == 64);
        if (h->cmsg_type == IP_TOS) CHECK(*(uint8_t *)CMSG_DATA(h) == tos);
        if (h->cmsg_type == IP_PKTINFO) CHECK(((struct in_pktinfo *)CMSG_DATA(h))->ipi_addr.s_addr == lo4.sin_addr.s_addr);
        seen |= 1u << h->cmsg_type;
    }
    CHECK(seen == (1u << IP_TTL | 1u << IP_TOS | 1u << IP_PKTINFO));
    close(f);
}

/* A packet is taken while the queue is below its limit. */
static void room(void)
{
    int f = raw(AF_INET, PROTO), v = 0, n = 0;
    socklen_t len = sizeof v;
    static char big[20000];
    char b[64];
    CHECK(setsockopt(f, SOL_SOCKET, SO_RCVBUF, &v, sizeof v) == 0 && getsockopt(f, SOL_SOCKET, SO_RCVBUF, &v, &len) == 0);
    CHECK(v < (int)sizeof big);
    for (int i = 0; i < 3; i++) CHECK(sendto(f, big, sizeof big, 0, SA(lo4), sizeof lo4) == sizeof big);
    while (recv(f, b, sizeof b, MSG_DONTWAIT) > 0) n++;
    CHECK(n == 1);
    close(f);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(creation), CASE(to_and_fro), CASE(header_included), CASE(ping), CASE(ping6),
                                              CASE(udp), CASE(checksums), CASE(ancillary), CASE(room) };
    if (socket(AF_INET, SOCK_RAW, PROTO) < 0 && errno == EPERM) {
        puts("skip: no CAP_NET_RAW here");
        return 77;
    }
    return run_cases(cases, sizeof cases / sizeof *cases, argc, argv);
}
