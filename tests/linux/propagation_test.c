/* Shared subtrees. mount_namespaces(7), Documentation/filesystems/sharedsubtree.rst */
#include "mounts.h"
#include <time.h>

/* a: shared, b: its peer; both have the directories x and y. */
static void pair(void)
{
    own_mounts();
    DIRS("a", "b", "c");
    tmpfs_at("A", "a");
    DIRS("a/x", "a/y");
    make("a", MS_SHARED);
    bind_at("a", "b", 0);
}

static void peers(void)
{
    pair();
    CHECK(mount_tag("a", "shared") && mount_tag("a", "shared") == mount_tag("b", "shared") && !mount_tag("a", "master"));
    CHECK(!mount_tag("", "shared"));
    tmpfs_at("X", "a/x");
    CHECK(shows("b/x", "X") && mount_tag("a/x", "shared") == mount_tag("b/x", "shared") && mount_tag("b/x", "shared") != mount_tag("a", "shared"));
    put_file("b/x/file", "seen");
    CHECK(!strcmp(get_file("a/x/file"), "seen"));
    tmpfs_at("Y", "b/y");
    CHECK(shows("a/y", "Y"));
    CHECK(umount("a/x") == 0 && shows("b/x", NULL) && umount("a/y") == 0 && shows("b/y", NULL));
    /* What lies deeper travels too, for what is mounted on the copies are peers again. */
    tmpfs_at("X", "a/x");
    DIRS("b/x/deep");
    tmpfs_at("D", "b/x/deep");
    CHECK(shows("a/x/deep", "D"));
    CHECK(umount2("b/x", MNT_DETACH) == 0 && shows("a/x", NULL) && shows("a/x/deep", NULL));
    /* A peer gets no more than what it shows. */
    bind_at("a/y", "c", 0);
    tmpfs_at("X", "a/x");
    CHECK(mount_tag("c", "shared") == mount_tag("a", "shared") && shows("c", "A") && shows("c/x", NULL));
    /* Without the last peer the group is gone. */
    CHECK(umount("b/x") == 0 && umount("b") == 0 && umount("c") == 0);
    make("a", MS_PRIVATE);
    CHECK(!mount_tag("a", "shared") && !mount_tag("a", "master"));
}
static void case_peers(void) { in_child(peers, 0); }

static void slaves(void)
{
    pair();
    unsigned group = mount_tag("a", "shared");
    make("b", MS_SLAVE);
    CHECK(mount_tag("b", "master") == group && !mount_tag("b", "shared") && mount_tag("a", "shared") == group);
    tmpfs_at("X", "a/x");
    CHECK(shows("b/x", "X") && mount_tag("b/x", "master") == mount_tag("a/x", "shared") && !mount_tag("b/x", "shared"));
    tmpfs_at("Y", "b/y");
    CHECK(shows("a/y", NULL));
    CHECK(umount("a/x") == 0 && shows("b/x", NULL) && umount("b/y") == 0);
    /* A copy of a slave is a slave of the same; slave and shared at once goes too. */
    bind_at("b", "c", 0);
    CHECK(mount_tag("c", "master") == group && !mount_tag("c", "shared"));
    CHECK(umount("c") == 0);
    make("b", MS_SHARED);
    CHECK(mount_tag("b", "master") == group && mount_tag("b", "shared") && mount_tag("b", "shared") != group);
    bind_at("b", "c", 0);
    CHECK(mount_tag("c", "shared") == mount_tag("b", "shared") && mount_tag("c", "master") == group);
    tmpfs_at("X", "a/x");
    CHECK(shows("b/x", "X") && shows("c/x", "X"));
    CHECK(mount_tag("b/x", "shared") == mount_tag("c/x", "shared") && mount_tag("c/x", "master") == mount_tag("a/x", "shared"));
    tmpfs_at("Y", "c/y");
    CHECK(shows("b/y", "Y") && shows("a/y", NULL));
    /* A slave of slaves gets what comes from the top, also when what is between has gone. */
    make("c", MS_SLAVE);
    CHECK(mount_tag("c", "master") == mount_tag("b", "shared"));
    CHECK(umount("a/x") == 0 && shows("c/x", NULL) && umount("b/y") == 0 && umount2("b", MNT_DETACH) == 0);
    CHECK(mount_tag("c", "master") == group);
    tmpfs_at("Z", "a/y");
    CHECK(shows("c/y", "Z"));
    /* With its master a slave becomes private. */
    CHECK(umount("a/y") == 0 && umount("a") == 0 && !mount_tag("c", "master"));
}
static void case_slaves(void) { in_child(slaves, 0); }

