/* Mounts by descriptor: fsopen(2), fsconfig(2), fsmount(2), fspick(2), open_tree(2), move_mount(2), mount_setattr(2). */
#include "mounts.h"
#include <sys/statfs.h>

#define T_BENEATH 0x200           /* MOVE_MOUNT_BENEATH, Linux 6.5 */
#define SET_GROUP 0x100
#define NR_OPEN_TREE_ATTR 467     /* Linux 6.15 */
#define FROM_FD MOVE_MOUNT_F_EMPTY_PATH

static int cfg(int fd, unsigned cmd, const char *key, const void *val, int aux) { return (int)syscall(SYS_fsconfig, fd, cmd, key, val, aux); }

static int new_tmpfs(const char *source)
{
    int fd = fsopen("tmpfs", FSOPEN_CLOEXEC);
    CHECK(fd >= 0 && cfg(fd, FSCONFIG_SET_STRING, "source", source, 0) == 0 && cfg(fd, FSCONFIG_SET_STRING, "mode", "755", 0) == 0);
    CHECK(cfg(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0);
    int m = fsmount(fd, FSMOUNT_CLOEXEC, 0);
    CHECK(m >= 0 && close(fd) == 0);
    return m;
}

static void make_and_mount(void)
{
    struct statfs sf;
    own_mounts();
    DIRS("a", "b");
    int fd = fsopen("tmpfs", FSOPEN_CLOEXEC);
    CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK_ERR(fsmount(fd, 0, 0), EINVAL);                                        /* nothing is made yet */
    CHECK(cfg(fd, FSCONFIG_SET_STRING, "source", "new", 0) == 0);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_STRING, "source", "newer", 0), EINVAL);
    CHECK(cfg(fd, FSCONFIG_SET_STRING, "size", "1m", 0) == 0);
    CHECK(cfg(fd, FSCONFIG_SET_STRING, "mode", "0710", 0) == 0);
    CHECK(cfg(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0);
    CHECK_ERR(cfg(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EBUSY);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_STRING, "size", "2m", 0), EBUSY);
    int m = fsmount(fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
    CHECK(m >= 0 && fcntl(m, F_GETFD) == FD_CLOEXEC && (fcntl(m, F_GETFL) & O_PATH));
    CHECK_ERR(fsmount(fd, 0, 0), EBUSY);                                         /* once */
    /* Usable before it is anywhere. */
    int f = openat(m, "file", O_CREAT | O_WRONLY | O_EXCL, 0644);
    CHECK(f >= 0 && write(f, "x", 1) == 1 && close(f) == 0);
    CHECK(fstatfs(m, &sf) == 0 && sf.f_blocks * (uint64_t)sf.f_bsize == 1 << 20);
    CHECK(shows("a", NULL) && move_mount(m, "", AT_FDCWD, "a", FROM_FD) == 0);
    CHECK(shows("a", "new") && strstr(mount_line("a"), " rw,nosuid,noatime - tmpfs new rw") && access("a/file", F_OK) == 0);
    struct stat st;
    CHECK(stat("a", &st) == 0 && (st.st_mode & 07777) == 0710);
    CHECK(close(m) == 0 && access("a/file", F_OK) == 0);                         /* mounted, it needs no file */
    /* Now it can be moved like any other. */
    CHECK(move_mount(AT_FDCWD, "a", AT_FDCWD, "b", 0) == 0 && shows("a", NULL) && access("b/file", F_OK) == 0);
    CHECK_ERR(move_mount(AT_FDCWD, "a", AT_FDCWD, "b", 0), EINVAL);
    CHECK(close(fd) == 0);
}
static void case_make_and_mount(void) { in_child(make_and_mount, 0); }

