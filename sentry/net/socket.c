/* Sockets as files, their lifetime, and the calls that are the same for all families. */
#include "sentry/net/socket.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"
#include "sentry/landlock/landlock.h"
#include "sentry/net/filter.h"
#include "sentry/net/host.h"
#include "sentry/net/inet.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/fasync.h"
#include <arpa/inet.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

const struct net_stack_ops *net_stack = &net_loopback;

static lock_t all_lock = LOCK_INIT(LC_LEAF);    /* guards: */
static TAILQ_HEAD(, socket) all_sockets = TAILQ_HEAD_INITIALIZER(all_sockets);
static size_t nsockets;

struct net_ns *current_net(void) { return current && current->ns ? current->ns->net : NULL; }
struct user_ns *net_owner(const struct socket *s) { return s->net ? s->net->ns.owner : NULL; }
u32 net_mark(const struct net_ns *n) { return n ? n->ns.inum : 0; }

void socket_set_net(struct socket *s, struct net_ns *n)
{
    struct net_ns *old = s->net;
    if (n) ns_get(&n->ns);
    s->net = n;
    if (old) ns_put(&old->ns);
}

struct socket *socket_alloc(int domain, int type, int protocol)
{
    struct socket *s = xnew(struct socket);

    ref_init(&s->refs);
    s->domain = domain;
    s->type = type;
    s->protocol = protocol;
    s->uid = current->cred->fsuid;
    ll_layer_get(s->landlock = current->cred->landlock);
    socket_set_net(s, current_net());
    lock_init(&s->lock, LC_SOCK);
    waitq_init(&s->wq);
    TAILQ_INIT(&s->rx);
    TAILQ_INIT(&s->errq);
    TAILQ_INIT(&s->acceptq);
    TAILQ_INIT(&s->pendq);
    s->sndbuf = s->rcvbuf = 212992;
    s->rcvlowat = 1;
    s->peek_off = -1;
    s->rcvtimeo = s->sndtimeo = KTIME_NEVER;
    lock(&all_lock);
    TAILQ_INSERT_TAIL(&all_sockets, s, all_link);
    nsockets++;
    unlock(&all_lock);
    return s;
}

void socket_get(struct socket *s) { ref_get(&s->refs); }

void socket_put(struct socket *s)
{
    if (!s || !ref_put(&s->refs)) return;
    lock(&all_lock);
    TAILQ_REMOVE(&all_sockets, s, all_link);
    nsockets--;
    unlock(&all_lock);
    if (s->ops && s->ops->free) s->ops->free(s);
    sockbuf_purge(&s->rx);
    sockbuf_purge(&s->errq);
    waitq_fini(&s->wq);
    lock_fini(&s->lock);
    free(s->peer_groups);
    filter_free(s);
    socket_set_net(s, NULL);
    ll_layer_put(s->landlock);
    free(s);
}

struct socket **net_snapshot(int domain, size_t *n)
{
    struct socket *s, **v;

    *n = 0;
    lock(&all_lock);
    v = xzalloc((nsockets + 1) * sizeof(*v));
    TAILQ_FOREACH(s, &all_sockets, all_link)
        if (s->net == current_net() && (domain == AF_UNSPEC || s->domain == domain) && ref_get_unless_zero(&s->refs)) v[(*n)++] = s;
    unlock(&all_lock);
    return v;
}

/* --- sockfs --- */

static void sockfs_free(struct super *sb UNUSED) {}
static int sockfs_statfs(struct super *sb, struct dentry *d UNUSED, struct statfs *out)
{
    *out = (struct statfs){ .f_type = sb->magic, .f_bsize = GPAGE_SIZE, .f_frsize = GPAGE_SIZE, .f_namelen = KNAME_MAX };
    return 0;
}
static const struct super_ops sockfs_ops = { .name = "sockfs", .statfs = sockfs_statfs, .free = sockfs_free };
static const struct inode_ops sock_inode_ops = { .lookup = NULL };
static struct super sockfs;
static pthread_once_t sockfs_once = PTHREAD_ONCE_INIT;
static void sockfs_init(void) { super_init(&sockfs, &sockfs_ops, SOCKFS_MAGIC); }

static ssize_t sock_read(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct net_msg m = { .u = u, .flags = file_nonblock(f, flags) ? MSG_DONTWAIT : 0, .tos = -1, .ttl = -1 };

    if (!u->resid) return 0;
    ssize_t r = net_recvmsg(f->priv, &m);
    if (m.files) scm_files_free(m.files);
    return r;
}

