/* Devices, addresses, routes and rules by rtnetlink(7) and netdevice(7), in a network namespace of the test's own. */
#include "netns.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>

#define SA(a) ((struct sockaddr *)&(a))

/* --- requests --- */

struct msg { struct nlmsghdr h; char body[2048]; };
static struct msg q;

static void begin(int type, int flags, const void *body, size_t n)
{
    memset(&q, 0, sizeof q);
    q.h = (struct nlmsghdr){ .nlmsg_len = (uint32_t)NLMSG_LENGTH(n), .nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags), .nlmsg_seq = 7 };
    memcpy(q.body, body, n);
}

static struct rtattr *put(int type, const void *v, size_t n)
{
    struct rtattr *a = (void *)((char *)&q + NLMSG_ALIGN(q.h.nlmsg_len));
    a->rta_type = (unsigned short)type;
    a->rta_len = (unsigned short)RTA_LENGTH(n);
    if (n) memcpy(RTA_DATA(a), v, n);
    q.h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q.h.nlmsg_len) + RTA_ALIGN(a->rta_len));
    return a;
}
static void done(struct rtattr *a) { a->rta_len = (unsigned short)((char *)&q + q.h.nlmsg_len - (char *)a); }

static int nl(unsigned groups)
{
    struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = groups };
    int f = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    CHECK(f >= 0 && bind(f, SA(a), sizeof a) == 0);
    return f;
}

/* Sends q; 0 or the errno of the answer. */
static int ask_on(int f)
{
    struct { struct nlmsghdr h; struct nlmsgerr e; char more[4096]; } r;
    CHECK(send(f, &q, q.h.nlmsg_len, 0) == (ssize_t)q.h.nlmsg_len);
    CHECK(recv(f, &r, sizeof r, 0) > 0);
    CHECK(r.h.nlmsg_type == NLMSG_ERROR && r.h.nlmsg_seq == 7);
    return -r.e.error;
}
static int ask(void)
{
    int f = nl(0), e = ask_on(f);
    close(f);
    return e;
}

