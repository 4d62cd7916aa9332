#include "sentry/net/inet_ns.h"
#include "sentry/base/alloc.h"
#include "sentry/net/dev.h"
#include "sentry/net/tcp_ends.h"

#define FIRST_VALUE(name, dir, file, v, min, max) [IS_##name] = v,
#define INET_NS_INIT { .set = { INET_SETTINGS(FIRST_VALUE) } }
static struct inet_ns initial = INET_NS_INIT;

struct inet_ns *inet_ns(struct net_ns *n)
{
    if (!n) return &initial;
    struct inet_ns *i = __atomic_load_n(&n->inet, __ATOMIC_ACQUIRE);
    if (i) return i;
    struct inet_ns *made = xnew(struct inet_ns);
    *made = (struct inet_ns)INET_NS_INIT;
    if (__atomic_compare_exchange_n(&n->inet, &i, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return made;
    free(made);
    return i;
}

s32 inet_setting(struct net_ns *n, enum inet_setting which) { return atomic_load(&inet_ns(n)->set[which]); }

void mib_packets(struct net_ns *n, bool v4, unsigned packets, u64 octets)
{
    mib_add(n, MIB_IP_PACKETS + !v4, packets);
    mib_add(n, MIB_IP_OCTETS + !v4, (s64)octets);
}

void mib_icmp(struct net_ns *n, bool v4, enum icmp_way way, u8 type)
{
    (void)__atomic_fetch_add(&inet_ns(n)->icmp[!v4][way][type], 1, __ATOMIC_RELAXED);
}

/* kernel/ns.c: no socket is left in n, and nobody can find it. */
void net_ns_exit(struct net_ns *n)
{
    struct inet_ns *i = n->inet;
    net_devs_exit(n);
    if (!i) return;
    tcp_tw_purge(i);
    free(i);
}
