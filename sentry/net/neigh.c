/*
 * Neighbours of Ethernet devices: who has which link-layer address. RFC 826 (ARP), RFC 4861 (IPv6). An answer is asked for three
 * times, a second apart; a few packets wait for it meanwhile. What was learned stays until the device goes or others push it out.
 */
#include "sentry/net/dev.h"

#include "sentry/base/alloc.h"
#include "sentry/kernel/timers.h"
#include "sentry/net/rtnl.h"
#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <string.h>

#define NEIGHS_MAX 256u            /* of all devices */
#define WAITING_MAX 3u
#define TRIES 3u

struct neigh {
    TAILQ_ENTRY(neigh) link;
    struct netdev *dev;            /* counted */
    u8 ip[16], src[16], mac[6];
    bool known;
    u8 tries;
    unsigned nwaiting;
    struct { u8 *bytes; u32 len; } waiting[WAITING_MAX];   /* owned: whole packets */
};

static lock_t neigh_lock = LOCK_INIT(LC_LEAF);     /* guards: */
static TAILQ_HEAD(neigh_list, neigh) neighs = TAILQ_HEAD_INITIALIZER(neighs);      /* oldest first */
static unsigned nneighs;
static struct ktimer timer;

static void ask(struct netdev *d, const u8 ip[16], const u8 src[16]);

static struct neigh *find_locked(const struct netdev *d, const u8 ip[16])
{
    struct neigh *n;
    TAILQ_FOREACH(n, &neighs, link)
        if (n->dev == d && ip_equal(n->ip, ip)) return n;
    return NULL;
}

static void out_locked(struct neigh *n, struct neigh_list *to)
{
    TAILQ_REMOVE(&neighs, n, link);
    nneighs--;
    TAILQ_INSERT_TAIL(to, n, link);
}

static void free_list(struct neigh_list *l)
{
    struct neigh *n;

    while ((n = TAILQ_FIRST(l))) {
        TAILQ_REMOVE(l, n, link);
        for (unsigned i = 0; i < n->nwaiting; i++) free(n->waiting[i].bytes);
        dev_put(n->dev);
        free(n);
    }
}

/* Asks again for those who did not answer, and gives up on those asked often enough. */
static void again(struct ktimer *t UNUSED)
{
    struct neigh_list gone = TAILQ_HEAD_INITIALIZER(gone);
    struct { struct netdev *d; u8 ip[16], src[16]; } q[16];
    struct neigh *n, *next;
    unsigned k = 0;
    bool more = false;

    lock(&neigh_lock);
    TAILQ_FOREACH_SAFE(n, &neighs, link, next) {
        if (n->known) continue;
        if (n->tries >= TRIES) {
            out_locked(n, &gone);
            continue;
        }
        more = true;
        if (k == ARRAY_LEN(q)) continue;
        n->tries++;
        dev_get(n->dev);
        q[k].d = n->dev;
        memcpy(q[k].ip, n->ip, 16);
        memcpy(q[k++].src, n->src, 16);
    }
    unlock(&neigh_lock);
    if (more) ktimer_set(&timer, ktime_add_sat(clock_mono(), NSEC_PER_SEC));
    for (unsigned i = 0; i < k; i++) {
        ask(q[i].d, q[i].ip, q[i].src);
        dev_put(q[i].d);
    }
    free_list(&gone);
}

static void timer_start(void) { ktimer_init(&timer, KT_MONO, again); }

static struct neigh *make_locked(struct netdev *d, const u8 ip[16], struct neigh_list *pushed)
{
    struct neigh *n = xnew(struct neigh);

    if (nneighs >= NEIGHS_MAX) out_locked(TAILQ_FIRST(&neighs), pushed);
    n->dev = d;
    dev_get(d);
    memcpy(n->ip, ip, 16);
    TAILQ_INSERT_TAIL(&neighs, n, link);
    nneighs++;
    return n;
}

