/* epoll(7). */
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void add(int ep, int fd, uint32_t ev)
{
    struct epoll_event e = { ev, { .fd = fd } };
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
}
static int w(int ep, struct epoll_event *e, int ms) { return epoll_wait(ep, e, 8, ms); }

static void level_edge_oneshot(void)
{
    int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
    struct epoll_event e[8];
    char b[8];
    CHECK(ep >= 0 && pipe(p) == 0);
    add(ep, p[0], EPOLLIN);
    CHECK(w(ep, e, 0) == 0);
    CHECK(write(p[1], "ab", 2) == 2);
    CHECK(w(ep, e, 0) == 1 && e[0].events == EPOLLIN && e[0].data.fd == p[0]);
    CHECK(w(ep, e, 0) == 1);
    struct epoll_event m = { EPOLLIN | EPOLLET, { .fd = p[0] } };
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &m) == 0);
    CHECK(w(ep, e, 0) == 1);
    CHECK(w(ep, e, 0) == 0);
    CHECK(write(p[1], "c", 1) == 1);
    CHECK(w(ep, e, 0) == 1);
    m.events = EPOLLIN | EPOLLONESHOT;
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &m) == 0);
    CHECK(w(ep, e, 0) == 1 && w(ep, e, 0) == 0);
    CHECK(write(p[1], "d", 1) == 1 && w(ep, e, 0) == 0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &m) == 0 && w(ep, e, 0) == 1);
    CHECK(read(p[0], b, 8) == 4);
    m.events = EPOLLIN;
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &m) == 0 && w(ep, e, 0) == 0);
    close(p[1]);
    CHECK(w(ep, e, 0) == 1 && e[0].events == EPOLLHUP);
    close(p[0]);
    CHECK(w(ep, e, 0) == 0);
    close(ep);
}

static void errors(void)
{
    int ep = epoll_create(1), ef = eventfd(0, 0), dir = open("/", O_RDONLY);
    struct epoll_event e = { EPOLLIN, { .fd = 1 } };
    CHECK_ERR(epoll_create(0), EINVAL);
    CHECK_ERR(epoll_create1(1), EINVAL);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, 999, &e), EBADF);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, dir, &e), EPERM);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, ef, &e), ENOENT);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, ef, &e), ENOENT);
    CHECK_ERR(epoll_ctl(ef, EPOLL_CTL_ADD, ep, &e), EINVAL);
    CHECK_ERR(epoll_ctl(ep, 77, ef, &e), EINVAL);
    add(ep, ef, EPOLLIN);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, ef, &e), EEXIST);
    CHECK_ERR(epoll_wait(ep, &e, 0, 0), EINVAL);
    CHECK_ERR(epoll_wait(ef, &e, 1, 0), EINVAL);
    int d = dup(ef);
    add(ep, d, EPOLLIN);
    CHECK(write(ef, &(uint64_t){ 1 }, 8) == 8);
    struct epoll_event got[8];
    CHECK(w(ep, got, 0) == 2);
    close(ef);
    CHECK(w(ep, got, 0) == 2);        /* the file lives on through the other descriptor */
    close(d);
    CHECK(w(ep, got, 0) == 0);
    close(dir);
    close(ep);
}

static void nested(void)
{
    int a = epoll_create1(0), b = epoll_create1(0), ef = eventfd(0, 0);
    struct epoll_event e[8];
    add(b, ef, EPOLLIN);
    add(a, b, EPOLLIN);
    CHECK(w(a, e, 0) == 0);
    CHECK(write(ef, &(uint64_t){ 1 }, 8) == 8);
    CHECK(w(a, e, 0) == 1 && e[0].data.fd == b);
    struct epoll_event x = { EPOLLIN, { .fd = a } };
    CHECK_ERR(epoll_ctl(b, EPOLL_CTL_ADD, a, &x), ELOOP);
    uint64_t v;
    CHECK(read(ef, &v, 8) == 8);
    CHECK(w(a, e, 0) == 0);
    close(a);
    close(b);
    close(ef);
}