static void refused(void)
{
    char log[256];
    own_mounts();
    DIRS("a");
    put_file("f", "x");
    CHECK_ERR(fsopen("no-such-type", 0), ENODEV);
    CHECK_ERR(fsopen("tmpfs", 2), EINVAL);
    CHECK_ERR(syscall(SYS_fsopen, NULL, 0), EFAULT);
    int fd = fsopen("tmpfs", 0), plain = open("f", O_RDWR);
    CHECK(fd >= 0 && plain >= 0);
    CHECK_ERR(cfg(plain, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
    CHECK_ERR(cfg(-1, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
    CHECK_ERR(cfg(900, FSCONFIG_SET_FLAG, "ro", NULL, 0), EBADF);
    CHECK_ERR(cfg(fd, 99, "ro", NULL, 0), EOPNOTSUPP);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_FLAG, NULL, NULL, 0), EINVAL);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_FLAG, "ro", "x", 0), EINVAL);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_FLAG, "ro", NULL, 1), EINVAL);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_STRING, "size", NULL, 0), EINVAL);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_BINARY, "size", "x", 0), EINVAL);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_FD, "size", "x", 0), EINVAL);
    CHECK_ERR(cfg(fd, FSCONFIG_CMD_CREATE, "x", NULL, 0), EINVAL);
    CHECK_ERR(cfg(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0), EBUSY);
    CHECK_ERR(read(fd, log, sizeof log), ENODATA);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_STRING, "nonsense", "1", 0), EINVAL);
    ssize_t n = read(fd, log, sizeof log);
    CHECK(n > 0 && !memcmp(log, "e tmpfs: Unknown parameter 'nonsense'", 37));
    CHECK_ERR(read(fd, log, sizeof log), ENODATA);
    CHECK_ERR(cfg(fd, FSCONFIG_SET_STRING, "size", "many", 0), EINVAL);
    CHECK((n = read(fd, log, sizeof log)) > 2 && log[0] == 'e');
    CHECK_ERR(cfg(fd, FSCONFIG_SET_STRING, "mode", "9", 0), EINVAL);
    CHECK(read(fd, log, sizeof log) > 2);
    CHECK(cfg(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0);                     /* what was refused left no trace */
    CHECK_ERR(fsmount(fd, 2, 0), EINVAL);
    CHECK_ERR(fsmount(fd, 0, 0x1000), EINVAL);
    CHECK_ERR(fsmount(fd, 0, 0x40), EINVAL);                                     /* no value of the atime field */
    CHECK_ERR(fsmount(plain, 0, 0), EINVAL);
    int m = fsmount(fd, 0, 0);
    CHECK(m >= 0);
    CHECK_ERR(move_mount(m, "", AT_FDCWD, "f", FROM_FD), EINVAL);                /* a directory on a file */
    CHECK_ERR(move_mount(m, "", AT_FDCWD, "a", 0), ENOENT);
    CHECK_ERR(move_mount(m, "", AT_FDCWD, "a", 0x8000), EINVAL);
    CHECK_ERR(move_mount(plain, "", AT_FDCWD, "f", FROM_FD), EINVAL);            /* no root of a mount */
    CHECK_ERR(mount("x", "a", "no-such-type", 0, NULL), ENODEV);
    CHECK_ERR(mount("x", "f", "tmpfs", 0, NULL), ENOTDIR);
    CHECK_ERR(mount("x", "a", NULL, 0, NULL), EINVAL);
    CHECK_ERR(mount("x", "a", "tmpfs", 0, "nonsense=1"), EINVAL);
    CHECK_ERR(mount("x", "none", "tmpfs", 0, NULL), ENOENT);
    CHECK_ERR(mount("x", "f/a", "tmpfs", 0, NULL), ENOTDIR);
    CHECK_ERR(umount("a"), EINVAL);
    CHECK_ERR(umount2("a", 0x100), EINVAL);
}
static void case_refused(void) { in_child(refused, 0); }

