/*
 * ucredsys: credentials of a process or of a socket's peer in one block, whose parts libc finds by their offsets; and what the names of
 * privileges are. Source: sys/ucred.h, sys/procfs_isa.h (prcred, prpriv), sys/priv.h, sys/priv_names.h; ucred_get(3C), getpeerucred(3C).
 */
#include "abi/solaris/net.h"
#include "abi/solaris/uapi_proc.h"
#include "sentry/base/alloc.h"
#include <linux/capability.h>

#define UCRED_GROUPS 1024u
struct ucred_head { u32 size, credoff, privoff; s32 pid; u32 audoff; s32 zoneid, projid; u32 labeloff; };
struct ucred_priv { u32 nsets, setsize, infosize, sets[SOL_PRIV_SETS][SOL_PRIV_WORDS]; struct { u32 type, size, val; } flags; };
SOL_SIZE(ucred_head, 32); SOL_SIZE(ucred_priv, 72);

static sysret_t ucred_out(gaddr_t buf, s32 pid, const struct cred *c)
{
    u32 n = MIN(c->ngroups, UCRED_GROUPS), cred_size = (u32)offsetof(struct sol_prcred, groups) + MAX(n, 1u) * 4;
    struct ucred_head h = { .credoff = sizeof(h), .privoff = (u32)sizeof(h) + ((cred_size + 7) & ~7u), .pid = pid };
    struct sol_prcred pc = { .euid = c->euid, .ruid = c->uid, .suid = c->suid, .egid = c->egid, .rgid = c->gid, .sgid = c->sgid, .ngroups = (s32)n };
    struct ucred_priv p = { .nsets = SOL_PRIV_SETS, .setsize = SOL_PRIV_WORDS, .infosize = sizeof(p.flags), .flags = { 4, sizeof(p.flags), 0 } };   /* PRIV_INFO_FLAGS */

    h.size = h.privoff + (u32)sizeof(p);
    for (int i = 0; i < SOL_PRIV_SETS; i++) sol_privs_of(c, i, p.sets[i]);
    if (copy_out(buf, &h, sizeof(h)) || copy_out(buf + h.credoff, &pc, offsetof(struct sol_prcred, groups)) || copy_out(buf + h.privoff, &p, sizeof(p))) return -EFAULT;
    return n && copy_out(buf + h.credoff + offsetof(struct sol_prcred, groups), c->groups, n * 4) ? -EFAULT : 0;
}

static sysret_t of_process(s32 pid, gaddr_t buf)
{
    struct task *t;

    if (pid == -1 || pid == current->tg->tgid) return ucred_out(buf, current->tg->tgid, current_cred());
    if (pid < 0) return -EINVAL;
    if (!(t = task_lookup_get(pid))) return -ESRCH;
    struct cred *c = task_get_cred(t);
    sysret_t r = cred_may_trace(current_cred(), c) ? ucred_out(buf, pid, c) : -EACCES;
    cred_put(c);
    task_put(t);
    return r;
}

/* A peer's ids were kept when it connected: effective ones, which stand for all three. */
static sysret_t of_peer(int fd, gaddr_t buf)
{
    struct cred c = { 0 };
    u32 groups[UCRED_GROUPS];
    s32 pid = 0;

    FILE_ARG(f, fd);
    struct socket *s = net_file_socket(f);
    if (!s) return -EOPNOTSUPP;
    lock(&s->lock);
    bool has = s->has_peercred;
    if (has) {
        pid = s->peercred.pid;
        c.uid = c.euid = c.suid = s->peercred.uid;
        c.gid = c.egid = c.sgid = s->peercred.gid;
        c.ngroups = MIN(s->peer_ngroups, UCRED_GROUPS);
        if (c.ngroups) memcpy(groups, s->peer_groups, c.ngroups * sizeof(u32));
        c.groups = groups;
    }
    unlock(&s->lock);
    if (!has) {
        struct net_addr peer;
        return s->ops->getname(s, &peer, true) ? -ENOTCONN : -EOPNOTSUPP;   /* connected, by a protocol that carries no credentials */
    }
    if (!c.uid) c.cap_permitted = c.cap_effective = ~0ULL;
    return ucred_out(buf, pid, &c);
}

/* ucredsys(op, pid or descriptor, buf) */
sysret_t solaris_ucredsys(const struct syscall_args *a)
{
    switch (ARG_INT(0)) {
    case 0: return of_process(ARG_INT(1), a->a[2]);
    case 1: return of_peer(ARG_INT(1), a->a[2]);
    default: return -EINVAL;
    }
}