static int add_veth(const char *a, const char *b, int flags)
{
    struct ifinfomsg i = { 0 };
    begin(RTM_NEWLINK, NLM_F_CREATE | flags, &i, sizeof i);
    put(IFLA_IFNAME, a, strlen(a) + 1);
    struct rtattr *info = put(IFLA_LINKINFO, NULL, 0);
    put(IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = put(IFLA_INFO_DATA, NULL, 0), *peer = put(VETH_INFO_PEER, &i, sizeof i);
    put(IFLA_IFNAME, b, strlen(b) + 1);
    done(peer), done(data), done(info);
    return ask();
}

static int link_msg(int type, const char *name, int index)
{
    struct ifinfomsg i = { .ifi_index = index };
    begin(type, 0, &i, sizeof i);
    if (name) put(IFLA_IFNAME, name, strlen(name) + 1);
    return ask();
}

/* IPv6: without detection of duplicates, which takes a second. */
static int addr(int type, int flags, const char *dev, const char *ip, int prefix)
{
    struct ifaddrmsg m = { .ifa_family = strchr(ip, ':') ? AF_INET6 : AF_INET, .ifa_prefixlen = (uint8_t)prefix, .ifa_flags = strchr(ip, ':') ? IFA_F_NODAD : 0, .ifa_index = if_nametoindex(dev) };
    uint8_t b[16];
    CHECK(inet_pton(m.ifa_family, ip, b) == 1);
    begin(type, flags, &m, sizeof m);
    put(IFA_LOCAL, b, m.ifa_family == AF_INET ? 4 : 16);
    return ask();
}

static int route(int type, int flags, const char *dst, int prefix, const char *via, const char *dev)
{
    struct rtmsg m = { .rtm_family = AF_INET, .rtm_dst_len = (uint8_t)prefix, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST,
                       .rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK };
    uint32_t a;
    if (type == RTM_DELROUTE) m.rtm_scope = RT_SCOPE_NOWHERE, m.rtm_protocol = 0;
    begin(type, flags, &m, sizeof m);
    CHECK(inet_pton(AF_INET, dst, &a) == 1);
    put(RTA_DST, &a, 4);
    if (via) {
        CHECK(inet_pton(AF_INET, via, &a) == 1);
        put(RTA_GATEWAY, &a, 4);
    }
    if (dev) {
        a = if_nametoindex(dev);
        put(RTA_OIF, &a, 4);
    }
    return ask();
}

/* The interface and the source that a packet to dst would take; -errno. */
static int way(const char *dst, char *src)
{
    struct rtmsg m = { .rtm_family = AF_INET, .rtm_dst_len = 32 };
    struct { struct nlmsghdr h; char body[4096]; } r;
    uint32_t a;
    int f = nl(0), oif = 0;
    CHECK(inet_pton(AF_INET, dst, &a) == 1);
    begin(RTM_GETROUTE, 0, &m, sizeof m);
    q.h.nlmsg_flags = NLM_F_REQUEST;
    put(RTA_DST, &a, 4);
    CHECK(send(f, &q, q.h.nlmsg_len, 0) > 0 && recv(f, &r, sizeof r, 0) > 0);
    close(f);
    if (r.h.nlmsg_type == NLMSG_ERROR) return ((struct nlmsgerr *)r.body)->error;
    CHECK(r.h.nlmsg_type == RTM_NEWROUTE);
    int left = (int)RTM_PAYLOAD(&r.h);
    for (struct rtattr *t = RTM_RTA(r.body); RTA_OK(t, left); t = RTA_NEXT(t, left)) {
        if (t->rta_type == RTA_OIF) memcpy(&oif, RTA_DATA(t), 4);
        if (t->rta_type == RTA_PREFSRC) inet_ntop(AF_INET, RTA_DATA(t), src, INET_ADDRSTRLEN);
    }
    return oif;
}

static struct sockaddr_in at(const char *ip, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    CHECK(inet_pton(AF_INET, ip, &a.sin_addr) == 1);
    return a;
}

/* --- the cases --- */

static void links(void)
{
    struct ifreq r = { .ifr_name = "va" };
    int f = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(add_veth("va", "vb", NLM_F_EXCL) == 0 && add_veth("va", "vc", NLM_F_EXCL) == EEXIST && add_veth("vd", "vb", NLM_F_EXCL) == EEXIST);
    CHECK(if_nametoindex("va") && if_nametoindex("vb") && !if_nametoindex("vd") && !if_nametoindex("vc"));
    CHECK(ioctl(f, SIOCGIFFLAGS, &r) == 0 && !(r.ifr_flags & IFF_UP) && r.ifr_flags & IFF_BROADCAST);
    CHECK(ioctl(f, SIOCGIFHWADDR, &r) == 0 && r.ifr_hwaddr.sa_family == ARPHRD_ETHER && !(r.ifr_hwaddr.sa_data[0] & 1));
    CHECK(ioctl(f, SIOCGIFMTU, &r) == 0 && r.ifr_mtu == 1500);
    r.ifr_mtu = 20;
    CHECK_ERR(ioctl(f, SIOCSIFMTU, &r), EINVAL);
    r.ifr_mtu = 1400;
    CHECK(ioctl(f, SIOCSIFMTU, &r) == 0 && ioctl(f, SIOCGIFMTU, &r) == 0 && r.ifr_mtu == 1400);
    strcpy(r.ifr_newname, "a b");
    CHECK_ERR(ioctl(f, SIOCSIFNAME, &r), EINVAL);
    strcpy(r.ifr_newname, "vb");
    CHECK_ERR(ioctl(f, SIOCSIFNAME, &r), EEXIST);
    strcpy(r.ifr_newname, "vx");
    CHECK(ioctl(f, SIOCSIFNAME, &r) == 0 && if_nametoindex("vx") && !if_nametoindex("va"));
    CHECK(link_up("vx", 1) == 0 && link_up("vb", 1) == 0);
    strcpy(r.ifr_name, "vx");
    /* The carrier is noticed by and by. */
    for (int i = 0; i < 200; i++) {
        CHECK(ioctl(f, SIOCGIFFLAGS, &r) == 0 && r.ifr_flags & IFF_UP);
        if (r.ifr_flags & IFF_RUNNING) break;
        usleep(10000);
    }
    CHECK(r.ifr_flags & IFF_RUNNING);
    /* One end takes the other along. */
    CHECK(link_msg(RTM_DELLINK, "vb", 0) == 0 && !if_nametoindex("vx"));
    CHECK(link_msg(RTM_DELLINK, "vb", 0) == ENODEV && link_msg(RTM_DELLINK, NULL, 999) == ENODEV && link_msg(RTM_DELLINK, "lo", 0) == EOPNOTSUPP);
    struct ifinfomsg i = { 0 };
    begin(RTM_NEWLINK, NLM_F_CREATE, &i, sizeof i);
    struct rtattr *info = put(IFLA_LINKINFO, NULL, 0);
    put(IFLA_INFO_KIND, "nosuchkind", 10);
    done(info);
    CHECK(ask() == EOPNOTSUPP);
    close(f);
}

static void addresses(void)
{
    struct ifreq r = { .ifr_name = "va" };
    struct sockaddr_in a = at("10.9.0.1", 0), b;
    socklen_t n = sizeof b;
    int u = socket(AF_INET, SOCK_DGRAM, 0), t = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), f = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_ERR(bind(u, SA(a), sizeof a), EADDRNOTAVAIL);
    CHECK(add_veth("va", "vb", NLM_F_EXCL) == 0 && link_up("va", 1) == 0 && link_up("vb", 1) == 0);
    CHECK(addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "va", "10.9.0.1", 24) == 0);
    CHECK(addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "va", "10.9.0.1", 24) == EEXIST);
    CHECK(addr(RTM_NEWADDR, NLM_F_REPLACE | NLM_F_CREATE, "va", "10.9.0.1", 24) == 0);
    CHECK(addr(RTM_NEWADDR, 0, "va", "10.9.0.1", 33) == EINVAL && addr(RTM_DELADDR, 0, "va", "10.9.0.2", 24) == EADDRNOTAVAIL);
    CHECK(ioctl(f, SIOCGIFADDR, &r) == 0 && ((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr == a.sin_addr.s_addr);
    CHECK(ioctl(f, SIOCGIFNETMASK, &r) == 0 && ((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr == htonl(0xffffff00));
    /* It is this host's own: both protocols, over lo. */
    CHECK(bind(u, SA(a), sizeof a) == 0 && bind(t, SA(a), sizeof a) == 0 && listen(t, 1) == 0 && getsockname(t, SA(b), &n) == 0);
    CHECK(connect(c, SA(b), n) == 0 && getsockname(c, SA(b), &n) == 0 && b.sin_addr.s_addr == a.sin_addr.s_addr);
    CHECK(addr(RTM_DELADDR, 0, "va", "10.9.0.1", 24) == 0);
    close(u), close(t), close(c);
    u = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_ERR(bind(u, SA(a), sizeof a), EADDRNOTAVAIL);
    CHECK(addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "va", "fd00::1", 64) == 0);
    CHECK(addr(RTM_DELADDR, 0, "va", "fd00::1", 64) == 0 && addr(RTM_DELADDR, 0, "va", "fd00::1", 64) == EADDRNOTAVAIL);
    CHECK(link_msg(RTM_DELLINK, "va", 0) == 0);
    close(u), close(f);
}

static void routes(void)
{
    char src[INET_ADDRSTRLEN] = "";
    CHECK(add_veth("va", "vb", NLM_F_EXCL) == 0 && addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "va", "10.9.0.1", 24) == 0);
    CHECK(way("10.9.0.2", src) == -ENETUNREACH);             /* down */
    CHECK(link_up("va", 1) == 0 && link_up("vb", 1) == 0);
    CHECK(way("10.9.0.2", src) == (int)if_nametoindex("va") && !strcmp(src, "10.9.0.1"));
    CHECK(way("10.9.0.1", src) == (int)if_nametoindex("lo") && way("8.8.8.8", src) == -ENETUNREACH);
    CHECK(route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "8.8.0.0", 16, "10.10.0.1", NULL) == ENETUNREACH);
    CHECK(route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "8.8.0.0", 16, "10.9.0.9", NULL) == 0);
    CHECK(route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "8.8.0.0", 16, "10.9.0.9", NULL) == EEXIST);
    CHECK(route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "8.8.0.1", 16, "10.9.0.9", NULL) == EINVAL);
    CHECK(way("8.8.8.8", src) == (int)if_nametoindex("va") && !strcmp(src, "10.9.0.1"));
    CHECK(route(RTM_NEWROUTE, NLM_F_CREATE, "0.0.0.0", 0, NULL, "vb") == 0 && way("9.9.9.9", src) == (int)if_nametoindex("vb"));
    CHECK(route(RTM_DELROUTE, 0, "8.8.0.0", 16, NULL, NULL) == 0 && route(RTM_DELROUTE, 0, "8.8.0.0", 16, NULL, NULL) == ESRCH);
    /* What goes through a device goes with it. */
    CHECK(link_up("vb", 0) == 0 && way("9.9.9.9", src) == -ENETUNREACH);
    CHECK(link_msg(RTM_DELLINK, "va", 0) == 0 && way("10.9.0.2", src) == -ENETUNREACH);
}

