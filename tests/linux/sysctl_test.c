/* Limits below /proc/sys that can be written, and that bite. proc_sys_kernel(5), proc_sys_fs(5), proc_sys_vm(5), sysvipc(7) */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYS "/proc/sys/"

/* Errno of the write, 0. */
static int put(const char *file, const char *text)
{
    char path[80];
    snprintf(path, sizeof path, SYS "%s", file);
    int fd = open(path, O_WRONLY), r = 0;
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) r = errno;
    if (fd >= 0) close(fd);
    return r;
}

static void get_text(const char *file, char *buf, size_t size)
{
    char path[80];
    snprintf(path, sizeof path, SYS "%s", file);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    ssize_t n = read(fd, buf, size - 1);
    CHECK(n > 0 && buf[n - 1] == '\n');
    buf[n - 1] = 0;
    close(fd);
}
static unsigned long long get(const char *file)
{
    char buf[64];
    get_text(file, buf, sizeof buf);
    return strtoull(buf, NULL, 10);
}
static int put_num(const char *file, unsigned long long v)
{
    char buf[32];
    snprintf(buf, sizeof buf, "%llu", v);
    return put(file, buf);
}

/* Runs fn in a child; what it does to limits of the machine is its own to undo. */
static void in_child(void (*fn)(void))
{
    int st;
    pid_t c = fork();
    CHECK(c >= 0);
    if (!c) {
        fn();
        exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0);
}

static void become(uid_t uid) { CHECK(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0); }

static int own_ipc(void)
{
    if (!unshare(CLONE_NEWIPC) && !access(SYS "kernel/msgmni", W_OK)) return 1;
    printf("skipped: no IPC namespace of its own, or /proc/sys cannot be written\n");
    return 0;
}

static void shm_child(void)
{
    struct shminfo info;
    if (!own_ipc()) return;
    CHECK(get("kernel/shmmni") == 4096 && get("kernel/shmmax") == 18446744073692774399ULL && get("kernel/shmall") == 18446744073692774399ULL);
    CHECK(put("kernel/shmmni", "32769") == EINVAL && put("kernel/shmmni", "x") == EINVAL && put("kernel/shmmni", "-1") == EINVAL);
    CHECK(put("kernel/shmmax", "8192\n") == 0 && put("kernel/shmmni", "2") == 0 && put("kernel/shmall", "3") == 0);
    CHECK(shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&info) == 0 && info.shmmax == 8192 && info.shmmni == 2 && info.shmall == 3);
    CHECK_ERR(shmget(IPC_PRIVATE, 8193, 0600), EINVAL);
    int a = shmget(IPC_PRIVATE, 8192, 0600);
    CHECK(a >= 0);
    CHECK_ERR(shmget(IPC_PRIVATE, 8192, 0600), ENOSPC);         /* pages */
    int b = shmget(IPC_PRIVATE, 4096, 0600);
    CHECK(b >= 0 && put("kernel/shmall", "100") == 0);
    CHECK_ERR(shmget(IPC_PRIVATE, 4096, 0600), ENOSPC);         /* segments */
    CHECK(shmctl(a, IPC_RMID, NULL) == 0 && (a = shmget(IPC_PRIVATE, 4096, 0600)) >= 0);
    /* The next one gets the number it is told, once. */
    CHECK(put("kernel/shmmni", "8") == 0 && put("kernel/shm_next_id", "7") == 0 && get("kernel/shm_next_id") == 7);
    int c = shmget(IPC_PRIVATE, 4096, 0600);
    char text[32];
    get_text("kernel/shm_next_id", text, sizeof text);
    CHECK(c == 7 && !strcmp(text, "-1"));
    int d = shmget(IPC_PRIVATE, 4096, 0600);
    CHECK(d >= 0 && d != 7);
    /* Another namespace starts afresh. */
    CHECK(unshare(CLONE_NEWIPC) == 0 && get("kernel/shmmni") == 4096);
    CHECK_ERR(shmctl(c, IPC_RMID, NULL), EINVAL);
}
static void shm_limits(void) { in_child(shm_child); }