static void unbindable(void)
{
    own_mounts();
    DIRS("a", "b");
    tmpfs_at("A", "a");
    DIRS("a/x", "a/y");
    tmpfs_at("X", "a/x");
    tmpfs_at("Y", "a/y");
    make("a/x", MS_UNBINDABLE);
    CHECK(is_unbindable("a/x") && !is_unbindable("a/y"));
    CHECK_ERR(mount("a/x", "b", NULL, MS_BIND, NULL), EINVAL);
    bind_at("a", "b", MS_REC);
    CHECK(shows("b/y", "Y") && shows("b/x", NULL));
    CHECK(umount2("b", MNT_DETACH) == 0);
    make("a/x", MS_SHARED);
    CHECK(!is_unbindable("a/x"));
    make("a/x", MS_UNBINDABLE);
    /* It does not move to where it would have to be copied. */
    tmpfs_at("B", "b");
    DIRS("b/z");
    make("b", MS_SHARED);
    CHECK_ERR(mount("a/x", "b/z", NULL, MS_MOVE, NULL), EINVAL);
    make("a/x", MS_PRIVATE);
    CHECK(!is_unbindable("a/x") && mount("a/x", "b/z", NULL, MS_MOVE, NULL) == 0 && mount_tag("b/z", "shared"));
    CHECK_ERR(mount("b/z", "a/x", NULL, MS_MOVE, NULL), EINVAL);   /* nor from below a shared one */
}
static void case_unbindable(void) { in_child(unbindable, 0); }

static void recursive(void)
{
    own_mounts();
    DIRS("a");
    tmpfs_at("A", "a");
    DIRS("a/x");
    tmpfs_at("X", "a/x");
    make("a", MS_SHARED | MS_REC);
    CHECK(mount_tag("a", "shared") && mount_tag("a/x", "shared") && mount_tag("a", "shared") != mount_tag("a/x", "shared"));
    make("a", MS_PRIVATE);
    CHECK(!mount_tag("a", "shared") && mount_tag("a/x", "shared"));
    make("a", MS_UNBINDABLE | MS_REC);
    CHECK(is_unbindable("a") && is_unbindable("a/x"));
    CHECK_ERR(mount(NULL, "a", NULL, MS_SHARED | MS_PRIVATE, NULL), EINVAL);
    CHECK_ERR(mount(NULL, "a", NULL, MS_SHARED | MS_RDONLY, NULL), EINVAL);
    CHECK(mount(NULL, "a", NULL, MS_SHARED | MS_SILENT, NULL) == 0);
    CHECK(mkdir("a/x/no", 0755) == 0);
    CHECK_ERR(mount(NULL, "a/x/no", NULL, MS_SHARED, NULL), EINVAL);
}
static void case_recursive(void) { in_child(recursive, 0); }

/* A reader who does not see the master is told of the nearest one above that it sees. */
static void propagate_from(void)
{
    own_mounts();
    DIRS("r", "r/a", "r/c", "r/proc", "b");
    tmpfs_at("A", "r/a");
    make("r/a", MS_SHARED);
    bind_at("r/a", "b", 0);
    make("b", MS_SLAVE);
    make("b", MS_SHARED);
    bind_at("b", "r/c", 0);
    make("r/c", MS_SLAVE);
    unsigned top = mount_tag("r/a", "shared"), mid = mount_tag("b", "shared");
    CHECK(mount_tag("r/c", "master") == mid && !mount_tag("r/c", "propagate_from"));
    bind_at("/proc", "r/proc", MS_REC);
    bind_at("r", "r", MS_REC);
    CHECK(chdir("r") == 0 && chroot(".") == 0);
    CHECK(mount_tag("/c", "master") == mid && mount_tag("/c", "propagate_from") == top && !mount_line("/b"));
}
static void case_propagate_from(void) { in_child(propagate_from, 0); }