void neigh_send(struct netdev *d, const struct ip_packet *p, const u8 next[16])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct neigh_list pushed = TAILQ_HEAD_INITIALIZER(pushed);
    bool first = false;
    u8 mac[6];

    pthread_once(&once, timer_start);
    if (ktimer_service_start()) return;
    u8 *copy = try_zalloc(1, p->len);
    if (!copy) return;
    memcpy(copy, p->bytes, p->len);
    lock(&neigh_lock);
    struct neigh *n = find_locked(d, next);
    if (!n) {
        n = make_locked(d, next, &pushed);
        memcpy(n->src, p->src, 16);
        n->tries = 1;
        first = true;
    }
    bool known = n->known;
    if (known) {
        memcpy(mac, n->mac, sizeof mac);
    } else if (n->nwaiting < WAITING_MAX) {
        n->waiting[n->nwaiting].bytes = copy;
        n->waiting[n->nwaiting++].len = p->len;
        copy = NULL;
    }
    unlock(&neigh_lock);
    free(copy);
    free_list(&pushed);
    if (known) {
        dev_send_to(d, p, mac);
    } else if (first) {
        ktimer_set(&timer, ktime_add_sat(clock_mono(), NSEC_PER_SEC));
        ask(d, next, p->src);
    }
}

/* ip has the address mac. make: also if nobody asked. */
static void learn(struct netdev *d, const u8 ip[16], const u8 mac[6], bool make)
{
    struct neigh_list pushed = TAILQ_HEAD_INITIALIZER(pushed);
    struct neigh was = { .nwaiting = 0 };
    struct ip_packet p;

    lock(&neigh_lock);
    struct neigh *n = find_locked(d, ip);
    if (!n && make) n = make_locked(d, ip, &pushed);
    if (n) {
        was = *n;
        n->known = true;
        n->nwaiting = 0;
        memcpy(n->mac, mac, 6);
    }
    unlock(&neigh_lock);
    for (unsigned i = 0; i < was.nwaiting; i++) {
        bool v4 = ip_is_v4(ip);
        if (v4 ? ip4_parse(&p, was.waiting[i].bytes, was.waiting[i].len) : ip6_parse(&p, was.waiting[i].bytes, was.waiting[i].len)) dev_send_to(d, &p, mac);
        free(was.waiting[i].bytes);
    }
    free_list(&pushed);
}

void neigh_drop(struct netdev *d)
{
    struct neigh_list gone = TAILQ_HEAD_INITIALIZER(gone);
    struct neigh *n, *next;

    lock(&neigh_lock);
    TAILQ_FOREACH_SAFE(n, &neighs, link, next)
        if (n->dev == d) out_locked(n, &gone);
    unlock(&neigh_lock);
    free_list(&gone);
}

/* An address of the device itself: those of others are not answered for. */
static bool has_address(struct netdev *d, const u8 ip[16])
{
    const struct dev_addr *a;
    bool yes = false;

    read_lock(&net_lock);
    if (!d->gone)
        TAILQ_FOREACH(a, &net_devs(d->net)->addrs, link) yes |= a->dev == d && ip_equal(a->ip, ip);
    rw_unlock(&net_lock);
    return yes;
}

/* --- IPv4 --- */

struct arp_packet { struct arphdr h; u8 sha[6], spa[4], tha[6], tpa[4]; } __attribute__((packed));

static void send_arp(struct netdev *d, u16 op, const u8 to[6], const u8 spa[4], const u8 tha[6], const u8 tpa[4])
{
    struct { struct ethhdr e; struct arp_packet a; } __attribute__((packed)) f = {
        .e = { .h_proto = htons(ETH_P_ARP) },
        .a = { .h = { .ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETH_P_IP), .ar_hln = 6, .ar_pln = 4, .ar_op = htons(op) } } };

    memcpy(f.e.h_dest, to, 6);
    memcpy(f.e.h_source, d->addr, 6);
    memcpy(f.a.sha, d->addr, 6);
    memcpy(f.a.spa, spa, 4);
    memcpy(f.a.tha, tha, 6);
    memcpy(f.a.tpa, tpa, 4);
    dev_send(d, (const u8 *)&f, sizeof f, ETH_P_ARP, NULL);
}

void neigh_arp(struct netdev *d, const u8 *data, u32 len)
{
    struct arp_packet a;
    u8 from[16], to[16];

    if (len < sizeof a || d->kind->type != ARPHRD_ETHER || d->flags & IFF_NOARP) return;
    memcpy(&a, data, sizeof a);
    if (a.h.ar_hrd != htons(ARPHRD_ETHER) || a.h.ar_pro != htons(ETH_P_IP) || a.h.ar_hln != 6 || a.h.ar_pln != 4) return;
    ip_set_v4(from, (u32)a.spa[0] << 24 | (u32)a.spa[1] << 16 | (u32)a.spa[2] << 8 | a.spa[3]);
    ip_set_v4(to, (u32)a.tpa[0] << 24 | (u32)a.tpa[1] << 16 | (u32)a.tpa[2] << 8 | a.tpa[3]);
    bool mine = has_address(d, to), request = a.h.ar_op == htons(ARPOP_REQUEST);
    if (!ip_is_any(from)) learn(d, from, a.sha, mine && request);
    if (mine && request) send_arp(d, ARPOP_REPLY, a.sha, a.tpa, a.sha, a.spa);
}

