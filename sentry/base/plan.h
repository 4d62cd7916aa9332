/*
 * The plan: what `sundog` tells sentry and gofer to do, one compact binary record list read from an inherited
 * descriptor. sundog is trusted by both; still every length is checked (a truncated plan is a clear error).
 *
 * Encoding: records { u16 kind; u16 flags; u32 len; u8 data[len]; padded to 8 }. Little endian, native. Strings are
 * NUL-terminated inside data; multi-field records are a fixed struct followed by strings.
 */
#ifndef SUNDOG_BASE_PLAN_H
#define SUNDOG_BASE_PLAN_H

#include "sentry/base/types.h"

enum plan_kind {
    PLAN_END = 0,
    /* sentry */
    PLAN_ARG = 1,            /* string; repeated: argv */
    PLAN_ENV,                /* string; repeated: envp */
    PLAN_CWD,                /* string */
    PLAN_HOSTNAME,           /* string */
    PLAN_CRED,               /* struct plan_cred, then u32 groups[] */
    PLAN_RLIMIT,             /* struct plan_rlimit; repeated */
    PLAN_MOUNT,              /* struct plan_mount, then target\0 source\0 what of a file system is shown\0 (may be empty); in order; the first is the root */
    PLAN_SYMLINK,            /* target\0 linkpath\0: made in the root tmpfs before the program starts */
    PLAN_DIR,                /* u32 mode (| PLAN_DIR_OWNED), path\0 */
    PLAN_FILE,               /* u32 mode, path\0, contents (rest): small synthesised files */
    PLAN_FD,                 /* struct plan_fd: inherited host descriptor becomes guest fd */
    PLAN_CONSOLE,            /* struct plan_console: a host terminal shown to the guest as a pty on fds 0..2 */
    PLAN_OPTION,             /* struct plan_options: flags and numbers */
    PLAN_PLATFORM,           /* string: ptrace kvm trap auto */
    PLAN_ABI,                /* string: auto linux solaris */
    PLAN_DOMAINNAME,
    PLAN_SOLARIS_PIECES,     /* u32: gofer root with our dynamic linker and libraries for Solaris programs */
    PLAN_NET,                /* struct plan_net, struct plan_net_rule[nrules], then the sources' names, each with its NUL. Absent: loopback.
                                The broker's plan holds the same record. */
    /* containers: after the mounts, in the order of the plan */
    PLAN_NODE = 32,          /* struct plan_node, path\0: a device node or FIFO */
    PLAN_LINK,               /* target\0 linkpath\0 */
    PLAN_MASK,               /* path\0: a file reads as /dev/null, a directory as empty; absent ones are left out */
    PLAN_READONLY,           /* path\0: read-only from here on; absent ones are left out */
    PLAN_REMOUNT,            /* u32 MNT_* flags, path\0: new flags of the mount there */
    PLAN_SYSCTL,             /* key\0 value\0: written to /proc/sys */
    PLAN_SECCOMP,            /* u32 flags, then struct sock_filter[]: the program's seccomp filter */
    PLAN_IDMAP,              /* u32 0 users, 1 groups; then struct plan_idmap[]: what /proc/PID/{uid,gid}_map show */
    PLAN_PROCESS,            /* struct plan_process */
    PLAN_SESSION_KEYRING,    /* string: name of the session keyring that the container's processes start with. Absent: none */
    PLAN_NOTIFY,             /* path\0: a socket, as sd_notify(3) wants one; what is sent to it becomes CTL_NOTIFY */
    /* policy: sentry, gofer and broker */
    PLAN_EVENT_RECORD = 47,  /* struct plan_event_record; before PLAN_POLICY; the sentry alone */
    PLAN_POLICY = 48,        /* struct plan_policy */
    PLAN_PATH_RULE,          /* struct plan_path_rule, pattern\0 */
    PLAN_CONN_RULE,          /* struct plan_net_rule, host name\0 (empty: by address) */
    PLAN_NET_PIN,            /* u8 address[16], name\0: the name was resolved to it */
    PLAN_SYS_RULE,           /* u32 rule id, name\0: a system call that is refused with EPERM */
    PLAN_DNS,                /* struct plan_dns, struct plan_dns_server[nservers]: names are looked up by the broker */
    /* gofer */
    PLAN_ROOT = 64,          /* struct plan_root: inherited O_PATH descriptor of a root; index by order; then where it is
                                shown\0, from which the path rules count (absent: no rules) */
};

