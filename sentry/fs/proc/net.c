/* /proc/net, from the sockets that live now. proc_pid_net(5) */
#include "sentry/fs/proc/proc.h"
#include "sentry/net/host.h"
#include "sentry/net/tcp_ends.h"
#include "sentry/net/unix.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int take_text(void *b, const u8 *p, size_t n)
{
    for (size_t i = 0; i < n; i++) strbuf_printf(b, "%c", p[i]);
    return 0;
}
/* A network namespace of the guest's own is never the host's. */
static u32 mode(void) { return current_net() ? PLAN_NET_LOOPBACK : net_plan.head.mode; }

/* With the host's network: the text of the host's file. False: this sandbox has a network of its own. */
static bool host_text(enum netb_proc which, struct strbuf *b, int *r)
{
    u32 w = which;
    if (mode() != PLAN_NET_HOST) return false;
    *r = netb_call_pieces(NETB_PROC, &w, sizeof w, NULL, 0, take_text, b);
    return true;
}

static int show_dev(struct synth_node *n UNUSED, struct strbuf *b)
{
    int r;
    if (host_text(NETB_PROC_DEV, b, &r)) return r;
    strbuf_printf(b, "Inter-|   Receive                                                |  Transmit\n"
                     " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n");
    if (mode() == PLAN_NET_NONE) return 0;
    proc_net_dev(b);
    return 0;
}
static int show_route(struct synth_node *n UNUSED, struct strbuf *b)
{
    int r;
    if (host_text(NETB_PROC_ROUTE, b, &r)) return r;
    strbuf_printf(b, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
    if (mode() != PLAN_NET_NONE) proc_net_route(b);
    return 0;
}
static int show_if_inet6(struct synth_node *n UNUSED, struct strbuf *b)
{
    int r;
    if (host_text(NETB_PROC_IF_INET6, b, &r)) return r;
    if (mode() == PLAN_NET_NONE) return 0;
    proc_net_if_inet6(b);
    return 0;
}
static int show_ipv6_route(struct synth_node *n UNUSED, struct strbuf *b)
{
    int r;
    if (host_text(NETB_PROC_IPV6_ROUTE, b, &r)) return r;
    if (mode() == PLAN_NET_NONE) return 0;
    proc_net_ipv6_route(b);
    return 0;
}
static int show_arp(struct synth_node *n UNUSED, struct strbuf *b)
{
    int r;
    if (host_text(NETB_PROC_ARP, b, &r)) return r;
    strbuf_printf(b, "IP address       HW type     Flags       HW address            Mask     Device\n");
    return 0;
}
static int host_only(enum netb_proc which, struct strbuf *b)
{
    int r;
    return host_text(which, b, &r) ? r : -ENOENT;
}
static int show_snmp(struct synth_node *n UNUSED, struct strbuf *b)
{
    int r = 0;
    if (!host_text(NETB_PROC_SNMP, b, &r)) proc_net_snmp(b);
    return r;
}
static int show_snmp6(struct synth_node *n UNUSED, struct strbuf *b)
{
    int r = 0;
    if (!host_text(NETB_PROC_SNMP6, b, &r)) proc_net_snmp6(b);
    return r;
}
static int show_netstat(struct synth_node *n UNUSED, struct strbuf *b)
{
    int r = 0;
    if (!host_text(NETB_PROC_NETSTAT, b, &r)) proc_net_netstat(b);
    return r;
}
static int show_dev_mcast(struct synth_node *n UNUSED, struct strbuf *b) { return host_only(NETB_PROC_DEV_MCAST, b); }
static int show_igmp(struct synth_node *n UNUSED, struct strbuf *b) { return host_only(NETB_PROC_IGMP, b); }

/* Files that only the host's network has. */
static const struct synth_entry host_files[] = {
    SYNTH_FILE("dev_mcast", show_dev_mcast), SYNTH_FILE("igmp", show_igmp),
};

int proc_net_lookup(struct synth_node *dir, const char *name, struct synth_node *child)
{
    for (size_t i = 0; i < ARRAY_LEN(host_files) && mode() == PLAN_NET_HOST; i++)
        if (!strcmp(name, host_files[i].name)) {
            *child = (struct synth_node){ .e = &host_files[i], .pid = dir->pid, .tid = dir->tid };
            return 0;
        }
    return -ENOENT;
}

bool proc_net_next(struct synth_node *dir UNUSED, s64 from, s64 *id, char name[32], u8 *dtype)
{
    if (mode() != PLAN_NET_HOST || from >= (s64)ARRAY_LEN(host_files)) return false;
    *id = from;
    snprintf(name, 32, "%s", host_files[from].name);
    *dtype = DT_REG;
    return true;
}

/* The address as Linux prints it: words of the network's order read as the machine's. */
static void put_addr(struct strbuf *b, const struct net_addr *a, bool six)
{
    for (int i = six ? 0 : 12; i < 16; i += 4) strbuf_printf(b, "%02X%02X%02X%02X", a->in.ip[i + 3], a->in.ip[i + 2], a->in.ip[i + 1], a->in.ip[i]);
    strbuf_printf(b, ":%04X", a->in.port);
}

/* A socket of the host's that is this sandbox's own. True: it has a line. */
static bool show_host(struct strbuf *b, size_t line, struct socket *s, bool six, bool tcp)
{
    struct net_addr local, remote = { 0 };
    struct tcp_info ti = { 0 };
    u32 mem[9] = { 0 };
    if (s->ops->getname(s, &local, false) || (!tcp && s->protocol != IPPROTO_UDP)) return false;
    bool connected = !s->ops->getname(s, &remote, true);
    if (tcp) (void)s->ops->getopt(s, IPPROTO_TCP, TCP_INFO, &ti, sizeof ti);
    (void)s->ops->getopt(s, SOL_SOCKET, SO_MEMINFO, mem, sizeof mem);
    if (tcp ? ti.tcpi_state == TCP_CLOSE : !local.in.port) return false;
    if (!connected && !six) ip_set_v4(remote.in.ip, 0);
    strbuf_printf(b, "%4zu: ", line);
    put_addr(b, &local, six);
    strbuf_printf(b, " ");
    put_addr(b, &remote, six);
    strbuf_printf(b, " %02X %08X:%08X 00:00000000 00000000 %5u %8d %llu %u %016llx", tcp ? ti.tcpi_state : connected ? 1 : 7, mem[2], mem[0],
                  s->uid, 0, (unsigned long long)s->ino, ref_read(&s->refs), 0ULL);
    strbuf_printf(b, tcp ? " 100 0 0 10 0\n" : " 0\n");
    return true;
}

/* What closed connections left. */
static void show_remnants(struct strbuf *b, int domain, size_t line)
{
    size_t n;
    struct tcp_tw_shown *v = tcp_tw_snapshot(current_net(), domain, &n);

    for (size_t i = 0; i < n; i++) {
        strbuf_printf(b, "%4zu: ", line++);
        put_addr(b, &v[i].local, domain == AF_INET6);
        strbuf_printf(b, " ");
        put_addr(b, &v[i].remote, domain == AF_INET6);
        strbuf_printf(b, " %02X 00000000:00000000 03:%08llX 00000000     0        0 0 3 %016llx\n", v[i].state,
                      (unsigned long long)(v[i].left / (NSEC_PER_SEC / 100)), 0ULL);
    }
    free(v);
}

static int show_inet(struct strbuf *b, int domain, int type)
{
    bool six = domain == AF_INET6, tcp = type == SOCK_STREAM;
    size_t n, line = 0;
    struct socket **v = net_snapshot(domain, &n);

    if (six) strbuf_printf(b, "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode%s\n",
                           tcp ? "" : " ref pointer drops");
    else if (tcp) strbuf_printf(b, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n");
    else strbuf_printf(b, "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n");
    for (size_t i = 0; i < n; i++) {
        struct socket *s = v[i];
        if (s->host) {
            line += s->type == type && !s->dead && show_host(b, line, s, six, tcp);
            socket_put(s);
            continue;
        }
        lock(&s->lock);
        bool shown = s->type == type && (type != SOCK_DGRAM || s->protocol != 136 /* UDP-Lite */) && !s->dead && s->in.bound && (!tcp || tcp_state(s) != TCP_CLOSE);
        if (shown) {
            unsigned rx = s->state == ST_LISTEN ? s->naccept : tcp ? (unsigned)s->rx_bytes : atomic_load(&s->rmem);
            strbuf_printf(b, "%4zu: ", line++);
            put_addr(b, &s->in.local, six);
            strbuf_printf(b, " ");
            put_addr(b, &s->in.remote, six);
            strbuf_printf(b, " %02X %08X:%08X 00:00000000 00000000 %5u %8d %llu %u %016llx", tcp ? tcp_state(s) : s->in.connected ? 1 : 7,
                          0u, rx, s->uid, 0, (unsigned long long)s->ino, ref_read(&s->refs), 0ULL);
            strbuf_printf(b, tcp ? " 100 0 0 10 0\n" : " 0\n");
        }
        unlock(&s->lock);
        socket_put(s);
    }
    free(v);
    if (tcp) show_remnants(b, domain, line);
    return 0;
}
static int show_tcp(struct synth_node *n UNUSED, struct strbuf *b) { return show_inet(b, AF_INET, SOCK_STREAM); }
static int show_tcp6(struct synth_node *n UNUSED, struct strbuf *b) { return show_inet(b, AF_INET6, SOCK_STREAM); }
static int show_udp(struct synth_node *n UNUSED, struct strbuf *b) { return show_inet(b, AF_INET, SOCK_DGRAM); }
static int show_udp6(struct synth_node *n UNUSED, struct strbuf *b) { return show_inet(b, AF_INET6, SOCK_DGRAM); }

static int show_raw(struct synth_node *n UNUSED, struct strbuf *b) { return show_inet(b, AF_INET, SOCK_RAW); }
static int show_raw6(struct synth_node *n UNUSED, struct strbuf *b) { return show_inet(b, AF_INET6, SOCK_RAW); }

static int show_packet(struct synth_node *node UNUSED, struct strbuf *b)
{
    size_t n;
    struct socket **v = net_snapshot(AF_PACKET, &n);

    strbuf_printf(b, "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n");
    for (size_t i = 0; i < n; i++) {
        struct socket *s = v[i];
        if (!s->dead)
            strbuf_printf(b, "%016llx %-6u %-4d %04x   %-5d 1 %-6u %-6u %-6llu\n", 0ULL, ref_read(&s->refs), s->type, s->pk.protocol,
                          s->pk.ifindex, atomic_load(&s->rmem), s->uid, (unsigned long long)s->ino);
        socket_put(s);
    }
    free(v);
    return 0;
}

static int show_unix(struct synth_node *node UNUSED, struct strbuf *b)
{
    size_t n;
    struct socket **v = net_snapshot(AF_UNIX, &n);

    strbuf_printf(b, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    for (size_t i = 0; i < n; i++) {
        struct socket *s = v[i];
        lock(&s->lock);
        if (!s->dead) {
            /* SS_UNCONNECTED 1, SS_CONNECTING 2, SS_CONNECTED 3; __SO_ACCEPTCON */
            int st = s->state == ST_ESTABLISHED ? 3 : s->state == ST_CONNECTING ? 2 : 1;
            const struct net_addr *a = &s->un.name;
            strbuf_printf(b, "%016llx: %08X %08X %08X %04X %02X %5llu", 0ULL, ref_read(&s->refs), 0u, s->state == ST_LISTEN ? 0x10000u : 0u,
                          s->type, st, (unsigned long long)s->ino);
            if (a->un.len) {
                strbuf_printf(b, " %s", a->un.path[0] ? "" : "@");
                for (unsigned k = a->un.path[0] ? 0 : 1; k < a->un.len - (a->un.path[0] ? 1u : 0u); k++)
                    strbuf_printf(b, "%c", a->un.path[k] ? a->un.path[k] : '@');
            }
            strbuf_printf(b, "\n");
        }
        unlock(&s->lock);
        socket_put(s);
    }
    free(v);
    return 0;
}

static int show_netlink(struct synth_node *node UNUSED, struct strbuf *b)
{
    size_t n;
    struct socket **v = net_snapshot(AF_NETLINK, &n);

    strbuf_printf(b, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n");
    for (size_t i = 0; i < n; i++) {
        struct socket *s = v[i];
        struct net_addr a = { 0 };
        if (s->ops && !s->ops->getname(s, &a, false))
            strbuf_printf(b, "%016llx %-3d %-10u %08x %-8u %-8u %-5d %-8u %-8u %-8llu\n", 0ULL, s->protocol, a.nl.pid, a.nl.groups,
                          atomic_load(&s->rmem), 0u, 0, ref_read(&s->refs), 0u, (unsigned long long)s->ino);
        socket_put(s);
    }
    free(v);
    return 0;
}

static void count(int domain, int type, unsigned *used)
{
    size_t n;
    struct socket **v = net_snapshot(domain, &n);
    *used = 0;
    for (size_t i = 0; i < n; i++) {
        if (!v[i]->dead && (!type || v[i]->type == type)) (*used)++;
        socket_put(v[i]);
    }
    free(v);
}

static int show_sockstat(struct synth_node *n UNUSED, struct strbuf *b)
{
    unsigned all, tcp, udp;
    count(AF_UNSPEC, 0, &all);
    count(AF_INET, SOCK_STREAM, &tcp);
    count(AF_INET, SOCK_DGRAM, &udp);
    strbuf_printf(b, "sockets: used %u\nTCP: inuse %u orphan 0 tw %u alloc %u mem 0\nUDP: inuse %u mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\n"
                     "FRAG: inuse 0 memory 0\n", all, tcp, atomic_load(&inet_ns(current_net())->ntw), tcp, udp);
    return 0;
}
static int show_sockstat6(struct synth_node *n UNUSED, struct strbuf *b)
{
    unsigned tcp, udp;
    count(AF_INET6, SOCK_STREAM, &tcp);
    count(AF_INET6, SOCK_DGRAM, &udp);
    strbuf_printf(b, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n", tcp, udp);
    return 0;
}

const struct synth_entry proc_net_dir[] = {
    SYNTH_FILE("arp", show_arp),
    SYNTH_FILE("dev", show_dev),
    SYNTH_FILE("if_inet6", show_if_inet6),
    SYNTH_FILE("ipv6_route", show_ipv6_route),
    SYNTH_FILE("netlink", show_netlink),
    SYNTH_FILE("netstat", show_netstat),
    SYNTH_FILE("packet", show_packet),
    SYNTH_FILE("raw", show_raw),
    SYNTH_FILE("raw6", show_raw6),
    SYNTH_FILE("route", show_route),
    SYNTH_FILE("snmp", show_snmp),
    SYNTH_FILE("snmp6", show_snmp6),
    SYNTH_FILE("sockstat", show_sockstat),
    SYNTH_FILE("sockstat6", show_sockstat6),
    SYNTH_FILE("tcp", show_tcp),
    SYNTH_FILE("tcp6", show_tcp6),
    SYNTH_FILE("udp", show_udp),
    SYNTH_FILE("udp6", show_udp6),
    SYNTH_FILE("unix", show_unix),
    { 0 },
};
