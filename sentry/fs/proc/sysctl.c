/* /proc/sys. proc_sys(5), Documentation/admin-guide/sysctl. Values are the kernel's own limits, not wishes. */
#include "abi/abi.h"
#include "sentry/base/hostcall.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/sysctl_num.h"
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/pid_ns.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CONST_FILE(fn, text) static int fn(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%s\n", text); return 0; }

static int show_hostname(struct synth_node *n UNUSED, struct strbuf *b)
{
    lock(&kernel.uts_lock);
    strbuf_printf(b, "%s\n", uts_nodename());
    unlock(&kernel.uts_lock);
    return 0;
}
static int store_name(char *(*dst)(void), char *text)
{
    text[strcspn(text, "\n")] = 0;
    if (!ns_capable(uts_owner(), 21 /* CAP_SYS_ADMIN */)) return -EPERM;
    if (strlen(text) > 64) return -EINVAL;
    lock(&kernel.uts_lock);
    snprintf(dst(), 65, "%s", text);
    unlock(&kernel.uts_lock);
    return 0;
}
static int store_hostname(struct synth_node *n UNUSED, char *text, size_t len UNUSED) { return store_name(uts_nodename, text); }
static int show_domainname(struct synth_node *n UNUSED, struct strbuf *b)
{
    lock(&kernel.uts_lock);
    strbuf_printf(b, "%s\n", uts_domainname());
    unlock(&kernel.uts_lock);
    return 0;
}
static int store_domainname(struct synth_node *n UNUSED, char *text, size_t len UNUSED) { return store_name(uts_domainname, text); }
static int show_pid_max(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%d\n", kernel.pid_max); return 0; }
static int store_pid_max(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    long v = strtol(text, NULL, 10);
    if (!capable(21)) return -EPERM;
    if (v < 301 || v > 4194304) return -EINVAL;
    lock(&kernel.tasklist);
    kernel.pid_max = (s32)v;
    unlock(&kernel.tasklist);
    return 0;
}

/* Of the namespace of whoever looks; checkpoint and restore sets it. pid_namespaces(7) */
static int show_last_pid(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%d\n", pid_ns_last(current->tg->pid_ns)); return 0; }
static int store_last_pid(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    const struct user_ns *u = current->tg->pid_ns ? current->tg->pid_ns->ns.owner : NULL;
    u64 v;
    if (!ns_capable(u, CAP_SYS_ADMIN) && !ns_capable(u, CAP_CHECKPOINT_RESTORE)) return -EPERM;
    if (sysctl_parse(&text, &v) || *text || v >= (u64)kernel.pid_max) return -EINVAL;
    pid_ns_set_last(current->tg->pid_ns, (s32)v);
    return 0;
}

static void random_uuid(char out[37])
{
    u8 u[16] = { 0 };
    ssize_t r = getrandom(u, sizeof(u), 0);
    (void)r;
    u[6] = (u[6] & 15) | 0x40;
    u[8] = (u[8] & 63) | 0x80;
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8],
             u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}
static int show_uuid(struct synth_node *n UNUSED, struct strbuf *b)
{
    char s[37];
    random_uuid(s);
    strbuf_printf(b, "%s\n", s);
    return 0;
}
static int show_boot_id(struct synth_node *n UNUSED, struct strbuf *b)
{
    static lock_t l = LOCK_INIT(LC_LEAF);
    static char id[37];
    lock(&l);
    if (!id[0]) random_uuid(id);
    strbuf_printf(b, "%s\n", id);
    unlock(&l);
    return 0;
}
/* What is cached here is not memory that could be given back on request: done at once, whatever is asked for. */
static int show_dropped(struct synth_node *n UNUSED, struct strbuf *b UNUSED) { strbuf_printf(b, "0\n"); return 0; }
static int store_drop_caches(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    long v = strtol(text, NULL, 10);
    if (!capable(21)) return -EPERM;
    return v < 1 || v > 4 ? -EINVAL : 0;
}
CONST_FILE(show_ostype, "Linux")
CONST_FILE(show_osrelease, KERNEL_RELEASE)
CONST_FILE(show_kversion, KERNEL_VERSION)
CONST_FILE(show_cap_last, "40")
CONST_FILE(show_0, "0")
CONST_FILE(show_1, "1")
/* Linux takes any number and makes as many as there is room for: here that is none. */
static int store_hugepages(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    u64 v;
    return sysctl_parse(&text, &v) || *text ? -EINVAL : 0;
}
CONST_FILE(show_2, "2")
CONST_FILE(show_256, "256")
CONST_FILE(show_65534, "65534")
CONST_FILE(show_65536, "65536")
static int show_core_pattern(struct synth_node *n UNUSED, struct strbuf *b)
{
    char p[CORE_PATTERN_MAX + 1];
    core_pattern_get(p);
    strbuf_printf(b, "%s\n", p);
    return 0;
}
static int store_core_pattern(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    text[strcspn(text, "\n")] = 0;
    return capable(21) ? core_pattern_set(text) : -EPERM;
}
static int show_core_uses_pid(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%u\n", atomic_load(&core_uses_pid)); return 0; }
static int store_core_uses_pid(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (!capable(21)) return -EPERM;
    if (end == text || (*end && *end != '\n')) return -EINVAL;
    atomic_store(&core_uses_pid, v != 0);
    return 0;
}
CONST_FILE(show_ngroups, "65536")
CONST_FILE(show_50, "50")
CONST_FILE(show_60, "60")
CONST_FILE(show_10, "10")
CONST_FILE(show_seccomp_avail, "kill_process kill_thread trap errno log allow")
CONST_FILE(show_pty_max, "4096")

static const struct synth_entry random_dir[] = {
    SYNTH_FILE("uuid", show_uuid), SYNTH_FILE("boot_id", show_boot_id), SYNTH_FILE("entropy_avail", show_256), SYNTH_FILE("poolsize", show_256), { 0 } };
static const struct synth_entry seccomp_dir[] = { SYNTH_FILE("actions_avail", show_seccomp_avail), { 0 } };
static const struct synth_entry pty_dir[] = { SYNTH_FILE("max", show_pty_max), { 0 } };
static const struct synth_entry kernel_dir[] = {
    SYNTH_FILE("ostype", show_ostype), SYNTH_FILE("osrelease", show_osrelease), SYNTH_FILE("version", show_kversion),
    { .name = "hostname", .mode = S_IFREG | 0644, .show = show_hostname, .store = store_hostname },
    { .name = "domainname", .mode = S_IFREG | 0644, .show = show_domainname, .store = store_domainname },
    { .name = "ns_last_pid", .mode = S_IFREG | 0666, .show = show_last_pid, .store = store_last_pid },
    { .name = "pid_max", .mode = S_IFREG | 0644, .show = show_pid_max, .store = store_pid_max },
    { .name = "threads-max", .mode = S_IFREG | 0644, .show = proc_show_threads_max, .store = proc_store_threads_max }, SYNTH_FILE("cap_last_cap", show_cap_last), SYNTH_FILE("overflowuid", show_65534),
    SYNTH_FILE("overflowgid", show_65534), SYNTH_FILE("ngroups_max", show_ngroups), 
    { .name = "core_pattern", .mode = S_IFREG | 0644, .show = show_core_pattern, .store = store_core_pattern },
    { .name = "core_uses_pid", .mode = S_IFREG | 0644, .show = show_core_uses_pid, .store = store_core_uses_pid }, SYNTH_FILE("tainted", show_0), SYNTH_FILE("panic", show_0), SYNTH_FILE("randomize_va_space", show_2),
    SYNTH_FILE("sched_child_runs_first", show_0), SYNTH_FILE("perf_event_paranoid", show_2), SYNTH_FILE("kptr_restrict", show_1),
    SYNTH_FILE("dmesg_restrict", show_1), SYNTH_FILE("unprivileged_bpf_disabled", show_2),
    SYNTH_DIR("random", random_dir), SYNTH_DIR("seccomp", seccomp_dir), SYNTH_DIR("pty", pty_dir), SYNTH_DIR("keys", proc_sys_keys), { .children = proc_sys_ipc } };
static const struct synth_entry vm_dir[] = {
    SYNTH_FILE("overcommit_memory", show_1), SYNTH_FILE("overcommit_ratio", show_50),
    SYNTH_FILE("swappiness", show_60), SYNTH_FILE("mmap_min_addr", show_65536),
    { .name = "nr_hugepages", .mode = S_IFREG | 0644, .show = show_0, .store = store_hugepages },
    { .name = "drop_caches", .mode = S_IFREG | 0644, .show = show_dropped, .store = store_drop_caches },
    { .children = proc_sys_vm_limits } };
static const struct synth_entry unix_dir[] = { SYNTH_FILE("max_dgram_qlen", show_10), { 0 } };
static const struct synth_entry none_dir[] = { { 0 } };
#define NET_DIR(n) { .name = (n), .mode = S_IFDIR | 0555, .children = none_dir, .lookup = proc_sys_net_lookup, .next = proc_sys_net_next }
static const struct synth_entry net_dir[] = { NET_DIR("core"), { .name = "ipv4", .mode = S_IFDIR | 0555, .children = proc_sys_net_ipv4, .lookup = proc_sys_net_lookup, .next = proc_sys_net_next }, NET_DIR("ipv6"), SYNTH_DIR("unix", unix_dir), { 0 } };

static int show_max_userns(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%u\n", atomic_load(&user_ns_max)); return 0; }
static int store_max_userns(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (!capable(21)) return -EPERM;
    if (end == text || (*end && *end != '\n') || v > INT32_MAX) return -EINVAL;
    __atomic_store_n(&user_ns_max, (u32)v, __ATOMIC_RELAXED);
    return 0;
}
static const struct synth_entry user_dir[] = {
    { .name = "max_user_namespaces", .mode = S_IFREG | 0644, .show = show_max_userns, .store = store_max_userns }, { 0 } };

const struct synth_entry proc_sys_dir[] = {
    SYNTH_DIR("kernel", kernel_dir), SYNTH_DIR("vm", vm_dir), SYNTH_DIR("fs", proc_sys_fs_dir), SYNTH_DIR("net", net_dir),
    SYNTH_DIR("user", user_dir), { 0 } };
