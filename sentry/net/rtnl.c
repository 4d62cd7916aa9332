/* rtnetlink requests: who answers which, and what messages are made of. See rtnl.h. */
#include "sentry/net/rtnl.h"

#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include <linux/capability.h>
#include <string.h>

#define OUT_MAX (4u << 20)

/* --- messages --- */

static void *put(struct nl_out *o, size_t n)
{
    size_t pad = NLMSG_ALIGN(n);

    if (pad > OUT_MAX - o->len) return NULL;
    if (o->len + pad > o->cap) {
        u32 cap = MAX(o->cap * 2, (u32)(o->len + pad + 1024));
        o->buf = xrealloc(o->buf, cap);
        o->cap = cap;
    }
    void *p = o->buf + o->len;
    memset(p, 0, pad);
    o->len += (u32)pad;
    return p;
}

u32 nl_begin(struct nl_out *o, u16 type, u16 flags, const void *body, size_t n)
{
    u32 at = o->len;
    struct nlmsghdr h = { .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = o->seq, .nlmsg_pid = o->portid };
    u8 *p = put(o, sizeof h + NLMSG_ALIGN(n));

    if (!p) return at;
    memcpy(p, &h, sizeof h);
    memcpy(p + sizeof h, body, n);
    return at;
}

void nl_end(struct nl_out *o, u32 at)
{
    u32 len = o->len - at;
    if (len) memcpy(o->buf + at, &len, sizeof len);
}

void nl_attr(struct nl_out *o, u16 type, const void *v, size_t n)
{
    struct rtattr a = { .rta_len = (u16)RTA_LENGTH(n), .rta_type = type };
    u8 *p = put(o, RTA_LENGTH(n));

    if (!p) return;
    memcpy(p, &a, sizeof a);
    if (n) memcpy(p + RTA_LENGTH(0), v, n);
}

void nl_attr_u32(struct nl_out *o, u16 type, u32 v) { nl_attr(o, type, &v, sizeof v); }
void nl_attr_u8(struct nl_out *o, u16 type, u8 v) { nl_attr(o, type, &v, sizeof v); }
void nl_attr_str(struct nl_out *o, u16 type, const char *s) { nl_attr(o, type, s, strlen(s) + 1); }
void nl_attr_ip(struct nl_out *o, u16 type, const u8 ip[16]) { nl_attr(o, type, ip_is_v4(ip) ? ip + 12 : ip, ip_is_v4(ip) ? 4 : 16); }

u32 nl_nest(struct nl_out *o, u16 type)
{
    u32 at = o->len;
    nl_attr(o, type, NULL, 0);
    return at;
}

void nl_nest_end(struct nl_out *o, u32 at)
{
    u16 len = (u16)(o->len - at);
    if (len) memcpy(o->buf + at, &len, sizeof len);
}

void nl_parse(struct nl_attrs *a, const u8 *p, size_t n)
{
    memset(a, 0, sizeof *a);
    for (size_t off = 0; n >= sizeof(struct rtattr) && off <= n - sizeof(struct rtattr);) {
        struct rtattr h;
        memcpy(&h, p + off, sizeof h);
        if (h.rta_len < sizeof h || h.rta_len > n - off) break;
        u16 type = h.rta_type & NLA_TYPE_MASK;
        if (type < NL_ATTRS) {
            a->at[type] = p + off + sizeof h;
            a->len[type] = (u16)(h.rta_len - sizeof h);
        }
        off += RTA_ALIGN(h.rta_len);
    }
}

bool nl_has(const struct nl_attrs *a, unsigned type, size_t least) { return a->at[type] && a->len[type] >= least; }

u32 nl_u32(const struct nl_attrs *a, unsigned type, u32 otherwise)
{
    u32 v;
    if (!nl_has(a, type, sizeof v)) return otherwise;
    memcpy(&v, a->at[type], sizeof v);
    return v;
}

bool nl_str(const struct nl_attrs *a, unsigned type, char *out, size_t size)
{
    if (!a->at[type]) return false;
    size_t n = MIN((size_t)a->len[type], size - 1);
    memcpy(out, a->at[type], n);
    out[n] = 0;
    return true;
}

bool nl_ip(const struct nl_attrs *a, unsigned type, u8 family, u8 out[16])
{
    const u8 *p = a->at[type];

    if (!p || a->len[type] != (family == AF_INET ? 4 : 16)) return false;
    if (family == AF_INET) ip_set_v4(out, (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3]);
    else memcpy(out, p, 16);
    return true;
}

/* --- requests --- */

static void dump(struct rtnl_req *r, u8 family)
{
    const int done = 0;

    switch (r->h->nlmsg_type) {
    case RTM_GETLINK: rtnl_link_dump(r); break;
    case RTM_GETADDR: rtnl_addr_dump(r, family); break;
    case RTM_GETROUTE: rtnl_route_dump(r, family); break;
    case RTM_GETRULE: rtnl_rule_dump(r, family); break;
    case RTM_GETNEIGH: rtnl_neigh_dump(r, family); break;
    default: break;                /* queueing disciplines and the like: none */
    }
    nl_end(r->out, nl_begin(r->out, NLMSG_DONE, NLM_F_MULTI, &done, sizeof done));
}

static int change(struct rtnl_req *r)
{
    switch (r->h->nlmsg_type) {
    case RTM_NEWLINK: return rtnl_link_set(r, true);
    case RTM_SETLINK: return rtnl_link_set(r, false);
    case RTM_DELLINK: return rtnl_link_del(r);
    case RTM_NEWADDR: return rtnl_addr_change(r, false);
    case RTM_DELADDR: return rtnl_addr_change(r, true);
    case RTM_NEWROUTE: return rtnl_route_change(r, false);
    case RTM_DELROUTE: return rtnl_route_change(r, true);
    case RTM_NEWRULE: return rtnl_rule_change(r, false);
    case RTM_DELRULE: return rtnl_rule_change(r, true);
    default: return -EOPNOTSUPP;
    }
}

int rtnl_request(struct socket *s, const struct nlmsghdr *h, const u8 *body, size_t n, u32 portid)
{
    struct nl_out out = { .seq = h->nlmsg_seq, .portid = portid };
    struct rtnl_req r = { .s = s, .net = s->net, .h = h, .body = body, .n = n, .out = &out };
    int e;

    if (!net_devs_own(s->net)) return -EOPNOTSUPP;
    net_devs(s->net);
    /* GET is the third of each group of four */
    if ((h->nlmsg_type & 3) != 2) {
        e = ns_capable(net_owner(s), CAP_NET_ADMIN) ? change(&r) : -EPERM;
    } else if (h->nlmsg_flags & NLM_F_DUMP) {
        if (n < 1) return -EINVAL;
        dump(&r, body[0]);
        e = 0;
    } else {
        e = h->nlmsg_type == RTM_GETLINK ? rtnl_link_get(&r) : h->nlmsg_type == RTM_GETROUTE ? rtnl_route_get(&r) : -EOPNOTSUPP;
    }
    bool answered = !e && out.len;
    if (answered) netlink_queue_all(s, out.buf, out.len);
    free(out.buf);
    return answered ? 1 : e;
}
