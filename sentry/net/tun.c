/*
 * /dev/net/tun: a device whose other end is a file. A write is a packet (TUN) or frame (TAP) that comes in, a read takes one that
 * goes out. Documentation/networking/tuntap.rst, drivers/net/tun.c for the errors.
 */
#include "sentry/net/tun.h"

#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/dev.h"
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define PI 4u                      /* struct tun_pi */
#define QUEUE_MAX 500u             /* TUN_READQ_SIZE: packets that wait for a reader, */
#define QUEUE_BYTES (512u << 10)   /* ...and what they may come to */
#define FLAGS_KNOWN (IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_ONE_QUEUE | IFF_TUN_EXCL | IFF_MULTI_QUEUE)

struct tun_packet { TAILQ_ENTRY(tun_packet) link; u32 len; u16 proto; u8 bytes[]; };

/* What a device keeps; goes with it. */
struct tun {
    lock_t lock;                   /* LC_SOCK; guards: */
    struct tun_file *file;         /* attached; borrowed, it detaches before it goes */
    TAILQ_HEAD(, tun_packet) queue;
    unsigned nqueued; u32 bytes;
    bool persist, tap, no_pi, one_queue;
    u32 owner, group;              /* NO_ID: anybody with the right */
};

struct tun_file {
    struct waitq wq;
    struct net_ns *net;            /* (c) counted: where it was opened */
    lock_t lock;                   /* LC_PIPE, outside of a device's; guards: */
    struct netdev *dev;            /* counted; NULL: not attached */
};

static struct tun *tun_of(const struct netdev *d) { return d->priv; }

static void xmit(struct netdev *d, const u8 *frame, u32 len, u16 proto)
{
    struct tun *t = tun_of(d);
    struct tun_packet *p = try_zalloc(1, sizeof *p + len);

    if (!p) return;
    p->len = len;
    p->proto = proto;
    memcpy(p->bytes, frame, len);
    lock(&t->lock);
    struct tun_file *f = t->file;
    bool room = f && t->nqueued < QUEUE_MAX && t->bytes + len <= QUEUE_BYTES;
    if (room) {
        TAILQ_INSERT_TAIL(&t->queue, p, link);
        t->nqueued++;
        t->bytes += len;
        waitq_wake(&f->wq, POLLIN | POLLRDNORM);
    }
    unlock(&t->lock);
    if (!room) {
        atomic_add(&d->tx_dropped, 1u);
        free(p);
    }
}

static void unregister(struct netdev *d)
{
    struct tun *t = tun_of(d);

    lock(&t->lock);
    if (t->file) waitq_wake_all(&t->file->wq, POLLIN | POLLOUT | POLLERR);
    unlock(&t->lock);
}

static void free_tun(struct netdev *d)
{
    struct tun *t = tun_of(d);
    struct tun_packet *p;

    while ((p = TAILQ_FIRST(&t->queue))) {
        TAILQ_REMOVE(&t->queue, p, link);
        free(p);
    }
    lock_fini(&t->lock);
    free(t);
}

static const struct dev_kind tun_kind = { .name = "tun", .type = ARPHRD_NONE, .flags = IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST, .mtu = 1500, .txqlen = 500,
                                          .mtu_max = DEV_MTU_MAX, .xmit = xmit, .unregister = unregister, .free = free_tun };
static const struct dev_kind tap_kind = { .name = "tun", .type = ARPHRD_ETHER, .flags = IFF_BROADCAST | IFF_MULTICAST, .mtu = 1500, .txqlen = 1000,
                                          .mtu_max = DEV_MTU_MAX, .xmit = xmit, .unregister = unregister, .free = free_tun };

/* --- the file --- */

/* Counted; NULL: it has none, or that is gone. */
static struct netdev *device(struct tun_file *f)
{
    lock(&f->lock);
    struct netdev *d = f->dev;
    if (d) dev_get(d);
    unlock(&f->lock);
    if (d && dev_gone(d)) {
        dev_put(d);
        d = NULL;
    }
    return d;
}

static struct tun_packet *take(struct tun *t)
{
    lock(&t->lock);
    struct tun_packet *p = TAILQ_FIRST(&t->queue);
    if (p) {
        TAILQ_REMOVE(&t->queue, p, link);
        t->nqueued--;
        t->bytes -= p->len;
    }
    unlock(&t->lock);
    return p;
}

static ssize_t put_out(const struct tun *t, const struct tun_packet *p, struct uio *u)
{
    u32 head = t->no_pi ? 0 : PI, n = p->len;
    struct tun_pi pi = { .proto = htons(p->proto) };

    if (u->resid < head) return -EINVAL;
    if (head + n > u->resid) {
        pi.flags = TUN_PKT_STRIP;
        n = (u32)u->resid - head;
    }
    if (head && uio_copy_out(u, &pi, sizeof pi) < (ssize_t)sizeof pi) return -EFAULT;
    if (n && uio_copy_out(u, p->bytes, n) < (ssize_t)n) return -EFAULT;
    return (ssize_t)(head + n);
}

