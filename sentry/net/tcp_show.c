/*
 * The segments that a TCP connection would exchange, for who looks at packets: connections themselves need none (tcp.c).
 * They are made where something happens to the connection: RFC 9293. Sequence numbers follow from what the queues hold;
 * the first one of each direction is a hash of both ends, so that nothing has to be remembered.
 */
#include "sentry/net/tcp_show.h"
#include "sentry/net/dev.h"
#include "sentry/net/inet_ns.h"

#include "sentry/base/alloc.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>

#define LO_MSS 65495u              /* IPv4; the MTU of lo less two headers */
#define WINDOW 65535u

struct tcp_segment {
    struct net_ns *net;            /* borrowed from the socket whose packet it is */
    u8 src[16], dst[16];
    u16 sport, dport;
    u8 flags;
    u32 seq, ack, len;
    u8 data[];
};

static u32 first_seq(const u8 src[16], u16 sport, const u8 dst[16], u16 dport)
{
    u32 h = 2166136261u;

    for (int i = 0; i < 16; i++) h = (h ^ src[i]) * 16777619u;
    for (int i = 0; i < 16; i++) h = (h ^ dst[i]) * 16777619u;
    h = (h ^ sport) * 16777619u;
    h = (h ^ dport) * 16777619u;
    return h ^ h >> 15;
}

/* A segment of the one with address a to that with b; positions count what a has sent and received, FINs too. */
static struct tcp_segment *make(const struct socket *s, const struct net_addr *a, const struct net_addr *b, u8 flags, u64 sent, u64 received,
                                const u8 *data, u32 len)
{
    struct tcp_segment *g = try_zalloc(1, sizeof *g + len);

    if (!g) return NULL;
    g->net = s->net;
    memcpy(g->src, a->in.ip, 16);
    memcpy(g->dst, b->in.ip, 16);
    g->sport = a->in.port;
    g->dport = b->in.port;
    g->flags = flags;
    g->seq = first_seq(g->src, g->sport, g->dst, g->dport) + (flags & TH_SYN ? 0 : 1) + (u32)sent;
    if (flags & TH_ACK) g->ack = first_seq(g->dst, g->dport, g->src, g->sport) + 1 + (u32)received;
    g->len = len;
    if (len) memcpy(g->data, data, len);
    return g;
}

/* Frees g. */
static void transmit(struct tcp_segment *g)
{
    if (!g) return;
    /* One between namespaces crosses a cable: it is not shown. */
    if (!net_is_local(g->net, g->src) || !net_is_local(g->net, g->dst)) {
        free(g);
        return;
    }
    bool v4 = ip_is_v4(g->dst), syn = g->flags & TH_SYN;
    u32 header = ip_header_size(v4), own = sizeof(struct tcphdr) + (syn ? 4 : 0);
    u8 *buf = try_zalloc(1, header + own + g->len);
    struct ip_packet p;

    if (buf) {
        struct tcphdr h = { .th_sport = htons(g->sport), .th_dport = htons(g->dport), .th_seq = htonl(g->seq), .th_ack = htonl(g->ack),
                            .th_off = (u8)(own / 4) & 15, .th_flags = g->flags, .th_win = htons(g->flags & TH_RST ? 0 : WINDOW) };
        const u8 mss[4] = { TCPOPT_MAXSEG, TCPOLEN_MAXSEG, (LO_MSS - (v4 ? 0 : 20)) >> 8, (LO_MSS - (v4 ? 0 : 20)) & 0xff };
        memcpy(buf + header, &h, sizeof h);
        if (syn) memcpy(buf + header + sizeof h, mss, sizeof mss);
        memcpy(buf + header + own, g->data, g->len);
        ip_build(&p, buf, own + g->len, g->src, g->dst, IPPROTO_TCP, 0, 64);
        h.th_sum = ip_payload_checksum(&p, IPPROTO_TCP);
        memcpy(buf + header, &h, sizeof h);
        ip_cross(g->net, &p);
        free(buf);
    }
    free(g);
}

/* What s has received, counting the end of the other's stream. */
static u64 received_locked(const struct socket *s) { return s->oob.rx_seq + s->rx_bytes + s->in.got_fin; }

static u64 received(struct socket *s)
{
    if (!s) return 0;
    lock(&s->lock);
    u64 n = received_locked(s);
    unlock(&s->lock);
    return n;
}

static void send_between(struct socket *s, const struct net_addr *a, const struct net_addr *b, u8 flags, u64 sent, u64 got)
{
    transmit(make(s, a, b, flags, sent, got, NULL, 0));
}

void tcp_count_segments(const struct socket *s, unsigned n, u32 data)
{
    bool v4 = ip_is_v4(s->in.remote.in.ip);

    mib_add(s->net, MIB_TCP_SEGS, n);
    mib_packets(s->net, v4, n, data + n * (ip_header_size(v4) + sizeof(struct tcphdr)));
}

void tcp_count_reset(const struct socket *s)
{
    tcp_count_segments(s, 1, 0);
    mib_add(s->net, MIB_TCP_OUT_RSTS, 1);
}

void tcp_show_connect(struct socket *c, bool accepted)
{
    tcp_count_segments(c, accepted ? 3 : 1, accepted ? 8 : 4);    /* with the option of both SYNs */
    if (!accepted) tcp_count_reset(c);
    if (!ip_watched()) return;
    const struct net_addr *a = &c->in.local, *b = &c->in.remote;
    send_between(c, a, b, TH_SYN, 0, 0);
    if (!accepted) {
        send_between(c, b, a, TH_RST | TH_ACK, (u64)-1, 0);
        return;
    }
    send_between(c, b, a, TH_SYN | TH_ACK, 0, 0);
    send_between(c, a, b, TH_ACK, 0, 0);
}

struct tcp_segment *tcp_data_segment_locked(const struct socket *peer, const u8 *data, u32 len)
{
    if (len) {
        tcp_count_segments(peer, 2, len);
        mib_add(peer->net, MIB_TCP_DATA_SEGS, 1);
    }
    if (!ip_watched() || !len) return NULL;
    /* The peer's queue ends with these bytes. */
    return make(peer, &peer->in.remote, &peer->in.local, TH_PUSH | TH_ACK, received_locked(peer) - len, 0, data, len);
}

void tcp_show_data(struct socket *s, struct socket *peer, struct tcp_segment *g)
{
    if (!g) return;
    u64 sent = received(peer), got = received(s);
    g->ack += (u32)got;
    transmit(g);
    send_between(s, &s->in.remote, &s->in.local, TH_ACK, got, sent);
}

void tcp_show_end(struct socket *s, struct socket *p, bool reset)
{
    if (reset) tcp_count_reset(s);
    else tcp_count_segments(s, 2, 0);
    if (!ip_watched()) return;
    lock(&s->lock);
    const struct net_addr local = s->in.local, remote = s->in.remote;
    u64 got = received_locked(s);
    unlock(&s->lock);
    u64 sent = received(p);
    if (reset) {
        send_between(s, &remote, &local, TH_RST | TH_ACK, got, sent);
    } else {
        send_between(s, &remote, &local, TH_FIN | TH_ACK, got - 1, sent);
        send_between(s, &local, &remote, TH_ACK, sent, got);
    }
}
