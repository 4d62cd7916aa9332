/*
 * Sockets: what all families share. A struct socket is counted: its file holds one reference, a connected peer, a queued
 * message and a table look-up hold others. Constants (AF_*, SOCK_*, SO_*, MSG_*) are the host Linux's; so are the layouts
 * of option values (setsockopt(2)) and of ioctl arguments. Addresses have a form of their own, struct net_addr.
 *
 * Locks: socket->lock (LC_SOCK) guards one socket; nobody holds two. A sender copies its peer under its own lock, drops
 * it, then takes the peer's. The tables of names and ports have leaf locks.
 */
#ifndef SUNDOG_NET_SOCKET_H
#define SUNDOG_NET_SOCKET_H

#include "sentry/base/connrules.h"
#include "sentry/vfs/file.h"
#include <sys/socket.h>

struct sock_ops;
struct socket;
struct scm_files;
struct mm_map_req;

struct net_addr {
    u16 family;                    /* AF_UNSPEC: none */
    bool truncated;                /* shorter than its family needs */
    bool no_scope;                 /* the short form of an IPv6 address, without scope id */
    union {
        struct { u8 ip[16]; u16 port; u32 flow, scope; } in;   /* port in host order; IPv4 as ::ffff:a.b.c.d */
        struct { u8 len; char path[109]; } un;                 /* len 0: unnamed; path[0] 0: abstract; else with the NUL */
        struct { u32 pid, groups; } nl;
        struct {
            u16 protocol, hatype;  /* ETH_P_*, host order; ARPHRD_* */
            s32 ifindex;
            u8 kind, halen;        /* PACKET_HOST and so on; length of addr */
            bool padded;           /* shown whole, whatever halen is */
            u8 addr[8];
        } ll;
    };
};

struct net_cred { s32 pid; u32 uid, gid; };
struct net_err { u32 err; u8 origin, type, code; u32 info; struct net_addr offender; };

/* One message, or a piece of a stream, in a receive queue. */
struct sockbuf {
    TAILQ_ENTRY(sockbuf) link;
    struct socket *owner;          /* counted; its wmem is charged. NULL: the receiver's rmem is */
    u32 charge;
    u32 off, len, cap;             /* unread bytes are data[off .. off + len) */
    struct net_addr from;
    struct net_cred cred;
    struct scm_files *files;       /* owned; NULL: none */
    struct timespec stamp;
    u8 to_ip[16];                  /* UDP: where it was sent to */
    u32 ifindex;                   /* ...and by which interface it came; 0: lo */
    u8 tos, ttl;
    u32 full_len, net_off;         /* packet sockets: before a filter cut it; of the network header */
    u32 nl_groups;                 /* netlink: multicast group it came by */
    struct net_err *error;         /* owned; error queue only */
    u8 data[];
};
TAILQ_HEAD(sockbuf_queue, sockbuf);

enum sock_state { ST_CLOSE, ST_CONNECTING, ST_ESTABLISHED, ST_LISTEN };
#define SHUT_RCV 1u
#define SHUT_SND 2u
#define SHUT_BOTH 3u

/* Ancillary data a receiver asks for. */
#define WANT_CRED 1u
#define WANT_STAMP 2u
#define WANT_STAMPNS 4u
#define WANT_PKTINFO 8u
#define WANT_PKTINFO6 16u
#define WANT_TTL 32u
#define WANT_TOS 64u
#define WANT_HOPLIMIT 128u
#define WANT_TCLASS 256u
#define WANT_ORIGDST 512u
#define WANT_AUXDATA 1024u
#define WANT_ORIGDST6 2048u
#define WANT_INQ 4096u

