/* /proc/sys. proc_sys(5), Documentation/admin-guide/sysctl. Values are the kernel's own limits, not wishes. */
#include "abi/abi.h"
#include "sentry/base/hostcall.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/ipc/mqueue.h"
#include "sentry/ipc/sysv.h"
#include "sentry/kernel/ns.h"
#include "sentry/vfs/aio.h"

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
static int show_threads_max(struct synth_node *n UNUSED, struct strbuf *b)
{
    u64 total, free_;
    proc_memory(&total, &free_);
    strbuf_printf(b, "%llu\n", (unsigned long long)MIN(total / (8 * 16384), (u64)kernel.max_tasks));
    return 0;
}

CONST_FILE(show_ostype, "Linux")
CONST_FILE(show_osrelease, KERNEL_RELEASE)
CONST_FILE(show_kversion, KERNEL_VERSION)
CONST_FILE(show_cap_last, "40")
CONST_FILE(show_0, "0")
CONST_FILE(show_1, "1")
CONST_FILE(show_2, "2")
CONST_FILE(show_256, "256")
CONST_FILE(show_65534, "65534")
CONST_FILE(show_65536, "65536")
CONST_FILE(show_core_pattern, "core")
CONST_FILE(show_ngroups, "65536")
CONST_FILE(show_max_map_count, "65530")
CONST_FILE(show_50, "50")
CONST_FILE(show_60, "60")
CONST_FILE(show_file_max, "9223372036854775807")
CONST_FILE(show_file_nr, "0\t0\t9223372036854775807")
CONST_FILE(show_nr_open, "1048576")
static int show_aio_max_nr(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%u\n", AIO_MAX_NR); return 0; }
static int show_aio_nr(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%u\n", aio_nr()); return 0; }
CONST_FILE(show_1048576, "1048576")
CONST_FILE(show_16384, "16384")
CONST_FILE(show_128, "128")
CONST_FILE(show_8192, "8192")
CONST_FILE(show_10, "10")
CONST_FILE(show_4096, "4096")
CONST_FILE(show_seccomp_avail, "kill_process kill_thread trap errno log allow")
CONST_FILE(show_shmmax, "18446744073692774399")
CONST_FILE(show_sem, "32000\t1024000000\t500\t32000")
CONST_FILE(show_32000, "32000")
CONST_FILE(show_pty_max, "4096")

/* Settings of the IPC namespace of whoever looks. mq_overview(7), proc_sys_kernel(5) */
static int store_setting(u32 *at, const char *text, u32 min, u32 max)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (end == text || end[strspn(end, " \t\n")] || v < (long)min || v > (long)max) return -EINVAL;
    __atomic_store_n(at, (u32)v, __ATOMIC_RELAXED);
    return 0;
}
#define IPC_SETTING(field, min, max) \
    static int show_##field(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%u\n", atomic_load(&ipc_ns_settings()->field)); return 0; } \
    static int store_##field(struct synth_node *n UNUSED, char *text, size_t len UNUSED) { return store_setting(&ipc_ns_settings()->field, text, min, max); }
#define IPC_FILE(field) { .name = #field, .mode = S_IFREG | 0644, .show = show_##field, .store = store_##field }
static int show_shm_rmid_forced(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "%u\n", atomic_load(&ipc_ns_settings()->shm_rmid_forced));
    return 0;
}
static int store_shm_rmid_forced(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    int r = store_setting(&ipc_ns_settings()->shm_rmid_forced, text, 0, 1);
    if (!r) shm_remove_orphans();
    return r;
}

static const struct synth_entry random_dir[] = {
    SYNTH_FILE("uuid", show_uuid), SYNTH_FILE("boot_id", show_boot_id), SYNTH_FILE("entropy_avail", show_256), SYNTH_FILE("poolsize", show_256), { 0 } };