/* Read-only belongs to the file system or to a view of it; fspick(2) changes the former. */
static void reconfigured(void)
{
    own_mounts();
    DIRS("a", "b");
    int fd = fsopen("tmpfs", 0);
    CHECK(fd >= 0 && cfg(fd, FSCONFIG_SET_STRING, "source", "ro", 0) == 0 && cfg(fd, FSCONFIG_SET_FLAG, "ro", NULL, 0) == 0);
    CHECK(cfg(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0);
    int m = fsmount(fd, 0, 0);
    CHECK(m >= 0 && move_mount(m, "", AT_FDCWD, "a", FROM_FD) == 0);
    CHECK(strstr(mount_line("a"), " rw,relatime - tmpfs ro ro"));
    CHECK_ERR(mkdir("a/x", 0755), EROFS);
    bind_at("a", "b", 0);
    CHECK_ERR(mkdir("b/x", 0755), EROFS);
    CHECK_ERR(fspick(AT_FDCWD, "nothing", 0), ENOENT);
    CHECK_ERR(fspick(AT_FDCWD, "a", 0x80), EINVAL);
    int p = fspick(AT_FDCWD, "a", FSPICK_CLOEXEC);
    CHECK(p >= 0 && fcntl(p, F_GETFD) == FD_CLOEXEC);
    CHECK_ERR(cfg(p, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EBUSY);
    /* Flags of every file system go by their name alone. */
    CHECK(cfg(p, FSCONFIG_SET_STRING, "sync", "false", 0) == 0 && cfg(p, FSCONFIG_SET_PATH, "async", "nowhere", AT_FDCWD) == 0);
    CHECK(cfg(p, FSCONFIG_SET_FD, "lazytime", NULL, p) == 0);
    CHECK_ERR(cfg(p, FSCONFIG_SET_FD, "lazytime", NULL, 1000), EBADF);
    CHECK_ERR(cfg(p, FSCONFIG_SET_PATH, "size", ".", AT_FDCWD), EINVAL);
    CHECK(cfg(p, FSCONFIG_SET_FLAG, "rw", NULL, 0) == 0 && cfg(p, FSCONFIG_SET_STRING, "size", "2m", 0) == 0);
    CHECK(cfg(p, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0);
    CHECK(mkdir("a/x", 0755) == 0 && access("b/x", F_OK) == 0);
    struct statfs sf;
    CHECK(statfs("a", &sf) == 0 && sf.f_blocks * (uint64_t)sf.f_bsize == 2 << 20);
    CHECK_ERR(fspick(AT_FDCWD, "a/x", 0), EINVAL);                               /* no root */
    /* With mount(2): both at once, or the view alone. */
    CHECK(mount(NULL, "a", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    CHECK_ERR(mkdir("b/y", 0755), EROFS);
    CHECK(mount(NULL, "a", NULL, MS_REMOUNT, "size=3m") == 0 && mkdir("b/y", 0755) == 0);
    CHECK(statfs("a", &sf) == 0 && sf.f_blocks * (uint64_t)sf.f_bsize == 3 << 20);
    CHECK_ERR(mount(NULL, "a", NULL, MS_REMOUNT, "nonsense=1"), EINVAL);
    /* Who writes is not cut off. */
    int w = open("a/w", O_CREAT | O_WRONLY, 0644);
    CHECK(w >= 0);
    CHECK_ERR(mount(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), EBUSY);
    CHECK_ERR(mount(NULL, "b", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
    CHECK(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
    CHECK(close(w) == 0 && mount(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
}
static void case_reconfigured(void) { in_child(reconfigured, 0); }

static void trees(void)
{
    own_mounts();
    DIRS("a", "b");
    tmpfs_at("A", "a");
    DIRS("a/sub", "a/dir");
    tmpfs_at("S", "a/sub");
    put_file("a/sub/file", "x");
    put_file("a/dir/plain", "x");
    CHECK_ERR(open_tree(AT_FDCWD, "a", 0x40000000), EINVAL);
    CHECK_ERR(open_tree(AT_FDCWD, "a", AT_RECURSIVE), EINVAL);
    CHECK_ERR(open_tree(AT_FDCWD, "none", OPEN_TREE_CLONE), ENOENT);
    /* Without cloning it is a place, as with O_PATH. */
    int fd = open_tree(AT_FDCWD, "a", OPEN_TREE_CLOEXEC);
    CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_PATH) && faccessat(fd, "sub/file", F_OK, 0) == 0);
    CHECK(close(fd) == 0 && shows("a", "A"));
    fd = open_tree(AT_FDCWD, "a", OPEN_TREE_CLONE);
    CHECK(fd >= 0 && faccessat(fd, "dir/plain", F_OK, 0) == 0);
    CHECK_ERR(faccessat(fd, "sub/file", F_OK, 0), ENOENT);                       /* not recursive */
    CHECK(close(fd) == 0);
    fd = open_tree(AT_FDCWD, "a", OPEN_TREE_CLONE | AT_RECURSIVE);
    CHECK(fd >= 0 && faccessat(fd, "sub/file", F_OK, 0) == 0);
    CHECK(umount("a/sub") == 0 && umount("a") == 0);
    CHECK(faccessat(fd, "sub/file", F_OK, 0) == 0);                              /* lives on in the tree */
    CHECK(move_mount(fd, "", AT_FDCWD, "b", FROM_FD) == 0 && access("b/sub/file", F_OK) == 0 && shows("b/sub", "S"));
    CHECK_ERR(move_mount(fd, "", AT_FDCWD, "b/dir", FROM_FD), ELOOP);
    CHECK(close(fd) == 0 && access("b/sub/file", F_OK) == 0);
    /* A tree goes with its file, but for whoever stands in it. */
    fd = open_tree(AT_FDCWD, "b", OPEN_TREE_CLONE | AT_RECURSIVE);
    int in = openat(fd, "sub", O_RDONLY | O_DIRECTORY), top = openat(fd, ".", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && in >= 0 && top >= 0 && close(fd) == 0);
    CHECK(faccessat(in, "file", F_OK, 0) == 0 && faccessat(top, "sub/file", F_OK, 0) == 0);
    CHECK_ERR(move_mount(top, "", AT_FDCWD, "a", FROM_FD), EINVAL);
    CHECK(close(top) == 0 && faccessat(in, "file", F_OK, 0) == 0 && close(in) == 0);
    /* A clone of a file, onto a file. */
    put_file("f", "target");
    CHECK((fd = open_tree(AT_FDCWD, "b/dir/plain", OPEN_TREE_CLONE)) >= 0 && move_mount(fd, "", AT_FDCWD, "f", FROM_FD) == 0);
    CHECK(!strcmp(get_file("f"), "x") && umount2("f", MNT_DETACH) == 0 && !strcmp(get_file("f"), "target"));
    /* Clones of shared mounts are peers, and what is cloned and unbindable is refused. */
    make("b", MS_SHARED);
    CHECK((fd = open_tree(AT_FDCWD, "b", OPEN_TREE_CLONE)) >= 0 && move_mount(fd, "", AT_FDCWD, "a", FROM_FD) == 0);
    CHECK(mount_tag("a", "shared") == mount_tag("b", "shared"));
    make("b", MS_UNBINDABLE);
    CHECK_ERR(open_tree(AT_FDCWD, "b", OPEN_TREE_CLONE), EINVAL);
}
static void case_trees(void) { in_child(trees, 0); }

static void beneath(void)
{
    own_mounts();
    DIRS("a");
    tmpfs_at("upper", "a");
    put_file("a/upper", "x");
    int m = new_tmpfs("lower"), f = openat(m, "lower", O_CREAT | O_WRONLY, 0644);
    CHECK(f >= 0 && close(f) == 0);
    CHECK_ERR(move_mount(m, "", AT_FDCWD, "/", FROM_FD | T_BENEATH), EINVAL);
    if (kernel_since(6, 5, "MOVE_MOUNT_BENEATH")) {
        CHECK(move_mount(m, "", AT_FDCWD, "a", FROM_FD | T_BENEATH) == 0);
        CHECK(access("a/upper", F_OK) == 0 && umount("a") == 0 && access("a/lower", F_OK) == 0);
    }
}
static void case_beneath(void) { in_child(beneath, 0); }

static int attr(const char *at, unsigned flags, uint64_t set, uint64_t clr, uint64_t prop)
{
    struct mount_attr a = { .attr_set = set, .attr_clr = clr, .propagation = prop };
    return mount_setattr(AT_FDCWD, at, flags, &a, sizeof a);
}

static void attributes(void)
{
    own_mounts();
    DIRS("a", "b");
    tmpfs_at("A", "a");
    DIRS("a/sub", "a/plain");
    tmpfs_at("S", "a/sub");
    CHECK(attr("a", 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, 0, 0) == 0);
    CHECK(strstr(mount_line("a"), " ro,noexec,relatime - ") && strstr(mount_line("a/sub"), " rw,relatime - "));
    CHECK_ERR(mkdir("a/new", 0755), EROFS);
    CHECK(attr("a", AT_RECURSIVE, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY, 0) == 0);
    CHECK(strstr(mount_line("a"), " rw,nosuid,nodev,noexec,relatime - ") && strstr(mount_line("a/sub"), " rw,nosuid,nodev,relatime - "));
    CHECK(attr("a", 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, 0) == 0 && strstr(mount_line("a"), ",noatime - "));
    CHECK(attr("a", 0, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, 0) == 0 && strstr(mount_line("a"), " rw,nosuid,nodev,noexec - "));
    CHECK(attr("a", 0, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR__ATIME, 0) == 0 && strstr(mount_line("a"), ",nodiratime,relatime - "));
    CHECK(attr("a", 0, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_NODIRATIME, 0) == 0 && strstr(mount_line("a"), ",nosymfollow - "));
    CHECK(symlink("plain", "a/link") == 0);
    CHECK_ERR(access("a/link", F_OK), ELOOP);
    CHECK(attr("a", 0, 0, MOUNT_ATTR_NOSYMFOLLOW, 0) == 0 && access("a/link", F_OK) == 0);
    CHECK(attr("a", AT_RECURSIVE, 0, 0, MS_SHARED) == 0 && mount_tag("a", "shared") && mount_tag("a/sub", "shared"));
    CHECK(attr("a", 0, 0, 0, MS_PRIVATE) == 0 && !mount_tag("a", "shared") && mount_tag("a/sub", "shared"));
    /* What is refused. */
    CHECK_ERR(attr("a", 0, MOUNT_ATTR_NOATIME, 0, 0), EINVAL);
    CHECK_ERR(attr("a", 0, 0x40, MOUNT_ATTR__ATIME, 0), EINVAL);
    CHECK_ERR(attr("a", 0, 0, 0x10, 0), EINVAL);
    CHECK_ERR(attr("a", 0, 0x1000000, 0, 0), EINVAL);
    CHECK_ERR(attr("a", 0, 0, 0, MS_SHARED | MS_PRIVATE), EINVAL);
    CHECK_ERR(attr("a", 0, 0, 0, MS_RDONLY), EINVAL);
    CHECK_ERR(attr("a", 0x40000000, MOUNT_ATTR_RDONLY, 0, 0), EINVAL);
    CHECK_ERR(attr("a/plain", 0, MOUNT_ATTR_RDONLY, 0, 0), EINVAL);
    CHECK(attr("none", 0, 0, 0, 0) == 0);                                        /* nothing to do is not looked at */
    struct { struct mount_attr a; uint64_t more; } big = { .a = { .attr_set = MOUNT_ATTR_RDONLY } };
    CHECK_ERR(mount_setattr(AT_FDCWD, "a", 0, &big.a, 16), EINVAL);
    CHECK_ERR(mount_setattr(AT_FDCWD, "a", 0, &big.a, 8192), E2BIG);
    big.more = 1;
    CHECK_ERR(mount_setattr(AT_FDCWD, "a", 0, &big.a, sizeof big), E2BIG);
    big.more = 0;
    CHECK(mount_setattr(AT_FDCWD, "a", 0, &big.a, sizeof big) == 0 && strstr(mount_line("a"), " ro,"));
    CHECK(attr("a", 0, 0, MOUNT_ATTR_RDONLY, 0) == 0);
    /* All or none: one that is written keeps the tree. */
    int w = open("a/sub/w", O_CREAT | O_WRONLY, 0644);
    CHECK(w >= 0);
    CHECK_ERR(attr("a", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0), EBUSY);
    CHECK(strstr(mount_line("a"), " rw,") && close(w) == 0);
    CHECK(attr("a", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0) == 0 && strstr(mount_line("a/sub"), " ro,"));
    /* On a tree that is not mounted. */
    int m = new_tmpfs("M");
    struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
    CHECK(mount_setattr(m, "", AT_EMPTY_PATH, &ro, sizeof ro) == 0);
    CHECK(move_mount(m, "", AT_FDCWD, "b", FROM_FD) == 0 && strstr(mount_line("b"), " ro,relatime - tmpfs M rw"));
    /* Ids: no user namespace. */
    struct mount_attr ids = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)m };
    CHECK_ERR(mount_setattr(AT_FDCWD, "b", 0, &ids, sizeof ids), EBADF);         /* m is O_PATH */
    ids.userns_fd = (uint64_t)open("/proc/self/ns/uts", O_RDONLY);
    CHECK_ERR(mount_setattr(AT_FDCWD, "b", 0, &ids, sizeof ids), EINVAL);
    ids = (struct mount_attr){ .attr_clr = MOUNT_ATTR_IDMAP };
    CHECK_ERR(mount_setattr(AT_FDCWD, "b", 0, &ids, sizeof ids), EINVAL);
    if (kernel_since(6, 15, "open_tree_attr")) {
        struct mount_attr set = { .attr_set = MOUNT_ATTR_NOSUID };
        int t = (int)syscall(NR_OPEN_TREE_ATTR, AT_FDCWD, "b", OPEN_TREE_CLONE, &set, sizeof set);
        CHECK(t >= 0 && umount2("b", MNT_DETACH) == 0 && move_mount(t, "", AT_FDCWD, "b", FROM_FD) == 0 && strstr(mount_line("b"), " ro,nosuid,"));
    }
}
static void case_attributes(void) { in_child(attributes, 0); }

static void groups(void)
{
    own_mounts();
    DIRS("a", "b");
    tmpfs_at("A", "a");
    DIRS("a/x");
    bind_at("a", "b", 0);
    make("a", MS_SHARED);
    CHECK(move_mount(AT_FDCWD, "a", AT_FDCWD, "b", SET_GROUP) == 0 && mount_tag("a", "shared") == mount_tag("b", "shared"));
    tmpfs_at("X", "a/x");
    CHECK(shows("b/x", "X"));
    CHECK_ERR(move_mount(AT_FDCWD, "a", AT_FDCWD, "b", SET_GROUP), EINVAL);      /* it has one */
    CHECK_ERR(move_mount(AT_FDCWD, "a", AT_FDCWD, "", SET_GROUP), ENOENT);
}
static void case_set_group(void) { in_child(groups, 0); }

/* Flags of mount(2). */
static void flags(void)
{
    own_mounts();
    DIRS("a", "b");
    CHECK(mount("t", "a", "tmpfs", MS_NOATIME | MS_NODIRATIME, NULL) == 0 && strstr(mount_line("a"), " rw,noatime,nodiratime - "));
    CHECK(mount(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_NODEV, NULL) == 0 && strstr(mount_line("a"), " rw,nodev,noatime,nodiratime - "));
    CHECK(mount(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_RELATIME, NULL) == 0 && strstr(mount_line("a"), " rw,relatime - "));
    CHECK(mount(NULL, "a", NULL, MS_REMOUNT | MS_BIND | MS_STRICTATIME, NULL) == 0 && strstr(mount_line("a"), " rw - "));
    CHECK(mount("t", "b", "tmpfs", MS_RDONLY, NULL) == 0 && strstr(mount_line("b"), " ro,relatime - tmpfs t ro"));
    CHECK(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND, NULL) == 0 && strstr(mount_line("b"), " rw,relatime - tmpfs t ro"));
    CHECK_ERR(mkdir("b/x", 0755), EROFS);
    /* Expiry: marked first, gone at the second call if nobody came by. */
    CHECK(umount("b") == 0);
    tmpfs_at("t", "b");
    CHECK_ERR(umount2("b", MNT_EXPIRE), EAGAIN);
    CHECK(access("b/.", F_OK) == 0);
    CHECK_ERR(umount2("b", MNT_EXPIRE), EAGAIN);
    int fd = open("b", O_RDONLY);
    CHECK_ERR(umount2("b", MNT_EXPIRE), EBUSY);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_ERR(umount2("b", MNT_EXPIRE | MNT_DETACH), EINVAL);
    CHECK_ERR(umount2("b", MNT_EXPIRE), EAGAIN);
    CHECK(umount2("b", MNT_EXPIRE) == 0 && shows("b", NULL));
    /* A symlink to a mount, or itself. */
    CHECK(symlink("a", "l") == 0);
    CHECK_ERR(umount2("l", UMOUNT_NOFOLLOW), EINVAL);
    CHECK(umount2("l", 0) == 0 && shows("a", NULL));
}
static void case_flags(void) { in_child(flags, 0); }

static void no_rights(void)
{
    struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY };
    CHECK_ERR(fsopen("tmpfs", 0), EPERM);
    CHECK_ERR(fspick(AT_FDCWD, "/", 0), EPERM);
    CHECK_ERR(open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE), EPERM);
    CHECK_ERR(move_mount(AT_FDCWD, "/", AT_FDCWD, "/", 0), EPERM);
    CHECK_ERR(mount_setattr(AT_FDCWD, "/", 0, &a, sizeof a), EPERM);
    CHECK(open_tree(AT_FDCWD, "/", 0) >= 0);
}
static void case_no_rights(void) { in_child(no_rights, geteuid() ? 0 : 1000); }

TMPDIR_MAIN(CASE(case_make_and_mount), CASE(case_refused), CASE(case_reconfigured), CASE(case_trees), CASE(case_beneath), CASE(case_attributes),
            CASE(case_set_group), CASE(case_flags), CASE(case_no_rights))