/* No urgent data; the byte waits for MSG_OOB; it was taken, but the mark is still ahead of the reader. */
enum stream_urg { URG_NONE, URG_VALID, URG_READ };
struct stream_mark {               /* of TCP and AF_UNIX streams */
    u64 rx_seq;                    /* position in the stream of the first byte of rx */
    u64 urg_seq;                   /* ...of the urgent byte, valid with urg */
    u8 urg, urg_byte;              /* enum stream_urg */
};
struct inet_sock {
    struct net_addr local, remote; /* local: under the port table's lock as well */
    bool bound, connected;         /* (l); bound: in the port table */
    bool port_given, addr_given;   /* bind(2) named the port, the address: it survives a disconnect */
    LIST_ENTRY(socket) port_link;  /* port_lock, as the next three */
    LIST_ENTRY(socket) conn_link;  /* TCP: connections by both ends (tcp_ends.h) */
    bool in_conns;                 /* (l) as well; TCP: it is there: not TCP_CLOSE */
    bool by_connect;               /* with bound: connect(2) chose the port */
    bool address_no_port;          /* bind(2) leaves the choice of a port to connect(2) */
    bool reuse, reuseport, v6only, freebind;
    bool connect_reported;         /* TCP: a connect(2) has returned the outcome */
    bool got_fin, was_connected, was_reset;
    bool counted;                  /* (l) among the connections that are (CurrEstab) */
    struct udp_held *held;         /* (l) UDP: owned; what is corked */
    bool udp_cork;                 /* (a) */
    struct tcp_defer *defer;       /* TCP: owned; for TCP_DEFER_ACCEPT, NULL until that is set */
    bool deferred;                 /* (a) not in a queue for accept(2) yet; set and cleared under the listener's lock */
    ktime_t deferred_at;           /* (c) with deferred */
    struct tcp_cork *corked;       /* (a) TCP: owned; NULL until something was held back */
    bool inq;                      /* TCP_INQ: recvmsg(2) tells how much is left */
    int nodelay, cork, keepidle, keepintvl, keepcnt, maxseg, syncnt, linger2, defer_accept, quickack, user_timeout, notsent_lowat, window_clamp;
    char congestion[16];
    int tos, ttl, mc_ttl, mc_loop, mc_all, recverr, mtu_discover, minttl;
    int tclass, hops, mc_hops, recverr6, mtu_discover6;
    u32 mc_index, mc_if, mc_if6;   /* where groups are sent: interface, address of one (host order), interface */
    bool hdrincl;                  /* raw: the sender writes the IP header */
    int checksum_at;               /* raw, IPv6: offset of the checksum in the payload, -1: none */
    u32 icmp_filter[8];            /* raw ICMP: set bits block a type */
    struct in_member *members;     /* owned; inet_mcast.c, under port_lock */
    unsigned nmembers;
};

struct unix_sock {
    struct net_addr name;
    struct path path;              /* counted: what the name is bound to in the file system */
    char key[116]; UT_hash_handle hh; bool hashed;   /* abstract names; table lock */
    LIST_HEAD(, socket) clients;   /* datagram sockets connected to this one */
    LIST_ENTRY(socket) client_link;/* peer's lock */
    bool client_linked;
    bool binding;
    /* (c) a datagram socket of the sentry's own: takes what is sent to it, at once; 0, or -errno for the sender. */
    int (*sink)(const u8 *data, u32 len);
    /* in flight inside messages: under the collector's lock */
    unsigned inflight;
    s64 gc_count; bool gc_candidate, gc_garbage;
    LIST_ENTRY(socket) gc_link;
};

struct packet_sock {
    LIST_ENTRY(socket) link;       /* this and the next three: under the lock of packet.c */
    bool listed;
    u16 protocol;                  /* ETH_P_*, host order; 0: none */
    s32 ifindex;                   /* 0: any */
    bool no_outgoing;
    u32 packets, drops;            /* since they were last asked for; (l) */
    struct packet_ring *ring;      /* (c) owned; packet.h */
    int copy_thresh, timestamp;
};

struct socket {
    refcount_t refs;
    int domain, type, protocol;    /* (c) but for IPV6_ADDRFORM, which makes AF_INET6 AF_INET */
    const struct sock_ops *ops;    /* (c) */
    u64 ino;                       /* (c) 0 until it has a file */
    u32 uid;                       /* (c) */
    struct net_ns *net;            /* (c) counted; NULL: the initial one */
    struct file *file;             /* borrowed, valid while !dead */
    TAILQ_ENTRY(socket) all_link;
    struct waitq wq;               /* readers, writers, pollers */

