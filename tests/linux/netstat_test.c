/* /proc/net/snmp, snmp6, netstat and the settings of TCP and IP count and hold. proc_pid_net(5), RFC 1213, ip-sysctl.rst */
#include "netns.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

/* The value below `name` in the line of `group`; names and values are in two lines. */
static long long in_file(const char *file, const char *group, const char *name)
{
    static char names[16384], values[16384];
    FILE *f = fopen(file, "r");
    CHECK(f);
    while (fgets(names, sizeof names, f) && fgets(values, sizeof values, f)) {
        char *a, *b, *n = strtok_r(names, " \n", &a), *v = strtok_r(values, " \n", &b);
        if (!n || strcmp(n, group)) continue;
        while ((n = strtok_r(NULL, " \n", &a)) && (v = strtok_r(NULL, " \n", &b)))
            if (!strcmp(n, name)) {
                fclose(f);
                return atoll(v);
            }
    }
    fprintf(stderr, "no %s %s in %s\n", group, name, file);
    exit(1);
}
static long long snmp(const char *group, const char *name) { return in_file("/proc/net/snmp", group, name); }
static long long tcp(const char *name) { return snmp("Tcp:", name); }
static long long ext(const char *name) { return in_file("/proc/net/netstat", "TcpExt:", name); }

static long long six(const char *name)
{
    char n[64];
    long long v;
    FILE *f = fopen("/proc/net/snmp6", "r");
    CHECK(f);
    while (fscanf(f, "%63s %lld", n, &v) == 2)
        if (!strcmp(n, name)) {
            fclose(f);
            return v;
        }
    fprintf(stderr, "no %s in snmp6\n", name);
    exit(1);
}

static int server(struct sockaddr_in *a, int type)
{
    socklen_t l = sizeof *a;
    int s = socket(AF_INET, type, 0);
    *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK(!bind(s, (void *)a, l) && (type == SOCK_DGRAM || !listen(s, 1)) && !getsockname(s, (void *)a, &l));
    return s;
}

static void join(int l, int s[2])
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!getsockname(l, (void *)&a, &n) && !connect(s[0], (void *)&a, n));
    s[1] = accept(l, NULL, NULL);
    CHECK(s[1] >= 0);
}

static void opens(void)
{
    struct sockaddr_in a;
    int l = server(&a, SOCK_STREAM), s[2];
    long long act = tcp("ActiveOpens"), pas = tcp("PassiveOpens"), fails = tcp("AttemptFails"), rst = tcp("OutRsts"), cur = tcp("CurrEstab"),
              in = tcp("InSegs"), out = tcp("OutSegs"), ip = snmp("Ip:", "InReceives");
    join(l, s);
    CHECK(tcp("ActiveOpens") == act + 1 && tcp("PassiveOpens") == pas + 1 && tcp("CurrEstab") == cur + 2 && tcp("AttemptFails") == fails);
    CHECK(tcp("InSegs") == in + 3 && tcp("OutSegs") == out + 3 && snmp("Ip:", "InReceives") == ip + 3);
    close(l);
    int c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), ECONNREFUSED);
    CHECK(tcp("ActiveOpens") == act + 2 && tcp("AttemptFails") == fails + 1 && tcp("OutRsts") == rst + 1);
    in = tcp("InSegs"), out = ext("TCPOrigDataSent");
    CHECK(write(s[0], "abc", 3) == 3 && tcp("InSegs") > in && ext("TCPOrigDataSent") == out + 1);
    CHECK(!shutdown(s[0], SHUT_WR) && tcp("CurrEstab") == cur + 1);
    CHECK(read(s[1], (char[4]){ 0 }, 4) == 3);
    close(s[1]), close(s[0]), close(c);
    CHECK(tcp("CurrEstab") == cur);
    CHECK(tcp("RetransSegs") == 0 && ext("TCPSynRetrans") == 0 && tcp("RtoAlgorithm") == 1);
}

