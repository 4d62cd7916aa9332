/* Options of packet sockets. packet(7) */
#include "sentry/net/dev.h"
#include "sentry/net/packet.h"
#include <linux/if_packet.h>
#include <string.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static int membership(struct socket *s, const void *val, size_t len)
{
    struct packet_mreq q = { 0 };

    if (len < sizeof q) return -EINVAL;
    memcpy(&q, val, sizeof q);
    struct netdev *d = q.mr_ifindex > 0 ? dev_by_index(s->net, (u32)q.mr_ifindex) : NULL;
    dev_put(d);
    return d ? 0 : -ENODEV;        /* packet sockets get all that a device gets anyway */
}

int packet_setopt(struct socket *s, int level, int opt, const void *val, size_t len)
{
    int v;

    if (level != SOL_PACKET) return -ENOPROTOOPT;
    if (opt == PACKET_ADD_MEMBERSHIP || opt == PACKET_DROP_MEMBERSHIP) return membership(s, val, len);
    if (opt == PACKET_RX_RING) return packet_ring_set(s->pk.ring, val, len);
    if (len < sizeof v) return -EINVAL;
    memcpy(&v, val, sizeof v);
    switch (opt) {
    case PACKET_VERSION: return len == sizeof v ? packet_ring_set_version(s->pk.ring, (u32)v) : -EINVAL;
    case PACKET_RESERVE: return len == sizeof v ? packet_ring_set_reserve(s->pk.ring, (u32)v) : -EINVAL;
    case PACKET_COPY_THRESH:
        if (len != sizeof v) return -EINVAL;
        s->pk.copy_thresh = v;
        return 0;
    case PACKET_AUXDATA:
        lock(&s->lock);
        s->want = v ? s->want | WANT_AUXDATA : s->want & ~WANT_AUXDATA;
        unlock(&s->lock);
        return 0;
    case PACKET_ORIGDEV: return 0;         /* no device stands for others */
    case PACKET_TIMESTAMP:
        if (len != sizeof v) return -EINVAL;
        s->pk.timestamp = v;
        return 0;
    case PACKET_IGNORE_OUTGOING:
        if (len != sizeof v || v < 0 || v > 1) return -EINVAL;
        s->pk.no_outgoing = v;
        return 0;
    default: return -ENOPROTOOPT;
    }
}

static ssize_t statistics(struct socket *s, void *val, size_t size)
{
    lock(&s->lock);
    struct tpacket_stats_v3 st = { .tp_packets = s->pk.packets, .tp_drops = s->pk.drops };
    s->pk.packets = s->pk.drops = 0;
    unlock(&s->lock);
    bool v3 = packet_ring_version(s->pk.ring) == TPACKET_V3;
    if (v3) st.tp_freeze_q_cnt = packet_ring_freezes(s->pk.ring);
    size = MIN(size, v3 ? sizeof st : sizeof(struct tpacket_stats));
    memcpy(val, &st, size);
    return (ssize_t)size;
}

/* The value comes with the question: a version. */
static ssize_t header_length(void *val, size_t size)
{
    u32 v;

    if (size < sizeof v) return -EINVAL;
    memcpy(&v, val, sizeof v);
    if (v > TPACKET_V3) return -EINVAL;
    return opt_put_int(val, size, v == TPACKET_V1 ? sizeof(struct tpacket_hdr) : v == TPACKET_V2 ? sizeof(struct tpacket2_hdr) : sizeof(struct tpacket3_hdr));
}

ssize_t packet_getopt(struct socket *s, int level, int opt, void *val, size_t size)
{
    if (level != SOL_PACKET) return -ENOPROTOOPT;
    switch (opt) {
    case PACKET_STATISTICS: return statistics(s, val, size);
    case PACKET_HDRLEN: return header_length(val, size);
    case PACKET_VERSION: return opt_put_int(val, size, (int)packet_ring_version(s->pk.ring));
    case PACKET_RESERVE: return opt_put_int(val, size, (int)packet_ring_reserve(s->pk.ring));
    case PACKET_AUXDATA: return opt_put_int(val, size, !!(s->want & WANT_AUXDATA));
    case PACKET_TIMESTAMP: return opt_put_int(val, size, s->pk.timestamp);
    case PACKET_ORIGDEV:
    case PACKET_LOSS:
    case PACKET_VNET_HDR: return opt_put_int(val, size, 0);
    case PACKET_IGNORE_OUTGOING: return opt_put_int(val, size, s->pk.no_outgoing);
    default: return -ENOPROTOOPT;
    }
}
