/*
 * TPACKET_V3: blocks of frames of any length. A block is handed over when the next frame does not fit, or when its first
 * frame has waited as long as the reader wants to. Source: prb_*() of net/packet/af_packet.c.
 */
#include "sentry/net/packet_ring.h"

#include "sentry/base/clock.h"
#include <string.h>
#include <time.h>

#define PATIENCE_DEFAULT (8 * NSEC_PER_MSEC)           /* DEFAULT_PRB_RETIRE_TOV */

static u8 *block_at(const struct packet_ring *r, u32 i) { return (u8 *)memfile_ptr(r->pages) + (u64)i * r->block_size; }
static u32 *status_at(u8 *block) { return (u32 *)(block + offsetof(struct tpacket_block_desc, hdr.bh1.block_status)); }
static bool in_use(u8 *block) { return __atomic_load_n(status_at(block), __ATOMIC_ACQUIRE) & TP_STATUS_USER; }
static u32 first_at(const struct packet_ring *r) { return PACKET_BLOCK_HEADER + (r->priv + 7) / 8 * 8; }

static void open_locked(struct packet_ring *r)
{
    struct timespec now;
    u8 *b = block_at(r, r->current);
    struct tpacket_block_desc d = { .version = TPACKET_V3, .offset_to_priv = PACKET_BLOCK_HEADER };

    clock_gettime(CLOCK_REALTIME, &now);
    r->used = first_at(r);
    r->npackets = r->last = 0;
    r->frozen = false;
    d.hdr.bh1.offset_to_first_pkt = d.hdr.bh1.blk_len = r->used;
    d.hdr.bh1.seq_num = ++r->seq;
    d.hdr.bh1.ts_first_pkt.ts_sec = (u32)now.tv_sec;
    d.hdr.bh1.ts_first_pkt.ts_nsec = (u32)now.tv_nsec;
    memcpy(b, &d, sizeof d);
}

static void retire_locked(struct packet_ring *r, u32 status)
{
    u8 *b = block_at(r, r->current);
    struct tpacket_hdr_v1 h;
    const u32 none = 0;

    memcpy(&h, b + offsetof(struct tpacket_block_desc, hdr), sizeof h);
    h.block_status = TP_STATUS_KERNEL;
    h.num_pkts = r->npackets;
    h.offset_to_first_pkt = first_at(r);
    h.blk_len = r->used;
    h.seq_num = r->seq;
    h.ts_last_pkt.ts_sec = r->last_sec;
    h.ts_last_pkt.ts_nsec = r->last_nsec;
    memcpy(b + offsetof(struct tpacket_block_desc, hdr), &h, sizeof h);
    if (r->last) memcpy(b + r->last + offsetof(struct tpacket3_hdr, tp_next_offset), &none, sizeof none);
    __atomic_store_n(status_at(b), status | TP_STATUS_USER | (r->losing ? TP_STATUS_LOSING : 0), __ATOMIC_RELEASE);
    r->current = r->current + 1 == r->block_nr ? 0 : r->current + 1;
}

/* Goes on with the next block; false: it is the reader's still. */
static bool next_locked(struct packet_ring *r)
{
    if (in_use(block_at(r, r->current))) {
        r->freezes++;
        r->frozen = true;
        return false;
    }
    open_locked(r);
    return true;
}

static void patience_over(struct ktimer *t)
{
    struct packet_ring *r = container_of(t, struct packet_ring, retire);
    bool done = false;

    lock(&r->lock);
    if (r->pages && r->version == TPACKET_V3 && !r->frozen && r->npackets) {
        retire_locked(r, TP_STATUS_BLK_TMO);
        next_locked(r);
        done = true;
    }
    unlock(&r->lock);
    if (done) waitq_wake(r->wq, POLLIN | POLLRDNORM);
}

void packet_block_init(struct packet_ring *r) { ktimer_init(&r->retire, KT_MONO, patience_over); }

int packet_block_start_locked(struct packet_ring *r, const struct tpacket_req3 *q)
{
    int e = ktimer_service_start();

    if (e) return e;
    r->patience = q->tp_retire_blk_tov ? (ktime_t)q->tp_retire_blk_tov * NSEC_PER_MSEC : PATIENCE_DEFAULT;
    r->priv = q->tp_sizeof_priv;
    r->current = 0;
    r->seq = 0;
    r->freezes = 0;
    open_locked(r);
    return 0;
}

void packet_block_stop(struct packet_ring *r) { ktimer_cancel_sync(&r->retire); }

static void fill_locked(struct packet_ring *r, u8 *b, const struct packet_frame *f, bool raw, u32 snap)
{
    struct packet_place p = packet_place_of(r, f, raw);
    u32 skip = raw ? 0 : f->net, room = (p.mac + snap + 7) / 8 * 8;
    struct tpacket3_hdr h = { .tp_next_offset = room, .tp_sec = (u32)f->now.tv_sec, .tp_nsec = (u32)f->now.tv_nsec, .tp_snaplen = snap,
                              .tp_len = f->len - skip, .tp_status = TP_STATUS_USER, .tp_mac = (u16)p.mac, .tp_net = (u16)p.net };
    u8 *to = b + r->used;

    memcpy(to, &h, sizeof h);
    packet_fill_address(r, to, f);
    memcpy(to + p.mac, f->bytes + skip, snap);
    if (!r->npackets++) ktimer_set(&r->retire, ktime_add_sat(clock_mono(), r->patience));
    r->last = r->used;
    r->last_sec = h.tp_sec;
    r->last_nsec = h.tp_nsec;
    r->used += room;
}

enum packet_put packet_block_put_locked(struct packet_ring *r, const struct packet_frame *f, bool raw, u32 snap, bool losing, bool *wake)
{
    u32 mac = packet_place_of(r, f, raw).mac, most = r->block_size - first_at(r);

    /* Longer than an empty block has room for: cut. */
    if (mac + 8u >= most) return PACKET_PUT_FULL;
    snap = MIN(snap, most - mac - 8);
    r->losing = losing;
    *wake = false;
    if (r->frozen) {
        if (in_use(block_at(r, r->current))) return PACKET_PUT_FULL;
        open_locked(r);
    }
    if ((u64)r->used + (mac + snap + 7) / 8 * 8 >= r->block_size) {
        *wake = true;
        retire_locked(r, 0);
        if (!next_locked(r)) {
            waitq_wake(r->wq, POLLIN | POLLRDNORM);
            return PACKET_PUT_FULL;
        }
    }
    fill_locked(r, block_at(r, r->current), f, raw, snap);
    return PACKET_PUT_DONE;
}

bool packet_block_readable_locked(struct packet_ring *r)
{
    return __atomic_load_n(status_at(block_at(r, r->current ? r->current - 1 : r->block_nr - 1)), __ATOMIC_ACQUIRE) != TP_STATUS_KERNEL;
}

u32 packet_ring_freezes(struct packet_ring *r)
{
    lock(&r->lock);
    u32 n = r->freezes;
    r->freezes = 0;
    unlock(&r->lock);
    return n;
}
