/* What one process asks about another, or of its own memory: pidfd ioctls, kcmp(2), pagemap, PROCMAP_QUERY, ns_last_pid. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct info { unsigned long long mask, cgroupid; unsigned pid, tgid, ppid, ids[8]; int exit_code; };
#define GET_INFO _IOWR(0xff, 11, struct info)
#define GET_UTS _IO(0xff, 10)
#define GET_PID_NS _IO(0xff, 5)

static void pidfds(void)
{
    struct info i = { .mask = 3 };
    struct stat a, b;
    int hold[2];
    CHECK(pipe(hold) == 0);
    pid_t c = fork();
    if (!c) {
        char x;
        alarm(20);
        _exit(read(hold[0], &x, 1) == 1 ? 5 : 6);
    }
    int fd = (int)syscall(SYS_pidfd_open, c, 0);
    CHECK(fd >= 0);
    if (ioctl(fd, GET_INFO, &i) && errno == ENOTTY) {
        printf("skipped: PIDFD_GET_INFO is not known\n");
        kill(c, 9);
        waitpid(c, NULL, 0);
        return;
    }
    CHECK((i.mask & 3) == 3 && i.pid == (unsigned)c && i.tgid == (unsigned)c && i.ppid == (unsigned)getpid() && i.ids[0] == getuid() && i.ids[3] == getegid());
    CHECK_ERR(ioctl(fd, GET_INFO, NULL), EINVAL);
    CHECK(ioctl(fd, _IOWR(0xff, 11, long), &i) == -1 && (errno == ENOTTY || errno == EINVAL));
    CHECK_ERR(ioctl(fd, _IO(0xff, 99), 0), ENOTTY);
    int ns = ioctl(fd, GET_UTS, 0);
    CHECK(ns >= 0 && fstat(ns, &a) == 0 && stat("/proc/self/ns/uts", &b) == 0 && a.st_ino == b.st_ino);
    CHECK(ioctl(ns, NS_GET_NSTYPE) == CLONE_NEWUTS && close(ns) == 0);
    CHECK(write(hold[1], "x", 1) == 1 && waitpid(c, NULL, 0) == c);
    i.mask = 1;
    CHECK_ERR(ioctl(fd, GET_INFO, &i), ESRCH);
    CHECK_ERR(ioctl(fd, GET_UTS, 0), ESRCH);
    i = (struct info){ .mask = 8 };                    /* PIDFD_INFO_EXIT */
    if (ioctl(fd, GET_INFO, &i) == 0) CHECK((i.mask & 8) && WIFEXITED(i.exit_code) && WEXITSTATUS(i.exit_code) == 5);
    else CHECK(errno == ESRCH);                        /* before Linux 6.15 */
    /* Nor is it told in a namespace of processes that never saw it; since 6.18.14 with an errno of its own. */
    c = fork();
    if (!c) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWPID)) _exit(errno == EPERM || errno == ENOSPC ? 0 : 1);
        pid_t in = fork();
        if (!in) {
            i = (struct info){ .mask = 8 };
            _exit(ioctl(fd, GET_INFO, &i) != -1 || (errno != ESRCH && errno != EREMOTE));
        }
        int st;
        _exit(waitpid(in, &st, 0) != in || st != 0);
    }
    int st;
    CHECK(waitpid(c, &st, 0) == c && st == 0);
    close(fd);
}

static void kcmp_sysvsem(void)
{
    int id = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf up = { 0, 1, SEM_UNDO };
    CHECK(id >= 0 && semop(id, &up, 1) == 0);
    pid_t me = getpid(), c = fork();
    if (!c) pause();
    CHECK(syscall(SYS_kcmp, me, me, KCMP_SYSVSEM, 0, 0) == 0 && syscall(SYS_kcmp, me, c, KCMP_SYSVSEM, 0, 0) > 0);
    kill(c, 9);
    CHECK(waitpid(c, NULL, 0) == c && semctl(id, 0, IPC_RMID) == 0);
}

