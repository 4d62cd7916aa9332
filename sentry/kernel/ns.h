/*
 * Namespaces other than those of mounts (vfs/mount.c): user, UTS, IPC, network, pid, cgroup. namespaces(7)
 * The initial one of each kind is a NULL pointer wherever a namespace is pointed to; only its number exists.
 */
#ifndef SUNDOG_KERNEL_NS_H
#define SUNDOG_KERNEL_NS_H

#include "sentry/kernel/cred.h"

enum ns_type { NS_USER, NS_MNT, NS_UTS, NS_IPC, NS_NET, NS_PID, NS_CGROUP, NS_NTYPES };

/* At the start of each namespace. */
struct ns {
    refcount_t refs;
    enum ns_type type;             /* (c) */
    u32 inum;                      /* (c) shown in /proc/PID/ns */
    struct user_ns *owner;         /* (c) counted; capabilities over it are those held there. Of a user_ns: its parent */
    void (*free)(struct ns *ns);   /* (c) last reference */
};
void ns_init(struct ns *ns, enum ns_type type, struct user_ns *owner, void (*free_)(struct ns *ns));   /* takes a reference of owner */
void ns_get(struct ns *ns);                    /* NULL allowed in both */
void ns_put(struct ns *ns);
u32 ns_inum(const struct ns *ns, enum ns_type type);       /* NULL: the initial one's */
const char *ns_type_name(enum ns_type type);               /* "mnt" */
u64 ns_clone_flag(enum ns_type type);                      /* CLONE_NEWNS */

/* --- user namespaces (user_ns.c). Inside the kernel ids are always the initial namespace's; user_namespaces(7) --- */
#define USER_NS_LEVELS 32
#define ID_MAP_EXTENTS 340
#define OVERFLOW_ID 65534u
#define NO_ID (~0u)
struct id_extent { u32 first, kernel, count; };
struct id_map { unsigned n; struct id_extent *e; };        /* written once; n is published last */
struct user_ns {
    struct ns ns;
    unsigned level;                /* (c) the initial one has 0 */
    u32 owner_uid, owner_gid;      /* (c) euid and egid of the maker */
    bool parent_setfcap;           /* (c) the maker had CAP_SETFCAP over the parent */
    struct id_map uid, gid;
    bool setgroups_denied;         /* under the maps' lock */
};
static inline struct user_ns *user_ns_parent(const struct user_ns *u) { return u->ns.owner; }
/* A child of c's namespace, and c made the credentials of its first task. c is private to the caller. -EPERM -ENOSPC */
int user_ns_new(struct cred *c);
/* setns(2): all capabilities in ns. c is private to the caller. */
void user_ns_enter(struct cred *c, struct user_ns *ns);
u32 id_from_ns(const struct user_ns *ns, enum id_kind k, u32 id);      /* kernel id, NO_ID: not mapped */
u32 id_to_ns(const struct user_ns *ns, enum id_kind k, u32 id);        /* NO_ID: not mapped */
extern u32 user_ns_max;                                                /* (a) /proc/sys/user/max_user_namespaces */
/* /proc/PID/uid_map and gid_map, /proc/PID/setgroups; opener: who opened the file. */
struct strbuf;
void user_ns_show_map(const struct user_ns *ns, enum id_kind k, const struct user_ns *reader, struct strbuf *b);
int user_ns_write_map(struct user_ns *ns, enum id_kind k, const struct cred *opener, char *text);
bool user_ns_setgroups_allowed(const struct user_ns *ns);              /* setgroups(2) and the file */
int user_ns_deny_setgroups(struct user_ns *ns, bool deny);
/* May setgroups(2) be called there at all: the map is written, and it is not denied. */
bool user_ns_may_setgroups(const struct user_ns *ns);

/* --- the others, as one task has them; immutable once published --- */
struct uts_ns { struct ns ns; char nodename[65], domainname[65]; /* under kernel.uts_lock */ };
/* One kind of System V objects of a namespace. used, total: under its table's lock (ipc/ids.h). */
enum ipc_kind { IPC_KIND_SHM, IPC_KIND_SEM, IPC_KIND_MSG, IPC_NKINDS };
struct ipc_count {
    u32 used;                      /* objects */
    u64 total, items;              /* pages of segments; semaphores; bytes and messages */
    s32 next_id;                   /* (a) wanted for the next one, then -1 again */
};
/* Settings of an IPC namespace, by name as below /proc/sys. (a) but for nqueues, which is the mqueue names lock's. */
struct ipc_settings {
    u32 queues_max, msg_max, msgsize_max, msg_default, msgsize_default;
    u32 shm_rmid_forced, shmmni, msgmax, msgmnb, msgmni;
    u64 shmmax, shmall;
    u32 sem[4];                    /* SEMMSL, SEMMNS, SEMOPM, SEMMNI */
    struct ipc_count kind[IPC_NKINDS];
    unsigned nqueues;
};
struct ipc_ns { struct ns ns; struct ipc_settings set; };
#define NET_NS_LO_SETTINGS 2
struct net_ns { struct ns ns; struct net_devs *devs; /* (a) owned; net/dev.h */ u32 lo_settings[NET_NS_LO_SETTINGS]; /* (a) net/socket.h */ struct inet_ns *inet; /* (a) owned; net/inet_ns.h */ };
struct pid_ns;
struct nsproxy {
    refcount_t refs;
    struct uts_ns *uts;
    struct ipc_ns *ipc;
    struct net_ns *net;
    struct pid_ns *pid_children;
    struct ns *cgroup;
};
void nsproxy_get(struct nsproxy *p);           /* NULL allowed in both */
void nsproxy_put(struct nsproxy *p);
struct nsproxy *nsproxy_copy(const struct nsproxy *old);                /* private; NULL: of the initial one */
/* What of flags (CLONE_NEW*) a nsproxy holds is made new for an owner of creds c, whose right is checked. *out may be NULL. */
#define NSPROXY_FLAGS (0x04000000u /* UTS */ | 0x08000000u /* IPC */ | 0x40000000u /* NET */ | 0x20000000u /* PID */ | 0x02000000u /* CGROUP */)
int nsproxy_new(const struct nsproxy *old, u64 flags, const struct cred *c, struct nsproxy **out);
void nsproxy_set(struct nsproxy *p, enum ns_type type, struct ns *ns);  /* takes a reference of ns */
struct ns *nsproxy_at(const struct nsproxy *p, enum ns_type type);      /* borrowed, NULL: initial */
struct task;
struct nsproxy *task_get_nsproxy(struct task *t);                       /* counted or NULL */
void task_set_nsproxy(struct nsproxy *p);                               /* of current; consumes */
/* The namespace of a kind that t is in (of pid: its own), counted. False: t is gone. */
bool task_ns_get(struct task *t, enum ns_type type, struct ns **out);

/* Buffers of current's UTS namespace; kernel.uts_lock is held. */
char *uts_nodename(void);
char *uts_domainname(void);
struct user_ns *uts_owner(void);
/* Number that marks what belongs to current's IPC namespace; 0: the initial one. */
u32 ipc_ns_mark(void);
struct user_ns *ipc_ns_owner(void);
struct ipc_settings *ipc_ns_settings(void);    /* of current's; lives as long as that */

#endif