static void msg_child(void)
{
    struct msginfo info;
    struct { long type; char text[9000]; } m = { .type = 1 };
    int q[3];
    if (!own_ipc()) return;
    CHECK(get("kernel/msgmni") == 32000 && get("kernel/msgmax") == 8192 && get("kernel/msgmnb") == 16384);
    CHECK(put("kernel/msgmni", "2") == 0 && (q[0] = msgget(IPC_PRIVATE, 0600)) >= 0 && (q[1] = msgget(IPC_PRIVATE, 0600)) >= 0);
    CHECK_ERR(msgget(IPC_PRIVATE, 0600), ENOSPC);
    CHECK_ERR(msgsnd(q[0], &m, 8193, 0), EINVAL);
    CHECK(put("kernel/msgmax", "9000") == 0 && msgsnd(q[0], &m, 9000, 0) == 0);
    CHECK(msgctl(q[0], IPC_INFO, (struct msqid_ds *)(void *)&info) >= 0 && info.msgmax == 9000 && info.msgmni == 2);
    CHECK(msgctl(q[0], MSG_INFO, (struct msqid_ds *)(void *)&info) >= 0 && info.msgpool == 2 && info.msgmap == 1 && info.msgtql == 9000);
    /* Room of queues made from now on. */
    CHECK(put("kernel/msgmnb", "100") == 0 && put("kernel/msgmni", "3") == 0 && (q[2] = msgget(IPC_PRIVATE, 0600)) >= 0);
    CHECK(msgsnd(q[2], &m, 100, IPC_NOWAIT) == 0);
    CHECK_ERR(msgsnd(q[2], &m, 1, IPC_NOWAIT), EAGAIN);
    CHECK(put("kernel/msg_next_id", "1234") == 0 && put("kernel/msgmni", "9") == 0 && msgget(IPC_PRIVATE, 0600) == 1234);
}
static void msg_limits(void) { in_child(msg_child); }

static void sem_child(void)
{
    char text[64];
    struct sembuf ops[3] = { { 0, 1, 0 }, { 0, 1, 0 }, { 0, 1, 0 } };
    if (!own_ipc()) return;
    get_text("kernel/sem", text, sizeof text);
    CHECK(!strcmp(text, "32000\t1024000000\t500\t32000"));
    CHECK(put("kernel/sem", "4 6 2 2") == 0);
    get_text("kernel/sem", text, sizeof text);
    CHECK(!strcmp(text, "4\t6\t2\t2"));
    CHECK_ERR(semget(IPC_PRIVATE, 5, 0600), EINVAL);
    int a = semget(IPC_PRIVATE, 4, 0600);
    CHECK(a >= 0);
    CHECK_ERR(semget(IPC_PRIVATE, 3, 0600), ENOSPC);
    CHECK_ERR(semop(a, ops, 3), E2BIG);
    CHECK(semop(a, ops, 2) == 0);
    CHECK(semget(IPC_PRIVATE, 1, 0600) >= 0);
    CHECK_ERR(semget(IPC_PRIVATE, 1, 0600), ENOSPC);
    /* Fewer numbers leave the rest; too many sets are out of range. */
    CHECK(put("kernel/sem", "5 7") == 0);
    get_text("kernel/sem", text, sizeof text);
    CHECK(!strcmp(text, "5\t7\t2\t2"));
    CHECK(put("kernel/sem", "5 7 2 32769") == ERANGE);
    get_text("kernel/sem", text, sizeof text);
    CHECK(!strcmp(text, "5\t7\t2\t2"));
}
static void sem_limits(void) { in_child(sem_child); }

