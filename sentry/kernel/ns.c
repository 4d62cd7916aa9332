/* Namespaces as objects, and the set of them that a task has. */
#include "sentry/kernel/ns.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/vfs/vfs.h"
#include <linux/capability.h>
#include <sched.h>
#include <string.h>

/* Numbers of the initial namespaces are the same on every Linux: include/linux/proc_ns.h. That of mounts and net are not. */
static const struct { const char *name; u32 inum; u64 flag; } kinds[NS_NTYPES] = {
    [NS_USER] = { "user", 0xEFFFFFFD, CLONE_NEWUSER }, [NS_MNT] = { "mnt", 0xF0000001, CLONE_NEWNS },
    [NS_UTS] = { "uts", 0xEFFFFFFE, CLONE_NEWUTS }, [NS_IPC] = { "ipc", 0xEFFFFFFF, CLONE_NEWIPC },
    [NS_NET] = { "net", 0xF0000000, CLONE_NEWNET }, [NS_PID] = { "pid", 0xEFFFFFFC, CLONE_NEWPID },
    [NS_CGROUP] = { "cgroup", 0xEFFFFFFB, CLONE_NEWCGROUP },
};
static u32 next_inum = 0xF0000002;     /* (a) */

const char *ns_type_name(enum ns_type type) { return kinds[type].name; }
u64 ns_clone_flag(enum ns_type type) { return kinds[type].flag; }
u32 ns_inum(const struct ns *ns, enum ns_type type) { return ns ? ns->inum : kinds[type].inum; }

void ns_init(struct ns *ns, enum ns_type type, struct user_ns *owner, void (*free_)(struct ns *ns))
{
    ref_init(&ns->refs);
    ns->type = type;
    ns->inum = atomic_add(&next_inum, 1) - 1;
    ns->owner = owner;
    if (owner) ref_get(&owner->ns.refs);
    ns->free = free_;
}

void ns_get(struct ns *ns)
{
    if (ns) ref_get(&ns->refs);
}

void ns_put(struct ns *ns)
{
    while (ns && ref_put(&ns->refs)) {
        struct user_ns *owner = ns->owner;
        ns->free(ns);
        ns = owner ? &owner->ns : NULL;
    }
}

/* --- a task's set --- */

static const size_t offsets[NS_NTYPES] = {
    [NS_UTS] = offsetof(struct nsproxy, uts), [NS_IPC] = offsetof(struct nsproxy, ipc), [NS_NET] = offsetof(struct nsproxy, net),
    [NS_PID] = offsetof(struct nsproxy, pid_children), [NS_CGROUP] = offsetof(struct nsproxy, cgroup),
};

static bool held(enum ns_type type) { return type != NS_USER && type != NS_MNT; }

/* Each of the pointers is to a structure that starts with its struct ns. */
struct ns *nsproxy_at(const struct nsproxy *p, enum ns_type type)
{
    struct ns *ns = NULL;
    if (p && held(type)) memcpy(&ns, (const char *)p + offsets[type], sizeof ns);
    return ns;
}

void nsproxy_set(struct nsproxy *p, enum ns_type type, struct ns *ns)
{
    ns_get(ns);
    ns_put(nsproxy_at(p, type));
    memcpy((char *)p + offsets[type], &ns, sizeof ns);
}

void nsproxy_get(struct nsproxy *p)
{
    if (p) ref_get(&p->refs);
}

void nsproxy_put(struct nsproxy *p)
{
    if (!p || !ref_put(&p->refs)) return;
    for (int i = 0; i < NS_NTYPES; i++) ns_put(nsproxy_at(p, (enum ns_type)i));
    free(p);
}

struct nsproxy *nsproxy_copy(const struct nsproxy *old)
{
    struct nsproxy *n = xnew(struct nsproxy);
    ref_init(&n->refs);
    for (int i = 0; i < NS_NTYPES; i++)
        if (held((enum ns_type)i)) nsproxy_set(n, (enum ns_type)i, nsproxy_at(old, (enum ns_type)i));
    return n;
}

static void free_plain(struct ns *ns) { free(ns); }

/* What Linux starts each IPC namespace with; nothing is inherited. include/uapi/linux/{shm,msg,sem}.h */
#define IPC_SETTINGS_INIT { .queues_max = 256, .msg_max = 10, .msgsize_max = 8192, .msg_default = 10, .msgsize_default = 8192, \
    .shmmax = UINT64_MAX - (1ULL << 24), .shmall = UINT64_MAX - (1ULL << 24), .shmmni = 4096, \
    .msgmax = 8192, .msgmnb = 16384, .msgmni = 32000, .sem = { 32000, 1024000000, 500, 32000 }, \
    .kind = { { .next_id = -1 }, { .next_id = -1 }, { .next_id = -1 } } }
static struct ipc_settings initial_ipc = IPC_SETTINGS_INIT;