    lock_t lock;                   /* LC_SOCK; guards: */
    enum sock_state state;
    u8 shut;
    bool dead;                     /* its file is gone */
    int err;                       /* pending SO_ERROR, positive */
    struct socket *peer;           /* counted */
    struct sockbuf_queue rx;
    size_t rx_bytes; unsigned rx_count;
    struct stream_mark oob;
    struct sockbuf_queue errq;
    TAILQ_HEAD(, socket) acceptq;  /* counted, not yet accepted */
    TAILQ_ENTRY(socket) accept_link;
    unsigned naccept, backlog;
    struct socket *listener;       /* counted: whose pendq this connecting one is on, or who holds it back */
    TAILQ_HEAD(, socket) pendq;    /* connecting, waiting for room in acceptq; counted */
    struct ll_layer *landlock;     /* (c) counted; domain of who made it */
    struct net_cred peercred; bool has_peercred;
    u32 *peer_groups; unsigned peer_ngroups;

    u32 wmem, rmem;                /* (a) bytes charged */
    bool nospace;                  /* (a) a writer found it full */
    /* SIOCGSTAMP. tv_sec 0: nothing received; 1: something, but not stamped for want of somebody who asked */
    struct timespec stamp;
    bool stamping;                 /* somebody did */
    struct net_filter *filter;     /* owned; see filter.h. Read as (a) to see whether there is one */
    bool filter_locked;

    /* options */
    u32 sndbuf, rcvbuf; bool sndbuf_set;
    int rcvlowat, priority, mark, peek_off;
    u32 want;                      /* WANT_* */
    bool keepalive, broadcast, oobinline, dontroute, no_check, debug, nolinger_set, linger, passsec, rxq_ovfl, reuse_kept;
    u32 linger_time;
    ktime_t rcvtimeo, sndtimeo;    /* KTIME_NEVER: none */
    char bound_dev[16];            /* of a host socket */
    u32 bound_if;                  /* (a) SO_BINDTODEVICE; 0: none */

    struct host_sock *host;        /* (c) owned by the host stack; NULL: a socket of the sandbox's own */
    union { struct inet_sock in; struct unix_sock un; struct packet_sock pk; void *priv; };
};

/* One sendmsg or recvmsg. */
struct net_msg {
    struct uio *u;
    u32 flags;                     /* MSG_* */
    struct net_addr *name;         /* send: NULL none; recv: NULL not wanted, filled (family AF_UNSPEC: none) */
    /* ancillary, send: */
    struct scm_files *files;       /* owned by the caller; taken over (set to NULL) once queued. recv: given to the caller */
    bool has_cred; struct net_cred cred;
    bool has_src; u8 src_ip[16]; u32 src_ifindex;   /* IP_PKTINFO */
    int tos, ttl;                  /* -1: the socket's */
    /* recv: */
    u32 out_flags;                 /* MSG_TRUNC, MSG_CTRUNC, MSG_EOR, MSG_OOB, MSG_ERRQUEUE */
    u32 got;                       /* WANT_* that hold */
    struct timespec stamp;
    u8 to_ip[16]; u16 to_port; u8 got_tos, got_ttl;
    u32 ifindex; u8 spec_dst[4];   /* by which interface it came, our own IPv4 address there */
    struct net_err error; bool has_error;
    s32 inq;                       /* TCP, with WANT_INQ: bytes left */
    u32 nl_group; bool has_nl_group;
    u32 len, full_len, net_off;    /* packet sockets: of what was queued; see struct sockbuf */
};

struct sock_ops {
    int (*bind)(struct socket *s, const struct net_addr *a);
    int (*connect)(struct socket *s, const struct net_addr *a, bool nonblock);
    int (*listen)(struct socket *s, int backlog);
    int (*accept)(struct socket *s, struct socket **out, bool nonblock);      /* *out counted, without a file */
    int (*getname)(struct socket *s, struct net_addr *out, bool peer);
    ssize_t (*sendmsg)(struct socket *s, struct net_msg *m);
    ssize_t (*recvmsg)(struct socket *s, struct net_msg *m);
    int (*shutdown)(struct socket *s, u32 which /* SHUT_RCV, SHUT_SND */);
    u32 (*poll)(struct socket *s);                                            /* s->lock held */
    int (*setopt)(struct socket *s, int level, int opt, const void *val, size_t len);   /* levels but SOL_SOCKET */
    ssize_t (*getopt)(struct socket *s, int level, int opt, void *val, size_t size);    /* length */
    bool all_options;                                                         /* setopt and getopt are asked about SOL_SOCKET too */
    sysret_t (*ioctl)(struct socket *s, u32 cmd, gaddr_t arg);                /* -ENOTTY: not mine */
    int (*mmap)(struct socket *s, struct mm_map_req *req);                    /* NULL: -ENODEV */
    void (*release)(struct socket *s);                                        /* the file went */
    void (*free)(struct socket *s);                                           /* last reference */
};

