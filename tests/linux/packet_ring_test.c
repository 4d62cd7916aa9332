/* PACKET_RX_RING: Documentation/networking/packet_mmap.rst, packet(7). */
#include "netns.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#define SA(a) ((struct sockaddr *)&(a))
#define PROTO 0x88b5               /* IEEE local experimental */
#define FRAME 2048u
#define BLOCK 8192u

static struct sockaddr_ll ll(void)
{
    return (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_protocol = htons(PROTO), .sll_ifindex = (int)if_nametoindex("lo"), .sll_halen = ETH_ALEN };
}

static int packet(int type, int version)
{
    struct sockaddr_ll a = ll();
    int f = socket(AF_PACKET, type, 0);
    CHECK(f >= 0 && setsockopt(f, SOL_PACKET, PACKET_VERSION, &version, sizeof version) == 0);
    CHECK(bind(f, SA(a), sizeof a) == 0);
    return f;
}

static int ring(int f, unsigned block, unsigned blocks, unsigned frame, unsigned frames)
{
    struct tpacket_req q = { block, blocks, frame, frames };
    return setsockopt(f, SOL_PACKET, PACKET_RX_RING, &q, sizeof q);
}

static void send_text(const char *text, size_t n)
{
    struct sockaddr_ll a = ll();
    static int f = -1;             /* kept: closing one takes a kernel long */
    if (f < 0) f = socket(AF_PACKET, SOCK_DGRAM, 0);
    CHECK(f >= 0 && sendto(f, text, n, 0, SA(a), sizeof a) == (ssize_t)n);
}

static int readable(int f, int ms)
{
    struct pollfd p = { .fd = f, .events = POLLIN };
    CHECK(poll(&p, 1, ms) >= 0);
    return p.revents & POLLIN;
}

static void requests(void)
{
    int f = packet(SOCK_DGRAM, TPACKET_V1), v = TPACKET_V3 + 1;
    socklen_t n = sizeof v;
    CHECK_ERR(setsockopt(f, SOL_PACKET, PACKET_VERSION, &v, sizeof v), EINVAL);
    CHECK_ERR(ring(f, 100, 1, 100, 1), EINVAL);              /* not of pages */
    CHECK_ERR(ring(f, BLOCK, 1, 16, BLOCK / 16), EINVAL);    /* no room for headers */
    CHECK_ERR(ring(f, BLOCK, 1, 1000, 8), EINVAL);           /* not aligned */
    CHECK_ERR(ring(f, BLOCK, 2, FRAME, 7), EINVAL);          /* wrong sum */
    CHECK_ERR(ring(f, BLOCK, 0, FRAME, 4), EINVAL);
    CHECK_ERR(setsockopt(f, SOL_PACKET, PACKET_RX_RING, &v, sizeof v), EINVAL);
    CHECK(mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, f, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(ring(f, BLOCK, 2, FRAME, 8) == 0);
    CHECK_ERR(ring(f, BLOCK, 2, FRAME, 8), EBUSY);
    v = TPACKET_V2;
    CHECK_ERR(setsockopt(f, SOL_PACKET, PACKET_VERSION, &v, sizeof v), EBUSY);
    CHECK_ERR(setsockopt(f, SOL_PACKET, PACKET_RESERVE, &v, sizeof v), EBUSY);
    CHECK(mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, f, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, 2 * BLOCK, PROT_READ, MAP_SHARED, f, 4096) == MAP_FAILED && errno == EINVAL);
    void *m = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    CHECK(m != MAP_FAILED);
    CHECK_ERR(ring(f, 0, 0, 0, 0), EBUSY);                   /* mapped */
    munmap(m, 2 * BLOCK);
    CHECK(ring(f, 0, 0, 0, 0) == 0);
    CHECK(setsockopt(f, SOL_PACKET, PACKET_VERSION, &v, sizeof v) == 0 && ring(f, BLOCK, 1, FRAME, 4) == 0);
    const int sizes[] = { sizeof(struct tpacket_hdr), sizeof(struct tpacket2_hdr), sizeof(struct tpacket3_hdr) };
    for (int i = 0; i < 3; i++) {
        v = i;
        CHECK(getsockopt(f, SOL_PACKET, PACKET_HDRLEN, &v, &n) == 0 && v == sizes[i]);
    }
    v = 3;
    CHECK_ERR(getsockopt(f, SOL_PACKET, PACKET_HDRLEN, &v, &n), EINVAL);
    close(f);
}