static void resets(void)
{
    struct sockaddr_in a;
    struct linger lg = { 1, 0 };
    int l = server(&a, SOCK_STREAM), s[2];
    long long resets = tcp("EstabResets"), cur = tcp("CurrEstab"), rst = tcp("OutRsts"), unread = ext("TCPAbortOnClose"), data = ext("TCPAbortOnData");
    join(l, s);
    CHECK(write(s[0], "x", 1) == 1 && poll(&(struct pollfd){ s[1], POLLIN, 0 }, 1, 1000) == 1);
    close(s[1]);
    CHECK(poll(&(struct pollfd){ s[0], POLLIN, 0 }, 1, 1000) == 1);
    CHECK(tcp("EstabResets") == resets + 2 && tcp("CurrEstab") == cur && tcp("OutRsts") == rst + 1 && ext("TCPAbortOnClose") == unread + 1);
    close(s[0]);
    join(l, s);
    CHECK(!setsockopt(s[0], SOL_SOCKET, SO_LINGER, &lg, sizeof lg));
    close(s[0]);
    CHECK(poll(&(struct pollfd){ s[1], POLLIN, 0 }, 1, 1000) == 1);
    CHECK(tcp("EstabResets") == resets + 4 && tcp("OutRsts") == rst + 2 && ext("TCPAbortOnData") == data + 1);
    close(s[1]), close(l);
}

static void time_waits(void)
{
    struct sockaddr_in a;
    int l = server(&a, SOCK_STREAM), s[2], one = 1;
    long long tw = ext("TW"), again = ext("TWRecycled");
    socklen_t n = sizeof a;
    CHECK(!setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) && !connect(s[0], (void *)&a, sizeof a));
    s[1] = accept(l, NULL, NULL);
    struct sockaddr_in me;
    CHECK(!getsockname(s[0], (void *)&me, &n));
    close(s[0]);
    usleep(100000);
    close(s[1]);
    usleep(100000);
    CHECK(ext("TW") == tw + 1);
    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) && !bind(s[0], (void *)&me, sizeof me) && !connect(s[0], (void *)&a, sizeof a));
    CHECK(ext("TWRecycled") == again + 1);
    close(s[0]), close(l);
}