/*
 * A network stack makes the sockets of AF_INET and AF_INET6: it checks type and protocol and sets s->ops. There are the
 * loopback inside the sentry, host sockets (host.h), and none.
 */
struct net_stack_ops {
    const char *name;
    int (*create)(struct socket *s);
    sysret_t (*if_ioctl)(struct socket *s, u32 cmd, gaddr_t arg);             /* interface requests; -ENOTTY */
};
extern const struct net_stack_ops net_loopback;
extern const struct net_stack_ops *net_stack;
/* network_namespaces(7) */
struct user_ns *net_owner(const struct socket *s);
u32 net_mark(const struct net_ns *n);    /* 0: the initial one */
struct net_ns *current_net(void);        /* borrowed */
int unix_create(struct socket *s);
int netlink_create(struct socket *s);
int packet_create(struct socket *s);
/* Settings of the interface that bite: /proc/sys/net/ipv4/conf/lo. n NULL: the initial namespace. */
enum lo_setting { LO_ACCEPT_LOCAL, LO_ROUTE_LOCALNET, LO_SETTINGS };
u32 *lo_setting(struct net_ns *n, enum lo_setting which);    /* (a) */

/* --- socket.c --- */
/* type may carry SOCK_NONBLOCK and SOCK_CLOEXEC (ignored here). */
int net_socket(int domain, int type, int protocol, struct socket **out);
int net_socketpair(int domain, int type, int protocol, struct socket *out[2]);
/* An open file for s; takes over the reference. */
struct file *net_file_new(struct socket *s, u32 flags);
struct socket *net_file_socket(struct file *f);          /* borrowed; NULL: ENOTSOCK */
struct socket *socket_alloc(int domain, int type, int protocol);
void socket_set_net(struct socket *s, struct net_ns *n);   /* of a new one: that of whom it was made for */
void socket_get(struct socket *s);
void socket_put(struct socket *s);
ssize_t net_sendmsg(struct socket *s, struct net_msg *m);
ssize_t net_recvmsg(struct socket *s, struct net_msg *m);
int net_bind(struct socket *s, const struct net_addr *a);
/* The peer of a socket that accept(2) is about to return. -ENOTCONN */
int net_accepted_name(struct socket *s, struct net_addr *out);
int net_connect(struct socket *s, const struct net_addr *a, bool nonblock);
/* A counted copy of all live sockets of a domain, for /proc; free() after putting each. */
struct socket **net_snapshot(int domain, size_t *n);
void net_addr_text(const struct net_addr *a, char *buf, size_t size);
/* What the profile says of s and the address: 0 or -EACCES; for destinations that come with a message. */
int net_policy(const struct socket *s, enum connrule_op op, const struct net_addr *a);

/* --- sockopt.c --- */
int net_setsockopt(struct socket *s, int level, int opt, const void *val, size_t len);
/* The part that no stack has a say in: -ENOPROTOOPT for the others. s->lock not held. */
int sockopt_set_own(struct socket *s, int opt, const void *val, size_t len);
ssize_t sockopt_get_own(struct socket *s, int opt, void *val, size_t size);
/* Length of the value, never more than size. *val is zeroed, or what the guest had there where an option asks for that. */
ssize_t net_getsockopt(struct socket *s, int level, int opt, void *val, size_t size);
#define NET_OPT_MAX 4096u
/* For values that are an int or, as in IP options, perhaps one byte. */
int opt_int(const void *val, size_t len, int *out);
ssize_t opt_put_int(void *val, size_t size, int v);

