/*
 * Between packet sockets and their rings: PACKET_RX_RING, all three versions. packet(7), Documentation/networking/packet_mmap.rst.
 *
 * A ring is memory that the guest maps and writes to while the sentry fills it. The sentry keeps its own positions and
 * reads nothing back but the word that says whose a frame or block is, so whatever is written there harms only the reader.
 */
#ifndef SUNDOG_NET_PACKET_H
#define SUNDOG_NET_PACKET_H

#include "sentry/net/socket.h"

/* A frame on its way to sockets; everything borrowed. */
struct packet_frame {
    const u8 *bytes;               /* from the link-layer header on */
    u32 len, net;                  /* of all; of that header */
    u16 proto, hatype;             /* ETH_P_*, host order; ARPHRD_* */
    u8 kind, halen;                /* PACKET_HOST and so on */
    u8 src[8];                     /* link-layer address of the sender */
    s32 ifindex;
    struct timespec now;
};

struct packet_ring *packet_ring_new(struct waitq *wq);        /* wq: the socket's */
void packet_ring_free(struct packet_ring *r);          /* last reference of the socket: nobody maps it */
/* PACKET_RX_RING. -EINVAL -ENOMEM; -EBUSY: there is one, or (to take it away) it is mapped. */
int packet_ring_set(struct packet_ring *r, const void *val, size_t len);
bool packet_ring_active(struct packet_ring *r);
int packet_ring_set_version(struct packet_ring *r, u32 version);   /* TPACKET_V1 to V3: -EINVAL -EBUSY */
u32 packet_ring_version(struct packet_ring *r);
int packet_ring_set_reserve(struct packet_ring *r, u32 bytes);     /* PACKET_RESERVE: -EINVAL -EBUSY */
u32 packet_ring_reserve(struct packet_ring *r);
/*
 * Puts in a frame, of which the socket takes at most snap bytes from its own start on: the link-layer header of a SOCK_RAW one
 * (raw), else what follows that. losing: frames were lost since the statistics were asked for last. False: no room.
 * copied: the whole one is in the queue too, because it does not fit into its place (would_cut).
 */
enum packet_put { PACKET_PUT_FULL, PACKET_PUT_DONE };
enum packet_put packet_ring_put(struct socket *s, const struct packet_frame *f, bool raw, u32 snap, bool losing, bool copied);
bool packet_ring_would_cut(struct packet_ring *r, const struct packet_frame *f, bool raw, u32 snap);
bool packet_ring_readable(struct packet_ring *r);
u32 packet_ring_freezes(struct packet_ring *r);        /* times that all blocks were full; counted anew from here */
int packet_ring_mmap(struct socket *s, struct mm_map_req *req);


/* Shows a frame to the packet sockets of a namespace; from: who sent it, not shown it. Its way is f->kind. No lock held. */
void packet_deliver(struct net_ns *net, const struct socket *from, const struct packet_frame *f);

/* packet_opt.c */
int packet_setopt(struct socket *s, int level, int opt, const void *val, size_t len);
ssize_t packet_getopt(struct socket *s, int level, int opt, void *val, size_t size);
/* Offset of what follows the network header, for a packet of IP; else where that begins. */
u32 packet_transport(const struct packet_frame *f);

#endif
