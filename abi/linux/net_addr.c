/* Socket addresses, in and out. Which family fits which socket is the socket's business. */
#include "abi/linux/net.h"
#include <netinet/in.h>
#include <string.h>

static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

void linux_addr_decode(struct net_addr *out, const u8 *raw, u32 len)
{
    *out = (struct net_addr){ 0 };
    if (len < 2) {
        out->truncated = true;
        return;
    }
    memcpy(&out->family, raw, 2);
    switch (out->family) {
    case AF_UNIX:
        if (len > sizeof(struct linux_sockaddr_un)) {
            out->truncated = true;
        } else if (len > 2) {
            memcpy(out->un.path, raw + 2, len - 2);
            out->un.len = (u8)(raw[2] ? strlen(out->un.path) + 1 : len - 2);
        }
        break;
    case AF_UNSPEC:
        /* bind(2) takes it for AF_INET when the address is 0.0.0.0. */
        if (len < sizeof(struct linux_sockaddr_in)) {
            out->in.ip[0] = 1;
            break;
        }
        /* fall through */
    case AF_INET: {
        struct linux_sockaddr_in a;
        if (len < sizeof a) {
            out->truncated = true;
            break;
        }
        memcpy(&a, raw, sizeof a);
        memcpy(out->in.ip, v4_prefix, 12);
        memcpy(out->in.ip + 12, a.addr, 4);
        out->in.port = (u16)(a.port[0] << 8 | a.port[1]);
        break;
    }
    case AF_INET6: {
        struct linux_sockaddr_in6 a = { 0 };
        if (len < LINUX_SIN6_LEN_RFC2133) {
            out->truncated = true;
            break;
        }
        memcpy(&a, raw, MIN(len, (u32)sizeof a));
        memcpy(out->in.ip, a.addr, 16);
        out->in.port = (u16)(a.port[0] << 8 | a.port[1]);
        memcpy(&out->in.flow, a.flowinfo, 4);
        out->in.scope = len >= sizeof a ? a.scope_id : 0;
        break;
    }
    case AF_NETLINK: {
        struct linux_sockaddr_nl a;
        if (len < sizeof a) {
            out->truncated = true;
            break;
        }
        memcpy(&a, raw, sizeof a);
        out->nl.pid = a.pid;
        out->nl.groups = a.groups;
        break;
    }
    case AF_PACKET: {
        struct linux_sockaddr_ll a;
        if (len < sizeof a) {
            out->truncated = true;
            break;
        }
        memcpy(&a, raw, sizeof a);
        out->ll.protocol = (u16)(a.protocol[0] << 8 | a.protocol[1]);
        out->ll.ifindex = a.ifindex;
        out->ll.halen = a.halen;
        memcpy(out->ll.addr, a.addr, sizeof a.addr);
        break;
    }
    default: break;
    }
}

int linux_addr_in(struct net_addr *out, gaddr_t p, s32 len)
{
    u8 raw[LINUX_SOCKADDR_MAX] = { 0 };

    if (len < 0 || len > (s32)LINUX_SOCKADDR_MAX) return -EINVAL;
    if (len && copy_in(raw, p, (size_t)len)) return -EFAULT;
    linux_addr_decode(out, raw, (u32)len);
    return 0;
}

u32 linux_addr_encode(const struct net_addr *a, u8 raw[LINUX_SOCKADDR_MAX])
{
    memset(raw, 0, LINUX_SOCKADDR_MAX);
    switch (a->family) {
    case AF_UNIX:
        memcpy(raw, &a->family, 2);
        memcpy(raw + 2, a->un.path, a->un.len);
        return 2u + a->un.len;
    case AF_INET: {
        struct linux_sockaddr_in i = { .family = AF_INET, .port = { (u8)(a->in.port >> 8), (u8)a->in.port } };
        memcpy(i.addr, a->in.ip + 12, 4);
        memcpy(raw, &i, sizeof i);
        return sizeof i;
    }
    case AF_INET6: {
        struct linux_sockaddr_in6 i = { .family = AF_INET6, .port = { (u8)(a->in.port >> 8), (u8)a->in.port } };
        memcpy(i.addr, a->in.ip, 16);
        memcpy(i.flowinfo, &a->in.flow, 4);
        /* Only such addresses have a scope: link-local ones and groups of that reach. */
        bool scoped = (i.addr[0] == 0xfe && (i.addr[1] & 0xc0) == 0x80) || (i.addr[0] == 0xff && (i.addr[1] & 0xf) <= 2);
        if (scoped) i.scope_id = a->in.scope;
        memcpy(raw, &i, sizeof i);
        return sizeof i;
    }
    case AF_NETLINK: {
        struct linux_sockaddr_nl n = { .family = AF_NETLINK, .pid = a->nl.pid, .groups = a->nl.groups };
        memcpy(raw, &n, sizeof n);
        return sizeof n;
    }
    case AF_PACKET: {
        struct linux_sockaddr_ll l = { .family = AF_PACKET, .protocol = { (u8)(a->ll.protocol >> 8), (u8)a->ll.protocol },
                                       .ifindex = a->ll.ifindex, .hatype = a->ll.hatype, .pkttype = a->ll.kind, .halen = a->ll.halen };
        memcpy(l.addr, a->ll.addr, sizeof l.addr);
        memcpy(raw, &l, sizeof l);
        return a->ll.padded ? sizeof l : (u32)(offsetof(struct linux_sockaddr_ll, addr) + l.halen);
    }
    default: return 0;
    }
}

int linux_addr_out(const struct net_addr *a, gaddr_t p, gaddr_t lenp)
{
    u8 raw[LINUX_SOCKADDR_MAX];
    s32 len, full = (s32)linux_addr_encode(a, raw);

    if (copy_in(&len, lenp, sizeof len)) return -EFAULT;
    if (len < 0) return -EINVAL;
    len = MIN(len, full);
    if (len && copy_out(p, raw, (size_t)len)) return -EFAULT;
    return copy_out(lenp, &full, sizeof full);
}
