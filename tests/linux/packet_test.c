/* Packet sockets on lo: packet(7). Needs CAP_NET_RAW. */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SA(a) ((struct sockaddr *)&(a))
#define PROTO 0x88b5               /* IEEE local experimental */
static int lo;

static struct sockaddr_ll ll(uint16_t proto)
{
    return (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_protocol = htons(proto), .sll_ifindex = lo, .sll_halen = ETH_ALEN };
}

static int packet(int type, uint16_t proto)
{
    int f = socket(AF_PACKET, type, htons(proto));
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
    int st, f = packet(SOCK_DGRAM, 0);
    struct sockaddr_ll a = ll(ETH_P_IP), got;
    socklen_t n = sizeof got;
    CHECK_ERR(socket(AF_PACKET, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    CHECK(getsockname(f, SA(got), &n) == 0 && n == 12 && got.sll_ifindex == 0 && got.sll_halen == 0);
    CHECK_ERR(getpeername(f, SA(got), &n), EOPNOTSUPP);
    CHECK_ERR(connect(f, SA(a), sizeof a), EOPNOTSUPP);
    CHECK_ERR(listen(f, 1), EOPNOTSUPP);
    CHECK_ERR(accept(f, NULL, NULL), EOPNOTSUPP);
    CHECK_ERR(shutdown(f, SHUT_RD), EOPNOTSUPP);
    CHECK_ERR(bind(f, SA(a), 8), EINVAL);
    a.sll_ifindex = 99999;
    CHECK_ERR(bind(f, SA(a), sizeof a), ENODEV);
    a = ll(ETH_P_IP);
    CHECK(bind(f, SA(a), sizeof a) == 0);
    n = sizeof got;
    CHECK(getsockname(f, SA(got), &n) == 0 && n == 18 && got.sll_ifindex == lo && got.sll_hatype == ARPHRD_LOOPBACK && got.sll_protocol == htons(ETH_P_IP));
    close(f);
    pid_t c = fork();
    if (c == 0) {
        if (setgid(65534) || setuid(65534)) _exit(9);
        _exit(socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EPERM ? 0 : 1);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}

/* A frame between packet sockets: to all on its way out and in, but not to its sender on its way out. */
static void frames(void)
{
    int all = packet(SOCK_RAW, ETH_P_ALL), raw = packet(SOCK_RAW, PROTO), dgram = packet(SOCK_DGRAM, PROTO), other = packet(SOCK_RAW, PROTO + 1);
    struct { struct ethhdr e; char data[6]; } f = { { .h_proto = htons(PROTO) }, "hello" }, b;
    struct sockaddr_ll to = ll(PROTO), from;
    socklen_t n = sizeof from;
    for (int i = 0; i < 4; i++) {
        int *s[] = { &all, &raw, &dgram, &other };
        struct sockaddr_ll a = ll(0);
        CHECK(bind(*s[i], SA(a), sizeof a) == 0);
    }
    while (recv(all, &b, sizeof b, MSG_DONTWAIT) > 0) {}
    CHECK(sendto(raw, &f, sizeof f, 0, SA(to), sizeof to) == sizeof f);
    CHECK(recvfrom(raw, &b, sizeof b, 0, SA(from), &n) == sizeof f && !memcmp(&b, &f, sizeof f));
    CHECK(n == sizeof from && from.sll_pkttype == PACKET_HOST && from.sll_protocol == htons(PROTO) && from.sll_ifindex == lo);
    CHECK(recv(dgram, &b, sizeof b, 0) == sizeof f.data && !memcmp(&b, "hello", 6));
    nothing(raw), nothing(dgram), nothing(other);
    int seen[8] = { 0 };
    while (recvfrom(all, &b, sizeof b, MSG_DONTWAIT, SA(from), &n) > 0)
        if (from.sll_protocol == htons(PROTO)) seen[from.sll_pkttype & 7]++;
    CHECK(seen[PACKET_OUTGOING] == 1 && seen[PACKET_HOST] == 1);
    /* SOCK_DGRAM makes the header. */
    CHECK(sendto(dgram, "bye", 4, 0, SA(to), sizeof to) == 4);
    CHECK(recv(raw, &b, sizeof b, 0) == ETH_HLEN + 4 && b.e.h_proto == htons(PROTO) && !memcmp(b.data, "bye", 4));
    to.sll_ifindex = 0;
    CHECK_ERR(sendto(raw, &f, sizeof f, 0, SA(to), sizeof to), ENXIO);
    to = ll(PROTO);
    CHECK_ERR(sendto(raw, &f, 5, 0, SA(to), sizeof to), EINVAL);
    CHECK_ERR(sendto(raw, &f, sizeof f, 0, SA(to), 8), EINVAL);
    struct tpacket_stats { unsigned packets, drops; } st;
    n = sizeof st;
    CHECK(getsockopt(raw, SOL_PACKET, 6 /* PACKET_STATISTICS */, &st, &n) == 0 && st.packets == 2 && st.drops == 0);
    CHECK(getsockopt(raw, SOL_PACKET, 6, &st, &n) == 0 && st.packets == 0);
    close(all), close(raw), close(dgram), close(other);
}

static void datagrams(void)
{
    int p = packet(SOCK_DGRAM, ETH_P_IP), u = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_ll at = ll(ETH_P_IP);
    struct { struct iphdr ip; struct udphdr u; char data[64]; } b;
    socklen_t n = sizeof a;
    CHECK(bind(p, SA(at), sizeof at) == 0 && bind(u, SA(a), sizeof a) == 0 && getsockname(u, SA(a), &n) == 0);
    CHECK(sendto(u, "datagram", 8, 0, SA(a), sizeof a) == 8);
    /* Others may be talking on this lo. */
    do
        CHECK(recv(p, &b, sizeof b, 0) > 0);
    while (b.ip.protocol != IPPROTO_UDP || b.u.dest != a.sin_port);
    CHECK(b.ip.version == 4 && ntohs(b.ip.tot_len) == 36 && b.u.source == a.sin_port && ntohs(b.u.len) == 16 && !memcmp(b.data, "datagram", 8));
    close(p), close(u);
}

/* A connection's segments: handshake, data, ends, with numbers that fit. */
static void connections(void)
{
    int p = packet(SOCK_DGRAM, ETH_P_IP), l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), s;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_ll at = ll(ETH_P_IP);
    socklen_t n = sizeof a;
    struct timeval wait = { .tv_usec = 300000 };
    uint8_t b[512];
    CHECK(bind(p, SA(at), sizeof at) == 0 && setsockopt(p, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0);
    CHECK(bind(l, SA(a), sizeof a) == 0 && listen(l, 1) == 0 && getsockname(l, SA(a), &n) == 0);
    CHECK(connect(c, SA(a), sizeof a) == 0 && (s = accept(l, NULL, NULL)) >= 0);
    CHECK(send(c, "hello", 5, 0) == 5 && recv(s, b, sizeof b, 0) == 5 && shutdown(c, SHUT_WR) == 0 && recv(s, b, sizeof b, 0) == 0);
    uint32_t seq = 0, ack = 0;
    int syn = 0, synack = 0, data = 0, fin = 0;
    for (ssize_t len; (len = recv(p, b, sizeof b, 0)) > 0;) {
        struct iphdr ip;
        struct tcphdr t;
        memcpy(&ip, b, sizeof ip);
        if (ip.protocol != IPPROTO_TCP) continue;
        memcpy(&t, b + ip.ihl * 4, sizeof t);
        size_t head = ip.ihl * 4u + t.th_off * 4u, payload = ntohs(ip.tot_len) - head;
        if (t.th_sport == a.sin_port && (t.th_flags & (TH_SYN | TH_ACK)) == (TH_SYN | TH_ACK)) {
            synack++, ack = ntohl(t.th_seq) + 1;
            CHECK(ntohl(t.th_ack) == seq);
        }
        if (t.th_dport != a.sin_port) continue;
        if (t.th_flags & TH_SYN) syn++, seq = ntohl(t.th_seq) + 1;
        if (payload) data++;
        if (payload) CHECK(payload == 5 && !memcmp(b + head, "hello", 5) && ntohl(t.th_seq) == seq && ntohl(t.th_ack) == ack);
        if (t.th_flags & TH_FIN) fin++;
        if (t.th_flags & TH_FIN) CHECK(ntohl(t.th_seq) == seq + 5);
    }
    CHECK(syn == 1 && synack == 1 && data == 1 && fin == 1);
    close(s), close(c), close(l), close(p);
}

static uint16_t sum(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint32_t s = 0;
    for (; n > 1; b += 2, n -= 2) s += (uint32_t)(b[0] << 8 | b[1]);
    while (s >> 16) s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t)~s);
}

static char set(const char *file, char v)
{
    char old = '?', path[64];
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/lo/%s", file);
    int f = open(path, O_RDWR);
    CHECK(f >= 0 && read(f, &old, 1) == 1 && pwrite(f, &v, 1, 0) == 1);
    close(f);
    return old;
}

/* A packet made by hand reaches its port, once lo takes what claims to come from itself. */
static void made_up(void)
{
    int p = packet(SOCK_DGRAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
    struct sockaddr_ll to = ll(ETH_P_IP);
    socklen_t n = sizeof a;
    char b[16];
    CHECK(bind(u, SA(a), sizeof a) == 0 && getsockname(u, SA(a), &n) == 0);
    struct { struct iphdr ip; struct udphdr u; char data[4]; } f = {
        { .version = 4, .ihl = 5, .tot_len = htons(32), .ttl = 64, .protocol = IPPROTO_UDP, .saddr = a.sin_addr.s_addr, .daddr = a.sin_addr.s_addr },
        { .source = htons(7), .dest = a.sin_port, .len = htons(12) }, "abc" };
    f.ip.check = sum(&f.ip, sizeof f.ip);
    char local = set("accept_local", '0'), route = set("route_localnet", '0');
    CHECK(sendto(p, &f, sizeof f, 0, SA(to), sizeof to) == sizeof f);
    nothing(u);
    set("accept_local", '1'), set("route_localnet", '1');
    CHECK(sendto(p, &f, sizeof f, 0, SA(to), sizeof to) == sizeof f);
    CHECK(recvfrom(u, b, sizeof b, 0, SA(from), &n) == 4 && !memcmp(b, "abc", 4) && from.sin_port == htons(7));
    f.ip.check ^= 1;
    CHECK(sendto(p, &f, sizeof f, 0, SA(to), sizeof to) == sizeof f);
    nothing(u);
    set("accept_local", local), set("route_localnet", route);
    close(p), close(u);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = { CASE(creation), CASE(frames), CASE(datagrams), CASE(connections), CASE(made_up) };
    lo = (int)if_nametoindex("lo");
    if (socket(AF_PACKET, SOCK_RAW, 0) < 0 && (errno == EPERM || errno == EAFNOSUPPORT)) {
        puts("skip: no packet sockets here (CAP_NET_RAW, or the kernel has none)");
        return 77;
    }
    if (access("/proc/sys/net/ipv4/conf/lo/accept_local", W_OK)) {
        puts("skip: the settings of lo cannot be written here");
        return 77;
    }
    return run_cases(cases, sizeof cases / sizeof *cases, argc, argv);
}