/* ipc: destroys what System V objects are left of it. */
void ipc_ns_exit(u32 mark) __attribute__((weak));
static void free_ipc(struct ns *ns)
{
    if (ipc_ns_exit) ipc_ns_exit(ns->inum);
    free(ns);
}

/* net: the settings, and what is left of its connections. */
void net_ns_exit(struct net_ns *n) __attribute__((weak));
static void free_net(struct ns *ns)
{
    if (net_ns_exit) net_ns_exit(container_of(ns, struct net_ns, ns));
    free(ns);
}

static int make(const struct nsproxy *old, enum ns_type type, struct user_ns *owner, struct ns **out)
{
    switch (type) {
    case NS_UTS: {
        struct uts_ns *u = xnew(struct uts_ns);
        lock(&kernel.uts_lock);
        memcpy(u->nodename, old && old->uts ? old->uts->nodename : kernel.nodename, sizeof u->nodename);
        memcpy(u->domainname, old && old->uts ? old->uts->domainname : kernel.domainname, sizeof u->domainname);
        unlock(&kernel.uts_lock);
        *out = &u->ns;
        break;
    }
    case NS_CGROUP:
        *out = xnew(struct ns);
        break;
    case NS_NET:
        *out = &xnew(struct net_ns)->ns;
        ns_init(*out, type, owner, free_net);
        return 0;
    case NS_IPC: {
        struct ipc_ns *i = xnew(struct ipc_ns);
        i->set = (struct ipc_settings)IPC_SETTINGS_INIT;
        *out = &i->ns;
        ns_init(*out, type, owner, free_ipc);
        return 0;
    }
    case NS_PID:
        /* Nested ones are made by those who live in theirs: not by who has announced another for its children. */
        if (nsproxy_at(old, NS_PID) != (current->tg->pid_ns ? &current->tg->pid_ns->ns : NULL)) return -EINVAL;
        return pid_ns_new(current->tg->pid_ns, owner, out);
    default:
        return -EINVAL;
    }
    ns_init(*out, type, owner, free_plain);
    return 0;
}

int nsproxy_new(const struct nsproxy *old, u64 flags, const struct cred *c, struct nsproxy **out)
{
    *out = NULL;
    if (!(flags & NSPROXY_FLAGS)) return 0;
    if (!cred_ns_capable(c, c->user_ns, CAP_SYS_ADMIN)) return -EPERM;
    struct nsproxy *n = nsproxy_copy(old);
    for (int i = 0; i < NS_NTYPES; i++) {
        struct ns *ns;
        if (!held((enum ns_type)i) || !(flags & kinds[i].flag)) continue;
        int r = make(old, (enum ns_type)i, c->user_ns, &ns);
        if (r) {
            nsproxy_put(n);
            return r;
        }
        nsproxy_set(n, (enum ns_type)i, ns);
        ns_put(ns);
    }
    *out = n;
    return 0;
}

struct nsproxy *task_get_nsproxy(struct task *t)
{
    lock(&t->lock);
    struct nsproxy *p = t->ns;
    nsproxy_get(p);
    unlock(&t->lock);
    return p;
}

void task_set_nsproxy(struct nsproxy *p)
{
    struct task *t = current;
    lock(&t->lock);
    struct nsproxy *old = t->ns;
    t->ns = p;
    unlock(&t->lock);
    nsproxy_put(old);
}

bool task_ns_get(struct task *t, enum ns_type type, struct ns **out)
{
    *out = NULL;
    if (type == NS_USER) {
        struct cred *c = task_get_cred(t);
        *out = c->user_ns ? &c->user_ns->ns : NULL;
        ns_get(*out);
        cred_put(c);
    } else if (type == NS_MNT) {
        struct fs_context *fs = task_get_fs(t);
        if (!fs) return false;
        *out = &fs_get_ns(fs)->ns;
        fs_context_put(fs);
    } else if (type == NS_PID) {
        *out = t->tg->pid_ns ? &t->tg->pid_ns->ns : NULL;
        ns_get(*out);
    } else {
        struct nsproxy *p = task_get_nsproxy(t);
        *out = nsproxy_at(p, type);
        ns_get(*out);
        nsproxy_put(p);
    }
    return true;
}

static struct uts_ns *current_uts(void) { return current && current->ns ? current->ns->uts : NULL; }
char *uts_nodename(void) { return current_uts() ? current_uts()->nodename : kernel.nodename; }
char *uts_domainname(void) { return current_uts() ? current_uts()->domainname : kernel.domainname; }
static struct ipc_ns *current_ipc(void) { return current && current->ns ? current->ns->ipc : NULL; }
u32 ipc_ns_mark(void) { return current_ipc() ? current_ipc()->ns.inum : 0; }
struct ipc_settings *ipc_ns_settings(void) { return current_ipc() ? &current_ipc()->set : &initial_ipc; }
struct user_ns *ipc_ns_owner(void) { return current_ipc() ? current_ipc()->ns.owner : NULL; }
struct user_ns *uts_owner(void) { return current_uts() ? current_uts()->ns.owner : NULL; }
