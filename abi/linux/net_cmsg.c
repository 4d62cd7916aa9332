/* Ancillary data of sendmsg(2) and recvmsg(2). cmsg(3), unix(7), ip(7), ipv6(7) */
#include "abi/linux/net.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/base/alloc.h"
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static int rights_in(struct net_msg *m, const u8 *data, u64 n)
{
    unsigned have = m->files ? m->files->n : 0;

    n /= sizeof(s32);
    if (!n) return 0;
    if (n + have > LINUX_SCM_MAX_FD) return -EINVAL;
    if (!m->files) m->files = scm_files_new(LINUX_SCM_MAX_FD);
    for (u64 i = 0; i < n; i++) {
        s32 fd;
        memcpy(&fd, data + i * sizeof fd, sizeof fd);
        struct file *f = fd_get_path(fd);
        if (!f) return -EBADF;
        m->files->f[m->files->n++] = f;
    }
    return 0;
}

static int cred_in(struct net_msg *m, const u8 *data, u64 n)
{
    const struct cred *c = current_cred();
    struct linux_ucred u;

    if (n != sizeof u) return -EINVAL;
    memcpy(&u, data, sizeof u);
    u.uid = uid_in(u.uid);
    u.gid = gid_in(u.gid);
    if (u.uid == ~0u || u.gid == ~0u) return -EINVAL;
    struct pid_ns *ns = current->tg->pid_ns;
    bool ok = (u.pid == current->tg->vtgid || ns_capable(ns ? ns->ns.owner : NULL, CAP_SYS_ADMIN)) &&
              (u.uid == c->uid || u.uid == c->euid || u.uid == c->suid || own_ns_capable(CAP_SETUID)) &&
              (u.gid == c->gid || u.gid == c->egid || u.gid == c->sgid || own_ns_capable(CAP_SETGID));
    if (!ok) return -EPERM;
    struct task *t = u.pid == current->tg->vtgid ? NULL : task_lookup_get(pid_in(u.pid));
    if (!t && u.pid != current->tg->vtgid) return -ESRCH;
    if (t) task_put(t);
    m->cred = (struct net_cred){ pid_in(u.pid), u.uid, u.gid };
    m->has_cred = true;
    return 0;
}

static int inet_in(struct net_msg *m, const struct socket *s, const struct linux_cmsghdr *h, const u8 *data, u64 n)
{
    s32 v = 0;

    if (n >= 4) memcpy(&v, data, 4);
    else if (n) v = data[0];
    if (h->level == IPPROTO_IP && h->type == IP_PKTINFO) {
        struct linux_in_pktinfo p;
        if (n != sizeof p) return -EINVAL;
        memcpy(&p, data, sizeof p);
        memcpy(m->src_ip, v4_prefix, 12);
        memcpy(m->src_ip + 12, p.spec_dst, 4);
        m->src_ifindex = p.ifindex > 0 ? (u32)p.ifindex : 0;
        m->has_src = p.spec_dst[0] != 0;
        return 0;
    }
    if (h->level == IPPROTO_IPV6 && h->type == IPV6_PKTINFO) {
        struct linux_in6_pktinfo p;
        if (n < sizeof p) return -EINVAL;
        memcpy(&p, data, sizeof p);
        memcpy(m->src_ip, p.addr, 16);
        m->src_ifindex = (u32)p.ifindex;
        m->has_src = true;
        return 0;
    }
    bool ttl = h->level == IPPROTO_IP ? h->type == IP_TTL : h->type == IPV6_HOPLIMIT;
    bool tos = h->level == IPPROTO_IP ? h->type == IP_TOS : h->type == IPV6_TCLASS;
    if (!ttl && !tos) return -EINVAL;
    if (n != 4 && !(tos && n == 1)) return -EINVAL;
    if (v < (ttl && h->level == IPPROTO_IP) || v > 255) {
        if (v != -1 || h->level == IPPROTO_IP) return -EINVAL;
        return 0;
    }
    if (ttl) m->ttl = v;
    else m->tos = v;
    return 0;
}

