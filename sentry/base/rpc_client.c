/* Channels to a server. */
#include "sentry/base/log.h"
#include "sentry/base/rpc.h"
#include <unistd.h>

void rpc_client_init(struct rpc_client *c, const char *server, const char *operations)
{
    *c = (struct rpc_client){ .server = server, .operations = operations };
    lock_init(&c->lock, LC_GOFER);
    pthread_cond_init(&c->freed, NULL);
}

void rpc_client_fini(struct rpc_client *c)
{
    for (unsigned i = 0; i < c->nfree; i++) close(c->free_socks[i]);
    lock_fini(&c->lock);
    pthread_cond_destroy(&c->freed);
}

int rpc_client_add(struct rpc_client *c, int sock, unsigned max)
{
    lock(&c->lock);
    int err = c->nsocks >= MIN(max, RPC_CHANNELS_MAX) ? -ENOSPC : 0;
    if (!err) {
        c->nsocks++;
        c->free_socks[c->nfree++] = sock;
        pthread_cond_signal(&c->freed);
    }
    unlock(&c->lock);
    if (err) close(sock);
    return err;
}

int rpc_gone(struct rpc_client *c, const char *why)
{
    if (!atomic_xchg(&c->dead, true)) log_error("%s is gone: %s; %s fail with EIO", c->server, why, c->operations);
    lock(&c->lock);
    pthread_cond_broadcast(&c->freed);
    unlock(&c->lock);
    return -EIO;
}

int rpc_channel_take(struct rpc_client *c)
{
    int s = -1;
    lock(&c->lock);
    while (!atomic_load(&c->dead) && !c->nfree) pthread_cond_wait(&c->freed, &c->lock.m);
    if (!atomic_load(&c->dead)) s = c->free_socks[--c->nfree];
    unlock(&c->lock);
    return s;
}

void rpc_channel_give(struct rpc_client *c, int sock)
{
    lock(&c->lock);
    c->free_socks[c->nfree++] = sock;
    pthread_cond_signal(&c->freed);
    unlock(&c->lock);
}

bool rpc_reply_ok(const struct rpc_hdr *rep, const struct rpc_hdr *req, size_t n, u32 more)
{
    return n >= sizeof *rep && (rep->type & ~more) == req->type && rep->seq == req->seq && rep->len == n - sizeof *rep &&
           rep->err <= 0 && rep->err >= -SYSRET_MAX_ERRNO;
}