/* --- sockbuf.c --- */
struct sockbuf *sockbuf_new(size_t cap);                 /* NULL: no memory */
void sockbuf_free(struct sockbuf *b);                    /* uncharges; wakes the writer it was charged to. No socket lock held. */
void sockbuf_charge(struct sockbuf *b, struct socket *owner, u32 charge);
void sockbuf_append_locked(struct socket *to, struct sockbuf *b);
void sockbuf_take_locked(struct socket *s, struct sockbuf *b);
void sockbuf_purge(struct sockbuf_queue *q);             /* a list already taken off */
void sockbuf_uncharge(struct socket *owner, u32 n);
/* Truesize of a message: what it costs in buffer space. */
static inline u32 sockbuf_truesize(size_t len) { return (u32)(((len + 255) & ~255ULL) + 512); }

struct sock_wait { struct waiter w; bool hung; bool timed; ktime_t deadline; };
void sock_wait_init(struct sock_wait *sw, u32 events, bool nonblock, ktime_t timeo);
/*
 * With *l held: hangs on q the first time, sleeps from then on with the lock dropped. 0: look again; -EAGAIN: may not
 * block or time is up; -ERESTARTSYS, or -EINTR when a timeout is set (signal(7)).
 */
int sock_wait(struct sock_wait *sw, lock_t *l, struct waitq *q);
void sock_wait_fini(struct sock_wait *sw);
int sock_take_error_locked(struct socket *s);            /* 0 or -errno; clears it */
void sock_set_error(struct socket *s, int err);          /* positive; wakes */
void send_sigpipe(void);

/* --- stream.c: byte streams of AF_UNIX and TCP --- */
ssize_t stream_recvmsg(struct socket *s, struct net_msg *m);
/* The part of a send after the family's checks. tcp: no ancillary data. *peer_gone: nobody will read. */
ssize_t stream_send(struct socket *s, struct socket *peer, struct net_msg *m, bool tcp, bool *peer_gone);
/* Puts b, charged to s, behind peer's queue, and wakes who reads. False: nobody will; b is still the caller's. */
bool stream_deliver(struct socket *s, struct socket *peer, struct sockbuf *b, bool tcp, bool urgent);
bool stream_writable(struct socket *s);
/* Urgent data (stream_oob.c). The last byte queued at s is urgent; n bytes of it have been read; recvmsg with MSG_OOB. */
void stream_urgent_locked(struct socket *s);
void stream_consumed_locked(struct socket *s, u32 n);
ssize_t stream_recv_urgent(struct socket *s, struct net_msg *m);
static inline bool stream_at_mark_locked(const struct socket *s) { return s->oob.urg && s->oob.urg_seq == s->oob.rx_seq; }
/* The urgent byte is no part of what a plain read gives. On AF_UNIX SO_OOBINLINE does not bring back one that was taken. */
static inline bool stream_skips_urgent(const struct socket *s)
{
    return !s->oobinline || (s->domain == AF_UNIX && s->oob.urg == URG_READ);
}
size_t stream_limit(const struct socket *s, const struct socket *peer);

/* --- datagrams of every family --- */
/* Waits for a message; *out is taken off the queue (or borrowed with s->lock held when peeking). */
ssize_t dgram_recvmsg(struct socket *s, struct net_msg *m);
u32 dgram_poll_common(struct socket *s);
/* Queues e, with its error, for MSG_ERRQUEUE, or drops it when there is no room. */
void dgram_queue_error(struct socket *s, struct sockbuf *e);
/* Queues b, or drops it when the queue has reached the socket's limit (not when it would pass it): true: queued. */
bool dgram_queue(struct socket *s, struct sockbuf *b);
/* The file went: what is queued goes too. */
void dgram_release(struct socket *s);

/* --- scm.c: descriptors in flight --- */
struct scm_files { unsigned n; u32 uid; bool inflight; struct file *f[]; };
struct scm_files *scm_files_new(unsigned n);
void scm_files_free(struct scm_files *fs);               /* puts the files; not in flight any more */
int scm_files_send(struct scm_files *fs);                /* counts them: -ETOOMANYREFS */
void scm_files_recv(struct scm_files *fs);               /* out of the queue */
struct scm_files *scm_files_dup(const struct scm_files *fs);
void scm_collect(void);                                  /* frees what only messages in unreachable sockets refer to */

#endif
