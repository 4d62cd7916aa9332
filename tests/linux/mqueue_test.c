/* POSIX message queues: mq_overview(7), mq_open(3), mq_send(3), mq_receive(3), mq_notify(3), mq_getattr(3). */
#include "check.h"
#include <sys/syscall.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char name[64];

static mqd_t make(int flags, long n, long size)
{
    struct mq_attr at = { .mq_maxmsg = n, .mq_msgsize = size };
    snprintf(name, sizeof name, "/sundog-%d", (int)getpid());
    mq_unlink(name);
    mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &at);
    CHECK(q >= 0);
    return q;
}

static void order(void)
{
    mqd_t q = make(O_NONBLOCK, 4, 16);
    char b[16];
    unsigned prio;
    struct mq_attr at;
    CHECK(mq_send(q, "a", 2, 1) == 0 && mq_send(q, "b", 2, 5) == 0 && mq_send(q, "c", 2, 5) == 0 && mq_send(q, "d", 2, 0) == 0);
    CHECK_ERR(mq_send(q, "e", 2, 0), EAGAIN);
    CHECK(mq_getattr(q, &at) == 0 && at.mq_curmsgs == 4 && at.mq_maxmsg == 4 && at.mq_msgsize == 16 && at.mq_flags == O_NONBLOCK);
    CHECK_ERR(mq_receive(q, b, 15, &prio), EMSGSIZE);
    for (const char *want = "bcad"; *want; want++) CHECK(mq_receive(q, b, 16, &prio) == 2 && b[0] == *want);
    CHECK_ERR(mq_receive(q, b, 16, NULL), EAGAIN);
    CHECK_ERR(mq_send(q, b, 17, 0), EMSGSIZE);
    CHECK_ERR(mq_send(q, b, 1, 32768), EINVAL);
    CHECK(mq_close(q) == 0 && mq_unlink(name) == 0);
    CHECK_ERR(mq_close(q), EBADF);
    CHECK_ERR(mq_unlink(name), ENOENT);
}

static void opening(void)
{
    mqd_t q = make(0, 2, 8);
    char b[8];
    CHECK((int)mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL) == -1 && errno == EEXIST);
    mqd_t r = mq_open(name, O_RDONLY), w = mq_open(name, O_WRONLY);
    CHECK(r >= 0 && w >= 0);
    CHECK_ERR(mq_send(r, "x", 1, 0), EBADF);
    CHECK_ERR(mq_receive(w, b, 8, NULL), EBADF);
    CHECK(mq_send(w, "x", 1, 0) == 0 && mq_receive(r, b, 8, NULL) == 1);
    /* Unlinked, yet alive through its descriptors. */
    CHECK(mq_unlink(name) == 0);
    CHECK((int)mq_open(name, O_RDONLY) == -1 && errno == ENOENT);
    CHECK(mq_send(w, "y", 1, 0) == 0 && mq_receive(q, b, 8, NULL) == 1 && b[0] == 'y');
    mq_close(r);
    mq_close(w);
    mq_close(q);
    struct mq_attr at = { .mq_maxmsg = 0, .mq_msgsize = 1 };
    CHECK((int)mq_open(name, O_CREAT | O_RDWR, 0600, &at) == -1 && errno == EINVAL);
    CHECK((int)mq_open("/a/b", O_CREAT | O_RDWR, 0600, NULL) == -1 && errno == EACCES);
    CHECK_ERR(mq_send(0, "x", 1, 0), EBADF);
}

static void blocking(void)
{
    mqd_t q = make(0, 1, 8);
    char b[8];
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 20000000;
    if (ts.tv_nsec >= 1000000000) ts.tv_sec++, ts.tv_nsec -= 1000000000;
    CHECK_ERR(mq_timedreceive(q, b, 8, NULL, &ts), ETIMEDOUT);
    ts.tv_nsec = -1;
    CHECK_ERR(mq_timedreceive(q, b, 8, NULL, &ts), EINVAL);
    pid_t c = fork();
    if (!c) _exit(mq_receive(q, b, 8, NULL) == 3 && mq_receive(q, b, 8, NULL) == 1 ? 0 : 1);
    usleep(20000);
    CHECK(mq_send(q, "abc", 3, 0) == 0 && mq_send(q, "d", 1, 0) == 0);
    int st;
    CHECK(waitpid(c, &st, 0) == c && st == 0);
    struct pollfd p = { q, POLLIN | POLLOUT, 0 };
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
    CHECK(mq_send(q, "z", 1, 0) == 0);
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    mq_close(q);
    mq_unlink(name);
}

static volatile sig_atomic_t got, got_code, got_value;
static void on_notice(int s, siginfo_t *i, void *u)
{
    (void)s, (void)u;
    got++, got_code = i->si_code, got_value = i->si_value.sival_int;
}

static void notify(void)
{
    mqd_t q = make(O_NONBLOCK, 4, 8);
    char b[8];
    struct sigaction sa = { .sa_sigaction = on_notice, .sa_flags = SA_SIGINFO };
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77 };
    sigaction(SIGUSR1, &sa, NULL);
    CHECK(mq_notify(q, &ev) == 0);
    CHECK_ERR(mq_notify(q, &ev), EBUSY);
    CHECK(mq_send(q, "a", 1, 0) == 0);
    CHECK(got == 1 && got_code == SI_MESGQ && got_value == 77);
    /* Once only, and only for an empty queue. */
    CHECK(mq_notify(q, &ev) == 0);
    CHECK(mq_send(q, "b", 1, 0) == 0 && got == 1);
    CHECK(mq_notify(q, NULL) == 0);
    CHECK(mq_receive(q, b, 8, NULL) == 1 && mq_receive(q, b, 8, NULL) == 1);
    CHECK(mq_send(q, "b", 1, 0) == 0 && got == 1);
    ev.sigev_signo = 100;
    CHECK_ERR(mq_notify(q, &ev), EINVAL);
    mq_close(q);
    mq_unlink(name);
}