static ssize_t tun_read(struct file *file, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct tun_file *f = file->priv;
    struct netdev *d = device(f);
    struct tun_packet *p = NULL;
    struct waiter w;
    ssize_t r = 0;
    bool wait = !file_nonblock(file, flags);    /* asked once: another thread may change it while this one sleeps */

    if (!d) return -EBADFD;
    waiter_init_current(&w, POLLIN);
    if (wait) waitq_add(&f->wq, &w);
    while (!r && !(p = take(tun_of(d)))) {
        if (dev_gone(d)) r = -EIO;
        else r = wait ? task_sleep(KTIME_NEVER) : -EAGAIN;
    }
    if (wait) waitq_del(&w);
    if (p) r = put_out(tun_of(d), p, u);
    free(p);
    dev_put(d);
    return r;
}

static ssize_t arrive(struct netdev *d, struct uio *u)
{
    struct tun *t = tun_of(d);
    struct tun_pi pi = { 0 };
    u64 n = u->resid, most = (u64)DEV_MTU_MAX + ETH_HLEN;
    u32 head = t->no_pi ? 0 : PI;

    if (n < head || n - head < (t->tap ? ETH_HLEN : 1u) || n - head > most) return n - head > most && n >= head ? -EMSGSIZE : -EINVAL;
    if (head && uio_copy_in(u, &pi, sizeof pi) < (ssize_t)sizeof pi) return -EFAULT;
    n -= head;
    AUTO_FREE u8 *buf = try_zalloc(1, n);
    if (!buf) return -ENOMEM;
    if (uio_copy_in(u, buf, n) < (ssize_t)n) return -EFAULT;
    u16 proto = ntohs(pi.proto);
    if (t->tap) {
        struct ethhdr e;
        memcpy(&e, buf, sizeof e);
        proto = ntohs(e.h_proto);
    } else if (t->no_pi) {
        u8 version = buf[0] >> 4;
        if (version != 4 && version != 6) return -EINVAL;
        proto = version == 4 ? ETH_P_IP : ETH_P_IPV6;
    }
    if (!(d->flags & IFF_UP)) return -EIO;
    dev_receive(d, buf, (u32)n, proto);
    return (ssize_t)(n + head);
}

static ssize_t tun_write(struct file *file, struct uio *u, u64 *pos UNUSED, u32 flags UNUSED)
{
    struct netdev *d = device(file->priv);

    if (!d) return -EBADFD;
    ssize_t r = arrive(d, u);
    dev_put(d);
    return r;
}

static u32 tun_poll(struct file *file, struct waiter *w)
{
    struct tun_file *f = file->priv;
    u32 m = 0;

    if (w) waitq_add(&f->wq, w);
    struct netdev *d = device(f);
    if (!d) return POLLERR;
    struct tun *t = tun_of(d);
    lock(&t->lock);
    if (t->nqueued) m |= POLLIN | POLLRDNORM;
    unlock(&t->lock);
    if (d->flags & IFF_UP) m |= POLLOUT | POLLWRNORM;
    dev_put(d);
    return m;
}

/* --- requests --- */

struct tun_ifreq { char name[16]; u16 flags; u8 rest[22]; };
_Static_assert(sizeof(struct tun_ifreq) == 40, "struct ifreq");

static bool may_attach(const struct tun_file *f, const struct tun *t)
{
    const struct cred *c = current_cred();
    bool named = t->owner != NO_ID || t->group != NO_ID;
    bool is = (t->owner == NO_ID || t->owner == c->euid) && (t->group == NO_ID || cred_in_group(c, t->group));
    return (named && is) || ns_capable(f->net ? f->net->ns.owner : NULL, CAP_NET_ADMIN);
}

/* Takes a reference of d for the file. */
static int attach(struct tun_file *f, struct netdev *d)
{
    struct tun *t = tun_of(d);
    int r = 0;

    lock(&f->lock);
    lock(&t->lock);
    if (f->dev) r = -EINVAL;
    else if (t->file) r = -EBUSY;
    if (!r) {
        t->file = f;
        f->dev = d;
        dev_get(d);
    }
    unlock(&t->lock);
    unlock(&f->lock);
    if (!r) dev_set_carrier(d, true);
    return r;
}

static int existing(struct tun_file *f, struct netdev *d, const struct tun_ifreq *q)
{
    struct tun *t = tun_of(d);

    if (q->flags & IFF_TUN_EXCL) return -EBUSY;
    if (d->kind != &tun_kind && d->kind != &tap_kind) return -EINVAL;
    if (t->tap != !!(q->flags & IFF_TAP)) return -EINVAL;
    if (!may_attach(f, t)) return -EPERM;
    int r = attach(f, d);
    if (!r) t->no_pi = q->flags & IFF_NO_PI;
    return r;
}

