/*
 * Readiness of host sockets. A socket is registered once, edge-triggered, when somebody first waits for it: each edge of
 * the host's is then an edge of the guest's (epoll(7) EPOLLET inside sees what it would see outside), and none is lost
 * between two waits. What is ready now is asked of the host.
 */
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/base/service.h"
#include "sentry/net/host.h"
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

HOSTCALL_NET(epoll_create1, "readiness of host sockets");
HOSTCALL_NET(epoll_ctl, "readiness of host sockets");
HOSTCALL_NET(epoll_wait, "readiness of host sockets");
HOSTCALL_NET(poll, "is a host socket ready");

#define BUCKETS 1024u
#define STACK (64 * 1024)

static struct {
    lock_t lock;                   /* LC_TIMER (just outside of wait queues); guards: */
    struct host_sock *bucket[BUCKETS];
    u64 next_id;
    int epfd;
    bool running;
} poller = { .lock = LOCK_INIT(LC_TIMER), .epfd = -1 };

static void *poller_main(void *arg UNUSED)
{
    struct epoll_event ev[64];
    for (;;) {
        int n = epoll_wait(poller.epfd, ev, ARRAY_LEN(ev), -1);
        if (n < 0 && errno != EINTR) panic("network poller: epoll_wait: %s", strerror(errno));
        lock(&poller.lock);
        for (int i = 0; i < n; i++) {
            struct host_sock *h = poller.bucket[ev[i].data.u64 % BUCKETS];
            while (h && h->id != ev[i].data.u64) h = h->next;
            if (!h) continue;
            u32 e = ev[i].events;
            if (e & (EPOLLHUP | EPOLLERR)) e |= POLLIN | POLLOUT;
            if (e & POLLIN) e |= POLLRDNORM;
            if (e & POLLOUT) e |= POLLWRNORM;
            /* Also those that wait exclusively: one edge may stand for several connections. */
            waitq_wake_all(&h->s->wq, e);
        }
        unlock(&poller.lock);
    }
    return NULL;
}

static int start_locked(void)
{
    if (poller.running) return 0;
    if (poller.epfd < 0) poller.epfd = epoll_create1(EPOLL_CLOEXEC);
    if (poller.epfd < 0) return -errno;
    int r = service_start(poller_main, NULL, STACK);
    if (!r) poller.running = true;
    return r;
}

void host_poller_add(struct host_sock *h)
{
    lock(&poller.lock);
    h->id = ++poller.next_id;
    h->next = poller.bucket[h->id % BUCKETS];
    poller.bucket[h->id % BUCKETS] = h;
    unlock(&poller.lock);
}

void host_poller_del(struct host_sock *h)
{
    lock(&poller.lock);
    struct host_sock **p = &poller.bucket[h->id % BUCKETS];
    while (*p != h) p = &(*p)->next;
    *p = h->next;
    /* A copy that is on its way to the broker would keep a closed descriptor registered. */
    if (h->registered) epoll_ctl(poller.epfd, EPOLL_CTL_DEL, h->fd, NULL);
    unlock(&poller.lock);
}

void host_poller_watch(struct host_sock *h)
{
    if (atomic_load(&h->registered)) return;
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET, .data.u64 = h->id };
    lock(&poller.lock);
    if (!h->registered) {
        int r = start_locked();
        if (!r && epoll_ctl(poller.epfd, EPOLL_CTL_ADD, h->fd, &ev)) r = -errno;
        if (r) log_error("a host socket cannot be watched: %s", strerror(-r));
        else atomic_store(&h->registered, true);
    }
    unlock(&poller.lock);
}

u32 host_ready(const struct host_sock *h, u32 events)
{
    struct pollfd p = { .fd = h->fd, .events = (short)events };
    return poll(&p, 1, 0) < 0 ? POLLERR : (u32)(u16)p.revents;
}
