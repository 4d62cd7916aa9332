/* /proc itself: the files about the whole system, and the list of processes. proc(5) */
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/hostcall.h"
#include "sentry/fs/dev/dev.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/ipc/sysv.h"
#include "sentry/keys/keys.h"
#include "sentry/kernel/pid_ns.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

HOSTCALL(sysinfo, "memory of the host, where the sandbox has no limit of its own");

void proc_memory(u64 *total, u64 *free_)
{
    struct sysinfo si;
    u64 used = memfile_resident();
    if (kernel_mem_limit()) {
        *total = kernel_mem_limit();
        *free_ = *total > used ? *total - used : 0;
    } else if (sysinfo(&si) == 0) {
        *total = (u64)si.totalram * si.mem_unit;
        *free_ = (u64)(si.freeram + si.bufferram) * si.mem_unit;
    } else {
        *total = *free_ = 0;
    }
}

static int show_meminfo(struct synth_node *n UNUSED, struct strbuf *b)
{
    u64 total, free_;
    proc_memory(&total, &free_);
    unsigned long long t = total / 1024, f = free_ / 1024, used = memfile_resident() / 1024;
    strbuf_printf(b, "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\nBuffers:               0 kB\nCached:                0 kB\n"
                     "SwapCached:            0 kB\nActive:         %8llu kB\nInactive:              0 kB\nActive(anon):   %8llu kB\nInactive(anon):        0 kB\n"
                     "Active(file):          0 kB\nInactive(file):        0 kB\nUnevictable:           0 kB\nMlocked:               0 kB\nSwapTotal:             0 kB\n"
                     "SwapFree:              0 kB\nDirty:                 0 kB\nWriteback:             0 kB\nAnonPages:      %8llu kB\nMapped:                0 kB\n"
                     "Shmem:                 0 kB\nKReclaimable:          0 kB\nSlab:                  0 kB\nSReclaimable:          0 kB\nSUnreclaim:            0 kB\n"
                     "KernelStack:    %8u kB\nPageTables:            0 kB\nCommitLimit:    %8llu kB\nCommitted_AS:   %8llu kB\nVmallocTotal:   34359738367 kB\n"
                     "VmallocUsed:           0 kB\nVmallocChunk:          0 kB\nHugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
                     "HugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n",
                  t, f, f, used, used, used, kernel.nr_tasks * 16, t / 2, (unsigned long long)memfile_allocated() / 1024);
    return 0;
}

static u64 uptime_ns(void) { return (u64)(clock_mono() - kernel.boot_mono); }

static void total_cpu(u64 *user, u64 *sys)
{
    *user = *sys = 0;
    s32 id = 1;
    struct tgroup *tg;
    while ((tg = tgroup_next_get(id))) {
        struct rusage_acc a, c;
        tgroup_rusage(tg, &a);
        tgroup_rusage_children(tg, &c);
        *user += a.utime_ns + (tg->tgid == 1 ? c.utime_ns : 0);
        *sys += a.stime_ns + (tg->tgid == 1 ? c.stime_ns : 0);
        id = tg->tgid + 1;
        tgroup_put(tg);
    }
}

static unsigned running_tasks(void)
{
    unsigned n = 0;
    struct task *t;
    lock(&kernel.tasklist);
    for (t = kernel.tasks_by_tid; t; t = t->hh.next)
        if (atomic_load(&t->state) == TASK_RUNNING) n++;
    unlock(&kernel.tasklist);
    return n;
}

static int show_stat(struct synth_node *n UNUSED, struct strbuf *b)
{
    u64 user, sys, tick = NSEC_PER_SEC / 100, up = uptime_ns();
    total_cpu(&user, &sys);
    u64 all = up * kernel_ncpus(), idle = all > user + sys ? all - user - sys : 0;
    strbuf_printf(b, "cpu  %llu 0 %llu %llu 0 0 0 0 0 0\n", (unsigned long long)(user / tick), (unsigned long long)(sys / tick), (unsigned long long)(idle / tick));
    for (unsigned i = 0; i < kernel_ncpus(); i++)
        strbuf_printf(b, "cpu%u %llu 0 %llu %llu 0 0 0 0 0 0\n", i, (unsigned long long)(user / tick / kernel_ncpus()),
                      (unsigned long long)(sys / tick / kernel_ncpus()), (unsigned long long)(idle / tick / kernel_ncpus()));
    strbuf_printf(b, "intr 0\nctxt 0\nbtime %lld\nprocesses %llu\nprocs_running %u\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
                  (long long)(kernel.boot_real / NSEC_PER_SEC), (unsigned long long)kernel.forks, running_tasks());
    return 0;
}

