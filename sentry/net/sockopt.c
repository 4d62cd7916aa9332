/* SOL_SOCKET options. socket(7) */
#include "sentry/kernel/task.h"
#include "sentry/net/dev.h"
#include "sentry/net/filter.h"
#include <linux/capability.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/time.h>

#define WMEM_MAX (4 << 20)   /* net.core.{r,w}mem_max since Linux 6.15 */
#define SNDBUF_MIN 4608
#define RCVBUF_MIN 2304

int opt_int(const void *val, size_t len, int *out)
{
    if (len >= sizeof(int)) memcpy(out, val, sizeof(int));
    else if (len >= 1) *out = *(const u8 *)val;
    else return -EINVAL;
    return 0;
}

ssize_t opt_put_int(void *val, size_t size, int v)
{
    size = MIN(size, sizeof v);
    memcpy(val, &v, size);
    return (ssize_t)size;
}

static int get_timeout(const void *val, size_t len, ktime_t *out)
{
    struct timeval tv;

    if (len < sizeof tv) return -EINVAL;
    memcpy(&tv, val, sizeof tv);
    if (tv.tv_usec < 0 || tv.tv_usec >= 1000000) return -EDOM;
    if (tv.tv_sec < 0) *out = 0;
    else if ((!tv.tv_sec && !tv.tv_usec) || tv.tv_sec >= INT64_MAX / NSEC_PER_SEC - 1) *out = KTIME_NEVER;
    else *out = tv.tv_sec * NSEC_PER_SEC + tv.tv_usec * NSEC_PER_USEC;
    return 0;
}

static ssize_t put_timeout(void *val, size_t size, ktime_t t)
{
    struct timeval tv = { 0 };
    if (t != KTIME_NEVER) tv = (struct timeval){ t / NSEC_PER_SEC, t % NSEC_PER_SEC / 1000 };
    size = MIN(size, sizeof tv);
    memcpy(val, &tv, size);
    return (ssize_t)size;
}

static u32 bufsize(int v, u32 min, bool force)
{
    if (!force) v = (u32)v > WMEM_MAX ? WMEM_MAX : v;
    if (v < 0) v = 0;
    if (v > INT32_MAX / 2) v = INT32_MAX / 2;
    return MAX((u32)v * 2, min);
}

static void want(struct socket *s, u32 bit, int on) { s->want = on ? s->want | bit : s->want & ~bit; }

static int setopt_locked(struct socket *s, int opt, int v, const void *val, size_t len)
{
    bool inet = s->domain == AF_INET || s->domain == AF_INET6;
    switch (opt) {
    case SO_DEBUG: if (v && !ns_capable(net_owner(s), CAP_NET_ADMIN)) return -EACCES; s->debug = v; return 0;
    case SO_REUSEADDR: if (inet) s->in.reuse = v; else s->reuse_kept = v; return 0;
    case SO_REUSEPORT: if (inet) s->in.reuseport = v; return inet ? 0 : s->domain == AF_UNIX ? -EOPNOTSUPP : 0;
    case SO_DONTROUTE: s->dontroute = v; return 0;
    case SO_BROADCAST: s->broadcast = v; return 0;
    case SO_SNDBUF: s->sndbuf = bufsize(v, SNDBUF_MIN, false); s->sndbuf_set = true; return 0;
    case SO_SNDBUFFORCE: if (!ns_capable(net_owner(s), CAP_NET_ADMIN)) return -EPERM; s->sndbuf = bufsize(v, SNDBUF_MIN, true); s->sndbuf_set = true; return 0;
    case SO_RCVBUF: s->rcvbuf = bufsize(v, RCVBUF_MIN, false); return 0;
    case SO_RCVBUFFORCE: if (!ns_capable(net_owner(s), CAP_NET_ADMIN)) return -EPERM; s->rcvbuf = bufsize(v, RCVBUF_MIN, true); return 0;
    case SO_KEEPALIVE: s->keepalive = v; return 0;
    case SO_OOBINLINE: s->oobinline = v; return 0;
    case SO_NO_CHECK: s->no_check = v; return 0;
    case SO_PRIORITY:
        if ((v < 0 || v > 6) && !ns_capable(net_owner(s), CAP_NET_ADMIN) && !ns_capable(net_owner(s), CAP_NET_RAW)) return -EPERM;
        s->priority = v;
        return 0;
    case SO_MARK: if (!ns_capable(net_owner(s), CAP_NET_ADMIN) && !ns_capable(net_owner(s), CAP_NET_RAW)) return -EPERM; s->mark = v; return 0;
    case SO_LINGER: {
        struct linger l;
        if (len < sizeof l) return -EINVAL;
        memcpy(&l, val, sizeof l);
        s->linger = l.l_onoff != 0;
        if (l.l_onoff) s->linger_time = (u32)l.l_linger;
        return 0;
    }
    case SO_PASSCRED:
        if (s->domain != AF_UNIX && s->domain != AF_NETLINK) return -EOPNOTSUPP;
        want(s, WANT_CRED, v);
        return 0;
    case SO_PASSSEC: s->passsec = v; return 0;
    case SO_TIMESTAMP: want(s, WANT_STAMPNS, 0); want(s, WANT_STAMP, v); return 0;
    case SO_TIMESTAMPNS: want(s, WANT_STAMP, 0); want(s, WANT_STAMPNS, v); return 0;
    case SO_RCVLOWAT: s->rcvlowat = v < 0 ? INT32_MAX : v ? v : 1; return 0;
    case SO_SNDLOWAT: return -ENOPROTOOPT;
    case SO_RCVTIMEO: return get_timeout(val, len, &s->rcvtimeo);
    case SO_SNDTIMEO: return get_timeout(val, len, &s->sndtimeo);
    case SO_PEEK_OFF: if (s->domain != AF_UNIX && s->type != SOCK_DGRAM) return -EOPNOTSUPP; s->peek_off = v < 0 ? -1 : v; return 0;
    case SO_RXQ_OVFL: s->rxq_ovfl = v; return 0;
    case SO_BUSY_POLL: return v < 0 ? -EINVAL : 0;
    case SO_ATTACH_BPF: return -EOPNOTSUPP;     /* there are no programs of bpf(2) */
    default: return -ENOPROTOOPT;
    }
}