static const struct synth_entry seccomp_dir[] = { SYNTH_FILE("actions_avail", show_seccomp_avail), { 0 } };
static const struct synth_entry pty_dir[] = { SYNTH_FILE("max", show_pty_max), { 0 } };
static const struct synth_entry kernel_dir[] = {
    SYNTH_FILE("ostype", show_ostype), SYNTH_FILE("osrelease", show_osrelease), SYNTH_FILE("version", show_kversion),
    { .name = "hostname", .mode = S_IFREG | 0644, .show = show_hostname, .store = store_hostname },
    { .name = "domainname", .mode = S_IFREG | 0644, .show = show_domainname, .store = store_domainname },
    { .name = "pid_max", .mode = S_IFREG | 0644, .show = show_pid_max, .store = store_pid_max },
    SYNTH_FILE("threads-max", show_threads_max), SYNTH_FILE("cap_last_cap", show_cap_last), SYNTH_FILE("overflowuid", show_65534),
    SYNTH_FILE("overflowgid", show_65534), SYNTH_FILE("ngroups_max", show_ngroups), SYNTH_FILE("core_pattern", show_core_pattern),
    SYNTH_FILE("core_uses_pid", show_0), SYNTH_FILE("tainted", show_0), SYNTH_FILE("panic", show_0), SYNTH_FILE("randomize_va_space", show_2),
    SYNTH_FILE("sched_child_runs_first", show_0), SYNTH_FILE("perf_event_paranoid", show_2), SYNTH_FILE("kptr_restrict", show_1),
    SYNTH_FILE("dmesg_restrict", show_1), SYNTH_FILE("unprivileged_bpf_disabled", show_2), SYNTH_FILE("shmmax", show_shmmax),
    IPC_FILE(shm_rmid_forced), SYNTH_FILE("shmall", show_shmmax), SYNTH_FILE("shmmni", show_4096), SYNTH_FILE("sem", show_sem), SYNTH_FILE("msgmax", show_8192),
    SYNTH_FILE("msgmnb", show_16384), SYNTH_FILE("msgmni", show_32000),
    SYNTH_DIR("random", random_dir), SYNTH_DIR("seccomp", seccomp_dir), SYNTH_DIR("pty", pty_dir), { 0 } };
static const struct synth_entry vm_dir[] = {
    SYNTH_FILE("overcommit_memory", show_1), SYNTH_FILE("overcommit_ratio", show_50), SYNTH_FILE("max_map_count", show_max_map_count),
    SYNTH_FILE("swappiness", show_60), SYNTH_FILE("mmap_min_addr", show_65536), SYNTH_FILE("nr_hugepages", show_0),
    { .name = "drop_caches", .mode = S_IFREG | 0644, .show = show_dropped, .store = store_drop_caches }, { 0 } };
static const struct synth_entry inotify_dir[] = {
    SYNTH_FILE("max_queued_events", show_16384), SYNTH_FILE("max_user_instances", show_128), SYNTH_FILE("max_user_watches", show_65536), { 0 } };
static const struct synth_entry epoll_dir[] = { SYNTH_FILE("max_user_watches", show_1048576), { 0 } };
IPC_SETTING(queues_max, 0, INT32_MAX)
IPC_SETTING(msg_max, 1, MQ_HARD_MSG_MAX)
IPC_SETTING(msg_default, 1, MQ_HARD_MSG_MAX)
IPC_SETTING(msgsize_max, MQ_MIN_MSGSIZE_MAX, MQ_HARD_MSGSIZE_MAX)
IPC_SETTING(msgsize_default, MQ_MIN_MSGSIZE_MAX, MQ_HARD_MSGSIZE_MAX)
static const struct synth_entry mqueue_dir[] = {
    IPC_FILE(msg_default), IPC_FILE(msg_max), IPC_FILE(msgsize_default), IPC_FILE(msgsize_max), IPC_FILE(queues_max), { 0 } };
static const struct synth_entry fs_dir[] = {
    SYNTH_FILE("file-max", show_file_max), SYNTH_FILE("file-nr", show_file_nr), SYNTH_FILE("nr_open", show_nr_open),
    SYNTH_FILE("aio-max-nr", show_aio_max_nr), SYNTH_FILE("aio-nr", show_aio_nr), SYNTH_FILE("pipe-max-size", show_1048576), SYNTH_FILE("pipe-user-pages-soft", show_16384), SYNTH_FILE("pipe-user-pages-hard", show_0),
    SYNTH_FILE("lease-break-time", show_50), SYNTH_FILE("protected_hardlinks", show_0), SYNTH_FILE("protected_symlinks", show_0),
    SYNTH_FILE("protected_fifos", show_0), SYNTH_FILE("protected_regular", show_0), SYNTH_FILE("suid_dumpable", show_0),
    SYNTH_DIR("inotify", inotify_dir), SYNTH_DIR("epoll", epoll_dir), SYNTH_DIR("mqueue", mqueue_dir), { 0 } };
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
    SYNTH_DIR("kernel", kernel_dir), SYNTH_DIR("vm", vm_dir), SYNTH_DIR("fs", fs_dir), SYNTH_DIR("net", net_dir),
    SYNTH_DIR("user", user_dir), { 0 } };