struct plan_record { u16 kind, flags; u32 len; };

struct plan_cred { u32 uid, gid, umask; u32 ngroups; u64 caps[5]; /* inheritable permitted effective bounding ambient */ u32 no_new_privs; u32 pad; };
struct plan_rlimit { u32 which, pad; u64 soft, hard; };
enum plan_mount_type { PM_TMPFS = 1, PM_GOFER, PM_OVERLAY /* gofer root below, tmpfs above */, PM_PROC, PM_SYS, PM_DEV, PM_DEVPTS, PM_MQUEUE, PM_CGROUP,
    PM_PIDS_CURRENT, PM_PIDS_MAX /* files: the container's own figures over those of its cgroup on the host */ };
struct plan_mount { u32 type; u32 flags; /* MNT_* of vfs.h */ u32 gofer_root; u32 mode; u64 size; u32 exclusive; u32 how; /* PLAN_MOUNT_* */ u32 uid, gid; /* of a tmpfs' root */
                    u32 upper_root; /* PM_OVERLAY: gofer root above + 1; 0: tmpfs */ u32 pad; };
#define PLAN_MOUNT_COPYUP 1u  /* tmpfs: starts with what lay there */
/* At most one kind of propagation; of the root at the end, when all is mounted, of others at once. */
#define PLAN_MOUNT_SHARED 2u
#define PLAN_MOUNT_SLAVE 4u
#define PLAN_MOUNT_PRIVATE 8u
#define PLAN_MOUNT_UNBINDABLE 16u
#define PLAN_MOUNT_PROPAGATION_REC 32u
struct plan_node { u32 mode, uid, gid, pad; u64 rdev; };
struct plan_idmap { u32 inside, outside, count; };
struct plan_process { u32 flags, personality; s32 oom_score_adj; u32 ioprio; s32 sched_policy, sched_prio, nice; u32 pad; };
#define PLAN_PROCESS_OOM 1u
#define PLAN_PROCESS_IOPRIO 2u
#define PLAN_PROCESS_SCHED 4u
struct plan_fd { s32 host_fd, guest_fd; };
struct plan_console { s32 host_fd; u16 rows, cols; u32 guest_mask; /* bit n: guest fd n is the console */ };
#define PLAN_DNS_ALL 1u            /* names that the rules deny are answered as well, and recorded */
#define PLAN_DNS_LEARN 2u          /* record what rules will be needed for, though a rule allows everything now */
struct plan_dns { s32 log_fd; /* inherited: struct dnslog */ u32 flags, nservers, pad; };
struct plan_dns_server { u8 ip[16]; u32 scope; u16 port, pad; };
#define PLAN_DIR_OWNED 0x80000000u /* belongs to the program's user, else to root */
#define PLAN_OPT_STRACE 1u
#define PLAN_OPT_STRACE_JSON 2u
#define PLAN_OPT_BACKTRACE 4u
#define PLAN_OPT_TIMING 8u
#define PLAN_OPT_DEBUG 16u
#define PLAN_OPT_CONTAINER 256u   /* init is an init, errors are worded as container engines know them, HOME is looked up */
#define PLAN_OPT_HOLD 512u        /* load the program, then wait for CTL_START */
#define PLAN_OPT_NO_PATCH 32u
struct plan_options { u32 flags; s32 trace_fd; /* where strace and events go; -1 stderr */ u64 mem_limit; u32 ncpus; u32 pids; /* tasks, 0: no limit */ };

/*
 * The network. Rules are for mode host: the first that matches decides, else the direction's default. Sentry and broker
 * both ask them (sentry/base/netrules.h).
 */
