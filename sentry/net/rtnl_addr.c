/* rtnetlink: addresses. inet_rtm_newaddr() and inet6_rtm_newaddr() of Linux. */
#include "sentry/net/rtnl.h"

#include <linux/if_addr.h>
#include <string.h>

void rtnl_put_addr_locked(struct nl_out *o, const struct dev_addr *a, u16 type, u16 flags)
{
    bool v4 = ip_is_v4(a->ip);
    struct ifaddrmsg m = { .ifa_family = v4 ? AF_INET : AF_INET6, .ifa_prefixlen = a->prefix, .ifa_flags = (u8)a->flags, .ifa_scope = a->scope,
                           .ifa_index = a->dev->index };
    struct ifa_cacheinfo c = { .ifa_prefered = ~0u, .ifa_valid = ~0u };
    static const u8 none[4];
    u32 at = nl_begin(o, type, flags, &m, sizeof m);

    nl_attr_ip(o, IFA_ADDRESS, a->peer);
    if (v4 || !ip_equal(a->ip, a->peer)) nl_attr_ip(o, IFA_LOCAL, a->ip);
    if (v4 && memcmp(a->broadcast, none, 4)) nl_attr(o, IFA_BROADCAST, a->broadcast, 4);
    if (v4) nl_attr_str(o, IFA_LABEL, a->label);
    nl_attr_u32(o, IFA_FLAGS, a->flags);
    nl_attr(o, IFA_CACHEINFO, &c, sizeof c);
    nl_end(o, at);
}

void rtnl_addr_dump(struct rtnl_req *r, u8 family)
{
    struct net_devs *v = net_devs(r->net);
    struct dev_addr *a;

    read_lock(&net_lock);
    for (int four = 1; four >= 0; four--)
        TAILQ_FOREACH(a, &v->addrs, link)
            if (ip_is_v4(a->ip) == four && (!family || family == (four ? AF_INET : AF_INET6))) rtnl_put_addr_locked(r->out, a, RTM_NEWADDR, NLM_F_MULTI);
    rw_unlock(&net_lock);
}

int rtnl_addr_change(struct rtnl_req *r, bool del)
{
    struct ifaddrmsg m;
    struct nl_attrs at;
    struct dev_addr a = { 0 };

    if (r->n < sizeof m) return -EINVAL;
    memcpy(&m, r->body, sizeof m);
    nl_parse(&at, r->body + sizeof m, r->n - sizeof m);
    if (m.ifa_family != AF_INET && m.ifa_family != AF_INET6) return -EOPNOTSUPP;
    bool v4 = m.ifa_family == AF_INET, local = nl_ip(&at, IFA_LOCAL, m.ifa_family, a.ip), other = nl_ip(&at, IFA_ADDRESS, m.ifa_family, a.peer);
    if (!local && !other) return -EINVAL;
    if (!local) memcpy(a.ip, a.peer, 16);
    if (!other) memcpy(a.peer, a.ip, 16);
    if (m.ifa_prefixlen > (v4 ? 32 : 128) || (!v4 && ip_is_v4(a.ip))) return -EINVAL;
    if (ip_is_multicast(a.ip) || (v4 && ip_v4(a.ip) == ~0u)) return -EINVAL;
    struct netdev *d = dev_by_index(r->net, m.ifa_index);
    if (!d) return -ENODEV;
    int e;
    if (del) {
        e = dev_addr_del(d, a.ip, m.ifa_prefixlen);
    } else {
        a.prefix = m.ifa_prefixlen;
        a.scope = v4 ? m.ifa_scope : a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80 ? RT_SCOPE_LINK : ip_is_loopback(a.ip) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
        a.flags = (nl_u32(&at, IFA_FLAGS, m.ifa_flags) & (IFA_F_NODAD | IFA_F_NOPREFIXROUTE | IFA_F_HOMEADDRESS)) | IFA_F_PERMANENT;
        if (v4 && nl_has(&at, IFA_BROADCAST, 4)) memcpy(a.broadcast, at.at[IFA_BROADCAST], 4);
        nl_str(&at, IFA_LABEL, a.label, sizeof a.label);
        e = dev_addr_add(d, &a, (r->h->nlmsg_flags & (NLM_F_EXCL | NLM_F_REPLACE)) == NLM_F_REPLACE);
    }
    dev_put(d);
    return e;
}