/* sock_setbindtodevice(), sock_bindtoindex() */
static int bind_to_device(struct socket *s, const char *name, int index)
{
    struct netdev *d = NULL;

    if (s->bound_if && !ns_capable(net_owner(s), CAP_NET_RAW)) return -EPERM;
    if (index < 0) return -EINVAL;
    if (name && *name) d = dev_by_name(s->net, name);
    else if (!name && index) d = dev_by_index(s->net, (u32)index);
    if (!d && (name ? *name != 0 : index != 0)) return -ENODEV;
    atomic_store(&s->bound_if, d ? d->index : 0);
    dev_put(d);
    return 0;
}

static int bound_name(struct socket *s, char name[IFNAMSIZ])
{
    struct netdev *d = s->bound_if ? dev_by_index(s->net, s->bound_if) : NULL;

    memset(name, 0, IFNAMSIZ);
    if (!d) return s->bound_if ? -ENODEV : 0;
    read_lock(&net_lock);
    memcpy(name, d->name, IFNAMSIZ);
    rw_unlock(&net_lock);
    dev_put(d);
    return 0;
}

int net_setsockopt(struct socket *s, int level, int opt, const void *val, size_t len)
{
    int v = 0, r;

    if (level != SOL_SOCKET || s->ops->all_options) return s->ops->setopt ? s->ops->setopt(s, level, opt, val, len) : -EOPNOTSUPP;
    if (opt == SO_BINDTODEVICE) {
        char name[IFNAMSIZ] = { 0 };
        memcpy(name, val, MIN(len, sizeof name - 1));
        return bind_to_device(s, name, 0);
    }
    if (len < sizeof v) return -EINVAL;
    memcpy(&v, val, sizeof v);
    if (opt == SO_BINDTOIFINDEX) return bind_to_device(s, NULL, v);
    if (opt == SO_DETACH_FILTER) return filter_detach(s);
    if (opt == SO_LOCK_FILTER) return filter_lock(s, v);
    lock(&s->lock);
    r = setopt_locked(s, opt, v, val, len);
    unlock(&s->lock);
    if (!r && (opt == SO_SNDBUF || opt == SO_SNDBUFFORCE)) waitq_wake_all(&s->wq, POLLOUT | POLLWRNORM);
    return r;
}

static ssize_t put_bytes(void *val, size_t size, const void *src, size_t n)
{
    n = MIN(n, size);
    if (n) memcpy(val, src, n);
    return (ssize_t)n;
}

