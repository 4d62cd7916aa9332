/* Addresses between wire and host. */
#include "netbroker/broker.h"
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
static bool is_v4(const u8 ip[16]) { return !memcmp(ip, v4_prefix, sizeof v4_prefix); }

int netb_addr_to_host(const struct netb_addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == AF_INET && is_v4(a->ip)) { /* also on an IPv6 socket: what the kernel makes of that is its affair */
        struct sockaddr_in *i = (struct sockaddr_in *)out;
        i->sin_family = AF_INET;
        i->sin_port = htons(a->port);
        memcpy(&i->sin_addr, a->ip + 12, 4);
        return sizeof *i;
    }
    if (a->family != AF_INET6) return -EAFNOSUPPORT;
    struct sockaddr_in6 *i = (struct sockaddr_in6 *)out;
    i->sin6_family = AF_INET6;
    i->sin6_port = htons(a->port);
    i->sin6_flowinfo = a->flow;
    i->sin6_scope_id = a->scope;
    memcpy(&i->sin6_addr, a->ip, 16);
    return sizeof *i;
}

void netb_addr_from_host(const struct sockaddr_storage *ss, struct netb_addr *out)
{
    memset(out, 0, sizeof *out);
    out->family = ss->ss_family;
    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *i = (const struct sockaddr_in *)ss;
        memcpy(out->ip, v4_prefix, sizeof v4_prefix);
        memcpy(out->ip + 12, &i->sin_addr, 4);
        out->port = ntohs(i->sin_port);
    } else if (ss->ss_family == AF_INET6) {
        const struct sockaddr_in6 *i = (const struct sockaddr_in6 *)ss;
        memcpy(out->ip, &i->sin6_addr, 16);
        out->port = ntohs(i->sin6_port);
        out->flow = i->sin6_flowinfo;
        out->scope = i->sin6_scope_id;
    }
}

bool netb_allow(u32 dir, int protocol, const u8 ip[16], u16 port)
{
    if (!netb_names || dir == PLAN_NET_IN) return net_rules_allow(&netb_rules, dir, protocol, ip, port, NULL);
    unsigned proto = protocol == IPPROTO_TCP ? CR_TCP : CR_UDP;
    const struct connrule *r = connrules_decide(netb_names, dir == PLAN_NET_BIND ? CR_LISTEN : CR_CONNECT, proto, ip, port);
    if (netb_rules.head.allow & dir) return true;   /* the mode lets all pass */
    /* Any free port: what connecting, or sending, from an unnamed socket would give, too. Listening is asked with the port it became. */
    return r ? r->allow : dir == PLAN_NET_BIND && !port;
}

bool netb_dest_allowed(const struct netb_addr *a, int protocol)
{
    static const u8 any6[16], lo6[16] = { [15] = 1 }, lo4[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };
    bool any = !memcmp(a->ip, any6, 16), any4 = is_v4(a->ip) && !memcmp(a->ip + 12, any6, 4);
    /* "::" is ::1, or 127.0.0.1 for a socket bound to an IPv4 address */
    if (any && !netb_allow(PLAN_NET_OUT, protocol, lo6, a->port)) return false;
    return netb_allow(PLAN_NET_OUT, protocol, any || any4 ? lo4 : a->ip, a->port);
}