static int show_uptime(struct synth_node *n UNUSED, struct strbuf *b)
{
    u64 user, sys, up = uptime_ns();
    total_cpu(&user, &sys);
    u64 all = up * kernel_ncpus(), idle = all > user + sys ? all - user - sys : 0;
    strbuf_printf(b, "%.2f %.2f\n", (double)up / 1e9, (double)idle / 1e9);
    return 0;
}

/*
 * Linux samples the run queue every five seconds. An idle sandbox has no timer, so the decayed average is brought up to
 * date at each reading, from the number running now.
 */
static int show_loadavg(struct synth_node *n UNUSED, struct strbuf *b)
{
    static lock_t l = LOCK_INIT(LC_LEAF);
    static double avg[3];
    static u64 last;
    static const double span[3] = { 60, 300, 900 };
    double now_running = running_tasks(), v[3];
    u64 now = uptime_ns();
    lock(&l);
    double dt = (double)(now - last) / 1e9;
    last = now;
    for (int i = 0; i < 3; i++) {
        double k = dt / (span[i] + dt);
        v[i] = avg[i] += (now_running - avg[i]) * k;
    }
    unlock(&l);
    strbuf_printf(b, "%.2f %.2f %.2f %u/%u %d\n", v[0], v[1], v[2], (unsigned)now_running, kernel.nr_tasks, kernel.next_tid - 1);
    return 0;
}

static int show_version(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "Linux version %s (sundog@sandbox) (gcc) %s\n", KERNEL_RELEASE, KERNEL_VERSION);
    return 0;
}

static int show_filesystems(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "nodev\tsysfs\nnodev\ttmpfs\nnodev\tramfs\nnodev\tmqueue\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tdevpts\nnodev\toverlay\nnodev\tpipefs\nnodev\tsockfs\n");
    return 0;
}

static int show_devices(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/ptmx\n 10 misc\n128 ptm\n136 pts\n\nBlock devices:\n  7 loop\n");
    return 0;
}

static int show_empty(struct synth_node *n UNUSED, struct strbuf *b UNUSED) { return 0; }
static int show_swaps(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    return 0;
}
static int show_cmdline(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "\n"); return 0; }
static int show_vmstat(struct synth_node *n UNUSED, struct strbuf *b)
{
    u64 total, free_;
    proc_memory(&total, &free_);
    strbuf_printf(b, "nr_free_pages %llu\nnr_anon_pages %llu\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\noom_kill 0\n",
                  (unsigned long long)(free_ >> GPAGE_SHIFT), (unsigned long long)(memfile_resident() >> GPAGE_SHIFT));
    return 0;
}
static int show_cgroups(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"); return 0; }
static int show_partitions(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "major minor  #blocks  name\n\n");
    for (unsigned i = 0; i < LOOP_MAX; i++) {
        struct loop_state l;
        if (!loop_state_get(i, &l)) continue;
        if (l.size) strbuf_printf(b, "%4u  %7u %10llu loop%u\n", LOOP_MAJOR_NR, i, (unsigned long long)(l.size / 1024), i);
        if (l.backing) file_put(l.backing);
    }
    return 0;
}

static int readlink_self(struct synth_node *n, char **out)
{
    s32 pid = pid_to_ns(current->tg->tgid, n->ns);
    if (!pid) return -ENOENT;   /* the reader is not seen in the namespace that this /proc shows */
    *out = xasprintf("%d", pid);
    return 0;
}
static int readlink_thread_self(struct synth_node *n, char **out)
{
    s32 pid = pid_to_ns(current->tg->tgid, n->ns);
    if (!pid) return -ENOENT;
    *out = xasprintf("%d/task/%d", pid, pid_to_ns(current->tid, n->ns));
    return 0;
}
static int readlink_mounts(struct synth_node *n UNUSED, char **out) { *out = xstrdup("self/mounts"); return 0; }
static int readlink_net(struct synth_node *n UNUSED, char **out) { *out = xstrdup("self/net"); return 0; }

static const struct synth_entry pid_entry = { .name = "pid", .mode = S_IFDIR | 0555, .children = proc_task_dir, .by_abi = true };

int proc_dir_tgroup_get(struct file *f, struct tgroup **out)
{
    *out = NULL;
    if (f->ops != &synth_dir_fops) return -EBADF;
    struct synth_node *n = synth_node_of(f->inode);
    if (n->e != &pid_entry || n->tid) return -EBADF;
    struct task *t = synth_task_get(n);
    if (!t) return -ESRCH;
    tgroup_get(*out = t->tg);
    task_put(t);
    return 0;
}