/* --- privileges --- */

/* By number. The basic ones, which every process has, are marked by a '+'. */
static const char *const privs[] = {
    "contract_event", "contract_identity", "contract_observer", "cpc_cpu", "dtrace_kernel", "dtrace_proc", "dtrace_user", "file_chown", "file_chown_self",
    "file_dac_execute", "file_dac_read", "file_dac_search", "file_dac_write", "file_downgrade_sl", "file_flag_set", "+file_link_any", "file_owner", "+file_read", "file_setid",
    "file_upgrade_sl", "+file_write", "graphics_access", "graphics_map", "ipc_dac_read", "ipc_dac_write", "ipc_owner", "+net_access", "net_bindmlp", "net_icmpaccess",
    "net_mac_aware", "net_mac_implicit", "net_observability", "net_privaddr", "net_rawaccess", "proc_audit", "proc_chroot", "proc_clock_highres", "+proc_exec", "+proc_fork",
    "+proc_info", "proc_lock_memory", "proc_meminfo", "proc_owner", "proc_prioup", "proc_priocntl", "+proc_secflags", "+proc_session", "proc_setid", "proc_taskid", "proc_zone",
    "sys_acct", "sys_admin", "sys_audit", "sys_config", "sys_devices", "sys_dl_config", "sys_flow_config", "sys_ip_config", "sys_ipc_config", "sys_iptun_config", "sys_linkdir",
    "sys_mount", "sys_net_config", "sys_nfs", "sys_ppp_config", "sys_res_bind", "sys_res_config", "sys_resource", "sys_smb", "sys_suser_compat", "sys_time", "sys_trans_label",
    "virt_manage", "win_colormap", "win_config", "win_dac_read", "win_dac_write", "win_devices", "win_dga", "win_downgrade_sl", "win_fontpath", "win_mac_read", "win_mac_write",
    "win_selection", "win_upgrade_sl", "xvm_control",
};
_Static_assert(ARRAY_LEN(privs) <= SOL_PRIV_WORDS * 32, "privilege sets are too small");

static void basic_privs(u32 out[SOL_PRIV_WORDS])
{
    memset(out, 0, SOL_PRIV_WORDS * sizeof(u32));
    for (u32 i = 0; i < ARRAY_LEN(privs); i++)
        if (privs[i][0] == '+') out[i / 32] |= 0x80000000u >> (i % 32);     /* the highest bit is the lowest number */
}

void sol_privs_of(const struct cred *c, int set, u32 out[SOL_PRIV_WORDS])
{
    if (cred_capable(c, CAP_SYS_ADMIN) || set == SOL_PRIV_LIMIT) memset(out, 0xff, SOL_PRIV_WORDS * sizeof(u32));
    else basic_privs(out);
}

static size_t put_names(u8 *at, u32 type, const char *const *names, u32 n, bool skip_mark)
{
    size_t len = 12;
    u32 head[3] = { type, 0, n };

    for (u32 i = 0; i < n; i++) {
        const char *s = names[i] + (skip_mark && names[i][0] == '+');
        strcpy((char *)at + len, s);
        len += strlen(s) + 1;
    }
    len = (len + 3) & ~(size_t)3;
    head[1] = (u32)len;
    memcpy(at, head, sizeof(head));
    return len;
}

/* priv_impl_info_t and what follows it; as much of it as there is room for. */
sysret_t sol_priv_info(gaddr_t buf, u64 room)
{
    static const char *const sets[SOL_PRIV_SETS] = { "Effective", "Inheritable", "Permitted", "Limit" };
    AUTO_FREE u8 *b = xzalloc(4096);
    u32 head[7] = { sizeof(head), 0, SOL_PRIV_SETS, SOL_PRIV_WORDS, ARRAY_LEN(privs), 12, 0 };
    u32 basic[2 + SOL_PRIV_WORDS] = { 3, sizeof(basic) };                    /* PRIV_INFO_BASICPRIVS */
    size_t n = sizeof(head);

    n += put_names(b + n, 1, sets, SOL_PRIV_SETS, false);                    /* PRIV_INFO_SETNAMES */
    n += put_names(b + n, 2, privs, ARRAY_LEN(privs), true);                 /* PRIV_INFO_PRIVNAMES */
    basic_privs(basic + 2);
    memcpy(b + n, basic, sizeof(basic));
    n += sizeof(basic);
    head[6] = (u32)(n - sizeof(head));
    memcpy(b, head, sizeof(head));
    return copy_out(buf, b, MIN(n, room));
}