static int rule(int type, int flags, uint32_t priority, uint8_t action, uint32_t table)
{
    struct fib_rule_hdr h = { .family = AF_INET, .dst_len = 24, .action = action, .table = (uint8_t)table };
    uint32_t a = htonl(0x0a090000);
    begin(type, flags, &h, sizeof h);
    put(FRA_PRIORITY, &priority, 4);
    put(FRA_DST, &a, 4);
    return ask();
}

static void rules(void)
{
    char src[INET_ADDRSTRLEN] = "";
    CHECK(add_veth("va", "vb", NLM_F_EXCL) == 0 && addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "va", "10.9.0.1", 24) == 0 && link_up("va", 1) == 0);
    CHECK(way("10.9.0.2", src) == (int)if_nametoindex("va"));
    CHECK(rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, 100, FR_ACT_PROHIBIT, 0) == 0 && way("10.9.0.2", src) == -EACCES);
    CHECK(rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, 100, FR_ACT_PROHIBIT, 0) == EEXIST);
    CHECK(way("10.9.0.1", src) == (int)if_nametoindex("lo"));          /* the local table comes first */
    CHECK(rule(RTM_DELRULE, 0, 100, FR_ACT_PROHIBIT, 0) == 0 && rule(RTM_DELRULE, 0, 100, FR_ACT_PROHIBIT, 0) == ENOENT);
    CHECK(rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, 100, FR_ACT_TO_TBL, 77) == 0 && way("10.9.0.2", src) == (int)if_nametoindex("va"));
    CHECK(rule(RTM_DELRULE, 0, 100, FR_ACT_TO_TBL, 77) == 0 && link_msg(RTM_DELLINK, "va", 0) == 0);
}