/* unshare leaves the segments of the caller behind as if it had ended, setns does not. kernel/fork.c, kernel/nsproxy.c */
static void orphan_child(void)
{
    int p[2], q[2], g_ready[2], id, st;
    char c;
    struct shmid_ds ds;
    if (!own_ipc()) return;
    CHECK(pipe(p) == 0 && pipe(q) == 0 && pipe(g_ready) == 0);
    int back = open("/proc/self/ns/ipc", O_RDONLY);
    CHECK(back >= 0 && put("kernel/shm_rmid_forced", "1") == 0);
    for (int by_setns = 0; by_setns < 2; by_setns++) {
        pid_t k = fork();
        if (!k) {
            id = shmget(IPC_PRIVATE, 4096, 0600);
            int other = -1;
            if (by_setns) {
                pid_t g = fork();
                if (!g) {
                    CHECK(unshare(CLONE_NEWIPC) == 0 && write(g_ready[1], "x", 1) == 1);
                    pause();
                }
                char path[64];
                CHECK(read(g_ready[0], &c, 1) == 1);
                snprintf(path, sizeof path, "/proc/%d/ns/ipc", g);
                CHECK((other = open(path, O_RDONLY)) >= 0 && setns(other, CLONE_NEWIPC) == 0);
                CHECK(kill(g, 9) == 0 && waitpid(g, NULL, 0) == g);
            } else {
                CHECK(unshare(CLONE_NEWIPC) == 0);
            }
            CHECK(write(p[1], &id, sizeof id) == sizeof id && read(q[0], &c, 1) == 1);
            _exit(0);
        }
        CHECK(read(p[0], &id, sizeof id) == sizeof id);
        if (by_setns) CHECK(shmctl(id, IPC_STAT, &ds) == 0);
        else CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
        CHECK(write(q[1], "x", 1) == 1 && waitpid(k, &st, 0) == k && st == 0);
        CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
    }
    /* Without the setting it stays, and a mapping of it goes on in the other namespace. */
    CHECK(put("kernel/shm_rmid_forced", "0") == 0 && (id = shmget(IPC_PRIVATE, 4096, 0600)) >= 0);
    char *m = shmat(id, NULL, 0);
    CHECK(m != (void *)-1 && unshare(CLONE_NEWIPC) == 0);
    strcpy(m, "kept");
    CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
    CHECK(setns(back, CLONE_NEWIPC) == 0 && shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 1);
    char *n = shmat(id, NULL, 0);
    CHECK(n != (void *)-1 && !strcmp(n, "kept") && shmdt(m) == 0 && shmdt(n) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}
static void ipc_namespace_left(void) { in_child(orphan_child); }

/* What follows takes limits of all processes away for a moment: on a machine that does other work only when asked to. */
static int can_set(void)
{
    char text[64];
    int running, all = 0;
    FILE *f = fopen("/proc/loadavg", "r");
    CHECK(f && fgets(text, sizeof text, f) && sscanf(text, "%*s %*s %*s %d/%d", &running, &all) == 2);
    fclose(f);
    if (access(SYS "fs/nr_open", W_OK)) printf("skipped: /proc/sys cannot be written\n");
    else if (all > 40 && !getenv("TEST_MACHINE_LIMITS")) printf("skipped: others run here; TEST_MACHINE_LIMITS=1 sets limits nevertheless\n");
    else return 1;
    return 0;
}

static void nr_open_child(void)
{
    struct rlimit l;
    unsigned long long was = get("fs/nr_open");
    CHECK(put("fs/nr_open", "63") == EINVAL && put_num("fs/nr_open", was + 1024) == 0);
    l.rlim_cur = l.rlim_max = was + 1024;
    int set = setrlimit(RLIMIT_NOFILE, &l), e = errno, far = dup2(0, (int)was + 64);
    CHECK(put_num("fs/nr_open", was) == 0);
    if (set && e == EPERM) {
        printf("skipped: nr_open: no CAP_SYS_RESOURCE\n");
        return;
    }
    CHECK(set == 0 && far == (int)was + 64);
    CHECK_ERR(setrlimit(RLIMIT_NOFILE, &l), EPERM);
    /* What is open beyond the limit stays, but cannot be copied. */
    CHECK(fcntl((int)was + 64, F_GETFD) == 0);
    CHECK_ERR(fork(), EMFILE);
    CHECK(unshare(CLONE_FILES) == 0);      /* nobody shares it: nothing is copied */
    CHECK(close((int)was + 64) == 0);
    pid_t c = fork();
    if (!c) _exit(0);
    CHECK(waitpid(c, NULL, 0) == c);
}
static void nr_open(void)
{
    if (can_set()) in_child(nr_open_child);
}

#define TEST_UID 54321
static unsigned long long saved[3];

static void inotify_child(void)
{
    int fd[3], wd;
    become(TEST_UID);
    CHECK((fd[0] = inotify_init1(0)) >= 0 && (fd[1] = inotify_init1(0)) >= 0);
    CHECK_ERR(inotify_init1(0), EMFILE);
    CHECK(close(fd[1]) == 0 && (fd[1] = inotify_init1(0)) >= 0);
    CHECK((wd = inotify_add_watch(fd[0], "/", IN_OPEN)) > 0 && inotify_add_watch(fd[1], "/tmp", IN_OPEN) > 0);
    CHECK_ERR(inotify_add_watch(fd[1], "/proc", IN_OPEN), ENOSPC);
    CHECK(inotify_rm_watch(fd[0], wd) == 0 && inotify_add_watch(fd[1], "/proc", IN_OPEN) > 0);
}
static void inotify_limits(void)
{
    static const char *const files[] = { "fs/inotify/max_user_instances", "fs/inotify/max_user_watches", "fs/inotify/max_queued_events" };
    if (!can_set()) return;
    for (int i = 0; i < 3; i++) saved[i] = get(files[i]);
    CHECK(put(files[0], "2") == 0 && put(files[1], "2") == 0 && put(files[2], "3") == 0);
    in_child(inotify_child);
    for (int i = 0; i < 3; i++) CHECK(put_num(files[i], saved[i]) == 0 && get(files[i]) == saved[i]);
}

static void pipe_child(void)
{
    int p[2], q[2], r[2];
    become(TEST_UID);
    CHECK(pipe(p) == 0 && fcntl(p[0], F_GETPIPE_SZ) == 65536);
    CHECK_ERR(fcntl(p[0], F_SETPIPE_SZ, 262145), EPERM);         /* pipe-max-size */
    CHECK_ERR(fcntl(p[0], F_SETPIPE_SZ, 262144), EPERM);         /* the pages of a user */
    CHECK(fcntl(p[0], F_SETPIPE_SZ, 65536 * 2) == 65536 * 2);
    CHECK(pipe(q) == 0 && fcntl(q[0], F_GETPIPE_SZ) == 8192);
    CHECK(close(q[0]) == 0 && close(q[1]) == 0 && fcntl(p[0], F_SETPIPE_SZ, 4096) == 4096);
    CHECK(pipe(q) == 0 && fcntl(q[0], F_GETPIPE_SZ) == 65536);
    CHECK(fcntl(p[0], F_SETPIPE_SZ, 65536) == 65536);
    CHECK(pipe(r) == 0 && fcntl(r[0], F_GETPIPE_SZ) == 8192);
    CHECK_ERR(pipe(p), ENFILE);                                  /* 16 + 16 + 2, and two more */
}
static void pipe_limits(void)
{
    static const char *const files[] = { "fs/pipe-max-size", "fs/pipe-user-pages-soft", "fs/pipe-user-pages-hard" };
    if (!can_set()) return;
    for (int i = 0; i < 3; i++) saved[i] = get(files[i]);
    CHECK(put(files[0], "200000") == 0 && get(files[0]) == 262144 && put(files[1], "33") == 0 && put(files[2], "34") == 0);
    in_child(pipe_child);
    for (int i = 0; i < 3; i++) CHECK(put_num(files[i], saved[i]) == 0);
}

static void map_count(void)
{
    if (!can_set()) return;
    unsigned long long was = get("vm/max_map_count");
    int n = 0;
    void *at[600];
    CHECK(put("vm/max_map_count", "300") == 0);
    for (; n < 600; n++) {
        /* Two protections in turn, so that neighbours do not become one. */
        at[n] = mmap(NULL, 4096, n & 1 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at[n] == MAP_FAILED) break;
    }
    int e = errno;
    CHECK(put_num("vm/max_map_count", was) == 0);
    CHECK(n < 300 && n > 100 && e == ENOMEM);
    while (n--) CHECK(munmap(at[n], 4096) == 0);
}

static void file_max_child(void)
{
    int p[2];
    become(TEST_UID);
    CHECK_ERR(open("/", O_RDONLY), ENFILE);
    CHECK_ERR(pipe(p), ENFILE);
    CHECK(dup(0) > 0);
}
static void file_max(void)
{
    if (!can_set()) return;
    unsigned long long was = get("fs/file-max"), used = get("fs/file-nr");
    CHECK(used > 2);
    CHECK(put("fs/file-max", "1") == 0);
    in_child(file_max_child);
    int fd = open("/", O_RDONLY);          /* CAP_SYS_ADMIN is not bound */
    CHECK(put_num("fs/file-max", was) == 0 && fd >= 0 && close(fd) == 0);
}

static void threads_child(void)
{
    CHECK_ERR(fork(), EAGAIN);
}
static void threads_max(void)
{
    if (!can_set()) return;
    unsigned long long was = get("kernel/threads-max");
    CHECK(was > 1 && put("kernel/threads-max", "0") == EINVAL);
    int st;
    pid_t c = fork();
    if (!c) {
        CHECK(put("kernel/threads-max", "1") == 0);
        threads_child();
        CHECK(put_num("kernel/threads-max", was) == 0);
        _exit(0);
    }
    CHECK(waitpid(c, &st, 0) == c && st == 0 && get("kernel/threads-max") == was);
}

TEST_MAIN(CASE(shm_limits), CASE(msg_limits), CASE(sem_limits), CASE(ipc_namespace_left), CASE(nr_open), CASE(inotify_limits),
          CASE(pipe_limits), CASE(map_count), CASE(file_max), CASE(threads_max))