static int shared_ep, shared_ef;
static void *writer(void *arg)
{
    (void)arg;
    usleep(50000);
    CHECK(write(shared_ef, &(uint64_t){ 1 }, 8) == 8);
    return NULL;
}

/* Nor does it help to have many sets above each other that are newer than the one that counts. */
static void nested_wide(void)
{
    enum { LEVELS = 12, WIDE = 70 };
    static int f[LEVELS][WIDE];
    struct epoll_event x = { .events = EPOLLIN };
    int depth, r = 0, top = epoll_create1(0);
    for (depth = 0; depth < LEVELS; depth++) {
        int low = epoll_create1(0);
        if ((r = epoll_ctl(top, EPOLL_CTL_ADD, low, &x))) break;
        for (int i = 0; i < WIDE; i++) CHECK((f[depth][i] = epoll_create1(0)) >= 0 && epoll_ctl(f[depth][i], EPOLL_CTL_ADD, low, &x) == 0);
        top = low;
    }
    CHECK(r == -1 && errno == ELOOP && depth == 4);
    for (int k = 0; k < depth; k++)
        for (int i = 0; i < WIDE; i++) close(f[k][i]);
}

static void blocking_and_add_while_waiting(void)
{
    pthread_t t;
    struct epoll_event e[8];
    shared_ep = epoll_create1(0);
    shared_ef = eventfd(0, 0);
    add(shared_ep, shared_ef, EPOLLIN | EPOLLEXCLUSIVE);
    pthread_create(&t, NULL, writer, NULL);
    CHECK(w(shared_ep, e, -1) == 1);
    pthread_join(t, NULL);
    CHECK(epoll_wait(shared_ep, e, 8, 10) == 1);
    struct epoll_event m = { EPOLLIN, { .fd = shared_ef } };
    CHECK_ERR(epoll_ctl(shared_ep, EPOLL_CTL_MOD, shared_ef, &m), EINVAL);
}

/* Events for several sets that wait exclusively: one each. */
static int excl_pipe[2], excl_count, excl_waiting;
static void *excl_waiter(void *arg)
{
    struct epoll_event e;
    int ep = epoll_create1(0);
    add(ep, excl_pipe[0], EPOLLIN | EPOLLET | EPOLLEXCLUSIVE);
    __atomic_fetch_add(&excl_waiting, 1, __ATOMIC_SEQ_CST);
    if (epoll_wait(ep, &e, 1, 10000) == 1) __atomic_fetch_add(&excl_count, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&excl_count, __ATOMIC_SEQ_CST) < 4) usleep(1000); /* the set stays, nobody waits for it */
    close(ep);
    return arg;
}
static void exclusive(void)
{
    pthread_t t[4];
    char c;
    CHECK(pipe(excl_pipe) == 0);
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, excl_waiter, NULL);
    while (__atomic_load_n(&excl_waiting, __ATOMIC_SEQ_CST) < 4) usleep(1000);
    usleep(50000);
    for (int round = 1; round <= 4; round++) {
        CHECK(write(excl_pipe[1], "x", 1) == 1);
        for (int i = 0; i < 2000 && __atomic_load_n(&excl_count, __ATOMIC_SEQ_CST) < round; i++) usleep(1000);
        usleep(20000);
        CHECK(__atomic_load_n(&excl_count, __ATOMIC_SEQ_CST) == round);
        CHECK(read(excl_pipe[0], &c, 1) == 1);
    }
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
}

static void on_alarm(int s) { (void)s; }
static void interrupted(void)
{
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    struct epoll_event e;
    int ep = epoll_create1(0);
    sigaction(SIGALRM, &sa, NULL);
    ualarm(30000, 0);
    CHECK_ERR(epoll_wait(ep, &e, 1, -1), EINTR);
    close(ep);
}

TEST_MAIN(CASE(level_edge_oneshot), CASE(errors), CASE(nested), CASE(nested_wide), CASE(blocking_and_add_while_waiting), CASE(exclusive), CASE(interrupted))