static ssize_t getopt_locked(struct socket *s, int opt, void *val, size_t size)
{
    bool inet = s->domain == AF_INET || s->domain == AF_INET6;
    int v;
    switch (opt) {
    case SO_DEBUG: v = s->debug; break;
    case SO_REUSEADDR: v = inet ? s->in.reuse : s->reuse_kept; break;
    case SO_REUSEPORT: v = inet ? s->in.reuseport : 0; break;
    case SO_DONTROUTE: v = s->dontroute; break;
    case SO_BROADCAST: v = s->broadcast; break;
    case SO_SNDBUF: v = (int)s->sndbuf; break;
    case SO_RCVBUF: v = (int)s->rcvbuf; break;
    case SO_KEEPALIVE: v = s->keepalive; break;
    case SO_OOBINLINE: v = s->oobinline; break;
    case SO_NO_CHECK: v = s->no_check; break;
    case SO_PRIORITY: v = s->priority; break;
    case SO_MARK: v = s->mark; break;
    case SO_TYPE: v = s->type; break;
    case SO_DOMAIN: v = s->domain; break;
    case SO_PROTOCOL: v = s->protocol; break;
    case SO_ACCEPTCONN: v = s->state == ST_LISTEN; break;
    case SO_ERROR: v = -sock_take_error_locked(s); break;
    case SO_PASSCRED:
        if (inet) return -EOPNOTSUPP;
        v = !!(s->want & WANT_CRED);
        break;
    case SO_PASSSEC: v = s->passsec; break;
    case SO_TIMESTAMP: v = !!(s->want & WANT_STAMP); break;
    case SO_TIMESTAMPNS: v = !!(s->want & WANT_STAMPNS); break;
    case SO_RCVLOWAT: v = s->rcvlowat; break;
    case SO_SNDLOWAT: v = 1; break;
    case SO_PEEK_OFF: if (s->domain != AF_UNIX && s->type != SOCK_DGRAM) return -EOPNOTSUPP; v = s->peek_off; break;
    case SO_RXQ_OVFL: v = s->rxq_ovfl; break;
    case SO_LOCK_FILTER: v = s->filter_locked; break;
    case SO_BPF_EXTENSIONS: v = SKF_AD_MAX; break;
    case SO_BUSY_POLL:
    case SO_INCOMING_CPU:
    case SO_INCOMING_NAPI_ID: v = 0; break;
    case SO_LINGER: {
        struct linger l = { s->linger, (int)s->linger_time };
        return put_bytes(val, size, &l, sizeof l);
    }
    case SO_RCVTIMEO: return put_timeout(val, size, s->rcvtimeo);
    case SO_SNDTIMEO: return put_timeout(val, size, s->sndtimeo);
    case SO_PEERCRED: {
        struct net_cred c = { 0, ~0u, ~0u };
        if (s->has_peercred) c = (struct net_cred){ pid_out(s->peercred.pid), uid_out(s->peercred.uid), gid_out(s->peercred.gid) };
        return put_bytes(val, size, &c, sizeof c);
    }
    case SO_PEERGROUPS: {
        size_t n = s->peer_ngroups * sizeof(u32);
        if (!s->has_peercred) return -ENODATA;
        return size < n ? -ERANGE : put_bytes(val, size, s->peer_groups, n);
    }
    case SO_PEERNAME: return -ENOPROTOOPT;
    case SO_PEERSEC: return -ENOPROTOOPT;
    case SO_BINDTOIFINDEX: v = (int)s->bound_if; break;
    case SO_BINDTODEVICE: {
        size_t n;
        if (!s->host && bound_name(s, s->bound_dev)) return -ENODEV;
        n = strlen(s->bound_dev);
        if (!n) return 0;
        return size < sizeof s->bound_dev ? -EINVAL : put_bytes(val, size, s->bound_dev, n + 1);
    }
    case SO_COOKIE: {
        u64 id = s->ino;
        return size < sizeof id ? -EINVAL : put_bytes(val, size, &id, sizeof id);
    }
    case SO_MEMINFO: {
        u32 m[9] = { [0] = s->rmem, [1] = s->rcvbuf, [2] = s->wmem, [3] = s->sndbuf };
        return put_bytes(val, size, m, sizeof m);
    }
    default: return -ENOPROTOOPT;
    }
    return opt_put_int(val, size, v);
}

ssize_t net_getsockopt(struct socket *s, int level, int opt, void *val, size_t size)
{
    if (level != SOL_SOCKET || s->ops->all_options) return s->ops->getopt ? s->ops->getopt(s, level, opt, val, size) : -EOPNOTSUPP;
    lock(&s->lock);
    ssize_t r = getopt_locked(s, opt, val, size);
    unlock(&s->lock);
    return r;
}

int sockopt_set_own(struct socket *s, int opt, const void *val, size_t len)
{
    static const int own[] = { SO_RCVTIMEO, SO_SNDTIMEO, SO_PASSCRED, SO_PASSSEC, SO_ATTACH_BPF };
    int v, r = -ENOPROTOOPT;

    if (len < sizeof v) return -EINVAL;
    memcpy(&v, val, sizeof v);
    if (opt == SO_DETACH_FILTER) return filter_detach(s);
    lock(&s->lock);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (own[i] == opt) r = setopt_locked(s, opt, v, val, len);
    unlock(&s->lock);
    return r;
}

ssize_t sockopt_get_own(struct socket *s, int opt, void *val, size_t size)
{
    static const int own[] = { SO_RCVTIMEO, SO_SNDTIMEO, SO_PASSCRED, SO_PASSSEC, SO_PEERCRED, SO_PEERGROUPS, SO_PEERNAME, SO_PEERSEC,
                               SO_COOKIE, SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_MARK, SO_BINDTODEVICE };
    ssize_t r = -ENOPROTOOPT;

    lock(&s->lock);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (own[i] == opt) r = getopt_locked(s, opt, val, size);
    unlock(&s->lock);
    return r;
}