/* --- IPv6 --- */

/* type: neighbour solicitation or advertisement, about target, with the device's link-layer address as option. */
static void send_nd(struct netdev *d, u8 type, const u8 src[16], const u8 dst[16], const u8 to[6], const u8 target[16])
{
    u8 buf[IP6_HEADER + 32] = { 0 }, *m = buf + IP6_HEADER;
    struct ip_packet p;

    m[0] = type;
    if (type == ND_NEIGHBOR_ADVERT) m[4] = 0x60;       /* solicited, override */
    memcpy(m + 8, target, 16);
    m[24] = type == ND_NEIGHBOR_ADVERT ? ND_OPT_TARGET_LINKADDR : ND_OPT_SOURCE_LINKADDR;
    m[25] = 1;
    memcpy(m + 26, d->addr, 6);
    ip_build(&p, buf, 32, src, dst, IPPROTO_ICMPV6, 0, 255);
    u16 sum = ip_payload_checksum(&p, IPPROTO_ICMPV6);
    memcpy(m + 2, &sum, sizeof sum);
    dev_send_to(d, &p, to);
}

void neigh_icmp6(struct netdev *d, const struct ip_packet *p)
{
    const u8 *m = p->bytes + p->header;
    u32 len = p->len - p->header;

    if (len < 24 || p->ttl != 255 || m[1] || ip_payload_checksum(p, IPPROTO_ICMPV6)) return;
    if (m[0] != ND_NEIGHBOR_SOLICIT && m[0] != ND_NEIGHBOR_ADVERT) return;
    bool solicit = m[0] == ND_NEIGHBOR_SOLICIT, mine = solicit && has_address(d, m + 8);
    const u8 *mac = NULL;
    for (u32 at = 24; len - at >= 8 && m[at + 1] && m[at + 1] * 8u <= len - at; at += m[at + 1] * 8u)
        if (m[at] == (solicit ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR)) mac = m + at + 2;
    if (!mac) return;
    if (!ip_is_any(p->src)) learn(d, solicit ? p->src : m + 8, mac, mine);
    if (mine && !ip_is_any(p->src)) send_nd(d, ND_NEIGHBOR_ADVERT, m + 8, p->src, mac, m + 8);
}

static void ask(struct netdev *d, const u8 ip[16], const u8 src[16])
{
    static const u8 all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, none[6];

    if (ip_is_v4(ip)) {
        send_arp(d, ARPOP_REQUEST, all, src + 12, none, ip + 12);
    } else {
        const u8 group[16] = { 0xff, 2, [11] = 1, 0xff, ip[13], ip[14], ip[15] }, to[6] = { 0x33, 0x33, 0xff, ip[13], ip[14], ip[15] };
        send_nd(d, ND_NEIGHBOR_SOLICIT, src, group, to, ip);
    }
}

void rtnl_neigh_dump(struct rtnl_req *r, u8 family)
{
    struct neigh *n;

    lock(&neigh_lock);
    TAILQ_FOREACH(n, &neighs, link) {
        bool v4 = ip_is_v4(n->ip);
        if (atomic_load(&n->dev->net) != r->net || (family && family != (v4 ? AF_INET : AF_INET6))) continue;
        struct ndmsg m = { .ndm_family = v4 ? AF_INET : AF_INET6, .ndm_ifindex = (int)n->dev->index, .ndm_state = n->known ? NUD_REACHABLE : NUD_INCOMPLETE,
                           .ndm_type = RTN_UNICAST };
        u32 at = nl_begin(r->out, RTM_NEWNEIGH, NLM_F_MULTI, &m, sizeof m);
        nl_attr_ip(r->out, NDA_DST, n->ip);
        if (n->known) nl_attr(r->out, NDA_LLADDR, n->mac, sizeof n->mac);
        nl_end(r->out, at);
    }
    unlock(&neigh_lock);
}
