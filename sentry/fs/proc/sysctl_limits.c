/* /proc/sys/fs, and what of kernel and vm limits the sandbox as a whole. proc_sys_fs(5), proc_sys_vm(5) */
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/sysctl_num.h"
#include "sentry/kernel/limits.h"
#include "sentry/keys/keys.h"
#include "sentry/vfs/aio.h"

static int show_0(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "0\n"); return 0; }
static int show_50(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "50\n"); return 0; }
static int show_1048576(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "1048576\n"); return 0; }
static int show_aio_max_nr(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%u\n", AIO_MAX_NR); return 0; }
static int show_aio_nr(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%u\n", aio_nr()); return 0; }
static int show_file_nr(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "%llu\t0\t%llu\n", (unsigned long long)files_open(), (unsigned long long)kernel_limit(file_max));
    return 0;
}

/* The next power of two, a page at least: round_pipe_size() */
static int round_pipe_size(const struct sysctl_num *n UNUSED, u64 *v)
{
    u64 size = GPAGE_SIZE;
    while (size < *v) size *= 2;
    *v = size;
    return 0;
}

static u64 default_threads(void)
{
    u64 total, free_;
    proc_memory(&total, &free_);
    return MIN(total / (8ULL * 16384), (u64)kernel.max_tasks);
}
int proc_show_threads_max(struct synth_node *n UNUSED, struct strbuf *b)
{
    u32 set = kernel_limit(threads_max);
    strbuf_printf(b, "%llu\n", set ? (unsigned long long)set : (unsigned long long)default_threads());
    return 0;
}
/* Never more than the sandbox was given. */
int proc_store_threads_max(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    u64 v;
    if (sysctl_parse(&text, &v) || *text || v < 1 || v > kernel.max_tasks) return -EINVAL;
    __atomic_store_n(&kernel_limits.threads_max, (u32)v, __ATOMIC_RELAXED);
    return 0;
}

static const struct synth_entry inotify_dir[] = {
    SYSCTL_GLOBAL("max_queued_events", kernel_limits.inotify_max_queued_events, 0, INOTIFY_CEILING),
    SYSCTL_GLOBAL("max_user_instances", kernel_limits.inotify_max_user_instances, 0, INOTIFY_CEILING),
    SYSCTL_GLOBAL("max_user_watches", kernel_limits.inotify_max_user_watches, 0, INOTIFY_CEILING), { 0 } };
static const struct synth_entry epoll_dir[] = { SYNTH_FILE("max_user_watches", show_1048576), { 0 } };

const struct synth_entry proc_sys_fs_dir[] = {
    SYSCTL_GLOBAL("file-max", kernel_limits.file_max, 0, INT64_MAX), SYNTH_FILE("file-nr", show_file_nr),
    SYSCTL_GLOBAL("nr_open", kernel_limits.nr_open, 64, NR_OPEN_CEILING),
    SYNTH_FILE("aio-max-nr", show_aio_max_nr), SYNTH_FILE("aio-nr", show_aio_nr), SYSCTL_GLOBAL("mount-max", mount_max, 1, MOUNT_TOTAL_MAX),
    SYSCTL_GLOBAL("pipe-max-size", kernel_limits.pipe_max_size, 0, PIPE_SIZE_CEILING, .set = round_pipe_size),
    SYSCTL_GLOBAL("pipe-user-pages-soft", kernel_limits.pipe_user_pages_soft, 0, UINT64_MAX),
    SYSCTL_GLOBAL("pipe-user-pages-hard", kernel_limits.pipe_user_pages_hard, 0, UINT64_MAX),
    SYNTH_FILE("lease-break-time", show_50), SYNTH_FILE("protected_hardlinks", show_0), SYNTH_FILE("protected_symlinks", show_0),
    SYNTH_FILE("protected_fifos", show_0), SYNTH_FILE("protected_regular", show_0), SYNTH_FILE("suid_dumpable", show_0),
    SYNTH_DIR("inotify", inotify_dir), SYNTH_DIR("epoll", epoll_dir), SYNTH_DIR("mqueue", proc_sys_fs_mqueue), { 0 } };
/* proc_sys_kernel(5) "keys/" */
#define KEYS(field, lo, hi) SYSCTL_GLOBAL(#field, key_settings.field, lo, hi)
const struct synth_entry proc_sys_keys[] = {
    KEYS(maxkeys, 1, INT32_MAX), KEYS(maxbytes, 1, INT32_MAX), KEYS(root_maxkeys, 1, INT32_MAX), KEYS(root_maxbytes, 1, INT32_MAX), KEYS(gc_delay, 0, INT32_MAX),
    SYSCTL_GLOBAL("persistent_keyring_expiry", key_settings.persistent_expiry, 0, INT32_MAX), { 0 } };
const struct synth_entry proc_sys_vm_limits[] = {
    SYSCTL_GLOBAL("max_map_count", kernel_limits.max_map_count, 0, MAX_MAP_COUNT_CEILING), { 0 } };
