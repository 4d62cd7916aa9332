/* What is told of mounts: statmount(2), listmount(2), statx(2), name_to_handle_at(2), ustat(2), poll(2) of mountinfo; cachestat(2). */
#include "mounts.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/epoll.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <linux/magic.h>
#include <linux/stat.h>

/* linux/mount.h of 6.15 */
struct id_req { uint32_t size, fd; uint64_t id, param, ns; };
struct stat_mount {
    uint32_t size, mnt_opts;
    uint64_t mask;
    uint32_t dev_major, dev_minor;
    uint64_t magic;
    uint32_t sb_flags, fs_type;
    uint64_t id, parent_id;
    uint32_t id_old, parent_id_old;
    uint64_t attr, propagation, peer_group, master, from;
    uint32_t root, point;
    uint64_t ns_id;
    uint32_t fs_subtype, sb_source, opt_num, opt_array, opt_sec_num, opt_sec_array;
    uint64_t supported;
    uint32_t uidmap_num, uidmap, gidmap_num, gidmap;
    uint64_t spare[43];
    char str[1024];
};
#define NS_MNT_ID _IOR(0xb7, 5, uint64_t)       /* NS_GET_MNTNS_ID */
#define ALL 0x3ffu
#define ROOT (~0ULL)
#define MNT_ID_UNIQUE 0x4000u      /* STATX_MNT_ID_UNIQUE */

static struct stat_mount sm;
static int stat_mount(uint64_t id, uint64_t mask)
{
    struct id_req q = { .size = 24, .id = id, .param = mask };
    memset(&sm, 0xff, sizeof sm);
    return (int)syscall(457, &q, &sm, sizeof sm, 0);
}
static ssize_t list_mounts(uint64_t id, uint64_t after, uint64_t *out, size_t n, unsigned flags)
{
    struct id_req q = { .size = 24, .id = id, .param = after };
    return syscall(458, &q, out, n, flags);
}
static uint64_t id_of(const char *path, unsigned mask)
{
    struct { struct statx x; uint64_t more[8]; } b;
    CHECK(syscall(SYS_statx, AT_FDCWD, path, 0, mask, &b) == 0 && (b.x.stx_mask & mask) == mask);
    return ((uint64_t *)&b)[0x90 / 8];   /* stx_mnt_id */
}

static void ids(void)
{
    own_mounts();
    DIRS("a");
    tmpfs_at("A", "a");
    uint64_t unique = id_of("a", MNT_ID_UNIQUE), old = id_of("a", STATX_MNT_ID);
    CHECK(unique > 1ULL << 31 && old < 1ULL << 31 && unique != id_of(".", MNT_ID_UNIQUE));
    CHECK(umount("a") == 0);
    tmpfs_at("B", "a");
    CHECK(id_of("a", MNT_ID_UNIQUE) > unique);
    CHECK_ERR(stat_mount(unique, 2), ENOENT);
}
static void case_ids(void) { in_child(ids, 0); }

