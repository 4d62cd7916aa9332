/* What the namespace is like: interfaces, addresses, routes. Reading only. */
#include "netbroker/broker.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

HOSTCALL(pread64, "files of /proc/net that were opened at start");
HOSTCALL(recvmsg, "requests; answers of rtnetlink");
HOSTCALL(sendto, "questions to rtnetlink");
HOSTCALL(recvfrom, "answers of rtnetlink");
#define IFREQ_CALL(cmd) HOSTCALL_ARG(ioctl, "what an interface is like", 1, cmd)
IFREQ_CALL(SIOCGIFNAME);
IFREQ_CALL(SIOCGIFFLAGS);
IFREQ_CALL(SIOCGIFADDR);
IFREQ_CALL(SIOCGIFDSTADDR);
IFREQ_CALL(SIOCGIFBRDADDR);
IFREQ_CALL(SIOCGIFNETMASK);
IFREQ_CALL(SIOCGIFHWADDR);
IFREQ_CALL(SIOCGIFMTU);
IFREQ_CALL(SIOCGIFINDEX);
IFREQ_CALL(SIOCGIFTXQLEN);
IFREQ_CALL(SIOCGIFMETRIC);
IFREQ_CALL(SIOCGIFMAP);
IFREQ_CALL(SIOCGIFCONF);

#define NL_PIECE (32u * 1024)      /* what the kernel fills at most per message of a dump (netlink_dump) */
#define ROUTE_REQ_MAX 4096u

static const char *const proc_names[NETB_PROC_END] = {
    [NETB_PROC_DEV] = "dev", [NETB_PROC_ROUTE] = "route", [NETB_PROC_IF_INET6] = "if_inet6", [NETB_PROC_IPV6_ROUTE] = "ipv6_route",
    [NETB_PROC_ARP] = "arp", [NETB_PROC_SNMP] = "snmp", [NETB_PROC_SNMP6] = "snmp6", [NETB_PROC_NETSTAT] = "netstat",
    [NETB_PROC_DEV_MCAST] = "dev_mcast", [NETB_PROC_IGMP] = "igmp",
};
static int proc_fds[NETB_PROC_END + NETB_SYSCTL_COUNT];
static int if_sock = -1;           /* (c) for interface requests */
static pthread_mutex_t nl_lock = PTHREAD_MUTEX_INITIALIZER;   /* guards: one question at a time on */
static int nl_socks[2] = { -1, -1 };                          /* plain, and with strict checking of what is asked */
static u32 nl_seq;

static int open_netlink(bool strict)
{
    struct timeval tv = { .tv_sec = 5 };     /* the kernel answers at once; a question it leaves unanswered must not hang us */
    int on = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv)) log_debug("SO_RCVTIMEO: %s", strerror(errno));
    if (strict && setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on)) log_debug("no strict checking by rtnetlink");
    return fd;
}

int netb_info_init(void)
{
    for (unsigned i = 0; i < NETB_PROC_END; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/net/%s", proc_names[i]);
        proc_fds[i] = open(path, O_RDONLY | O_CLOEXEC);
    }
#define SYSCTL_PATH(dir, name, text) "/proc/sys/net/" dir "/" name,
    static const char *const sysctls[] = { NETB_SYSCTLS(SYSCTL_PATH) };
    for (unsigned i = 0; i < NETB_SYSCTL_COUNT; i++) proc_fds[NETB_PROC_END + i] = open(sysctls[i], O_RDONLY | O_CLOEXEC);
    if_sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (if_sock < 0) if_sock = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (if_sock < 0) return -errno;
    for (int i = 0; i < 2; i++)
        if ((nl_socks[i] = open_netlink(i)) < 0) return nl_socks[i];
    return 0;
}

int netb_op_ifreq(struct netb_req *r)
{
    static const u32 allowed[] = { SIOCGIFNAME, SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFDSTADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK, SIOCGIFHWADDR,
                                   SIOCGIFMTU, SIOCGIFINDEX, SIOCGIFTXQLEN, SIOCGIFMETRIC, SIOCGIFMAP };
    struct netb_ifreq q;
    struct ifreq ifr;
    _Static_assert(sizeof ifr == sizeof q.req, "struct ifreq");
    int err = netb_take(r, &q, sizeof q);
    if (err) return err;
    size_t i = 0;
    while (i < ARRAY_LEN(allowed) && allowed[i] != q.cmd) i++;
    if (i == ARRAY_LEN(allowed)) return -ENOTTY;
    memcpy(&ifr, q.req, sizeof ifr);
    ifr.ifr_name[IFNAMSIZ - 1] = 0;
    if (syscall(SYS_ioctl, if_sock, q.cmd, &ifr)) return -errno;
    memcpy(q.req, &ifr, sizeof ifr);
    memcpy(r->out, &q, sizeof q);
    r->out_len = sizeof q;
    return 0;
}