enum plan_net_mode { PLAN_NET_NONE, PLAN_NET_LOOPBACK, PLAN_NET_HOST };
#define PLAN_NET_OUT 1u    /* connect, or send to: address and port are the peer's */
#define PLAN_NET_BIND 2u   /* bind, listen: address and port are the socket's own; port 0 asks for any */
#define PLAN_NET_IN 4u     /* an accepted connection: the peer's address, our port; joining a multicast group: its address, our port */
struct plan_net { u32 mode; u32 nrules; u32 allow; /* PLAN_NET_*: directions in which what no rule matches is allowed */ u32 pad; };
struct plan_net_rule {
    u8 allow;              /* else deny */
    u8 dirs;               /* PLAN_NET_* */
    u8 family;             /* 0: both, 4, 6 */
    u8 proto;              /* 0: all; IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP (both ICMPs) */
    u8 addr[16];           /* IPv4 as ::ffff:a.b.c.d */
    u8 prefix;             /* bits of addr that count, of 128 (an IPv4 /8: 104); 0: any address */
    u8 pad[3];
    u16 port_lo, port_hi;  /* inclusive; 0 and 65535: all */
    u32 line, source;      /* where it was written: line of the source-th name */
};

struct plan_root { s32 fd; u32 flags; };
/* run --record: the record (evlog.h) with times. event_fd as in plan_policy, where there is one; else -1 */
struct plan_event_record { s32 event_fd; u32 pad; };
#define PLAN_POLICY_WARN 1u        /* what a rule denies is let through and recorded */
#define PLAN_POLICY_ROOT 2u        /* names that are absent in the root file system are recorded */
#define PLAN_POLICY_LOOK 8u        /* objects that are only looked up are recorded too */
#define PLAN_POLICY_NET_HOST 16u   /* the loopback is the host's: no exception for it */
#define PLAN_POLICY_NET_DENY 4u    /* connections that no rule names are refused, except inside the sandbox */
struct plan_policy { u32 flags; s32 event_fd; /* sealed memory file of the record (evlog.h); -1 none */ u32 max_tasks; /* 0: no limit */ u32 pad; };
struct plan_path_rule { u32 id, perms; /* PR_* of pathrules.h */ };
struct plan_conn_rule { u32 id; u8 op, allow, protos, prefix; u16 lo, hi; u8 ip[16]; u32 pad; };
#define PLAN_ROOT_RO 1u
#define PLAN_ROOT_NOEXEC 2u
#define PLAN_ROOT_NODEV_CREATE 4u   /* always set in practice: refuse device nodes */
#define PLAN_ROOT_ALLOW_SUID 8u
#define PLAN_ROOT_LAYER 32u         /* the upper of an overlay: whiteouts (character device 0/0) may be made */
#define PLAN_ROOT_FILE 16u          /* the root is a single file, not a directory */

/* Writer (runtime). */
struct plan_writer { u8 *buf; size_t len, cap; };
void plan_begin(struct plan_writer *w);
void plan_add(struct plan_writer *w, enum plan_kind kind, const void *data, size_t len);
void plan_add_str(struct plan_writer *w, enum plan_kind kind, const char *s);
void plan_add2(struct plan_writer *w, enum plan_kind kind, const void *fixed, size_t fixed_len, const char *const *strings, size_t n);
int plan_send(struct plan_writer *w, int fd);        /* writes all, frees the buffer */
void plan_writer_fini(struct plan_writer *w);

/* Reader. */
struct plan_reader { const u8 *buf; size_t len, pos; };
int plan_read_fd(int fd, u8 **buf, size_t *len);     /* whole; limit 64 MiB: -E2BIG */
/* 1 and a record, 0 at PLAN_END, -EINVAL malformed or truncated. data is 8-aligned. */
int plan_next(struct plan_reader *r, struct plan_record *rec, const u8 **data);
/* The n-th NUL-terminated string of data after `fixed` bytes; NULL if absent or unterminated. */
const char *plan_string(const u8 *data, size_t len, size_t fixed, unsigned n);

#endif
