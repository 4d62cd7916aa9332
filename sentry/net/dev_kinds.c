/* Devices that need no file: dummy, which swallows, and veth, whose two ends pass to each other. veth(4) */
#include "sentry/net/dev.h"

#include <net/if_arp.h>

static void swallow(struct netdev *d UNUSED, const u8 *frame UNUSED, u32 len UNUSED, u16 proto UNUSED) {}

const struct dev_kind dev_dummy = { .name = "dummy", .type = ARPHRD_ETHER, .flags = IFF_BROADCAST | IFF_NOARP, .mtu = 1500, .txqlen = 1000,
                                    .mtu_max = DEV_MTU_MAX, .xmit = swallow };

static struct netdev *peer_get(struct netdev *d)
{
    read_lock(&net_lock);
    struct netdev *p = d->priv;
    if (p) dev_get(p);
    rw_unlock(&net_lock);
    return p;
}

static void veth_xmit(struct netdev *d, const u8 *frame, u32 len, u16 proto)
{
    struct netdev *p = peer_get(d);

    if (!p) return;
    dev_receive(p, frame, len, proto);
    dev_put(p);
}

/* A bridge has no ports here, so what is sent to it goes nowhere. */
const struct dev_kind dev_bridge = { .name = "bridge", .type = ARPHRD_ETHER, .flags = IFF_BROADCAST | IFF_MULTICAST, .mtu = 1500, .txqlen = 1000,
                                     .mtu_max = DEV_MTU_MAX, .xmit = swallow };

/* One end takes the other along. Each holds the other until then. */
void dev_unlink_veth(struct netdev *d)
{
    write_lock(&net_lock);
    struct netdev *p = d->priv, *back = p ? p->priv : NULL;
    d->priv = NULL;
    if (p) p->priv = NULL;
    rw_unlock(&net_lock);
    if (!p) return;
    dev_unregister(p);
    dev_put(p);
    dev_put(back);
}

const struct dev_kind dev_veth = { .name = "veth", .type = ARPHRD_ETHER, .flags = IFF_BROADCAST | IFF_MULTICAST, .mtu = 1500, .txqlen = 1000,
                                   .mtu_max = DEV_MTU_MAX, .xmit = veth_xmit, .unregister = dev_unlink_veth };

void dev_new_veth(struct netdev *pair[2])
{
    for (int i = 0; i < 2; i++) pair[i] = dev_new(&dev_veth);
    for (int i = 0; i < 2; i++) {
        pair[i]->priv = pair[!i];
        dev_get(pair[i]);
    }
}