/* Frames: filled in turn, dropped when the reader is behind, cut where they are too long. */
static void version1(void)
{
    int f = packet(SOCK_DGRAM, TPACKET_V1), thresh = 1;
    char big[3000], b[3000];
    CHECK(setsockopt(f, SOL_PACKET, PACKET_COPY_THRESH, &thresh, sizeof thresh) == 0 && ring(f, BLOCK, 1, FRAME, 4) == 0);
    uint8_t *m = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    CHECK(m != MAP_FAILED && !readable(f, 0));
    for (int i = 0; i < 6; i++) send_text("hello", 6);
    CHECK(readable(f, 1000));
    for (unsigned i = 0; i < 4; i++) {
        struct tpacket_hdr *h = (void *)(m + i * FRAME);
        CHECK(h->tp_status & TP_STATUS_USER && h->tp_len == 6 && h->tp_snaplen == 6 && h->tp_mac == h->tp_net && !strcmp((char *)h + h->tp_net, "hello"));
        CHECK(h->tp_net == TPACKET_ALIGN(TPACKET_HDRLEN) + 16 && h->tp_usec < 1000000);
        struct sockaddr_ll *a = (void *)((char *)h + TPACKET_ALIGN(sizeof *h));
        CHECK(a->sll_family == AF_PACKET && a->sll_protocol == htons(PROTO) && a->sll_pkttype == PACKET_HOST && a->sll_ifindex == (int)if_nametoindex("lo"));
        h->tp_status = TP_STATUS_KERNEL;
    }
    struct tpacket_stats st;
    socklen_t n = sizeof st;
    memset(big, 'x', sizeof big);
    send_text(big, sizeof big);
    struct tpacket_hdr *h = (void *)m;
    CHECK(readable(f, 1000) && h->tp_len == sizeof big && h->tp_snaplen == FRAME - h->tp_mac);
    CHECK(h->tp_status & TP_STATUS_COPY && h->tp_status & TP_STATUS_LOSING);
    CHECK(recv(f, b, sizeof b, MSG_DONTWAIT) == sizeof big && !memcmp(b, big, sizeof big));
    CHECK(getsockopt(f, SOL_PACKET, PACKET_STATISTICS, &st, &n) == 0 && st.tp_packets == 7 && st.tp_drops == 2);
    munmap(m, BLOCK), close(f);
}

static void version2(void)
{
    int f = packet(SOCK_RAW, TPACKET_V2), reserve = 32;
    CHECK(setsockopt(f, SOL_PACKET, PACKET_RESERVE, &reserve, sizeof reserve) == 0 && ring(f, BLOCK, 2, FRAME, 8) == 0);
    uint8_t *m = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    CHECK(m != MAP_FAILED);
    for (unsigned i = 0; i < 20; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "frame %u", i) + 1;
        send_text(text, (size_t)n);
        struct tpacket2_hdr *h = (void *)(m + i % 8 * FRAME);
        CHECK(readable(f, 1000) && h->tp_status & TP_STATUS_USER && h->tp_snaplen == ETH_HLEN + (unsigned)n && h->tp_nsec < 1000000000);
        CHECK(h->tp_net == TPACKET_ALIGN(TPACKET2_HDRLEN + 16) + 32 && h->tp_mac == h->tp_net - ETH_HLEN);
        struct ethhdr e;
        memcpy(&e, (char *)h + h->tp_mac, sizeof e);
        CHECK(e.h_proto == htons(PROTO) && !strcmp((char *)h + h->tp_net, text));
        h->tp_status = TP_STATUS_KERNEL;
    }
    munmap(m, 2 * BLOCK), close(f);
}

static unsigned walk(struct tpacket_block_desc *d, const char *text)
{
    struct tpacket3_hdr *h = (void *)((char *)d + d->hdr.bh1.offset_to_first_pkt);
    unsigned n = 0;
    for (; n < d->hdr.bh1.num_pkts; n++) {
        CHECK(!strcmp((char *)h + h->tp_net, text) && h->tp_snaplen == strlen(text) + 1 && h->tp_len == h->tp_snaplen);
        CHECK((n + 1 == d->hdr.bh1.num_pkts) == (h->tp_next_offset == 0));
        h = (void *)((char *)h + h->tp_next_offset);
    }
    return n;
}

