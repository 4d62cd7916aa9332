/* Filters of sockets: SO_ATTACH_FILTER and what goes with it. socket(7), Documentation/networking/filter.rst */
#include "netns.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdint.h>
#include <sys/un.h>

#define SA(a) ((struct sockaddr *)&(a))
#define LEN(a) (sizeof(a) / sizeof *(a))
#ifndef SO_LOCK_FILTER
#define SO_LOCK_FILTER 44
#endif

static int attach(int f, struct sock_filter *code, size_t n)
{
    struct sock_fprog p = { (unsigned short)n, code };
    return setsockopt(f, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p);
}

static void nothing(int f)
{
    char b[64];
    CHECK_ERR(recv(f, b, sizeof b, MSG_DONTWAIT), EAGAIN);
}

static int udp(struct sockaddr_in *a)
{
    int f = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t n = sizeof *a;
    *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK(f >= 0 && bind(f, SA(*a), sizeof *a) == 0 && getsockname(f, SA(*a), &n) == 0);
    return f;
}

static void options(void)
{
    struct sock_filter all[] = { BPF_STMT(BPF_LD | BPF_IMM, 7), BPF_STMT(BPF_RET | BPF_K, ~0u) }, got[8];
    struct sock_filter bad[] = { BPF_STMT(BPF_RET | BPF_A, 0), BPF_STMT(BPF_LD | BPF_IMM, 7) };
    struct sockaddr_in a;
    int f = udp(&a), on = 1, off = 0;
    socklen_t n = 0;
    CHECK_ERR(setsockopt(f, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof on), ENOENT);
    CHECK_ERR(attach(f, bad, 2), EINVAL);                    /* does not end with a return */
    CHECK_ERR(attach(f, all, 0), EINVAL);
    CHECK_ERR(setsockopt(f, SOL_SOCKET, SO_ATTACH_FILTER, all, 4), EINVAL);
    CHECK(getsockopt(f, SOL_SOCKET, SO_GET_FILTER, got, &n) == 0 && n == 0);
    CHECK(attach(f, all, 2) == 0);
    CHECK(getsockopt(f, SOL_SOCKET, SO_GET_FILTER, got, &n) == 0 && n == 2);
    n = 1;
    CHECK_ERR(getsockopt(f, SOL_SOCKET, SO_GET_FILTER, got, &n), EINVAL);
    n = 8;
    CHECK(getsockopt(f, SOL_SOCKET, SO_GET_FILTER, got, &n) == 0 && n == 2 && !memcmp(got, all, sizeof all));
    CHECK(setsockopt(f, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof on) == 0);
    CHECK(attach(f, all, 2) == 0 && setsockopt(f, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) == 0);
    n = sizeof off;
    CHECK(getsockopt(f, SOL_SOCKET, SO_LOCK_FILTER, &off, &n) == 0 && off == 1);
    off = 0;
    CHECK_ERR(setsockopt(f, SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof off), EPERM);
    CHECK_ERR(setsockopt(f, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof on), EPERM);
    CHECK_ERR(attach(f, all, 2), EPERM);
    close(f);
}

/* From the UDP header on: the first byte of data is at 8; what is cut off is data. */
static void datagrams(void)
{
    struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1), BPF_STMT(BPF_RET | BPF_K, 8 + 2), BPF_STMT(BPF_RET | BPF_K, 0) };
    struct sockaddr_in a;
    int f = udp(&a), s = socket(AF_INET, SOCK_DGRAM, 0);
    char b[32];
    CHECK(attach(f, code, LEN(code)) == 0);
    CHECK(sendto(s, "no", 2, 0, SA(a), sizeof a) == 2 && sendto(s, "", 0, 0, SA(a), sizeof a) == 0);
    nothing(f);
    CHECK(sendto(s, "yes", 3, 0, SA(a), sizeof a) == 3 && recv(f, b, sizeof b, 0) == 2 && !memcmp(b, "ye", 2));
    close(f), close(s);
}