static ssize_t sock_write(struct file *f, struct uio *u, u64 *pos UNUSED, u32 flags)
{
    struct net_msg m = { .u = u, .flags = file_nonblock(f, flags) ? MSG_DONTWAIT : 0, .tos = -1, .ttl = -1 };
    struct socket *s = f->priv;

    if (s->type == SOCK_SEQPACKET) m.flags |= MSG_EOR;
    return net_sendmsg(s, &m);
}

static u32 sock_poll(struct file *f, struct waiter *w)
{
    struct socket *s = f->priv;

    if (w) waitq_add(&s->wq, w);
    lock(&s->lock);
    u32 m = s->ops->poll(s);
    unlock(&s->lock);
    return m;
}

static sysret_t put_int(gaddr_t arg, s32 v) { return copy_out(arg, &v, sizeof v); }

static sysret_t sock_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    struct socket *s = f->priv;
    sysret_t r = s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOTTY;

    if (r != -ENOTTY) return r;
    switch (cmd) {
    case FIONREAD: {
        lock(&s->lock);
        struct sockbuf *b = TAILQ_FIRST(&s->rx);
        bool stream = s->type == SOCK_STREAM || s->type == SOCK_SEQPACKET, listens = s->state == ST_LISTEN;
        s32 n = stream ? (s32)s->rx_bytes : b ? (s32)b->len : 0;
        /* Up to the urgent byte, which is read in another way. */
        if (stream && s->domain != AF_UNIX && s->oob.urg && !s->oobinline && s->oob.urg_seq - s->oob.rx_seq < s->rx_bytes)
            n = (s32)(s->oob.urg_seq - s->oob.rx_seq);
        if (stream && s->domain == AF_UNIX && s->oob.urg == URG_READ) n--;   /* taken, though it still holds its place */
        unlock(&s->lock);
        return listens ? -EINVAL : put_int(arg, n);
    }
    case TIOCOUTQ:
        if (s->domain == AF_UNIX) return put_int(arg, (s32)atomic_load(&s->wmem));
        return s->state == ST_LISTEN ? -EINVAL : put_int(arg, 0);    /* what was sent has arrived */
    case SIOCATMARK: {
        if (s->domain != AF_UNIX || s->type != SOCK_STREAM) return -ENOTTY;
        lock(&s->lock);
        bool at = stream_at_mark_locked(s);
        unlock(&s->lock);
        return put_int(arg, at);
    }
    case SIOCGSTAMP_OLD:
    case SIOCGSTAMPNS_OLD: {
        if (s->domain == AF_UNIX) return -ENOTTY;
        lock(&s->lock);
        s->stamping = true;
        if (s->stamp.tv_sec == 1) clock_gettime(CLOCK_REALTIME, &s->stamp);    /* better late: sock_gettstamp() */
        struct timespec ts = s->stamp;
        unlock(&s->lock);
        if (!ts.tv_sec) return -ENOENT;
        s64 out[2] = { ts.tv_sec, cmd == SIOCGSTAMP_OLD ? ts.tv_nsec / 1000 : ts.tv_nsec };
        return copy_out(arg, out, sizeof out);
    }
    case FIOSETOWN:
    case SIOCSPGRP: {
        s32 pid;
        int e = copy_in(&pid, arg, sizeof pid);
        if (e) return e;
        if (pid == INT32_MIN) return -EINVAL;
        return pid < 0 ? file_set_owner(f, F_OWNER_PGRP, -pid) : file_set_owner(f, F_OWNER_PID, pid);
    }
    case FIOGETOWN:
    case SIOCGPGRP: {
        struct file_owner o = file_get_owner(f);
        return put_int(arg, o.type == F_OWNER_PGRP ? -o.id : o.id);
    }
    default: return (s->net ? &net_loopback : net_stack)->if_ioctl(s, cmd, arg);
    }
}

static int sock_mmap(struct file *f, struct mm_map_req *req)
{
    struct socket *s = f->priv;
    return s->ops->mmap ? s->ops->mmap(s, req) : -ENODEV;
}

static void sock_release(struct file *f)
{
    struct socket *s = f->priv;

    s->ops->release(s);
    socket_put(s);
}

static const struct file_ops socket_fops = {
    .read = sock_read, .write = sock_write, .poll = sock_poll, .ioctl = sock_ioctl, .mmap = sock_mmap, .release = sock_release,
};

struct file *net_file_new(struct socket *s, u32 flags)
{
    pthread_once(&sockfs_once, sockfs_init);
    struct inode *ino = inode_new(&sockfs, &sock_inode_ops, NULL, inode_next_ino(), S_IFSOCK | 0777);

    ino->uid = current->cred->fsuid;
    ino->gid = current->cred->fsgid;
    struct file *f = file_new(&socket_fops, NULL, ino, O_RDWR | (flags & SOCK_NONBLOCK ? O_NONBLOCK : 0));
    f->priv = s;
    s->ino = ino->ino;
    s->file = f;
    inode_put(ino);
    return f;
}