/* Blocks: handed over when they are full, or after the time the reader wants to wait. */
static void version3(void)
{
    int f = packet(SOCK_DGRAM, TPACKET_V3);
    struct tpacket_req3 q = { .tp_block_size = BLOCK, .tp_block_nr = 3, .tp_frame_size = FRAME, .tp_frame_nr = 12, .tp_retire_blk_tov = 200, .tp_sizeof_priv = 12 };
    CHECK(setsockopt(f, SOL_PACKET, PACKET_RX_RING, &q, sizeof q) == 0);
    uint8_t *m = mmap(NULL, 3 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    struct tpacket_block_desc *d[3] = { (void *)m, (void *)(m + BLOCK), (void *)(m + 2 * BLOCK) };
    struct timespec t0, t1;
    CHECK(m != MAP_FAILED && !readable(f, 0));
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (int i = 0; i < 3; i++) send_text("few", 4);
    CHECK(readable(f, 5000) && d[0]->hdr.bh1.block_status & TP_STATUS_USER && d[0]->hdr.bh1.block_status & TP_STATUS_BLK_TMO);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    CHECK((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 < 3000);
    CHECK(d[0]->version == TPACKET_V3 && d[0]->offset_to_priv == 48 && d[0]->hdr.bh1.offset_to_first_pkt == 64 && d[0]->hdr.bh1.seq_num == 1);
    CHECK(walk(d[0], "few") == 3);
    d[0]->hdr.bh1.block_status = TP_STATUS_KERNEL;
    CHECK(!readable(f, 0));
    /* More than what two blocks hold: both are given over, the third is being filled or waits. */
    char text[512];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (int i = 0; i < 30; i++) send_text(text, sizeof text);
    CHECK(readable(f, 1000) && !(d[1]->hdr.bh1.block_status & TP_STATUS_BLK_TMO) && d[1]->hdr.bh1.block_status & TP_STATUS_USER);
    CHECK(walk(d[1], text) >= 10 && walk(d[2], text) >= 10 && d[2]->hdr.bh1.seq_num == 3 && d[1]->hdr.bh1.blk_len <= BLOCK);
    /* Nobody gives a block back: what comes is lost, and counted. */
    for (int i = 0; i < 30; i++) send_text(text, sizeof text);
    struct tpacket_stats_v3 st;
    socklen_t n = sizeof st;
    CHECK(getsockopt(f, SOL_PACKET, PACKET_STATISTICS, &st, &n) == 0 && n == sizeof st && st.tp_packets == 63 && st.tp_drops > 5 && st.tp_freeze_q_cnt == 1);
    for (int i = 0; i < 3; i++) d[i]->hdr.bh1.block_status = TP_STATUS_KERNEL;
    send_text("again", 6);
    CHECK(readable(f, 5000));
    unsigned found = 0;
    for (int i = 0; i < 3; i++)
        if (d[i]->hdr.bh1.block_status & TP_STATUS_USER) found += walk(d[i], "again");
    CHECK(found == 1);
    munmap(m, 3 * BLOCK), close(f);
}

/* What a filter cuts off is not in the ring, but in the length. */
static void filtered(void)
{
    int f = packet(SOCK_DGRAM, TPACKET_V2);
    struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1), BPF_STMT(BPF_RET | BPF_K, 3), BPF_STMT(BPF_RET | BPF_K, 0) };
    struct sock_fprog p = { 4, code };
    CHECK(setsockopt(f, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p) == 0 && ring(f, BLOCK, 1, FRAME, 4) == 0);
    uint8_t *m = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    CHECK(m != MAP_FAILED);
    send_text("no", 3), send_text("yes sir", 8), send_text("no", 3);
    struct tpacket2_hdr *h = (void *)m, *next = (void *)(m + FRAME);
    CHECK(readable(f, 1000) && h->tp_len == 8 && h->tp_snaplen == 3 && !memcmp((char *)h + h->tp_net, "yes", 3) && next->tp_status == 0);
    munmap(m, BLOCK), close(f);
}

NETNS_MAIN(CASE(requests), CASE(version1), CASE(version2), CASE(version3), CASE(filtered))
