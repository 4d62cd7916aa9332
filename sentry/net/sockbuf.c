/* Message buffers, their charging against socket buffers, and waiting. */
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"
#include "sentry/net/socket.h"

struct sockbuf *sockbuf_new(size_t cap)
{
    struct sockbuf *b = malloc(sizeof(*b) + cap);
    if (!b) return NULL;
    *b = (struct sockbuf){ .cap = (u32)cap };
    return b;
}

void sockbuf_charge(struct sockbuf *b, struct socket *owner, u32 charge)
{
    socket_get(owner);
    b->owner = owner;
    b->charge = charge;
    (void)atomic_add(&owner->wmem, charge);
}

void sockbuf_uncharge(struct socket *owner, u32 n)
{
    (void)atomic_add(&owner->wmem, (u32)-n);
    if (owner->domain == AF_UNIX) {
        if ((u64)atomic_load(&owner->wmem) * 4 <= atomic_load(&owner->sndbuf))
            waitq_wake_all(&owner->wq, POLLOUT | POLLWRNORM | POLLWRBAND);
    } else if (atomic_load(&owner->nospace) && stream_writable(owner)) {
        atomic_store(&owner->nospace, false);
        waitq_wake_all(&owner->wq, POLLOUT | POLLWRNORM);
    }
}

void sockbuf_free(struct sockbuf *b)
{
    if (!b) return;
    if (b->owner) {
        sockbuf_uncharge(b->owner, b->charge);
        socket_put(b->owner);
    }
    if (b->files) scm_files_free(b->files);
    free(b->error);
    free(b);
}

void sockbuf_append_locked(struct socket *to, struct sockbuf *b)
{
    TAILQ_INSERT_TAIL(&to->rx, b, link);
    to->rx_bytes += b->len;
    to->rx_count++;
    if (!b->owner) (void)atomic_add(&to->rmem, b->charge);
}

void sockbuf_take_locked(struct socket *s, struct sockbuf *b)
{
    TAILQ_REMOVE(&s->rx, b, link);
    s->rx_bytes -= b->len;
    s->rx_count--;
    if (!b->owner) (void)atomic_add(&s->rmem, (u32)-b->charge);
}

void sockbuf_purge(struct sockbuf_queue *q)
{
    struct sockbuf *b;
    while ((b = TAILQ_FIRST(q))) {
        TAILQ_REMOVE(q, b, link);
        sockbuf_free(b);
    }
}

void sock_wait_init(struct sock_wait *sw, u32 events, bool nonblock, ktime_t timeo)
{
    *sw = (struct sock_wait){ .timed = timeo != KTIME_NEVER, .deadline = KTIME_NEVER };
    waiter_init_current(&sw->w, events);
    if (nonblock) sw->deadline = 0;
    else if (sw->timed) sw->deadline = ktime_add_sat(clock_mono(), timeo);
}

int sock_wait(struct sock_wait *sw, lock_t *l, struct waitq *q)
{
    if (!sw->deadline) return -EAGAIN;
    if (!sw->hung) {
        waitq_add(q, &sw->w);
        sw->hung = true;
        return 0;
    }
    unlock(l);
    int r = task_sleep(sw->deadline);
    lock(l);
    if (r == -ETIMEDOUT) return -EAGAIN;
    return r == -ERESTARTSYS && sw->timed ? -EINTR : r;
}

void sock_wait_fini(struct sock_wait *sw)
{
    if (sw->hung) waitq_del(&sw->w);
}

int sock_take_error_locked(struct socket *s)
{
    int e = s->err;
    s->err = 0;
    return -e;
}

void sock_set_error(struct socket *s, int err)
{
    lock(&s->lock);
    s->err = err;
    unlock(&s->lock);
    waitq_wake_all(&s->wq, POLLERR | POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
}

void send_sigpipe(void)
{
    struct ksiginfo info;
    ksiginfo_user(&info, SIGPIPE, SI_USER);
    (void)signal_send_task(current, &info);
}