/* What comes to where something is mounted already goes below that. */
static void beneath(void)
{
    pair();
    make("b", MS_SLAVE);
    tmpfs_at("own", "b/x");
    put_file("b/x/own", "x");
    tmpfs_at("came", "a/x");
    put_file("a/x/came", "x");
    CHECK(access("b/x/own", F_OK) == 0);
    CHECK(umount("b/x") == 0 && access("b/x/came", F_OK) == 0);
    /* A mount over what goes is kept: it comes to lie on what was below. */
    tmpfs_at("over", "b/x");
    put_file("b/x/over", "x");
    CHECK(umount("a/x") == 0 && access("b/x/over", F_OK) == 0);
    CHECK(umount("b/x") == 0 && shows("b/x", NULL));
    /* A mount inside of what should go keeps it. */
    tmpfs_at("came", "a/x");
    DIRS("a/x/in");
    tmpfs_at("in", "b/x/in");
    CHECK(umount("a/x") == 0 && shows("b/x", "came") && shows("b/x/in", "in") && !mount_tag("b/x", "master"));
}
static void case_beneath(void) { in_child(beneath, 0); }

static void busy(void)
{
    pair();
    tmpfs_at("X", "a/x");
    int fd = open("b/x", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    CHECK_ERR(umount("a/x"), EBUSY);   /* the peer's copy would go too, and is in use */
    CHECK(shows("a/x", "X"));
    CHECK(close(fd) == 0 && umount("a/x") == 0 && shows("b/x", NULL));
    tmpfs_at("X", "a/x");
    CHECK((fd = open("b/x", O_RDONLY | O_DIRECTORY)) >= 0);
    CHECK(umount2("a/x", MNT_DETACH) == 0 && shows("b/x", NULL));
    CHECK(openat(fd, "file", O_CREAT | O_WRONLY, 0644) >= 0);
}
static void case_busy(void) { in_child(busy, 0); }

static void moved(void)
{
    pair();
    tmpfs_at("C", "c");
    DIRS("c/sub");
    tmpfs_at("S", "c/sub");
    CHECK(mount("c", "a/x", NULL, MS_MOVE, NULL) == 0);
    CHECK(shows("c", NULL) && shows("a/x", "C") && shows("b/x/sub", "S") && mount_tag("b/x/sub", "shared"));
    CHECK_ERR(mount("a/x", "c", NULL, MS_MOVE, NULL), EINVAL);
    CHECK(umount2("a/x", MNT_DETACH) == 0 && shows("b/x", NULL));
    /* A mount that shares with its own parent gets no copy of itself. */
    bind_at("a", "a/x", 0);
    CHECK(mount_tag("a/x", "shared") == mount_tag("a", "shared") && shows("b/x", "A") && shows("a/x/x", NULL));
    tmpfs_at("Y", "a/y");
    CHECK(shows("b/y", "Y") && shows("a/x/y", "Y") && shows("b/x/y", "Y"));
    /* pivot_root(2) refuses shared places. */
    CHECK_ERR(syscall(SYS_pivot_root, "a/y", "a/y"), EINVAL);
}
static void case_moved(void) { in_child(moved, 0); }

/* --- between namespaces --- */

static int to_kid[2], to_us[2];
static void tell(int fd) { CHECK(write(fd, "x", 1) == 1); }
static void await(int fd) { char c; CHECK(read(fd, &c, 1) == 1); }
static pid_t start_kid(void (*fn)(void))
{
    CHECK(pipe(to_kid) == 0 && pipe(to_us) == 0);
    alarm(40);                         /* one of us may fail and leave the other waiting */
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    return pid;
}
static void end_kid(pid_t pid)
{
    int st;
    CHECK(waitpid(pid, &st, 0) == pid && st == 0);
}

static unsigned outer_group;
static void kid_peer(void)
{
    CHECK(unshare(CLONE_NEWNS) == 0);
    CHECK(mount_tag("a", "shared") == outer_group && !mount_tag("a", "master"));
    tell(to_us[1]);
    await(to_kid[0]);
    CHECK(shows("a/x", "X") && shows("b/x", "X"));
    tmpfs_at("Y", "a/y");
    tell(to_us[1]);
    await(to_kid[0]);
    CHECK(shows("a/x", NULL));
}
static void namespaces(void)
{
    pair();
    outer_group = mount_tag("a", "shared");
    pid_t pid = start_kid(kid_peer);
    await(to_us[0]);
    tmpfs_at("X", "a/x");
    tell(to_kid[1]);
    await(to_us[0]);
    CHECK(shows("a/y", "Y") && shows("b/y", "Y"));
    CHECK(umount("a/x") == 0);
    tell(to_kid[1]);
    end_kid(pid);
    CHECK(shows("a/y", "Y"));   /* the kid's namespace has gone, its mounts elsewhere have not */
}
static void case_namespaces(void) { in_child(namespaces, 0); }

static void kid_slave(void)
{
    CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
    CHECK(mount_tag("a", "master") == outer_group && !mount_tag("a", "shared"));
    CHECK(!mount_tag("", "master"));   /* private ones stay so */
    tell(to_us[1]);
    await(to_kid[0]);
    CHECK(shows("a/x", "C") && shows("a/x/in", "in"));
    /* What came with its tree is locked in it; the tree itself may go. */
    CHECK_ERR(umount("a/x/in"), EINVAL);
    CHECK_ERR(mount(NULL, "a/x", NULL, MS_REMOUNT | MS_BIND | MS_RELATIME, NULL), EPERM);
    CHECK(umount2("a/x", MNT_DETACH) == 0 && shows("a/x", NULL));
    tmpfs_at("Y", "a/y");
    tell(to_us[1]);
    await(to_kid[0]);
}
static void lesser(void)
{
    pair();
    CHECK(umount("b") == 0);
    tmpfs_at("C", "c");
    DIRS("c/in");
    tmpfs_at("in", "c/in");
    CHECK(mount(NULL, "c", NULL, MS_REMOUNT | MS_BIND | MS_NODEV, NULL) == 0);
    outer_group = mount_tag("a", "shared");
    pid_t pid = start_kid(kid_slave);
    await(to_us[0]);
    CHECK(mount("c", "a/x", NULL, MS_MOVE, NULL) == 0);
    tell(to_kid[1]);
    await(to_us[0]);
    CHECK(shows("a/x", "C") && shows("a/y", NULL));
    tell(to_kid[1]);
    end_kid(pid);
}
static void case_lesser_namespace(void) { in_child(lesser, 0); }

/* A place that is mounted on elsewhere only can be removed; what is mounted there goes. */
static void kid_removes(void)
{
    CHECK(unshare(CLONE_NEWNS) == 0);
    await(to_kid[0]);
    CHECK(rmdir("a/x") == 0 && rename("a/y", "a/z") == 0);
    put_file("f", "x");
    CHECK(rename("f", "g") == 0);
    tell(to_us[1]);
}
static void removed(void)
{
    own_mounts();
    DIRS("a", "a/x", "a/y");
    put_file("g", "old");
    pid_t pid = start_kid(kid_removes);
    usleep(100000);                    /* the kid has its namespace before the mounts come */
    tmpfs_at("X", "a/x");
    tmpfs_at("Y", "a/y");
    bind_at("/dev/null", "g", 0);
    CHECK_ERR(rmdir("a/x"), EBUSY);
    CHECK_ERR(rename("a/x", "a/other"), EBUSY);
    CHECK_ERR(unlink("g"), EBUSY);
    tell(to_kid[1]);
    await(to_us[0]);
    CHECK(shows("a/x", NULL) && access("a/x", F_OK) < 0);
    CHECK(shows("a/z", "Y") && shows("g", NULL) && !strcmp(get_file("g"), "x"));
    end_kid(pid);
}
static void case_removed_elsewhere(void) { in_child(removed, 0); }

/* Copies that double end at fs.mount-max, with nothing half done. */
static void bounded(void)
{
    own_mounts();
    DIRS("a");
    tmpfs_at("A", "a");
    DIRS("a/x");
    make("a", MS_SHARED);
    int n = 0;
    while (n < 40 && mount("a", "a/x", NULL, MS_BIND | MS_REC, NULL) == 0) n++;
    CHECK(errno == ENOSPC && n > 3 && n < 20);
    CHECK_ERR(mount("a", "a/x", NULL, MS_BIND | MS_REC, NULL), ENOSPC);
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    /* The second one went onto the root of its peer, so onto a as well. */
    for (n = 0; umount2("a", MNT_DETACH) == 0; n++) CHECK(n < 20);
    CHECK(errno == EINVAL && shows("a", NULL));
    clock_gettime(CLOCK_MONOTONIC, &t1);
    CHECK(t1.tv_sec - t0.tv_sec < 30);
}
static void case_bounded(void) { in_child(bounded, 0); }

TMPDIR_MAIN(CASE(case_peers), CASE(case_slaves), CASE(case_unbindable), CASE(case_recursive), CASE(case_propagate_from), CASE(case_beneath),
            CASE(case_busy), CASE(case_moved), CASE(case_namespaces), CASE(case_lesser_namespace), CASE(case_removed_elsewhere), CASE(case_bounded))