/* Two namespaces with a cable between them: a datagram, and the neighbour's address found by the way. */
static void cable(void)
{
    int ready[2], st, self = open("/proc/self/ns/net", O_RDONLY);
    char c;
    CHECK(self >= 0 && pipe(ready) == 0 && add_veth("va", "vb", NLM_F_EXCL) == 0);
    CHECK(addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "va", "10.9.0.1", 24) == 0 && link_up("va", 1) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct sockaddr_in a, from;
        socklen_t n = sizeof from;
        char b[16];
        CHECK(unshare(CLONE_NEWNET) == 0 && write(ready[1], "n", 1) == 1);
        while (!if_nametoindex("vb")) usleep(10000);
        CHECK(link_up("vb", 1) == 0 && addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "vb", "10.9.0.2", 24) == 0);
        int f = socket(AF_INET, SOCK_DGRAM, 0);
        a = at("10.9.0.2", 700);
        CHECK(bind(f, SA(a), sizeof a) == 0 && write(ready[1], "b", 1) == 1);
        CHECK(recvfrom(f, b, sizeof b, 0, SA(from), &n) == 5 && from.sin_addr.s_addr == htonl(0x0a090001));
        CHECK(sendto(f, b, 5, 0, SA(from), n) == 5);
        int l = socket(AF_INET, SOCK_STREAM, 0), t;
        CHECK(bind(l, SA(a), sizeof a) == 0 && listen(l, 1) == 0 && write(ready[1], "t", 1) == 1);
        CHECK((t = accept(l, SA(from), &n)) >= 0 && from.sin_addr.s_addr == htonl(0x0a090001));
        CHECK(recv(t, b, sizeof b, 0) == 6 && send(t, "answer", 6, 0) == 6 && close(t) == 0);
        CHECK(write(ready[1], "e", 1) == 1 && recv(f, b, sizeof b, 0) == 4);
        exit(0);
    }
    CHECK(read(ready[0], &c, 1) == 1);
    struct ifinfomsg i = { .ifi_index = (int)if_nametoindex("vb") };
    begin(RTM_SETLINK, 0, &i, sizeof i);
    put(IFLA_NET_NS_PID, &child, 4);
    CHECK(ask() == 0 && !if_nametoindex("vb"));
    CHECK(read(ready[0], &c, 1) == 1 && c == 'b');
    int f = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = at("10.9.0.2", 700);
    char b[16];
    CHECK(sendto(f, "hello", 5, 0, SA(to), sizeof to) == 5 && recv(f, b, sizeof b, 0) == 5 && !memcmp(b, "hello", 5));
    /* A connection, and a port where nobody listens. */
    int t = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(read(ready[0], &c, 1) == 1 && c == 't' && connect(t, SA(to), sizeof to) == 0 && send(t, "stream", 6, 0) == 6);
    CHECK(recv(t, b, sizeof b, 0) == 6 && !memcmp(b, "answer", 6) && recv(t, b, sizeof b, 0) == 0 && close(t) == 0);
    t = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_port = htons(701);
    CHECK_ERR(connect(t, SA(to), sizeof to), ECONNREFUSED);
    to.sin_port = htons(700);
    close(t);
    CHECK(read(ready[0], &c, 1) == 1 && sendto(f, "end", 4, 0, SA(to), sizeof to) == 4);
    CHECK(waitpid(child, &st, 0) == child && st == 0);
    /* The namespace went, the device in it, and so this end. */
    for (int k = 0; k < 500 && if_nametoindex("va"); k++) usleep(10000);
    CHECK(!if_nametoindex("va"));
    close(f), close(self), close(ready[0]), close(ready[1]);
}