/* The IP header by its offset, the UDP length as a half-word, X from the header's length, and the values beside the packet. */
static void loads(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF + 9), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 13),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, (uint32_t)SKF_NET_OFF), BPF_STMT(BPF_MISC | BPF_TXA, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 20, 0, 10),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 11, 0, 8),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0),
        BPF_STMT(BPF_LDX | BPF_IMM, 6), BPF_STMT(BPF_LD | BPF_B | BPF_IND, 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'c', 0, 1),
        BPF_STMT(BPF_RET | BPF_K, ~0u), BPF_STMT(BPF_RET | BPF_K, 0) };
    struct sock_filter beyond[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 1000), BPF_STMT(BPF_RET | BPF_K, ~0u) };
    struct sock_filter unknown[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + 200)), BPF_STMT(BPF_RET | BPF_K, ~0u) };
    struct sockaddr_in a;
    int f = udp(&a), s = socket(AF_INET, SOCK_DGRAM, 0);
    char b[32];
    CHECK(attach(f, code, LEN(code)) == 0);
    CHECK(sendto(s, "abcd", 4, 0, SA(a), sizeof a) == 4 && sendto(s, "abc", 3, 0, SA(a), sizeof a) == 3);
    CHECK(recv(f, b, sizeof b, 0) == 3 && !memcmp(b, "abc", 3));
    nothing(f);
    CHECK(attach(f, beyond, 2) == 0 && sendto(s, "abc", 3, 0, SA(a), sizeof a) == 3);
    nothing(f);
    CHECK_ERR(attach(f, unknown, 2), EINVAL);
    close(f), close(s);
}

static void local(void)
{
    struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 4, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 2) };
    int s[2];
    char b[32];
    for (int type = 0; type < 2; type++) {
        CHECK(socketpair(AF_UNIX, type ? SOCK_SEQPACKET : SOCK_DGRAM, 0, s) == 0 && attach(s[1], code, LEN(code)) == 0);
        CHECK(send(s[0], "longer", 6, 0) == 6 && send(s[0], "abc", 3, 0) == 3);
        CHECK(recv(s[1], b, sizeof b, 0) == 2 && !memcmp(b, "ab", 2));
        nothing(s[1]);
        close(s[0]), close(s[1]);
    }
}

/* A raw socket's filter sees the IP header; a packet socket's what it would receive. */
static void raw_and_packets(void)
{
    struct sockaddr_in a;
    int u = udp(&a), r = socket(AF_INET, SOCK_RAW, IPPROTO_UDP), p = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)), s = socket(AF_INET, SOCK_DGRAM, 0);
    char b[128];
    struct sock_filter port[] = { BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohs(a.sin_port), 0, 1), BPF_STMT(BPF_RET | BPF_K, ~0u), BPF_STMT(BPF_RET | BPF_K, 0) };
    struct sock_filter link[] = { BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 5),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14), BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohs(a.sin_port), 0, 2),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)), BPF_STMT(BPF_RET | BPF_K, 60), BPF_STMT(BPF_RET | BPF_K, 0) };
    CHECK(u >= 0 && r >= 0 && p >= 0 && s >= 0 && attach(r, port, LEN(port)) == 0 && attach(p, link, LEN(link)) == 0);
    struct sockaddr_in o = a;
    o.sin_port = htons(9);
    CHECK(sendto(s, "other", 5, 0, SA(o), sizeof o) == 5);
    nothing(r), nothing(p);
    CHECK(sendto(s, "a datagram, and more", 20, 0, SA(a), sizeof a) == 20);
    CHECK(recv(r, b, sizeof b, 0) == 48 && b[0] == 0x45);
    CHECK(recv(p, b, sizeof b, MSG_TRUNC) == 60);
    nothing(r);
    close(u), close(r), close(p), close(s);
}

NETNS_MAIN(CASE(options), CASE(datagrams), CASE(loads), CASE(local), CASE(raw_and_packets))