static unsigned long long entry(int fd, const void *p)
{
    unsigned long long e;
    CHECK(pread(fd, &e, 8, (off_t)((unsigned long)p / 4096 * 8)) == 8);
    return e;
}

static void pagemap(void)
{
    char *m = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = open("/proc/self/pagemap", O_RDONLY);
    char c;
    CHECK(fd >= 0 && m != MAP_FAILED && s != MAP_FAILED);
    CHECK(!(entry(fd, m + 4096) >> 63));
    m[4096] = 1;
    s[0] = 1;
    CHECK(entry(fd, m + 4096) >> 63 == 1 && !(entry(fd, m + 4096) >> 61 & 1) && !(entry(fd, m + 3 * 4096) >> 63));
    CHECK(entry(fd, s) >> 63 == 1 && (entry(fd, s) >> 61 & 1));
    CHECK_ERR(pread(fd, &c, 1, 0), EINVAL);
    CHECK(munmap(m, 4 * 4096) == 0 && entry(fd, m) == 0 && close(fd) == 0 && munmap(s, 4096) == 0);
}

struct query {
    unsigned long long size, flags, addr, start, end, vflags, page, off, ino;
    unsigned major, minor, name_size, id_size;
    unsigned long long name, id;
};
#define QUERY _IOWR('f', 17, struct query)