static void fields(void)
{
    char place[PATH_MAX + 4];
    struct stat st;
    own_mounts();
    DIRS("a", "b", "m");
    CHECK(mount("Source", "a", "tmpfs", MS_NOSUID | MS_NOATIME, "size=1m") == 0);
    DIRS("a/sub");
    make("a", MS_SHARED);
    bind_at("a/sub", "b", 0);
    make("b", MS_SLAVE);
    CHECK(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
    uint64_t a = id_of("a", MNT_ID_UNIQUE), b = id_of("b", MNT_ID_UNIQUE), up = id_of(".", MNT_ID_UNIQUE);
    CHECK(stat_mount(a, ALL) == 0 && sm.size > 512 && stat("a", &st) == 0);
    CHECK((sm.mask & 0x3b) == 0x3b && sm.id == a && sm.parent_id == up);
    CHECK(sm.id_old == id_of("a", STATX_MNT_ID) && sm.parent_id_old == id_of(".", STATX_MNT_ID));
    CHECK(sm.dev_major == major(st.st_dev) && sm.dev_minor == minor(st.st_dev) && sm.magic == TMPFS_MAGIC && !(sm.sb_flags & 1));
    CHECK(!strcmp(sm.str + sm.fs_type, "tmpfs") && !strcmp(sm.str + sm.root, "/"));
    snprintf(place, sizeof place, "%s/a", tmpdir_path);
    CHECK(!strcmp(sm.str + sm.point, place));
    CHECK(sm.attr == 0x12 && sm.propagation == MS_SHARED && sm.peer_group == mount_tag("a", "shared") && sm.master == 0);
    if (kernel_since(6, 11, "STATMOUNT_MNT_OPTS")) CHECK((sm.mask & 0x80) && strstr(sm.str + sm.mnt_opts, "size=1024k"));
    if (kernel_since(6, 13, "STATMOUNT_SB_SOURCE")) {
        CHECK((sm.mask & 0x200) && !strcmp(sm.str + sm.sb_source, "Source"));
        CHECK(stat_mount(a, 0x400) == 0 && sm.mask == 0x400 && sm.opt_num >= 1 && sm.opt_num < 10);
    }
    CHECK(stat_mount(b, ALL) == 0 && !strcmp(sm.str + sm.root, "/sub") && (sm.mask & 4));
    CHECK(sm.attr == 0x11 && sm.propagation == MS_SLAVE && sm.master == mount_tag("a", "shared") && sm.from == sm.master && sm.peer_group == 0);
    make("b", MS_PRIVATE);
    CHECK(stat_mount(b, ALL) == 0 && sm.propagation == MS_PRIVATE && sm.from == 0);
    make("b", MS_UNBINDABLE);
    CHECK(stat_mount(b, 2) == 0 && sm.propagation == MS_UNBINDABLE && sm.mask == 2 && sm.size == 512);
    /* What is refused. */
    struct id_req q = { .size = 24, .id = a, .param = ALL };
    CHECK_ERR(syscall(457, &q, &sm, sizeof sm, 1), EINVAL);
    CHECK_ERR(syscall(457, &q, &sm, 520, 0), EOVERFLOW);
    CHECK_ERR(syscall(457, NULL, &sm, sizeof sm, 0), EFAULT);
    CHECK_ERR(syscall(457, &q, NULL, sizeof sm, 0), EFAULT);
    q.param = 2;
    CHECK(syscall(457, &q, &sm, 16, 0) == 0 && sm.mask == 2);       /* the head alone */
    q.size = 16;
    CHECK_ERR(syscall(457, &q, &sm, sizeof sm, 0), EINVAL);
    q.size = 8192;
    CHECK_ERR(syscall(457, &q, &sm, sizeof sm, 0), E2BIG);
    CHECK_ERR(stat_mount(5, 2), EINVAL);                            /* an old number */
}
/* The number statmount tells of a namespace is the one its file tells. */
static void ns_number(void)
{
    own_mounts();
    uint64_t id = 0;
    int fd = open("/proc/self/ns/mnt", O_RDONLY), other = open("/proc/self/ns/uts", O_RDONLY);
    if (ioctl(fd, NS_MNT_ID, &id)) {
        CHECK(errno == ENOTTY);
        printf("skipped: NS_GET_MNTNS_ID is not known\n");
        return;
    }
    CHECK(stat_mount(id_of(".", MNT_ID_UNIQUE), 64 /* STATMOUNT_MNT_NS_ID */) == 0 && sm.ns_id == id);
    CHECK_ERR(ioctl(other, NS_MNT_ID, &id), EINVAL);
    CHECK_ERR(ioctl(fd, NS_MNT_ID, NULL), EFAULT);
    CHECK(close(fd) == 0 && close(other) == 0);
}
static void case_ns_number(void) { in_child(ns_number, 0); }

static void case_fields(void) { in_child(fields, 0); }

static bool has(const uint64_t *l, ssize_t n, uint64_t id)
{
    for (ssize_t i = 0; i < n; i++)
        if (l[i] == id) return true;
    return false;
}

static void lists(void)
{
    uint64_t l[256], one[1];
    own_mounts();
    DIRS("a", "b");
    tmpfs_at("A", "a");
    DIRS("a/x");
    tmpfs_at("X", "a/x");
    tmpfs_at("B", "b");
    uint64_t top = id_of(".", MNT_ID_UNIQUE), a = id_of("a", MNT_ID_UNIQUE), x = id_of("a/x", MNT_ID_UNIQUE), b = id_of("b", MNT_ID_UNIQUE);
    ssize_t n = list_mounts(top, 0, l, 256, 0);
    CHECK(n == 3 && l[0] == a && l[1] == x && l[2] == b);
    CHECK(list_mounts(top, 0, one, 1, 0) == 1 && one[0] == a && list_mounts(top, a, one, 1, 0) == 1 && one[0] == x);
    CHECK(list_mounts(top, b, l, 256, 0) == 0 && list_mounts(x, 0, l, 256, 0) == 0 && list_mounts(top, 0, l, 0, 0) == 0);
    n = list_mounts(ROOT, 0, l, 256, 0);
    CHECK(n > 4 && has(l, n, top) && has(l, n, a) && has(l, n, b) && has(l, n, id_of("/", MNT_ID_UNIQUE)));
    for (ssize_t i = 1; i < n; i++) CHECK(l[i] > l[i - 1]);
    if (kernel_since(6, 11, "LISTMOUNT_REVERSE")) CHECK(list_mounts(top, 0, l, 256, 1) == 3 && l[0] == b && l[2] == a);
    CHECK_ERR(list_mounts(top, 0, l, 256, 2), EINVAL);
    CHECK_ERR(list_mounts(7, 0, l, 256, 0), EINVAL);
    CHECK_ERR(list_mounts(1ULL << 50, 0, l, 256, 0), ENOENT);
    CHECK_ERR(list_mounts(top, 0, NULL, 256, 0), EFAULT);
    CHECK_ERR(list_mounts(top, 0, l, 2000000, 0), EOVERFLOW);
    /* Of another's root only what is below is told, without rights over the namespace. */
    CHECK(chroot("a") == 0 && list_mounts(ROOT, 0, l, 256, 0) == 2 && l[0] == a && l[1] == x);
}
static void case_lists(void) { in_child(lists, 0); }

static void watched(const char *file)
{
    char path[64], text[16384];
    own_mounts();
    DIRS("a");
    snprintf(path, sizeof path, "/proc/self/%s", file);
    int fd = open(path, O_RDONLY), ep = epoll_create1(0);
    struct epoll_event ev = { .events = EPOLLPRI };
    struct pollfd p = { .fd = fd, .events = POLLPRI };
    CHECK(fd >= 0 && ep >= 0 && read(fd, text, sizeof text) > 0);
    CHECK(poll(&p, 1, 0) == 0);
    tmpfs_at("A", "a");
    CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLPRI | POLLERR));
    CHECK(poll(&p, 1, 0) == 0);                                     /* told once */
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0 && epoll_wait(ep, &ev, 1, 0) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        usleep(50000);
        CHECK(umount("a") == 0);
        _exit(0);
    }
    CHECK(epoll_wait(ep, &ev, 1, 10000) == 1 && (ev.events & EPOLLPRI) && (ev.events & EPOLLERR));
    int st;
    CHECK(waitpid(pid, &st, 0) == pid && st == 0);
    /* Elsewhere things may change. */
    CHECK(unshare(CLONE_NEWNS) == 0);
    tmpfs_at("A", "a");
    CHECK(poll(&p, 1, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(n > 0);
    text[n] = 0;
    CHECK(!strstr(text, " A ") && !strstr(text, "A /"));            /* the namespace at open counts */
}
static void watch_info(void) { watched("mountinfo"); }
static void watch_mounts(void) { watched("mounts"); }
static void case_poll(void)
{
    in_child(watch_info, 0);
    in_child(watch_mounts, 0);
}

static void handles(void)
{
    struct { struct file_handle h; unsigned char b[128]; } h = { .h.handle_bytes = 0 };
    int mnt = -1;
    uint64_t unique = 0;
    own_mounts();
    put_file("f", "x");
    put_file("g", "x");
    if (kernel_since(6, 6, "AT_HANDLE_FID")) {
        CHECK_ERR(name_to_handle_at(AT_FDCWD, "f", &h.h, &mnt, 0x200), EOVERFLOW);
        CHECK(h.h.handle_bytes > 0 && h.h.handle_bytes <= 128 && (uint64_t)mnt == id_of("f", STATX_MNT_ID));
        CHECK(name_to_handle_at(AT_FDCWD, "f", &h.h, &mnt, 0x200) == 0);
        unsigned char first[128];
        memcpy(first, h.b, sizeof first);
        CHECK(name_to_handle_at(AT_FDCWD, "f", &h.h, &mnt, 0x200) == 0 && !memcmp(first, h.b, h.h.handle_bytes));
        CHECK(name_to_handle_at(AT_FDCWD, "g", &h.h, &mnt, 0x200) == 0 && memcmp(first, h.b, h.h.handle_bytes));
        if (kernel_since(6, 12, "AT_HANDLE_MNT_ID_UNIQUE"))
            CHECK(name_to_handle_at(AT_FDCWD, "f", &h.h, (int *)&unique, 0x201) == 0 && unique == id_of("f", MNT_ID_UNIQUE));
    }
    h.h.handle_bytes = 129;
    CHECK_ERR(name_to_handle_at(AT_FDCWD, "f", &h.h, &mnt, 0), EINVAL);
    h.h.handle_bytes = 128;
    CHECK_ERR(name_to_handle_at(AT_FDCWD, "f", &h.h, &mnt, 0x40000000), EINVAL);
    CHECK_ERR(name_to_handle_at(AT_FDCWD, "none", &h.h, &mnt, 0), ENOENT);
}
static void case_handles(void) { in_child(handles, 0); }

struct old_ustat { int tfree; unsigned long tinode; char fname[6], fpack[6]; };
static void case_ustat(void)
{
    struct old_ustat u, full;
    struct stat st;
    struct statfs sf;
    memset(&u, 0xff, sizeof u);
    memset(&full, 0xff, sizeof full);
    if (stat(".", &st) || statfs(".", &sf)) exit(1);
    if (syscall(SYS_ustat, st.st_dev, &u)) {
        CHECK(errno == EINVAL && major(st.st_dev) == 0);            /* natively a btrfs or overlay subvolume may be nobody's device */
    } else {
        CHECK(u.tinode <= sf.f_files && !u.fname[0] && !u.fpack[0]);
    }
    CHECK_ERR(syscall(SYS_ustat, makedev(250, 77), &u), EINVAL);
}

struct range { uint64_t off, len; };
struct cached { uint64_t cache, dirty, writeback, evicted, recently; };
static int cache_stat(int fd, uint64_t off, uint64_t len, struct cached *c, unsigned flags)
{
    struct range r = { off, len };
    return (int)syscall(451, fd, &r, c, flags);
}
static void cached(void)
{
    struct cached c;
    char page[4096] = "x";
    if (!kernel_since(6, 5, "cachestat")) return;
    own_mounts();
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    CHECK(fd >= 0 && pwrite(fd, page, 4096, 0) == 4096 && pwrite(fd, page, 4096, 4096) == 4096 && pwrite(fd, page, 4096, 10 * 4096) == 4096);
    CHECK(cache_stat(fd, 0, 0, &c, 0) == 0 && c.cache == 3 && c.writeback == 0 && c.evicted == 0);
    CHECK(cache_stat(fd, 0, 4096, &c, 0) == 0 && c.cache == 1);
    CHECK(cache_stat(fd, 4095, 2, &c, 0) == 0 && c.cache == 2);
    CHECK(cache_stat(fd, 3 * 4096, 4096, &c, 0) == 0 && c.cache == 0);
    CHECK(cache_stat(fd, 5 * 4096, 0, &c, 0) == 0 && c.cache == 1);
    CHECK_ERR(cache_stat(fd, 0, 0, &c, 1), EINVAL);
    CHECK_ERR(cache_stat(-1, 0, 0, &c, 0), EBADF);
    CHECK_ERR(cache_stat(fd, 0, 0, NULL, 0), EFAULT);
    CHECK_ERR(syscall(451, fd, NULL, &c, 0), EFAULT);
}
static void case_cachestat(void) { in_child(cached, 0); }

int main(int argc, char **argv)
{
    static const struct test_case newer[] = { CASE(case_ids), CASE(case_fields), CASE(case_ns_number), CASE(case_lists) };
    static const struct test_case any[] = { CASE(case_poll), CASE(case_handles), CASE(case_ustat), CASE(case_cachestat) };
    tmpdir_enter();
    if (kernel_since(6, 8, "statmount")) run_cases(newer, sizeof newer / sizeof *newer, argc, argv);
    return run_cases(any, sizeof any / sizeof *any, argc, argv);
}
