/* Rings of packet sockets: their memory, and frames of fixed size (versions 1 and 2). Blocks are in packet_block.c. See packet.h. */
#include "sentry/net/packet_ring.h"

#include "sentry/base/alloc.h"
#include <linux/if_packet.h>
#include <string.h>

#define RING_MAX (1ull << 30)      /* bytes; the sandbox's limit of memory holds besides */

static int ring_page(struct mappable *m, u64 pgoff, bool write UNUSED, struct backing *out)
{
    struct packet_ring *r = container_of(m, struct packet_ring, map);
    int e = -ENXIO;

    lock(&r->lock);
    if (r->pages && pgoff < r->npages) {
        *out = (struct backing){ .kind = BACKING_MEMFILE, .page = r->pages + pgoff };
        memfile_get(out->page);
        e = 0;
    }
    unlock(&r->lock);
    return e;
}

static const struct mappable_ops ring_map_ops = { .page = ring_page };

struct packet_ring *packet_ring_new(struct waitq *wq)
{
    struct packet_ring *r = xnew(struct packet_ring);
    lock_init(&r->lock, LC_FS);
    mappable_init(&r->map, &ring_map_ops, NULL);
    r->wq = wq;
    packet_block_init(r);
    return r;
}

static void drop_locked(struct packet_ring *r)
{
    if (r->pages) memfile_put_range(r->pages, r->npages);
    r->pages = MPAGE_NONE;
    r->npages = 0;
}

void packet_ring_free(struct packet_ring *r)
{
    if (!r) return;
    packet_block_stop(r);
    drop_locked(r);
    mappable_fini(&r->map);
    lock_fini(&r->lock);
    free(r);
}

static u32 header_len(u32 version)
{
    return version == TPACKET_V1 ? TPACKET_HDRLEN : version == TPACKET_V2 ? TPACKET2_HDRLEN : TPACKET3_HDRLEN;
}

bool packet_ring_active(struct packet_ring *r)
{
    lock(&r->lock);
    bool on = r->pages;
    unlock(&r->lock);
    return on;
}

int packet_ring_set_version(struct packet_ring *r, u32 version)
{
    if (version > TPACKET_V3) return -EINVAL;
    lock(&r->lock);
    int e = r->pages ? -EBUSY : 0;
    if (!e) r->version = version;
    unlock(&r->lock);
    return e;
}

u32 packet_ring_version(struct packet_ring *r) { return r->version; }

int packet_ring_set_reserve(struct packet_ring *r, u32 bytes)
{
    if (bytes > INT32_MAX) return -EINVAL;
    lock(&r->lock);
    int e = r->pages ? -EBUSY : 0;
    if (!e) r->reserve = bytes;
    unlock(&r->lock);
    return e;
}

u32 packet_ring_reserve(struct packet_ring *r) { return r->reserve; }

static int check_locked(const struct packet_ring *r, const struct tpacket_req3 *q)
{
    u64 least = (u64)header_len(r->version) + r->reserve;

    if ((s32)q->tp_block_size <= 0 || q->tp_block_size % GPAGE_SIZE) return -EINVAL;
    if (r->version == TPACKET_V3 && q->tp_block_size < PACKET_BLOCK_HEADER + ((u64)q->tp_sizeof_priv + 7) / 8 * 8 + least) return -EINVAL;
    if (q->tp_frame_size < least || q->tp_frame_size % TPACKET_ALIGNMENT) return -EINVAL;
    u32 per_block = q->tp_block_size / q->tp_frame_size;
    if (!per_block || (u64)per_block * q->tp_block_nr != q->tp_frame_nr) return -EINVAL;
    return (u64)q->tp_block_size * q->tp_block_nr > RING_MAX ? -ENOMEM : 0;
}

/* Under the lock nobody can fault in a page; who maps the ring while it is empty finds nothing there. */
static bool mapped_locked(struct packet_ring *r)
{
    lock(&r->map.lock);
    bool m = !LIST_EMPTY(&r->map.vmas);
    unlock(&r->map.lock);
    return m;
}

int packet_ring_set(struct packet_ring *r, const void *val, size_t len)
{
    struct tpacket_req3 q = { 0 };
    size_t want = r->version == TPACKET_V3 ? sizeof q : sizeof(struct tpacket_req);
    bool mapped = mapped_locked(r);
    int e = 0;

    if (len < want) return -EINVAL;
    memcpy(&q, val, want);
    if (mapped) return -EBUSY;
    lock(&r->lock);
    if (!q.tp_block_nr) {
        e = q.tp_frame_nr ? -EINVAL : 0;
        if (!e) drop_locked(r);
    } else if (r->pages) {
        e = -EBUSY;
    } else if (!(e = check_locked(r, &q))) {
        u64 n = (u64)q.tp_block_size / GPAGE_SIZE * q.tp_block_nr;
        r->pages = memfile_alloc(n);
        if (!r->pages) e = -ENOMEM;
        else r->npages = n;
        r->block_size = q.tp_block_size;
        r->block_nr = q.tp_block_nr;
        r->frame_size = q.tp_frame_size;
        r->frame_nr = q.tp_frame_nr;
        r->per_block = q.tp_block_size / q.tp_frame_size;
        r->head = 0;
        if (!e && r->version == TPACKET_V3) e = packet_block_start_locked(r, &q);
        if (e) drop_locked(r);
    }
    unlock(&r->lock);
    if (!e && !q.tp_block_nr) packet_block_stop(r);
    return e;
}

int packet_ring_mmap(struct socket *s, struct mm_map_req *req)
{
    struct packet_ring *r = s->pk.ring;

    if (req->off) return -EINVAL;
    lock(&r->lock);
    bool fits = r->pages && gpage_up(req->len) == r->npages * GPAGE_SIZE;
    unlock(&r->lock);
    if (!fits) return -EINVAL;
    req->obj = &r->map;
    return 0;
}