static int make(struct tun_file *f, const struct tun_ifreq *q)
{
    bool tap = q->flags & IFF_TAP;
    struct netdev *d = dev_new(tap ? &tap_kind : &tun_kind);
    struct tun *t = d->priv = xnew(struct tun);

    lock_init(&t->lock, LC_SOCK);
    TAILQ_INIT(&t->queue);
    t->tap = tap;
    t->no_pi = q->flags & IFF_NO_PI;
    t->one_queue = q->flags & IFF_ONE_QUEUE;
    t->owner = t->group = NO_ID;
    int r = attach(f, d);
    if (!r && (r = dev_register(d, f->net, *q->name ? q->name : tap ? "tap%d" : "tun%d", 0))) {
        lock(&f->lock);
        f->dev = NULL;
        unlock(&f->lock);
        dev_put(d);
    }
    dev_put(d);
    return r;
}

static sysret_t set_iff(struct tun_file *f, gaddr_t arg)
{
    struct tun_ifreq q;
    int r;

    if (copy_in(&q, arg, sizeof q)) return -EFAULT;
    q.name[15] = 0;
    struct netdev *had = device(f);
    if (had) {
        dev_put(had);
        return -EEXIST;
    }
    if (!net_devs_own(f->net)) return -EPERM;
    bool tun = q.flags & IFF_TUN, tap = q.flags & IFF_TAP;
    struct netdev *d = *q.name ? dev_by_name(f->net, q.name) : NULL;
    if (d) {
        r = existing(f, d, &q);
        dev_put(d);
    } else {
        if (!ns_capable(f->net ? f->net->ns.owner : NULL, CAP_NET_ADMIN)) return -EPERM;
        if (tun == tap || q.flags & ~(u32)FLAGS_KNOWN || q.flags & IFF_MULTI_QUEUE) return -EINVAL;
        r = make(f, &q);
    }
    if (r || !(d = device(f))) return r;
    memcpy(q.name, d->name, sizeof q.name);
    dev_put(d);
    return copy_out(arg, &q, sizeof q);
}

static sysret_t get_iff(struct netdev *d, gaddr_t arg)
{
    const struct tun *t = tun_of(d);
    struct tun_ifreq q = { .flags = (u16)((t->tap ? IFF_TAP : IFF_TUN) | (t->no_pi ? IFF_NO_PI : 0) | (t->one_queue ? IFF_ONE_QUEUE : 0)
                                         | (t->persist ? IFF_PERSIST : 0) | IFF_NOFILTER) };
    memcpy(q.name, d->name, sizeof q.name);
    return copy_out(arg, &q, sizeof q);
}

static sysret_t with_device(struct netdev *d, u32 cmd, gaddr_t arg)
{
    struct tun *t = tun_of(d);
    u32 id;

    switch (cmd) {
    case TUNGETIFF: return get_iff(d, arg);
    case TUNSETPERSIST: t->persist = arg; return 0;
    case TUNSETOWNER:
        if ((id = uid_in((u32)arg)) == NO_ID && (s32)arg != -1) return -EINVAL;
        t->owner = id;
        return 0;
    case TUNSETGROUP:
        if ((id = gid_in((u32)arg)) == NO_ID && (s32)arg != -1) return -EINVAL;
        t->group = id;
        return 0;
    case TUNSETNOCSUM:
    case TUNSETDEBUG: return 0;
    case TUNSETOFFLOAD: return arg ? -EINVAL : 0;
    case TUNSETCARRIER: {
        u32 on;
        if (copy_in(&on, arg, sizeof on)) return -EFAULT;
        dev_set_carrier(d, on);
        return 0;
    }
    default: return dev_file_ioctl(d, cmd, arg);
    }
}

static sysret_t tun_ioctl(struct file *file, u32 cmd, gaddr_t arg)
{
    struct tun_file *f = file->priv;
    u32 features = FLAGS_KNOWN & ~(u32)(IFF_TUN_EXCL | IFF_MULTI_QUEUE);

    if (cmd == TUNGETFEATURES) return copy_out(arg, &features, sizeof features);
    if (cmd == TUNSETIFF) return set_iff(f, arg);
    struct netdev *d = device(f);
    if (!d) return -EBADFD;
    sysret_t r = with_device(d, cmd, arg);
    dev_put(d);
    return r;
}

static void tun_release(struct file *file)
{
    struct tun_file *f = file->priv;
    struct netdev *d = f->dev;

    if (d) {
        struct tun *t = tun_of(d);
        lock(&t->lock);
        t->file = NULL;
        bool persist = t->persist;
        unlock(&t->lock);
        if (persist) dev_set_carrier(d, false);
        else dev_unregister(d);
        dev_put(d);
    }
    waitq_fini(&f->wq);
    lock_fini(&f->lock);
    ns_put(f->net ? &f->net->ns : NULL);
    free(f);
}

static const struct file_ops tun_fops = { .read = tun_read, .write = tun_write, .poll = tun_poll, .ioctl = tun_ioctl, .release = tun_release };

int tun_open(struct file *file)
{
    struct tun_file *f = xnew(struct tun_file);

    waitq_init(&f->wq);
    lock_init(&f->lock, LC_PIPE);
    f->net = current_net();
    if (f->net) ns_get(&f->net->ns);
    file->ops = &tun_fops;
    file->priv = f;
    return 0;
}