static int lookup_pid(struct synth_node *dir, const char *name, struct synth_node *child)
{
    char *end;
    if (*name < '1' || *name > '9' || strlen(name) > 9) return -ENOENT;
    long pid = strtol(name, &end, 10);
    if (*end) return -ENOENT;
    pid = pid_from_ns((s32)pid, dir->ns);
    struct task *t = task_lookup_get((s32)pid);
    if (!t) return -ENOENT;
    /* /proc/TID of another thread than the leader can be opened, but is not listed: show its thread. */
    *child = (struct synth_node){ .e = &pid_entry, .pid = t->tg->tgid, .tid = t->tg->tgid == pid ? 0 : (s32)pid };
    task_put(t);
    return 0;
}

static bool next_pid(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype)
{
    if (dir->ns) {
        for (s32 nr = (s32)from; (nr = pid_ns_next(dir->ns, nr)) != 0; nr++) {
            struct tgroup *g = tgroup_lookup_get(pid_from_ns(nr, dir->ns));
            if (!g) continue;
            tgroup_put(g);
            *id = nr;
            snprintf(name, 32, "%d", nr);
            *dtype = DT_DIR;
            return true;
        }
        return false;
    }
    struct tgroup *tg = tgroup_next_get((s32)from);
    if (!tg) return false;
    *id = tg->tgid;
    snprintf(name, 32, "%d", tg->tgid);
    *dtype = DT_DIR;
    tgroup_put(tg);
    return true;
}

static int show_shm(struct synth_node *n UNUSED, struct strbuf *b) { shm_show(b); return 0; }
static int show_sem(struct synth_node *n UNUSED, struct strbuf *b) { sem_show(b); return 0; }
static int show_msg(struct synth_node *n UNUSED, struct strbuf *b) { msq_show(b); return 0; }
static const struct synth_entry sysvipc_dir[] = { SYNTH_FILE("shm", show_shm), SYNTH_FILE("sem", show_sem), SYNTH_FILE("msg", show_msg), { 0 } };

static int show_keys(struct synth_node *n UNUSED, struct strbuf *b) { keys_show(b); return 0; }
static int show_key_users(struct synth_node *n UNUSED, struct strbuf *b) { key_users_show(b); return 0; }

static const struct synth_entry root_dir[] = {
    { .name = "self", .mode = S_IFLNK | 0777, .readlink = readlink_self },
    { .name = "thread-self", .mode = S_IFLNK | 0777, .readlink = readlink_thread_self },
    SYNTH_FILE("cpuinfo", proc_show_cpuinfo),
    SYNTH_FILE("meminfo", show_meminfo),
    SYNTH_FILE("stat", show_stat),
    SYNTH_FILE("uptime", show_uptime),
    SYNTH_FILE("loadavg", show_loadavg),
    SYNTH_FILE("version", show_version),
    SYNTH_FILE("config.gz", proc_show_config),
    SYNTH_FILE("filesystems", show_filesystems),
    SYNTH_FILE("devices", show_devices),
    SYNTH_FILE("swaps", show_swaps),
    SYNTH_FILE("cmdline", show_cmdline),
    SYNTH_FILE("vmstat", show_vmstat),
    SYNTH_FILE("cgroups", show_cgroups),
    SYNTH_FILE("partitions", show_partitions),
    SYNTH_FILE("diskstats", show_empty),
    SYNTH_FILE("modules", show_empty),
    SYNTH_FILE("interrupts", show_empty),
    { .name = "mounts", .mode = S_IFLNK | 0777, .readlink = readlink_mounts },
    { .name = "net", .mode = S_IFLNK | 0777, .readlink = readlink_net },
    SYNTH_FILE("keys", show_keys),
    SYNTH_FILE("key-users", show_key_users),
    SYNTH_DIR("sys", proc_sys_dir),
    SYNTH_DIR("sysvipc", sysvipc_dir),
    { 0 },
};
static const struct synth_entry root_entry = {
    .name = "/", .mode = S_IFDIR | 0555, .children = root_dir, .lookup = lookup_pid, .next = next_pid };

static void proc_super_free(struct super *sb)
{
    struct pid_ns *ns = sb->priv;
    free(sb);
    if (ns) ns_put(&ns->ns);
}
static const struct super_ops proc_super_ops = { .name = "proc", .statfs = synth_statfs, .free = proc_super_free };

/* Shows the processes of the caller's pid namespace. */
int procfs_new(struct super **out)
{
    struct pid_ns *ns = current ? current->tg->pid_ns : NULL;
    if (ns) ns_get(&ns->ns);
    return synth_new(&root_entry, &proc_super_ops, PROC_SUPER_MAGIC, ns, out);
}