int netb_op_ifconf(struct netb_req *r)
{
    struct ifconf c = { .ifc_len = (int)(NETB_IFCONF_MAX * sizeof(struct ifreq)), .ifc_buf = (char *)r->out };
    if (syscall(SYS_ioctl, if_sock, SIOCGIFCONF, &c)) return -errno;
    r->out_len = (u32)c.ifc_len;
    return 0;
}

static bool route_kind_allowed(u16 type)
{
    static const u16 kinds[] = { RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETRULE, RTM_GETQDISC, RTM_GETADDRLABEL,
                                 RTM_GETNEIGHTBL, RTM_GETNETCONF, RTM_GETSTATS, RTM_GETMULTICAST, RTM_GETANYCAST };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i] == type) return true;
    return false;
}

/* Is this piece of an answer the last one? Pieces of other questions (an answer that came too late) are skipped: -EAGAIN. */
static int is_last(const u8 *p, size_t n, u32 seq, bool dump)
{
    struct nlmsghdr h;
    if (n < sizeof h) return -EIO;
    memcpy(&h, p, sizeof h);
    if (h.nlmsg_seq != seq) return -EAGAIN;
    if (!dump) return 1;
    for (size_t off = 0; n - off >= sizeof h;) {
        memcpy(&h, p + off, sizeof h);
        if (h.nlmsg_len < sizeof h || h.nlmsg_len > n - off) return -EIO;
        if (h.nlmsg_type == NLMSG_DONE || h.nlmsg_type == NLMSG_ERROR) return 1;
        off += MIN((size_t)NLMSG_ALIGN(h.nlmsg_len), n - off);
    }
    return 0;
}

static int ask_route_locked(struct netb_req *r, u8 *q, size_t n, bool dump, bool strict)
{
    int fd = nl_socks[strict];
    struct nlmsghdr h;
    memcpy(&h, q, sizeof h);
    h.nlmsg_seq = ++nl_seq;
    memcpy(q, &h, sizeof h);
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    if (sendto(fd, q, n, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return -errno;
    for (;;) {
        ssize_t got = recv(fd, r->out, NL_PIECE, MSG_TRUNC);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN ? -EOPNOTSUPP : -errno;
        if (got > (ssize_t)NL_PIECE) return -EMSGSIZE;
        int last = is_last(r->out, (size_t)got, h.nlmsg_seq, dump);
        if (last == -EAGAIN) continue;
        if (last < 0) return last;
        r->out_len = (u32)got;
        if (last) return 0;
        int err = r->more(r);
        if (err) return err;
    }
}

/* u32 strict, then one request; its length, sequence number, port and flags are set here. */
int netb_op_route(struct netb_req *r)
{
    u8 q[ROUTE_REQ_MAX];
    struct nlmsghdr h;
    u32 strict;
    int err = netb_take(r, &strict, sizeof strict);
    if (err) return err;
    size_t n = r->len - sizeof strict;
    if (n < sizeof h || n > sizeof q) return -EBADMSG;
    memcpy(q, r->in + sizeof strict, n);
    memcpy(&h, q, sizeof h);
    if (!route_kind_allowed(h.nlmsg_type)) return -EOPNOTSUPP;
    bool dump = h.nlmsg_flags & NLM_F_DUMP;
    h.nlmsg_len = (u32)n;
    h.nlmsg_flags = (u16)(NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0));
    h.nlmsg_pid = 0;
    memcpy(q, &h, sizeof h);
    pthread_mutex_lock(&nl_lock);
    err = ask_route_locked(r, q, n, dump, strict != 0);
    pthread_mutex_unlock(&nl_lock);
    return err;
}

int netb_op_proc(struct netb_req *r)
{
    u32 which;
    int err = netb_take(r, &which, sizeof which);
    if (err) return err;
    if (which >= ARRAY_LEN(proc_fds)) return -EBADMSG;
    if (proc_fds[which] < 0) return -ENOENT;
    off_t off = 0;
    for (;;) {
        ssize_t n = pread(proc_fds[which], r->out, NL_PIECE, off);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        r->out_len = (u32)n;
        if (!n) return 0;
        off += n;
        if ((err = r->more(r))) return err;
    }
}
