/* Sockets under epoll: edges, hang-ups, room. epoll(7) */
#include "check.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned wait_one(int ep, int ms)
{
    struct epoll_event e = { 0 };
    int n = epoll_wait(ep, &e, 1, ms);
    CHECK(n >= 0);
    return n ? e.events : 0;
}

static int watch(int fd, unsigned events)
{
    int ep = epoll_create1(0);
    struct epoll_event e = { .events = events };
    CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
    return ep;
}

static void edges(void)
{
    int s[2];
    char b[8];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    int ep = watch(s[1], EPOLLIN | EPOLLRDHUP | EPOLLET);
    CHECK(!wait_one(ep, 0));
    CHECK(write(s[0], "a", 1) == 1 && wait_one(ep, 1000) == EPOLLIN && !wait_one(ep, 0));
    CHECK(write(s[0], "b", 1) == 1 && wait_one(ep, 1000) == EPOLLIN);
    CHECK(read(s[1], b, 8) == 2);
    CHECK(!shutdown(s[0], SHUT_WR) && wait_one(ep, 1000) == (EPOLLIN | EPOLLRDHUP));
    close(s[0]);
    CHECK(wait_one(ep, 1000) & EPOLLHUP);
    close(s[1]), close(ep);
}

static void room(void)
{
    int s[2];
    static char b[65536];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    int ep = watch(s[0], EPOLLOUT | EPOLLET);
    CHECK(wait_one(ep, 0) == EPOLLOUT && !wait_one(ep, 0));
    while (write(s[0], b, sizeof b) > 0) ;
    CHECK(errno == EAGAIN && !wait_one(ep, 0));
    while (read(s[1], b, sizeof b) > 0) ;
    CHECK(wait_one(ep, 1000) == EPOLLOUT);
    close(s[0]), close(s[1]), close(ep);
}

static void *connector(void *p)
{
    int c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(c, p, sizeof(struct sockaddr_in)));
    char b;
    CHECK(read(c, &b, 1) == 1);
    close(c);
    return NULL;
}

static void listener(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t l = sizeof a;
    pthread_t t;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(!bind(s, (void *)&a, l) && !listen(s, 5) && !getsockname(s, (void *)&a, &l));
    CHECK_ERR(accept(s, NULL, NULL), EAGAIN);
    int ep = watch(s, EPOLLIN);
    CHECK(!wait_one(ep, 0));
    CHECK(!pthread_create(&t, NULL, connector, &a));
    CHECK(wait_one(ep, 5000) == EPOLLIN);
    int c = accept(s, NULL, NULL);
    CHECK(c >= 0 && !wait_one(ep, 0) && write(c, "x", 1) == 1);
    pthread_join(t, NULL);
    close(c), close(s), close(ep);
}

TEST_MAIN(CASE(edges), CASE(room), CASE(listener))