static int put(const char *file, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", file);
    int fd = open(path, O_WRONLY), r = 0;
    if (fd < 0) return errno;
    if (write(fd, text, strlen(text)) < 0) r = errno;
    close(fd);
    return r;
}

static int get(const char *file)
{
    char path[64];
    int v = -1;
    snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", file);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &v) != 1) v = -1;
    if (f) fclose(f);
    return v;
}

/* The settings are a namespace's own, and bind who has no CAP_SYS_RESOURCE. */
static void settings(void)
{
    pid_t c = fork();
    if (!c) {
        if (unshare(CLONE_NEWIPC) || access("/proc/sys/fs/mqueue/msg_max", W_OK)) {
            printf("skipped: settings of message queues: no IPC namespace of its own, or /proc/sys cannot be written\n");
            fflush(stdout);
            _exit(0);
        }
        CHECK(get("msg_max") == 10 && get("msgsize_max") == 8192 && get("queues_max") == 256);
        CHECK(get("msg_default") == 10 && get("msgsize_default") == 8192);
        CHECK(put("msg_max", "0") == EINVAL && put("msg_max", "65537") == EINVAL && put("msg_max", "x") == EINVAL);
        CHECK(put("msgsize_max", "127") == EINVAL && put("msgsize_max", "16777217") == EINVAL);
        CHECK(put("msg_default", "0") == EINVAL && put("msgsize_default", "127") == EINVAL);
        CHECK(get("msg_max") == 10 && get("msgsize_max") == 8192);
        CHECK(put("msg_max", "3\n") == 0 && put("msgsize_max", "200") == 0 && put("queues_max", "2") == 0);
        CHECK(get("msg_max") == 3 && get("msgsize_max") == 200 && get("queues_max") == 2);
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
        CHECK(put("msg_max", "5") == EACCES);
        struct mq_attr at = { .mq_maxmsg = 4, .mq_msgsize = 8 };
        CHECK((int)mq_open("/a", O_CREAT | O_RDWR, 0600, &at) == -1 && errno == EINVAL);
        at = (struct mq_attr){ .mq_maxmsg = 3, .mq_msgsize = 201 };
        CHECK((int)mq_open("/a", O_CREAT | O_RDWR, 0600, &at) == -1 && errno == EINVAL);
        at.mq_msgsize = 200;
        CHECK((int)mq_open("/a", O_CREAT | O_RDWR, 0600, &at) >= 0);
        /* The default is cut to the limit. */
        mqd_t q = mq_open("/b", O_CREAT | O_RDWR, 0600, NULL);
        CHECK((int)q >= 0 && mq_getattr(q, &at) == 0 && at.mq_maxmsg == 3 && at.mq_msgsize == 200);
        CHECK((int)mq_open("/c", O_CREAT | O_RDWR, 0600, NULL) == -1 && errno == ENOSPC);
        CHECK(mq_close(q) == 0 && mq_unlink("/b") == 0);
        CHECK((int)mq_open("/c", O_CREAT | O_RDWR, 0600, NULL) >= 0);
        _exit(0);
    }
    int ws;
    CHECK(waitpid(c, &ws, 0) == c && ws == 0);
    /* Another namespace has its own, from the start. */
    c = fork();
    if (!c) {
        if (unshare(CLONE_NEWIPC) || access("/proc/sys/fs/mqueue/msg_max", W_OK)) _exit(0);
        CHECK(get("msg_max") == 10 && put("msg_default", "2") == 0 && put("msgsize_default", "130") == 0);
        struct mq_attr at;
        mqd_t q = mq_open("/a", O_CREAT | O_RDWR, 0600, NULL);
        CHECK((int)q >= 0 && mq_getattr(q, &at) == 0 && at.mq_maxmsg == 2 && at.mq_msgsize == 130);
        CHECK(unshare(CLONE_NEWIPC) == 0 && get("msg_default") == 10);
        _exit(0);
    }
    CHECK(waitpid(c, &ws, 0) == c && ws == 0);
}

static volatile int told;
static void tell(union sigval v) { told = v.sival_int; }

/* SIGEV_THREAD: libc waits on a netlink socket for its cookie. */
static void notify_thread(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 77, .sigev_notify_function = tell };
    mqd_t q = make(O_CREAT | O_RDWR, 4, 16);
    char buf[16];
    CHECK(q >= 0 && mq_notify(q, &ev) == 0);
    CHECK_ERR(mq_notify(q, &ev), EBUSY);
    CHECK(mq_send(q, "x", 1, 0) == 0);
    for (int i = 0; i < 300 && !told; i++) usleep(10000);
    CHECK(told == 77 && mq_receive(q, buf, sizeof buf, NULL) == 1);
    told = 0;
    /* Once only; and taken back, nothing is told. */
    CHECK(mq_send(q, "x", 1, 0) == 0 && mq_receive(q, buf, sizeof buf, NULL) == 1 && mq_notify(q, &ev) == 0 && mq_notify(q, NULL) == 0);
    CHECK(mq_send(q, "x", 1, 0) == 0);
    usleep(50000);
    CHECK(!told && mq_close(q) == 0 && mq_unlink(name) == 0);
    ev.sigev_signo = 0;
    CHECK(syscall(SYS_mq_notify, -1, &ev) == -1);
}

TEST_MAIN(CASE(order), CASE(opening), CASE(blocking), CASE(notify), CASE(notify_thread), CASE(settings))
