/* Groups a socket has joined, each by an interface, with a list of sources it wants or does not want. ip(7), ipv6(7), RFC 3376, 3678 */
#include "sentry/net/dev.h"

#include "sentry/base/alloc.h"
#include "sentry/net/tcp_ends.h"
#include <netinet/in.h>
#include <string.h>

#define MEMBERS4_MAX 20u           /* net.ipv4.igmp_max_memberships, igmp_max_msf */
#define MEMBERS6_MAX 512u
#define SOURCES_MAX 10u

/* Under port_lock, which the look-ups hold. */
struct in_member { u8 group[16]; u32 ifindex; bool include; u8 nsources; u8 source[SOURCES_MAX][16]; };

void inet_members_free(struct socket *s) { free(s->in.members); }

static struct in_member *find_locked(const struct socket *s, const u8 group[16], u32 ifindex)
{
    for (unsigned i = 0; i < s->in.nmembers; i++)
        if (ip_equal(s->in.members[i].group, group) && (!ifindex || s->in.members[i].ifindex == ifindex)) return &s->in.members[i];
    return NULL;
}

static bool has_source(const struct in_member *m, const u8 src[16])
{
    for (unsigned i = 0; i < m->nsources; i++)
        if (ip_equal(m->source[i], src)) return true;
    return false;
}

bool inet_is_member_locked(const struct socket *s, const u8 group[16], u32 ifindex, const u8 src[16], bool *any)
{
    const struct in_member *m = find_locked(s, group, ifindex);
    *any = m;
    return m && has_source(m, src) == m->include;
}

static int join_locked(struct socket *s, const u8 group[16], u32 ifindex, bool include)
{
    unsigned n = s->in.nmembers;

    if (find_locked(s, group, ifindex)) return -EADDRINUSE;
    if (n >= (ip_is_v4(group) ? MEMBERS4_MAX : MEMBERS6_MAX)) return -ENOBUFS;
    s->in.members = xrealloc(s->in.members, (n + 1) * sizeof *s->in.members);
    s->in.members[n] = (struct in_member){ .ifindex = ifindex, .include = include };
    memcpy(s->in.members[n].group, group, 16);
    s->in.nmembers++;
    return 0;
}

static void leave_locked(struct socket *s, struct in_member *m) { *m = s->in.members[--s->in.nmembers]; }

/* ip_mc_source() */
static int source_locked(struct socket *s, const u8 group[16], u32 ifindex, const u8 src[16], bool include, bool add)
{
    struct in_member *m;

    if (include && add) {
        int r = join_locked(s, group, ifindex, true);
        if (r && r != -EADDRINUSE) return r;
    }
    if (!(m = find_locked(s, group, ifindex))) return -EINVAL;
    if (m->include != include) {
        if (m->nsources) return -EINVAL;
        m->include = include;
    }
    bool there = has_source(m, src);
    if (there == add) return -EADDRNOTAVAIL;
    if (add) {
        if (m->nsources >= SOURCES_MAX) return -ENOBUFS;
        memcpy(m->source[m->nsources++], src, 16);
        return 0;
    }
    if (m->nsources == 1 && include) {
        leave_locked(s, m);
        return 0;
    }
    for (unsigned i = 0; i < m->nsources; i++)
        if (ip_equal(m->source[i], src)) memcpy(m->source[i], m->source[--m->nsources], 16);
    return 0;
}

/* The interface: by number, by an address of it, or the one that a route for the group leads to. 0: there is none. */
static u32 interface(struct socket *s, const u8 group[16], u32 ifindex, u32 via)
{
    struct route_query q = { .oif = ifindex };
    struct route_result r;
    u32 found = 0;

    if (ifindex) {
        struct netdev *d = dev_by_index(s->net, ifindex);
        found = d ? d->index : 0;
        dev_put(d);
    } else if (via) {
        found = dev_index_of_address(s->net, via);
    } else {
        memcpy(q.dst, group, 16);
        if (route_find(s->net, &q, &r)) return 0;
        found = r.ifindex;
        route_put(&r);
    }
    return found;
}

static int membership(struct socket *s, const u8 group[16], u32 ifindex, u32 via, bool join)
{
    bool v4 = ip_is_v4(group);
    int r;

    if (!ip_is_multicast(group)) return -EINVAL;
    u32 by = interface(s, group, ifindex, via);
    if (!by && (join || (v4 && !ifindex && !via))) return -ENODEV;
    lock(&port_lock);
    struct in_member *m = join ? NULL : find_locked(s, group, v4 ? by : ifindex);
    if (join) r = join_locked(s, group, by, false);
    else r = m ? 0 : -EADDRNOTAVAIL;
    if (m) leave_locked(s, m);
    unlock(&port_lock);
    return r;
}

static int source(struct socket *s, const u8 group[16], u32 ifindex, u32 via, const u8 src[16], bool include, bool add)
{
    if (!ip_is_multicast(group)) return -EINVAL;
    u32 by = interface(s, group, ifindex, via);
    if (!by) return -ENODEV;
    lock(&port_lock);
    int r = source_locked(s, group, by, src, include, add);
    unlock(&port_lock);
    return r;
}

