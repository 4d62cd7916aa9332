/* Groups and broadcast: ip(7), ipv6(7), RFC 3376, RFC 3678. In a network namespace of the test's own. */
#include "netns.h"
#include <arpa/inet.h>
#include <netinet/in.h>

#define SA(a) ((struct sockaddr *)&(a))
#define SS(a) (*(struct sockaddr_storage *)&(a))
static unsigned lo;

static struct sockaddr_in at(const char *ip, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    CHECK(inet_pton(AF_INET, ip, &a.sin_addr) == 1);
    return a;
}

static int udp(const char *ip, int port)
{
    struct sockaddr_in a = at(ip, port);
    int f = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    CHECK(f >= 0 && setsockopt(f, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 && bind(f, SA(a), sizeof a) == 0);
    return f;
}

static void send_to(int f, const char *ip, int port, const char *text)
{
    struct sockaddr_in a = at(ip, port);
    CHECK(sendto(f, text, strlen(text), 0, SA(a), sizeof a) == (ssize_t)strlen(text));
}

static void gets_it(int f, const char *text)
{
    char b[32] = "";
    CHECK(recv(f, b, sizeof b - 1, 0) == (ssize_t)strlen(text) && !strcmp(b, text));
}

static void nothing(int f)
{
    char b[32];
    CHECK_ERR(recv(f, b, sizeof b, MSG_DONTWAIT), EAGAIN);
}

static int join(int f, int opt, const char *group, const char *via, int index)
{
    struct ip_mreqn r = { .imr_ifindex = index };
    inet_pton(AF_INET, group, &r.imr_multiaddr), inet_pton(AF_INET, via, &r.imr_address);
    return setsockopt(f, IPPROTO_IP, opt, &r, sizeof r);
}

static void memberships(void)
{
    int f = udp("0.0.0.0", 500), t = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(join(f, IP_ADD_MEMBERSHIP, "224.0.2.1", "0.0.0.0", 0), ENODEV);          /* no route says which interface */
    CHECK_ERR(join(f, IP_ADD_MEMBERSHIP, "10.0.2.1", "127.0.0.1", 0), EINVAL);
    CHECK_ERR(join(f, IP_ADD_MEMBERSHIP, "224.0.2.1", "10.9.9.9", 0), ENODEV);
    CHECK_ERR(join(f, IP_ADD_MEMBERSHIP, "224.0.2.1", "0.0.0.0", 99), ENODEV);
    CHECK_ERR(join(t, IP_ADD_MEMBERSHIP, "224.0.2.1", "127.0.0.1", 0), EPROTO);
    CHECK(join(f, IP_ADD_MEMBERSHIP, "224.0.2.1", "127.0.0.1", 0) == 0);
    CHECK_ERR(join(f, IP_ADD_MEMBERSHIP, "224.0.2.1", "0.0.0.0", (int)lo), EADDRINUSE);
    CHECK_ERR(join(f, IP_DROP_MEMBERSHIP, "224.0.2.2", "127.0.0.1", 0), EADDRNOTAVAIL);
    CHECK(join(f, IP_DROP_MEMBERSHIP, "224.0.2.1", "0.0.0.0", (int)lo) == 0);
    for (int i = 0; i < 20; i++) {
        char g[20];
        snprintf(g, sizeof g, "224.0.3.%d", i);
        CHECK(join(f, IP_ADD_MEMBERSHIP, g, "127.0.0.1", 0) == 0);
    }
    CHECK_ERR(join(f, IP_ADD_MEMBERSHIP, "224.0.4.1", "127.0.0.1", 0), ENOBUFS);
    close(f), close(t);
}

/* Who is in the group gets it; who is in none too, unless IP_MULTICAST_ALL is off; nobody, if no one joined. */
static void delivery(void)
{
    int a = udp("0.0.0.0", 500), b = udp("0.0.0.0", 500), c = udp("224.0.2.1", 500), off = 0, s = udp("127.0.0.1", 0), any = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = at("224.0.2.1", 500);
    struct ip_mreqn via = { .imr_ifindex = (int)lo };
    struct in_addr got;
    socklen_t n = sizeof got;
    CHECK(setsockopt(b, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off) == 0);
    /* The source's interface is the way; without a source there is none. */
    CHECK_ERR(sendto(any, "x", 1, 0, SA(to), sizeof to), ENETUNREACH);
    send_to(s, "224.0.2.1", 500, "none");
    nothing(a), nothing(b), nothing(c);
    CHECK(join(a, IP_ADD_MEMBERSHIP, "224.0.2.1", "127.0.0.1", 0) == 0);
    send_to(s, "224.0.2.1", 500, "joined");
    gets_it(a, "joined"), gets_it(c, "joined"), nothing(b);
    CHECK(setsockopt(any, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof via) == 0 && getsockopt(any, IPPROTO_IP, IP_MULTICAST_IF, &got, &n) == 0 && got.s_addr == 0);
    send_to(any, "224.0.2.1", 500, "by index");
    gets_it(a, "by index"), gets_it(c, "by index");
    got.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(setsockopt(any, IPPROTO_IP, IP_MULTICAST_IF, &got, sizeof got) == 0 && setsockopt(any, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof off) == 0);
    send_to(any, "224.0.2.1", 500, "by address");            /* on lo the way out is the way in */
    gets_it(a, "by address"), gets_it(c, "by address");
    got.s_addr = htonl(0x0a090909);
    CHECK_ERR(setsockopt(any, IPPROTO_IP, IP_MULTICAST_IF, &got, sizeof got), EADDRNOTAVAIL);
    CHECK(join(a, IP_DROP_MEMBERSHIP, "224.0.2.1", "127.0.0.1", 0) == 0);
    send_to(s, "224.0.2.1", 500, "left");
    nothing(a), nothing(c);
    close(a), close(b), close(c), close(s), close(any);
}

static int source(int f, int opt, const char *group, const char *src)
{
    struct ip_mreq_source r = { 0 };
    inet_pton(AF_INET, group, &r.imr_multiaddr), inet_pton(AF_INET, src, &r.imr_sourceaddr);
    r.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
    return setsockopt(f, IPPROTO_IP, opt, &r, sizeof r);
}

static void sources(void)
{
    int f = udp("0.0.0.0", 500), one = udp("127.0.0.1", 0), two = udp("127.0.0.2", 0);
    CHECK_ERR(source(f, IP_BLOCK_SOURCE, "224.0.2.1", "127.0.0.1"), EINVAL);           /* not in the group */
    CHECK(source(f, IP_ADD_SOURCE_MEMBERSHIP, "224.0.2.1", "127.0.0.1") == 0);
    CHECK_ERR(source(f, IP_ADD_SOURCE_MEMBERSHIP, "224.0.2.1", "127.0.0.1"), EADDRNOTAVAIL);
    send_to(two, "224.0.2.1", 500, "other");
    send_to(one, "224.0.2.1", 500, "wanted");
    gets_it(f, "wanted"), nothing(f);
    CHECK_ERR(source(f, IP_BLOCK_SOURCE, "224.0.2.1", "127.0.0.2"), EINVAL);           /* the other mode */
    CHECK(source(f, IP_DROP_SOURCE_MEMBERSHIP, "224.0.2.1", "127.0.0.1") == 0);
    CHECK_ERR(join(f, IP_DROP_MEMBERSHIP, "224.0.2.1", "127.0.0.1", 0), EADDRNOTAVAIL);   /* gone with its last source */
    CHECK(join(f, IP_ADD_MEMBERSHIP, "224.0.2.1", "127.0.0.1", 0) == 0 && source(f, IP_BLOCK_SOURCE, "224.0.2.1", "127.0.0.1") == 0);
    send_to(one, "224.0.2.1", 500, "blocked");
    send_to(two, "224.0.2.1", 500, "open");
    gets_it(f, "open"), nothing(f);
    CHECK(source(f, IP_UNBLOCK_SOURCE, "224.0.2.1", "127.0.0.1") == 0);
    send_to(one, "224.0.2.1", 500, "again");
    gets_it(f, "again");
    for (int i = 0; i < 10; i++) {
        char s[20];
        snprintf(s, sizeof s, "127.0.1.%d", i);
        CHECK(source(f, IP_BLOCK_SOURCE, "224.0.2.1", s) == 0);
    }
    CHECK_ERR(source(f, IP_BLOCK_SOURCE, "224.0.2.1", "127.0.2.1"), ENOBUFS);
    close(f), close(one), close(two);
}

/* The forms of RFC 3678, for both families. */
static void by_index(void)
{
    struct sockaddr_in g4 = at("224.0.2.1", 0), s4 = at("127.0.0.1", 0);
    struct sockaddr_in6 g6 = { .sin6_family = AF_INET6 }, any6 = { .sin6_family = AF_INET6, .sin6_port = htons(501) }, to6;
    struct group_req r = { .gr_interface = lo };
    struct group_source_req q = { .gsr_interface = lo };
    int f = udp("0.0.0.0", 500), s = udp("127.0.0.1", 0), f6 = socket(AF_INET6, SOCK_DGRAM, 0), out = socket(AF_INET6, SOCK_DGRAM, 0), index = (int)lo;
    memcpy(&r.gr_group, &g4, sizeof g4), memcpy(&q.gsr_group, &g4, sizeof g4), memcpy(&q.gsr_source, &s4, sizeof s4);
    CHECK(setsockopt(f, IPPROTO_IP, MCAST_JOIN_GROUP, &r, sizeof r) == 0);
    CHECK_ERR(setsockopt(f, IPPROTO_IP, MCAST_JOIN_GROUP, &r, sizeof r), EADDRINUSE);
    send_to(s, "224.0.2.1", 500, "group");
    gets_it(f, "group");
    CHECK(setsockopt(f, IPPROTO_IP, MCAST_BLOCK_SOURCE, &q, sizeof q) == 0);
    send_to(s, "224.0.2.1", 500, "group");
    nothing(f);
    CHECK(setsockopt(f, IPPROTO_IP, MCAST_LEAVE_GROUP, &r, sizeof r) == 0 && setsockopt(f, IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, &q, sizeof q) == 0);
    send_to(s, "224.0.2.1", 500, "source");
    gets_it(f, "source");
    CHECK(inet_pton(AF_INET6, "ff02::77", &g6.sin6_addr) == 1 && bind(f6, SA(any6), sizeof any6) == 0);
    memcpy(&r.gr_group, &g6, sizeof g6);
    CHECK(setsockopt(f6, IPPROTO_IPV6, MCAST_JOIN_GROUP, &r, sizeof r) == 0);
    struct ipv6_mreq m = { .ipv6mr_multiaddr = g6.sin6_addr, .ipv6mr_interface = lo };
    CHECK_ERR(setsockopt(f6, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof m), EADDRINUSE);
    m.ipv6mr_interface = 99;
    CHECK_ERR(setsockopt(f6, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof m), ENODEV);
    to6 = g6, to6.sin6_port = htons(501);
    CHECK_ERR(setsockopt(out, IPPROTO_IPV6, IPV6_MULTICAST_IF, &(int){ 99 }, sizeof(int)), ENODEV);
    /* lo has no route for them. */
    CHECK(setsockopt(out, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index) == 0);
    CHECK_ERR(sendto(out, "six", 3, 0, SA(to6), sizeof to6), ENETUNREACH);
    CHECK(setsockopt(f6, IPPROTO_IPV6, MCAST_LEAVE_GROUP, &r, sizeof r) == 0);
    CHECK_ERR(setsockopt(f6, IPPROTO_IPV6, MCAST_LEAVE_GROUP, &r, sizeof r), EADDRNOTAVAIL);
    close(f), close(s), close(f6), close(out);
}

/* To everybody: by the interface of the source, to all sockets of the port, only with SO_BROADCAST. */
static void broadcast(void)
{
    int a = udp("0.0.0.0", 500), b = udp("255.255.255.255", 500), one = udp("127.0.0.1", 500), s = udp("127.0.0.1", 0), any = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    struct sockaddr_in to = at("255.255.255.255", 500);
    CHECK_ERR(sendto(s, "x", 1, 0, SA(to), sizeof to), EACCES);
    CHECK(setsockopt(s, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) == 0 && setsockopt(any, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) == 0);
    send_to(s, "255.255.255.255", 500, "all");
    gets_it(a, "all"), gets_it(b, "all"), nothing(one);
    CHECK_ERR(sendto(any, "x", 1, 0, SA(to), sizeof to), ENETUNREACH);
    send_to(any, "127.255.255.255", 500, "of the network");
    gets_it(a, "of the network"), nothing(b), nothing(one);
    close(a), close(b), close(one), close(s), close(any);
}

static void find_lo(void)
{
    lo = if_nametoindex("lo");
    CHECK(lo);
}

NETNS_MAIN(CASE(find_lo), CASE(memberships), CASE(delivery), CASE(sources), CASE(by_index), CASE(broadcast))