static void full_backlog(void)
{
    struct sockaddr_in a;
    int l = server(&a, SOCK_STREAM), s[4];
    long long full = ext("ListenOverflows"), drops = ext("ListenDrops");
    for (int i = 0; i < 4; i++) {
        s[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK_ERR(connect(s[i], (void *)&a, sizeof a), EINPROGRESS);
        usleep(10000);
    }
    CHECK(ext("ListenOverflows") > full && ext("ListenDrops") > drops);
    for (int i = 0; i < 4; i++) close(s[i]);
    close(l);
}

static void datagrams(void)
{
    struct sockaddr_in a;
    int r = server(&a, SOCK_DGRAM), s = socket(AF_INET, SOCK_DGRAM, 0), small = 1;
    long long in = snmp("Udp:", "InDatagrams"), out = snmp("Udp:", "OutDatagrams"), none = snmp("Udp:", "NoPorts"), lost = snmp("Udp:", "RcvbufErrors"),
              bad = snmp("Udp:", "InErrors"), ip = snmp("Ip:", "OutRequests"), un = snmp("Icmp:", "OutDestUnreachs"),
              octets = in_file("/proc/net/netstat", "IpExt:", "OutOctets");
    CHECK(sendto(s, "abc", 3, 0, (void *)&a, sizeof a) == 3);
    CHECK(snmp("Udp:", "OutDatagrams") == out + 1 && snmp("Ip:", "OutRequests") == ip + 1 && snmp("Udp:", "InDatagrams") == in);
    CHECK(in_file("/proc/net/netstat", "IpExt:", "OutOctets") == octets + 31);
    CHECK(recv(r, &small, 3, MSG_PEEK) == 3 && snmp("Udp:", "InDatagrams") == in);
    CHECK(recv(r, &small, 3, 0) == 3 && snmp("Udp:", "InDatagrams") == in + 1);
    small = 1;
    CHECK(!setsockopt(r, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    for (int i = 0; i < 20; i++) CHECK(sendto(s, "abc", 3, 0, (void *)&a, sizeof a) == 3);
    long long d = snmp("Udp:", "RcvbufErrors") - lost;
    CHECK(d > 5 && d < 20 && snmp("Udp:", "InErrors") == bad + d);
    close(r);
    CHECK(sendto(s, "abc", 3, 0, (void *)&a, sizeof a) == 3 && snmp("Udp:", "NoPorts") == none + 1 && snmp("Icmp:", "OutDestUnreachs") == un + 1);
    CHECK(snmp("Icmp:", "InDestUnreachs") == snmp("Icmp:", "OutDestUnreachs") && snmp("Icmp:", "InMsgs") >= 1);
    close(s);
    struct sockaddr_in6 b = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback, .sin6_port = htons(9) };
    long long out6 = six("Udp6OutDatagrams"), none6 = six("Udp6NoPorts"), ip6 = six("Ip6OutRequests"), un6 = six("Icmp6OutDestUnreachs");
    s = socket(AF_INET6, SOCK_DGRAM, 0);
    out = snmp("Udp:", "OutDatagrams");
    CHECK(sendto(s, "abc", 3, 0, (void *)&b, sizeof b) == 3);
    CHECK(six("Udp6OutDatagrams") == out6 + 1 && six("Udp6NoPorts") == none6 + 1 && six("Ip6OutRequests") >= ip6 + 1 && six("Icmp6OutDestUnreachs") == un6 + 1);
    CHECK(snmp("Udp:", "OutDatagrams") == out);
    close(s);
}

static void get(const char *file, char b[32])
{
    int f = open(file, O_RDONLY);
    ssize_t n;
    CHECK(f >= 0);
    n = read(f, b, 31);
    CHECK(n > 0);
    b[n] = 0;
    close(f);
}

static int put(const char *file, const char *text)
{
    int f = open(file, O_WRONLY), r;
    CHECK(f >= 0);
    r = (int)write(f, text, strlen(text));
    int e = errno;
    close(f);
    errno = e;
    return r;
}

static void settings(void)
{
    static const struct { const char *file, *first, *other; } t[] = {
        { "ipv4/tcp_sack", "1\n", "0\n" }, { "ipv4/tcp_recovery", "1\n", "100\n" }, { "ipv4/tcp_timestamps", "1\n", "0\n" },
        { "ipv4/tcp_fin_timeout", "60\n", "30\n" }, { "ipv4/tcp_keepalive_time", "7200\n", "77\n" }, { "ipv4/tcp_keepalive_intvl", "75\n", "7\n" },
        { "ipv4/tcp_keepalive_probes", "9\n", "3\n" }, { "ipv4/tcp_syn_retries", "6\n", "4\n" }, { "ipv4/ip_default_ttl", "64\n", "33\n" },
        { "ipv4/ip_nonlocal_bind", "0\n", "1\n" }, { "ipv6/bindv6only", "0\n", "1\n" }, { "ipv6/ip_nonlocal_bind", "0\n", "1\n" },
        { "ipv6/auto_flowlabels", "1\n", "0\n" }, { "ipv6/ip6frag_time", "60\n", "30\n" }, { "ipv4/ip_unprivileged_port_start", "1024\n", "80\n" },
        { "ipv4/ip_forward", "0\n", "1\n" },
    };
    char file[64], b[32];
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        snprintf(file, sizeof file, "/proc/sys/net/%s", t[i].file);
        get(file, b);
        if (strcmp(b, t[i].first)) fprintf(stderr, "%s: %s", file, b);
        CHECK(!strcmp(b, t[i].first) && put(file, t[i].other) == (int)strlen(t[i].other));
        get(file, b);
        CHECK(!strcmp(b, t[i].other));
        CHECK_ERR(put(file, "x\n"), EINVAL);
    }
    CHECK_ERR(put("/proc/sys/net/ipv4/ip_default_ttl", "256"), EINVAL);
    /* They are what new sockets start with. */
    int s = socket(AF_INET6, SOCK_STREAM, 0), v;
    socklen_t l = sizeof v;
    CHECK(!getsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &v, &l) && v == 77 && !getsockopt(s, IPPROTO_TCP, TCP_KEEPINTVL, &v, &l) && v == 7);
    CHECK(!getsockopt(s, IPPROTO_TCP, TCP_KEEPCNT, &v, &l) && v == 3 && !getsockopt(s, IPPROTO_TCP, TCP_SYNCNT, &v, &l) && v == 4);
    CHECK(!getsockopt(s, IPPROTO_TCP, TCP_LINGER2, &v, &l) && v == 30 && !getsockopt(s, IPPROTO_IP, IP_TTL, &v, &l) && v == 33);
    CHECK(!getsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &v, &l) && v == 1);
    close(s);
    struct sockaddr_in far = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xcb007107) };
    s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!bind(s, (void *)&far, sizeof far));
    close(s);
    CHECK(put("/proc/sys/net/ipv4/ip_nonlocal_bind", "0") == 1);
    s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(bind(s, (void *)&far, sizeof far), EADDRNOTAVAIL);
    close(s);
    CHECK(snmp("Ip:", "Forwarding") == 1 && snmp("Ip:", "DefaultTTL") == 33);
}

NETNS_MAIN(CASE(opens), CASE(resets), CASE(time_waits), CASE(full_backlog), CASE(datagrams), CASE(settings))