struct socket *net_file_socket(struct file *f) { return f->ops == &socket_fops ? f->priv : NULL; }

/* --- creation --- */

int net_socket(int domain, int type, int protocol, struct socket **out)
{
    int kind = type & 0xf, r;

    if (type & ~(0xf | SOCK_CLOEXEC | SOCK_NONBLOCK)) return -EINVAL;
    if (domain < 0 || domain > AF_MAX - 1) return -EAFNOSUPPORT;
    if (kind > SOCK_PACKET) return -EINVAL;
    if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6 && domain != AF_NETLINK && domain != AF_PACKET)
        return -EAFNOSUPPORT;
    struct socket *s = socket_alloc(domain, kind, protocol);
    if (domain == AF_UNIX) r = unix_create(s);
    else if (domain == AF_NETLINK) r = netlink_create(s);
    else if (domain == AF_PACKET) r = packet_create(s);
    else r = (s->net ? &net_loopback : net_stack)->create(s);
    if (r) {
        s->ops = NULL;
        socket_put(s);
        return r;
    }
    *out = s;
    return 0;
}

void net_addr_text(const struct net_addr *a, char *buf, size_t size)
{
    char ip[INET6_ADDRSTRLEN];
    switch (a->family) {
    case AF_UNIX:
        if (!a->un.len) snprintf(buf, size, "unix:");
        else if (!a->un.path[0]) snprintf(buf, size, "unix:@%.*s", a->un.len - 1, a->un.path + 1);
        else snprintf(buf, size, "unix:%s", a->un.path);
        break;
    case AF_INET:
        inet_ntop(AF_INET, a->in.ip + 12, ip, sizeof ip);
        snprintf(buf, size, "%s:%u", ip, a->in.port);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, a->in.ip, ip, sizeof ip);
        snprintf(buf, size, "[%s]:%u", ip, a->in.port);
        break;
    default: snprintf(buf, size, "family %u", a->family);
    }
}

/* The host's network is decided by the plan's rules; the broker asks them again. */
static bool host_rules_allow(enum connrule_op op, const struct socket *s, const struct net_addr *a)
{
    u32 dir = op == CR_LISTEN ? PLAN_NET_BIND : PLAN_NET_OUT;
    struct net_addr to = *a;

    if (a->truncated || (a->family != AF_INET && a->family != AF_INET6)) return true;    /* refused for what it is, or by nobody */
    if (dir == PLAN_NET_OUT && ip_is_any(to.in.ip)) inet_source_for(a, to.in.ip);
    return net_rules_allow(&net_plan, dir, s->protocol, to.in.ip, a->in.port, NULL);
}

int net_policy(const struct socket *s, enum connrule_op op, const struct net_addr *a)
{
    if (a->family != AF_INET && a->family != AF_INET6) return 0; /* local ones are the sandbox's own */
    int r = policy_net(op, s->type == SOCK_STREAM ? CR_TCP : CR_UDP, a->in.ip, a->in.port);
    return r ? r : s->host && !host_rules_allow(op, s, a) ? -EACCES : 0;
}

int net_bind(struct socket *s, const struct net_addr *a)
{
    if (!s->ops->bind) return -EOPNOTSUPP;
    int r = ll_bind(s, a);
    if (!r) r = net_policy(s, CR_LISTEN, a);
    return r ? r : s->ops->bind(s, a);
}

int net_accepted_name(struct socket *s, struct net_addr *out)
{
    if (s->host && s->host->accepted.family) {
        *out = s->host->accepted;
        return 0;
    }
    return s->ops == &tcp_ops ? inet_accepted_name(s, out) : s->ops->getname(s, out, true);
}

int net_connect(struct socket *s, const struct net_addr *a, bool nonblock)
{
    if (!s->ops->connect) return -EOPNOTSUPP;
    int r = ll_connect(s, a);
    if (!r) r = net_policy(s, CR_CONNECT, a);
    return r ? r : s->ops->connect(s, a, nonblock);
}

ssize_t net_sendmsg(struct socket *s, struct net_msg *m)
{
    ssize_t r = unlikely(m->flags & MSG_FASTOPEN) && m->name ? ll_connect(s, m->name) : 0;

    if (!r) r = s->ops->sendmsg(s, m);
    if (r == -EPIPE && s->type == SOCK_STREAM && !(m->flags & MSG_NOSIGNAL)) send_sigpipe();
    return r;
}

ssize_t net_recvmsg(struct socket *s, struct net_msg *m)
{
    if (m->name) *m->name = (struct net_addr){ .family = AF_UNSPEC };
    return s->ops->recvmsg(s, m);
}