/* --- filling --- */

static u8 *frame_at(const struct packet_ring *r, u32 i)
{
    return (u8 *)memfile_ptr(r->pages) + (u64)(i / r->per_block) * r->block_size + (u64)(i % r->per_block) * r->frame_size;
}

/* The word that says whose a frame is: a long in version 1, of which Linux too writes and reads the whole. */
static u32 status_of(const struct packet_ring *r, const u8 *frame)
{
    return r->version == TPACKET_V1 ? (u32)__atomic_load_n((const u64 *)frame, __ATOMIC_ACQUIRE)
                                    : __atomic_load_n((const u32 *)frame, __ATOMIC_ACQUIRE);
}

/* Where in its place a frame goes. */
struct packet_place packet_place_of(const struct packet_ring *r, const struct packet_frame *f, bool raw)
{
    u32 head = header_len(r->version);
    struct packet_place p;

    if (!raw) {
        p.mac = p.net = TPACKET_ALIGN(head) + 16 + r->reserve;
    } else {
        p.net = TPACKET_ALIGN(head + MAX(f->net, 16u)) + r->reserve;
        p.mac = p.net - f->net;
    }
    return p;
}

void packet_fill_address(const struct packet_ring *r, u8 *to, const struct packet_frame *f)
{
    struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = __builtin_bswap16(f->proto), .sll_ifindex = f->ifindex,
                             .sll_hatype = f->hatype, .sll_pkttype = f->kind, .sll_halen = f->halen };
    memcpy(a.sll_addr, f->src, sizeof a.sll_addr);
    memcpy(to + (header_len(r->version) - sizeof a), &a, sizeof a);
}

static void fill_frame(struct packet_ring *r, u8 *to, const struct packet_frame *f, struct packet_place p, u32 len, u32 snap, u32 status)
{
    if (r->version == TPACKET_V1) {
        struct tpacket_hdr h = { .tp_len = len, .tp_snaplen = snap, .tp_mac = (u16)p.mac, .tp_net = (u16)p.net,
                                 .tp_sec = (u32)f->now.tv_sec, .tp_usec = (u32)(f->now.tv_nsec / 1000) };
        memcpy(to + sizeof h.tp_status, (u8 *)&h + sizeof h.tp_status, sizeof h - sizeof h.tp_status);
        packet_fill_address(r, to, f);
        __atomic_store_n((u64 *)to, status, __ATOMIC_RELEASE);
    } else {
        struct tpacket2_hdr h = { .tp_len = len, .tp_snaplen = snap, .tp_mac = (u16)p.mac, .tp_net = (u16)p.net,
                                  .tp_sec = (u32)f->now.tv_sec, .tp_nsec = (u32)f->now.tv_nsec };
        memcpy(to + sizeof h.tp_status, (u8 *)&h + sizeof h.tp_status, sizeof h - sizeof h.tp_status);
        packet_fill_address(r, to, f);
        __atomic_store_n((u32 *)to, status, __ATOMIC_RELEASE);
    }
}

static bool cut_locked(const struct packet_ring *r, const struct packet_frame *f, bool raw, u32 snap)
{
    return (u64)packet_place_of(r, f, raw).mac + snap > r->frame_size;
}

bool packet_ring_would_cut(struct packet_ring *r, const struct packet_frame *f, bool raw, u32 snap)
{
    lock(&r->lock);
    bool cut = r->pages && r->version != TPACKET_V3 && cut_locked(r, f, raw, snap);
    unlock(&r->lock);
    return cut;
}

static enum packet_put put_frame_locked(struct packet_ring *r, const struct packet_frame *f, bool raw, u32 snap, u32 status)
{
    struct packet_place p = packet_place_of(r, f, raw);
    u32 skip = raw ? 0 : f->net;
    u8 *to = frame_at(r, r->head);

    if (status_of(r, to) != TP_STATUS_KERNEL) return PACKET_PUT_FULL;
    if (cut_locked(r, f, raw, snap)) snap = p.mac < r->frame_size ? r->frame_size - p.mac : 0;
    if (snap) memcpy(to + p.mac, f->bytes + skip, snap);
    r->head = r->head + 1 == r->frame_nr ? 0 : r->head + 1;
    fill_frame(r, to, f, p, f->len - skip, snap, status);
    return PACKET_PUT_DONE;
}

enum packet_put packet_ring_put(struct socket *s, const struct packet_frame *f, bool raw, u32 snap, bool losing, bool copied)
{
    struct packet_ring *r = s->pk.ring;
    enum packet_put done = PACKET_PUT_FULL;
    u32 status = TP_STATUS_USER | (losing ? TP_STATUS_LOSING : 0) | (copied ? TP_STATUS_COPY : 0);
    bool wake = true;

    lock(&r->lock);
    if (r->pages && r->version != TPACKET_V3) done = put_frame_locked(r, f, raw, snap, status);
    else if (r->pages) done = packet_block_put_locked(r, f, raw, snap, losing, &wake);
    unlock(&r->lock);
    if (wake && done == PACKET_PUT_DONE) waitq_wake(&s->wq, POLLIN | POLLRDNORM);
    return done;
}

/* Linux looks at the frame or block before the one to be filled next. */
bool packet_ring_readable(struct packet_ring *r)
{
    bool yes = false;

    lock(&r->lock);
    if (r->pages && r->version == TPACKET_V3) yes = packet_block_readable_locked(r);
    else if (r->pages) yes = status_of(r, frame_at(r, r->head ? r->head - 1 : r->frame_nr - 1)) != TP_STATUS_KERNEL;
    unlock(&r->lock);
    return yes;
}