int linux_cmsg_in(struct net_msg *m, struct socket *s, gaddr_t control, u64 len)
{
    struct linux_cmsghdr h;
    int r = 0;

    if (len > LINUX_OPTMEM_MAX) return -ENOBUFS;
    AUTO_FREE u8 *buf = try_zalloc(len + 1, 1);
    if (!buf) return -ENOBUFS;
    if (copy_in(buf, control, len)) return -EFAULT;
    for (u64 off = 0; !r && off <= len && len - off >= sizeof h; off += LINUX_CMSG_ALIGN(h.len)) {
        memcpy(&h, buf + off, sizeof h);
        if (h.len < sizeof h || h.len > len - off) return -EINVAL;
        const u8 *data = buf + off + sizeof h;
        u64 n = h.len - sizeof h;
        bool local = s->domain == AF_UNIX || s->domain == AF_NETLINK;
        if (h.level == SOL_SOCKET) {
            if (!local) r = h.type == SCM_RIGHTS || h.type == SCM_CREDENTIALS ? 0 : -EINVAL;
            else if (h.type == SCM_RIGHTS) r = s->domain == AF_UNIX ? rights_in(m, data, n) : -EINVAL;
            else if (h.type == SCM_CREDENTIALS) r = cred_in(m, data, n);
            else r = -EINVAL;
        } else if (!local && s->type != SOCK_STREAM && (h.level == IPPROTO_IP || h.level == IPPROTO_IPV6)) {
            r = inet_in(m, s, &h, data, n);
        }
    }
    return r;
}

struct sink { gaddr_t p; u64 left, used; bool cut, fault; };

static void put(struct sink *k, int level, int type, const void *data, u64 n)
{
    struct linux_cmsghdr h = { .len = sizeof h + n, .level = level, .type = type };
    u8 buf[sizeof h + 128];

    if (!k->p || k->left < sizeof h) {
        k->cut = true;
        return;
    }
    if (h.len > k->left) {
        k->cut = true;
        h.len = k->left;
    }
    memcpy(buf, &h, sizeof h);
    memcpy(buf + sizeof h, data, h.len - sizeof h);
    if (copy_out(k->p + k->used, buf, h.len)) {
        k->fault = true;
        return;
    }
    u64 space = MIN(LINUX_CMSG_ALIGN(sizeof h + n), k->left);
    k->used += space;
    k->left -= space;
}

static void put_files(struct sink *k, struct scm_files *fs, bool cloexec)
{
    struct linux_cmsghdr h = { .level = SOL_SOCKET, .type = SCM_RIGHTS };
    u64 room = k->p && k->left >= sizeof h ? (k->left - sizeof h) / sizeof(s32) : 0;
    unsigned i = 0;

    scm_files_recv(fs);
    for (; i < fs->n && i < room; i++) {
        file_get(fs->f[i]);
        s32 fd = fd_install(fs->f[i], cloexec);
        if (fd < 0) {
            file_put(fs->f[i]);
            break;
        }
        if (copy_out(k->p + k->used + sizeof h + i * sizeof fd, &fd, sizeof fd)) {
            (void)fd_close(fd);
            break;
        }
    }
    if (i < fs->n) k->cut = true;
    if (!i) return;
    h.len = sizeof h + i * sizeof(s32);
    if (copy_out(k->p + k->used, &h, sizeof h)) {
        k->fault = true;
        return;
    }
    u64 space = MIN(LINUX_CMSG_ALIGN(h.len), k->left);
    k->used += space;
    k->left -= space;
}