static void groups(void)
{
    int f = nl(RTMGRP_LINK | RTMGRP_IPV4_IFADDR), g = nl(0), one = RTNLGRP_LINK;
    struct { struct nlmsghdr h; char body[4096]; } r;
    struct pollfd p = { .fd = f, .events = POLLIN };
    socklen_t n = sizeof(uint64_t);
    uint64_t list = 0;
    CHECK(add_veth("va", "vb", NLM_F_EXCL) == 0);
    for (int seen = 0; seen < 2;) {
        CHECK(poll(&p, 1, 2000) == 1 && recv(f, &r, sizeof r, 0) > 0 && r.h.nlmsg_type == RTM_NEWLINK && r.h.nlmsg_pid == 0);
        int index = ((struct ifinfomsg *)r.body)->ifi_index;
        seen += index == (int)if_nametoindex("va") || index == (int)if_nametoindex("vb");
    }
    while (recv(f, &r, sizeof r, MSG_DONTWAIT) > 0) {}
    CHECK(addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "va", "10.9.0.1", 24) == 0 && recv(f, &r, sizeof r, 0) > 0 && r.h.nlmsg_type == RTM_NEWADDR);
    CHECK(setsockopt(g, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &one, sizeof one) == 0);
    CHECK(getsockopt(g, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, &list, &n) == 0 && n == 8 && list == RTMGRP_LINK);
    CHECK(link_msg(RTM_DELLINK, "va", 0) == 0);
    int gone = 0;
    while (poll(&(struct pollfd){ .fd = g, .events = POLLIN }, 1, 200) == 1 && recv(g, &r, sizeof r, 0) > 0) gone += r.h.nlmsg_type == RTM_DELLINK;
    CHECK(gone == 2);
    close(f), close(g);
}

static int tun(const char *name, int flags)
{
    struct ifreq r = { .ifr_flags = (short)flags };
    int f = open("/dev/net/tun", O_RDWR);
    if (f < 0) return -1;
    strcpy(r.ifr_name, name);
    CHECK(ioctl(f, TUNSETIFF, &r) == 0);
    return f;
}