static void procmap(void)
{
    char path[256], *m = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("/proc/self/maps", O_RDONLY), here;
    struct query q = { .size = sizeof q, .addr = (unsigned long long)(unsigned long)m + 4096 };
    CHECK(fd >= 0 && m != MAP_FAILED && mprotect(m + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
    if (ioctl(fd, QUERY, &q) && errno == ENOTTY) {
        printf("skipped: PROCMAP_QUERY is not known\n");
        return;
    }
    CHECK(q.start == (unsigned long)m + 4096 && q.end == q.start + 4096 && q.vflags == 3 && q.page == 4096 && !q.ino);
    q = (struct query){ .size = sizeof q, .addr = (unsigned long)&procmap, .flags = 4 | 32, .name = (unsigned long)path, .name_size = sizeof path };
    CHECK(ioctl(fd, QUERY, &q) == 0 && (q.vflags & 4) && q.ino && q.name_size == strlen(path) + 1 && strstr(path, "procinfo_test"));
    q.name_size = 3;
    CHECK_ERR(ioctl(fd, QUERY, &q), ENAMETOOLONG);
    CHECK(munmap(m + 4096, 4096) == 0);
    q = (struct query){ .size = sizeof q, .addr = (unsigned long)m + 4096 };
    CHECK_ERR(ioctl(fd, QUERY, &q), ENOENT);
    q.flags = 16;                                      /* or the next one */
    CHECK(ioctl(fd, QUERY, &q) == 0 && q.start == (unsigned long)m + 8192);
    q = (struct query){ .size = sizeof q, .addr = (unsigned long)&here, .flags = 1 << 20 };
    CHECK_ERR(ioctl(fd, QUERY, &q), EINVAL);
    q = (struct query){ .size = 8 };
    CHECK_ERR(ioctl(fd, QUERY, &q), EINVAL);
    close(fd);
}

static void ns_parents(void)
{
    int u = open("/proc/self/ns/uts", O_RDONLY), st;
    CHECK(u >= 0);
    CHECK_ERR(ioctl(u, NS_GET_PARENT), EINVAL);
    close(u);
    pid_t c = fork();
    if (!c) {
        struct stat a, b;
        if (unshare(CLONE_NEWPID)) {
            printf("skipped: no pid namespace of its own\n");
            fflush(stdout);
            _exit(0);
        }
        pid_t g = fork();
        if (!g) pause();
        int n = open("/proc/self/ns/pid_for_children", O_RDONLY), p;
        if (n < 0) {
            char path[64];
            snprintf(path, sizeof path, "/proc/%d/ns/pid", g);
            n = open(path, O_RDONLY);
        }
        CHECK(n >= 0 && (p = ioctl(n, NS_GET_PARENT)) >= 0 && fstat(p, &a) == 0 && stat("/proc/self/ns/pid", &b) == 0 && a.st_ino == b.st_ino);
        CHECK(kill(g, 9) == 0 && waitpid(g, NULL, 0) == g);
        _exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}

static void last_pid(void)
{
    int fd = open("/proc/sys/kernel/ns_last_pid", O_RDWR), st;
    if (fd < 0) {
        printf("skipped: no ns_last_pid, or not privileged\n");
        return;
    }
    pid_t a = fork();
    if (!a) _exit(0);
    CHECK(waitpid(a, NULL, 0) == a);
    char text[16];
    /* A namespace of its own, so that nobody else forks there. */
    pid_t c = fork();
    if (!c) {
        if (unshare(CLONE_NEWPID | CLONE_NEWNS)) _exit(0);
        (void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
        pid_t init = fork();
        if (!init) {
            int own = open("/proc/sys/kernel/ns_last_pid", O_RDWR);
            snprintf(text, sizeof text, "%d", 4321);
            CHECK(own >= 0 && write(own, text, strlen(text)) == (ssize_t)strlen(text));
            pid_t g = fork();
            if (!g) _exit(0);
            int dir = open("/proc/self/ns/pid", O_RDONLY);
            CHECK(g == 4322 && waitpid(g, NULL, 0) == g && dir >= 0);
            /* A directory of /proc stays that of the process it was opened for. */
            if (!mount("proc", "/tmp", "proc", 0, NULL) && pwrite(own, text, strlen(text), 0) > 0) {
                int d;
                if (!(g = fork())) pause();
                CHECK(g == 4322 && (d = open("/tmp/4322", O_RDONLY)) >= 0);
                CHECK(syscall(SYS_pidfd_send_signal, d, SIGKILL, NULL, 0) == 0 && waitpid(g, NULL, 0) == g);
                CHECK(pwrite(own, text, strlen(text), 0) > 0);
                if (!(g = fork())) pause();
                CHECK(g == 4322);
                CHECK_ERR(syscall(SYS_pidfd_send_signal, d, 0, NULL, 0), ESRCH);
                CHECK_ERR(openat(d, "stat", O_RDONLY), ESRCH);
                CHECK(kill(g, SIGKILL) == 0 && waitpid(g, NULL, 0) == g);
            }
            _exit(0);
        }
        CHECK(waitpid(init, &st, 0) == init && st == 0);
        _exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0 && close(fd) == 0);
}

static void sticky_timeouts(void)
{
    struct timeval tv = { 0, 20000 };
    int old = personality(0xffffffff);
    CHECK(personality((unsigned long)old | STICKY_TIMEOUTS) >= 0);
    CHECK(select(0, NULL, NULL, NULL, &tv) == 0 && tv.tv_usec == 20000);
    CHECK(personality((unsigned long)old) >= 0 && select(0, NULL, NULL, NULL, &tv) == 0 && tv.tv_usec == 0);
    struct timespec ts = { 0, 1 };
    CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EOPNOTSUPP);
}

/* Locked pages are there, whether anybody wrote to them or not. */
static void locked_pages(void)
{
    unsigned char vec[3] = { 0 };
    char *m = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(m != MAP_FAILED && mlock(m, 3 * 4096) == 0);
    CHECK(mincore(m, 3 * 4096, vec) == 0 && (vec[0] & vec[1] & vec[2] & 1));
}

TEST_MAIN(CASE(pidfds), CASE(kcmp_sysvsem), CASE(pagemap), CASE(procmap), CASE(ns_parents), CASE(last_pid), CASE(sticky_timeouts), CASE(locked_pages))
