/* Inside of the rings of packet sockets: packet_ring.c and packet_block.c. */
#ifndef SUNDOG_NET_PACKET_RING_H
#define SUNDOG_NET_PACKET_RING_H

#include "sentry/kernel/timers.h"
#include "sentry/mm/mm.h"
#include "sentry/net/packet.h"
#include <linux/if_packet.h>

#define PACKET_BLOCK_HEADER 48u    /* struct tpacket_block_desc, aligned */
_Static_assert(sizeof(struct tpacket_block_desc) == PACKET_BLOCK_HEADER, "BLK_HDR_LEN");

struct packet_ring {
    struct mappable map;
    lock_t lock;                   /* LC_FS, inside the socket's and LC_MM; guards: */
    mpage_t pages; u64 npages;     /* contiguous, owned; MPAGE_NONE: there is no ring */
    u32 version, reserve;
    u32 block_size, block_nr, frame_size, frame_nr, per_block;
    u32 head;                      /* V1, V2: the frame to be filled next */
    /* V3 */
    struct waitq *wq;              /* (c) whom a block that is handed over wakes */
    struct ktimer retire;          /* hands over a block that has waited long enough */
    ktime_t patience;
    u32 priv, current;             /* private bytes behind a block's header; the block being filled */
    u32 used, npackets, last;      /* bytes and packets in it; offset of the last one, 0: none */
    u64 seq;
    u32 last_sec, last_nsec;
    u32 freezes;
    bool frozen, losing;
};

struct packet_place { u32 mac, net; };
struct packet_place packet_place_of(const struct packet_ring *r, const struct packet_frame *f, bool raw);
void packet_fill_address(const struct packet_ring *r, u8 *to, const struct packet_frame *f);

void packet_block_init(struct packet_ring *r);
int packet_block_start_locked(struct packet_ring *r, const struct tpacket_req3 *q);    /* -EINVAL; -EAGAIN, -EMFILE: no timer */
void packet_block_stop(struct packet_ring *r);         /* no lock held */
enum packet_put packet_block_put_locked(struct packet_ring *r, const struct packet_frame *f, bool raw, u32 snap, bool losing, bool *wake);
bool packet_block_readable_locked(struct packet_ring *r);

#endif