static void put_inet(struct sink *k, const struct net_msg *m, struct socket *s)
{
    bool v4 = !memcmp(m->to_ip, v4_prefix, 12);
    s32 ttl = m->got_ttl, tos = m->got_tos;

    if (v4 && (m->got & WANT_PKTINFO)) {
        struct linux_in_pktinfo p = { .ifindex = (s32)m->ifindex };
        memcpy(p.spec_dst, s->host || s->type == SOCK_DGRAM ? m->spec_dst : m->to_ip + 12, 4);
        memcpy(p.addr, m->to_ip + 12, 4);
        put(k, IPPROTO_IP, IP_PKTINFO, &p, sizeof p);
    }
    if (v4 && (m->got & WANT_TTL)) put(k, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    if (v4 && (m->got & WANT_TOS)) put(k, IPPROTO_IP, IP_TOS, &m->got_tos, 1);
    if (v4 && (m->got & WANT_ORIGDST)) {
        struct linux_sockaddr_in a = { .family = AF_INET, .port = { (u8)(m->to_port >> 8), (u8)m->to_port } };
        memcpy(a.addr, m->to_ip + 12, 4);
        put(k, IPPROTO_IP, IP_ORIGDSTADDR, &a, sizeof a);
    }
    if (s->domain != AF_INET6) return;
    if (m->got & WANT_PKTINFO6) {
        struct linux_in6_pktinfo p = { .ifindex = (s32)m->ifindex };
        memcpy(p.addr, m->to_ip, 16);
        put(k, IPPROTO_IPV6, IPV6_PKTINFO, &p, sizeof p);
    }
    if (v4) return;
    if (m->got & WANT_HOPLIMIT) put(k, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof ttl);
    if (m->got & WANT_TCLASS) put(k, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
    if (m->got & WANT_ORIGDST6) {
        struct linux_sockaddr_in6 a = { .family = AF_INET6, .port = { (u8)(m->to_port >> 8), (u8)m->to_port } };
        memcpy(a.addr, m->to_ip, 16);
        put(k, IPPROTO_IPV6, IPV6_ORIGDSTADDR, &a, sizeof a);
    }
}

/* The offender is zeros for errors of our own. */
static void put_error(struct sink *k, const struct net_err *e, bool six)
{
    u8 buf[sizeof(struct linux_sock_extended_err) + LINUX_SOCKADDR_MAX] = { 0 };
    struct linux_sock_extended_err x = { .err = e->err, .origin = e->origin, .type = e->type, .code = e->code, .info = e->info };

    memcpy(buf, &x, sizeof x);
    (void)linux_addr_encode(&e->offender, buf + sizeof x);
    put(k, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVERR : IP_RECVERR, buf,
        sizeof x + (six ? sizeof(struct linux_sockaddr_in6) : sizeof(struct linux_sockaddr_in)));
}

int linux_cmsg_out(struct net_msg *m, struct socket *s, gaddr_t control, u64 len, bool cloexec, u64 *used)
{
    struct sink k = { .p = control, .left = control ? len : 0 };

    if (m->stamp.tv_sec && (m->got & WANT_STAMP)) {
        s64 tv[2] = { m->stamp.tv_sec, m->stamp.tv_nsec / 1000 };
        put(&k, SOL_SOCKET, SO_TIMESTAMP, tv, sizeof tv);
    } else if (m->stamp.tv_sec && (m->got & WANT_STAMPNS)) {
        s64 ts[2] = { m->stamp.tv_sec, m->stamp.tv_nsec };
        put(&k, SOL_SOCKET, SO_TIMESTAMPNS, ts, sizeof ts);
    }
    if (m->has_error) put_error(&k, &m->error, s->domain == AF_INET6);
    if (s->domain == AF_INET || s->domain == AF_INET6) {
        if (s->type != SOCK_STREAM && !m->has_error) put_inet(&k, m, s);
        if (m->got & WANT_INQ) put(&k, IPPROTO_TCP, TCP_CM_INQ, &m->inq, sizeof m->inq);
    } else if (m->got & WANT_AUXDATA) {
        struct linux_tpacket_auxdata x = { .status = TP_STATUS_USER, .len = m->full_len, .snaplen = m->len, .net = (u16)m->net_off };
        put(&k, SOL_PACKET, PACKET_AUXDATA, &x, sizeof x);
    } else if (m->got & WANT_CRED) {
        struct linux_ucred u = { pid_out(m->cred.pid), uid_out(m->cred.uid), gid_out(m->cred.gid) };
        put(&k, SOL_SOCKET, SCM_CREDENTIALS, &u, sizeof u);
    }
    if (m->files) put_files(&k, m->files, cloexec);
    if (k.cut) m->out_flags |= MSG_CTRUNC;
    *used = k.used;
    return k.fault ? -EFAULT : 0;
}