/* A datagram goes out by the file and comes in by it. */
static void tunnel(void)
{
    struct { struct iphdr ip; struct udphdr u; char data[8]; } b;
    struct sockaddr_in a = at("10.9.0.1", 800), to = at("10.9.0.77", 900), from;
    socklen_t n = sizeof from;
    int f = tun("tun%d", IFF_TUN | IFF_NO_PI), u = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq r;
    if (f < 0) {
        puts("skipped: no /dev/net/tun");
        return;
    }
    CHECK(ioctl(f, TUNGETIFF, &r) == 0 && !strcmp(r.ifr_name, "tun0") && r.ifr_flags & IFF_TUN);
    CHECK_ERR(write(f, "\x45", 1), EIO);
    CHECK(addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "tun0", "10.9.0.1", 24) == 0 && link_up("tun0", 1) == 0);
    CHECK(bind(u, SA(a), sizeof a) == 0 && sendto(u, "outwards", 8, 0, SA(to), sizeof to) == 8);
    do
        CHECK(read(f, &b, sizeof b) > 0);
    while (b.ip.version != 4 || b.ip.protocol != IPPROTO_UDP);
    CHECK(b.ip.daddr == to.sin_addr.s_addr && b.ip.saddr == a.sin_addr.s_addr && b.u.dest == htons(900) && !memcmp(b.data, "outwards", 8));
    /* Sent back with the ends exchanged: the sums stay. */
    b.ip.daddr = a.sin_addr.s_addr, b.ip.saddr = to.sin_addr.s_addr;
    b.u.dest = htons(800), b.u.source = htons(900);
    CHECK(write(f, &b, sizeof b) == sizeof b);
    char d[16];
    CHECK(recvfrom(u, d, sizeof d, 0, SA(from), &n) == 8 && !memcmp(d, "outwards", 8) && from.sin_addr.s_addr == to.sin_addr.s_addr);
    CHECK_ERR(write(f, "\x15", 1), EINVAL);
    close(f);
    CHECK(!if_nametoindex("tun0"));
    close(u);
}

static void *read_one(void *arg)
{
    char b[256];
    return (void *)(intptr_t)read(*(int *)arg, b, sizeof b);
}

/* A reader that fell asleep while the file was blocking, and woke when it no longer was, has left nothing behind. */
static void tun_reader(void)
{
    struct sockaddr_in to = at("10.9.0.77", 900);
    int f = tun("tun%d", IFF_TUN | IFF_NO_PI), u = socket(AF_INET, SOCK_DGRAM, 0);
    pthread_t t;
    void *got;
    if (f < 0) return;
    CHECK(addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "tun0", "10.9.0.1", 24) == 0 && link_up("tun0", 1) == 0);
    for (int i = 0; i < 4; i++) {
        char b[256];
        CHECK(fcntl(f, F_SETFL, O_NONBLOCK) == 0);
        while (read(f, b, sizeof b) > 0) {}
        CHECK(errno == EAGAIN && fcntl(f, F_SETFL, 0) == 0 && pthread_create(&t, NULL, read_one, &f) == 0);
        usleep(50000);
        CHECK(fcntl(f, F_SETFL, O_NONBLOCK) == 0 && sendto(u, "in", 2, 0, SA(to), sizeof to) == 2);
        CHECK(pthread_join(t, &got) == 0 && (intptr_t)got > 0);
        CHECK(sendto(u, "more", 4, 0, SA(to), sizeof to) == 4 && read(f, b, sizeof b) > 0);
    }
    close(f), close(u);
}

/* Addresses and routes given to a device while it goes from namespace to namespace end with it, wherever it ends. */
static void *give_and_take(void *arg)
{
    while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE)) {
        struct ifaddrmsg m = { .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 77 };
        struct { struct nlmsghdr h; struct ifaddrmsg m; struct rtattr a; uint8_t ip[4]; } r = {
            { sizeof r, RTM_NEWADDR, NLM_F_REQUEST | NLM_F_CREATE, 0, 0 }, m, { 8, IFA_LOCAL }, { 10, 8, 0, 1 } };
        struct { struct nlmsghdr h; struct rtmsg m; struct rtattr a; uint8_t ip[4]; struct rtattr o; uint32_t oif; } w = {
            { sizeof w, RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_CREATE, 0, 0 },
            { .rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST, .rtm_scope = RT_SCOPE_LINK },
            { 8, RTA_DST }, { 10, 7, 0, 0 }, { 8, RTA_OIF }, 77 };
        int f = nl(0);
        CHECK(send(f, &r, sizeof r, 0) == sizeof r && send(f, &w, sizeof w, 0) == sizeof w);
        close(f);
    }
    return NULL;
}