/* --- the options --- */

static int by_address(struct socket *s, const void *val, size_t len, bool join)
{
    struct ip_mreqn r = { 0 };
    u8 ip[16];

    if (len < sizeof(struct ip_mreq)) return -EINVAL;
    memcpy(&r, val, MIN(len, sizeof r));
    if (len < sizeof r) r.imr_ifindex = 0;
    ip_set_v4(ip, ntohl(r.imr_multiaddr.s_addr));
    return membership(s, ip, (u32)r.imr_ifindex, ntohl(r.imr_address.s_addr), join);
}

static int source4(struct socket *s, const void *val, size_t len, bool include, bool add)
{
    struct ip_mreq_source r;
    u8 group[16], src[16];

    if (len != sizeof r) return -EINVAL;
    memcpy(&r, val, sizeof r);
    ip_set_v4(group, ntohl(r.imr_multiaddr.s_addr));
    ip_set_v4(src, ntohl(r.imr_sourceaddr.s_addr));
    return source(s, group, 0, ntohl(r.imr_interface.s_addr), src, include, add);
}

static bool address(const struct sockaddr_storage *ss, int family, u8 out[16])
{
    if (ss->ss_family != family) return false;
    if (family == AF_INET) ip_set_v4(out, ntohl(((const struct sockaddr_in *)(const void *)ss)->sin_addr.s_addr));
    else memcpy(out, &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr, 16);
    return true;
}

/* RFC 3678: the forms for both families. */
static int by_index(struct socket *s, int opt, const void *val, size_t len, int family)
{
    struct group_source_req q = { 0 };     /* a struct group_req is its beginning */
    bool with_source = opt != MCAST_JOIN_GROUP && opt != MCAST_LEAVE_GROUP;
    u8 group[16], src[16];

    if (len < (with_source ? sizeof q : sizeof(struct group_req))) return -EINVAL;
    memcpy(&q, val, with_source ? sizeof q : sizeof(struct group_req));
    if (!address(&q.gsr_group, family, group)) return with_source ? -EADDRNOTAVAIL : -EINVAL;
    if (!with_source) return membership(s, group, q.gsr_interface, 0, opt == MCAST_JOIN_GROUP);
    if (!address(&q.gsr_source, family, src)) return -EADDRNOTAVAIL;
    return source(s, group, q.gsr_interface, 0, src, opt == MCAST_JOIN_SOURCE_GROUP || opt == MCAST_LEAVE_SOURCE_GROUP,
                  opt == MCAST_JOIN_SOURCE_GROUP || opt == MCAST_BLOCK_SOURCE);
}

bool inet_mcast_setopt(struct socket *s, int level, int opt, const void *val, size_t len, int *r)
{
    bool v4 = level == IPPROTO_IP, stream = s->type == SOCK_STREAM;

    if (opt >= MCAST_JOIN_GROUP && opt <= MCAST_LEAVE_SOURCE_GROUP) {
        *r = stream ? -EPROTO : by_index(s, opt, val, len, v4 ? AF_INET : AF_INET6);
        return true;
    }
    if (v4) {
        switch (opt) {
        case IP_ADD_MEMBERSHIP:
        case IP_DROP_MEMBERSHIP: *r = stream ? -EPROTO : by_address(s, val, len, opt == IP_ADD_MEMBERSHIP); return true;
        case IP_ADD_SOURCE_MEMBERSHIP:
        case IP_DROP_SOURCE_MEMBERSHIP: *r = stream ? -EPROTO : source4(s, val, len, true, opt == IP_ADD_SOURCE_MEMBERSHIP); return true;
        case IP_BLOCK_SOURCE:
        case IP_UNBLOCK_SOURCE: *r = stream ? -EPROTO : source4(s, val, len, false, opt == IP_BLOCK_SOURCE); return true;
        default: return false;
        }
    }
    if (opt != IPV6_JOIN_GROUP && opt != IPV6_LEAVE_GROUP) return false;
    struct ipv6_mreq q;
    if (len < sizeof q) {
        *r = -EINVAL;
    } else if (stream) {
        *r = -EPROTO;
    } else {
        memcpy(&q, val, sizeof q);
        *r = ip_is_multicast(q.ipv6mr_multiaddr.s6_addr) && !ip_is_v4(q.ipv6mr_multiaddr.s6_addr)
           ? membership(s, q.ipv6mr_multiaddr.s6_addr, q.ipv6mr_interface, 0, opt == IPV6_JOIN_GROUP) : -EINVAL;
    }
    return true;
}

/* IP_MULTICAST_IF, IPV6_MULTICAST_IF */
int inet_mcast_interface(struct socket *s, const struct ip_mreqn *q)
{
    u32 via = ntohl(q->imr_address.s_addr), index = 0;

    if (q->imr_ifindex || via) {
        index = q->imr_ifindex ? interface(s, NULL, (u32)q->imr_ifindex, 0) : interface(s, NULL, 0, via);
        if (!index) return -EADDRNOTAVAIL;
        if (s->bound_if && s->bound_if != index) return -EINVAL;
    }
    s->in.mc_index = index;
    s->in.mc_if = via;
    return 0;
}