static int send_to_ns(const char *name, int ns)
{
    struct ifinfomsg i = { 0 };
    begin(RTM_NEWLINK, 0, &i, sizeof i);
    put(IFLA_IFNAME, name, strlen(name) + 1);
    put(IFLA_NET_NS_FD, &ns, 4);
    return ask();
}

static void wanderer(void)
{
    int here = open("/proc/self/ns/net", O_RDONLY), stop = 0;
    pthread_t t[2];
    CHECK(here >= 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&t[i], NULL, give_and_take, &stop) == 0);
    for (int i = 0; i < 60; i++) {
        struct ifinfomsg m = { .ifi_index = 77 };
        begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
        put(IFLA_IFNAME, "wand", 5);
        struct rtattr *info = put(IFLA_LINKINFO, NULL, 0);
        put(IFLA_INFO_KIND, "veth", 4);
        done(info);
        CHECK(ask() == 0 && link_up("wand", 1) == 0);
        CHECK(unshare(CLONE_NEWNET) == 0);
        int there = open("/proc/self/ns/net", O_RDONLY);
        CHECK(there >= 0 && setns(here, CLONE_NEWNET) == 0 && send_to_ns("wand", there) == 0);
        CHECK(setns(there, CLONE_NEWNET) == 0 && link_up("wand", 1) == 0);
        usleep(3000);
        CHECK(link_msg(RTM_DELLINK, "wand", 0) == 0 && setns(here, CLONE_NEWNET) == 0);
        close(there);
        char src[INET_ADDRSTRLEN];
        CHECK(way("10.8.0.1", src) == -ENETUNREACH && way("10.7.0.9", src) == -ENETUNREACH);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) CHECK(pthread_join(t[i], NULL) == 0);
    close(here);
}

/* A device that persists, and frames of Ethernet with ARP. */
static void tap(void)
{
    struct { struct ethhdr e; struct arphdr h; uint8_t sha[6], spa[4], tha[6], tpa[4]; } __attribute__((packed)) p, got;
    int f = tun("tap7", IFF_TAP | IFF_NO_PI);
    struct pollfd w;
    if (f < 0) return;
    CHECK(ioctl(f, TUNSETPERSIST, 1) == 0 && close(f) == 0 && if_nametoindex("tap7") && (f = tun("tap7", IFF_TAP | IFF_NO_PI)) >= 0);
    CHECK(addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "tap7", "10.9.0.1", 24) == 0 && link_up("tap7", 1) == 0);
    memset(&p, 0, sizeof p);
    memset(p.e.h_dest, 0xff, 6);
    memcpy(p.e.h_source, "\x02\x00\x00\x00\x00\x09", 6);
    p.e.h_proto = htons(ETH_P_ARP);
    p.h = (struct arphdr){ htons(ARPHRD_ETHER), htons(ETH_P_IP), 6, 4, htons(ARPOP_REQUEST) };
    memcpy(p.sha, p.e.h_source, 6);
    memcpy(p.spa, "\x0a\x09\x00\x09", 4), memcpy(p.tpa, "\x0a\x09\x00\x01", 4);
    CHECK(write(f, &p, sizeof p) == sizeof p);
    w = (struct pollfd){ .fd = f, .events = POLLIN };
    do
        CHECK(poll(&w, 1, 3000) == 1 && read(f, &got, sizeof got) > 0);
    while (got.e.h_proto != htons(ETH_P_ARP) || got.h.ar_op != htons(ARPOP_REPLY));
    CHECK(!memcmp(got.spa, p.tpa, 4) && !memcmp(got.e.h_dest, p.sha, 6) && !memcmp(got.tha, p.sha, 6));
    CHECK(ioctl(f, TUNSETPERSIST, 0) == 0 && close(f) == 0 && !if_nametoindex("tap7"));
}

/* SO_BINDTODEVICE: the same port once for each device, and nothing that came by another. */
static void bound(void)
{
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in any = at("0.0.0.0", 901), lo = at("127.0.0.1", 901);
    char name[IFNAMSIZ], d[8];
    socklen_t n = sizeof name;
    CHECK(add_veth("va", "vb", NLM_F_EXCL) == 0 && link_up("va", 1) == 0);
    CHECK_ERR(setsockopt(a, SOL_SOCKET, SO_BINDTODEVICE, "none", 5), ENODEV);
    CHECK(setsockopt(a, SOL_SOCKET, SO_BINDTODEVICE, "va", 3) == 0 && getsockopt(a, SOL_SOCKET, SO_BINDTODEVICE, name, &n) == 0 && n == 3 && !strcmp(name, "va"));
    CHECK(setsockopt(b, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0);
    CHECK(bind(a, SA(any), sizeof any) == 0 && bind(b, SA(any), sizeof any) == 0);
    CHECK_ERR(bind(c, SA(any), sizeof any), EADDRINUSE);
    CHECK(sendto(s, "x", 1, 0, SA(lo), sizeof lo) == 1 && recv(b, d, sizeof d, 0) == 1);
    CHECK_ERR(recv(a, d, sizeof d, MSG_DONTWAIT), EAGAIN);
    CHECK(link_msg(RTM_DELLINK, "va", 0) == 0);
    close(a), close(b), close(c), close(s);
}

/* A group of IPv6 by an interface: who is in it there, and who listens at the other end of the cable. */
static void group6(void)
{
    int on = 1, va, a = socket(AF_INET6, SOCK_DGRAM, 0), b = socket(AF_INET6, SOCK_DGRAM, 0), s = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(902) }, to = any, from;
    struct ipv6_mreq m = { 0 };
    socklen_t n = sizeof from;
    char d[8];
    CHECK(add_veth("va", "vb", NLM_F_EXCL) == 0 && link_up("va", 1) == 0 && link_up("vb", 1) == 0 && addr(RTM_NEWADDR, NLM_F_EXCL | NLM_F_CREATE, "va", "fd00::1", 64) == 0);
    va = (int)if_nametoindex("va");
    CHECK(inet_pton(AF_INET6, "ff02::77", &to.sin6_addr) == 1);
    m.ipv6mr_multiaddr = to.sin6_addr;
    for (int i = 0; i < 2; i++) {
        int f = i ? b : a;
        m.ipv6mr_interface = if_nametoindex(i ? "vb" : "va");
        CHECK(setsockopt(f, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 && bind(f, SA(any), sizeof any) == 0 && setsockopt(f, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof m) == 0);
    }
    CHECK(setsockopt(s, IPPROTO_IPV6, IPV6_MULTICAST_IF, &va, sizeof va) == 0 && sendto(s, "six", 3, 0, SA(to), sizeof to) == 3);
    CHECK(recvfrom(a, d, sizeof d, 0, SA(from), &n) == 3 && !memcmp(d, "six", 3));
    CHECK(link_msg(RTM_DELLINK, "va", 0) == 0);
    close(a), close(b), close(s);
}

static void rights(void)
{
    int st;
    pid_t c = fork();
    if (c == 0) {
        if (setgid(65534) || setuid(65534)) _exit(9);
        _exit(add_veth("va", "vb", NLM_F_EXCL) == EPERM && addr(RTM_NEWADDR, 0, "lo", "10.0.0.1", 8) == EPERM && link_up("lo", 0) == -1 && errno == EPERM ? 0 : 1);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
    /* Rights in a namespace of one's own are none over this one. */
    c = fork();
    if (c == 0) _exit(unshare(CLONE_NEWUSER) || add_veth("va", "vb", NLM_F_EXCL) == EPERM ? 0 : 1);
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}

NETNS_MAIN(CASE(links), CASE(addresses), CASE(routes), CASE(rules), CASE(groups), CASE(tunnel), CASE(tun_reader), CASE(wanderer), CASE(tap), CASE(bound), CASE(group6), CASE(rights), CASE(cable))
